//! From an exchange to the clock: the part of the daemon that turns measurements into time.

use std::path::Path;
use std::sync::Arc;

use clockwright_discipline::{
    self as discipline, Action, ClockReading, Fresh, Reason, Sample, SourceId, State, Status,
    Upstream, Verdict,
};
use clockwright_ntp::{Exchange, Foreseen, Leap, ReferenceId};
use clockwright_sys::adjust::Announcement;
use clockwright_timebase::Duration;
use tracing::{debug, error, info, warn};

use super::daemon::Daemon;
use super::fallback::Sort;
use super::local;
use super::notify;
use super::refclocks::Attached;
use crate::clock::{EARLIEST, know_tai_offset, shown_at};
use crate::control::ClockName;
use crate::output::si::{signed, span};
use crate::serve::about::About;
use crate::serve::reference;

/// What the kernel can be told at most.
const LARGEST_ERROR: Duration = Duration::from_secs(16);

impl Daemon {
    /// Takes in a completed exchange.
    pub(super) fn take_exchange(&mut self, id: SourceId, exchange: &Exchange) {
        let reading = self.clock.read_steady();
        let sample = sample_of(exchange, reading);
        let Some(member) = self.sources.member_mut(id) else {
            return;
        };
        member.last = Some((*exchange, sample.delay));
        let counts = member.usual.counts(Sort::of(exchange));
        member.kiss = None;
        member.refused = None;
        let in_doubt = member.is_in_doubt();
        let identities = local::identities(member);
        self.discipline.set_identities(id, identities);
        self.tell_of_smears(id);
        if !counts {
            return;
        }
        self.take_sample(id, &sample, reading, Some(exchange.interleaved));
        if !in_doubt {
            return;
        }
        self.tell_of_samples();
        if !self.was_synchronized {
            self.judge_certificates();
        }
    }

    /// Takes in what the newest exchange is likely to be.
    pub(super) fn take_foreseen(&mut self, id: SourceId, foreseen: &Foreseen) {
        // Stamps of another sort lie elsewhere by more than such a guess is worth: what is whole
        // will tell.
        let sort = Sort::of(&foreseen.exchange);
        let member = self.sources.member_mut(id);
        if !member.is_some_and(|member| member.usual.is(sort)) {
            return;
        }
        let reading = self.clock.read_steady();
        let fresh = Fresh {
            sample: sample_of(&foreseen.exchange, reading),
            deviation_s: foreseen.deviation.as_secs_f64(),
        };
        if self.was_moved() {
            return;
        }
        self.discipline.handle_fresh(id, &fresh, reading);
        self.carry_out();
        self.announced.news = true;
    }

    /// Takes in a sample, and does what follows from it; [`Daemon::tell_of_samples`] is to follow.
    /// `interleaved` is said of an exchange.
    pub(super) fn take_sample(
        &mut self,
        id: SourceId,
        sample: &Sample,
        reading: ClockReading,
        interleaved: Option<bool>,
    ) {
        if self.was_moved() {
            return;
        }
        let verdict = self.discipline.handle_sample(id, sample, reading);
        let offset = || {
            let then = shown_at(reading, self.clock.rate(), sample.at);
            sample.offset + sample.at.since_epoch() - then.since_epoch()
        };
        debug!(
            source = id.0,
            offset_s = offset().as_secs_f64(),
            delay_s = sample.delay.as_secs_f64(),
            interleaved,
            "sample: {verdict:?}"
        );
        if !matches!(verdict, None | Some(Verdict::Suspect | Verdict::OutOfOrder)) {
            self.counts.samples += 1;
        }
        self.carry_out();
        self.announced.news = true;
        self.announced.parts = true;
    }

    /// Tells what follows from the samples that came together, once for all of them.
    pub(super) fn tell_of_samples(&mut self) {
        if std::mem::take(&mut self.announced.parts) {
            self.judge();
        }
        if std::mem::take(&mut self.announced.news) {
            self.tell_again();
            self.announced.answered = true;
        }
    }

    /// Does what the discipline wants done.
    pub(super) fn carry_out(&mut self) {
        while let Some(action) = self.discipline.poll_action() {
            match action {
                Action::SetFrequency { frequency } => self.set_frequency(frequency),
                Action::Step { by } => self.step(by),
                Action::Leap { second, step } => self.take_leap_second(second, step),
                Action::SetPoll { id, poll } => {
                    if let Some(member) = self.sources.member_mut(id) {
                        member.asked.client_mut().set_poll(poll);
                    }
                    self.refclocks.set_poll(id, poll);
                }
            }
        }
    }

