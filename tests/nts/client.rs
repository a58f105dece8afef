//! Our client of other people's servers.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use clockwright::control::{AuthEntry, AuthReport, SourceReport};
use serde_json::Value;

use crate::scene::{PATIENCE, Scene};
use crate::support::chrony::{self, Chronyd, value};
use crate::support::daemon::{CLOCKWRIGHT, Daemon};
use crate::support::ntpd_rs::{self, NtpdRs};
use crate::support::ntpsec::{self, Ntpsec};
use crate::support::peer::Version::{self, Newest, Release};
use crate::support::star::{Star, source};
use crate::support::wait::{wait_for, when};

/// The AEADs' numbers at IANA.
const AES_SIV_CMAC_256: u16 = 15;
const AES_128_GCM_SIV: u16 = 30;

/// The `[[source]]` of a server that is asked eight times a second, with NTS.
fn nts_source(scene: &Scene, server: impl Display) -> String {
    nts_source_every(scene, server, "125ms")
}

fn nts_source_every(scene: &Scene, server: impl Display, poll: &str) -> String {
    let trusted = scene.authority.certificate().display();
    source(server, poll) + &format!("nts = {{ trusted_certificates = \"{trusted}\" }}\n")
}

/// A chronyd of that version on server `number`, which hands out keys and the time.
fn chrony_server(scene: &Scene, number: u8, version: Version, more: &str) -> Chronyd {
    let host = &scene.star.servers[usize::from(number)];
    let configuration = chrony::nts_server(&scene.identity(number)) + more;
    let name = format!("chrony-{number}");
    Chronyd::start_version(version, host, &scene.star.directory, &name, &configuration)
}

/// Our daemon on the client's host.
fn client(scene: &Scene, configuration: &str) -> Daemon {
    let star = &scene.star;
    Daemon::start(&star.client, &star.directory, "client", configuration)
}

/// Waits until the last eight requests to a source were answered, and the answers as wanted.
#[track_caller]
fn answered(client: &Daemon, name: &str, wanted: impl Fn(&SourceReport) -> bool) -> SourceReport {
    let what = format!("{name} to answer");
    let source = client.wait_for_source(name, &what, PATIENCE, |source| {
        source.reach == 0xff && wanted(source)
    });
    assert_eq!(source.auth, AuthReport::Nts, "{source:#?}");
    let offset = source.offset_s.expect("an offset");
    // Both read the same clock.
    assert!(offset.abs() < 1e-3, "{source:#?}");
    assert_eq!(source.rejected.values().sum::<u64>(), 0, "{source:#?}");
    source
}

/// What it says of a source whose keys were established once and have served ever since.
#[track_caller]
fn undisturbed(client: &Daemon, name: &str, aead: u16) -> AuthEntry {
    let auth = client.auth(name);
    assert_eq!(auth.mode, AuthReport::Nts, "{auth:#?}");
    assert_eq!(auth.aead_id, Some(aead), "{auth:#?}");
    assert_eq!(auth.key_establishments, 1, "{auth:#?}");
    assert_eq!(auth.naks, 0, "{auth:#?}");
    // One of eight may be under way.
    assert!(auth.cookies >= 7, "{auth:#?}");
    assert_eq!(auth.last_error, None, "{auth:#?}");
    auth
}

/// Counts in chrony's `serverstats`.
fn served(chronyd: &Chronyd, name: &str) -> u64 {
    let report = chronyd.ask("serverstats");
    let count = value(&report, name).and_then(|text| text.parse().ok());
    count.unwrap_or_else(|| panic!("no count of {name}: {report}"))
}

#[test]
fn chrony_is_asked_in_interleaved_mode_with_keys_of_both_algorithms() {
    let scene = Scene::new(2);
    let newest = chrony_server(&scene, 0, Newest, "");
    let release = chrony_server(&scene, 1, Release, "");
    let (name, address) = (Star::server_name(0), Star::server_ipv6(1).to_string());
    let sources = nts_source(&scene, &name) + &nts_source(&scene, &address);
    let client = client(&scene, &sources);
    for (server, aead, chronyd) in [
        (&name, AES_128_GCM_SIV, newest),
        (&address, AES_SIV_CMAC_256, release),
    ] {
        answered(&client, server, |source| source.interleaved);
        undisturbed(&client, server, aead);
        assert_eq!(served(&chronyd, "NTS-KE connections accepted"), 1);
        assert!(served(&chronyd, "Authenticated NTP packets") >= 8);
        assert!(served(&chronyd, "Interleaved NTP packets") >= 1);
    }
}

#[test]
fn ntpsec_is_asked_with_its_keys() {
    let scene = Scene::new(2);
    let star = &scene.star;
    let server = |number: u8, version| {
        let host = &star.servers[usize::from(number)];
        let configuration = ntpsec::nts_server(&scene.identity(number));
        let name = format!("ntpsec-{number}");
        let ntpsec = Ntpsec::start(version, host, &star.directory, &name, &configuration);
        ntpsec.wait_until_it_serves();
        ntpsec
    };
    let servers = [server(0, Newest), server(1, Release)];
    let (name, address) = (Star::server_name(0), Star::server_ipv4(1).to_string());
    let sources = nts_source(&scene, &name) + &nts_source(&scene, &address);
    let client = client(&scene, &sources);
    for (asked, ntpsec) in [&name, &address].into_iter().zip(servers) {
        answered(&client, asked, |source| source.stratum == Some(1));
        undisturbed(&client, asked, AES_SIV_CMAC_256);
        assert_eq!(ntpsec.count("nts_ke_serves_good"), 1);
        assert_eq!(ntpsec.count("nts_server_recv_bad"), 0);
    }
}

