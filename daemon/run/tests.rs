//! The daemon end to end, on loopback: real sockets, kernel stamps, the real event loop. Only
//! virtual clocks are steered.

mod key_server;
mod leap;
mod local;

use std::cell::RefCell;
use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::daemon::Daemon;
use super::start::{StartError, start};
use super::{Feed, handle, logging};
use crate::cli::RunArgs;
use crate::clock::Observed;
use crate::config::{Config, LogLevel};
use crate::control::{
    ClockName, SourceReport, SourceState, StampReport, StatusReport, Steering, View,
};
use crate::measure::{Family, Plan, Trouble, Wakes, survey};

/// What a test waits for happens within this time, or never.
const PATIENCE: Duration = Duration::from_secs(30);

/// One daemon with files of its own, running until it is dropped.
struct Host {
    daemon: Rc<RefCell<Daemon>>,
    directory: PathBuf,
    task: tokio::task::AbortHandle,
}

impl Host {
    /// Starts a daemon in the current `LocalSet`. It never touches the host's clock.
    fn start(settings: &str) -> Result<Self, StartError> {
        let directory = scratch();
        fs::create_dir_all(&directory).unwrap();
        let host = Self::start_in(directory.clone(), settings);
        if host.is_err() {
            let _ = fs::remove_dir_all(directory);
        }
        host
    }

    fn start_in(directory: PathBuf, settings: &str) -> Result<Self, StartError> {
        write(&directory, settings);
        let args = RunArgs {
            config: directory.join("clockwright.toml"),
            no_adjust: true,
        };
        let config = Config::load(&args.config).unwrap().config;
        let (wakes, woken) = Wakes::new().unwrap();
        let (findings, found) = mpsc::unbounded_channel();
        let level = logging::begin(LogLevel::Error);
        let started = start(&args, config, level, wakes, findings)?;
        let daemon = Rc::new(RefCell::new(started.daemon));
        let feed = Feed::new(woken, found).unwrap();
        let running = turn(Rc::clone(&daemon), feed);
        let control = started.control;
        let task = tokio::task::spawn_local(async move {
            running.await;
            drop(control);
        });
        Ok(Self {
            daemon,
            directory,
            task: task.abort_handle(),
        })
    }

    fn status(&self) -> StatusReport {
        View::status(&*self.daemon)
    }

    fn sources(&self) -> Vec<SourceReport> {
        View::sources(&*self.daemon)
    }

    /// The source asked on this port.
    fn source(&self, port: u16) -> Option<SourceReport> {
        self.sources()
            .into_iter()
            .find(|source| source.port == Some(port))
    }

