//! The daemon's behaviour as an operator meets it: liars, reloads, restarts, bad input.

use std::time::Duration;

use clockwright::control::{SourceState, StampReport, StatusReport};
use nix::sys::signal::Signal;

use crate::support::daemon::Daemon;
use crate::support::star::{SERVER, Star, source, virtual_clock};
use crate::support::wait::{wait_for, when};

/// How long finding the time may take.
const FOUND_WITHIN: Duration = Duration::from_secs(20);

fn true_error_s(status: &StatusReport) -> f64 {
    status
        .true_error_s
        .expect("a virtual clock knows its error")
}

/// Four servers, the last of which has a clock that is 20 ms fast, and a client of all of them.
fn three_honest_servers_and_a_liar(star: &Star) -> (Vec<Daemon>, Daemon) {
    let servers = (0_u8..)
        .zip(&star.servers)
        .map(|(number, host)| {
            let clock = match number {
                3 => virtual_clock("20ms", "0ppm"),
                _ => String::new(),
            };
            Daemon::start(
                host,
                &star.directory,
                host.name(),
                &format!("{SERVER}{clock}"),
            )
        })
        .collect();
    let sources: String = (0..4)
        .map(|number| source(Star::server_ipv4(number), "1/8s"))
        .collect();
    let clock = virtual_clock("-2ms", "15ppm");
    let client = Daemon::start(
        &star.client,
        &star.directory,
        "client",
        &format!("{sources}{clock}"),
    );
    (servers, client)
}

#[test]
fn a_liar_among_four_is_named_and_does_not_move_the_clock() {
    let star = Star::new(4);
    let (_servers, client) = three_honest_servers_and_a_liar(&star);
    let liar = Star::server_ipv4(3).to_string();
    let mut worst_s = 0.0_f64;
    let (found, _) = wait_for(
        "the clock to be right and the liar named",
        FOUND_WITHIN,
        || {
            let status = client.status();
            worst_s = worst_s.max(true_error_s(&status).abs());
            let named = client.source(&liar).state == SourceState::Falseticker;
            when((status, named), |(status, named)| {
                *named && status.synchronized && true_error_s(status).abs() < 50e-6
            })
        },
    );
    // It started 2 ms slow; the liar would have pulled it past that, or up.
    assert!(worst_s < 2.2e-3, "the clock was {worst_s} s off on the way");
    assert!(
        found
            .error_bound_s
            .is_some_and(|bound| bound >= true_error_s(&found).abs())
    );

    // It stays that way for as many polls again.
    client.wait_for_status("40 more samples", FOUND_WITHIN, |status| {
        assert!(true_error_s(status).abs() < 100e-6, "{status:#?}");
        status.samples >= found.samples + 40
    });
    for source in client.sources() {
        let lies = source.name == liar;
        assert_eq!(
            source.state == SourceState::Falseticker,
            lies,
            "{source:#?}"
        );
        if lies {
            let reason = source.reason.as_deref().unwrap_or("");
            assert!(
                reason.contains("ms"),
                "the reason names the difference: {reason:?}"
            );
            let offset = source.offset_s.expect("it is still measured");
            assert!((offset - 20e-3).abs() < 1e-3, "{source:#?}");
        }
    }
}

