//! Our server of other people's clients.

use clockwright::control::{KeyServerReport, ServerReport};

use crate::scene::{PATIENCE, Scene};
use crate::support::chrony::{self, AuthData, Chronyd, value};
use crate::support::daemon::Daemon;
use crate::support::ntpd_rs::{self, NtpdRs};
use crate::support::ntpsec::{self, Ntpsec};
use crate::support::peer::Version::{self, Newest, Release};
use crate::support::star::{SERVER, Star};
use crate::support::wait::{wait_for, when};

/// Our daemon as the first server, with NTS; `more` are further lines of `[server.nts]`.
fn server(scene: &Scene, more: &str) -> Daemon {
    let identity = scene.identity(0);
    let configuration = format!(
        "{SERVER}[server.nts]\nlisten = [\"0.0.0.0:4460\", \"[::]:4460\"]\n\
         certificate = \"{}\"\nkey = \"{}\"\n{more}",
        identity.certificate.display(),
        identity.key.display()
    );
    let star = &scene.star;
    Daemon::start(&star.servers[0], &star.directory, "ours", &configuration)
}

/// A chronyd of that version as its client, which asks for interleaved replies, eight times a
/// second.
fn chrony_client(scene: &Scene, version: Version, more: &str) -> Chronyd {
    let star = &scene.star;
    let options = format!("{} xleave", chrony::OFTEN);
    let asking = chrony::nts_client(Star::server_name(0), &scene.authority, &options) + more;
    Chronyd::start_version(version, &star.client, &star.directory, "chrony", &asking)
}

/// Waits until chronyd has had eight good replies, the last of them interleaved.
#[track_caller]
fn chronyd_is_content(chronyd: &Chronyd) {
    wait_for("chronyd to be content", PATIENCE, || {
        when(chronyd.ask("ntpdata"), |report| {
            let valid = value(report, "Total valid RX").and_then(|count| count.parse().ok());
            value(report, "Interleaved") == Some("Yes")
                && value(report, "Authenticated") == Some("Yes")
                && value(report, "NTP tests") == Some("111 111 1111")
                && valid.is_some_and(|valid: u32| valid >= 8)
        })
    });
}

/// Of keys that were established once and have served ever since.
#[track_caller]
fn is_undisturbed(data: &AuthData, aead: u16) {
    let seen = (data.mode.as_str(), data.algorithm, data.key_id, data.naks);
    assert_eq!(seen, ("NTS", aead, 1, 0), "{data:?}");
    // One of eight may be under way.
    assert!(data.cookies >= 7, "{data:?}");
}

fn keys(report: &ServerReport) -> &KeyServerReport {
    let keys = report.key_establishment.as_ref();
    keys.unwrap_or_else(|| panic!("a server of keys: {report:#?}"))
}

/// What our server says after one client has been served well.
#[track_caller]
fn one_client_was_served(server: &Daemon) -> ServerReport {
    let report = server.server();
    assert_eq!(keys(&report).established, 1, "{report:#?}");
    assert_eq!(
        keys(&report).refused.values().sum::<u64>(),
        0,
        "{report:#?}"
    );
    assert!(report.authenticated >= 1, "{report:#?}");
    assert_eq!(report.naks, 0, "{report:#?}");
    assert_eq!(report.dropped.values().sum::<u64>(), 0, "{report:#?}");
    report
}

/// A chronyd of that version gets these keys, and interleaved replies.
fn chronyd_is_served(version: Version, more: &str, aead: u16) {
    let scene = Scene::new(1);
    let server = server(&scene, "");
    let chronyd = chrony_client(&scene, version, more);
    chronyd_is_content(&chronyd);
    is_undisturbed(&chronyd.authdata(), aead);
    let report = one_client_was_served(&server);
    assert!(report.interleaved >= 1, "{report:#?}");
}

#[test]
fn the_newest_chronyd_is_served_with_aes_gcm_siv() {
    chronyd_is_served(Newest, "", 30);
}

#[test]
fn the_newest_chronyd_is_served_with_aes_siv_if_that_is_all_it_wants() {
    chronyd_is_served(Newest, "ntsaeads 15\n", 15);
}

#[test]
fn the_chronyd_of_this_release_is_served_with_aes_siv() {
    chronyd_is_served(Release, "", 15);
}

