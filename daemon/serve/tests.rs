//! Workers over loopback, with a daemon that the test is.

use std::net::UdpSocket;
use std::time::{Duration as StdDuration, Instant};

use clockwright_discipline::{ClockReading, Config as Rules, Discipline, Learnt, StepPolicy};
use clockwright_ntp::{Header, Leap, Mode, NtpTimestamp};
use clockwright_sys::clock::raw_now;
use clockwright_timebase::{Duration, Timestamp, Utc};

use super::board::Need;
use super::policy::Policy;
use super::smear::{LeapKind, Smear};
use super::*;
use crate::clock::{Pace, Shown, Timescale};
use crate::config::LocalConfig;
use crate::interfaces::Sight;

const PATIENCE: StdDuration = StdDuration::from_secs(5);
/// A moment in which something that is not to come would have come.
const MOMENT: StdDuration = StdDuration::from_millis(50);

/// A clock that follows nobody and shows `now`, served at stratum 1.
fn posted(now: Timestamp<Utc>) -> Posted {
    let discipline = Discipline::new(Rules {
        step: StepPolicy {
            above: Duration::from_millis(100),
            first: 3,
        },
        max_slew: 0.05,
        learnt: Learnt::default(),
    });
    let reading = ClockReading {
        raw: raw_now(),
        clock: now,
    };
    Posted {
        timescale: Timescale::host(),
        pace: Pace::default(),
        shown: Shown::Line { reading, rate: 0.0 },
        fresh_until: None,
        outlook: discipline.outlook(),
        reference_id: None,
        leap: Leap::None,
        precision: -25,
        local: Some(LocalConfig {
            stratum: 1,
            ..LocalConfig::default()
        }),
        smear: None,
        sight: Arc::new(Sight::default()),
        policy: Arc::new(Policy::new(&ServerConfig::default())),
        cookie_keys: None,
    }
}

/// Serves on a port of loopback that is free, smeared or not; gives where.
fn serve(service: &mut Service, smeared: &[bool]) -> Vec<SocketAddr> {
    let places = smeared.iter().map(|smeared| Place {
        address: SocketAddr::from(([127, 0, 0, 1], free_port())),
        smeared: *smeared,
    });
    let plan = Plan {
        places: places.collect(),
        workers: 2,
        dscp: 0,
    };
    service.serve(&plan).unwrap();
    plan.places.iter().map(|place| place.address).collect()
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// What is answered, within `patience`.
fn ask(server: SocketAddr, patience: StdDuration) -> Option<Header> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    let request = Header {
        transmit: NtpTimestamp::from_bits(0x0123_4567_89ab_cdef),
        ..Header::zeroed(Mode::Client)
    };
    socket.send(&request.to_bytes()).unwrap();
    let mut buffer = [0; 100];
    let length = socket.recv(&mut buffer).ok()?;
    Header::parse(&buffer[..length])
}

fn seconds_between(later: NtpTimestamp, earlier: Timestamp<Utc>) -> f64 {
    later.since(earlier.into()).as_secs_f64()
}

/// 2016-12-31 had a second more, before this.
const LEAP: Timestamp<Utc> = Timestamp::from_timespec(1_483_228_800, 0);

#[test]
fn smeared_time_is_told_where_it_is_to_be_and_nowhere_else() {
    // Six hours before: half of the first half is over.
    let now = LEAP - Duration::from_secs(6 * 3600);
    let smear = Smear::new(LEAP, LeapKind::Insert);
    let mut service = Service::new(Posted {
        smear: Some(smear),
        leap: Leap::Insert,
        ..posted(now)
    });
    let addresses = serve(&mut service, &[false, true]);
    let [plain, smeared] = addresses[..] else {
        panic!("{addresses:?}");
    };
    let told = ask(plain, PATIENCE).unwrap();
    assert!(seconds_between(told.receive, now).abs() < 5.0);
    assert_eq!(told.reference_id.name(), Some("LOCL"));
    let between = |one: NtpTimestamp, other: NtpTimestamp| one.since(other).as_secs_f64();
    let (first, second) = (
        ask(plain, PATIENCE).unwrap(),
        ask(smeared, PATIENCE).unwrap(),
    );
    // 21 600 s of 86 401 are over: it is a quarter of a second behind, but for what lies between.
    let behind = between(first.receive, second.receive);
    assert!((behind - 0.25).abs() < 0.2 && behind > 0.1, "{behind}");
    assert!(between(second.transmit, second.receive).abs() < 0.1);
    assert_eq!((second.leap, second.reference_id.0[0]), (Leap::None, 254));

    // A second before it nothing is said there.
    let near = LEAP - Duration::from_millis(1_000);
    service.board().post(Posted {
        smear: Some(smear),
        ..posted(near)
    });
    assert!(ask(smeared, MOMENT).is_none());
    assert!(ask(plain, PATIENCE).is_some());
    let begun = Instant::now();
    while service.counts().untimely < 1 && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    assert_eq!(service.counts().untimely, 1);
}

