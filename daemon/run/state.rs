//! What survives a restart: the oscillator's frequency, how well it is known, and the time.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clockwright_discipline::{Learnt, TemperatureFit};
use clockwright_timebase::{Duration, Timestamp, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::BUILT;
use crate::control::ClockName;

/// The file's name in the state directory.
const NAME: &str = "drift.json";
/// The format this program writes, and the only one it reads.
const FORMAT: u32 = 1;
/// Longest file read, octets.
const MAX_FILE: u64 = 4096;
/// The kernel calibrates its oscillator anew at each boot, and the temperature is another, s/s.
const REBOOT_SD: f64 = 1e-6;
/// What a restart alone makes uncertain, s/s.
const RESTART_SD: f64 = 20e-9;
/// No crystal that works is further off than this, s/s.
const MAX_FREQUENCY: f64 = 1e-3;
/// No program runs for so long after it was built.
const MAX_AGE_OF_PROGRAM: Duration = Duration::from_secs(50 * 366 * 86_400);

/// The file, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Saved {
    format: u32,
    /// The clock that was disciplined: what is true of one is not of another.
    clock: ClockName,
    /// UTC's frequency against the oscillator.
    frequency_ppm: f64,
    /// Its standard deviation.
    frequency_uncertainty_ppm: f64,
    /// Random walk of the frequency, s/s per √s.
    wander: f64,
    /// The same as it shows over an hour. Files of earlier versions have neither this nor a
    /// temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    long_wander: Option<f64>,
    /// What the temperature does to the frequency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<SavedTemperature>,
    /// When it was saved, by that clock, which was synchronised.
    unix_time_s: i64,
    /// The boot it was learnt in.
    boot_id: Option<String>,
}

/// How the frequency depends on the temperature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct SavedTemperature {
    /// The temperature that the coefficients are for.
    around_c: f64,
    ppm_per_k: f64,
    ppm_per_k2: f64,
    /// Variance of the first, covariance, variance of the second; squares of these units.
    covariance: [f64; 3],
    /// The temperature at which the frequency was the one saved.
    at_c: f64,
}

impl SavedTemperature {
    fn new(fit: &TemperatureFit) -> Self {
        Self {
            around_c: fit.around_c,
            ppm_per_k: fit.per_k * 1e6,
            ppm_per_k2: fit.per_k2 * 1e6,
            covariance: fit.covariance.map(|c| c * 1e12),
            at_c: fit.at_c,
        }
    }

    fn fit(self) -> TemperatureFit {
        TemperatureFit {
            around_c: self.around_c,
            per_k: self.ppm_per_k * 1e-6,
            per_k2: self.ppm_per_k2 * 1e-6,
            covariance: self.covariance.map(|c| c * 1e-12),
            at_c: self.at_c,
        }
    }

    /// Can it be of a crystal?
    fn is_possible(&self) -> bool {
        let earthly = |celsius: f64| (-100.0..=200.0).contains(&celsius);
        let [first, cross, second] = self.covariance;
        let small = |value: f64, most: f64| value.abs() <= most;
        earthly(self.around_c)
            && earthly(self.at_c)
            && small(self.ppm_per_k, 100.0)
            && small(self.ppm_per_k2, 10.0)
            && (0.0..=1e4).contains(&first)
            && (0.0..=1e4).contains(&second)
            && cross * cross <= first * second
    }
}

/// Why there is nothing to go on from.
#[derive(Debug)]
pub(super) enum StateError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It can, and makes no sense.
    Damaged(PathBuf, String),
    /// It is about another clock.
    OtherClock(PathBuf),
    /// The file cannot be written.
    Unwritable(PathBuf, io::Error),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(
                f,
                "cannot read {}: {error}; going on without: the frequency is learnt anew",
                path.display()
            ),
            Self::Damaged(path, why) => write!(
                f,
                "{} is damaged ({why}); going on without: the frequency is learnt anew, and the \
                 file is written again within the hour",
                path.display()
            ),
            Self::OtherClock(path) => write!(
                f,
                "{} was written for another kind of clock; going on without",
                path.display()
            ),
            Self::Unwritable(path, error) => write!(
                f,
                "cannot write {}: {error}; after a restart the frequency will have to be learnt \
                 anew, which takes minutes. Make the directory writable for this daemon, or set \
                 state.directory",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StateError {}

/// What was kept of an earlier run.
#[derive(Debug)]
pub(super) struct Kept(Saved);

/// The state file of one daemon.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    clock: ClockName,
}

