//! All sources, one clock: filters, selection, combination and loop put together.
//!
//! The owner feeds samples and readings of the disciplined clock in, and carries out the
//! [`Action`]s that come out. No clock is read here; the one timer is [`Discipline::next_timeout`].

use std::collections::{BTreeMap, VecDeque};

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::combine::{Part, Together, combine_with};
use crate::companion::Companions;
use crate::estimate::SourceId;
use crate::filter::{Prior, Verdict};
use crate::fresh::Fresh;
use crate::gains::Gains;
use crate::leap::Leaps;
use crate::learnt::Learnt;
use crate::memory::Memory;
use crate::part::{Reason, State};
use crate::pi::Loop;
use crate::policy::Selection;
use crate::poll;
use crate::sample::Sample;
use crate::seam::Seam;
use crate::source::{Source, SourceOptions};
use crate::status::{SourceStatus, Status};
use crate::warmth::Warmth;

mod companion;
mod group;
mod holdover;
mod joint;
mod judge;
mod leaps;
mod outlook;
mod routes;
mod temperature;
mod terms;

pub use outlook::Outlook;
use outlook::Reference;
use routes::on_their_usual_routes;
pub use terms::{Action, ClockReading, Config, StepPolicy};

/// Samples between changes of a source's poll interval.
const POLL_EVERY: u32 = 8;
/// A clock that may be further off than this is not called synchronised, s.
const MAX_DISTANCE_S: f64 = 3.0;

/// All sources and the clock they discipline.
#[derive(Debug)]
pub struct Discipline {
    config: Config,
    /// The stratum at which servers without a source serve their own clocks; `None`: no stratum
    /// means that.
    orphan: Option<u8>,
    selection: Selection,
    sources: BTreeMap<SourceId, Source>,
    first_enough: Option<Timestamp<Raw>>,
    pi: Loop,
    memory: Memory,
    warmth: Warmth,
    companions: Companions,
    /// What the clock was last made to run faster by than the compensated oscillator, s/s.
    steered: f64,
    reference: Option<Reference>,
    /// The sources that it was combined of.
    members: Vec<SourceId>,
    /// Those of before it was combined of these.
    parted: Vec<SourceId>,
    seam: Seam,
    updates: u32,
    /// When the clock may be stepped after a disruption, and whether there was one.
    resume: Option<StepPolicy>,
    resumed: bool,
    /// Between the last two updates that were not at the same instant, s.
    interval_s: f64,
    /// How far the oscillator's frequency may jump at once, s/s.
    jump: f64,
    /// Gains that the user has fixed.
    gains: Option<Gains>,
    actions: VecDeque<Action>,
    leaps: Leaps,
    /// When leap seconds were last looked at.
    leap_seen: Timestamp<Raw>,
}

impl Discipline {
    /// A clock without sources that runs at the learnt frequency.
    pub fn new(config: Config) -> Self {
        let frequency = config.learnt.frequency;
        Self {
            config,
            orphan: None,
            selection: Selection::default(),
            sources: BTreeMap::new(),
            first_enough: None,
            pi: Loop::new(frequency, config.max_slew),
            memory: Memory::new(config.learnt.long_wander),
            warmth: Warmth::new(config.learnt.temperature),
            companions: Companions::default(),
            steered: frequency,
            reference: None,
            members: Vec::new(),
            parted: Vec::new(),
            seam: Seam::default(),
            updates: 0,
            resume: None,
            resumed: false,
            interval_s: 0.0,
            jump: 0.0,
            gains: None,
            actions: VecDeque::from([Action::SetFrequency { frequency }]),
            leaps: Leaps::default(),
            leap_seen: Timestamp::EPOCH,
        }
    }

    /// Changes step policy and slew limit; what has been learnt stays.
    pub fn reconfigure(&mut self, step: StepPolicy, max_slew: f64) {
        self.config.step = step;
        self.config.max_slew = max_slew;
        self.pi.set_max_slew(max_slew);
    }

