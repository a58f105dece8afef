//! Server and client over real sockets in a folder of the test's own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{Config, ControlConfig};
use crate::output::samples;

/// Answers with the samples; many sources if told so.
struct Fixed {
    many: usize,
}

impl View for Fixed {
    fn status(&self) -> StatusReport {
        samples::status()
    }
    fn sources(&self) -> Vec<SourceReport> {
        samples::sources()
            .into_iter()
            .cycle()
            .take(self.many)
            .collect()
    }
    fn auth(&self) -> Vec<AuthEntry> {
        samples::auth()
    }
    fn server(&self, _: u32) -> ServerReport {
        samples::server()
    }
    fn timestamps(&self) -> TimestampsReport {
        samples::timestamps()
    }
}

/// A daemon's control socket in a thread, stopped and removed at the end of the test.
struct Daemon {
    folder: PathBuf,
    socket: PathBuf,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Daemon {
    fn start(test: &str, many: usize) -> Self {
        let folder = folder(test);
        let socket = folder.join("control.sock");
        let config = config(&socket);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let control = ControlSocket::bind(&config).unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    ended = control.serve(Rc::new(Fixed { many })) => panic!("{ended:?}"),
                    _ = stopped => {}
                }
            });
        });
        is_ready.recv().unwrap();
        Self {
            folder,
            socket,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(thread::JoinHandle::join);
        let left = self.socket.exists();
        let _ = fs::remove_dir_all(&self.folder);
        if !thread::panicking() {
            assert!(
                ended.is_some_and(|ended| ended.is_ok()),
                "the daemon panicked"
            );
            assert!(!left, "the socket was left behind");
        }
    }
}

