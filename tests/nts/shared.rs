//! Cookie keys that several servers share, and keys that are handed out by another host.

use std::fs;
use std::path::{Path, PathBuf};

use clockwright::control::{SourceReport, SourceState};
use nix::sys::signal::Signal;

use crate::scene::{PATIENCE, Scene};
use crate::support::daemon::Daemon;
use crate::support::star::{SERVER, Star, source};
use crate::support::tls::Authority;
use crate::support::wait::{wait_for, when};

/// A file of secrets, the first of which seals.
fn secrets(scene: &Scene, of: &str, fills: &[u8]) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = scene.star.directory.path(&format!("{of}.secrets"));
    let draft = scene.star.directory.path("draft");
    let lines = fills.iter().map(|fill| format!("{fill:02x}").repeat(32));
    let text: Vec<String> = lines.collect();
    fs::write(&draft, format!("# shared\n{}\n", text.join("\n"))).expect("write secrets");
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).expect("protect them");
    fs::rename(&draft, &path).expect("put them in place");
    path
}

/// `[server.nts]` of a server, with these secrets.
fn nts(scene: &Scene, number: u8, keys: &Path, more: &str) -> String {
    let identity = scene.identity(number);
    format!(
        "[server.nts]\nlisten = [\"0.0.0.0:4460\", \"[::]:4460\"]\ncertificate = \"{}\"\n\
         key = \"{}\"\nkeys = \"{}\"\n{more}",
        identity.certificate.display(),
        identity.key.display(),
        keys.display()
    )
}

fn start(scene: &Scene, number: u8, configuration: &str) -> Daemon {
    let host = &scene.star.servers[usize::from(number)];
    Daemon::start(host, &scene.star.directory, host.name(), configuration)
}

/// Our client of the first server.
fn client(scene: &Scene) -> Daemon {
    let trusted = scene.authority.certificate().display();
    let asking = source(Star::server_name(0), "1/8s")
        + &format!("nts = {{ trusted_certificates = \"{trusted}\" }}\n");
    let star = &scene.star;
    Daemon::start(&star.client, &star.directory, "client", &asking)
}

/// Waits until the first server's name has brought so many replies.
fn replies(client: &Daemon, many: u64) -> SourceReport {
    let name = Star::server_name(0);
    client.wait_for_source(&name, "replies", PATIENCE, |source| {
        source.received >= many && source.reach & 7 == 7
    })
}

/// How often a host has said that it has read its secrets anew. It reports nothing of them that
/// hands out no keys.
fn times_read(host: &mut Daemon) -> usize {
    let log = host.process().log();
    log.matches("NTS cookie keys read anew").count()
}

#[test]
fn keys_of_one_host_are_good_for_the_time_of_another() {
    let scene = Scene::new(2);
    let (ours, theirs) = (
        secrets(&scene, "keys", &[0x11]),
        secrets(&scene, "time", &[0x11]),
    );
    // The first host hands out keys and tells nobody the time.
    let named = Star::server_ipv4(1);
    let more = format!("ntp_server = \"{named}\"\n");
    let only_keys = format!(
        "[server]\nallow = [\"10.84.0.0/16\", \"fd84::/16\"]\n{}",
        nts(&scene, 0, &ours, &more)
    );
    let mut keys = start(&scene, 0, &only_keys);
    // The second has the secrets, and neither a certificate nor a port for keys.
    let only_time = format!("{SERVER}[server.nts]\nkeys = \"{}\"\n", theirs.display());
    let mut time = start(&scene, 1, &only_time);
    let client = client(&scene);
    let source = replies(&client, 16);
    assert_eq!(source.address, Some(named.to_string()), "{source:#?}");
    let served = time.server();
    assert!(served.authenticated >= 16, "{served:#?}");
    assert!(served.key_establishment.is_none(), "{served:#?}");
    let handed_out = keys.server().key_establishment.expect("a server of keys");
    assert_eq!(handed_out.established, 1, "{handed_out:#?}");

    // A new secret, first known to both, then used by both, then alone: nobody notices.
    for fills in [&[0x11, 0x22][..], &[0x22, 0x11], &[0x22]] {
        let before = time.server().authenticated;
        secrets(&scene, "keys", fills);
        secrets(&scene, "time", fills);
        for host in [&mut keys, &mut time] {
            let read_before = times_read(host);
            host.reload_as_it_is();
            wait_for("the secrets to be read again", PATIENCE, || {
                when(times_read(host), |times| *times > read_before)
            });
        }
        let report = keys.server().key_establishment.expect("a server of keys");
        assert_eq!(report.cookie_keys as usize, fills.len(), "{report:#?}");
        // All cookies of the old one are used up by then.
        wait_for("more replies", PATIENCE, || {
            when(time.server(), |report| report.authenticated >= before + 10)
        });
    }
    let auth = client.auth(&Star::server_name(0));
    assert_eq!((auth.key_establishments, auth.naks), (1, 0), "{auth:#?}");
}

