//! Reading one text, comparing two, and the documentation against the option table.

mod errors;
mod files;
mod nts;
mod selection;
mod serving;

use std::path::Path;

use clockwright_discipline::Gains;
use clockwright_timebase::{Duration, Poll};
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Config, Invalid> {
    Config::from_text(Path::new("c.toml"), text)
}

/// The problems of `text`, which must have some.
fn refused(text: &str) -> String {
    let problems = parse(text).expect_err(text).problems;
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    shown.join("\n")
}

const SOURCE: &str = "[[source]]\nserver = \"a.example\"\n";

#[test]
fn a_server_is_all_that_is_needed() {
    let config = parse(SOURCE).unwrap();
    let [Source::Ntp(source)] = config.sources.as_slice() else {
        panic!("{config:?}")
    };
    assert_eq!(source.address.to_string(), "server a.example");
    assert_eq!(source.settings, SourceSettings::default());
    assert_eq!(
        source.settings.poll,
        PollLimits {
            min: Poll::new(6),
            max: Poll::new(10)
        }
    );
    assert!(source.settings.interleaved && source.settings.iburst);
    assert_eq!(config.server, None);
    assert_eq!(
        config.clock.step,
        StepConfig {
            above: Duration::from_millis(100),
            first: 3
        }
    );
}

/// Every key there is, each with another value than its default.
const EVERYTHING: &str = r#"
        sources = "replace"
        [[source]]
        pool = "pool.example"
        port = 1123
        nts = { port = 4461, trusted_certificates = ["/a.pem"], check_time = false }
        interleaved = false
        iburst = false
        poll = { min = "1/16s", max = "16s" }
        ports = "sticky"
        max_delay = "3ms"
        pool_size = 2
        [[source]]
        phc = "KVM virtual PTP"
        offset = "-1us"
        timescale = "tai"
        refid = "KVM"
        precision = "50ns"
        filter = 1
        [[source]]
        pps = "/dev/pps0"
        edge = "clear"
        lock = "KVM virtual PTP"
        [[source]]
        sock = "/run/gps.sock"
        delay = "20ms"
        stratum = 1
        max_dispersion = "5ms"
        group = "gps"
        [[source]]
        shm = 7
        [selection]
        authentication = "require"
        [timestamping]
        interfaces = ["eth*", "lo"]
        ptp_transport = "never"
        ptp_domain = 7
        rx_filter = "all"
        [[timestamping.interface]]
        name = "eth0"
        tx_compensation = "120ns"
        rx_compensation = "-30ns"
        rx_filter = "ptp"
        phc = "/dev/ptp3"
        [[follow]]
        clock = "/dev/ptp1"
        timescale = "utc"
        offset = "5ns"
        interval = "1/4s"
        step = "1ms"
        [clock]
        kind = "virtual"
        virtual = { error = "-25ms", drift = "40ppm" }
        step = { above = "1s", first = 0 }
        max_slew = "500ppm"
        gains = { proportional = 0.1, integral = 0.005 }
        restore = true
        [server]
        listen = ["[::1]:1123"]
        allow = ["10.0.0.0/8", "2001:db8::1"]
        deny = ["10.1.0.0/16"]
        workers = 3
        dscp = 46
        interleaved_replies = 5
        rate = { interval = "2s", burst = 3, leak = 0, kiss = 7 }
        clients = { table = 99, ipv4_prefix = 24, ipv6_prefix = 48 }
        local = { stratum = 1, orphan = true, wait = "3s" }
        smear = { listen = ["[::1]:1124"] }
        [server.nts]
        listen = ["[::1]:4461"]
        certificate = ["/a/cert.pem", "/b/cert.pem"]
        key = ["/a/key.pem", "/b/key.pem"]
        keys = "/shared"
        ntp_server = "ntp.example"
        ntp_port = 124
        max_connections = 9
        max_connections_per_address = 2
        connection_rate = { interval = "4s", burst = 5 }
        rate = { interval = "1ms", burst = 6, leak = 8 }
        [state]
        directory = "/tmp/state"
        [control]
        socket = "/tmp/c.sock"
        group = "adm"
        [log]
        level = "debug"
        "#;