fn folder(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("clockwright-c-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn config(socket: &Path) -> ControlConfig {
    ControlConfig {
        socket: socket.to_owned(),
        ..Config::default().control
    }
}

/// A raw connection that gives up after a while.
fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

/// What comes back for `request`, up to the end of the line.
fn reply(stream: &UnixStream, request: &str) -> String {
    let mut write = stream;
    // One that is turned away may have been hung up on already; the answer is there to read.
    let _ = write.write_all(request.as_bytes());
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn what_the_daemon_says_is_what_the_command_gets() {
    let daemon = Daemon::start("ask", 3);
    let status: StatusReport = ask(&daemon.socket, Request::Status).unwrap();
    assert_eq!(status, samples::status());
    let sources: Vec<SourceReport> = ask(&daemon.socket, Request::Sources).unwrap();
    assert_eq!(sources, samples::sources());
}

#[test]
fn the_names_of_the_fields_are_stable() {
    let status = serde_json::to_value(samples::unsynchronized()).unwrap();
    assert_eq!(status["synchronized"], false);
    assert_eq!(status["clock"], "system");
    assert_eq!(status["leap"], "unsynchronized");
    assert_eq!(status["steering"], "adjusting");
    for unknown in [
        "reference_id",
        "offset_s",
        "frequency_ppm",
        "root_delay_s",
        "root_dispersion_s",
        "error_bound_s",
        "true_error_s",
    ] {
        assert!(
            status.as_object().unwrap().contains_key(unknown),
            "{unknown}"
        );
        assert!(status[unknown].is_null(), "{unknown}");
    }
    let source = serde_json::to_value(&samples::sources()[1]).unwrap();
    assert_eq!(source["state"], "falseticker");
    assert_eq!(source["auth"], "none");
    assert_eq!(source["tx_stamp"], "kernel");
    assert_eq!(source["rx_stamp"], "daemon");
    assert_eq!(source["rejected"]["bogus_origin"], 2);
    for name in [
        "name",
        "address",
        "reason",
        "stratum",
        "poll",
        "reach",
        "interleaved",
        "offset_s",
        "delay_s",
        "jitter_s",
        "error_bound_s",
    ] {
        assert!(source.as_object().unwrap().contains_key(name), "{name}");
    }
}

/// Each table of fields in the documentation has exactly the fields that are sent, in their order.
#[test]
fn the_documentation_has_every_field() {
    let page = include_str!("../../docs/commands.md");
    let table = |section: &str| -> Vec<String> {
        let (_, rest) = page.split_once(&format!("\n## {section}\n")).unwrap();
        let (_, rows) = rest.split_once("| field | unit | meaning |\n").unwrap();
        rows.lines()
            .skip(1)
            .map_while(|row| row.strip_prefix("| `")?.split_once('`'))
            .map(|(field, _)| field.to_owned())
            .collect()
    };
    let sent = |json: String| -> Vec<String> {
        let (_, fields) = json.split_once('{').unwrap();
        let lines = fields.lines().filter_map(|line| line.strip_prefix("  \""));
        lines
            .map(|line| line.split_once('"').unwrap().0.to_owned())
            .collect()
    };
    let status = serde_json::to_string_pretty(&samples::status()).unwrap();
    assert_eq!(table("status"), sent(status));
    let source = serde_json::to_string_pretty(&samples::sources()[0]).unwrap();
    assert_eq!(table("sources"), sent(source));
    let auth = serde_json::to_string_pretty(&samples::auth()[0]).unwrap();
    assert_eq!(table("auth"), sent(auth));
    let server = serde_json::to_string_pretty(&samples::server()).unwrap();
    assert_eq!(table("server"), nested(&server));
    let timestamps = serde_json::to_string_pretty(&samples::timestamps()).unwrap();
    assert_eq!(table("timestamps"), nested(&timestamps));
    let probe = serde_json::to_string_pretty(&samples::probe()).unwrap();
    assert_eq!(table("probe"), nested(&probe));
}

/// All fields of pretty JSON with the names of those they are in, `interfaces.phc.path`, each once.
fn nested(json: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut within: Vec<&str> = Vec::new();
    for line in json.lines().map(str::trim) {
        let key = line
            .strip_prefix('"')
            .and_then(|line| line.split_once("\": "))
            .map(|(key, _)| key);
        if let Some(key) = key {
            let path = within.iter().copied().filter(|name| !name.is_empty());
            let name = path.chain([key]).collect::<Vec<_>>().join(".");
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if line.ends_with(['{', '[']) {
            within.push(key.unwrap_or_default());
        } else if line.starts_with(['}', ']']) {
            within.pop();
        }
    }
    names
}

/// Every reason for which a packet can lack a hardware stamp is explained, with what to do.
#[test]
fn the_documentation_explains_every_fall_back() {
    let page = include_str!("../../docs/hardware-timestamps.md");
    let (_, section) = page.split_once("\n### What a fall-back means\n").unwrap();
    let explained: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(reason, _)| reason)
        .collect();
    assert_eq!(explained, crate::interfaces::Fallback::NAMES);
}

#[test]
fn one_connection_may_ask_often_and_wrongly() {
    let daemon = Daemon::start("often", 1);
    let stream = connect(&daemon.socket);
    assert!(reply(&stream, "{\"command\":\"status\"}\n").starts_with("{\"ok\":{\"version\""));
    let wrong = reply(&stream, "{\"command\":\"stauts\"}\n");
    assert!(
        wrong.starts_with("{\"error\":\"not a request: unknown variant `stauts`"),
        "{wrong}"
    );
    assert!(reply(&stream, "\n").starts_with("{\"error\""));
    assert!(reply(&stream, "\u{0}ÿ[[[[\n").starts_with("{\"error\""));
    assert!(reply(&stream, "{\"command\":\"sources\"}\n").starts_with("{\"ok\":[{\"name\""));
}

#[test]
fn a_request_without_end_is_cut_off() {
    let daemon = Daemon::start("long", 1);
    let stream = connect(&daemon.socket);
    let answer = reply(&stream, &"x".repeat(MAX_REQUEST));
    assert!(answer.contains("at most 1024 octets"), "{answer}");
    let mut rest = Vec::new();
    assert_eq!(
        (&stream).read_to_end(&mut rest).unwrap(),
        0,
        "the daemon hangs up"
    );
}

#[test]
fn a_request_that_ends_with_the_connection_is_answered() {
    let daemon = Daemon::start("eof", 1);
    let stream = connect(&daemon.socket);
    (&stream).write_all(b"{\"command\":\"status\"}").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(reply(&stream, "").starts_with("{\"ok\""));
}

#[test]
fn clients_that_read_nothing_neither_block_nor_outnumber() {
    // Answers far larger than a socket buffer.
    let daemon = Daemon::start("slow", 1_500);
    let lazy: Vec<UnixStream> = (1..MAX_CLIENTS)
        .map(|_| {
            let stream = connect(&daemon.socket);
            (&stream).write_all(b"{\"command\":\"sources\"}\n").unwrap();
            stream
        })
        .collect();
    // One place is left, and whoever has it is served.
    let started = Instant::now();
    let status: StatusReport = ask(&daemon.socket, Request::Status).unwrap();
    assert!(status.synchronized && started.elapsed() < Duration::from_secs(4));

    // The one before may still be counted for a moment: fill up until someone is turned away.
    let mut more = Vec::new();
    let refused = loop {
        let stream = connect(&daemon.socket);
        let answer = reply(&stream, "{\"command\":\"status\"}\n");
        more.push(stream);
        if answer.contains("error") {
            break answer;
        }
        assert!(more.len() <= 2, "more than {MAX_CLIENTS} clients");
    };
    assert!(refused.contains("16 clients are connected"), "{refused}");

    // Those that do not read are hung up on, and make room for as many others.
    drop(more);
    let deadline = Instant::now() + Duration::from_secs(20);
    let all_served = || {
        let others: Vec<UnixStream> = (0..MAX_CLIENTS).map(|_| connect(&daemon.socket)).collect();
        others
            .iter()
            .all(|stream| reply(stream, "{\"command\":\"status\"}\n").contains("ok"))
    };
    while !all_served() {
        assert!(
            Instant::now() < deadline,
            "clients that do not read keep their place"
        );
        thread::sleep(Duration::from_millis(50));
    }
    for stream in lazy {
        let mut got = Vec::new();
        (&stream).read_to_end(&mut got).unwrap();
        assert!(
            !got.ends_with(b"\n"),
            "an answer of {} octets fitted the buffer",
            got.len()
        );
    }
}

#[test]
fn the_socket_is_for_owner_and_group() {
    let daemon = Daemon::start("mode", 1);
    let mode = fs::metadata(&daemon.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut names: Vec<_> = fs::read_dir(&daemon.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["control.sock", "control.sock.lock"]);
}

#[test]
fn two_daemons_cannot_share_a_socket() {
    let daemon = Daemon::start("two", 1);
    let refusal = ControlSocket::bind(&config(&daemon.socket))
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains("another daemon is running on"),
        "{refusal}"
    );
    assert!(
        refusal.contains(&format!("(process {})", std::process::id())),
        "{refusal}"
    );
    // And the first one still answers.
    assert!(ask::<StatusReport>(&daemon.socket, Request::Status).is_ok());
}

#[test]
fn what_a_dead_daemon_left_is_replaced() {
    let folder = folder("stale");
    let socket = folder.join("control.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let bound = ControlSocket::bind(&config(&socket)).unwrap();
    assert!(UnixStream::connect(bound.path()).is_ok());
    drop(bound);
    assert!(!socket.exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_in_the_way_is_named_and_left_alone() {
    let folder = folder("file");
    let socket = folder.join("control.sock");
    fs::write(&socket, "precious").unwrap();
    let refusal = ControlSocket::bind(&config(&socket))
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("exists and is not a socket"), "{refusal}");
    assert_eq!(fs::read(&socket).unwrap(), b"precious");

    let nowhere = folder.join("a/b/control.sock");
    let refusal = ControlSocket::bind(&config(&nowhere))
        .unwrap_err()
        .to_string();
    assert!(
        refusal.starts_with("cannot create ") && refusal.contains("a/b: No such file"),
        "{refusal}"
    );

    let text = format!(
        "[control]\ngroup = \"no-such-group\"\nsocket = \"{}\"\n\
         [[source]]\nserver = \"a\"\n",
        folder.join("g.sock").display()
    );
    let control = Config::from_text(Path::new("c"), &text).unwrap().control;
    let refusal = ControlSocket::bind(&control).unwrap_err().to_string();
    assert!(
        refusal.contains("there is no group no-such-group"),
        "{refusal}"
    );
    assert!(!folder.join("g.sock").exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn no_daemon_a_mute_one_and_a_babbling_one() {
    let folder = folder("none");
    let socket = folder.join("control.sock");
    let why = ask::<StatusReport>(&socket, Request::Status)
        .unwrap_err()
        .to_string();
    let absent = format!("no daemon answers at {}: No such file", socket.display());
    assert!(why.starts_with(&absent), "{why}");
    assert!(
        why.contains("systemctl status clockwright") && why.contains("--socket"),
        "{why}"
    );

    let listener = UnixListener::bind(&socket).unwrap();
    let babbler = thread::spawn(move || {
        for answer in [&b"hello\n"[..], b"", b"{\"error\":\"no \\u001b[2J\"}\n"] {
            let (stream, _) = listener.accept().unwrap();
            BufReader::new(&stream)
                .read_line(&mut String::new())
                .unwrap();
            (&stream).write_all(answer).unwrap();
        }
        // And then silence: accepted by the kernel, read by no one.
        listener
    });
    let say = || {
        ask::<StatusReport>(&socket, Request::Status)
            .unwrap_err()
            .to_string()
    };
    assert!(say().contains("makes no sense"));
    assert!(say().contains("it is empty"));
    assert_eq!(say(), "the daemon refused: no \\u{1b}[2J");
    let listener = babbler.join().unwrap();
    assert!(say().contains("did not answer within 5 s"));
    drop(listener);
    assert!(say().starts_with("no daemon answers"));
    fs::remove_dir_all(folder).unwrap();
}
