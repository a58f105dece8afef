//! A host whose clock starts wrong, and certificates that are out of date by it.
//!
//! The time is 2031 here: the servers' clocks and certificates say so. By this host's clock, and by
//! the time at which the program was built, the certificates are not valid yet.

use std::time::Duration;

use clockwright::control::{SourceState, StatusReport};

use crate::scene::{PATIENCE, Scene};
use crate::support::daemon::Daemon;
use crate::support::star::{SERVER, Star, source};
use crate::support::tls::Validity;
use crate::support::wait::{wait_for, when};

/// Five years ahead.
const LATER: &str = "1826d";
/// A certificate that is valid in 2031 and not today.
const THEN: Validity = Validity::Years(2030, 2040);

/// A server `number` whose clock is ahead by so much, with such a certificate.
fn server(scene: &Scene, number: u8, ahead: &str, validity: Validity) -> Daemon {
    let star = &scene.star;
    let name = Star::server_name(number);
    let identity = scene
        .authority
        .issue(&star.directory, &name, &[&name], validity);
    let configuration = format!(
        "{SERVER}[server.nts]\nlisten = [\"0.0.0.0:4460\", \"[::]:4460\"]\n\
         certificate = \"{}\"\nkey = \"{}\"\n\
         [clock]\nkind = \"virtual\"\nvirtual = {{ error = \"{ahead}\" }}\n",
        identity.certificate.display(),
        identity.key.display()
    );
    let host = &star.servers[usize::from(number)];
    Daemon::start(host, &star.directory, host.name(), &configuration)
}

/// Asks the first `count` servers, with a clock that shows today.
fn configuration(scene: &Scene, count: u8, nts: &str) -> String {
    let trusted = scene.authority.certificate().display();
    let sources: String = (0..count)
        .map(|number| {
            source(Star::server_name(number), "1/8s")
                + &format!("nts = {{ trusted_certificates = \"{trusted}\"{nts} }}\n")
        })
        .collect();
    let clock = "[clock]\nkind = \"virtual\"\nvirtual = { error = \"0s\", drift = \"5ppm\" }\n";
    format!("{sources}{clock}")
}

/// A client of the first `count` servers, with a clock that shows today.
fn client(scene: &Scene, count: u8, nts: &str) -> Daemon {
    let star = &scene.star;
    let configuration = configuration(scene, count, nts);
    Daemon::start(&star.client, &star.directory, "client", &configuration)
}

/// Waits until its clock is as far ahead of today's as the servers' are, and synchronised.
#[track_caller]
fn arrives(client: &Daemon, ahead_s: f64) -> StatusReport {
    client.wait_for_status("the clock to be right", PATIENCE, |status| {
        status.synchronized
            && status
                .true_error_s
                .is_some_and(|error| (error - ahead_s).abs() < 1e-3)
    })
}

const FIVE_YEARS_S: f64 = 1826.0 * 86_400.0;

#[test]
fn a_majority_vouches_for_certificates_and_is_looked_at_again() {
    let scene = Scene::new(3);
    let _servers: Vec<Daemon> = (0..3)
        .map(|number| server(&scene, number, LATER, THEN))
        .collect();
    let mut client = client(&scene, 3, "");
    arrives(&client, FIVE_YEARS_S);
    for number in 0..3 {
        let name = Star::server_name(number);
        let auth = wait_for("its certificate to be beyond doubt", PATIENCE, || {
            when(client.auth(&name), |auth| !auth.provisional)
        });
        assert_eq!(auth.last_error, None, "{auth:#?}");
        assert_eq!(auth.key_establishments, 1, "{auth:#?}");
    }
    let log = client.process().log();
    assert!(
        log.contains("3 NTS servers agree that it is 2031-"),
        "{log}"
    );
    assert!(log.contains("its certificate is valid at 2031-"), "{log}");
}

#[test]
fn an_expired_certificate_is_not_revived_by_the_majority() {
    let scene = Scene::new(3);
    let _servers = [
        server(&scene, 0, LATER, THEN),
        server(&scene, 1, LATER, THEN),
        // Valid for a while after today, and not any more in 2031.
        server(&scene, 2, LATER, Validity::Years(2028, 2030)),
    ];
    let client = client(&scene, 3, "");
    arrives(&client, FIVE_YEARS_S);
    let name = Star::server_name(2);
    let auth = wait_for("the third to be refused", PATIENCE, || {
        when(client.auth(&name), |auth| {
            auth.last_error.is_some() && auth.aead.is_none()
        })
    });
    let why = auth.last_error.unwrap_or_default();
    assert!(why.contains("2031-") || why.contains("expired"), "{why}");
    let source = client.source(&name);
    assert!(
        !matches!(source.state, SourceState::Selected | SourceState::Combined),
        "{source:#?}"
    );
}

#[test]
fn a_liar_who_sets_the_time_alone_is_not_believed() {
    let scene = Scene::new(3);
    let _servers = [
        server(&scene, 0, LATER, THEN),
        server(&scene, 1, LATER, THEN),
        server(&scene, 2, "2556d", THEN),
    ];
    let client = client(&scene, 3, "");
    arrives(&client, FIVE_YEARS_S);
    let liar = client.wait_for_source(
        &Star::server_name(2),
        "the liar to be named",
        PATIENCE,
        |source| source.state == SourceState::Falseticker || source.state == SourceState::Unusable,
    );
    assert!(liar.reason.is_some(), "{liar:#?}");
}