impl StateFile {
    /// The file in `directory`, which is made if it is missing.
    ///
    /// # Errors
    /// The directory is not there and cannot be made. The file can be tried all the same.
    pub(super) fn new(directory: &Path, clock: ClockName) -> (Self, Result<(), StateError>) {
        let file = Self {
            path: directory.join(NAME),
            clock,
        };
        let made = match DirBuilder::new()
            .mode(0o755)
            .recursive(true)
            .create(directory)
        {
            Ok(()) => Ok(()),
            Err(error) => Err(StateError::Unwritable(file.path.clone(), error)),
        };
        (file, made)
    }

    /// What was kept before; `None` if nothing ever was.
    ///
    /// # Errors
    /// Something was, and cannot be used.
    pub(super) fn load(&self) -> Result<Option<Kept>, StateError> {
        let mut text = String::new();
        let read =
            File::open(&self.path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(StateError::Damaged(
                    self.path.clone(),
                    "not text".to_owned(),
                ));
            }
            Err(error) => return Err(StateError::Unreadable(self.path.clone(), error)),
        }
        let damaged = |why: String| StateError::Damaged(self.path.clone(), why);
        let saved: Saved = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        if saved.format != FORMAT {
            return Err(damaged(format!("format {} is unknown", saved.format)));
        }
        if saved.clock != self.clock {
            return Err(StateError::OtherClock(self.path.clone()));
        }
        saved.check().map_err(damaged)?;
        Ok(Some(Kept(saved)))
    }

    /// Keeps what has been learnt, and `now`, by the clock that was disciplined: under another name
    /// first, so that a power failure leaves either the old file or the new one.
    ///
    /// # Errors
    /// The kernel refused a step.
    pub(super) fn save(&self, learnt: &Learnt, now: Timestamp<Utc>) -> Result<(), StateError> {
        let saved = Saved {
            format: FORMAT,
            clock: self.clock.clone(),
            frequency_ppm: learnt.frequency * 1e6,
            frequency_uncertainty_ppm: learnt.frequency_sd * 1e6,
            wander: learnt.wander,
            long_wander: Some(learnt.long_wander),
            temperature: learnt.temperature.as_ref().map(SavedTemperature::new),
            unix_time_s: whole_seconds(now),
            boot_id: boot_id(),
        };
        self.replace(&saved)
            .map_err(|error| StateError::Unwritable(self.path.clone(), error))
    }

    fn replace(&self, saved: &Saved) -> io::Result<()> {
        let draft = self.path.with_extension("json.new");
        let mut text = serde_json::to_vec_pretty(saved)?;
        text.push(b'\n');
        let mut file = File::create(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        // The name is in the directory, which has to reach the disk too.
        match self.path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Kept {
    /// The time that was known last: it cannot be earlier now.
    pub(super) const fn saved_at(&self) -> Timestamp<Utc> {
        Timestamp::from_timespec(self.0.unix_time_s, 0)
    }

    /// What was learnt, and what it is worth `now`.
    pub(super) fn learnt(&self, now: Timestamp<Utc>) -> Learnt {
        self.0.learnt(whole_seconds(now), boot_id().as_deref())
    }
}

impl Saved {
    /// Refuses what cannot have been written by this program.
    fn check(&self) -> Result<(), String> {
        let possible = |sd: f64| sd > 0.0 && sd <= MAX_FREQUENCY;
        if self.frequency_ppm.is_nan() || self.frequency_ppm.abs() > MAX_FREQUENCY * 1e6 {
            return Err(format!(
                "a frequency of {} ppm is impossible",
                self.frequency_ppm
            ));
        }
        let long_wander = self.long_wander.unwrap_or(self.wander);
        if !possible(self.frequency_uncertainty_ppm * 1e-6)
            || !possible(self.wander)
            || !possible(long_wander)
        {
            return Err("uncertainty or wander are impossible".to_owned());
        }
        if self.temperature.is_some_and(|saved| !saved.is_possible()) {
            return Err("what it says of the temperature is impossible".to_owned());
        }
        if Timestamp::from_timespec(self.unix_time_s, 0) > BUILT + MAX_AGE_OF_PROGRAM {
            return Err(format!(
                "a time of {} s since 1970 is impossible",
                self.unix_time_s
            ));
        }
        Ok(())
    }

    /// What it is worth now: the frequency has wandered since, and a reboot changed more.
    fn learnt(&self, now_unix_s: i64, boot_id: Option<&str>) -> Learnt {
        // The clock may be wrong now; that only makes us less sure.
        let age_s = now_unix_s.abs_diff(self.unix_time_s).min(30 * 86_400) as f64;
        let same_boot = self.boot_id.is_some() && self.boot_id.as_deref() == boot_id;
        let restart_sd = if same_boot { RESTART_SD } else { REBOOT_SD };
        let then = Learnt {
            frequency: self.frequency_ppm * 1e-6,
            frequency_sd: self.frequency_uncertainty_ppm * 1e-6,
            wander: self.wander,
            long_wander: self.long_wander.unwrap_or(self.wander),
            temperature: self.temperature.map(SavedTemperature::fit),
        };
        then.after_restart(age_s, restart_sd)
    }
}

/// Which boot this is; the kernel's random name for it.
fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Seconds since 1970, rounded down: what is kept is never later than it was.
fn whole_seconds(instant: Timestamp<Utc>) -> i64 {
    instant.since_epoch().as_nanos().div_euclid(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of this test's own, removed afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let unique = format!("clockwright-state-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(unique);
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn file(&self, clock: ClockName) -> StateFile {
            let (file, made) = StateFile::new(&self.0, clock);
            made.unwrap();
            file
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const LEARNT: Learnt = Learnt {
        frequency: 12.345e-6,
        frequency_sd: 3e-9,
        wander: 2e-10,
        long_wander: 3e-10,
        temperature: Some(TemperatureFit {
            around_c: 35.0,
            per_k: -1e-7,
            per_k2: 2e-9,
            covariance: [1e-18, -1e-20, 1e-20],
            at_c: 41.5,
        }),
    };

    fn now() -> Timestamp<Utc> {
        BUILT + Duration::from_millis(86_400_999)
    }

    #[test]
    fn what_is_saved_comes_back_a_little_less_sure() {
        let scratch = Scratch::new("round-trip");
        let file = scratch.file(ClockName::System);
        assert!(file.load().unwrap().is_none());
        file.save(&LEARNT, now()).unwrap();
        let kept = file.load().unwrap().unwrap();
        assert_eq!(kept.saved_at(), BUILT + Duration::from_secs(86_400));
        let back = kept.learnt(now());
        assert!((back.frequency - LEARNT.frequency).abs() < 1e-15);
        assert!(back.frequency_sd > LEARNT.frequency_sd && back.frequency_sd < 30e-9);
        assert!((back.long_wander - LEARNT.long_wander).abs() < 1e-20);
        let (fit, kept) = (back.temperature.unwrap(), LEARNT.temperature.unwrap());
        assert!((fit.per_k - kept.per_k).abs() < 1e-20 && (fit.at_c - 41.5).abs() < 1e-9);
        assert!((fit.covariance[1] - kept.covariance[1]).abs() < 1e-30);
        // No draft is left behind.
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    }

    #[test]
    fn another_boot_and_age_make_it_less_sure() {
        let saved = Saved {
            format: FORMAT,
            clock: ClockName::System,
            frequency_ppm: 1.0,
            frequency_uncertainty_ppm: 0.001,
            wander: 1e-9,
            long_wander: None,
            temperature: None,
            unix_time_s: 1_000_000,
            boot_id: Some("a".to_owned()),
        };
        let sd = |now, boot| saved.learnt(now, boot).frequency_sd;
        assert!(sd(1_000_000, Some("a")) < 25e-9);
        assert!(sd(1_000_000, Some("b")) >= REBOOT_SD);
        assert!(sd(1_000_000, None) >= REBOOT_SD);
        assert!(sd(1_000_000 + 40_000, Some("a")) > 190e-9);
    }

    #[test]
    fn a_file_of_an_earlier_version_is_still_read() {
        let scratch = Scratch::new("earlier");
        let file = scratch.file(ClockName::System);
        let text = r#"{ "format": 1, "clock": "system", "frequency_ppm": 12.5,
            "frequency_uncertainty_ppm": 0.003, "wander": 2e-10, "unix_time_s": 1800000000,
            "boot_id": null }"#;
        fs::write(&file.path, text).unwrap();
        let back = file.load().unwrap().unwrap().learnt(now());
        assert!((back.frequency - 12.5e-6).abs() < 1e-15);
        assert!((back.long_wander - 2e-10).abs() < 1e-20);
        assert_eq!(back.temperature, None);
    }

    #[test]
    fn damage_is_named_and_survived() {
        let scratch = Scratch::new("damage");
        let file = scratch.file(ClockName::System);
        file.save(&LEARNT, now()).unwrap();
        let good = fs::read_to_string(&file.path).unwrap();
        let with = |key: &str, value: serde_json::Value| {
            let mut saved: serde_json::Value = serde_json::from_str(&good).unwrap();
            saved[key] = value;
            saved.to_string()
        };
        for (bad, why) in [
            (String::new(), "EOF"),
            (good.chars().take(40).collect(), "EOF"),
            (with("format", 2.into()), "format 2"),
            (with("frequency_ppm", 12_345.0.into()), "impossible"),
            (
                with("frequency_uncertainty_ppm", (-1.0).into()),
                "impossible",
            ),
            (with("wander", 0.0.into()), "impossible"),
            (with("long_wander", (-1.0).into()), "impossible"),
            (with("temperature", 3.into()), "invalid type"),
            (
                with(
                    "temperature",
                    serde_json::json!({
                        "around_c": 1e9, "ppm_per_k": 0.1, "ppm_per_k2": 0.0,
                        "covariance": [1.0, 0.0, 1.0], "at_c": 30.0,
                    }),
                ),
                "the temperature is impossible",
            ),
            (with("unix_time_s", i64::MAX.into()), "impossible"),
            ("\u{0}".repeat(100), "expected value"),
        ] {
            fs::write(&file.path, &bad).unwrap();
            let error = file.load().unwrap_err();
            assert!(matches!(error, StateError::Damaged(..)), "{bad}: {error}");
            assert!(error.to_string().contains(why), "{bad}: {error}");
        }
        fs::write(&file.path, [0xff; 10]).unwrap();
        assert!(matches!(file.load(), Err(StateError::Damaged(..))));
    }

    #[test]
    fn what_was_learnt_of_a_virtual_clock_is_not_the_systems() {
        let scratch = Scratch::new("other");
        let virtual_clock = scratch.file(ClockName::Virtual);
        virtual_clock.save(&LEARNT, now()).unwrap();
        let error = scratch.file(ClockName::System).load().unwrap_err();
        assert!(matches!(error, StateError::OtherClock(_)));
    }

    #[test]
    fn a_directory_that_cannot_be_made_says_what_it_costs() {
        let (file, made) = StateFile::new(Path::new("/proc/clockwright"), ClockName::System);
        assert!(made.unwrap_err().to_string().contains("state.directory"));
        assert!(file.save(&LEARNT, now()).is_err());
    }
}