#[test]
fn ntpsec_is_served() {
    for version in [Newest, Release] {
        let scene = Scene::new(1);
        let star = &scene.star;
        let server = server(&scene, "");
        let asking = ntpsec::nts_client(Star::server_name(0), &scene.authority);
        let client = Ntpsec::start(version, &star.client, &star.directory, "ntpsec", &asking);
        wait_for("good replies", PATIENCE, || {
            when(client.count("nts_client_recv_good"), |count| *count >= 4)
        });
        assert_eq!(client.count("nts_client_recv_bad"), 0);
        let source = client.source("stratum,offset,ntscookies");
        assert_eq!(source["stratum"], "1", "{source:?}");
        // Both read the same clock; milliseconds.
        let offset: f64 = source["offset"].parse().expect("an offset");
        assert!(offset.abs() < 1.0, "{source:?}");
        one_client_was_served(&server);
    }
}

#[test]
fn ntpd_rs_is_served() {
    let scene = Scene::new(1);
    let star = &scene.star;
    let server = server(&scene, "");
    let asking = ntpd_rs::nts_client(Star::server_name(0), &scene.authority);
    let client = NtpdRs::start(&star.client, &star.directory, "ntpd-rs", &asking);
    wait_for("four replies", PATIENCE, || {
        when(server.server(), |report| report.authenticated >= 4)
    });
    let source = wait_for("the last of them", PATIENCE, || {
        when(client.source(), |source| source["unanswered_polls"] == 0)
    });
    assert_eq!(source["nts_cookies"], 8, "{source}");
    let offset = source["offset"].as_f64().expect("an offset");
    assert!(offset.abs() < 1e-3, "{source}");
    one_client_was_served(&server);
}

#[test]
fn new_keys_are_not_noticed_by_a_client() {
    let scene = Scene::new(1);
    let ours = server(&scene, "rotate = \"1s\"\n");
    let chronyd = chrony_client(&scene, Newest, "");
    chronyd_is_content(&chronyd);
    // Three keys open cookies: after four new ones, no cookie of the start is good.
    let mut last = keys(&ours.server()).cookie_key.clone();
    for _ in 0..4 {
        last = wait_for("a new key", PATIENCE, || {
            let now = keys(&ours.server()).cookie_key.clone();
            when(now, |now| *now != last)
        });
    }
    let authenticated = ours.server().authenticated;
    wait_for("replies under the new keys", PATIENCE, || {
        when(ours.server(), |report| {
            report.authenticated >= authenticated + 8
        })
    });
    is_undisturbed(&chronyd.authdata(), 30);
    one_client_was_served(&ours);
}

#[test]
fn a_restart_is_not_noticed_by_a_client() {
    let scene = Scene::new(1);
    let star = &scene.star;
    let ours = server(&scene, "");
    // Not so often that all cookies are used up before the server is back.
    let options = "iburst minpoll 0 maxpoll 0";
    let asking = chrony::nts_client(Star::server_name(0), &scene.authority, options);
    let chronyd = Chronyd::start_version(Newest, &star.client, &star.directory, "chrony", &asking);
    wait_for("replies before", PATIENCE, || {
        when(ours.server(), |report| report.authenticated >= 4)
    });
    ours.end();
    let ours = server(&scene, "");
    wait_for("replies after", PATIENCE, || {
        when(ours.server(), |report| report.authenticated >= 4)
    });
    wait_for("cookies for those that were lost", PATIENCE, || {
        when(chronyd.authdata(), |data| data.cookies >= 7)
    });
    is_undisturbed(&chronyd.authdata(), 30);
    let report = ours.server();
    let seen = (keys(&report).established, report.naks);
    assert_eq!(seen, (0, 0), "{report:#?}");
}

#[test]
fn a_client_that_is_started_again_uses_the_cookies_it_has_kept() {
    let scene = Scene::new(1);
    let ours = server(&scene, "");
    let chronyd = chrony_client(&scene, Newest, "");
    chronyd_is_content(&chronyd);
    chronyd.end();
    let before = ours.server().authenticated;
    let chronyd = chrony_client(&scene, Newest, "");
    chronyd_is_content(&chronyd);
    assert!(ours.server().authenticated >= before + 8);
    one_client_was_served(&ours);
}

#[test]
fn clients_are_sent_to_the_port_that_is_configured() {
    let scene = Scene::new(1);
    let star = &scene.star;
    let identity = scene.identity(0);
    let configuration = format!(
        "{}[server.nts]\nlisten = [\"[::]:4460\", \"0.0.0.0:4460\"]\nntp_port = 1123\n\
         certificate = \"{}\"\nkey = \"{}\"\n",
        SERVER.replace(":123", ":1123"),
        identity.certificate.display(),
        identity.key.display()
    );
    let ours = Daemon::start(&star.servers[0], &star.directory, "ours", &configuration);
    let chronyd = chrony_client(&scene, Newest, "");
    chronyd_is_content(&chronyd);
    one_client_was_served(&ours);
}