#[test]
fn a_certificate_that_is_valid_by_the_wrong_clock_is_not_believed_alone() {
    let scene = Scene::new(3);
    // Somebody has the key of a certificate that was valid in 2026, and would like it to be 2026.
    let _old = server(&scene, 0, "0s", Validity::Years(2025, 2028));
    let _honest = server(&scene, 1, LATER, THEN);
    let client = client(&scene, 3, "");
    let name = Star::server_name(0);
    // Longer than a source that is believed waits for the others, which is five seconds.
    client.wait_for_source(&name, "sixty samples", PATIENCE, |source| {
        source.received >= 60
    });
    let status = client.status();
    assert!(!status.synchronized, "{status:#?}");
    // Another one breaks the tie.
    let _another = server(&scene, 2, LATER, THEN);
    client.wait_for_status("the clock to be right", PATIENCE * 2, |status| {
        let error = status.true_error_s;
        status.synchronized && error.is_some_and(|error| (error - FIVE_YEARS_S).abs() < 1e-3)
    });
    let auth = wait_for("the old one to be refused", PATIENCE, || {
        when(client.auth(&name), |auth| auth.last_error.is_some())
    });
    let why = auth.last_error.unwrap_or_default();
    assert!(why.contains("2031-") || why.contains("2028-"), "{why}");
}

/// What one server's samples come to when they are measured and not believed.
fn is_not_believed(client: &mut Daemon) {
    let name = Star::server_name(0);
    client.wait_for_source(&name, "samples that do not count", PATIENCE, |source| {
        source.received >= 16 && source.state == SourceState::Unusable
    });
    let status = client.status();
    assert!(!status.synchronized, "{status:#?}");
    assert!(
        status.true_error_s.is_some_and(|error| error.abs() < 1.0),
        "the clock was not touched: {status:#?}"
    );
}

#[test]
fn one_server_alone_cannot_vouch_for_itself() {
    let scene = Scene::new(1);
    let _server = server(&scene, 0, LATER, THEN);
    let mut alone = client(&scene, 1, "");
    is_not_believed(&mut alone);
    assert!(alone.auth(&Star::server_name(0)).provisional);
    let log = alone.process().log();
    assert!(
        log.contains("cannot vouch for itself") && log.contains("check_time = false"),
        "{log}"
    );
    // Nor does a restart make it more than it was.
    alone.end();
    let mut again = client(&scene, 1, "");
    is_not_believed(&mut again);
    assert_eq!(again.auth(&Star::server_name(0)).key_establishments, 1);
}

#[test]
fn two_of_which_one_lies_are_no_majority() {
    let scene = Scene::new(2);
    let _servers = [
        server(&scene, 0, LATER, THEN),
        server(&scene, 1, "2556d", THEN),
    ];
    is_not_believed(&mut client(&scene, 2, ""));
}

#[test]
fn the_last_resort_asks_no_date() {
    let scene = Scene::new(1);
    let _server = server(&scene, 0, LATER, THEN);
    let client = client(&scene, 1, ", check_time = false");
    arrives(&client, FIVE_YEARS_S);
}

#[test]
fn once_the_clock_has_been_right_dates_are_checked_by_it() {
    let scene = Scene::new(2);
    let _right = server(&scene, 0, "0s", Validity::Now);
    let client = client(&scene, 2, "");
    arrives(&client, 0.0);
    // Now comes one with a certificate of the future.
    let _later = server(&scene, 1, LATER, THEN);
    let name = Star::server_name(1);
    let auth = wait_for("a refusal", Duration::from_secs(40), || {
        when(client.auth(&name), |auth| {
            let why = auth.last_error.as_deref().unwrap_or_default();
            why.contains("not valid")
        })
    });
    assert!(!auth.provisional && auth.aead.is_none(), "{auth:#?}");
}

#[test]
fn who_was_doubted_for_anothers_sake_is_believed_when_that_one_is_gone() {
    let scene = Scene::new(2);
    let _right = server(&scene, 0, "0s", Validity::Now);
    let _early = server(&scene, 1, "0s", THEN);
    let client = client(&scene, 2, "");
    let name = Star::server_name(0);
    let auth = wait_for("the clock to be in doubt", PATIENCE, || {
        when(client.auth(&name), |auth| auth.provisional)
    });
    let why = auth.doubt.unwrap_or_default();
    assert!(why.contains("the clock is behind"), "{why}");
    let early = client.auth(&Star::server_name(1));
    let why = early.doubt.unwrap_or_default();
    assert!(why.contains("not valid before 2030-"), "{why}");

    client.reload(&configuration(&scene, 1, ""));
    arrives(&client, 0.0);
    let auth = client.auth(&name);
    assert!(!auth.provisional && auth.doubt.is_none(), "{auth:#?}");
    assert_eq!(auth.key_establishments, 1, "{auth:#?}");
}

#[test]
fn a_certificate_is_not_good_for_a_time_at_which_it_has_expired() {
    let scene = Scene::new(1);
    let _server = server(&scene, 0, LATER, Validity::Years(2025, 2028));
    let client = client(&scene, 1, "");
    let name = Star::server_name(0);
    let auth = wait_for("a refusal", PATIENCE, || {
        when(client.auth(&name), |auth| auth.last_error.is_some())
    });
    let why = auth.last_error.unwrap_or_default();
    assert!(
        why.contains("expired at 2028-") && why.contains("2031-"),
        "{why}"
    );
}