    /// Waits until `reached` holds, and fails with what there is instead.
    async fn wait_for(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !reached(self) {
            let (status, sources) = (self.status(), self.sources());
            assert!(
                start.elapsed() < PATIENCE,
                "never {what}: {status:#?} {sources:#?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The event loop without signals.
async fn turn(daemon: Rc<RefCell<Daemon>>, mut feed: Feed) {
    loop {
        let due = daemon.borrow().due();
        let happening = feed.next(due).await;
        handle(&mut daemon.borrow_mut(), happening);
    }
}

/// A directory of its own for each daemon.
fn scratch() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("clockwright-run-{}-{number}", std::process::id()))
}

/// Writes the configuration, with files that belong to this test alone.
fn write(directory: &std::path::Path, settings: &str) {
    let own = format!(
        "{settings}\n[state]\ndirectory = '{0}/state'\n[control]\nsocket = '{0}/control.sock'\n",
        directory.display()
    );
    fs::write(directory.join("clockwright.toml"), own).unwrap();
}

/// Runs a test on one thread, as the daemon does.
fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    LocalSet::new().block_on(&runtime.unwrap(), test);
}

/// A UDP port that nobody uses.
fn free_port() -> u16 {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.local_addr().unwrap().port()
}

/// A server of the host's own clock, or of one that is wrong by `error`.
fn server(port: u16, error: &str) -> Host {
    let clock = format!("[clock]\nkind = 'virtual'\nvirtual = {{ error = '{error}' }}\n");
    Host::start(&format!(
        "[server]\nlisten = ['127.0.0.1:{port}', '[::1]:{port}']\nlocal = {{ stratum = 1 }}\n{}",
        if error == "0s" { "" } else { &clock }
    ))
    .unwrap()
}

fn source(host: &str, port: u16) -> String {
    format!(
        "[[source]]\nserver = '{host}'\nport = {port}\npoll = {{ min = '1/8s', max = '1/4s' }}\n"
    )
}

/// A virtual clock, 5 ms and 30 ppm wrong.
const WRONG: &str = "[clock]\nkind = 'virtual'\nvirtual = { error = '5ms', drift = '30ppm' }\n";

fn bound_holds(status: &StatusReport) -> bool {
    match (status.true_error_s, status.error_bound_s) {
        (Some(error), Some(bound)) => error.abs() <= bound,
        _ => false,
    }
}

#[test]
fn a_wrong_clock_becomes_right_and_its_bound_contains_the_truth() {
    on_one_thread(async {
        let port = free_port();
        let _server = server(port, "0s");
        let client = Host::start(&(source("127.0.0.1", port) + WRONG)).unwrap();
        assert!(
            client
                .status()
                .true_error_s
                .is_some_and(|error| error > 4e-3)
        );
        client
            .wait_for("within 20 us, at the oscillator's drift", |client| {
                let status = client.status();
                assert!(
                    status.error_bound_s.is_none() || bound_holds(&status),
                    "{status:?}"
                );
                status.true_error_s.is_some_and(|error| error.abs() < 20e-6)
                    && status
                        .frequency_ppm
                        .is_some_and(|ppm| (ppm + 30.0).abs() < 1.0)
            })
            .await;
        let status = client.status();
        assert!(status.synchronized);
        assert_eq!(
            (status.clock, status.steering),
            (ClockName::Virtual, Steering::Adjusting)
        );
        assert_eq!(
            (status.stratum, status.reference_id.as_deref()),
            (2, Some("127.0.0.1"))
        );
        let source = client.source(port).unwrap();
        assert_eq!(source.state, SourceState::Selected);
        assert!(source.interleaved, "{source:?}");
        assert_eq!(source.reference_id.as_deref(), Some("LOCL"));
        let stamps = (source.tx_stamp, source.rx_stamp);
        assert_eq!(
            stamps,
            (Some(StampReport::Kernel), Some(StampReport::Kernel))
        );
    });
}

#[test]
fn a_liar_among_four_is_named_and_does_not_move_the_clock() {
    on_one_thread(async {
        let ports: Vec<u16> = (0..4).map(|_| free_port()).collect();
        let [liar, true_ones @ ..] = ports.as_slice() else {
            panic!("four");
        };
        let mut servers = vec![server(*liar, "20ms")];
        servers.extend(true_ones.iter().map(|port| server(*port, "0s")));
        let sources: String = ports
            .iter()
            .map(|port| source("127.0.0.1", *port))
            .collect();
        let client = Host::start(&(sources + WRONG)).unwrap();
        client
            .wait_for("right, with the liar named", |client| {
                let named = client
                    .source(*liar)
                    .is_some_and(|source| source.state == SourceState::Falseticker);
                named
                    && client
                        .status()
                        .true_error_s
                        .is_some_and(|e| e.abs() < 50e-6)
            })
            .await;
        let reason = client.source(*liar).and_then(|source| source.reason);
        let reason = reason.unwrap_or_default();
        assert!(
            reason.contains("20.0 ms ahead") && reason.contains("3 of 4"),
            "{reason}"
        );
        assert!(bound_holds(&client.status()), "{:?}", client.status());
    });
}

#[test]
fn both_families_are_asked_and_an_unsynchronised_server_is_not_believed() {
    on_one_thread(async {
        let (good, bad) = (free_port(), free_port());
        let _good = server(good, "0s");
        // Serves, follows nobody, and does not claim to know the time.
        let follows_nobody = source("127.0.0.1", free_port());
        let unsynchronised = format!("[server]\nlisten = ['127.0.0.1:{bad}']\n{WRONG}");
        let _bad = Host::start(&(follows_nobody + &unsynchronised)).unwrap();
        let sources = source("::1", good) + &source("127.0.0.1", bad);
        let client = Host::start(&(sources + WRONG)).unwrap();
        client
            .wait_for("synchronised over IPv6", |client| {
                client.status().synchronized
                    && client
                        .source(bad)
                        .is_some_and(|s| s.state == SourceState::Unusable)
            })
            .await;
        // The digest of ::1.
        let status = client.status();
        assert_eq!(status.reference_id.as_deref(), Some("207.64.77.200"));
        let reason = client
            .source(bad)
            .and_then(|source| source.reason)
            .unwrap_or_default();
        assert!(reason.contains("not synchronised"), "{reason}");
    });
}

#[test]
fn a_silent_source_says_what_is_wrong_with_it() {
    on_one_thread(async {
        let port = free_port();
        let client = Host::start(&(source("127.0.0.1", port) + WRONG)).unwrap();
        client
            .wait_for("unreachable", |client| {
                client
                    .source(port)
                    .is_some_and(|source| source.state == SourceState::Unreachable)
            })
            .await;
        let source = client.source(port).unwrap();
        let error = source.last_error.unwrap_or_default();
        assert!(error.contains("no NTP server listens"), "{error}");
        assert!(!client.status().synchronized);
        assert_eq!(client.status().stratum, 16);
    });
}

#[test]
fn a_name_that_does_not_exist_is_reported_and_tried_again() {
    on_one_thread(async {
        let settings = "[[source]]\nserver = 'no-such-host.invalid'\n".to_owned() + WRONG;
        let client = Host::start(&settings).unwrap();
        client
            .wait_for("looked up", |client| {
                client
                    .sources()
                    .iter()
                    .any(|source| source.last_error.is_some())
            })
            .await;
        let source = client.sources().remove(0);
        assert_eq!(
            (source.state, source.address),
            (SourceState::Unresolved, None)
        );
        let reason = source.reason.unwrap_or_default();
        assert!(reason.contains("cannot be resolved"), "{reason}");
    });
}

#[test]
fn a_port_in_use_stops_the_start_and_a_reload_and_says_what_to_do() {
    on_one_thread(async {
        let port = free_port();
        let other = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        let serving = |port: u16| {
            format!("[server]\nlisten = ['127.0.0.1:{port}']\nlocal = {{ stratum = 5 }}\n")
        };
        let taken = serving(port);
        let Err(refusal) = Host::start(&taken) else {
            panic!("two servers on one port");
        };
        let text = refusal.to_string();
        assert!(
            text.contains(&format!("127.0.0.1:{port}")) && text.contains("chronyd"),
            "{text}"
        );

        let host = Host::start(&serving(free_port())).unwrap();
        write(
            &host.directory,
            &(taken.clone() + &source("127.0.0.1", port)),
        );
        host.daemon.borrow_mut().reload();
        assert!(host.sources().is_empty(), "all or nothing");
        drop(other);
        host.daemon.borrow_mut().reload();
        assert_eq!(host.sources().len(), 1);
    });
}

#[test]
fn a_reload_leaves_unchanged_sources_alone() {
    on_one_thread(async {
        let (kept, gone, new) = (free_port(), free_port(), free_port());
        let _servers = [kept, gone, new].map(|port| server(port, "0s"));
        let before = source("127.0.0.1", kept) + &source("127.0.0.1", gone) + WRONG;
        let client = Host::start(&before).unwrap();
        let taken = |client: &Host, port| client.source(port).map_or(0, |s| s.received);
        client
            .wait_for("asked often", |client| {
                taken(client, kept) >= 6 && taken(client, gone) >= 6
            })
            .await;
        let received = taken(&client, kept);

        // An invalid one changes nothing.
        write(&client.directory, "[[source]]\nsever = '127.0.0.1'\n");
        client.daemon.borrow_mut().reload();
        assert!(client.source(gone).is_some());

        // One goes, one comes first, one stays with other settings.
        let altered = source("127.0.0.1", kept).replace("1/4s", "1/2s");
        write(
            &client.directory,
            &(source("127.0.0.1", new) + &altered + WRONG),
        );
        client.daemon.borrow_mut().reload();
        let sources = client.sources();
        let ports: Vec<u16> = sources.iter().filter_map(|source| source.port).collect();
        assert_eq!(ports, [new, kept]);
        let source = client.source(kept).unwrap();
        assert!(
            source.received >= received && source.offset_s.is_some(),
            "{source:?}"
        );
        client
            .wait_for("following the new one too", |client| {
                taken(client, new) >= 4
            })
            .await;
        assert!(
            client
                .status()
                .true_error_s
                .is_some_and(|error| error.abs() < 1e-3)
        );
    });
}

#[test]
fn what_can_be_forged_is_followed_as_far_as_is_configured() {
    on_one_thread(async {
        let (plain, nts, keys) = (free_port(), free_port(), free_port());
        let _server = server(plain, "0s");
        // Nobody hands out its keys: that is no reason to follow the other one.
        let both = source("127.0.0.1", plain)
            + &source("127.0.0.1", nts)
            + &format!("nts = {{ port = {keys} }}\n")
            + WRONG;
        let client = Host::start(&both).unwrap();
        let is = |client: &Host, state: SourceState, why: &str| {
            let plain = client.source(plain).unwrap();
            plain.state == state && plain.reason.is_some_and(|reason| reason.contains(why))
        };
        client
            .wait_for("asked, and left aside", |client| {
                client
                    .source(plain)
                    .is_some_and(|plain| plain.received >= 6)
                    && is(client, SourceState::Unusable, "not followed alone")
            })
            .await;
        assert!(!client.status().synchronized);

        let with = |authentication: &str| {
            let selection = format!("[selection]\nauthentication = '{authentication}'\n");
            write(&client.directory, &(both.clone() + &selection));
            client.daemon.borrow_mut().reload();
        };
        with("require");
        assert!(is(&client, SourceState::Unusable, "not authenticated"));
        with("ignore");
        client
            .wait_for("followed", |client| client.status().synchronized)
            .await;
        with("prefer");
        assert!(is(&client, SourceState::Unusable, "not authenticated"));
    });
}

#[test]
fn what_was_learnt_survives_a_restart() {
    on_one_thread(async {
        let port = free_port();
        let _server = server(port, "0s");
        let settings = source("127.0.0.1", port) + WRONG;
        let first = Host::start(&settings).unwrap();
        first
            .wait_for("at the oscillator's drift", |client| {
                let status = client.status();
                status
                    .frequency_ppm
                    .is_some_and(|ppm| (ppm + 30.0).abs() < 0.5)
                    && status.frequency_uncertainty_ppm.is_some_and(|sd| sd < 1.0)
            })
            .await;
        first.daemon.borrow_mut().stop();
        let kept = first.directory.with_extension("kept");
        fs::rename(&first.directory, &kept).unwrap();
        drop(first);

        // The control socket is free as soon as the first daemon's task has gone.
        let start = Instant::now();
        let second = loop {
            match Host::start_in(kept.clone(), &settings) {
                Ok(host) => break host,
                Err(refusal) => assert!(start.elapsed() < PATIENCE, "{refusal}"),
            }
            tokio::task::yield_now().await;
        };
        let known = second.daemon.borrow().clock.rate();
        assert!((known * 1e6 + 30.0).abs() < 0.5, "starts at {known}");
    });
}

#[test]
fn the_host_clock_is_only_watched() {
    on_one_thread(async {
        let port = free_port();
        let _server = server(port, "0s");
        let watcher = Host::start(&source("127.0.0.1", port)).unwrap();
        watcher
            .wait_for("synchronised", |watcher| watcher.status().synchronized)
            .await;
        let status = watcher.status();
        assert_eq!(
            (&status.clock, status.steering),
            (&ClockName::System, Steering::Disabled)
        );
        assert_eq!((status.steps, status.true_error_s), (0, None));
        // The server tells the time of this very clock.
        assert!(
            status.offset_s.is_some_and(|offset| offset.abs() < 1e-3),
            "{status:?}"
        );
        assert!(watcher.daemon.borrow_mut().clock.helm().is_none());
    });
}

#[test]
fn a_survey_asks_everybody_and_says_who_did_not_answer() {
    on_one_thread(async {
        let (good, silent) = (free_port(), free_port());
        let _server = server(good, "0s");
        let names = [
            format!("127.0.0.1:{good}"),
            format!("[::1]:{good}"),
            format!("127.0.0.1:{silent}"),
            "no-such-host.invalid".to_owned(),
        ]
        .map(|name| name.parse().unwrap());
        let plan = Plan {
            count: 4,
            interleaved: true,
            family: Family::Any,
            nts: None,
        };
        let clock = Observed::new(Steering::Disabled);
        let answers = survey(&names, &plan, &clock).await;
        for answer in answers.iter().take(2) {
            assert_eq!((answer.sent, answer.received), (4, 4), "{answer:?}");
            assert!(answer.trouble.is_none(), "{answer:?}");
            let last = answer.taken.last().unwrap();
            assert!(last.exchange.interleaved);
            assert!(last.offset.abs() < clockwright_timebase::Duration::from_millis(1));
        }
        let troubles: Vec<_> = answers.iter().skip(2).map(|a| a.trouble.as_ref()).collect();
        assert!(
            matches!(
                troubles.as_slice(),
                [Some(Trouble::Failed(_)), Some(Trouble::Unresolved(_))]
            ),
            "{troubles:?}"
        );
    });
}

#[test]
fn a_clock_that_is_seconds_wrong_is_stepped_once_and_served_right() {
    on_one_thread(async {
        let (port, relay) = (free_port(), free_port());
        let _server = server(port, "0s");
        let settings = format!(
            "{}[clock]\nkind = 'virtual'\nvirtual = {{ error = '-3s', drift = '50ppm' }}\n\
             [server]\nlisten = ['127.0.0.1:{relay}']\n",
            source("127.0.0.1", port)
        );
        let client = Host::start(&settings).unwrap();
        // Whoever asks it gets the clock as it becomes, and one stratum more.
        let third = Host::start(&(source("127.0.0.1", relay) + WRONG)).unwrap();
        client
            .wait_for("right", |client| {
                client
                    .status()
                    .true_error_s
                    .is_some_and(|error| error.abs() < 20e-6)
            })
            .await;
        assert_eq!(client.status().steps, 1);
        third
            .wait_for("right from second hand", |third| {
                let status = third.status();
                status.synchronized
                    && bound_holds(&status)
                    && status
                        .true_error_s
                        .is_some_and(|error| error.abs() < 100e-6)
            })
            .await;
        assert_eq!(third.status().stratum, 3);
        let source = third.source(relay).unwrap();
        assert_eq!(source.reference_id.as_deref(), Some("127.0.0.1"));
        assert!(source.root_delay_s.is_some_and(|delay| delay > 0.0));
    });
}

#[test]
fn a_clock_that_nothing_keeps_starts_from_the_time_that_was_saved() {
    on_one_thread(async {
        let directory = scratch();
        fs::create_dir_all(directory.join("state")).unwrap();
        // Later than the build of this program, which may have been a moment ago.
        let now = clockwright_sys::clock::realtime_now();
        let saved = now.since_epoch().as_secs_f64() + 600.0;
        fs::write(
            directory.join("state/drift.json"),
            format!(
                r#"{{ "format": 1, "clock": "virtual", "frequency_ppm": 0.0, "wander": 1e-9,
                      "frequency_uncertainty_ppm": 0.1, "unix_time_s": {saved:.0} }}"#
            ),
        )
        .unwrap();
        let slow = "[clock]\nkind = 'virtual'\nvirtual = { error = '-365d' }\n";
        let restored = format!("{}{slow}restore = true\n", source("127.0.0.1", free_port()));
        let host = Host::start_in(directory, &restored).unwrap();
        let status = host.status();
        let error = status.true_error_s.unwrap();
        assert!((error - 600.0).abs() < 5.0, "{error}");
        assert!(!status.synchronized && status.stratum == 16, "{status:?}");
        drop(host);

        let plain = Host::start(&(source("127.0.0.1", free_port()) + slow)).unwrap();
        let error = plain.status().true_error_s.unwrap();
        assert!(error < -360.0 * 86_400.0, "{error}");
    });
}
