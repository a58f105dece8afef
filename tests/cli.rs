//! The command line as its users meet it: messages, streams and exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use clockwright::control::{Answer, ClockName, LeapReport, StatusReport, Steering};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A folder of its own for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("clockwright-cli-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn clockwright(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clockwright"));
    command
        .args(args)
        .stdin(Stdio::null())
        .env_remove("NO_COLOR");
    command
}

/// Exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    shown(&clockwright(args).output().unwrap())
}

fn shown(output: &Output) -> (i32, String, String) {
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn help_and_version_are_no_failures() {
    let (code, help, errors) = run(&["--help"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    for command in [
        "run",
        "check",
        "query",
        "set",
        "status",
        "sources",
        "timestamps",
        "probe",
        "demo",
        "sim",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command}: {help}"
        );
        let (code, page, _) = run(&[command, "--help"]);
        assert_eq!(code, 0, "{command}");
        assert!(page.contains("Usage: clockwright"), "{page}");
    }
    assert!(
        help.contains("Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not"),
        "{help}"
    );
    let (_, page, _) = run(&["query", "--help"]);
    assert!(page.contains("HOST, HOST:PORT or [IPV6]:PORT"), "{page}");
    let (code, version, _) = run(&["--version"]);
    assert_eq!(
        (code, version.trim()),
        (0, concat!("clockwright ", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_right() {
    for (args, said) in [
        (&["statsu"][..], "status"),
        (&["status", "--jsno"], "--json"),
        (&["query"], "<SERVER>"),
        (&["query", "-4", "-6", "localhost"], "cannot be used with"),
        (
            &["query", "localhost:0"],
            "is not a port between 1 and 65535",
        ),
        (&["query", "-n", "0", "localhost"], "1..=1000"),
        (&["status", "--watch", "0"], "between 0.1 and 86400"),
        (&["timestamps", "eth0"], "unexpected argument 'eth0'"),
        (&["timestamps", "--watch", "fast"], "between 0.1 and 86400"),
        (&["probe", "--watch"], "unexpected argument '--watch'"),
        (&["prob"], "probe"),
        (&[], "Usage: clockwright"),
    ] {
        let (code, out, errors) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {errors}");
        assert!(errors.contains(said), "{args:?}: {errors}");
    }
}

#[test]
fn check_says_what_a_valid_configuration_amounts_to() {
    let folder = Folder::new("valid");
    let main = folder.write(
        "main.toml",
        &format!(
            "[[source]]\nserver = \"time.example\"\n[control]\nsocket = \"{}\"\n",
            text(&folder.0.join("control.sock"))
        ),
    );
    let drop_in = folder.write(
        "conf.d/serve.toml",
        "[[follow]]\nclock = \"eth0\"\n[server]\nlisten = [\"[::1]:1123\"]\nallow = [\"10.0.0.0/8\"]\n",
    );
    let expected = format!(
        "the configuration is valid\n  files:   {}, {}\n  sources: server time.example\n  \
         stamps:  in hardware on every interface that can\n  \
         clock:   system\n  follow:  eth0 in TAI\n  serves:  this host, 10.0.0.0/8 on [::1]:1123\n",
        text(&main),
        text(&drop_in)
    );
    assert_eq!(
        run(&["check", "-c", text(&main)]),
        (0, expected, String::new())
    );
}

#[test]
fn check_says_who_uses_nts_and_which_files_it_cannot_read() {
    let folder = Folder::new("nts");
    let certificate = folder.write("cert.pem", "");
    let key = folder.0.join("key.pem");
    let main = folder.write(
        "main.toml",
        &format!(
            "[[source]]\nserver = \"a\"\nnts = {{ check_time = false }}\n\
             [[source]]\nserver = \"b\"\n[control]\nsocket = \"{}\"\n\
             [server.nts]\nlisten = [\"[::1]:4461\"]\nntp_server = \"c\"\n\
             certificate = \"{}\"\nkey = \"{}\"\n",
            text(&folder.0.join("control.sock")),
            text(&certificate),
            text(&key)
        ),
    );
    let (code, out, errors) = run(&["check", "-c", text(&main)]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let said = [
        "  sources: server a with NTS, server b\n".to_owned(),
        "  serves:  nobody\n  keys:    handed out on [::1]:4461 for c\n".to_owned(),
        "\nnote: server a with NTS: check_time = false: who got hold of an old key".to_owned(),
        "\nnote: server a with NTS is the only source with NTS: while".to_owned(),
        "\nnote: server.allow is empty: only this host gets keys".to_owned(),
        format!(
            "\nnote: server.nts.key: {} cannot be read from here: No such file",
            text(&key)
        ),
    ];
    for said in &said {
        assert!(out.contains(said), "{said}: {out}");
    }
    assert!(!out.contains(text(&certificate)), "{out}");

    let shared = folder.write(
        "shared.toml",
        "[[source]]\nserver = \"a\"\n[server]\nlisten = [\"[::1]:123\"]\n\
         [server.nts]\nkeys = \"/nowhere\"\n",
    );
    let (code, out, errors) = run(&["check", "-c", text(&shared)]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let said = "\n  keys:    handed out by another host\nnote: server.nts.keys: /nowhere cannot";
    assert!(out.contains(said), "{out}");

    // What can be read is tried, as the daemon would.
    folder.write("key.pem", "");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let (code, out, _) = run(&["check", "-c", text(&main)]);
    assert_eq!(code, 0);
    let said = format!(
        "\nnote: server.nts: there is no certificate in {}",
        text(&certificate)
    );
    assert!(out.contains(&said), "{said}: {out}");
}

#[test]
fn check_says_what_is_served_where_and_what_does_not_go_together() {
    let folder = Folder::new("smeared");
    let configuration = |more: &str| {
        format!(
            "[[source]]\nserver = \"a\"\n[control]\nsocket = \"{}\"\n[server]\n\
             allow = [\"10.0.0.0/8\"]\ndeny = [\"10.9.0.0/16\", \"192.0.2.0/24\"]\n\
             smear = {{ listen = [\"[::]:1123\"] }}\n{more}",
            text(&folder.0.join("control.sock")),
        )
    };
    let both = folder.write("both.toml", &configuration("listen = [\"[::]:123\"]\n"));
    let (code, out, errors) = run(&["check", "-c", text(&both)]);
    assert_eq!((code, errors.as_str()), (0, ""));
    for said in [
        "  serves:  this host, 10.0.0.0/8 except 10.9.0.0/16, 192.0.2.0/24 on [::]:123, \
         [::]:1123 (smeared)\n",
        "\nnote: server.deny: 192.0.2.0/24 is in no network of server.allow",
        "\nnote: [::]:123 and [::]:1123 tell different times around a leap second",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    assert!(!out.contains("server.deny: 10.9.0.0/16"), "{out}");

    let smeared = folder.write("smeared.toml", &configuration(""));
    let (code, out, _) = run(&["check", "-c", text(&smeared)]);
    assert_eq!(code, 0);
    assert!(
        out.contains("192.0.2.0/24 on [::]:1123 (smeared)\n"),
        "{out}"
    );
    assert!(!out.contains("different times"), "{out}");
}

#[test]
fn check_shows_every_problem_at_its_place() {
    let folder = Folder::new("invalid");
    let main = folder.write(
        "main.toml",
        "[[source]]\nserver = \"a\"\niburts = true\npoll = { min = \"60s\" }\n",
    );
    let (code, out, errors) = run(&["check", "--config", text(&main)]);
    let file = text(&main);
    let expected = format!(
        "clockwright: the configuration is not valid
{file}:3:1: unknown key `iburts` in [[source]]
    | iburts = true
    | ^^^^^^
    = did you mean `iburst`?
    = allowed keys: server, pool, phc, pps, sock, shm, port, nts, interleaved, iburst, poll, ports, max_delay, pool_size, prefer, trust, require, noselect, offset, delay, timescale, edge, lock, refid, stratum, precision, filter, max_dispersion, group
{file}:4:16: a poll interval is a power of two of seconds; near it are 32s and 64s
    | poll = {{ min = \"60s\" }}
    |                ^^^^^
    = expected a poll interval, for example \"64s\"
2 problems; the configuration is not used
"
    );
    assert_eq!((code, out.as_str(), errors), (2, "", expected));
}

#[test]
fn check_without_a_file_says_what_was_tried() {
    let folder = Folder::new("missing");
    let missing = folder.0.join("none.toml");
    let (code, out, errors) = run(&["check", "-c", text(&missing)]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        errors.contains(&format!("{}: cannot be read: No such file", text(&missing))),
        "{errors}"
    );
    assert!(errors.contains("-c FILE"), "{errors}");
}

#[test]
fn without_a_daemon_status_and_sources_fail_and_say_what_to_do() {
    let folder = Folder::new("nobody");
    let socket = folder.0.join("control.sock");
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["sources"],
        &["sources", "--watch"],
        &["timestamps"],
    ] {
        let args: Vec<&str> = args
            .iter()
            .copied()
            .chain(["--socket", text(&socket)])
            .collect();
        let (code, out, errors) = run(&args);
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}: {errors}");
        assert!(
            errors.starts_with(&format!(
                "clockwright: no daemon answers at {}: No such file",
                text(&socket)
            )),
            "{errors}"
        );
        assert!(errors.contains("systemctl status clockwright"), "{errors}");
    }
}

/// What a daemon that is synchronised, or not, would say.
fn status(synchronized: bool) -> StatusReport {
    StatusReport {
        version: "0.0.0".to_owned(),
        uptime_s: 100.0,
        clock: ClockName::Virtual,
        steering: Steering::Adjusting,
        synchronized,
        stratum: if synchronized { 2 } else { 16 },
        local_stratum: None,
        orphan: false,
        reference_id: synchronized.then(|| "192.0.2.1".to_owned()),
        reference_name: synchronized.then(|| "time.example".to_owned()),
        leap: LeapReport::None,
        tai_offset_s: None,
        leap_list: None,
        leap_list_error: None,
        leap_disagreement: None,
        offset_s: Some(1e-6),
        frequency_ppm: Some(1.0),
        frequency_uncertainty_ppm: None,
        holdover_s: None,
        temperature_c: None,
        temperature_ppm_per_k: None,
        root_delay_s: Some(1e-3),
        root_dispersion_s: Some(1e-3),
        error_bound_s: Some(1e-3),
        true_error_s: Some(-2e-6),
        last_update_age_s: None,
        samples: 1,
        steps: 0,
        disruptions: 0,
        last_disruptions: Vec::new(),
        other_steerer: None,
        sources: 1,
        sources_reachable: 0,
        sources_used: 0,
    }
}

/// Answers every request with a status, until the test ends.
fn daemon(socket: &Path, synchronized: bool) {
    let listener = UnixListener::bind(socket).unwrap();
    let mut answer = serde_json::to_string(&Answer::Ok(status(synchronized))).unwrap();
    answer.push('\n');
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            BufReader::new(&stream)
                .read_line(&mut String::new())
                .unwrap();
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
    });
}

#[test]
fn probe_needs_no_daemon_and_suggests_what_check_accepts() {
    let folder = Folder::new("probe");
    let (code, out, errors) = run(&["probe"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("Linux "), "{out}");
    let (_, configuration) = out
        .split_once("A configuration that makes use of it:\n")
        .unwrap();
    // The control socket is elsewhere, so that this host's run-time sources are not read.
    let socket = folder.0.join("control.sock");
    let main = folder.write(
        "main.toml",
        &format!(
            "{configuration}\n[control]\nsocket = \"{}\"\n",
            text(&socket)
        ),
    );
    let (code, out, errors) = run(&["check", "-c", text(&main)]);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}{configuration}");

    let (code, out, _) = run(&["probe", "--json", "lo"]);
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["interfaces"][0]["name"], "lo");
    assert_eq!(json["interfaces"][0]["stamping"], "software");
}

#[test]
fn probe_of_an_interface_that_is_not_there_fails_and_names_those_that_are() {
    let (code, out, errors) = run(&["probe", "no-such-if0"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        errors.starts_with(
            "clockwright: there is no network interface \"no-such-if0\"; there are: lo"
        ),
        "{errors}"
    );
}

#[test]
fn the_exit_code_of_status_says_whether_the_clock_is_synchronised() {
    let folder = Folder::new("codes");
    let (right, wrong) = (folder.0.join("right.sock"), folder.0.join("wrong.sock"));
    daemon(&right, true);
    daemon(&wrong, false);
    let (code, out, errors) = run(&["status", "--socket", text(&right)]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(
        out.starts_with(
            "Synchronised to time.example (stratum 1): the clock is within ±1.00 ms of UTC.\n"
        ),
        "{out}"
    );
    assert!(out.contains("True error       -2.00 us"), "{out}");
    assert!(!out.contains('\u{1b}'), "colour on a pipe");
    let (code, out, errors) = run(&["status", "--socket", text(&wrong)]);
    assert_eq!((code, errors.as_str()), (3, ""));
    assert!(
        out.starts_with("Not synchronised: its only source has not answered yet.\n"),
        "{out}"
    );
    let (code, out, _) = run(&["status", "--json", "--socket", text(&right)]);
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["synchronized"], true);
    assert_eq!(json["true_error_s"], -2e-6);
}

#[test]
fn watching_appends_on_a_pipe_and_ends_cleanly() {
    let folder = Folder::new("watch");
    let socket = folder.0.join("control.sock");
    daemon(&socket, true);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child = clockwright(&[
            "status",
            "--json",
            "--watch",
            "0.1",
            "--socket",
            text(&socket),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..3 {
            let line = lines.next().unwrap().unwrap();
            serde_json::from_str::<StatusReport>(&line).unwrap();
        }
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(
            shown(&child.wait_with_output().unwrap()),
            (0, String::new(), String::new())
        );
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_watch() {
    let folder = Folder::new("pipe");
    let socket = folder.0.join("control.sock");
    daemon(&socket, true);
    let mut child = clockwright(&["status", "--watch", "0.1", "--socket", text(&socket)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(
        shown(&child.wait_with_output().unwrap()),
        (0, String::new(), String::new())
    );
}