    /// When the clock may be stepped after the host's time was disrupted ([`Discipline::restart`]);
    /// unless this is called, as after the start.
    pub fn set_resume_policy(&mut self, resume: StepPolicy) {
        self.resume = Some(resume);
    }

    /// Says how far the oscillator's frequency may jump at once, s/s; 0: it only wanders. A jump is
    /// seen with the next sample, so until then the bound grows by this.
    pub fn set_max_frequency_step(&mut self, jump: f64) {
        self.jump = jump;
        for source in self.sources.values_mut() {
            source.filter.set_jump(jump);
        }
    }

    /// Fixes the gains of the loop, for all sources; `None`: they follow from noise and wander.
    pub fn set_gains(&mut self, gains: Option<Gains>) {
        self.gains = gains;
        for source in self.sources.values_mut() {
            source.filter.set_gains(gains);
        }
    }

    /// Adds a source that has said nothing yet. A source of the same id is replaced.
    pub fn add_source(&mut self, id: SourceId, options: SourceOptions, now: Timestamp<Raw>) {
        let source = Source::new(options, self.prior(), now);
        self.sources.insert(id, source);
    }

    /// Changes how a source is treated; what is known of it stays.
    pub fn set_options(&mut self, id: SourceId, options: SourceOptions, now: Timestamp<Raw>) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.options = options;
            source.poll = source.poll.clamp(options.poll.0, options.poll.1);
            self.judge_sources(now);
        }
    }

    /// Says whether a source has shown that it is who it should be, as it counts to have when it
    /// is added. Until it has, it is measured, and neither followed nor waited for; whatever its
    /// standing, which it has again afterwards.
    pub fn set_proven(&mut self, id: SourceId, proven: bool, now: Timestamp<Raw>) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.proven = proven;
            self.judge_sources(now);
        }
    }

    /// Forgets a source.
    pub fn remove_source(&mut self, id: SourceId) {
        self.sources.remove(&id);
        self.leave_lost_orphan();
    }

    /// Starts afresh: the host slept or was moved, so the oscillator has lost count of time. What
    /// was learnt of its frequency stays; all offsets are forgotten, the clock counts as
    /// unsynchronised, sources are asked as often as they may be, and the first updates begin
    /// again, under the step policy for that.
    pub fn restart(&mut self, now: Timestamp<Raw>) {
        let prior = self.prior();
        self.config.learnt = self.known().unwrap_or(self.config.learnt);
        self.memory.forget_phases();
        self.warmth.forget_phases();
        self.reference = None;
        self.leaps.forget_expected();
        self.leave_seam();
        self.first_enough = None;
        self.updates = 0;
        self.interval_s = 0.0;
        self.resumed = true;
        for (id, source) in &mut self.sources {
            source.restart(prior, now);
            let poll = source.options.poll.0;
            if source.poll != poll {
                source.poll = poll;
                self.actions.push_back(Action::SetPoll { id: *id, poll });
            }
        }
        let frequency = prior.frequency;
        self.pi = Loop::new(frequency, self.config.max_slew);
        self.steer(frequency);
    }

    /// Starts afresh on another oscillator: the machine was moved to another host. As
    /// [`restart`](Self::restart), but of the frequency no more is known than of any crystal's.
    pub fn restart_elsewhere(&mut self, now: Timestamp<Raw>) {
        let learnt = self.learnt().unwrap_or(self.config.learnt);
        self.reference = None;
        self.config.learnt = Learnt {
            frequency_sd: learnt.frequency_sd.max(Learnt::default().frequency_sd),
            ..learnt
        };
        self.restart(now);
    }

    /// Says whether a source answers. One that does not is not believed any more.
    pub fn set_reachable(&mut self, id: SourceId, reachable: bool) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.reachable = reachable;
            if !reachable {
                (source.state, source.reason) = (State::Unreachable, Reason::NoAnswer);
            }
        }
        self.leave_lost_orphan();
    }

    /// Takes in a sample of a source; `reading` is what the clock shows now, no earlier than the
    /// sample. Updates the clock when the source is among those believed.
    pub fn handle_sample(
        &mut self,
        id: SourceId,
        sample: &Sample,
        reading: ClockReading,
    ) -> Option<Verdict> {
        let (sample, reading) = self.as_estimated(sample, reading);
        let source = self.sources.get(&id)?;
        let another = |orphan| source.has_another_clock(&sample, orphan);
        let prior = self.orphan.is_some_and(another).then(|| self.prior());
        let source = self.sources.get_mut(&id)?;
        source.reachable = true;
        if let Some(prior) = prior {
            source.restart(prior, reading.raw);
        }
        let verdict = source.filter.update(&sample);
        if verdict == Verdict::Suspect {
            self.widen_bound(id, reading.raw);
        }
        if matches!(verdict, Verdict::Suspect | Verdict::OutOfOrder) {
            return Some(verdict);
        }
        self.adapt_poll(id, verdict);
        self.note_lead(id, reading.raw);
        self.judge_sources(reading.raw);
        self.note_route(id, reading.raw);
        if self.sources.get(&id).is_some_and(Source::is_believed) {
            self.updates = self.updates.saturating_add(1);
            self.update_clock(reading);
        }
        Some(verdict)
    }

    /// Takes in the newest exchange with a source before it is complete (interleaved mode), until
    /// the next complete one comes; `reading` as for [`handle_sample`](Self::handle_sample).
    pub fn handle_fresh(
        &mut self,
        id: SourceId,
        fresh: &Fresh,
        reading: ClockReading,
    ) -> Option<Verdict> {
        let (sample, reading) = self.as_estimated(&fresh.sample, reading);
        let orphan = self.orphan;
        let source = self.sources.get_mut(&id)?;
        if orphan.is_some_and(|orphan| source.has_another_clock(&sample, orphan)) {
            return None;
        }
        let verdict = source.filter.foresee(&Fresh { sample, ..*fresh });
        if verdict == Verdict::Suspect {
            self.widen_bound(id, reading.raw);
        }
        if verdict == Verdict::Moved {
            self.adapt_poll(id, verdict);
            self.judge_sources(reading.raw);
        }
        if matches!(verdict, Verdict::Accepted | Verdict::Moved)
            && self.sources.get(&id).is_some_and(Source::is_believed)
        {
            self.update_clock(reading);
        }
        Some(verdict)
    }

    /// A sample and a reading in what estimates are made of: without leap seconds, beside the
    /// compensated oscillator. A leap second whose time has come passes first.
    fn as_estimated(&mut self, sample: &Sample, reading: ClockReading) -> (Sample, ClockReading) {
        self.pass_leap(reading.raw);
        let (sample, reading) = self.without_leaps(sample, reading);
        let taken = self.warmth.taken();
        (self.compensated(&sample), reading.compensated(taken))
    }

    /// When [`Discipline::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Timestamp<Raw>> {
        let steering = self.pi.ends().or_else(|| self.holdover_due());
        steering.into_iter().chain(self.leap_timeout()).min()
    }

    /// Ends a correction whose time has come or goes over to holdover, and sees to a leap second.
    pub fn handle_timeout(&mut self, now: Timestamp<Raw>) {
        self.pass_leap(now);
        self.leap_seen = now;
        if let Some(correction) = self.pi.expire(now) {
            self.steer(correction.frequency);
        }
        self.hold_over(now);
    }

    /// Ends a correction that is under way before its time, and nothing else: nobody will be there to
    /// end it. Something to [carry out](Self::poll_action) may follow.
    pub fn end_correction(&mut self) {
        if let Some(correction) = self.pi.ends().and_then(|end| self.pi.expire(end)) {
            self.steer(correction.frequency);
        }
    }

    /// The next thing to carry out; call until `None` after each `handle_…`.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What has been learnt of the oscillator, to be kept for the next start. Nothing from an
    /// orphan, which does not know the frequency of UTC.
    pub fn learnt(&self) -> Option<Learnt> {
        let known = self.known()?;
        Some(Learnt {
            frequency: known.frequency + self.warmth.taken().rate,
            temperature: self.warmth.fit(),
            ..known
        })
    }

    /// The same of the compensated oscillator.
    fn known(&self) -> Option<Learnt> {
        let reference = self.reference.filter(|last| !self.is_orphan(last));
        let estimate = reference?.estimate;
        let forecast = self.memory.forecast(&estimate);
        Some(Learnt {
            frequency: forecast.frequency,
            frequency_sd: forecast.frequency_sd,
            wander: estimate.wander,
            long_wander: forecast.wander,
            temperature: None,
        })
    }

    /// The state of the clock.
    pub fn status(&self, reading: ClockReading) -> Status {
        self.outlook().status(reading)
    }

    /// What is known of the clock now, for asking about its state later, and elsewhere.
    pub fn outlook(&self) -> Outlook {
        let is_orphan = |reference: Reference| self.is_orphan(&reference);
        Outlook {
            reference: self.reference,
            orphan: self.reference.is_some_and(is_orphan),
            alone: self.is_on_its_own(),
            taken: self.warmth.taken(),
            unset: Status::unset(self.config.learnt),
            leaps: self.leaps,
        }
    }

    /// The part that a source plays, and why: of its state what costs nothing to know.
    pub fn part_of(&self, id: SourceId) -> Option<(State, Reason)> {
        let source = self.sources.get(&id)?;
        Some((source.state, source.reason))
    }

    /// The state of a source.
    pub fn source_status(&self, id: SourceId, reading: ClockReading) -> Option<SourceStatus> {
        let reading = self.reading_without_leaps(reading);
        let source = self.sources.get(&id)?;
        let taken = self.warmth.taken();
        let reading = reading.compensated(taken);
        let estimate = source
            .filter
            .estimate()
            .map(|estimate| estimate.carried_to(reading.raw));
        let age = source.filter.last().map(|last| reading.raw - last.at);
        Some(SourceStatus {
            state: source.state,
            reason: source.reason,
            offset_s: estimate.map(|e| (e.offset - reading.ahead_of_raw()).as_secs_f64()),
            delay_s: source.filter.delay_floor_s(),
            jitter_s: source.filter.jitter_s(),
            correlation: source.filter.correlation(),
            frequency: estimate.map(|e| e.frequency + taken.rate),
            error_bound_s: source.filter.root_distance_s(reading.raw),
            samples: source.filter.count(),
            last_sample_age_s: age.map(Duration::as_secs_f64),
        })
    }

    /// What a new source's filter starts from: the estimate of the others if there is one.
    fn prior(&self) -> Prior {
        let learnt = self.known().unwrap_or(self.config.learnt);
        Prior {
            frequency: learnt.frequency,
            frequency_sd: learnt.frequency_sd,
            wander: learnt.wander,
            jump: self.jump,
            gains: self.gains,
        }
    }

    /// Wishes for another poll interval where noise and distance suggest one (`poll.rs`), and for the shortest when
    /// the source or the clock has moved.
    fn adapt_poll(&mut self, id: SourceId, verdict: Verdict) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        let (min, max) = source.options.poll;
        if min == max {
            return;
        }
        let count = source.filter.count();
        let (Some(noise), Some(estimate)) = (source.filter.noise_s(), source.filter.estimate())
        else {
            return;
        };
        let wish = if verdict == Verdict::Moved {
            min
        } else if count < source.poll_changed_at + POLL_EVERY {
            source.poll
        } else {
            let conditions = poll::Conditions {
                noise_s: noise,
                wander: estimate.wander,
                round_trip_s: source.filter.delay_floor_s().unwrap_or(0.0),
            };
            poll::suitable(source.poll, conditions).clamp(min, max)
        };
        if wish != source.poll {
            source.poll = wish;
            source.poll_changed_at = count;
            self.actions.push_back(Action::SetPoll { id, poll: wish });
        }
    }

    /// Until a suspect sample of the selected source is confirmed or refuted, the clock may be as
    /// wrong as it says.
    fn widen_bound(&mut self, id: SourceId, now: Timestamp<Raw>) {
        let distance_s = self.sources.get(&id).and_then(|source| {
            let filter = &source.filter;
            Some((filter.root_distance_s(now)?, filter.doubt_rate()))
        });
        if let (Some(reference), Some((distance_s, rate))) = (&mut self.reference, distance_s)
            && reference.selected == id
        {
            reference.doubt_rate = rate;
            let more = distance_s - reference.distance_s;
            reference.doubt_s = reference.doubt_s.max(more);
        }
    }

    fn update_clock(&mut self, reading: ClockReading) {
        let now = reading.raw;
        let Some(reference) = self.combined(now).map(|new| self.joined(new)) else {
            return;
        };
        self.config.learnt = self.known().unwrap_or(self.config.learnt);
        if let Some(last) = self.reference.filter(|last| last.estimate.at < now) {
            self.interval_s = (now - last.estimate.at).as_secs_f64();
        }
        self.memory.note(&reference.estimate);
        self.warmth.learn(&reference.estimate);
        self.reference = Some(reference);
        let offset = reference.estimate.offset - reading.ahead_of_raw();
        let frequency = reference.estimate.frequency;
        let after_disruption = self.resume.filter(|_| self.resumed);
        let policy = after_disruption.unwrap_or(self.config.step);
        let may_step = self.updates <= policy.first;
        if may_step && offset.abs() > policy.above {
            self.actions.push_back(Action::Step { by: offset });
            self.correct(now, 0.0, frequency);
        } else {
            self.correct(now, offset.as_secs_f64(), frequency);
        }
    }

    fn correct(&mut self, now: Timestamp<Raw>, offset_s: f64, frequency: f64) {
        let interval_s = self.interval_s;
        let correction = self.pi.correct(now, offset_s, frequency, interval_s);
        self.steer(correction.frequency);
    }

    /// Combines the believed sources. UTC lies within each one's root distance of its offset, so
    /// the tightest of these bounds holds for the combination; only of those with a voice, since
    /// whoever forges a source can also forge its root distance.
    fn combined(&self, now: Timestamp<Raw>) -> Option<Reference> {
        let believed = self.believed(now);
        let parts = |with_voice: bool| -> Vec<Part> {
            believed
                .iter()
                .filter(|(_, source, _)| source.has_voice() == with_voice)
                .map(|(_, _, part)| *part)
                .collect()
        };
        let voices = on_their_usual_routes(&believed);
        let Together { estimate, pull } = combine_with(&voices, &parts(false))?;
        let distance_s = parts(true)
            .iter()
            .map(|part| {
                (part.estimate.offset - estimate.offset).as_secs_f64().abs() + part.distance_s
            })
            .fold(f64::INFINITY, f64::min);
        let (id, source, _) = believed
            .iter()
            .find(|(_, source, _)| source.state == State::Selected)?;
        let upstream = source.filter.upstream();
        let root_delay_s =
            upstream.root_delay.as_secs_f64() + source.filter.delay_floor_s().unwrap_or(0.0);
        Some(Reference {
            estimate,
            selected: *id,
            upstream,
            root_delay_s,
            distance_s,
            doubt_s: 0.0,
            doubt_rate: source.filter.doubt_rate(),
            jump: self.jump,
            pull,
            held: false,
        })
    }
}
