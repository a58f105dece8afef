//! A list with a leap second near: what is told to clients before it, and after it.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clockwright::control::LeapReport;

use crate::support::chrony::{Chronyd, value};
use crate::support::daemon::Daemon;
use crate::support::star::{SERVER, Star, source, virtual_clock};
use crate::support::wait::{wait_for, when};

/// The end of 2030, s since 1970.
const MIDNIGHT: u64 = 1_924_992_000;
/// One is inserted then. The hash is of the digits above, by FIPS 180-4.
const LIST: &str = "\
#$ 4102444800
#@ 4165516800
3976300800 37
4133980800 38
#h 5c87ccfd fdfd7b95 e4ae02d5 cea88335 04cb69c5
";
/// Two daemons and chronyd find each other within this, s.
const BEFORE: u64 = 25;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn chronyd_hears_of_a_leap_second_of_the_list_until_it_has_been() {
    let star = Star::new(2);
    let list = star.directory.path("leap-seconds.list");
    fs::write(&list, LIST).expect("write a list");
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let ahead = MIDNIGHT - BEFORE - now.expect("a clock after 1970").as_secs();
    let clock = virtual_clock(&format!("{ahead}s"), "0ppm");
    let _upstream = Daemon::start(
        &star.servers[0],
        &star.directory,
        "upstream",
        &format!("{SERVER}{clock}"),
    );
    let ours = Daemon::start(
        &star.client,
        &star.directory,
        "ours",
        &format!(
            "{}{SERVER}{clock}leap_list = \"{}\"\n",
            source(Star::server_ipv4(0), "1s"),
            list.display()
        ),
    );
    ours.wait_for_status("the leap second of the list", PATIENCE, |status| {
        let valid = status.leap_list.as_ref().is_some_and(|list| list.valid);
        status.synchronized && valid && status.leap == LeapReport::Insert
    });
    let chronyd = Chronyd::start(
        &star.servers[1],
        &star.directory,
        "chronyd",
        &format!("server {} minpoll 0 maxpoll 0", Star::client_ipv4(1)),
    );
    let wait_for_leap = |what: &str, said: &str| {
        wait_for(what, PATIENCE, || {
            when(chronyd.ask("ntpdata"), |report| {
                value(report, "Leap status") == Some(said)
            })
        });
    };
    wait_for_leap("chronyd to hear of it", "Insert second");
    ours.wait_for_status("the leap second to be over", PATIENCE, |status| {
        status.leap == LeapReport::None && status.tai_offset_s == Some(38)
    });
    wait_for_leap("chronyd to hear no more of it", "Normal");
    let log = chronyd.log();
    assert!(!log.contains("fatal"), "{log}");
}