    pub(super) fn set_frequency(&mut self, frequency: f64) {
        let now = self.clock.timescale().now();
        let Some(helm) = self.clock.helm() else {
            return;
        };
        if let Err(failure) = helm.set_frequency(frequency)
            && let Some(leave) = self.limiter.leave("adjust", now)
        {
            error!("the clock's frequency cannot be set: {failure}{leave}");
        }
    }

    pub(super) fn step(&mut self, by: Duration) {
        let stamps_packets = self.clock.stamps_packets();
        let Some(helm) = self.clock.helm() else {
            return;
        };
        // What was begun before the step must not be finished after it.
        let board = Arc::clone(self.serving.service.board());
        board.step_begins();
        let stepped = helm.step(by);
        self.announced.forget();
        self.post();
        self.serving.clock_stepped();
        if let Err(failure) = stepped {
            error!("the clock cannot be stepped: {failure}");
            return;
        }
        self.order_leap_anew(self.clock.timescale().now());
        self.counts.steps += 1;
        info!("the clock was stepped by {}", signed(by.as_secs_f64()));
        if let ClockName::Phc(device) = self.clock.name() {
            // Packets may be stamped by it.
            self.instruments
                .interfaces
                .clock_was_set(Path::new(&device));
        }
        if stamps_packets {
            self.own_steps += 1;
            // Packets under way bear stamps of the clock as it was.
            self.sources.restart(self.clock.timescale().now());
            self.refclocks.restart();
        }
    }

    /// Logs how the parts that sources play have changed.
    pub(super) fn judge(&mut self) {
        let reading = self.reading();
        let now = reading.raw;
        let mut changed = Vec::new();
        for member in self.sources.members_mut() {
            let Some((state, reason)) = self.discipline.part_of(member.id) else {
                continue;
            };
            if member.logged.replace(state) != Some(state) {
                changed.push((member.id, state, reason));
            }
        }
        for one in self.refclocks.iter_mut() {
            let Some((state, reason)) = self.discipline.part_of(one.id) else {
                continue;
            };
            if one.logged.replace(state) != Some(state) {
                changed.push((one.id, state, reason));
            }
        }
        self.watch_pools(reading);
        for (id, part, reason) in changed {
            let Some(name) = self.name_of(id) else {
                continue;
            };
            let state = part.name();
            match part {
                // As configured.
                State::Unusable
                    if matches!(
                        reason,
                        Reason::NotAuthenticated
                            | Reason::Unsupported
                            | Reason::Orphan(_)
                            | Reason::AboveOrphans { .. }
                            | Reason::FollowsUs
                            | Reason::KnowsLess { .. }
                            | Reason::NoSelect
                    ) =>
                {
                    if let Some(leave) = self.limiter.leave("part", now) {
                        info!("{name}: {state}: {reason}{leave}");
                    }
                }
                State::Falseticker | State::Unusable => {
                    if let Some(leave) = self.limiter.leave("false", now) {
                        warn!("{name}: {state}: {reason}{leave}");
                    }
                }
                State::Selected | State::Combined | State::Candidate => {
                    if let Some(leave) = self.limiter.leave("part", now) {
                        info!("{name}: {state}: {reason}{leave}");
                    }
                }
                // Logged where it comes from, or not worth a line.
                State::Waiting | State::Unreachable => {}
            }
        }
    }

    /// Tells the kernel and the operator how good the clock is.
    pub(super) fn tell(&mut self) {
        self.announced.forget();
        self.tell_again();
    }

