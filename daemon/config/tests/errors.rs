//! Every class of error, with its exact text.

use super::{SOURCE, parse, refused};

#[test]
fn an_unknown_key_gets_a_suggestion() {
    assert_eq!(
        refused("[[source]]\nserver = \"a.example\"\ninterleave = true\n"),
        "c.toml:3:1: unknown key `interleave` in [[source]]
    | interleave = true
    | ^^^^^^^^^^
    = did you mean `interleaved`?
    = allowed keys: server, pool, phc, pps, sock, shm, port, nts, interleaved, iburst, poll, ports, max_delay, pool_size, prefer, trust, require, noselect, offset, delay, timescale, edge, lock, refid, stratum, precision, filter, max_dispersion, group"
    );
    assert_eq!(
        refused(&format!("[clok]\n{SOURCE}")),
        "c.toml:1:2: unknown key `clok` at the top level
    | [clok]
    |  ^^^^
    = did you mean `clock`?
    = allowed keys: source, selection, clock, follow, timestamping, server, state, control, log, sources"
    );
    assert_eq!(
        refused(&format!("{SOURCE}poll = {{ minn = \"1s\" }}\n")),
        "c.toml:3:10: unknown key `minn` in [source.poll]
    | poll = { minn = \"1s\" }
    |          ^^^^
    = did you mean `min`?
    = allowed keys: min, max"
    );
}

#[test]
fn a_known_key_in_the_wrong_table_is_sent_home() {
    let shown = refused(&format!("{SOURCE}[clock]\nlisten = []\n"));
    assert!(
        shown.contains("c.toml:4:1: unknown key `listen` in [clock]"),
        "{shown}"
    );
    assert!(
        shown.contains("= `listen` belongs in [server], [server.smear] or [server.nts]"),
        "{shown}"
    );
    let shown = refused(&format!("{SOURCE}sources = \"replace\"\n"));
    assert!(
        shown.contains("belongs at the top of the file, before the first [table]"),
        "{shown}"
    );
}

#[test]
fn what_is_planned_is_not_called_unknown() {
    let shown = refused(&format!("{SOURCE}[metrics]\nlisten = \"127.0.0.1:9975\"\n"));
    assert!(shown.contains("metrics are not supported"), "{shown}");
}

#[test]
fn a_wrong_type_says_what_is_expected() {
    assert_eq!(
        refused(&format!("{SOURCE}poll = {{ min = 64 }}\n")),
        "c.toml:3:16: expected a poll interval, found an integer
    | poll = { min = 64 }
    |                ^^
    = for example \"64s\""
    );
    assert_eq!(
        refused(&format!("{SOURCE}[server]\nlisten = \"[::]:123\"\n")),
        "c.toml:4:10: expected an array, found a string
    | listen = \"[::]:123\"
    |          ^^^^^^^^^^
    = for example [\"0.0.0.0:123\"]"
    );
    let shown = refused("source = \"a.example\"\n");
    assert!(
        shown.contains("sources are written as [[source]], with two brackets"),
        "{shown}"
    );
    let shown = refused("[source]\nserver = \"a.example\"\n");
    assert!(
        shown.contains("c.toml:1:1: sources are written as [[source]]"),
        "{shown}"
    );
    let shown = refused(&format!("{SOURCE}poll = \"64s\"\n"));
    assert!(
        shown.contains("expected a table, found a string"),
        "{shown}"
    );
}

#[test]
fn a_wrong_value_says_what_is_allowed() {
    assert_eq!(
        refused(&format!("{SOURCE}ports = \"stiky\"\n")),
        "c.toml:3:9: \"stiky\" is not allowed here
    | ports = \"stiky\"
    |         ^^^^^^^
    = did you mean \"sticky\"?
    = allowed: \"per-request\", \"sticky\""
    );
    assert_eq!(
        refused(&format!("{SOURCE}poll = {{ min = \"60s\" }}\n")),
        "c.toml:3:16: a poll interval is a power of two of seconds; near it are 32s and 64s
    | poll = { min = \"60s\" }
    |                ^^^^^
    = expected a poll interval, for example \"64s\""
    );
    all_are_refused(&[
        ("max_delay = \"5\"", "`5` has no unit; the units are"),
        ("max_delay = \"-1s\"", "must be longer than 0s"),
        ("port = 0", "port 0 is not a port"),
        ("port = 65536", "65536 is not between 0 and 65535"),
        ("port = -1", "-1 is not between 0 and 65535"),
        ("[clock]\nkind = \"systen\"", "did you mean \"system\"?"),
        ("[clock]\nstep = { first = -1 }", "-1 is not between 0 and"),
        ("[server]\nlisten = [\"::\"]", "`::` has no port"),
        (
            "[server]\nlisten = [\"eth0:123\"]",
            "`eth0:123` is not an IP address and port",
        ),
        (
            "[server]\nlisten = [\"[::]:1\"]\nallow = [\"10.1.0.0/8\"]",
            "the network is 10.0.0.0/8",
        ),
        (
            "[server]\nlisten = [\"[::]:1\"]\nlocal = { stratum = 16 }",
            "stratum 16 is not between 1 and 15",
        ),
        (
            "[state]\ndirectory = \"var\"",
            "`var` is not an absolute path",
        ),
        (
            "[control]\ngroup = \"a:b\"",
            "cannot be the name of a group",
        ),
    ]);
}

#[test]
fn a_loop_and_a_clock_have_their_limits() {
    all_are_refused(&[
        (
            "[clock]\nmax_slew = \"200000ppm\"",
            "between 0ppm (not included) and 100000ppm",
        ),
        (
            "[clock]\nmax_frequency_step = \"-10ppm\"",
            "is not between 0ppm and 500ppm",
        ),
        (
            "[clock]\nmax_slew = 500",
            "expected a frequency, found an integer",
        ),
        (
            "[clock]\ngains = { proportional = 1.9, integral = 0.3 }",
            "a loop with the gains 1.9 and 0.3 is not stable",
        ),
        (
            "[clock]\ngains = { integral = 0 }",
            "a loop with the gains 0.7 and 0 is not stable",
        ),
        (
            "[clock]\ngains = { integral = nan }",
            "`nan` is not a finite number",
        ),
        (
            "[clock]\ngains = { integral = \"0.3\" }",
            "expected a number, found a string",
        ),
    ]);
}

/// Each text beside a source is refused, with these words among those that say why.
fn all_are_refused(texts: &[(&str, &str)]) {
    for (text, what) in texts {
        let shown = refused(&format!("{SOURCE}{text}\n"));
        assert!(shown.contains(what), "{text}: {shown}");
    }
}

#[test]
fn a_source_is_exactly_one_thing() {
    assert_eq!(
        refused("[[source]]\nport = 123\n"),
        "c.toml:1:1: this source has none of `server`, `pool`, `phc`, `pps`, `sock` and `shm`
    | [[source]]
    | ^^^^^^^^^^
    = for example server = \"time.example.net\""
    );
    for (text, what) in [
        (
            "[[source]]\nserver = \"a\"\npool = \"b\"",
            "`server` or `pool`, not both",
        ),
        (
            "[[source]]\npool = \"192.0.2.1\"",
            "= write server = \"192.0.2.1\"",
        ),
        (
            "[[source]]\nserver = \"a:1123\"",
            "`a:1123` has a port in it; write `port = 1123` beside it",
        ),
        (
            "[[source]]\nserver = \"a b\"",
            "`a b` is not a host: ' ' cannot be part of a host name",
        ),
        (
            "[[source]]\nserver = \"a\"\npool_size = 2",
            "c.toml:3:13: `pool_size` goes with `pool`, and this source is one server",
        ),
        (
            "[[source]]\nserver = \"a\"\npoll = { max = \"16s\" }",
            "64s, is longer than the longest, 16s",
        ),
    ] {
        let shown = refused(text);
        assert!(shown.contains(what), "{text}: {shown}");
    }
}

#[test]
fn what_gives_time_by_a_socket_or_shared_memory_has_keys_of_its_own() {
    for (text, what) in [
        (
            "[[source]]\nsock = \"gps.sock\"",
            "`gps.sock` is not an absolute path",
        ),
        (
            &format!("[[source]]\nsock = \"/{}\"", "x".repeat(107)),
            "c.toml:2:8: the path of a socket has at most 107 octets, this one 108",
        ),
        (
            "[[source]]\nsock = \"/s\"\nlock = \"/s\"",
            "there is no source /s",
        ),
        (
            "[[source]]\nshm = 0\ngroup = \"gps\"",
            "`group` goes with `sock`, and this source is a shared memory segment",
        ),
        ("[[source]]\nshm = 256", "256 is not between 0 and 255"),
        (
            "[[source]]\nshm = 0\n[[source]]\nshm = 0",
            "shm 0 is a source already",
        ),
        (
            "[[source]]\nshm = 0\nstratum = 15",
            "stratum 15 is not between 0 and 14",
        ),
        (
            "[[source]]\nshm = 0\ndelay = \"-1ms\"",
            "must not be negative",
        ),
    ] {
        let shown = refused(text);
        assert!(shown.contains(what), "{text}: {shown}");
    }
}

#[test]
fn a_reference_clock_has_keys_of_its_own() {
    for (text, what) in [
        (
            "[[source]]\nphc = \"eth0\"\npps = \"/dev/pps0\"",
            "`phc` or `pps`, not both",
        ),
        (
            "[[source]]\nphc = \"eth0\"\nport = 123",
            "`port` goes with `server` and `pool`, and this source is a PTP hardware clock",
        ),
        (
            "[[source]]\nphc = \"eth0\"\nlock = \"a\"",
            "`lock` goes with `pps` and `sock`, and this source is a PTP hardware clock",
        ),
        (
            "[[source]]\npps = \"/dev/pps0\"\ntimescale = \"tai\"",
            "`timescale` goes with `phc`, `sock` and `shm`, and this source is a pulse per second",
        ),
        (
            "[[source]]\nserver = \"a\"\noffset = \"1us\"",
            "`offset` goes with `phc`, `pps`, `sock` and `shm`, and this source is one server",
        ),
        (
            "[[source]]\npps = \"pps0\"",
            "`pps0` is not an absolute path",
        ),
        (
            "[[source]]\nphc = \"eth0\"\nfilter = 65",
            "65 is not between 1 and 64",
        ),
        (
            "[[source]]\nphc = \"eth0\"\nrefid = \"GPS 1\"",
            "`GPS 1` is not one to four printable ASCII characters",
        ),
        (
            "[[source]]\nphc = \"eth0\"\npoll = { min = \"32s\" }",
            "where one is not given it is min = \"1s\" or max = \"16s\"",
        ),
    ] {
        let shown = refused(text);
        assert!(shown.contains(what), "{text}: {shown}");
    }
}

#[test]
fn settings_that_contradict_each_other() {
    assert_eq!(
        refused(
            "[[source]]\nserver = \"a\"\n[[source]]\nserver = \"b\"\n[[source]]\nserver = \"A.\"\n"
        ),
        "c.toml:5:1: server a is a source already
    | [[source]]
    | ^^^^^^^^^^
    = first given at c.toml:1:1"
    );
    let shown = refused(&format!(
        "{SOURCE}[clock]\nvirtual = {{ drift = \"1ppm\" }}\n"
    ));
    assert!(
        shown.contains("`clock.virtual` is given, and the clock is not virtual"),
        "{shown}"
    );
    let shown = refused(&format!("{SOURCE}[clock]\ntimescale = \"utc\"\n"));
    assert!(
        shown.contains("the clock is no PTP hardware clock"),
        "{shown}"
    );
    let shown = refused(&format!("{SOURCE}[server]\n"));
    assert!(
        shown.contains("[server] does not say where to listen"),
        "{shown}"
    );
    let shown = refused("[server]\nlisten = [\"127.0.0.1:123\"]\n");
    assert!(shown.contains("without any [[source]]"), "{shown}");
    let shown = refused("");
    assert!(
        shown.starts_with("c.toml: there is neither a [[source]] nor a [server]"),
        "{shown}"
    );
}

#[test]
fn an_unreadable_value_is_not_blamed_twice() {
    let shown = refused(&format!(
        "{SOURCE}[clock]\nkind = \"virtul\"\nvirtual = {{ drift = \"1ppm\" }}\n"
    ));
    assert_eq!(shown.matches("c.toml:").count(), 1, "{shown}");
    let shown = refused(&format!("{SOURCE}[server]\nlisten = [\"x\"]\n"));
    assert_eq!(shown.matches("c.toml:").count(), 1, "{shown}");
}

#[test]
fn text_that_is_not_toml() {
    assert_eq!(
        refused("[[source]]\nserver = a.example\n"),
        "c.toml:2:10: not valid TOML: string values must be quoted, expected literal string
    | server = a.example
    |          ^^^^^^^^^"
    );
    let shown = refused("[clock]\n[clock]\n= 1\n");
    assert_eq!(shown.matches("not valid TOML").count(), 2, "{shown}");
}

#[test]
fn a_clock_is_not_steered_by_itself() {
    let shown = refused(
        "[[source]]\nphc = \"eth0\"\n[clock]\nkind = \"eth0\"\n[[follow]]\nclock = \"eth0\"\n",
    );
    for said in [
        "c.toml:1:1: eth0 is the clock that is disciplined, and cannot be a source of time",
        "c.toml:5:1: eth0 is the clock that is disciplined",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let shown = refused("[[source]]\nphc = \"eth0\"\n[[follow]]\nclock = \"eth0\"\n");
    assert!(
        shown.contains("eth0 follows this host's clock by a [[follow]], and cannot be a source"),
        "{shown}"
    );
}

#[test]
fn a_pulse_is_locked_to_a_source_that_numbers_seconds() {
    let pulse =
        |lock: &str| format!("{SOURCE}[[source]]\npps = \"/dev/pps0\"\nlock = \"{lock}\"\n");
    assert!(parse(&pulse("A.example.")).is_ok());
    let shown = refused(&pulse("b.example"));
    assert!(
        shown.contains("c.toml:5:8: there is no source b.example")
            && shown.contains("= did you mean \"a.example\"?")
            && shown.contains("= a pulse is numbered by a `server`, `pool`, `phc` or `sock`"),
        "{shown}"
    );
    // Programs that give time, by path and by unit.
    let others = "[[source]]\nsock = \"/run/gps.sock\"\n[[source]]\nshm = 3\n";
    for known in ["/run/gps.sock", "shm 3"] {
        assert!(
            parse(&format!("{}{others}", pulse(known))).is_ok(),
            "{known}"
        );
    }
    // Another pulse does not know the second either.
    assert!(refused(&pulse("/dev/pps0")).contains("there is no source /dev/pps0"));
}

#[test]
fn timestamping_says_what_is_wrong() {
    for (text, what) in [
        ("interfaces = \"*\"", "expected an array, found a string"),
        (
            "interfaces = [\"eth?\"]",
            "only * stands for other characters",
        ),
        (
            "interfaces = [\"a-name-too-long-for-it\"]",
            "longer than the 15 characters",
        ),
        ("ptp_transport = \"allways\"", "did you mean \"always\"?"),
        ("ptp_domain = 256", "256 is not between 0 and 255"),
        (
            "rx_filter = \"ptpv2\"",
            "allowed: \"auto\", \"all\", \"ntp\", \"ptp\", \"none\"",
        ),
        ("filter = \"all\"", "unknown key `filter` in [timestamping]"),
        (
            "[timestamping.interface]",
            "interfaces are written as [[timestamping.interface]], with",
        ),
        ("[[timestamping.interface]]", "this interface has no `name`"),
        (
            "[[timestamping.interface]]\nname = \"eth0\"\ntx_compensation = \"2ms\"",
            "a compensation is not longer than 1ms",
        ),
        (
            "[[timestamping.interface]]\nname = \"eth0\"\nrx_comp = \"2ns\"",
            "unknown key `rx_comp` in [[timestamping.interface]]",
        ),
        (
            "[[timestamping.interface]]\nname = \"e*\"\n[[timestamping.interface]]\nname = \"e*\"",
            "there is a table for e* already",
        ),
    ] {
        let shown = refused(&format!("{SOURCE}[timestamping]\n{text}\n"));
        assert!(shown.contains(what), "{text}: {shown}");
    }
}

#[test]
fn a_follower_says_what_is_wrong() {
    for (text, what) in [
        (
            "[[follow]]\ntimescale = \"utc\"",
            "this follower has no `clock`",
        ),
        (
            "[follow]\nclock = \"eth0\"",
            "written as [[follow]], with two brackets",
        ),
        (
            "[[follow]]\nclock = \"dev/ptp0\"",
            "`dev/ptp0` is not an absolute path",
        ),
        (
            "[[follow]]\nclock = \"eth0\"\ninterval = \"128s\"",
            "128s is not between 1/16s and 64s",
        ),
        (
            "[[follow]]\nclock = \"eth0\"\nstep = \"0s\"",
            "must be longer than 0s",
        ),
        (
            "[[follow]]\nclock = \"a\"\n[[follow]]\nclock = \"a\"",
            "a follows already",
        ),
    ] {
        let shown = refused(&format!("{SOURCE}{text}\n"));
        assert!(shown.contains(what), "{text}: {shown}");
    }
}

#[test]
fn a_sensor_is_a_file_that_is_read_neither_rarely_nor_all_the_time() {
    let with = |table: &str| format!("{SOURCE}[clock]\ntemperature = {table}\n");
    let read = parse(&with("{ sensor = \"/sys/t1\", every = \"30s\" }"))
        .unwrap()
        .clock;
    assert_eq!(read.temperature.sensor, Some("/sys/t1".into()));
    for (table, says) in [
        ("{ sensor = \"temp1_input\" }", "absolute path"),
        (
            "{ sensor = \"/t\", every = \"1ms\" }",
            "1ms is not between 1s and 120s",
        ),
        ("{ sensors = \"/t\" }", "did you mean `sensor`?"),
    ] {
        let shown = refused(&with(table));
        assert!(shown.contains(says), "{shown}");
    }
}
