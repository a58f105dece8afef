//! What a guest recorded, and what can be asked of it. A record whose test fails is shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// Everything one guest left; the fields are those that `tests/lab/guest/case.py` writes.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    /// Several times a second.
    pub(crate) samples: Vec<Sample>,
    /// What was done, when, and what came of it.
    pub(crate) events: Vec<Event>,
    /// Why the case could not be run.
    pub(crate) fault: Option<String>,
    /// What each daemon says at the end, by its name.
    pub(crate) end: BTreeMap<String, Value>,
    /// What each daemon printed.
    pub(crate) log: BTreeMap<String, String>,
    /// Counters of each device.
    pub(crate) stats: BTreeMap<String, BTreeMap<String, u64>>,
    /// The transmit type and receive filter in force at the end, of each device.
    pub(crate) hwtstamp: BTreeMap<String, String>,
    kernel_log: String,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    folder: PathBuf,
}

/// One look.
#[derive(Debug, Deserialize)]
pub(crate) struct Sample {
    /// Since the first daemons run, s.
    pub(crate) t: f64,
    /// The system clock minus true time before daemons were asked.
    pub(crate) error_ns: f64,
    /// And after.
    pub(crate) error_after_ns: f64,
    /// Each device's clock minus true time.
    pub(crate) phc_error_ns: BTreeMap<String, f64>,
    /// What each daemon of ours that runs said.
    #[serde(flatten)]
    said: BTreeMap<String, Value>,
}

/// Something that was done in the course of a case.
#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    /// Since the first daemons run, s.
    pub(crate) t: f64,
    #[serde(rename = "do")]
    action: Value,
    /// What came of it.
    pub(crate) result: Value,
}

/// What is asked of `status --json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    pub(crate) synchronized: bool,
    pub(crate) error_bound_s: Option<f64>,
    pub(crate) steps: u64,
    pub(crate) samples: u64,
    pub(crate) disruptions: u64,
}

/// What is asked of an element of `sources --json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) reachable: bool,
    pub(crate) interleaved: bool,
    pub(crate) transport: Option<String>,
    pub(crate) tx_stamp: Option<String>,
    pub(crate) rx_stamp: Option<String>,
    pub(crate) delay_s: Option<f64>,
}

impl Source {
    /// Who stamped, at both ends of the local interval: `hardware/hardware`.
    pub(crate) fn kinds(&self) -> String {
        let kind = |stamp: &Option<String>| stamp.clone().unwrap_or_else(|| "nobody".to_owned());
        format!("{}/{}", kind(&self.tx_stamp), kind(&self.rx_stamp))
    }
}

impl Sample {
    /// The status of a daemon, if it answered.
    pub(crate) fn status(&self, daemon: &str) -> Option<Status> {
        serde_json::from_value(self.said.get(daemon)?.get("status")?.clone()).ok()
    }

    /// What the kernel said of its clock (`kernel` in `tests/lab/guest/lab.py`).
    pub(crate) fn kernel(&self) -> &Value {
        self.said.get("kernel").unwrap_or(&Value::Null)
    }

    /// Its sources.
    pub(crate) fn sources(&self, daemon: &str) -> Vec<Source> {
        let sources = self.said.get(daemon).and_then(|said| said.get("sources"));
        sources
            .and_then(|sources| serde_json::from_value(sources.clone()).ok())
            .unwrap_or_default()
    }

    /// The least that the error can have been at the moment of the daemon's answer.
    fn least_error_ns(&self) -> f64 {
        if self.error_ns * self.error_after_ns < 0.0 {
            0.0
        } else {
            self.error_ns.abs().min(self.error_after_ns.abs())
        }
    }
}

impl Record {
    /// Says which case it is, for messages.
    pub(crate) fn named(&mut self, name: &str, folder: &Path) {
        name.clone_into(&mut self.name);
        folder.clone_into(&mut self.folder);
    }