#[test]
fn new_keys_of_ntpd_rs_make_no_difference() {
    let scene = Scene::new(1);
    let star = &scene.star;
    let directory = &star.directory;
    let configuration = ntpd_rs::nts_server(&scene.identity(0), directory, 1);
    let server = NtpdRs::start(&star.servers[0], directory, "ntpd-rs", &configuration);
    let name = Star::server_name(0);
    let client = client(&scene, &nts_source(&scene, &name));
    answered(&client, &name, |_| true);
    // It keeps eight keys: after nine new ones, no cookie of the start is good.
    let keys = directory.path("ntpd-rs.keys");
    changes(&keys, 9);
    let sent = client.source(&name).sent;
    answered(&client, &name, |source| source.sent >= sent + 8);
    undisturbed(&client, &name, AES_SIV_CMAC_256);
    assert_eq!(server.server()["nts_nak_packets"], 0);
}

/// Waits until a file has changed so many times.
#[track_caller]
fn changes(file: &Path, times: u32) {
    let mut last = fs::read(file).unwrap_or_default();
    for _ in 0..times {
        let what = format!("{} to change", file.display());
        last = wait_for(&what, PATIENCE, || {
            let now = fs::read(file).unwrap_or_default();
            when(now, |now| !now.is_empty() && *now != last)
        });
    }
}

#[test]
fn a_server_that_is_started_again_is_asked_for_keys_only_if_it_has_lost_its_own() {
    let scene = Scene::new(1);
    let name = Star::server_name(0);
    let server = chrony_server(&scene, 0, Newest, "");
    // Not so often that all cookies are used up before the server is back.
    let client = client(&scene, &nts_source_every(&scene, &name, "1s"));
    let replies = |server: &Chronyd, what: &str| {
        wait_for(what, PATIENCE, || {
            when(served(server, "Authenticated NTP packets"), |count| {
                *count >= 4
            })
        });
    };
    replies(&server, "replies before");

    server.end();
    let server = chrony_server(&scene, 0, Newest, "");
    replies(&server, "replies under the same keys");
    assert_eq!(client.auth(&name).key_establishments, 1);
    assert_eq!(served(&server, "NTS-KE connections accepted"), 0);

    server.end();
    let state = scene.star.directory.path("chrony-0-state");
    fs::remove_dir_all(state).expect("remove the state of chronyd");
    let server = chrony_server(&scene, 0, Newest, "");
    replies(&server, "replies under new keys");
    assert_eq!(client.auth(&name).key_establishments, 2);
    assert_eq!(served(&server, "NTS-KE connections accepted"), 1);
}

#[test]
fn keys_and_cookies_outlive_a_restart_of_the_client() {
    let scene = Scene::new(1);
    let name = Star::server_name(0);
    let server = chrony_server(&scene, 0, Newest, "");
    let configuration = nts_source(&scene, &name);
    let first = client(&scene, &configuration);
    answered(&first, &name, |_| true);
    first.end();
    let second = client(&scene, &configuration);
    answered(&second, &name, |_| true);
    let auth = second.auth(&name);
    assert_eq!(auth.key_establishments, 0, "{auth:#?}");
    assert_eq!(auth.aead_id, Some(AES_128_GCM_SIV), "{auth:#?}");
    assert_eq!(auth.naks, 0, "{auth:#?}");
    assert_eq!(served(&server, "NTS-KE connections accepted"), 1);
}

#[test]
fn the_port_that_the_server_of_keys_names_is_asked() {
    let scene = Scene::new(1);
    let name = Star::server_name(0);
    let _server = chrony_server(&scene, 0, Newest, "port 1123\n");
    let client = client(&scene, &nts_source(&scene, &name));
    let source = answered(&client, &name, |_| true);
    assert_eq!(source.port, Some(1123), "{source:#?}");
    undisturbed(&client, &name, AES_128_GCM_SIV);
}

#[test]
fn query_tells_in_a_line_whether_a_server_has_keys() {
    let scene = Scene::new(2);
    let _with = chrony_server(&scene, 0, Newest, "");
    let star = &scene.star;
    let without = "local stratum 1\nallow\n";
    let _without = Chronyd::start(&star.servers[1], &star.directory, "without", without);
    let query = |server: &str| {
        let mut command = star.client.command(Path::new(CLOCKWRIGHT));
        command.args(["query", "--json", "--nts", "--trust"]);
        command.arg(scene.authority.certificate()).arg(server);
        let output = command.output().expect("run clockwright");
        let text = String::from_utf8_lossy(&output.stdout);
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
        });
        (output.status.code(), report[0].clone())
    };
    let (code, report) = query(&Star::server_name(0));
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["keys"]["aead_id"], AES_128_GCM_SIV, "{report:#}");
    assert_eq!(report["keys"]["cookies"], 8, "{report:#}");
    assert_eq!(report["received"], report["sent"], "{report:#}");
    let (code, report) = query(&Star::server_name(1));
    assert_eq!(code, Some(1), "{report:#}");
    assert_eq!(report["received"], 0, "{report:#}");
}
