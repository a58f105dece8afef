//! A host that sleeps: the kernel's clocks leap as when it wakes, and the daemon starts afresh.
//!
//! The guest itself cannot sleep (its RTC does not wake it from `freeze` or `mem`, and its files, on 9p,
//! do not come back), so its programs are stopped, and the kernel is told by the function that its RTC
//! code calls that it has slept: `CLOCK_BOOTTIME` and `CLOCK_REALTIME` leap, `CLOCK_MONOTONIC` and
//! the oscillator do not, timers that watch the clock are cancelled. The server and the clocks of the NICs
//! have gone on meanwhile.

use serde_json::{Value, json};

use crate::guest::{Drivers, run};
use crate::scene::{ONE_SOURCE, RIGHT_NS, SETTLED_S, client, reference, steered};

/// After sleep the clock is stepped only where it is off by more than a second.
const RESUME: &str = "[clock]\nresume = { above = \"1s\", first = 1 }\n";
/// How long the host sleeps.
const SLEEPS_S: f64 = 300.0;
/// When it does, and how wrong its RTC is then: that is slewed, 5 % at most, and that is stepped.
const FIRST: (f64, f64) = (SETTLED_S, 0.37);
const SECOND: (f64, f64) = (45.0, -1.6);

#[test]
fn a_host_that_wakes_starts_afresh_as_it_is_told_to_and_never_claims_more_than_it_knows() {
    let config = format!("{ONE_SOURCE}{RESUME}");
    let sleeps =
        |(at, error_s): (f64, f64)| json!({ "at": at, "do": ["sleep", SLEEPS_S, error_s] });
    let case = steered(json!({
        "daemons": [reference(&["hwt0"]), client(&config)],
        "events": [sleeps(FIRST), sleeps(SECOND)],
        "seconds": 62,
    }));
    let record = run("sleep", Drivers::Lab, case);
    record.assert_claims_hold("client");
    record.assert_right(RIGHT_NS, 15.0, FIRST.0 - 0.1);
    // It was woken to a clock that was as wrong as the RTC, and did not claim otherwise for long.
    let (at, error_s) = FIRST;
    assert!(record.worst_error_ns(at, at + 1.0) > 0.9e9 * error_s);
    record.assert_right(RIGHT_NS, at + 18.0, SECOND.0 - 0.1);
    record.assert_right(RIGHT_NS, SECOND.0 + 10.0, f64::INFINITY);
    record.assert_synchronized("client", at + 18.0, SECOND.0 - 0.1);
    record.assert_synchronized("client", SECOND.0 + 10.0, f64::INFINITY);
    let slept = record.told("client", "the host slept for ");
    assert_eq!(slept.len(), 2, "{slept:#?}");
    let status: &Value = &record.end["client"]["status"];
    assert_eq!(
        (&status["disruptions"], &status["steps"]),
        (&json!(2), &json!(1))
    );
    // Newest first.
    for (n, (_, error_s)) in [SECOND, FIRST].into_iter().enumerate() {
        let told = &status["last_disruptions"][n];
        assert_eq!(told["kind"], "suspended", "{told:#}");
        let by_s = told["by_s"].as_f64().unwrap_or_default();
        assert!((by_s - SLEEPS_S - error_s).abs() < 1e-3, "{told:#}");
    }
}
