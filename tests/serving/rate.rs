//! Who asks too often is answered less, and nobody else is.

use std::net::{Ipv4Addr, SocketAddr};

use clockwright::control::ServerReport;
use serde::{Deserialize, Serialize};

use crate::actor;
use crate::ask::{Asker, plain};
use crate::flood::Flood;
use crate::scene::{
    PATIENCE, client, crowded, ipv4, nts_source, secured, serve, with_many_addresses,
};
use crate::support::chrony::{Chronyd, value};
use crate::support::daemon::Daemon;
use crate::support::star::Star;
use crate::support::tls::Authority;
use crate::support::wait::{wait_for, when};

/// How many may come at once.
const BURST: u64 = 8;
/// What the one who floods sends.
const FLOOD: u64 = 1000;

#[derive(Debug, Serialize, Deserialize)]
struct Task {
    server: Ipv4Addr,
    /// Who floods.
    flooder: Ipv4Addr,
    /// Who asks a little, meanwhile.
    others: Vec<Ipv4Addr>,
}

/// What somebody got.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Got {
    /// Times.
    answers: u64,
    /// Kisses.
    kisses: u64,
}

fn got(replies: &[Vec<u8>]) -> Got {
    let is_kiss = |reply: &&Vec<u8>| reply[1] == 0 && &reply[12..16] == b"RATE";
    let kisses = replies.iter().filter(is_kiss).count() as u64;
    Got {
        answers: replies.len() as u64 - kisses,
        kisses,
    }
}

/// On the client's host: one floods, and others ask four times each in between; tells what each got,
/// the flooder first.
#[test]
#[ignore = "the tests below start it on their host"]
fn floods() {
    let task: Task = actor::task();
    let server = SocketAddr::new(task.server.into(), 123);
    let flooder = Asker::new(task.flooder, server);
    let others = task.others.iter().map(|other| Asker::new(*other, server));
    let others: Vec<Asker> = others.collect();
    let mut of_flooder = Vec::new();
    for part in 0..4 {
        for mark in 0..FLOOD / 4 {
            flooder.send(&plain((part * FLOOD + mark) << 1));
        }
        // Its own place in the queue is before theirs.
        for other in &others {
            assert!(other.fence(part + 1).is_empty());
        }
        of_flooder.extend(flooder.received());
    }
    let mut all = vec![got(&of_flooder)];
    all.extend(others.iter().map(|_| Got {
        answers: 4,
        kisses: 0,
    }));
    actor::tell(&all);
}

/// Has one flood a server with this limit; gives what it got, and what the server says.
fn flooded(limit: &str) -> (Got, ServerReport) {
    let star = crowded();
    let lines = format!("workers = 1\nrate = {{ interval = \"1h\", burst = {BURST}, {limit} }}");
    let ours = serve(&star, &lines);
    let task = Task {
        server: ipv4(0),
        flooder: client(7),
        others: vec![client(6), client(8), client(1 << 16)],
    };
    let mut all: Vec<Got> = actor::run(&star.client, &star.directory, "rate::floods", &task);
    let talkers = ours.talkers(2);
    let first = talkers.first().expect("somebody who asks");
    assert_eq!(first.address, client(7).to_string(), "{talkers:#?}");
    let seen = (first.requests, first.limited);
    assert_eq!(seen, (FLOOD, FLOOD - BURST), "{talkers:#?}");
    assert_eq!((talkers[1].requests, talkers[1].limited), (4, 0));
    let report = ours.server();
    assert_eq!(report.received, FLOOD + 12, "{report:#?}");
    let flooder = all.swap_remove(0);
    assert_eq!(report.basic, flooder.answers + 12, "{report:#?}");
    assert_eq!(report.rate_kisses, flooder.kisses, "{report:#?}");
    let limited = report.dropped.get("limited").copied().unwrap_or(0);
    let unanswered = FLOOD - flooder.answers - flooder.kisses;
    assert_eq!(limited, unanswered, "{report:#?}");
    (flooder, report)
}

#[test]
fn a_client_that_floods_gets_its_burst_and_others_get_what_they_ask_for() {
    let (flooder, _) = flooded("leak = 0, kiss = 0");
    let (answers, kisses) = (BURST, 0);
    assert_eq!(flooder, Got { answers, kisses });
}

#[test]
fn beyond_the_burst_some_requests_are_answered_and_some_meet_a_kiss() {
    let (flooder, _) = flooded("leak = 4, kiss = 2");
    // A quarter of 992, and half of the others; more than six standard deviations of room.
    assert!((170..350).contains(&flooder.answers), "{flooder:?}");
    assert!((270..480).contains(&flooder.kisses), "{flooder:?}");
}

#[test]
fn who_has_keys_is_served_while_somebody_floods_in_his_name() {
    let star = with_many_addresses(Star::with_names(1));
    let authority = Authority::new(&star.directory, "authority");
    let limit = "workers = 1\nrate = { interval = \"1h\", burst = 1, leak = 0 }";
    let ours = secured(&star, &authority, limit);
    let name = Star::server_name(0);
    // Both come from the same address.
    let Ok(forged) = Star::client_ipv4(0).to_string().parse() else {
        panic!("an address of IPv4");
    };
    let asking =
        nts_source(&authority, &name, "125ms") + "[timestamping]\nptp_transport = \"never\"\n";
    let client = Daemon::start(&star.client, &star.directory, "client", &asking);
    let flood = Flood {
        server: ipv4(0),
        first: forged,
        addresses: 1,
        interleaved: false,
        requests: None,
        window: Some(16),
    };
    let _flood = flood.start(&star.client, &star.directory);
    let limited = |report: &ServerReport| report.dropped.get("limited").copied().unwrap_or(0);
    let before = wait_for("requests beyond the limit", PATIENCE, || {
        when(ours.server(), |report| limited(report) > 100)
    });
    let sent = client.source(&name).sent;
    let source = client.wait_for_source(&name, "answers", PATIENCE, |source| {
        source.sent >= sent + 16 && source.reach == 0xff
    });
    assert_eq!(client.auth(&name).key_establishments, 1, "{source:#?}");
    let report = ours.server();
    assert!(limited(&report) > limited(&before), "{report:#?}");
    // One was within the limit; the counts of one that is being answered are not all there yet.
    let plain = report.basic + report.interleaved - report.authenticated;
    assert!((1..=2).contains(&plain), "{report:#?}");
    let talkers = ours.talkers(1);
    assert_eq!(talkers[0].address, forged.to_string(), "{talkers:#?}");
}

#[test]
fn chronyd_goes_on_after_a_kiss() {
    let star = Star::new(1);
    let lines = "rate = { interval = \"1s\", burst = 2, leak = 0, kiss = 1 }";
    let ours = serve(&star, lines);
    let asking = format!("server {} minpoll -4 maxpoll -4", Star::server_ipv4(0));
    let chronyd = Chronyd::start(&star.client, &star.directory, "chronyd", &asking);
    let kissed = wait_for("a kiss", PATIENCE, || {
        when(ours.server(), |report| report.rate_kisses >= 1)
    });
    let valid = || {
        let report = chronyd.ask("ntpdata");
        let count = value(&report, "Total valid RX").and_then(|count| count.parse::<u64>().ok());
        count.unwrap_or(0)
    };
    wait_for("answers after the kiss", PATIENCE, || {
        when((ours.server(), valid()), |(report, valid)| {
            report.basic >= kissed.basic + 2 && *valid >= report.basic
        })
    });
}
