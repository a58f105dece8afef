//! Who is believed to be whom.

use super::certificates::{Authority, GOOD, Wanted, self_signed};
use super::*;
use crate::config::Host;
use crate::nts::client::trust::Trust;

/// A root, and where its certificate is.
fn root(files: &Files) -> (Authority, Vec<PathBuf>) {
    let root = Authority::root("a root");
    let file = files.write("root.pem", &root.pem());
    (root, vec![file])
}

#[test]
fn a_chain_that_leads_to_a_trusted_root_is_accepted() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let below = root.below("between", (0, 1000)).below("below", (0, 1000));
    for issued in [root.issue(GOOD), below.issue(GOOD)] {
        let established = tried(issued, &trusted, |_| ()).unwrap();
        assert!(!established.proof.is_provisional());
        assert_eq!(established.session.cookies.len(), 8);
    }
}

#[test]
fn more_certificates_than_are_in_use_anywhere_are_not_looked_at() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let with = |others: usize| {
        let mut issued = root.issue(GOOD);
        let other = self_signed(GOOD).chain.remove(0);
        issued.chain.extend(vec![other; others]);
        tried(issued, &trusted, |_| ())
    };
    assert!(with(8).is_ok());
    let rejection = rejected(with(9));
    assert_eq!(rejection, Rejection::TooMany(10));
    let words = rejection.to_string();
    assert!(
        words.contains("sent 10 certificates, and more than 9 are not looked at"),
        "{words}"
    );
}

#[test]
fn certificates_of_several_files_and_several_in_one_count() {
    let files = Files::new();
    let roots = ["one", "two", "three", "four"].map(Authority::root);
    let [first, rest @ ..] = &roots;
    let trusted = [
        files.write("one.pem", &first.pem()),
        files.write(
            "more.pem",
            &rest.iter().map(Authority::pem).collect::<String>(),
        ),
    ];
    for root in &roots {
        tried(root.issue(GOOD), &trusted, |_| ()).unwrap();
    }
    assert!(tried(roots[2].issue(GOOD), &trusted[..1], |_| ()).is_err());
}

#[test]
fn an_unknown_issuer_is_named_as_such() {
    let files = Files::new();
    let (_, trusted) = root(&files);
    let below = Authority::root("another root").below("below", (0, 1000));
    let rejection = rejected(tried(below.issue(GOOD), &trusted, |_| ()));
    assert_eq!(rejection, Rejection::UnknownIssuer(2));
    let words = rejection.to_string();
    assert!(words.contains("nts.trusted_certificates"), "{words}");
    assert!(words.contains("fullchain.pem"), "{words}");
    assert!(words.contains("sent: 2"), "{words}");
    // Nor does another authority by the same name count.
    let same_name = Authority::root("a root").issue(GOOD);
    let rejection = rejected(tried(same_name, &trusted, |_| ()));
    assert_eq!(rejection, Rejection::Signature);
}

#[test]
fn a_name_that_is_not_in_the_certificate_is_refused_and_those_that_are_are_told() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let named = |names| root.issue(Wanted { names, ..GOOD });
    let other = named(&["other.example", "*.some.example", "192.0.2.7"]);
    let words = rejected(tried(other, &trusted, |_| ())).to_string();
    assert!(
        words.contains(
            "is not for ntp.example but for other.example, *.some.example, 192.0.2.7: is it"
        ),
        "{words}"
    );
    let many: Vec<String> = (0..30).map(|n| format!("n{n}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let words = rejected(tried(
        root.issue(Wanted {
            names: &many,
            ..GOOD
        }),
        &trusted,
        |_| (),
    ));
    assert!(words.to_string().contains("n7.example and 22 more"));
    let nameless = rejected(tried(named(&[]), &trusted, |_| ())).to_string();
    assert!(nameless.contains("subjectAltName"), "{nameless}");
    // A star stands for what is between two dots.
    let called = |name: &str| {
        let name = name.parse().unwrap();
        move |order: &mut KeOrder| order.name = name
    };
    let star = || named(&["*.some.example"]);
    tried(star(), &trusted, called("a.some.example")).unwrap();
    assert!(tried(star(), &trusted, called("a.b.some.example")).is_err());
}

