//! Keys of NTS: sources that use it, and handing out keys.

use std::path::{Path, PathBuf};

use clockwright_timebase::Duration;

use super::{SOURCE, parse, refused};
use crate::config::{
    Authentication, Changes, Config, ConnectionRateConfig, KE_PORT, NtsRateConfig, NtsSettings,
    ServerNtsConfig, SourceConfig,
};

/// The only source of a configuration in which it has these further keys.
fn source(keys: &str) -> SourceConfig {
    let config = parse(&format!("{SOURCE}{keys}\n")).unwrap();
    config.servers().next().unwrap().clone()
}

/// What a configuration that is right apart from that says of `[server.nts]`.
fn refused_server(keys: &str) -> String {
    refused(&format!(
        "{SOURCE}[server]\nlisten = [\"[::]:123\"]\n[server.nts]\n{keys}\n"
    ))
}

const SERVER: &str = "listen = [\"[::]:4460\"]\ncertificate = \"/c.pem\"\nkey = \"/k.pem\"\n";

#[test]
fn a_source_uses_nts_by_a_word_or_a_table() {
    assert_eq!(source("").settings.nts, None);
    assert_eq!(source("nts = false").settings.nts, None);
    assert_eq!(source("nts = false").address, source("").address);
    let defaults = NtsSettings {
        port: 4460,
        trusted_certificates: Vec::new(),
        check_time: true,
    };
    for text in [
        "nts = true",
        "nts = {}",
        "nts = { port = 4460 }",
        "[source.nts]",
    ] {
        let source = source(text);
        assert_eq!(source.settings.nts, Some(defaults.clone()), "{text}");
        assert_eq!(source.address.ke_port, Some(KE_PORT), "{text}");
        assert_eq!(source.address.port, 123, "{text}");
        assert_eq!(source.address.to_string(), "server a.example with NTS");
    }
}

#[test]
fn one_path_needs_no_brackets() {
    let trusted = |paths: &str| {
        let source = source(&format!("nts = {{ trusted_certificates = {paths} }}"));
        source.settings.nts.unwrap().trusted_certificates
    };
    assert_eq!(trusted("\"/a.pem\""), [Path::new("/a.pem")]);
    let two = [Path::new("/a.pem"), Path::new("/b.pem")];
    assert_eq!(trusted("[\"/a.pem\", \"/b.pem\"]"), two);
    assert!(trusted("[]").is_empty());
}

#[test]
fn nts_of_a_source_says_what_is_wrong() {
    assert_eq!(
        refused(&format!("{SOURCE}nts = \"yes\"\n")),
        "c.toml:3:7: expected true, false or a table, found a string
    | nts = \"yes\"
    |       ^^^^^
    = allowed keys: port, trusted_certificates, check_time"
    );
    for (text, what) in [
        ("nts = { port = 0 }", "port 0 is not a port"),
        ("nts = { prot = 1 }", "unknown key `prot` in [source.nts]"),
        (
            "nts = { trusted_certificates = \"root.pem\" }",
            "c.toml:3:32: `root.pem` is not an absolute path",
        ),
        (
            "nts = { trusted_certificates = [\"/a\", 1] }",
            "expected an absolute path, found an integer",
        ),
    ] {
        let shown = refused(&format!("{SOURCE}{text}\n"));
        assert!(shown.contains(what), "{text}: {shown}");
        assert_eq!(shown.matches("c.toml:").count(), 1, "{text}: {shown}");
    }
    let shown = refused("[[source]]\nphc = \"eth0\"\nnts = true\n");
    assert!(
        shown.contains("`nts` goes with `server` and `pool`, and this source is a PTP hardware"),
        "{shown}"
    );
}

#[test]
fn a_server_with_and_without_nts_is_given_twice() {
    let twice = |one: &str, two: &str| {
        parse(&format!("{SOURCE}{one}\n{SOURCE}{two}\n")).map_err(|invalid| invalid.to_string())
    };
    let shown = twice("", "nts = true").unwrap_err();
    assert!(
        shown.contains("c.toml:4:1: server a.example with NTS is a source already"),
        "{shown}"
    );
    assert!(twice("nts = true", "").is_err());
    assert!(twice("nts = true", "nts = { check_time = false }").is_err());
    // Behind two ports there can be two servers.
    assert!(twice("nts = true", "nts = { port = 4461 }").is_ok());
    assert!(twice("nts = true", "port = 124").is_ok());
}

