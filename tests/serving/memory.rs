//! What the server remembers takes a fixed amount of memory, whoever asks.

use crate::flood::Flood;
use crate::scene::{client, crowded, ipv4, resident_kb, serve};

/// Different addresses.
const CROWD: u32 = 1_000_000;
/// So many fill all tables before memory is measured.
const FIRST: u32 = 50_000;
/// What the process may grow by, kB: the allocator is not ours.
const ROOM_KB: u64 = 1024;
/// Requests of one client, later than all the others.
const TALK: u64 = 500;

#[test]
fn a_million_addresses_take_no_more_memory_than_is_configured() {
    let star = crowded();
    let lines = "workers = 2\ninterleaved_replies = 1024\nclients = { table = 1024 }\nrate = true";
    let mut ours = serve(&star, lines);
    let process = ours.process().id();
    let everybody = Flood {
        server: ipv4(0),
        first: client(0),
        addresses: FIRST,
        interleaved: true,
        requests: Some(FIRST.into()),
        window: Some(1500),
    };
    everybody.run(&star.client, &star.directory);
    let (before, report) = (resident_kb(process), ours.server());
    let tables = report.tables_octets;
    // Two addresses with two workers each; what a client takes, and half of that for a reply.
    let clients = 2 * 2 * 1024 * 48;
    assert!(tables > clients && tables < 2 * clients, "{tables}");
    assert_eq!(report.interleaved_table.capacity, 4 * 1024, "{report:#?}");

    let all = Flood {
        addresses: CROWD,
        requests: Some(CROWD.into()),
        ..everybody.clone()
    };
    let answers = all.run(&star.client, &star.directory);
    let report = ours.server();
    let came = report.received;
    assert!(came >= u64::from(CROWD), "{answers:?} {report:#?}");
    assert_eq!(report.tables_octets, tables);
    let remembered = report.interleaved_table.remembered;
    assert!((1..=2 * 1024).contains(&remembered), "{report:#?}");
    assert!(report.interleaved_table.replaced > 900_000, "{report:#?}");
    let grown = resident_kb(process).saturating_sub(before);
    assert!(grown <= ROOM_KB, "grown by {grown} kB from {before} kB");

    // Whoever asks most is found among them, also after all that.
    let talker = Flood {
        first: client(CROWD + 1),
        addresses: 1,
        requests: Some(TALK),
        ..everybody
    };
    talker.run(&star.client, &star.directory);
    let talkers = ours.talkers(3);
    let first = talkers.first().expect("somebody who asks");
    assert_eq!(first.address, client(CROWD + 1).to_string(), "{talkers:#?}");
    assert_eq!(first.requests, TALK, "{talkers:#?}");
    assert_eq!(talkers.len(), 3);
    let log = ours.process().log();
    assert!(log.lines().count() < 50, "a log that strangers cannot fill");
}
