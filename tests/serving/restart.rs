//! A server that is started again under load.

use std::time::Instant;

use crate::flood::Flood;
use crate::scene::{PATIENCE, client, ipv4, nts_source, secured, with_many_addresses};
use crate::support::daemon::Daemon;
use crate::support::star::Star;
use crate::support::tls::Authority;
use crate::support::wait::{wait_for, when};

/// Between two requests of the client that matters, s. Its cookies last for eight.
const POLL: f64 = 0.5;

#[test]
fn a_restart_under_load_loses_the_requests_of_the_gap_and_no_keys() {
    let star = with_many_addresses(Star::with_names(1));
    let authority = Authority::new(&star.directory, "authority");
    let ours = secured(&star, &authority, "workers = 2");
    let flood = Flood {
        server: ipv4(0),
        first: client(0),
        addresses: 1000,
        interleaved: false,
        requests: None,
        window: Some(32),
    };
    let mut flood = flood.start(&star.client, &star.directory);
    let name = Star::server_name(0);
    let asking = nts_source(&authority, &name, "500ms");
    let asker = Daemon::start(&star.client, &star.directory, "asker", &asking);
    let before = asker.wait_for_source(&name, "answers before", PATIENCE, |source| {
        source.reach & 0xf == 0xf && source.interleaved
    });
    let lost_before = before.sent - before.received;

    let begin = Instant::now();
    ours.end();
    let ours = secured(&star, &authority, "workers = 2");
    let gap = begin.elapsed().as_secs_f64();
    let source = asker.wait_for_source(&name, "answers after", PATIENCE, |source| {
        source.received > before.received + 4 && source.reach & 7 == 7 && source.interleaved
    });
    // One may be under way each time; while nothing is answered, no more are sent than otherwise.
    let lost = (source.sent - source.received).saturating_sub(lost_before);
    assert!(
        lost as f64 <= gap / POLL + 2.0,
        "{lost} of a gap of {gap} s"
    );
    let auth = asker.auth(&name);
    assert_eq!(auth.key_establishments, 1, "{auth:#?}");
    assert_eq!(auth.naks, 0, "{auth:#?}");
    let report = wait_for("the load to go on", PATIENCE, || {
        when(ours.server(), |report| report.basic > 1000)
    });
    assert_eq!(report.naks, 0, "{report:#?}");
    let keys = report.key_establishment.expect("a server of keys");
    assert_eq!(keys.established, 0, "{keys:#?}");
    assert!(flood.ended().is_none(), "{}", flood.log());
}