#[test]
fn a_server_that_is_not_trusted_any_more_is_not_followed_any_more() {
    let scene = Scene::new(1);
    let shared = secrets(&scene, "shared", &[0x44]);
    let _server = start(
        &scene,
        0,
        &format!("{SERVER}{}", nts(&scene, 0, &shared, "")),
    );
    let client = client(&scene);
    replies(&client, 8);
    // The authority is taken away, and nobody else vouches for the server.
    let name = Star::server_name(0);
    let others = Authority::new(&scene.star.directory, "others");
    let trusting = |authority: &Authority| {
        let trusted = authority.certificate().display();
        source(&name, "1/8s") + &format!("nts = {{ trusted_certificates = \"{trusted}\" }}\n")
    };
    client.reload(&trusting(&others));
    let auth = wait_for("its keys to be dropped", PATIENCE, || {
        when(client.auth(&name), |auth| {
            auth.last_error.is_some() && auth.aead.is_none()
        })
    });
    assert_eq!(auth.cookies, 0, "{auth:#?}");
    let source = client.source(&name);
    assert_ne!(source.state, SourceState::Selected, "{source:#?}");
    // Nor do its keys come back with a restart.
    client.end();
    let again = Daemon::start(
        &scene.star.client,
        &scene.star.directory,
        "client",
        &trusting(&others),
    );
    let auth = wait_for("a refusal", PATIENCE, || {
        when(again.auth(&name), |auth| auth.last_error.is_some())
    });
    assert_eq!((auth.aead, auth.key_establishments), (None, 0));
    again.reload(&trusting(&scene.authority));
    replies(&again, 8);
}

#[test]
fn after_a_crash_no_cookie_is_used_again() {
    let scene = Scene::new(1);
    let shared = secrets(&scene, "shared", &[0x33]);
    let server = start(
        &scene,
        0,
        &format!("{SERVER}{}", nts(&scene, 0, &shared, "")),
    );
    let mut first = client(&scene);
    replies(&first, 8);
    let saved = scene.star.directory.path("client-state/nts-sessions.json");
    assert!(!saved.exists(), "nothing to be used twice is on the disk");
    first.process().signal(Signal::SIGKILL);
    first.process().wait(PATIENCE);
    drop(first);
    assert!(!saved.exists());
    let second = client(&scene);
    replies(&second, 8);
    let auth = second.auth(&Star::server_name(0));
    assert_eq!(auth.key_establishments, 1, "{auth:#?}");

    // One that ends well leaves them behind, for its owner only, and the next takes them.
    second.end();
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&saved).expect("sessions"));
    assert_eq!(mode & 0o777, 0o600);
    let third = client(&scene);
    assert!(!saved.exists(), "gone before the first of them is used");
    replies(&third, 8);
    let auth = third.auth(&Star::server_name(0));
    assert_eq!((auth.key_establishments, auth.naks), (0, 0), "{auth:#?}");
    let established = server
        .server()
        .key_establishment
        .map(|keys| keys.established);
    assert_eq!(established, Some(2));
}
