//! One source as the discipline sees it: its filter, and how far it may be followed.

use clockwright_timebase::{Poll, Raw, Timestamp};

use crate::estimate::SourceId;
use crate::filter::{Prior, SourceFilter};
use crate::lead::Lead;
use crate::orphan::{Candidate, Identities};
use crate::part::{Reason, State};
use crate::policy::Role;
use crate::route::Route;
use crate::sample::Sample;

/// Samples that a source must have given before it is believed.
const ENOUGH: u32 = 3;

/// How far a source may be followed. However far, it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// It has a voice: a majority of these decides what time it is.
    #[default]
    Ordinary,
    /// It has none: it is followed within what the majority of the ordinary ones agrees on. While
    /// none of these tells the time, it is not followed at all.
    Subordinate,
    /// It is never followed, because it is not authenticated.
    Ignored,
    /// It is never followed, because the user wants it measured only.
    Measured,
}

/// How to treat one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceOptions {
    /// The shortest and the longest poll interval to wish for.
    pub poll: (Poll, Poll),
    /// How far it may be followed.
    pub standing: Standing,
    /// What it is to the others.
    pub role: Role,
}

/// What is known of a source.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) filter: SourceFilter,
    pub(crate) options: SourceOptions,
    /// Has it shown that it is who it should be?
    pub(crate) proven: bool,
    /// How it and this host are named as references; `None`: not known.
    pub(crate) identities: Option<Identities>,
    /// The poll interval last wished for.
    pub(crate) poll: Poll,
    /// How many samples there were then.
    pub(crate) poll_changed_at: u32,
    pub(crate) reachable: bool,
    /// How clearly it has been closer to UTC than the selected one: see `lead`.
    pub(crate) lead: Lead,
    /// What is usual of it against the others.
    pub(crate) route: Route,
    pub(crate) added: Timestamp<Raw>,
    pub(crate) state: State,
    pub(crate) reason: Reason,
}

impl Source {
    /// A source that has said nothing yet.
    pub(crate) fn new(options: SourceOptions, prior: Prior, now: Timestamp<Raw>) -> Self {
        let mut source = Self {
            filter: SourceFilter::new(prior),
            options,
            proven: true,
            identities: None,
            poll: options.poll.0,
            poll_changed_at: 0,
            reachable: true,
            lead: Lead::default(),
            route: Route::default(),
            added: now,
            state: State::Waiting,
            reason: Reason::WaitingForOthers,
        };
        source.judge_alone();
        source
    }

    /// Forgets all that it said; what is known of the oscillator is in `prior`.
    pub(crate) fn restart(&mut self, prior: Prior, now: Timestamp<Raw>) {
        self.filter = SourceFilter::new(prior);
        self.poll_changed_at = 0;
        self.lead = Lead::default();
        self.route = Route::default();
        self.added = now;
        self.judge_alone();
    }

    /// Has it given enough samples to be believed?
    pub(crate) fn has_enough(&self) -> bool {
        self.filter.count() >= ENOUGH
    }

    /// Is it one of those that decide, and that the others wait for?
    pub(crate) fn has_voice(&self) -> bool {
        self.proven && self.options.standing == Standing::Ordinary
    }

    /// Does it make the time that the clock is set to?
    pub(crate) fn is_believed(&self) -> bool {
        matches!(self.state, State::Selected | State::Combined)
    }

    /// Has it become an orphan, ceased to be one or begun to follow one, with this sample? Then its
    /// clock was set, and what was measured before is of another clock.
    pub(crate) fn has_another_clock(&self, sample: &Sample, orphan: u8) -> bool {
        let kind = |sample: &Sample| sample.upstream.stratum.cmp(&orphan);
        let last = self.filter.last();
        last.is_some_and(|last| kind(last) != kind(sample))
    }

    /// As the rule for orphans sees it, at this root distance, which is to be below `most_s`, s.
    pub(crate) fn candidate(&self, id: SourceId, distance_s: f64, most_s: f64) -> Candidate {
        let upstream = self.filter.upstream();
        Candidate {
            id,
            stratum: upstream.stratum,
            reference_id: upstream.reference_id,
            identities: self.identities,
            distance_s,
            usable: self.has_voice() && distance_s < most_s,
        }
    }

    /// Judges it by itself. True: what it says is now to be compared with the others.
    pub(crate) fn judge_alone(&mut self) -> bool {
        let verdict = if !self.proven {
            (State::Unusable, Reason::Unproven)
        } else if self.options.standing == Standing::Ignored {
            (State::Unusable, Reason::NotAuthenticated)
        } else if self.options.standing == Standing::Measured {
            (State::Unusable, Reason::NoSelect)
        } else if !self.has_enough() {
            let (have, need) = (self.filter.count(), ENOUGH);
            (State::Waiting, Reason::FewSamples { have, need })
        } else {
            return true;
        };
        (self.state, self.reason) = verdict;
        false
    }
}
