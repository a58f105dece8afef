//! Keys of `[server]`.

use std::net::IpAddr;

use clockwright_timebase::Duration;

use super::{SOURCE, parse, refused};
use crate::config::{ClientsConfig, LocalConfig, RateConfig, ServerConfig, Workers};

const LISTEN: &str = "listen = [\"[::]:123\"]\n";

fn server(keys: &str) -> ServerConfig {
    let text = format!("{SOURCE}[server]\n{LISTEN}{keys}\n");
    parse(&text).unwrap().server.unwrap()
}

/// What a configuration that is right apart from that says of `[server]`.
fn refused_server(keys: &str) -> String {
    refused(&format!("{SOURCE}[server]\n{LISTEN}{keys}\n"))
}

#[test]
fn every_key_of_serving_is_read() {
    let server = parse(super::EVERYTHING).unwrap().server.unwrap();
    assert_eq!(server.deny, ["10.1.0.0/16".parse().unwrap()]);
    assert_eq!(server.workers, Workers::Count(3));
    assert_eq!((server.dscp, server.interleaved_replies), (46, 5));
    let rate = RateConfig {
        interval: Duration::from_secs(2),
        burst: 3,
        leak: 0,
        kiss: 7,
    };
    assert_eq!(server.rate, Some(rate));
    let clients = ClientsConfig {
        table: 99,
        ipv4_prefix: 24,
        ipv6_prefix: 48,
    };
    assert_eq!(server.clients, clients);
    let smear = server.smear.as_ref().unwrap();
    assert_eq!(smear.listen, ["[::1]:1124".parse().unwrap()]);
    let addresses = ["[::1]:1123", "[::1]:1124"].map(|text| text.parse().unwrap());
    assert_eq!(server.addresses().collect::<Vec<_>>(), addresses);
}

#[test]
fn serving_has_no_limits_unless_they_are_asked_for() {
    let server = server("");
    assert_eq!(server.workers, Workers::Auto);
    assert!((1..=256).contains(&server.workers.count()));
    assert_eq!((server.dscp, server.interleaved_replies), (0, 32_768));
    assert_eq!(
        (server.rate, server.smear, server.local),
        (None, None, None)
    );
    assert_eq!(server.clients, ClientsConfig::default());
    assert!(server.deny.is_empty());
}

#[test]
fn a_rate_is_a_word_or_a_table() {
    let rate = |keys: &str| server(keys).rate;
    assert_eq!(rate("rate = false"), None);
    let all = RateConfig {
        interval: Duration::from_secs(1),
        burst: 16,
        leak: 4,
        kiss: 0,
    };
    assert_eq!(rate("rate = true"), Some(all.clone()));
    assert_eq!(rate("rate = {}"), Some(all.clone()));
    assert_eq!(
        rate("rate = { burst = 9 }"),
        Some(RateConfig { burst: 9, ..all })
    );

    let connections = |key: &str| {
        let nts = "[server.nts]\nlisten = [\"[::]:4460\"]\ncertificate = \"/c\"\nkey = \"/k\"";
        server(&format!("{nts}\n{key}"))
            .nts
            .unwrap()
            .connection_rate
    };
    assert_eq!(connections("connection_rate = false"), None);
    let burst = connections("connection_rate = { burst = 7 }").unwrap();
    assert_eq!((burst.interval, burst.burst), (Duration::from_secs(1), 7));
    assert_eq!(connections("").unwrap().burst, 32);
}

#[test]
fn the_number_of_workers_is_a_word_or_a_number() {
    for (text, workers, count) in [
        ("workers = 1", Workers::Count(1), 1),
        ("workers = 256", Workers::Count(256), 256),
    ] {
        let read = server(text).workers;
        assert_eq!((read, read.count()), (workers, count));
    }
    assert_eq!(server("workers = \"auto\"").workers, Workers::Auto);
    for (text, what) in [
        ("workers = 0", "0 is not between 1 and 256"),
        ("workers = 257", "257 is not between 1 and 256"),
        ("workers = -1", "-1 is not between 1 and 256"),
        (
            "workers = \"all\"",
            "allowed: \"auto\", or a number from 1 to 256",
        ),
        (
            "workers = true",
            "expected \"auto\" or a whole number, found a boolean",
        ),
    ] {
        let shown = refused_server(text);
        assert!(shown.contains(what), "{text}: {shown}");
    }
}

#[test]
fn the_longest_prefix_decides_who_is_answered() {
    let server = server(
        "allow = [\"10.0.0.0/8\", \"10.1.2.0/24\", \"2001:db8::/32\"]\n\
         deny = [\"10.1.0.0/16\", \"10.1.2.9\", \"2001:db8:1::/48\"]",
    );
    for (address, allowed) in [
        ("10.2.0.1", true),
        ("10.1.0.1", false),
        ("10.1.2.3", true),
        ("10.1.2.9", false),
        ("::ffff:10.1.2.3", true),
        ("::ffff:10.1.2.9", false),
        ("192.0.2.1", false),
        ("127.0.0.1", true),
        ("::1", true),
        ("2001:db8::1", true),
        ("2001:db8:1::1", false),
        ("2001:db9::1", false),
    ] {
        let parsed: IpAddr = address.parse().unwrap();
        assert_eq!(server.allows(parsed), allowed, "{address}");
    }
}

