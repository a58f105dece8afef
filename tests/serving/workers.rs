//! Several workers: clients keep theirs, and changes of their number are not noticed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clockwright::control::ServerReport;
use serde::{Deserialize, Serialize};

use crate::actor;
use crate::ask::{Asker, plain};
use crate::flood::Flood;
use crate::scene::{PATIENCE, client, crowded, ipv4, open_to_all, serve};
use crate::support::chrony::{Chronyd, value};
use crate::support::daemon::Daemon;
use crate::support::process::Process;
use crate::support::star::{Star, source};
use crate::support::wait::{wait_for, when};

/// Exchanges that the share of interleaved ones is taken of.
const EXCHANGES: u64 = 100;
/// A reply to the steady client that has not come by then is lost.
const LATE: Duration = Duration::from_secs(2);
/// Addresses of the steady client: so many that every worker has some.
const STEADY: u32 = 64;
/// Between its turns.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until so many more requests have come; gives what the server says then.
fn more(ours: &Daemon, requests: u64) -> ServerReport {
    let before = ours.server().received;
    wait_for("more requests", PATIENCE, || {
        when(ours.server(), |report| report.received >= before + requests)
    })
}

#[test]
fn clients_that_ask_from_a_new_port_each_time_stay_interleaved() {
    let star = crowded();
    let ours = serve(&star, "workers = 4");
    let server = Star::server_ipv4(0);
    let asker = source(server, "31250us");
    let asker = Daemon::start(&star.client, &star.directory, "asker", &asker);
    // At its other address, where it has four workers, too.
    let other = Star::server_ipv6(0);
    let chronyd = format!("server {other} xleave iburst minpoll -5 maxpoll -5");
    let chronyd = Chronyd::start(&star.client, &star.directory, "chronyd", &chronyd);
    let name = server.to_string();
    asker.wait_for_source(&name, "interleaved replies", PATIENCE, |source| {
        source.interleaved && source.reach == 0xff
    });
    wait_for("chronyd to see interleaved replies", PATIENCE, || {
        when(chronyd.ask("ntpdata"), |report| {
            value(report, "Interleaved") == Some("Yes")
        })
    });
    let before = ours.server();
    let after = more(&ours, 2 * EXCHANGES);
    let interleaved = after.interleaved - before.interleaved;
    let all = interleaved + after.basic - before.basic;
    assert!(interleaved * 10 > all * 9, "{interleaved} of {all}");
    let source = asker.source(&name);
    assert!(source.interleaved, "{source:#?}");
    // Each has one worker and no other.
    let busy = after.workers.iter().filter(|worker| worker.received > 0);
    assert!(busy.count() <= 2, "{after:#?}");
}

#[test]
fn many_clients_are_spread_over_all_workers() {
    let star = crowded();
    let ours = serve(&star, "workers = 4");
    let flood = Flood {
        server: ipv4(0),
        first: client(0),
        addresses: 1000,
        interleaved: false,
        requests: Some(4000),
        window: Some(128),
    };
    let answers = flood.run(&star.client, &star.directory);
    let report = ours.server();
    assert_eq!(report.workers.len(), 4, "{report:#?}");
    for worker in &report.workers {
        // A fair share would be a thousand.
        assert!((250..3000).contains(&worker.received), "{report:#?}");
        assert!(worker.dropped.is_empty(), "{report:#?}");
    }
    let received: u64 = report.workers.iter().map(|worker| worker.received).sum();
    assert_eq!(received, answers.sent, "{report:#?}");
}