#[test]
fn sources_come_and_go_on_reload_and_the_others_stay_as_they_are() {
    let star = Star::new(2);
    let _servers: Vec<Daemon> = star
        .servers
        .iter()
        .map(|host| Daemon::start(host, &star.directory, host.name(), SERVER))
        .collect();
    let clock = virtual_clock("1ms", "5ppm");
    let (first, second) = (
        Star::server_ipv4(0).to_string(),
        Star::server_ipv6(1).to_string(),
    );
    let only_first = format!("{}{clock}", source(&first, "1/8s"));
    let both = format!("{}{only_first}", source(&second, "1/8s"));
    let only_second = format!("{}{clock}", source(&second, "1/8s"));

    let client = Daemon::start(&star.client, &star.directory, "client", &only_first);
    let before = client.wait_for_source(&first, "a first source in use", FOUND_WITHIN, |source| {
        source.received >= 16 && source.state == SourceState::Selected
    });
    assert_eq!(before.tx_stamp, Some(StampReport::Kernel), "{before:#?}");
    assert_eq!(before.rx_stamp, Some(StampReport::Kernel), "{before:#?}");

    client.reload(&both);
    wait_for("a second source", FOUND_WITHIN, || {
        when(client.sources(), |sources| {
            sources.len() == 2 && sources.iter().all(|source| source.received >= 8)
        })
    });
    let after = client.source(&first);
    assert!(
        after.received >= before.received,
        "kept its counters: {before:#?} {after:#?}"
    );
    assert_eq!(after.reach, 0xff, "kept its reach: {after:#?}");
    let second_before = client.source(&second);

    client.reload(&only_second);
    wait_for("the first source to go", FOUND_WITHIN, || {
        when(client.sources(), |sources| sources.len() == 1)
    });
    let second_after =
        client.wait_for_source(&second, "the second in use", FOUND_WITHIN, |source| {
            source.state == SourceState::Selected
        });
    assert!(
        second_after.received >= second_before.received,
        "{second_after:#?}"
    );
    let status = client.status();
    assert!(status.synchronized, "{status:#?}");
}

#[test]
fn a_bad_configuration_on_reload_is_refused_and_the_old_one_stays() {
    let star = Star::new(1);
    let _server = Daemon::start(&star.servers[0], &star.directory, "server", SERVER);
    let address = Star::server_ipv4(0).to_string();
    let good = format!(
        "{}{}",
        source(&address, "1/8s"),
        virtual_clock("1ms", "5ppm")
    );
    let client = Daemon::start(&star.client, &star.directory, "client", &good);
    let before = client.wait_for_source(&address, "a source in use", FOUND_WITHIN, |source| {
        source.received >= 8
    });

    // One source is fine and new, but nothing of a configuration with an error is used.
    let new = Star::server_ipv6(0);
    client.reload(&format!(
        "{}[[source]]\nsevrer = \"10.84.0.9\"\n",
        source(new, "1/8s")
    ));
    let mut client = client;
    let log = wait_for("a word about it in the log", FOUND_WITHIN, || {
        when(client.process().log(), |log| {
            log.contains("did you mean `server`")
        })
    });
    assert!(
        log.contains("client.toml:5:1"),
        "the place of the error: {log}"
    );
    let after = client.wait_for_source(&address, "four more replies", FOUND_WITHIN, |source| {
        source.received >= before.received + 4
    });
    assert!(after.reachable);
    assert_eq!(client.sources().len(), 1);

    // And the next good one is used.
    client.reload(&format!("{}{good}", source(new, "1/8s")));
    wait_for("the new source", FOUND_WITHIN, || {
        when(client.sources(), |sources| sources.len() == 2)
    });
}

#[test]
fn terminate_stops_it_cleanly() {
    let star = Star::new(1);
    let server = &star.servers[0];
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::start(server, &star.directory, "server", SERVER);
        daemon.process().signal(signal);
        let status = daemon.process().wait(Duration::from_secs(2));
        assert!(status.success(), "{signal}: {status}");
        assert!(
            !star.directory.path("server.sock").exists(),
            "its control socket is gone"
        );
    }
}

#[test]
fn a_port_in_use_is_named() {
    let star = Star::new(1);
    let server = &star.servers[0];
    let _first = Daemon::start(server, &star.directory, "first", SERVER);
    let mut second = Daemon::launch(server, &star.directory, "second", SERVER);
    let status = second.process().wait(Duration::from_secs(10));
    let log = second.process().log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("0.0.0.0:123") && log.contains("in use"),
        "{log}"
    );
}

#[test]
fn a_second_daemon_on_the_same_control_socket_is_refused() {
    let star = Star::new(1);
    let server = &star.servers[0];
    let client = format!(
        "{}{}",
        source("10.84.0.9", "1s"),
        virtual_clock("0s", "0ppm")
    );
    let first = Daemon::start(server, &star.directory, "daemon", &client);
    let mut second = Daemon::launch(server, &star.directory, "daemon", &client);
    let status = second.process().wait(Duration::from_secs(10));
    assert_eq!(status.code(), Some(1), "{}", second.process().log());
    assert!(
        second.process().log().contains("daemon.sock"),
        "{}",
        second.process().log()
    );
    // The first one is as well as before.
    assert!(!first.status().synchronized);
}