#[test]
fn every_key_of_a_source_is_read() {
    let config = parse(EVERYTHING).unwrap();
    let source = config.servers().next().unwrap();
    assert_eq!(
        source.address.to_string(),
        "pool pool.example port 1123 with NTS on port 4461"
    );
    assert_eq!(
        source.settings,
        SourceSettings {
            nts: Some(NtsSettings {
                port: 4461,
                trusted_certificates: vec!["/a.pem".into()],
                check_time: false,
            }),
            interleaved: false,
            iburst: false,
            poll: PollLimits {
                min: Poll::new(-4),
                max: Poll::new(4)
            },
            ports: PortChoice::Sticky,
            max_delay: Some(Duration::from_millis(3)),
            pool_size: 2,
        }
    );
}

#[test]
fn every_other_key_is_read() {
    let config = parse(EVERYTHING).unwrap();
    assert_eq!(config.clock.kind, ClockKind::Virtual);
    assert_eq!(config.clock.virtual_clock.error, Duration::from_millis(-25));
    assert_eq!(config.clock.virtual_clock.drift, Frequency::from_ppm(40.0));
    assert_eq!(
        config.clock.step,
        StepConfig {
            above: Duration::from_secs(1),
            first: 0
        }
    );
    assert_eq!(config.clock.max_slew, Frequency::from_ppm(500.0));
    assert!(config.clock.restore);
    let gains = config.clock.gains.unwrap();
    assert_eq!(gains.gains(), Gains::new(0.1, 0.005));
    assert_eq!(config.selection.authentication, Authentication::Require);
    let server = config.server.unwrap();
    assert_eq!(server.listen, ["[::1]:1123".parse().unwrap()]);
    let local = LocalConfig {
        stratum: 1,
        orphan: true,
        wait: Some(Duration::from_secs(3)),
    };
    assert_eq!(server.local, Some(local));
    assert!(!server.allows("10.1.9.9".parse().unwrap()));
    assert!(server.allows("10.9.9.9".parse().unwrap()));
    assert!(server.allows("::1".parse().unwrap()));
    assert!(!server.allows("192.0.2.1".parse().unwrap()));
    assert_eq!(config.state.directory, Path::new("/tmp/state"));
    assert_eq!(config.control.socket, Path::new("/tmp/c.sock"));
    assert_eq!(config.control.group.unwrap().as_str(), "adm");
    assert_eq!(config.log.level, LogLevel::Debug);
}

#[test]
fn every_key_of_a_reference_clock_is_read() {
    let config = parse(EVERYTHING).unwrap();
    let [phc, pps, sock, shm] = &config.refclocks().collect::<Vec<_>>()[..] else {
        panic!("{config:?}")
    };
    assert_eq!(phc.device.to_string(), "phc KVM virtual PTP");
    let expected = RefclockSettings {
        offset: Duration::from_micros(-1),
        timescale: Timescale::Tai,
        refid: Some("KVM".parse().unwrap()),
        precision: Some(Duration::from_nanos(50)),
        filter: 1,
        ..RefclockSettings::default()
    };
    assert_eq!(phc.settings, expected);
    assert_eq!(phc.reference_id().octets(), *b"KVM\0");
    assert_eq!((phc.poll.min, phc.poll.max), (Poll::new(0), Poll::new(4)));
    assert_eq!(pps.device.to_string(), "pps /dev/pps0");
    assert_eq!(pps.reference_id().octets(), *b"PPS\0");
    assert_eq!(pps.settings.edge, PulseEdge::Clear);
    let lock = pps.settings.lock.as_ref().unwrap();
    assert_eq!(lock.as_str(), phc.device.label());
    assert_eq!(sock.device.to_string(), "sock /run/gps.sock");
    assert_eq!(sock.reference_id().octets(), *b"SOCK");
    let expected = RefclockSettings {
        delay: Duration::from_millis(20),
        stratum: 1,
        max_dispersion: Some(Duration::from_millis(5)),
        group: sock.settings.group.clone(),
        ..RefclockSettings::default()
    };
    assert_eq!(sock.settings, expected);
    assert_eq!(sock.settings.group.as_ref().unwrap().as_str(), "gps");
    assert_eq!(shm.device, RefclockDevice::Shm(7));
    assert_eq!(shm.device.to_string(), "shm 7");
    assert_eq!(shm.reference_id().octets(), *b"SHM\0");
}