    /// The same, but the kernel only of what is news to it.
    pub(super) fn tell_again(&mut self) {
        let reading = self.reading();
        let status = self.discipline.status(reading);
        let leap = self.follow_leap_seconds(reading);
        let tai_offset = self.tai_offset_s(reading, status.synchronized);
        if let Some(offset) = tai_offset {
            know_tai_offset(offset);
        }
        let announcement = Announcement {
            synchronized: status.synchronized,
            leap,
            max_error: bounded(status.error_bound_s),
            est_error: bounded(status.offset_s.abs() + status.offset_sd_s),
            tai_offset: self.tai_for_kernel(reading, leap, tai_offset),
        };
        if self.announced.is_due(&announcement, reading.raw) {
            self.announce(announcement, reading);
        }
        self.told_leap = leap;
        if status.synchronized && !self.was_synchronized {
            self.was_synchronized = true;
            self.check_all_certificates();
        }
        self.tell_of_holdover(&status);
        let before = self.told_synchronized.replace(status.synchronized);
        self.watch_local(&status);
        if before == Some(status.synchronized) {
            return;
        }
        if status.synchronized {
            let text = format!(
                "synchronised: stratum {}, offset {}, error below {}",
                status.stratum,
                signed(status.offset_s),
                span(status.error_bound_s)
            );
            info!("{text}");
            notify::status(&text);
        } else if before == Some(true) {
            let text = "not synchronised any more: no source can be believed";
            warn!("{text}");
            notify::status(text);
        }
    }

    /// Tells the kernel, and looks at what it says of those who steer the clock, too.
    fn announce(&mut self, announcement: Announcement, reading: ClockReading) {
        if let Some(helm) = self.clock.helm() {
            match helm.announce(&announcement) {
                Ok(()) => self.announced.told(announcement, reading.raw),
                Err(failure) => {
                    if let Some(leave) = self.limiter.leave("announce", reading.raw) {
                        error!("the kernel cannot be told how good the clock is: {failure}{leave}");
                    }
                }
            }
        }
        self.mind_interference();
    }

    /// Logs when the clock is left alone, and when that is over.
    fn tell_of_holdover(&mut self, status: &Status) {
        let alone = status.holdover_s.filter(|_| status.synchronized);
        if std::mem::replace(&mut self.told_holdover, alone.is_some()) == alone.is_some() {
            return;
        }
        let now = self.clock.timescale().now();
        let Some(leave) = self.limiter.leave("holdover", now) else {
            return;
        };
        if alone.is_some() {
            warn!(
                "holdover: no source can be followed; the clock goes on by what is known of its \
                 oscillator, now within {} of UTC{leave}",
                span(status.error_bound_s)
            );
        } else if status.synchronized {
            info!(
                "the holdover is over: the clock was off by {}{leave}",
                signed(status.offset_s)
            );
        }
    }

    /// What a source is called in messages.
    pub(super) fn name_of(&self, id: SourceId) -> Option<String> {
        match self.sources.find(id) {
            Some((source, member)) => Some(source.member_name(member)),
            None => self.refclocks.get(id).map(Attached::name),
        }
    }

    /// What this host names as its reference when it follows this source.
    fn reference_id_of(&self, id: SourceId) -> Option<ReferenceId> {
        match self.sources.find(id) {
            Some((_, member)) => Some(reference::of_server(member.asked.server().ip())),
            None => self.refclocks.get(id).map(Attached::reference_id),
        }
    }

    /// What is said about the clock to those who ask.
    pub(super) fn about(&self, reading: ClockReading) -> About {
        let status = self.discipline.status(reading);
        let reference_id = status.selected.and_then(|id| self.reference_id_of(id));
        let leap = match self.leap_today(reading).map(|second| second.inserted) {
            None => Leap::None,
            Some(true) => Leap::Insert,
            Some(false) => Leap::Delete,
        };
        About::new(status, reading, reference_id, leap, self.precision)
    }
}

/// What an exchange says of the clock.
fn sample_of(exchange: &Exchange, reading: ClockReading) -> Sample {
    let measured = exchange.measure(reading.clock.max(EARLIEST));
    Sample {
        at: measured.at,
        offset: measured.offset,
        delay: measured.delay,
        uncertainty: measured.uncertainty,
        upstream: upstream(exchange),
    }
}

/// What a server says of its own clock.
fn upstream(exchange: &Exchange) -> Upstream {
    Upstream {
        stratum: exchange.stratum,
        leap: match exchange.leap {
            Leap::Insert => discipline::Leap::Insert,
            Leap::Delete => discipline::Leap::Delete,
            Leap::None | Leap::Unsynchronized => discipline::Leap::None,
        },
        root_delay: exchange.root_delay,
        root_dispersion: exchange.root_dispersion,
        reference_id: exchange.reference_id.0,
    }
}

/// An error as the kernel takes it.
fn bounded(seconds: f64) -> Duration {
    if seconds.is_finite() {
        Duration::from_secs_f64(seconds).min(LARGEST_ERROR)
    } else {
        LARGEST_ERROR
    }
}