    /// The samples from one second to another.
    pub(crate) fn between(&self, from: f64, to: f64) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.t >= from && sample.t <= to)
    }

    /// The sources of a daemon at the end.
    #[track_caller]
    pub(crate) fn last_sources(&self, daemon: &str) -> Vec<Source> {
        let sources = self.samples.last().expect("samples").sources(daemon);
        assert!(
            !sources.is_empty(),
            "{}: {daemon} has no sources",
            self.name
        );
        sources
    }

    /// The only source of a daemon at the end.
    #[track_caller]
    pub(crate) fn last_source(&self, daemon: &str) -> Source {
        let mut sources = self.last_sources(daemon);
        assert_eq!(sources.len(), 1, "{}: sources of {daemon}", self.name);
        sources.remove(0)
    }

    /// `timestamps --json` of a daemon at the end: one interface.
    #[track_caller]
    pub(crate) fn interface(&self, daemon: &str, interface: &str) -> &Value {
        let all = &self.end[daemon]["timestamps"]["interfaces"];
        all.as_array()
            .and_then(|all| all.iter().find(|one| one["name"] == interface))
            .unwrap_or_else(|| {
                panic!(
                    "{}: timestamps of {daemon} have no {interface}: {all:#}",
                    self.name
                )
            })
    }

    /// The clock of an interface, which must be read between two readings of the host's.
    pub(crate) fn phc_read_extended(&self, daemon: &str, interface: &str) -> &Value {
        let phc = &self.interface(daemon, interface)["phc"];
        let method = phc["method"].as_str();
        assert!(
            method.is_some_and(|method| method.starts_with("extended")),
            "{phc:#}"
        );
        phc
    }

    /// What `clockwright timestamps` shows at the end.
    #[track_caller]
    pub(crate) fn screen(&self, daemon: &str) -> &str {
        self.end[daemon]["screen"].as_str().unwrap_or_default()
    }

    /// The lines of a daemon's log that warn.
    pub(crate) fn warnings(&self, daemon: &str) -> Vec<&str> {
        let log = self.log.get(daemon).map_or("", String::as_str);
        log.lines()
            .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
            .collect()
    }

    /// The lines of a daemon's log, debugging aside, that contain `text`.
    pub(crate) fn told(&self, daemon: &str, text: &str) -> Vec<&str> {
        let log = self.log.get(daemon).map_or("", String::as_str);
        log.lines()
            .filter(|line| !line.contains(" DEBUG ") && line.contains(text))
            .collect()
    }

    /// The largest true error in that time, ns.
    pub(crate) fn worst_error_ns(&self, from: f64, to: f64) -> f64 {
        self.between(from, to)
            .map(|sample| sample.error_ns.abs())
            .fold(0.0, f64::max)
    }

    /// Every claim of a daemon that it is synchronised holds: the true error is within the
    /// published bound.
    #[track_caller]
    pub(crate) fn assert_claims_hold(&self, daemon: &str) {
        let mut claims = 0;
        for sample in &self.samples {
            let Some(status) = sample.status(daemon).filter(|status| status.synchronized) else {
                continue;
            };
            claims += 1;
            let bound_ns = status.error_bound_s.expect("a bound with every claim") * 1e9;
            assert!(
                sample.least_error_ns() <= bound_ns,
                "{}: at {:.2} s the clock is {:.0} ns wrong, and the bound says {bound_ns:.0} ns",
                self.name,
                sample.t,
                sample.error_ns
            );
        }
        assert!(claims > 0, "{}: {daemon} never was synchronised", self.name);
    }

    /// In that time the daemon claimed to be synchronised at every look.
    #[track_caller]
    pub(crate) fn assert_synchronized(&self, daemon: &str, from: f64, to: f64) {
        for sample in self.between(from, to) {
            assert!(
                sample
                    .status(daemon)
                    .is_some_and(|status| status.synchronized),
                "{}: not synchronised at {:.2} s",
                self.name,
                sample.t
            );
        }
    }

    /// In that time all looks saw these kinds of stamps at the ends of a daemon's intervals.
    #[track_caller]
    pub(crate) fn assert_kinds(&self, daemon: &str, kinds: &str, from: f64, to: f64) {
        for sample in self.between(from, to) {
            for source in sample.sources(daemon) {
                assert_eq!(
                    source.kinds(),
                    kinds,
                    "{}: {} at {:.2} s",
                    self.name,
                    source.name,
                    sample.t
                );
            }
        }
    }

    /// The clock was right to `limit_ns` throughout that time.
    #[track_caller]
    pub(crate) fn assert_right(&self, limit_ns: f64, from: f64, to: f64) {
        let worst = self.worst_error_ns(from, to);
        assert!(
            worst <= limit_ns,
            "{}: {worst:.0} ns wrong between {from} and {to} s, {limit_ns} ns are allowed",
            self.name
        );
    }

    /// The guest's kernel has nothing to complain of.
    #[track_caller]
    pub(crate) fn assert_kernel_is_content(&self) {
        let complaints = ["BUG", "WARNING:", "Oops", "Call Trace"];
        let bad: Vec<_> = self
            .kernel_log
            .lines()
            .filter(|line| complaints.iter().any(|complaint| line.contains(complaint)))
            .collect();
        assert!(
            bad.is_empty(),
            "{}: the guest's kernel says {bad:#?}",
            self.name
        );
    }

    fn show(&self) {
        eprintln!(
            "--- {}: everything is in {}",
            self.name,
            self.folder.display()
        );
        for event in &self.events {
            eprintln!("{:>8.2} s: {}", event.t, event.action);
        }
        let mut before = String::new();
        for sample in &self.samples {
            let line = Self::line(sample);
            if line != before {
                eprintln!(
                    "{:>8.2} s: {:>12} ns off; {line}",
                    sample.t, sample.error_ns
                );
                before = line;
            }
        }
        for (name, words) in &self.end {
            eprintln!("--- {name} at the end: {words:#}");
        }
        for (name, log) in &self.log {
            eprintln!("--- {name} printed, debugging aside:");
            for line in log.lines().filter(|line| !line.contains(" DEBUG ")) {
                eprintln!("{line}");
            }
        }
        eprintln!(
            "--- counters: {:?}, hwtstamp: {:?}",
            self.stats, self.hwtstamp
        );
    }

    /// What of a look is worth a line when it changes.
    fn line(sample: &Sample) -> String {
        let daemons = sample.said.keys().map(|daemon| {
            let synchronized = sample
                .status(daemon)
                .is_some_and(|status| status.synchronized);
            let sources = sample.sources(daemon);
            let kinds: Vec<_> = sources
                .iter()
                .map(|source| format!("{} {} {}", source.name, source.state, source.kinds()))
                .collect();
            format!(
                "{daemon}: synchronised {synchronized}, {}",
                kinds.join(", ")
            )
        });
        daemons.collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
    }
}