#[test]
fn every_key_of_timestamping_and_followers_is_read() {
    let config = parse(EVERYTHING).unwrap();
    let stamping = &config.timestamping;
    assert!(stamping.selects("eth7") && stamping.selects("lo") && !stamping.selects("wlan0"));
    assert_eq!(stamping.ptp_transport, PtpTransport::Never);
    assert_eq!(stamping.ptp_domain, 7);
    assert_eq!(stamping.rx_filter, RxFilterChoice::All);
    let own = stamping.of_interface("eth0").unwrap();
    assert_eq!(own.tx_compensation, Duration::from_nanos(120));
    assert_eq!(own.rx_compensation, Duration::from_nanos(-30));
    assert_eq!(own.rx_filter, Some(RxFilterChoice::Ptp));
    assert_eq!(own.phc.as_ref().unwrap().as_str(), "/dev/ptp3");
    assert_eq!(stamping.of_interface("eth1"), None);
    let [follow] = config.follow.as_slice() else {
        panic!("{config:?}")
    };
    assert_eq!(follow.clock.as_str(), "/dev/ptp1");
    let expected = FollowSettings {
        timescale: Timescale::Utc,
        offset: Duration::from_nanos(5),
        interval: Poll::new(-2),
        step: Duration::from_millis(1),
    };
    assert_eq!(follow.settings, expected);
}

#[test]
fn all_interfaces_stamp_if_nothing_else_is_said() {
    let stamping = parse(SOURCE).unwrap().timestamping;
    assert!(stamping.selects("enp129s0f1np1"));
    assert_eq!(stamping, TimestampingConfig::default());
    let none = parse(&format!("{SOURCE}[timestamping]\ninterfaces = []\n")).unwrap();
    assert!(!none.timestamping.selects("eth0"));
}

#[test]
fn the_clock_can_be_a_phc() {
    let with = |text: &str| parse(&format!("{SOURCE}[clock]\n{text}\n")).unwrap().clock;
    let clock = with("kind = \"/dev/ptp0\"");
    assert_eq!(clock.kind, ClockKind::Phc("/dev/ptp0".parse().unwrap()));
    assert_eq!(
        (clock.kind.to_string().as_str(), clock.timescale),
        ("/dev/ptp0", Timescale::Tai)
    );
    let clock = with("kind = \"eth0\"\ntimescale = \"utc\"");
    assert_eq!(clock.kind, ClockKind::Phc("eth0".parse().unwrap()));
    assert_eq!(clock.timescale, Timescale::Utc);
    assert_eq!(with("kind = \"system\"").kind, ClockKind::System);
}

#[test]
fn a_reload_knows_what_becomes_of_clocks() {
    let old = parse(&format!(
        "{SOURCE}[[source]]\nphc = \"a\"\n[[follow]]\nclock = \"b\"\n"
    ));
    let new = parse(&format!(
        "{SOURCE}[[source]]\nphc = \"c\"\n[[follow]]\nclock = \"b\"\nstep = \"1s\"\n\
         [timestamping]\nptp_domain = 1\n[[timestamping.interface]]\nname = \"x\"\n"
    ));
    let (old, new) = (old.unwrap(), new.unwrap());
    let changes = old.changes_to(&new);
    assert_eq!(changes.refclocks.added[0].device.label(), "c");
    assert_eq!(changes.refclocks.removed[0].label(), "a");
    assert_eq!(changes.refclocks.altered, []);
    assert_eq!(changes.follow.altered, new.follow);
    assert_eq!(
        (&changes.follow.added[..], &changes.follow.removed[..]),
        (&[][..], &[][..])
    );
    assert_eq!(
        changes.settings,
        ["timestamping.ptp_domain", "timestamping.interface"]
    );
    assert!(!changes.is_empty() && new.changes_to(&new).is_empty());
    let back = new.changes_to(&parse(SOURCE).unwrap());
    assert_eq!(back.follow.removed[0].as_str(), "b");
    assert_eq!((back.added.len(), back.removed.len()), (0, 0));
}

