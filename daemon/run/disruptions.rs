//! What happens to a host's time from outside: sleep, a move to other hardware, other programs.

use std::collections::VecDeque;
use std::path::Path;

use clockwright_discipline::{Leap, LeapSecond};
use clockwright_sys::adjust::KernelLeap;
use clockwright_sys::clock::raw_now;
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};
use tracing::{debug, info, warn};

use super::companions::CompanionWatch;
use super::daemon::Daemon;
use super::leap::end_of_day;
use super::rivals;
use super::watch::Disruption;
use crate::control::{DisruptionKind, DisruptionReport, Steering};
use crate::output::si::signed;

/// Less than this is no setting of the clock: programs also "set" it to what it shows.
const LEAST_SETTING: Duration = Duration::from_micros(10);
/// Another program that steers the clock is told of for this long after it was last noticed.
const RIVALRY: Duration = Duration::from_secs(3_600);
/// The last ones are kept, for those who ask.
const KEPT: usize = 8;

/// What has happened so far.
#[derive(Debug, Default)]
pub(super) struct Past {
    disruptions: VecDeque<(DisruptionKind, Option<Duration>, Timestamp<Raw>)>,
    /// How many there were.
    count: u64,
    /// What another program was last found to have done to the clock, and who it may have been.
    rival: Option<String>,
    /// When it was last found to have done anything.
    rivalled: Option<Timestamp<Raw>>,
}

impl Past {
    fn note(&mut self, kind: DisruptionKind, by: Option<Duration>, at: Timestamp<Raw>) {
        self.count += 1;
        if self.disruptions.len() == KEPT {
            self.disruptions.pop_front();
        }
        self.disruptions.push_back((kind, by, at));
    }

    /// How many disruptions there were.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The last ones, newest first.
    pub(super) fn report(&self, now: Timestamp<Raw>) -> Vec<DisruptionReport> {
        let newest_first = self.disruptions.iter().rev();
        newest_first
            .map(|(kind, by, at)| DisruptionReport {
                kind: *kind,
                age_s: (now - *at).as_secs_f64(),
                by_s: by.map(Duration::as_secs_f64),
            })
            .collect()
    }

    /// What another program was last found to have done to the clock; nothing, where none was
    /// noticed for an hour.
    pub(super) fn rival(&self, now: Timestamp<Raw>) -> Option<&str> {
        let lately = self.rivalled.is_some_and(|at| now - at <= RIVALRY);
        self.rival.as_deref().filter(|_| lately)
    }
}

impl Daemon {
    /// The host slept, or somebody set the system clock.
    pub(super) fn handle_disruption(&mut self, disruption: Disruption) {
        let now = self.clock.timescale().now();
        match disruption {
            Disruption::Slept(slept) => {
                info!(
                    "the host slept for {:.1} s: starting afresh",
                    slept.as_secs_f64()
                );
                self.order_leap_anew(now);
                self.past.note(DisruptionKind::Suspended, Some(slept), now);
                self.restart_trackers();
                self.start_afresh(now);
            }
            Disruption::Moved => {
                warn!(
                    "the hypervisor says that this machine was moved to another host or goes on from \
                     a snapshot: starting afresh"
                );
                self.past.note(DisruptionKind::Moved, None, now);
                self.restart_trackers();
                self.discipline.restart_elsewhere(now);
            }
            Disruption::Set(_) if self.own_steps > 0 => {
                self.own_steps = 0;
                return;
            }
            Disruption::Set(by) if by.abs() < LEAST_SETTING => return,
            Disruption::Set(by) if self.is_expected_leap(by, now) => {
                info!("a leap second: the system clock was set by {}", show(by));
            }
            Disruption::Set(by) if self.is_leap_second(by) => {
                info!("a leap second: the system clock was set by {}", show(by));
                self.start_afresh(now);
                if let Some(second) = made_by(by, self.reading().clock) {
                    self.discipline.leap_was_made(second, now);
                }
            }
            Disruption::Set(by) if self.clock.stamps_packets() => {
                self.order_leap_anew(now);
                self.past.note(DisruptionKind::ClockSet, Some(by), now);
                let by = show(by);
                if self.clock.steering() == Steering::Adjusting {
                    warn!(
                        "the system clock was set by {by} by another program; starting afresh. Two \
                         programs must not steer one clock: {}",
                        suspects()
                    );
                    self.start_afresh(now);
                } else {
                    info!("the system clock was set by {by}");
                }
            }
            Disruption::Set(by) => debug!("the host's clock was set by {}", show(by)),
        }
        // Stamps of packets under way are of the clock as it was.
        self.sources.restart(now);
        self.refclocks.restart();
        self.serving.clock_stepped();
        self.carry_out();
        // Applications are to know at once that nothing is known.
        self.tell();
    }

