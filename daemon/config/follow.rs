//! `[[follow]]`: PTP hardware clocks that are kept equal to the clock of this host.

use clockwright_timebase::{Duration, Poll};
use toml::Spanned;
use toml::de::DeValue;

use super::device::PhcName;
use super::section::{Key, Reader, Value, Wrong, section};
use super::settings::some_above_zero;
use super::tables;
use super::value::choice;

choice! {
    /// What a PTP hardware clock shows.
    pub enum Timescale {
        /// TAI, as PTP has it: ahead of UTC by the leap seconds so far (37 s since 2017).
        Tai = "tai",
        /// UTC.
        Utc = "utc",
    }
}

section! {
    /// The keys of a `[[follow]]` that say how.
    pub struct FollowSettings {
        /// What the clock is to show.
        "timescale" => timescale: Timescale = Timescale::Tai;
        /// Added to the time that it is to show.
        "offset" => offset: Duration = Duration::ZERO;
        /// How often it is compared and corrected.
        "interval" => interval: Poll = Poll::new(0), if interval;
        /// It is set at once, rather than corrected by frequency, where it is off by more.
        "step" => step: Duration = Duration::from_micros(20), if some_above_zero;
    }
}

section! {
    /// The keys of a `[[follow]]` that say which clock.
    struct FollowKeys {
        /// Which clock.
        "clock" => clock: Option<PhcName> = None;
    }
}

/// A `[[follow]]`: a PTP hardware clock that is kept equal to UTC or TAI by this host's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowConfig {
    /// Which clock: its identity across reloads.
    pub clock: PhcName,
    /// How it follows.
    pub settings: FollowSettings,
}

/// Reads one `[[follow]]`; `None` if anything about it is wrong.
fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<FollowConfig> {
    let before = reader.count();
    let mut which = FollowKeys::default();
    let mut settings = FollowSettings::default();
    reader.table(value, &mut [&mut which, &mut settings]);
    if reader.count() != before {
        return None;
    }
    let Some(clock) = which.clock else {
        let wrong = Wrong::new("this follower has no `clock`");
        let help = "for example clock = \"eth0\", the clock of that interface's NIC";
        reader.wrong(&value.span(), wrong.help(help));
        return None;
    };
    Some(FollowConfig { clock, settings })
}

impl Value for Vec<FollowConfig> {
    fn apply(&mut self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        let rule = "clocks that follow are written as [[follow]]";
        tables::append(self, value, rule, reader, read);
    }

    fn describe(&self, path: &str, keys: &mut Vec<Key>) {
        FollowKeys::default().describe(path, keys);
        FollowSettings::default().describe(path, keys);
    }

    fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>) {
        if self != new {
            changed.push(path.to_owned());
        }
    }
}

/// Some clocks may be read only 125 times a second, and none drifts a microsecond within seconds.
fn interval(interval: Poll) -> Result<(), String> {
    if (Poll::new(-4)..=Poll::new(6)).contains(&interval) {
        Ok(())
    } else {
        Err(format!("{interval} is not between 1/16s and 64s"))
    }
}