#[derive(Debug, Serialize, Deserialize)]
struct Task {
    server: Ipv4Addr,
    first: Ipv4Addr,
    /// Ends when that file is there.
    until: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Found {
    answered: u64,
    lost: u64,
}

/// On the client's host: asks from every address, and when all are answered does so again.
#[test]
#[ignore = "the tests below start it on their host"]
fn steady() {
    let task: Task = actor::task();
    let server = SocketAddr::new(task.server.into(), 123);
    let address = |number| Ipv4Addr::from_bits(task.first.to_bits() + number);
    let askers = (0..STEADY).map(|number| Asker::new(address(number), server));
    let askers: Vec<Asker> = askers.collect();
    let mut found = Found::default();
    for mark in 1.. {
        for asker in &askers {
            asker.send(&plain(mark << 1));
        }
        let late = Instant::now() + LATE;
        for asker in &askers {
            let patience = late.saturating_duration_since(Instant::now());
            match asker.wait(patience.max(PAUSE)) {
                Some(_) => found.answered += 1,
                None => found.lost += 1,
            }
        }
        if task.until.exists() {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    actor::tell(&found);
}

/// A client that asks all the time until it is told to stop.
struct Steady {
    process: Process,
    until: PathBuf,
}

impl Steady {
    fn start(star: &Star) -> Self {
        let until = star.directory.path("stop");
        let task = Task {
            server: ipv4(0),
            first: client(0),
            until: until.clone(),
        };
        let process = actor::start(&star.client, &star.directory, "workers::steady", &task);
        Self { process, until }
    }

    /// All of its requests were answered but so many at most.
    #[track_caller]
    fn was_answered_but(mut self, lost: u64) {
        std::fs::write(&self.until, "").expect("write a file");
        let found: Found = actor::end(&mut self.process);
        assert!(found.lost <= lost && found.answered > 100, "{found:?}");
    }
}

/// How many threads serve at each address.
fn threads(ours: &Daemon, number: usize) {
    wait_for("so many workers", PATIENCE, || {
        when(ours.server(), |report| report.workers.len() == number)
    });
}

#[test]
fn a_change_of_their_number_loses_no_request() {
    let star = crowded();
    let ours = serve(&star, "workers = 4");
    let name = Star::server_ipv4(0).to_string();
    let asking = source(&name, "125ms");
    let asker = Daemon::start(&star.client, &star.directory, "asker", &asking);
    asker.wait_for_source(&name, "interleaved replies", PATIENCE, |source| {
        source.interleaved && source.reach & 0xf == 0xf
    });
    let steady = Steady::start(&star);
    more(&ours, 500);
    for number in [2, 3, 1, 4] {
        ours.reload(&open_to_all(&format!("workers = {number}")));
        threads(&ours, number);
        let report = more(&ours, 500);
        assert_eq!(report.unsent, 0, "{report:#?}");
    }
    steady.was_answered_but(0);
    let report = ours.server();
    assert_eq!(report.workers.len(), 4);
    assert_eq!(report.unsent, 0, "{report:#?}");
    // Whoever got another worker was in basic mode for a moment, and did not notice more.
    let source = asker.wait_for_source(&name, "interleaved replies again", PATIENCE, |source| {
        source.interleaved && source.reach == 0xff
    });
    // The time at which a reply in basic mode leaves is foreseen, now and then too late.
    let mut rejected = source.rejected.iter();
    let early: u64 = rejected.clone().map(|(_, count)| count).sum();
    assert!(
        rejected.all(|(why, _)| why == "negative_delay"),
        "{source:#?}"
    );
    let missing = (source.sent - source.received).saturating_sub(early);
    assert!(missing <= 1, "{source:#?}");
}

#[test]
fn addresses_come_and_go_while_others_are_served() {
    let star = crowded();
    let ours = serve(&star, "workers = 2");
    let steady = Steady::start(&star);
    more(&ours, 200);
    let with = |addresses: &str| {
        let all = "\"0.0.0.0:123\", \"[::]:123\"";
        open_to_all("workers = 2").replace(all, addresses)
    };
    let listening = |addresses: &[&str]| {
        wait_for("these addresses", PATIENCE, || {
            when(ours.server(), |report| {
                let have: Vec<&str> = report.listening.iter().map(String::as_str).collect();
                have == addresses
            })
        });
        more(&ours, 200);
    };
    ours.reload(&with("\"0.0.0.0:123\", \"0.0.0.0:1123\""));
    listening(&["0.0.0.0:123", "0.0.0.0:1123"]);
    let asking = source(Star::server_ipv4(0), "125ms") + "port = 1123\n";
    let asker = Daemon::start(&star.client, &star.directory, "asker", &asking);
    let name = Star::server_ipv4(0).to_string();
    asker.wait_for_source(&name, "answers", PATIENCE, |source| source.reach & 7 == 7);
    ours.reload(&with("\"0.0.0.0:123\""));
    listening(&["0.0.0.0:123"]);
    asker.wait_for_source(&name, "silence", PATIENCE, |source| {
        source.reach.trailing_zeros() >= 3
    });
    steady.was_answered_but(0);
}

#[test]
fn an_address_of_its_own_can_join_and_leave_one_that_stands_for_all() {
    let star = crowded();
    let all = "\"0.0.0.0:123\", \"[::]:123\"";
    let ours = serve(&star, "workers = 2");
    let own = format!("\"{}:123\"", ipv4(0));
    let steady = Steady::start(&star);
    for addresses in [format!("{own}, {all}"), own, all.to_owned()] {
        ours.reload(&open_to_all("workers = 2").replace(all, &addresses));
        let count = addresses.split(',').count();
        wait_for("these addresses", PATIENCE, || {
            when(ours.server(), |report| report.listening.len() == count)
        });
        more(&ours, 200);
    }
    // What comes to an address in the moment when it is given up may be lost.
    steady.was_answered_but(STEADY.into());
    let report = ours.server();
    assert_eq!(report.received, report.basic, "{report:#?}");
}