#[test]
fn a_name_that_does_not_exist_is_reported_and_the_others_are_used() {
    let star = Star::new(1);
    let _server = Daemon::start(&star.servers[0], &star.directory, "server", SERVER);
    let address = Star::server_ipv4(0).to_string();
    let client = Daemon::start(
        &star.client,
        &star.directory,
        "client",
        &format!(
            "{}{}{}",
            source("no-such-host.invalid", "1/8s"),
            source(&address, "1/8s"),
            virtual_clock("1ms", "5ppm")
        ),
    );
    client.wait_for_status("the time from the other source", FOUND_WITHIN, |status| {
        status.synchronized && true_error_s(status).abs() < 50e-6
    });
    let lost = client.wait_for_source(
        "no-such-host.invalid",
        "the failure to be told",
        Duration::from_secs(30),
        |source| source.last_error.is_some(),
    );
    assert_eq!(lost.state, SourceState::Unresolved, "{lost:#?}");
    assert_eq!(lost.address, None);
    let told = lost.last_error.unwrap_or_default();
    assert!(
        told.contains("no-such-host.invalid") || told.contains("name"),
        "{told}"
    );
}

#[test]
fn the_frequency_survives_a_restart() {
    let star = Star::new(1);
    let server = Daemon::start(&star.servers[0], &star.directory, "server", SERVER);
    let clock = virtual_clock("500us", "40ppm");
    let client_with = |address| format!("{}{clock}", source(address, "1/8s"));
    let configuration = client_with(Star::server_ipv4(0));
    let mut client = Daemon::start(&star.client, &star.directory, "client", &configuration);
    let near = |frequency_ppm: Option<f64>| frequency_ppm.is_some_and(|f| (f + 40.0).abs() < 2.0);
    client.wait_for_status("the frequency to be found", FOUND_WITHIN, |status| {
        status.synchronized
            && near(status.frequency_ppm)
            && status
                .frequency_uncertainty_ppm
                .is_some_and(|sigma| sigma < 1.0)
    });
    client.process().signal(Signal::SIGTERM);
    assert!(client.process().wait(Duration::from_secs(2)).success());
    drop((client, server));

    // No server answers now. The clock, which starts as wrong and as fast as before, runs right:
    // in two seconds it would gain 80 us by itself.
    let client = Daemon::start(&star.client, &star.directory, "client", &configuration);
    let later = client.wait_for_status("two seconds", FOUND_WITHIN, |status| status.uptime_s > 2.0);
    assert!((true_error_s(&later) - 500e-6).abs() < 10e-6, "{later:#?}");
    // But a frequency is not the time.
    assert!(!later.synchronized, "{later:#?}");
}

#[test]
fn a_server_that_goes_away_is_unreachable_and_comes_back() {
    let star = Star::new(1);
    let server = Daemon::start(&star.servers[0], &star.directory, "server", SERVER);
    let address = Star::server_ipv6(0).to_string();
    let client = Daemon::start(
        &star.client,
        &star.directory,
        "client",
        &format!(
            "{}{}",
            source(&address, "1/8s"),
            virtual_clock("1ms", "5ppm")
        ),
    );
    let found = |status: &StatusReport| status.synchronized && true_error_s(status).abs() < 50e-6;
    let before = client.wait_for_status("the time", FOUND_WITHIN, found);
    drop(server);
    client.wait_for_source(
        &address,
        "the server to be missed",
        FOUND_WITHIN,
        |source| source.state == SourceState::Unreachable && source.reach == 0,
    );
    let alone = client.status();
    assert!(
        alone.error_bound_s >= before.error_bound_s,
        "the bound grows: {alone:#?}"
    );
    assert!(
        alone
            .error_bound_s
            .is_some_and(|bound| true_error_s(&alone).abs() <= bound)
    );

    let _server = Daemon::start(&star.servers[0], &star.directory, "server", SERVER);
    client.wait_for_source(
        &address,
        "the server to be back in use",
        FOUND_WITHIN,
        |source| source.state == SourceState::Selected && source.interleaved,
    );
    client.wait_for_status("the time again", FOUND_WITHIN, found);
}