#[test]
fn nts_and_its_port_make_another_source_on_reload_and_the_rest_does_not() {
    let change = |old: &str, new: &str| {
        let config = |keys: &str| parse(&format!("{SOURCE}{keys}\n")).unwrap();
        let Changes {
            added,
            removed,
            altered,
            ..
        } = config(old).changes_to(&config(new));
        (added.len(), removed.len(), altered.len())
    };
    let (another, same, altered) = ((1, 1, 0), (0, 0, 0), (0, 0, 1));
    assert_eq!(change("", "nts = true"), another);
    assert_eq!(change("nts = true", "nts = false"), another);
    assert_eq!(change("nts = true", "nts = { port = 4461 }"), another);
    assert_eq!(change("nts = true", "nts = {}"), same);
    assert_eq!(
        change("nts = true", "nts = { check_time = false }"),
        altered
    );
    let trusts = "nts = { trusted_certificates = \"/a\" }";
    assert_eq!(change("nts = true", trusts), altered);
}

#[test]
fn handing_out_keys_needs_little() {
    let text = format!("{SOURCE}[server]\nlisten = [\"[::]:123\"]\n[server.nts]\n{SERVER}");
    let expected = ServerNtsConfig {
        listen: vec!["[::]:4460".parse().unwrap()],
        certificates: vec!["/c.pem".into()],
        private_keys: vec!["/k.pem".into()],
        keys: None,
        rotate: Duration::from_secs(86_400),
        ntp_server: None,
        ntp_port: None,
        max_connections: 1024,
        max_connections_per_address: 16,
        connection_rate: Some(ConnectionRateConfig {
            interval: Duration::from_secs(1),
            burst: 32,
        }),
        rate: None,
    };
    assert_eq!(parse(&text).unwrap().server.unwrap().nts, Some(expected));
}

#[test]
fn every_key_of_handing_out_keys_is_read() {
    let server = parse(super::EVERYTHING).unwrap().server.unwrap();
    let paths = |name: &str| ["a", "b"].map(|d| PathBuf::from(format!("/{d}/{name}.pem")));
    let expected = ServerNtsConfig {
        listen: vec!["[::1]:4461".parse().unwrap()],
        certificates: paths("cert").to_vec(),
        private_keys: paths("key").to_vec(),
        keys: Some("/shared".into()),
        ntp_server: Some("ntp.example".parse().unwrap()),
        ntp_port: Some(124),
        max_connections: 9,
        max_connections_per_address: 2,
        connection_rate: Some(ConnectionRateConfig {
            interval: Duration::from_secs(4),
            burst: 5,
        }),
        rate: Some(NtsRateConfig {
            interval: Duration::from_millis(1),
            burst: 6,
            leak: 8,
        }),
        ..ServerNtsConfig::default()
    };
    assert_eq!(server.nts, Some(expected));
    // It cannot be given beside `keys`.
    let rotated = format!("{SERVER}rotate = \"1h\"\nntp_server = \"a\"\n");
    let config = parse(&format!("[server.nts]\n{rotated}")).unwrap();
    let nts = config.server.unwrap().nts.unwrap();
    assert_eq!(nts.rotate, Duration::from_secs(3600));
}

