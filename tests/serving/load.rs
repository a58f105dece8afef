//! A server that gets more requests than it can answer still tells the time.

use clockwright::control::ServerReport;

use crate::flood::Flood;
use crate::scene::{PATIENCE, client, crowded, ipv4, kernel_count, serve};
use crate::support::daemon::Daemon;
use crate::support::star::{Star, source};
use crate::support::wait::{wait_for, when};

/// So many requests have been dropped before the clients that matter begin.
const DROPPED: u64 = 5000;
/// Answers to each client that are looked at.
const LOOKS: u32 = 12;
/// All read the same clock, so their offsets should be nothing, s. Requests wait in the server's queue for
/// tens of times this.
const OFFSET: f64 = 1e-3;
/// In basic mode, and also after a loss, a server can only foresee when a reply will leave, s.
const FORESIGHT: f64 = 20e-6;

#[test]
fn the_time_is_right_for_a_client_of_a_server_that_drops_much_of_its_load() {
    let ours = under_a_flood(false);
    assert!(ours.basic > DROPPED, "{ours:#?}");
    assert_eq!(ours.stamps.tx_between, 0, "{ours:#?}");
}

/// Then batches are full, and not every reply is stamped itself. The kernel has no room for many stamps
/// while a socket's queue is full of requests: those are missing.
#[test]
fn the_time_is_right_for_a_client_among_too_many_interleaved_ones() {
    let ours = under_a_flood(true);
    let stamps = ours.stamps;
    assert!(stamps.tx_between > DROPPED / 4, "{ours:#?}");
    assert!(stamps.tx_between <= stamps.tx_kernel, "{ours:#?}");
}

/// What a server says that is asked for the time while it gets more requests than it can answer.
fn under_a_flood(interleaved: bool) -> ServerReport {
    let star = crowded();
    let ours = serve(&star, "workers = 1");
    let flood = Flood {
        server: ipv4(0),
        first: client(0),
        addresses: 4000,
        interleaved,
        requests: None,
        window: None,
    };
    let _flood = flood.start(&star.client, &star.directory);
    let dropped = || kernel_count(&star.servers[0], "Udp", "RcvbufErrors");
    let before = wait_for("requests to be dropped", PATIENCE, || {
        when(dropped(), |dropped| *dropped > DROPPED)
    });

    for (name, mode) in [("basic", false), ("interleaved", true)] {
        is_right(&star, name, mode);
    }
    let now = dropped();
    assert!(now > before, "the load was dropped all the time: {now}");
    let report = ours.server();
    assert_eq!(report.unsent, 0, "{report:#?}");
    report
}

/// A client that asks in this mode gets the right time.
fn is_right(star: &Star, name: &str, interleaved: bool) {
    let server = Star::server_ipv4(0).to_string();
    let asking = source(&server, "31250us") + &format!("interleaved = {interleaved}\n");
    let asker = Daemon::start(&star.client, &star.directory, name, &asking);
    let mut looked_at = 0;
    let mut answers = 0;
    // Every look is at another answer.
    let last = wait_for("answers that can be looked at", PATIENCE, || {
        let source = asker.source(&server);
        if let (Some(offset), Some(bound)) = (source.offset_s, source.error_bound_s)
            && source.received > answers
        {
            answers = source.received;
            looked_at += 1;
            assert!(offset.abs() <= bound + FORESIGHT, "{source:#?}");
        }
        when(source, |_| looked_at >= LOOKS)
    });
    let offset = last.offset_s.expect("an offset");
    assert!(offset.abs() < OFFSET, "{last:#?}");
    // Foresight that is too long by more than the round trip is found out.
    let mut rejected = last.rejected.keys();
    assert!(rejected.all(|why| why == "negative_delay"), "{last:#?}");
    assert!(!last.interleaved || interleaved, "{last:#?}");
}
