//! Several files: their order, merging, and what cannot be read.

use std::fs;
use std::path::PathBuf;

use clockwright_timebase::Duration;

use crate::config::{Config, Source, StepConfig};

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

#[test]
fn all_problems_of_all_files_in_order() {
    let folder = Folder::new("all-problems");
    let main = folder.write(
        "main.toml",
        "[[source]]\nserver = \"a\"\nnoise = 1\n[clock]\nkind = \"systen\"\nstep = 1\n",
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

/// A main file with the source `a` and its control socket in the folder, a drop-in with `b` and
/// a run-time source.
fn three_files(folder: &Folder) -> PathBuf {
    let socket = folder.0.join("run/control.sock");
    let main = format!(
        "[[source]]\nserver = \"a\"\n[clock]\nstep = {{ above = \"1s\", first = 9 }}\n\
         [control]\nsocket = \"{}\"\n",
        socket.display()
    );
    folder.write(
        "etc/conf.d/10.toml",
        "[[source]]\nserver = \"b\"\n[clock.step]\nfirst = 1\n",
    );
    folder.write(
        "run/sources.d/dhcp.toml",
        "[[source]]\nserver = \"192.0.2.7\"\n",
    );
    folder.write("etc/main.toml", &main)
}

fn hosts(config: &Config) -> Vec<String> {
    config.sources.iter().map(Source::label).collect()
}

#[test]
fn later_files_override_and_sources_append() {
    let folder = Folder::new("merge");
    let loaded = Config::load(&three_files(&folder)).unwrap();
    assert_eq!(hosts(&loaded.config), ["a", "b", "192.0.2.7"]);
    let step = StepConfig {
        above: Duration::from_secs(1),
        first: 1,
    };
    assert_eq!(loaded.config.clock.step, step);
    assert_eq!(loaded.files.len(), 3);
}

#[test]
fn a_drop_in_can_replace_the_sources_before_it() {
    let folder = Folder::new("replace");
    let main = three_files(&folder);
    folder.write(
        "etc/conf.d/20.toml",
        "sources = \"replace\"\n[[source]]\nserver = \"c\"\n",
    );
    assert_eq!(
        hosts(&Config::load(&main).unwrap().config),
        ["c", "192.0.2.7"]
    );

    folder.write("etc/conf.d/20.toml", "sources = \"replaced\"\n");
    let shown = Config::load(&main).unwrap_err().to_string();
    assert!(
        shown.contains(":1:11: \"replaced\" is not allowed here"),
        "{shown}"
    );
    assert!(shown.contains("did you mean \"replace\"?"), "{shown}");
}

#[test]
fn run_time_files_may_add_sources_and_nothing_else() {
    let folder = Folder::new("run-time");
    let main = three_files(&folder);
    let again = folder.write(
        "run/sources.d/again.toml",
        "[[source]]\nserver = \"b\"\n[log]\n",
    );
    let shown = Config::load(&main).unwrap_err().to_string();
    let (again, folder) = (again.display(), folder.0.display());
    for said in [
        format!("{again}:1:1: server b is a source already"),
        format!("= first given at {folder}/etc/conf.d/10.toml:1:1"),
        format!("{again}:3:2: unknown key `log` at the top level"),
        "= allowed keys: source\n".to_owned(),
    ] {
        assert!(shown.contains(&said), "{said}: {shown}");
    }
}

#[test]
fn a_host_whose_sources_come_later_needs_none_at_first() {
    let folder = Folder::new("later");
    let socket = folder.0.join("run/control.sock");
    let text = format!("[control]\nsocket = \"{}\"\n", socket.display());
    let main = folder.write("etc/main.toml", &text);
    let shown = Config::load(&main).unwrap_err().to_string();
    assert!(shown.contains("nothing to do"), "{shown}");
    fs::create_dir_all(folder.0.join("run/sources.d")).unwrap();
    assert!(Config::load(&main).unwrap().config.sources.is_empty());
}
