//! Every class of error with its exact text, merging of files, and the documentation against
//! the option table.

use std::fs;
use std::path::{Path, PathBuf};

use clockwright_timebase::{Duration, Poll};
use proptest::prelude::*;

use super::*;

/// A folder of its own for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("clockwright-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

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
    let [source] = config.sources.as_slice() else {
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

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"
        sources = "replace"
        [[source]]
        pool = "pool.example"
        port = 1123
        interleaved = false
        iburst = false
        poll = { min = "1/16s", max = "16s" }
        ports = "sticky"
        max_delay = "3ms"
        pool_size = 2
        [clock]
        kind = "virtual"
        virtual = { error = "-25ms", drift = "40ppm" }
        step = { above = "1s", first = 0 }
        max_slew = "500ppm"
        [server]
        listen = ["[::1]:1123"]
        allow = ["10.0.0.0/8", "2001:db8::1"]
        local = { stratum = 1 }
        [state]
        directory = "/tmp/state"
        [control]
        socket = "/tmp/c.sock"
        group = "adm"
        [log]
        level = "debug"
        "#,
    )
    .unwrap();
    let source = &config.sources[0];
    assert_eq!(source.address.to_string(), "pool pool.example port 1123");
    assert_eq!(
        source.settings,
        SourceSettings {
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
    let server = config.server.unwrap();
    assert_eq!(server.listen, ["[::1]:1123".parse().unwrap()]);
    assert_eq!(server.local, Some(LocalConfig { stratum: 1 }));
    assert!(server.allows("10.9.9.9".parse().unwrap()));
    assert!(server.allows("::1".parse().unwrap()));
    assert!(!server.allows("192.0.2.1".parse().unwrap()));
    assert_eq!(config.state.directory, Path::new("/tmp/state"));
    assert_eq!(config.control.socket, Path::new("/tmp/c.sock"));
    assert_eq!(config.control.group.unwrap().as_str(), "adm");
    assert_eq!(config.log.level, LogLevel::Debug);
}

#[test]
fn an_unknown_key_gets_a_suggestion() {
    assert_eq!(
        refused("[[source]]\nserver = \"a.example\"\ninterleave = true\n"),
        "c.toml:3:1: unknown key `interleave` in [[source]]
    | interleave = true
    | ^^^^^^^^^^
    = did you mean `interleaved`?
    = allowed keys: server, pool, port, interleaved, iburst, poll, ports, max_delay, pool_size"
    );
    assert_eq!(
        refused(&format!("[clok]\n{SOURCE}")),
        "c.toml:1:2: unknown key `clok` at the top level
    | [clok]
    |  ^^^^
    = did you mean `clock`?
    = allowed keys: source, clock, server, state, control, log, sources"
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
    assert!(shown.contains("= `listen` belongs in [server]"), "{shown}");
    let shown = refused(&format!("{SOURCE}sources = \"replace\"\n"));
    assert!(
        shown.contains("belongs at the top of the file, before the first [table]"),
        "{shown}"
    );
}

#[test]
fn what_is_planned_is_not_called_unknown() {
    assert_eq!(
        refused(&format!("{SOURCE}nts = true\n")),
        "c.toml:3:1: `source.nts`: NTS is not supported in this version
    | nts = true
    | ^^^"
    );
    let shown = refused("[[source]]\nphc = \"eth0\"\n");
    assert!(
        shown.contains("c.toml:2:1: `source.phc`: reference clocks are not supported"),
        "{shown}"
    );
    assert_eq!(shown.matches("c.toml:").count(), 1, "{shown}");
    for (text, what) in [
        (
            "[metrics]\nlisten = \"127.0.0.1:9975\"\n",
            "metrics are not supported",
        ),
        (
            "[timestamping]\ninterfaces = [\"*\"]\n",
            "kernel's timestamps",
        ),
        (
            "[server]\nlisten = [\"127.0.0.1:123\"]\nworkers = \"auto\"\n",
            "one thread",
        ),
    ] {
        let shown = refused(&format!("{SOURCE}{text}"));
        assert!(shown.contains(what), "{shown}");
    }
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
    for (text, what) in [
        ("max_delay = \"5\"", "`5` has no unit; the units are"),
        ("max_delay = \"-1s\"", "must be longer than 0s"),
        ("port = 0", "port 0 is not a port"),
        ("port = 65536", "65536 is not between 0 and 65535"),
        ("port = -1", "-1 is not between 0 and 65535"),
        (
            "[clock]\nmax_slew = \"200000ppm\"",
            "between 0ppm (not included) and 100000ppm",
        ),
        (
            "[clock]\nmax_slew = 500",
            "expected a frequency, found an integer",
        ),
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
    ] {
        let shown = refused(&format!("{SOURCE}{text}\n"));
        assert!(shown.contains(what), "{text}: {shown}");
    }
}

#[test]
fn a_source_is_exactly_one_thing() {
    assert_eq!(
        refused("[[source]]\nport = 123\n"),
        "c.toml:1:1: this source has neither `server` nor `pool`
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
            "Write `server = \"192.0.2.1\"`",
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
            "`pool_size` goes with `pool`",
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
fn all_problems_of_all_files_in_order() {
    let folder = Folder::new("all-problems");
    let main = folder.write(
        "main.toml",
        "[[source]]\nserver = \"a\"\nnoise = 1\n[clock]\nkind = \"x\"\nstep = 1\n",
    );
    let second = folder.write(
        "conf.d/20.toml",
        "[[source]]\nserver = \"b\"\nport = \"x\"\n",
    );
    let broken = folder.write("conf.d/10.toml", "[log\n");
    folder.write("conf.d/ignored.conf", "[[[");
    folder.write("conf.d/.hidden.toml", "[[[");
    let problems = Config::load(&main).unwrap_err().problems;
    let places: Vec<_> = problems
        .iter()
        .map(|p| (p.file.clone(), p.place.as_ref().map(|place| place.line)))
        .collect();
    let expected = [
        (&main, 3),
        (&main, 5),
        (&main, 6),
        (&broken, 1),
        (&second, 3),
    ];
    let expected: Vec<_> = expected
        .map(|(file, line)| (file.clone(), Some(line)))
        .into();
    assert_eq!(places, expected);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = Folder::new("unreadable");
    let missing = folder.0.join("none.toml");
    let shown = Config::load(&missing).unwrap_err().to_string();
    assert_eq!(
        shown,
        format!(
            "{}: cannot be read: No such file or directory (os error 2)\n    \
             = another file can be given with -c FILE\n\
             1 problem; the configuration is not used",
            missing.display()
        )
    );
    let latin = folder.0.join("latin.toml");
    fs::write(&latin, b"a = 1\n# \xfc\n").unwrap();
    let shown = Config::load(&latin).unwrap_err().to_string();
    assert!(shown.contains("is not UTF-8 text: see line 2"), "{shown}");
    let shown = Config::load(&folder.0).unwrap_err().to_string();
    assert!(shown.contains("cannot be read: Is a directory"), "{shown}");
    let huge = folder.write("huge.toml", &"#".repeat((1 << 20) + 1));
    let shown = Config::load(&huge).unwrap_err().to_string();
    assert!(shown.contains("is longer than 1048576 octets"), "{shown}");
}

#[test]
fn later_files_override_and_sources_append() {
    let folder = Folder::new("merge");
    let socket = folder.0.join("run/control.sock");
    let main = folder.write(
        "etc/main.toml",
        &format!(
            "[[source]]\nserver = \"a\"\n[clock]\nstep = {{ above = \"1s\", first = 9 }}\n\
             [control]\nsocket = \"{}\"\n",
            socket.display()
        ),
    );
    folder.write(
        "etc/conf.d/10.toml",
        "[[source]]\nserver = \"b\"\n[clock.step]\nfirst = 1\n",
    );
    folder.write(
        "run/sources.d/dhcp.toml",
        "[[source]]\nserver = \"192.0.2.7\"\n",
    );
    let loaded = Config::load(&main).unwrap();
    let names: Vec<_> = loaded
        .config
        .sources
        .iter()
        .map(|s| s.address.host.to_string())
        .collect();
    assert_eq!(names, ["a", "b", "192.0.2.7"]);
    assert_eq!(
        loaded.config.clock.step,
        StepConfig {
            above: Duration::from_secs(1),
            first: 1
        }
    );
    assert_eq!(loaded.files.len(), 3);

    folder.write(
        "etc/conf.d/20.toml",
        "sources = \"replace\"\n[[source]]\nserver = \"c\"\n",
    );
    let loaded = Config::load(&main).unwrap();
    let names: Vec<_> = loaded
        .config
        .sources
        .iter()
        .map(|s| s.address.host.to_string())
        .collect();
    assert_eq!(names, ["c", "192.0.2.7"]);

    let again = folder.write(
        "run/sources.d/again.toml",
        "[[source]]\nserver = \"c\"\n[log]\n",
    );
    let shown = Config::load(&main).unwrap_err().to_string();
    assert!(
        shown.contains(&format!(
            "{}:1:1: server c is a source already",
            again.display()
        )),
        "{shown}"
    );
    assert!(
        shown.contains(&format!(
            "first given at {}/etc/conf.d/20.toml:2:1",
            folder.0.display()
        )),
        "{shown}"
    );
    assert!(
        shown.contains(":3:2: unknown key `log` at the top level"),
        "{shown}"
    );
    assert!(shown.contains("= allowed keys: source\n"), "{shown}");
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
    assert_eq!(changes.removed, [old.sources[1].address.clone()]);
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
    let page = include_str!("../../docs/configuration.md");
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

/// What the reference shows as an example is valid.
#[test]
fn the_examples_in_the_documentation_are_valid() {
    let page = include_str!("../../docs/configuration.md");
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
            ("(server|pool|port|poll|kind|step|above|first|listen|allow|local|sources|virtual|é)",
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
