//! The PTP hardware clocks behind the interfaces.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clockwright_phc::{PhcError, Selector, Taken, Tracked};
use clockwright_timebase::{Duration, Phc, Raw, Timestamp};

use super::fallback::Fallback;
use super::notice::Notice;

/// A clock that could not be read or opened is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// All clocks in use, by their devices.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    by_path: BTreeMap<PathBuf, HardwareClock>,
    /// Counts readings, and what else changes.
    readings: u64,
    /// Of the clock that is opened next.
    number: u32,
}

/// A PTP hardware clock being followed.
#[derive(Debug)]
pub(super) struct HardwareClock {
    /// No other one ever had it.
    pub(super) number: u32,
    tracked: Option<Tracked>,
    /// Why it cannot be read, and since when.
    fault: Option<(String, Timestamp<Raw>)>,
    /// When it was last found to have been set: stamps from before are in a time that is gone.
    set: Option<Timestamp<Raw>>,
    /// How often another program did that.
    pub(super) times_set: u64,
    /// Has this process set it since the last reading?
    own_doing: bool,
}

impl Clocks {
    /// Opens a clock unless it is open.
    pub(super) fn add(&mut self, path: &Path, now: Timestamp<Raw>, notices: &mut Vec<Notice>) {
        if self.by_path.contains_key(path) {
            return;
        }
        self.number = self.number.wrapping_add(1);
        let mut clock = HardwareClock {
            number: self.number,
            tracked: None,
            fault: None,
            set: None,
            times_set: 0,
            own_doing: false,
        };
        clock.open(path, now, notices);
        self.by_path.insert(path.to_owned(), clock);
    }

    /// Counts whatever changes what stamps are converted by.
    pub(super) const fn readings(&self) -> u64 {
        self.readings
    }

    /// Closes the clocks that no interface needs.
    pub(super) fn retain(&mut self, needed: impl Fn(&Path) -> bool) {
        self.by_path.retain(|path, _| needed(path));
    }

    /// A clock.
    pub(super) fn get(&self, path: &Path) -> Option<&HardwareClock> {
        self.by_path.get(path)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &HardwareClock> {
        self.by_path.values()
    }

    /// Reads all clocks whose last reading is not younger than `max_age`.
    pub(super) fn refresh_all(
        &mut self,
        now: Timestamp<Raw>,
        max_age: Duration,
        notices: &mut Vec<Notice>,
    ) {
        for (path, clock) in &mut self.by_path {
            if clock.refresh(path, now, max_age, notices) {
                self.readings = self.readings.wrapping_add(1);
            }
        }
    }

    /// Reads a clock unless its last reading is younger than `max_age`.
    pub(super) fn refresh(
        &mut self,
        path: &Path,
        now: Timestamp<Raw>,
        max_age: Duration,
        notices: &mut Vec<Notice>,
    ) {
        if let Some(clock) = self.by_path.get_mut(path)
            && clock.refresh(path, now, max_age, notices)
        {
            self.readings = self.readings.wrapping_add(1);
        }
    }

    /// The host's oscillator has lost count of time: where the clocks stand against it is found anew,
    /// and what they stamped before `now` is of no use.
    pub(super) fn restart(&mut self, now: Timestamp<Raw>) {
        for clock in self.by_path.values_mut() {
            clock.restart(now);
        }
        self.readings = self.readings.wrapping_add(1);
    }

    /// This process has set the clock at `path`, which the next reading will find.
    pub(super) fn was_set(&mut self, path: &Path) {
        if let Some(clock) = self.by_path.get_mut(path) {
            clock.own_doing = true;
        }
    }

    /// The host's raw instant at which the clock showed `stamp`, and how far it can be wrong.
    /// The packet was stamped at `not_before` at the earliest.
    pub(super) fn instant_of(
        &self,
        path: &Path,
        stamp: Timestamp<Phc>,
        not_before: Timestamp<Raw>,
    ) -> Result<(Timestamp<Raw>, Duration), Fallback> {
        let clock = self.get(path).ok_or(Fallback::ClockUnreadable)?;
        if clock.set.is_some_and(|set| not_before <= set) {
            return Err(Fallback::ClockSet);
        }
        let tracker = clock.tracked.as_ref().map(Tracked::tracker);
        let instant = tracker
            .filter(|_| clock.fault.is_none())
            .and_then(|tracker| tracker.instant_of(stamp))
            .ok_or(Fallback::ClockUnreadable)?;
        Ok((instant.at, instant.uncertainty))
    }
}

impl HardwareClock {
    /// The clock, if it could be opened.
    pub(super) const fn tracked(&self) -> Option<&Tracked> {
        self.tracked.as_ref()
    }