#[test]
fn nothing_is_answered_while_the_clock_is_stepped() {
    let now = Timestamp::from_timespec(1_800_000_000, 0);
    let mut service = Service::new(posted(now));
    let address = serve(&mut service, &[false])[0];
    assert!(ask(address, PATIENCE).is_some());
    service.board().step_begins();
    assert!(ask(address, MOMENT).is_none());
    let later = now + Duration::from_secs(1000);
    service.board().post(posted(later));
    service.board().stepped();
    let told = ask(address, PATIENCE).unwrap();
    assert!(seconds_between(told.receive, later).abs() < 5.0, "{told:?}");
    assert!(
        seconds_between(told.transmit, later).abs() < 5.0,
        "{told:?}"
    );
}

#[test]
fn workers_go_by_what_is_posted_last() {
    let now = Timestamp::from_timespec(1_800_000_000, 0);
    let mut service = Service::new(posted(now));
    let address = serve(&mut service, &[false])[0];
    assert_eq!(ask(address, PATIENCE).unwrap().stratum, 1);
    service.board().post(Posted {
        local: None,
        ..posted(now)
    });
    let told = ask(address, PATIENCE).unwrap();
    assert_eq!((told.stratum, told.leap), (0, Leap::Unsynchronized));
    // A worker counts when it has answered.
    let begun = Instant::now();
    while service.counts().basic < 2 && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    assert_eq!(service.counts().basic, 2);
    let by_worker = service.counts_by_worker();
    assert_eq!(by_worker.len(), 2);
    assert_eq!(by_worker.iter().map(|counts| counts.basic).sum::<u64>(), 2);
    assert_eq!(service.talkers(9).len(), 1);
}

#[test]
fn an_address_that_is_taken_is_named_and_nothing_changes() {
    let now = Timestamp::from_timespec(1_800_000_000, 0);
    let mut service = Service::new(posted(now));
    let before = serve(&mut service, &[false]);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = |address| Place {
        address,
        smeared: false,
    };
    let plan = Plan {
        places: vec![place(taken.local_addr().unwrap())],
        workers: 3,
        dscp: 46,
    };
    let error = service.serve(&plan).unwrap_err();
    assert_eq!(error.address, taken.local_addr().unwrap());
    assert_eq!(service.places(), [(place(before[0]), 2)]);
    assert!(ask(before[0], PATIENCE).is_some());
}

#[test]
fn a_need_is_told_once_until_it_is_seen_to() {
    let board = Board::new(posted(Timestamp::EPOCH));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    board.ask(Need::Counts);
    board.ask(Need::Counts);
    board.ask(Need::Clocks);
    let needs = runtime.block_on(board.asked());
    assert!(needs.include(Need::Counts) && needs.include(Need::Clocks));
    let again = runtime
        .block_on(async { tokio::time::timeout(StdDuration::from_millis(1), board.asked()).await });
    assert!(again.is_err());
}

#[test]
fn who_waits_for_something_to_be_posted_is_woken_by_it() {
    let board = Arc::new(Board::new(posted(Timestamp::EPOCH)));
    let mut reader = board::Reader::new(Arc::clone(&board));
    assert!(!reader.look());
    assert!(
        !reader.wait(StdDuration::from_millis(1)),
        "nothing is posted"
    );
    let (begun, waiter) = (Instant::now(), Arc::clone(&board));
    let thread = std::thread::spawn(move || {
        let mut reader = board::Reader::new(waiter);
        reader.wait(PATIENCE)
    });
    while !thread.is_finished() && begun.elapsed() < PATIENCE {
        board.post(posted(Timestamp::EPOCH));
        std::thread::yield_now();
    }
    // It may have come too late for all of them but the last.
    assert!(begun.elapsed() < PATIENCE);
    thread.join().unwrap();
    assert!(reader.look());
}
