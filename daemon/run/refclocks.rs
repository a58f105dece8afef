//! The sources that are reference clocks of this host.

use clockwright_discipline::{
    ClockReading, Leap, Sample, SourceId, SourceOptions, Standing, State,
};
use clockwright_ntp::ReferenceId;
use clockwright_timebase::{Duration, Poll, Raw, Timestamp};
use tracing::{info, warn};

use super::daemon::Daemon;
use super::standing::{of_unauthenticated, role_of};
use super::view::{blank, names_of, state_of};
use super::watch::Disruption;
use crate::clock::shown_at;
use crate::config::{Config, RefclockChanges, RefclockConfig, RefclockDevice, SourceLabel};
use crate::control::{KindReport, LeapReport, SourceReport, SourceState};
use crate::measure::{News, Refclock};
use crate::output::si::signed;

/// A source that is a reference clock.
#[derive(Debug)]
pub(super) struct Attached {
    /// Its name towards the discipline.
    pub(super) id: SourceId,
    /// The device.
    pub(super) clock: Refclock,
    /// The last sample.
    last: Option<Sample>,
    /// The part it played when that was last logged.
    pub(super) logged: Option<State>,
}

/// All of them, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Refclocks {
    list: Vec<Attached>,
}

impl Attached {
    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        self.clock.config().device.label()
    }

    /// What this host names as its reference when it follows this clock.
    pub(super) fn reference_id(&self) -> ReferenceId {
        ReferenceId(self.clock.config().reference_id().octets())
    }
}

impl Refclocks {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Attached> {
        self.list.iter()
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Attached> {
        self.list.iter_mut()
    }

    /// One of them.
    pub(super) fn get(&self, id: SourceId) -> Option<&Attached> {
        self.list.iter().find(|one| one.id == id)
    }

    /// Makes samples of one of them at another interval.
    pub(super) fn set_poll(&mut self, id: SourceId, poll: Poll) {
        if let Some(one) = self.list.iter_mut().find(|one| one.id == id) {
            one.clock.set_poll(poll);
        }
    }

    /// When the next one has something to do.
    pub(super) fn next_timeout(&self) -> Option<Timestamp<Raw>> {
        self.iter().map(|one| one.clock.next_timeout()).min()
    }

    /// The oscillator has lost count of time, or the system clock was set, by which pulses are
    /// stamped.
    pub(super) fn restart(&mut self) {
        for one in &mut self.list {
            one.clock.restart();
        }
    }

    /// The oscillator has lost count of time, against which PTP hardware clocks are tracked.
    pub(super) fn restart_trackers(&mut self) {
        for one in &mut self.list {
            one.clock.restart_tracker();
        }
    }
}

impl Daemon {
    /// Begins to read a reference clock.
    pub(super) fn attach(&mut self, config: RefclockConfig) {
        let now = self.clock.timescale().now();
        let id = self.sources.next_id();
        self.discipline
            .add_source(id, options(&config, &self.config), now);
        self.refclocks.list.push(Attached {
            id,
            clock: Refclock::new(config, now),
            last: None,
            logged: None,
        });
    }

    fn detach(&mut self, device: &RefclockDevice) {
        let discipline = &mut self.discipline;
        self.refclocks.list.retain(|one| {
            let goes = one.clock.config().device == *device;
            if goes {
                discipline.remove_source(one.id);
            }
            !goes
        });
    }

    /// Takes over a changed configuration.
    pub(super) fn take_over_refclocks(&mut self, changes: &RefclockChanges) {
        for device in &changes.removed {
            self.detach(device);
        }
        let now = self.clock.timescale().now();
        for config in &changes.altered {
            for one in &mut self.refclocks.list {
                if one.clock.config().device == config.device {
                    one.clock.reconfigure(config.clone());
                }
            }
        }
        // How far one may be followed also depends on the others.
        for one in self.refclocks.iter() {
            let options = options(one.clock.config(), &self.config);
            self.discipline.set_options(one.id, options, now);
        }
        for config in &changes.added {
            self.attach(config.clone());
        }
        let order = &self.config;
        self.refclocks.list.sort_by_key(|one| {
            order
                .refclocks()
                .position(|config| config.device == one.clock.config().device)
        });
    }

