//! A leap second of a list, near: what chronyd and we ourselves are told of it, and who disagrees.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use clockwright::control::LeapReport;
use serde_json::Value;

use crate::support::chrony::{Chronyd, value};
use crate::support::daemon::{CLOCKWRIGHT, Daemon};
use crate::support::star::{SERVER, Star, source};
use crate::support::wait::wait_for;

/// The end of 2030, s since 1970.
const MIDNIGHT: i64 = 1_924_992_000;
/// From 1900-01-01 to 1970-01-01, s.
const NTP_TO_UNIX: i64 = 2_208_988_800;
/// All clocks are so far from midnight at the start, s: time for everybody to hear of it.
const LEFT: i64 = 20;
const PATIENCE: Duration = Duration::from_secs(15);

/// A list with a leap second before `MIDNIGHT`.
fn list() -> String {
    let ntp = MIDNIGHT + NTP_TO_UNIX;
    let (updated, expires) = (ntp - 8_640_000, ntp + 8_640_000);
    let digits = format!("{updated}{expires}369221760037{ntp}38");
    let mut sha1sum = Command::new("sha1sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run sha1sum");
    let mut input = sha1sum.stdin.take().expect("its input");
    input.write_all(digits.as_bytes()).expect("write to it");
    drop(input);
    let output = sha1sum.wait_with_output().expect("wait for it").stdout;
    let hash = String::from_utf8(output).expect("a hash");
    let words: Vec<&str> = (0..5)
        .map(|word| hash.get(8 * word..8 * word + 8).expect("40 digits"))
        .collect();
    format!(
        "#$ {updated}\n#@ {expires}\n3692217600 37\n{ntp} 38\n#h {}\n",
        words.join(" ")
    )
}

/// What must be added to the host's clock to come to midnight in `LEFT` seconds, s.
fn ahead() -> i64 {
    let unix = SystemTime::UNIX_EPOCH.elapsed().expect("a time after 1970");
    MIDNIGHT - LEFT - i64::try_from(unix.as_secs()).expect("a date")
}

/// A virtual clock that is so far `ahead` of the host's, with the list at `path`.
fn clock(path: &Path, ahead: i64) -> String {
    format!(
        "[clock]\nkind = \"virtual\"\nvirtual = {{ error = \"{ahead}s\" }}\nleap_list = \"{}\"\n",
        path.display()
    )
}

/// What `clockwright query` says of the leap second that this server announces.
fn announced(star: &Star, server: &str) -> Result<String, String> {
    let output = star
        .client
        .command(Path::new(CLOCKWRIGHT))
        .args(["query", "--json", server])
        .output()
        .map_err(|error| error.to_string())?;
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let leap = said[0]["leap"].as_str();
    leap.map(str::to_owned).ok_or_else(|| said.to_string())
}

#[test]
fn chronyd_is_told_of_a_leap_second_and_a_source_that_announces_none_is_named() {
    let star = Star::new(2);
    let list = star.directory.write("leap-seconds.list", &list());
    let none = star.directory.path("none.list");
    let ahead = ahead();
    let base = Star::server_ipv4(0).to_string();
    let middle_at = Star::client_ipv4(1).to_string();
    let start = |host, name: &str, configuration: &str| {
        Daemon::start(host, &star.directory, name, configuration)
    };
    let _base = start(&star.servers[0], "base", &(clock(&none, ahead) + SERVER));
    let follows_base = source(&base, "1/8s");
    let middle = start(
        &star.client,
        "middle",
        &format!("{follows_base}{}{SERVER}", clock(&list, ahead)),
    );
    let both = format!("{follows_base}{}", source(&middle_at, "1/8s"));
    let voter = start(&star.client, "voter", &(both + &clock(&none, ahead)));
    let chronyd = Chronyd::start(
        &star.servers[1],
        &star.directory,
        "chronyd",
        &format!("server {middle_at} iburst minpoll -2 maxpoll -2"),
    );
    let chronyd_sees = |wanted: &str| {
        wait_for(&format!("chronyd to see {wanted}"), PATIENCE, || {
            let report = chronyd.ask("ntpdata");
            let found = value(&report, "Leap status") == Some(wanted);
            if found { Ok(()) } else { Err(report) }
        });
    };
    middle.wait_for_status("a leap second to come", PATIENCE, |status| {
        status.leap == LeapReport::Insert && status.tai_offset_s == Some(37)
    });
    chronyd_sees("Insert second");
    assert_eq!(announced(&star, &base).as_deref(), Ok("none"));
    let status = voter.wait_for_status("a disagreement", PATIENCE, |status| {
        status.leap_disagreement.is_some()
    });
    let expected = format!(
        "one is inserted according to {middle_at}, there is none according to {base}; most of them \
         decide: there is none"
    );
    assert_eq!(status.leap_disagreement, Some(expected));
    assert_eq!(status.leap, LeapReport::None);

    let after = Duration::from_secs(60);
    let status = middle.wait_for_status("past the leap second", after, |status| {
        status.steps == 1 && status.tai_offset_s == Some(38)
    });
    assert!(status.synchronized, "{status:?}");
    chronyd_sees("Normal");
    assert_eq!(announced(&star, &middle_at).as_deref(), Ok("none"));
}