#[test]
fn an_address_is_looked_for_among_addresses_and_told_to_nobody() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let by_address = |address: &str| {
        let name = address.parse::<Host>().unwrap();
        move |order: &mut KeOrder| order.name = name
    };
    let names = &["127.0.0.1", "2001:db8::1"];
    let issued = || root.issue(Wanted { names, ..GOOD });
    tried(issued(), &trusted, by_address("2001:db8::1")).unwrap();
    let rejection = rejected(tried(issued(), &trusted, by_address("127.0.0.2")));
    let words = rejection.to_string();
    assert!(
        words.contains("127.0.0.2") && words.contains("127.0.0.1"),
        "{words}"
    );

    for (name, told) in [("127.0.0.1", None), ("ntp.example", Some("ntp.example"))] {
        let names = &["127.0.0.1", "ntp.example"];
        let issued = root.issue(Wanted { names, ..GOOD });
        let seen = on_one_thread(async {
            let server = good(issued).await;
            let mut order = order(server.address, trusted.clone());
            order.name = name.parse().unwrap();
            establish(order).await.unwrap();
            server.served().await
        });
        assert_eq!(seen.name.as_deref(), told);
    }
}

#[test]
fn what_is_not_meant_for_servers_is_refused() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let client = Wanted {
        for_servers: false,
        ..GOOD
    };
    let rejection = rejected(tried(root.issue(client), &trusted, |_| ()));
    assert_eq!(rejection, Rejection::Purpose);
    let own = self_signed(client);
    let named = files.write("own.pem", &own.pem);
    assert_eq!(
        rejected(tried(own, &[named], |_| ())),
        Rejection::Purpose,
        "also where it is named"
    );
}

#[test]
fn a_self_signed_certificate_is_accepted_where_it_is_named() {
    let files = Files::new();
    let (_, trusted) = root(&files);
    for authority in [false, true] {
        let wanted = Wanted { authority, ..GOOD };
        let own = self_signed(wanted);
        let named = files.write("own.pem", &own.pem);
        let rejection = rejected(tried(own, &trusted, |_| ()));
        assert_eq!(rejection, Rejection::SelfSigned);

        let own = self_signed(wanted);
        let named_too = files.write("this.pem", &own.pem);
        // The other's, by the same name, is none.
        let both = [named, named_too.clone()];
        tried(own, &both, |_| ()).unwrap();
        let other = rejected(tried(self_signed(wanted), &[named_too], |_| ()));
        assert_eq!(other, Rejection::SelfSigned);
    }
}

#[test]
fn named_or_not_name_and_dates_must_be_right() {
    let files = Files::new();
    for authority in [false, true] {
        let wanted = Wanted { authority, ..GOOD };
        for (number, expired) in [(191, true), (99, false)] {
            let own = self_signed(wanted);
            let named = files.write("own.pem", &own.pem);
            let rejection = rejected(tried(own, &[named], on(number)));
            assert_eq!(
                matches!(rejection, Rejection::Expired(..)),
                expired,
                "{rejection:?}"
            );
            assert!(rejection.is_about_dates(), "{rejection:?}");
        }
        let names = &["other.example"];
        let own = self_signed(Wanted { names, ..wanted });
        let named = files.write("own.pem", &own.pem);
        let rejection = rejected(tried(own, &[named], |_| ()));
        assert!(
            matches!(rejection, Rejection::WrongName { .. }),
            "{rejection:?}"
        );
    }
}

#[test]
fn a_servers_certificate_that_is_named_makes_it_no_authority() {
    let files = Files::new();
    let (root, _) = root(&files);
    let server = root.impostor();
    let named = [files.write("server.pem", &server.pem())];
    // It is trusted as itself, without its issuer...
    tried(server.show(), &named, |_| ()).unwrap();
    // ...and not for what it signs.
    let forged = server.issue(GOOD);
    let words = rejected(tried(forged, &named, |_| ())).to_string();
    assert!(words.contains("EndEntityUsedAsCa"), "{words}");
    let mut forged = server.issue(GOOD);
    forged.chain.truncate(1);
    let rejection = rejected(tried(forged, &named, |_| ()));
    assert!(
        matches!(rejection, Rejection::UnknownIssuer(1)),
        "{rejection:?}"
    );
}

#[test]
fn files_that_cannot_be_used_are_named_with_the_reason() {
    let files = Files::new();
    let missing = files.0.join("missing.pem");
    let none = files.write("none.pem", "just text\n");
    let torn = files.write(
        "torn.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let bad = files.write(
        "bad.pem",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    );
    for (file, why) in [
        (missing, "No such file"),
        (none, "no certificate is in"),
        (torn, "cannot be used"),
        (bad, "cannot be used"),
    ] {
        let error = Trust::gather(Vec::new(), std::slice::from_ref(&file)).unwrap_err();
        let words = error.to_string();
        assert!(words.contains(why), "{words}");
        assert!(words.contains(file.to_str().unwrap()), "{words}");
        assert!(words.contains("nts.trusted_certificates"), "{words}");
    }
    let nobody = Trust::gather(Vec::new(), &[]).unwrap_err().to_string();
    assert!(nobody.contains("ca-certificates"), "{nobody}");
}