    /// Reads the reference clocks whose time has come.
    pub(super) fn handle_refclocks(&mut self, now: Timestamp<Raw>) {
        for n in 0..self.refclocks.list.len() {
            let one = self.refclocks.list.get(n);
            if one.is_none_or(|one| one.clock.next_timeout() > now) {
                continue;
            }
            // Out of the list while the others are asked which second it is.
            let mut one = self.refclocks.list.remove(n);
            let lock = one.clock.config().settings.lock.clone();
            let numbers = self.numbers(lock.as_ref().map(SourceLabel::as_str));
            let reading = self.reading();
            let rate = self.clock.rate();
            one.clock.handle_timeout(self.clock.as_ref(), &|at| {
                let (offset, bound) = numbers?;
                let utc = shown_at(reading, rate, at) + offset;
                Some((utc.since_epoch() - at.since_epoch(), bound))
            });
            let news = one.clock.take_news();
            self.refclocks.list.insert(n, one);
            for news in news {
                self.handle_news(n, news);
            }
        }
    }

    /// What must be added to the clock to know which second it is, and how wrong that may be: by
    /// the source of this label, or by all that is known once the clock is synchronised.
    fn numbers(&self, label: Option<&str>) -> Option<(Duration, Duration)> {
        let reading = self.reading();
        let (offset_s, bound_s) = match label {
            None => {
                let status = self.discipline.status(reading);
                status
                    .synchronized
                    .then_some((status.offset_s, status.error_bound_s))?
            }
            Some(label) => {
                let servers = self.sources.iter().filter(|source| source.name() == label);
                let servers = servers.flat_map(|source| &source.members).map(|m| m.id);
                let clocks = self.refclocks.iter().filter(|one| one.name() == label);
                servers.chain(clocks.map(|one| one.id)).find_map(|id| {
                    let status = self.discipline.source_status(id, reading)?;
                    Some((status.offset_s?, status.error_bound_s?))
                })?
            }
        };
        Some((
            Duration::from_secs_f64(offset_s),
            Duration::from_secs_f64(bound_s),
        ))
    }

    fn handle_news(&mut self, n: usize, news: News) {
        let now = self.clock.timescale().now();
        let Some(one) = self.refclocks.list.get(n) else {
            return;
        };
        let (id, name) = (one.id, one.name());
        match news {
            News::Sample(sample) => self.take_reference(n, id, sample),
            News::Reachable(reachable) => {
                self.discipline.set_reachable(id, reachable);
                if let Some(leave) = self.limiter.leave("reach", now) {
                    if reachable {
                        info!("{name}: tells time{leave}");
                    } else {
                        let why = one.clock.silence(now);
                        let why = why.unwrap_or_else(|| "nothing came".to_owned());
                        warn!("{name}: does not tell time any more: {why}{leave}");
                    }
                }
                self.judge();
            }
            News::Failed(why) => {
                if let Some(leave) = self.limiter.leave("refclock", now) {
                    warn!("source {name}: {why}{leave}");
                }
            }
            News::Refused(refusal) => {
                if let Some(leave) = self.limiter.leave("refclock", now) {
                    warn!("source {name}: not used: {refusal}{leave}");
                }
            }
            News::Set(by) => {
                let by = signed(by.as_secs_f64());
                if let Some(leave) = self.limiter.leave("refclock", now) {
                    warn!("{name}: another program has set this clock by {by}{leave}");
                }
            }
            News::Moved => {
                // Who watches for moves has most likely noticed, too: it is one move.
                if !self.was_moved() {
                    self.handle_disruption(Disruption::Moved);
                }
            }
        }
    }