    /// When it was last found to have been set.
    pub(super) const fn was_set_at(&self) -> Option<Timestamp<Raw>> {
        self.set
    }

    /// Why it cannot be read.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_ref().map(|(why, _)| why.as_str())
    }

    fn open(&mut self, path: &Path, now: Timestamp<Raw>, notices: &mut Vec<Notice>) {
        match Tracked::open(&Selector::Path(path.to_owned())) {
            Ok(tracked) => self.tracked = Some(tracked),
            Err(error) => self.failed(path, &error, now, notices),
        }
    }

    fn restart(&mut self, now: Timestamp<Raw>) {
        self.set = Some(now);
        if let Some(tracked) = &mut self.tracked {
            tracked.tracker_mut().restart();
        }
    }

    /// True if it was read, or could not be.
    fn refresh(
        &mut self,
        path: &Path,
        now: Timestamp<Raw>,
        max_age: Duration,
        notices: &mut Vec<Notice>,
    ) -> bool {
        if let Some((_, since)) = &self.fault
            && now - *since < TRY_AGAIN
        {
            return false;
        }
        if self.tracked.is_none() {
            self.open(path, now, notices);
        }
        let Some(tracked) = &mut self.tracked else {
            return true;
        };
        match tracked.refresh(now, max_age) {
            Ok(taken) => {
                if self.fault.take().is_some() {
                    notices.push(Notice::ClockReadable {
                        clock: path.to_owned(),
                    });
                }
                let own_doing = taken.is_some() && std::mem::take(&mut self.own_doing);
                if let Some(Taken::Jumped { by }) = taken {
                    // Found by this very reading: what was stamped before it may be of either
                    // time.
                    self.set = self
                        .tracked
                        .as_ref()
                        .and_then(|t| t.tracker().last_reading());
                    if !own_doing {
                        self.times_set += 1;
                        notices.push(Notice::ClockSet {
                            clock: path.to_owned(),
                            by,
                        });
                    }
                }
                taken.is_some()
            }
            Err(error) => {
                // The device may be gone, and another one be there under its number.
                self.tracked = None;
                self.failed(path, &error, now, notices);
                true
            }
        }
    }

    fn failed(
        &mut self,
        path: &Path,
        error: &PhcError,
        now: Timestamp<Raw>,
        notices: &mut Vec<Notice>,
    ) {
        let why = error.to_string();
        if self.fault.as_ref().is_none_or(|(before, _)| *before != why) {
            notices.push(Notice::ClockUnreadable {
                clock: path.to_owned(),
                why: why.clone(),
            });
        }
        self.fault = Some((why, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stamped_before_the_oscillator_lost_count_is_of_no_use() {
        let at = |secs| Timestamp::from_timespec(secs, 0);
        let path = Path::new("/dev/ptp4000000");
        let mut clocks = Clocks::default();
        clocks.add(path, at(1), &mut Vec::new());
        let stamp = Timestamp::from_timespec(1_700_000_000, 0);
        let converted = |clocks: &Clocks, sent| clocks.instant_of(path, stamp, at(sent));
        assert_eq!(converted(&clocks, 5), Err(Fallback::ClockUnreadable));
        let before = clocks.readings();
        clocks.restart(at(10));
        assert_ne!(clocks.readings(), before);
        assert_eq!(converted(&clocks, 5), Err(Fallback::ClockSet));
        assert_eq!(converted(&clocks, 11), Err(Fallback::ClockUnreadable));
        assert_eq!(clocks.get(path).unwrap().times_set, 0);
    }
}