#[test]
fn a_local_clock_waits_where_others_may_have_a_better_one() {
    let waits = |keys: &str| server(&format!("local = {keys}")).local.unwrap().waits();
    assert_eq!(waits("{}"), Duration::ZERO);
    assert_eq!(waits("{ orphan = true }"), Duration::from_secs(300));
    assert_eq!(waits("{ orphan = true, wait = \"0s\" }"), Duration::ZERO);
    assert_eq!(waits("{ wait = \"9s\" }"), Duration::from_secs(9));
    let local = server("local = {}").local.unwrap();
    assert_eq!(local, LocalConfig::default());
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (keys, what) in [
        ("dscp = 64", "64 is not between 0 and 63"),
        (
            "interleaved_replies = 16777217",
            "16777217 is not between 0 and 16777216",
        ),
        ("rate = { interval = \"0s\" }", "must be from 1us to 1h"),
        ("rate = { interval = \"999ns\" }", "must be from 1us to 1h"),
        ("rate = { interval = \"61min\" }", "must be from 1us to 1h"),
        ("rate = { burst = 0 }", "the least is 1"),
        ("rate = { burst = 65536 }", "not between 0 and 65535"),
        ("rate = { leak = 1 }", "with 1 all would be answered"),
        (
            "rate = { leak = 1025 }",
            "1025 is neither 0 nor between 2 and 1024",
        ),
        ("rate = { kiss = 1025 }", "1025 is not between 0 and 1024"),
        ("rate = 3", "expected true, false or a table"),
        ("clients = { table = 4194305 }", "not between 0 and 4194304"),
        ("clients = { ipv4_prefix = 7 }", "7 is not between 8 and 32"),
        (
            "clients = { ipv4_prefix = 33 }",
            "33 is not between 8 and 32",
        ),
        (
            "clients = { ipv6_prefix = 15 }",
            "15 is not between 16 and 64",
        ),
        (
            "clients = { ipv6_prefix = 65 }",
            "65 is not between 16 and 64",
        ),
        ("local = { wait = \"-1s\" }", "must not be negative"),
        (
            "nts = { rate = { kiss = 1 } }",
            "unknown key `kiss` in [server.nts.rate]",
        ),
        (
            "nts = { connection_rate = { leak = 2 } }",
            "unknown key `leak` in [server.nts.connection_rate]",
        ),
    ] {
        let shown = refused_server(keys);
        assert!(shown.contains(what), "{keys}: {shown}");
        assert_eq!(shown.matches("c.toml:").count(), 1, "{keys}: {shown}");
    }
    // The ends of the ranges are in them.
    for keys in [
        "dscp = 63\ninterleaved_replies = 0",
        "rate = { interval = \"1us\", burst = 65535, leak = 1024, kiss = 1024 }",
        "rate = { interval = \"1h\", burst = 1, leak = 2, kiss = 1 }",
        "clients = { table = 0, ipv4_prefix = 8, ipv6_prefix = 16 }",
    ] {
        server(keys);
    }
}

#[test]
fn serving_says_what_contradicts_itself() {
    for (keys, what) in [
        (
            "deny = [\"10.0.0.0/8\"]",
            "c.toml:5:8: `deny` has no effect: without `allow` only this host",
        ),
        (
            "allow = [\"10.0.0.0/8\", \"::/0\"]\ndeny = [\"::1\", \"10.0.0.0/8\"]",
            "c.toml:6:8: 10.0.0.0/8 is in `allow` and in `deny`",
        ),
        (
            "smear = {}",
            "c.toml:5:9: [server.smear] does not say where to listen",
        ),
        (
            "smear = { listen = [\"[::]:124\", \"[::]:123\"] }",
            "c.toml:5:20: [::]:123 is in `server.listen` already",
        ),
        (
            "clients = { table = 0 }\nrate = true",
            "c.toml:5:21: without a table of clients nobody's rate is known",
        ),
    ] {
        let shown = refused_server(keys);
        assert!(shown.contains(what), "{keys}: {shown}");
        assert_eq!(shown.matches("c.toml:").count(), 1, "{keys}: {shown}");
    }
    // The same prefix length is not the same prefix.
    server("allow = [\"10.0.0.0/8\"]\ndeny = [\"11.0.0.0/8\"]");
}

#[test]
fn a_server_of_smeared_time_only_needs_no_other_address() {
    let text = format!("{SOURCE}[server]\nsmear = {{ listen = [\"[::]:123\"] }}\n");
    let server = parse(&text).unwrap().server.unwrap();
    assert!(server.listen.is_empty() && !server.only_hands_out_keys());
    // Where it serves is not said: that is all there is to say.
    let shown = refused(&format!("{SOURCE}[server]\nsmear = {{}}\n"));
    assert_eq!(shown.matches("c.toml:").count(), 1, "{shown}");
}

#[test]
fn rates_of_requests_need_a_server_of_time() {
    let keys = "[server.nts]\nlisten = [\"[::]:4460\"]\ncertificate = \"/c\"\nkey = \"/k\"\n\
                ntp_server = \"a\"\n";
    assert!(parse(keys).is_ok());
    let shown = refused(&format!("[server]\nrate = true\n{keys}"));
    assert!(
        shown.contains("c.toml:2:8: this rate has no effect where no time is served"),
        "{shown}"
    );
    let shown = refused(&format!("{keys}rate = true\n"));
    assert!(
        shown.contains("c.toml:6:8: this rate has no effect where no time is served"),
        "{shown}"
    );
}