    fn take_reference(&mut self, n: usize, id: SourceId, mut sample: Sample) {
        // A device of this host can be compared with its clock no better than that clock can be
        // read: the precision that RFC 5905 has in the dispersion of every sample (section 8).
        let precision_s = f64::from(self.precision).exp2();
        sample.upstream.root_dispersion += Duration::from_secs_f64(precision_s);
        let reading = self.clock.read_steady();
        if let Some(one) = self.refclocks.list.get_mut(n) {
            one.last = Some(sample);
        }
        self.take_sample(id, &sample, reading, None);
        self.tell_of_samples();
    }

    /// The part a reference clock plays, and why, in words.
    pub(super) fn part_of(
        &self,
        one: &Attached,
        reading: ClockReading,
    ) -> (SourceState, Option<String>) {
        let Some(status) = self.discipline.source_status(one.id, reading) else {
            return (SourceState::Starting, None);
        };
        let silence = one.clock.silence(self.clock.timescale().now());
        let reason = silence.unwrap_or_else(|| status.reason.to_string());
        (state_of(status.state), Some(reason))
    }

    /// Reference clocks that have told time in one of the last eight polls.
    pub(super) fn refclocks_reachable(&self) -> usize {
        let reachable = |one: &&Attached| one.clock.reach() != 0;
        self.refclocks.iter().filter(reachable).count()
    }

    /// What a source is called in the configuration.
    pub(super) fn configured_name(&self, id: SourceId) -> Option<String> {
        match self.sources.find(id) {
            Some((source, _)) => Some(source.name()),
            None => self.refclocks.get(id).map(Attached::name),
        }
    }

    pub(super) fn refclock_reports(&self) -> Vec<SourceReport> {
        let reading = self.reading();
        let all = self.refclocks.iter();
        all.map(|one| self.refclock_report(one, reading)).collect()
    }

    fn refclock_report(&self, one: &Attached, reading: ClockReading) -> SourceReport {
        let (state, reason) = self.part_of(one, reading);
        let (polls, samples) = one.clock.counts();
        let last = one.last;
        let kind = match one.clock.config().device {
            RefclockDevice::Phc(_) => KindReport::Phc,
            RefclockDevice::Pps(_) => KindReport::Pps,
            RefclockDevice::Sock(_) => KindReport::Sock,
            RefclockDevice::Shm(_) => KindReport::Shm,
        };
        let (refused, last_refusal) = one.clock.refused();
        let blank = blank(one.name(), kind, one.clock.poll());
        SourceReport {
            state,
            reason,
            options: names_of(&one.clock.config().part),
            // Of the clock itself, which NTP counts as 0 where it is right by itself.
            stratum: last.map(|sample| sample.upstream.stratum),
            leap: last.map(|sample| leap_report(sample.upstream.leap)),
            reference_id: Some(one.clock.config().reference_id().to_string()),
            reach: one.clock.reach(),
            reachable: one.clock.reach() != 0,
            delay_s: last.map(|sample| sample.delay.as_secs_f64()),
            root_delay_s: last.map(|s| s.upstream.root_delay.as_secs_f64()),
            root_dispersion_s: last.map(|s| s.upstream.root_dispersion.as_secs_f64()),
            sent: polls,
            received: samples,
            rejected: refused.map(|(key, n)| (key.to_owned(), n)).collect(),
            last_rejection: last_refusal.map(|refusal| refusal.to_string()),
            last_error: one.clock.failure().map(str::to_owned),
            ..self.estimated(one.id, reading, blank)
        }
    }
}

/// How the discipline is to treat it. Nobody is on the way who could forge it, unless everybody can
/// write to it.
fn options(config: &RefclockConfig, all: &Config) -> SourceOptions {
    SourceOptions {
        poll: (config.poll.min, config.poll.max),
        standing: if config.part.noselect {
            Standing::Measured
        } else if config.device.is_private() {
            Standing::Ordinary
        } else {
            of_unauthenticated(all)
        },
        role: role_of(&config.part),
    }
}

const fn leap_report(leap: Leap) -> LeapReport {
    match leap {
        Leap::None => LeapReport::None,
        Leap::Insert => LeapReport::Insert,
        Leap::Delete => LeapReport::Delete,
    }
}