    /// Is it the leap second that all estimates go by already?
    fn is_expected_leap(&self, by: Duration, now: Timestamp<Raw>) -> bool {
        let second = self.discipline.leap_in_hand(now);
        second.is_some_and(|second| (by - second.shift()).abs() < Duration::from_millis(100))
    }

    /// Was it the kernel that set the clock, as it was told to, at another time than expected?
    fn is_leap_second(&self, by: Duration) -> bool {
        let expected = match self.told_leap {
            KernelLeap::None => return false,
            KernelLeap::Insert => Duration::from_secs(-1),
            KernelLeap::Delete => Duration::from_secs(1),
        };
        (by - expected).abs() < Duration::from_millis(100)
    }

    /// The oscillator stood still while the clocks of NICs went on, or is another one.
    fn restart_trackers(&mut self) {
        self.instruments.interfaces.restart_clocks(raw_now());
        self.companions = CompanionWatch::new(self.clock.timescale().now());
        self.refclocks.restart_trackers();
        self.followers.restart_trackers();
        self.clock.restart();
    }

    pub(super) fn start_afresh(&mut self, now: Timestamp<Raw>) {
        self.discipline.restart(now);
        self.carry_out();
    }

    /// Has another program changed how the clock runs? Then it is set right again at once, and told.
    pub(super) fn mind_interference(&mut self) {
        let helm = self.clock.helm();
        let Some(interference) = helm.and_then(crate::clock::Helm::interference) else {
            return;
        };
        self.set_frequency(interference.set);
        let now = self.clock.timescale().now();
        self.past.rivalled = Some(now);
        // Looking for who it was takes milliseconds: not each time.
        let Some(leave) = self.limiter.leave("rival", now) else {
            return;
        };
        let text = format!(
            "another program steers the system clock: {interference}; {}",
            suspects()
        );
        warn!("{text}. Two programs must not steer one clock{leave}");
        self.past.rival = Some(text);
    }

    /// Is the machine another one than before the last sample? Then everything begins afresh, and
    /// what was measured before is of no use.
    pub(super) fn was_moved(&mut self) -> bool {
        let moved = self.moves.was_moved();
        if moved {
            self.handle_disruption(Disruption::Moved);
        }
        moved
    }
}

/// Warns of programs that run now and steer the clock that this one is about to steer.
pub(super) fn warn_of_rivals() {
    for rival in rivals::running(Path::new(rivals::PROCESSES), std::process::id()) {
        warn!("two programs must not steer one clock, and this one may do so too: {rival}");
    }
}

/// Who may have done something to the clock.
fn suspects() -> String {
    let running = rivals::running(Path::new(rivals::PROCESSES), std::process::id());
    rivals::suspects(&running)
}

fn show(by: Duration) -> String {
    signed(by.as_secs_f64())
}

/// The leap second by which the clock was set, now that it shows `now`: in the second that is shown
/// twice, or at the very beginning of a day.
fn made_by(by: Duration, now: Timestamp<Utc>) -> Option<LeapSecond> {
    let day = Duration::from_secs(86_400);
    if by.is_negative() {
        LeapSecond::new(end_of_day(now), Leap::Insert)
    } else {
        LeapSecond::new(end_of_day(now) - day, Leap::Delete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_disruptions_are_kept_newest_first_and_all_are_counted() {
        let mut past = Past::default();
        let at = |secs: i64| Timestamp::EPOCH + Duration::from_secs(secs);
        for secs in 0..20 {
            past.note(
                DisruptionKind::ClockSet,
                Some(Duration::from_secs(secs)),
                at(secs),
            );
        }
        past.note(DisruptionKind::Moved, None, at(30));
        let report = past.report(at(31));
        assert_eq!((past.count(), report.len()), (21, KEPT));
        assert_eq!(report[0].kind, DisruptionKind::Moved);
        assert!((report[0].age_s - 1.0).abs() < 1e-9 && report[0].by_s.is_none());
        assert!((report[1].age_s - 12.0).abs() < 1e-9 && report[1].by_s == Some(19.0));
    }

    #[test]
    fn another_program_that_does_nothing_for_an_hour_is_told_of_no_more() {
        let at = |secs: i64| Timestamp::EPOCH + Duration::from_secs(secs);
        let mut past = Past {
            rival: Some("ntpd".to_owned()),
            rivalled: Some(at(100)),
            ..Past::default()
        };
        assert_eq!(past.rival(at(3_700)), Some("ntpd"));
        assert_eq!(past.rival(at(3_701)), None);
        past.rivalled = Some(at(3_701));
        assert_eq!(past.rival(at(7_000)), Some("ntpd"));
        assert_eq!(Past::default().rival(at(0)), None);
    }
}