#[test]
fn a_reload_knows_what_changed() {
    let old = parse(
        "[[source]]\nserver = \"a\"\n[[source]]\nserver = \"b\"\n[[source]]\nserver = \"c\"\n",
    )
    .unwrap();
    let new = parse(
        "[[source]]\nserver = \"d\"\n[[source]]\nserver = \"c\"\niburst = false\n[[source]]\nserver = \"a\"\n\
         [clock]\nstep = { first = 1 }\n[server]\nlisten = [\"127.0.0.1:123\"]\n",
    )
    .unwrap();
    let changes = old.changes_to(&new);
    let names = |sources: &[SourceConfig]| -> Vec<String> {
        sources.iter().map(|s| s.address.host.to_string()).collect()
    };
    assert_eq!(names(&changes.added), ["d"]);
    assert_eq!(names(&changes.altered), ["c"]);
    assert_eq!(
        changes.removed,
        [old.servers().nth(1).unwrap().address.clone()]
    );
    assert_eq!(changes.settings, ["clock.step.first", "server"]);
    assert!(old.changes_to(&old).is_empty());
    let other_port = parse("[[source]]\nserver = \"a\"\nport = 1123\n").unwrap();
    let changes = parse("[[source]]\nserver = \"a\"\n")
        .unwrap()
        .changes_to(&other_port);
    assert_eq!((changes.added.len(), changes.removed.len()), (1, 1));
}

/// The reference must have a row for every key, with the kind and default of the code, and no
/// row for a key that does not exist.
#[test]
fn the_documentation_has_every_key_with_its_default() {
    let page = include_str!("../../../docs/configuration.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for key in Config::keys() {
        let row = format!("| `{}` | {} | `{}` | ", key.path, key.kind, key.default);
        assert!(
            rows.iter().any(|found| found.starts_with(&row)),
            "docs/configuration.md lacks\n{row}"
        );
    }
    assert_eq!(
        rows.len(),
        Config::keys().len(),
        "rows for keys that do not exist: {rows:#?}"
    );
}

/// What is shown as an example is valid.
#[test]
fn the_examples_in_the_documentation_are_valid() {
    for page in [
        include_str!("../../../docs/configuration.md"),
        include_str!("../../../docs/hardware-timestamps.md"),
    ] {
        let mut examples = 0;
        for (number, block) in page.split("```toml\n").skip(1).enumerate() {
            let (text, _) = block.split_once("```").unwrap();
            if let Err(invalid) = Config::from_text(Path::new("example"), text) {
                panic!("example {number}: {invalid}");
            }
            examples += 1;
        }
        assert!(examples >= 3, "{examples} examples");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        if let Err(invalid) = parse(&text) {
            prop_assert!(!invalid.to_string().is_empty());
        }
    }

    /// Lines that are nearly right reach deeper than noise does.
    #[test]
    fn nearly_valid_text_never_panics(lines in proptest::collection::vec(
        prop_oneof![
            Just("[[source]]".to_owned()),
            Just("[clock]".to_owned()),
            Just("[server]".to_owned()),
            Just("[clock.step]".to_owned()),
            Just("[server.nts]".to_owned()),
            Just("[[follow]]".to_owned()),
            Just("[timestamping]".to_owned()),
            Just("[[timestamping.interface]]".to_owned()),
            ("(server|pool|port|poll|kind|step|above|first|listen|allow|deny|workers|rate|clients|smear|local|sources|virtual|phc|pps|sock|shm|lock|clock|interfaces|name|nts|certificate|key|ntp_server|é)",
             "(\"[a-z0-9.:/ÿ]{0,8}\"|-?[0-9]{1,4}|\\{ ?(min|max|stratum) = \"?[0-9s]{1,3}\"? ?\\}|\\[\"[0-9.:/]{0,9}\", 1\\]|true|nan)")
                .prop_map(|(key, value)| format!("{key} = {value}")),
        ],
        0..12,
    )) {
        if let Err(invalid) = parse(&lines.join("\n")) {
            prop_assert!(!invalid.to_string().is_empty());
        }
    }
}