#[test]
fn handing_out_keys_says_what_is_wrong() {
    let shown = refused_server("");
    for said in [
        "c.toml:5:1: [server.nts] does not say where to listen",
        "= for all addresses: listen = [\"[::]:4460\", \"0.0.0.0:4460\"]",
        "c.toml:5:1: [server.nts] has no `certificate`",
        "= for example certificate = \"/etc/clockwright/tls/fullchain.pem\" and key = \"/etc",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    for (keys, what) in [
        (
            "certificate = \"/c\"\nlisten = [\"[::]:1\"]",
            "[server.nts] has no `key`",
        ),
        (
            "key = \"/k\"\nlisten = [\"[::]:1\"]",
            "[server.nts] has no `certificate`",
        ),
        (
            "listen = [\"[::]:1\"]\ncertificate = [\"/c\", \"/d\"]\nkey = \"/k\"",
            "c.toml:8:7: the numbers of certificates and of private keys differ: 2 and 1",
        ),
    ] {
        let shown = refused_server(keys);
        assert!(shown.contains(what), "{keys}: {shown}");
        assert_eq!(shown.matches("c.toml:").count(), 1, "{keys}: {shown}");
    }
    for (keys, what) in [
        (
            "keys = \"/s\"\nrotate = \"1h\"",
            "`rotate` has no effect with `keys`",
        ),
        ("rotate = \"999ms\"", "must be at least 1s"),
        ("ntp_port = 0", "port 0 is not a port"),
        ("max_connections = 0", "0 is not between 1 and 65536"),
        (
            "max_connections = 65537",
            "65537 is not between 1 and 65536",
        ),
        ("max_connections_per_address = 0", "the least is 1"),
        ("ntp_server = \"a:123\"", "write `port = 123` beside it"),
    ] {
        let shown = refused_server(&format!("{SERVER}{keys}"));
        assert!(shown.contains(what), "{keys}: {shown}");
    }
    let shown = refused_server("listen = [\"[::]\"]");
    assert!(shown.contains("`[::]` is not an IP address"), "{shown}");
    // What else may be missing is not known then.
    assert_eq!(shown.matches("c.toml:").count(), 1, "{shown}");
}

#[test]
fn a_host_that_only_hands_out_keys_needs_neither_a_source_nor_a_port() {
    let only = format!("[server.nts]\n{SERVER}ntp_server = \"ntp.example\"\n");
    let config = parse(&only).unwrap();
    assert!(config.server.unwrap().only_hands_out_keys());
    assert!(parse(&format!("{SOURCE}{only}")).is_ok());

    let shown = refused(&format!("{SOURCE}[server]\n[server.nts]\n{SERVER}"));
    assert!(
        shown.contains("c.toml:4:1: keys would be handed out for a server that is nowhere"),
        "{shown}"
    );
    assert_eq!(shown.matches("c.toml:").count(), 1, "{shown}");

    // One that serves its own clock needs something to set it by.
    let shown = refused(&format!("[server]\nlisten = [\"[::]:123\"]\n{only}"));
    assert!(
        shown.contains("without any [[source]] the clock is never"),
        "{shown}"
    );
}

#[test]
fn a_host_whose_keys_another_one_hands_out_needs_only_the_secrets() {
    let served = format!("{SOURCE}[server]\nlisten = [\"[::]:123\"]\n[server.nts]\n");
    let config = parse(&format!("{served}keys = \"/s\"\n")).unwrap();
    let nts = config.server.unwrap().nts.unwrap();
    assert!(nts.only_opens_cookies());
    assert_eq!(nts.keys.as_deref(), Some(Path::new("/s")));
    let both = parse(&format!("{served}{SERVER}keys = \"/s\"\n")).unwrap();
    assert!(!both.server.unwrap().nts.unwrap().only_opens_cookies());

    // Half of what hands out keys, or a server that clients are to be sent to.
    for (keys, what) in [
        ("listen = [\"[::]:4460\"]", "has no `certificate`"),
        ("certificate = \"/c\"", "[server.nts] has no `key`"),
        ("key = \"/k\"", "[server.nts] has no `certificate`"),
        (
            "ntp_server = \"a\"",
            "[server.nts] does not say where to listen",
        ),
        (
            "ntp_port = 124",
            "`ntp_port` has no effect where no keys are",
        ),
        ("max_connections = 9", "`max_connections` has no effect"),
        (
            "connection_rate = true",
            "`connection_rate` has no effect where no keys are",
        ),
        ("rotate = \"1h\"", "`rotate` has no effect with `keys`"),
    ] {
        let shown = refused_server(&format!("keys = \"/s\"\n{keys}"));
        assert!(shown.contains(what), "{keys}: {shown}");
    }
    // Nobody can bring a cookie to it.
    let shown = refused(&format!("{SOURCE}[server.nts]\nkeys = \"/s\"\n"));
    assert!(shown.contains("nobody to bring them"), "{shown}");
    assert_eq!(shown.matches("c.toml:").count(), 1, "{shown}");
}

#[test]
fn required_authentication_needs_a_source_that_has_it() {
    let with = |sources: &str| -> Result<Config, String> {
        let text = format!("{sources}\n[selection]\nauthentication = \"require\"\n");
        parse(&text).map_err(|invalid| invalid.to_string())
    };
    let shown = with(SOURCE).unwrap_err();
    assert!(
        shown.contains("c.toml:5:18: authentication is required, and no source has it")
            && shown.contains("= add nts = true to the sources"),
        "{shown}"
    );
    assert!(with(&format!("{SOURCE}nts = true")).is_ok());
    assert!(with(&format!("{SOURCE}[[source]]\nphc = \"eth0\"")).is_ok());
    // Shared memory from unit 2 on is every user's.
    assert!(with("[[source]]\nshm = 1").is_ok());
    assert!(with("[[source]]\nshm = 2").is_err());
    let shown = refused(&format!(
        "{SOURCE}[selection]\nauthentication = \"required\"\n"
    ));
    assert!(shown.contains("did you mean \"require\"?"), "{shown}");
    let selection = parse(SOURCE).unwrap().selection;
    assert_eq!(selection.authentication, Authentication::Mix);
}
