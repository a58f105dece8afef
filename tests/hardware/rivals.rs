//! A real chronyd steers the clock that clockwright steers.

use serde_json::{Value, json};

use crate::guest::{Drivers, run};
use crate::scene::{ONE_SOURCE, RIGHT_NS, client, reference, steered};

/// When chronyd is ended.
const ENDS_S: f64 = 20.0;

#[test]
fn chronyd_that_steers_the_same_clock_is_named_and_the_clock_is_right_when_it_is_gone() {
    let config = "server 10.0.0.1 minpoll 0 maxpoll 0\nport 0\n";
    let chronyd = json!({ "name": "rival", "in": 1, "program": "chronyd", "config": config });
    let case = steered(json!({
        "daemons": [reference(&["hwt0"]), chronyd, client(ONE_SOURCE)],
        "events": [{ "at": ENDS_S, "do": ["end", "rival"] }],
        "seconds": 40,
    }));
    let record = run("rivals", Drivers::Lab, case);
    let named = "chronyd (process ";
    let at_start = record.told("client", "this one may do so too: chronyd");
    assert_eq!(at_start.len(), 1, "{at_start:#?}");
    let found = record.told(
        "client",
        "another program steers the system clock: it runs at ",
    );
    assert!((1..=6).contains(&found.len()), "{found:#?}");
    assert!(found.iter().all(|line| line.contains(named)), "{found:#?}");
    let status: &Value = &record.end["client"]["status"];
    let other = status["other_steerer"].as_str().unwrap_or_default();
    assert!(other.contains(named), "{status:#}");
    record.assert_claims_hold("client");
    record.assert_right(RIGHT_NS, ENDS_S + 8.0, f64::INFINITY);
}
