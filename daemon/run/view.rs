//! What the daemon tells about itself over the control socket.

use std::cell::RefCell;
use std::collections::BTreeMap;

use clockwright_discipline::{ClockReading, Reason, SourceId, SourceStatus, State};
use clockwright_ntp::{ClientStatistics, Exchange, Leap, Rejection, Transport};
use clockwright_sys::clock::raw_now;
use clockwright_timebase::{Duration, Poll};

use super::daemon::Daemon;
use super::events::explain;
use super::sources::{Member, Source};
use crate::config::{SourceKind, SourcePart};
use crate::control::{
    AuthEntry, AuthReport, KindReport, LeapReport, ServerReport, SourceReport, SourceState,
    StampReport, StatusReport, TimestampsReport, TransportReport, View,
};

impl View for RefCell<Daemon> {
    fn status(&self) -> StatusReport {
        self.borrow().status_report()
    }

    fn sources(&self) -> Vec<SourceReport> {
        self.borrow().source_reports()
    }

    fn auth(&self) -> Vec<AuthEntry> {
        self.borrow().auth_entries()
    }

    fn server(&self, talkers: u32) -> ServerReport {
        self.borrow().server_report(talkers)
    }

    fn timestamps(&self) -> TimestampsReport {
        let mut daemon = self.borrow_mut();
        daemon.take_outcomes();
        TimestampsReport {
            interfaces: daemon.instruments.interfaces.report(raw_now()),
        }
    }
}

impl Daemon {
    fn status_report(&self) -> StatusReport {
        let reading = self.reading();
        let about = self.about(reading);
        let status = about.status;
        let known = status.updated.is_some();
        let synchronized = status.synchronized;
        let estimate = |value: f64| (known && value.is_finite()).then_some(value);
        let count = |which: fn(&SourceState) -> bool| self.count_sources(reading, which);
        StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: (reading.raw - self.started).as_secs_f64(),
            clock: self.clock.name(),
            steering: self.clock.steering(),
            synchronized,
            stratum: if synchronized { status.stratum } else { 16 },
            local_stratum: self.served_as_local(&status),
            orphan: synchronized && status.orphan,
            reference_id: about
                .reference_id
                .filter(|_| synchronized)
                .map(|id| id.display(status.stratum).to_string()),
            reference_name: status
                .selected
                .filter(|_| synchronized)
                .and_then(|id| self.configured_name(id)),
            leap: if synchronized {
                leap_report(about.leap)
            } else {
                LeapReport::Unsynchronized
            },
            tai_offset_s: self.tai_offset_s(reading, synchronized),
            leap_list: self.leap_list_report(reading),
            leap_list_error: self.leap_list.error().map(str::to_owned),
            leap_disagreement: self.leap_disagreement(reading),
            offset_s: estimate(status.offset_s),
            holdover_s: status.holdover_s.filter(|_| known),
            temperature_c: self.discipline.temperature_c(),
            temperature_ppm_per_k: self
                .discipline
                .temperature_fit()
                .map(|fit| fit.slope() * 1e6),
            frequency_ppm: estimate(status.frequency * 1e6),
            frequency_uncertainty_ppm: estimate(status.frequency_sd * 1e6),
            root_delay_s: estimate(status.root_delay_s),
            root_dispersion_s: estimate(status.root_dispersion_s),
            error_bound_s: estimate(status.error_bound_s),
            true_error_s: self.clock.true_error().map(Duration::as_secs_f64),
            last_update_age_s: status
                .updated
                .map(|updated| (reading.raw - updated).as_secs_f64()),
            samples: self.counts.samples,
            steps: self.counts.steps,
            disruptions: self.past.count(),
            last_disruptions: self.past.report(reading.raw),
            other_steerer: self.past.rival(reading.raw).map(str::to_owned),
            sources: count(|_| true),
            sources_reachable: self.sources_reachable(),
            sources_used: count(|state| {
                matches!(state, SourceState::Selected | SourceState::Combined)
            }),
        }
    }

    /// How many sources are in such a state.
    fn count_sources(&self, reading: ClockReading, which: fn(&SourceState) -> bool) -> u32 {
        let servers = self.sources.members().map(|m| self.judgement(m, reading).0);
        let clocks = self.refclocks.iter().map(|c| self.part_of(c, reading).0);
        let states = servers.chain(clocks);
        u32::try_from(states.filter(which).count()).unwrap_or(u32::MAX)
    }

    fn sources_reachable(&self) -> u32 {
        let servers = self.sources.members();
        let reachable = servers.filter(|m| m.asked.client().reach() != 0).count();
        u32::try_from(reachable + self.refclocks_reachable()).unwrap_or(u32::MAX)
    }

    fn source_reports(&self) -> Vec<SourceReport> {
        let reading = self.reading();
        let mut reports = Vec::new();
        for source in self.sources.iter() {
            if source.members.is_empty() {
                reports.push(unresolved(source));
            }
            for member in &source.members {
                reports.push(self.source_report(source, member, reading));
            }
        }
        reports.extend(self.refclock_reports());
        reports
    }

    /// The part a server plays, and why, in words.
    fn judgement(&self, member: &Member, reading: ClockReading) -> (SourceState, Option<String>) {
        let client = member.asked.client();
        if let (true, Some(code)) = (client.denied(), member.kiss) {
            return (SourceState::Unusable, Some(explain(code)));
        }
        // Nothing is asked without keys.
        if let Some(keys) = member.keys.as_ref().filter(|_| !client.has_keys())
            && let Some(error) = &keys.error
        {
            let state = match self.discipline.source_status(member.id, reading) {
                Some(status) if status.state == State::Unreachable => SourceState::Unreachable,
                _ => SourceState::Starting,
            };
            return (state, Some(error.clone()));
        }
        // It answers, but nothing that could be used.
        if client.reach() == 0
            && let Some(rejection) = member.refused.filter(is_an_answer)
        {
            return (SourceState::Unusable, Some(rejection.to_string()));
        }
        let Some(status) = self.discipline.source_status(member.id, reading) else {
            return (SourceState::Starting, None);
        };
        let state = state_of(status.state);
        let silent = matches!(
            status.reason,
            Reason::NoAnswer | Reason::FewSamples { have: 0, .. }
        );
        let reason = match &member.last_error {
            Some(error) if silent && client.reach() == 0 => error.clone(),
            _ => status.reason.to_string(),
        };
        (state, Some(reason))
    }

    fn source_report(
        &self,
        source: &Source,
        member: &Member,
        reading: ClockReading,
    ) -> SourceReport {
        let client = member.asked.client();
        let statistics = client.statistics();
        let (state, reason) = self.judgement(member, reading);
        let last = member.last.map(|(exchange, _)| exchange);
        let of_last =
            |field: fn(&Exchange) -> Duration| last.as_ref().map(|l| field(l).as_secs_f64());
        let blank = blank(source.name(), KindReport::Server, client.poll());
        SourceReport {
            pool: source.config.address.kind == SourceKind::Pool,
            address: Some(member.asked.server().ip().to_string()),
            port: Some(member.asked.server().port()),
            state,
            reason,
            options: names_of(&source.config.part),
            stratum: last.map(|exchange| exchange.stratum),
            leap: last.map(|exchange| leap_report(exchange.leap)),
            reference_id: last.map(|e| e.reference_id.display(e.stratum).to_string()),
            reach: client.reach(),
            reachable: client.reach() != 0,
            auth: if member.keys.is_some() {
                AuthReport::Nts
            } else {
                AuthReport::None
            },
            interleaved: client.interleaved(),
            transport: last.map(|_| match client.transport() {
                Transport::Udp => TransportReport::Udp,
                Transport::Ptp => TransportReport::Ptp,
            }),
            interface: member
                .asked
                .interface()
                .and_then(|index| self.instruments.interfaces.name(index))
                .map(str::to_owned),
            tx_stamp: last.map(|exchange| StampReport::from(exchange.t1.kind)),
            rx_stamp: last.map(|exchange| StampReport::from(exchange.t4.kind)),
            delay_s: member.last.map(|(_, delay)| delay.as_secs_f64()),
            root_delay_s: of_last(|exchange| exchange.root_delay),
            root_dispersion_s: of_last(|exchange| exchange.root_dispersion),
            sent: statistics.requests - statistics.send_failures,
            received: statistics.basic_replies + statistics.interleaved_replies,
            rejected: rejected(statistics),
            last_rejection: member.last_rejection.map(|r| r.to_string()),
            last_error: member.last_error.clone(),
            ..self.estimated(member.id, reading, blank)
        }
    }

    /// A report to which is added what the discipline has found out about the source.
    pub(super) fn estimated(
        &self,
        id: SourceId,
        reading: ClockReading,
        report: SourceReport,
    ) -> SourceReport {
        let status = self.discipline.source_status(id, reading);
        let of_status = |field: fn(&SourceStatus) -> Option<f64>| {
            status
                .as_ref()
                .and_then(field)
                .filter(|value| value.is_finite())
        };
        SourceReport {
            offset_s: of_status(|status| status.offset_s),
            jitter_s: of_status(|status| (status.samples > 0).then_some(status.jitter_s)),
            frequency_ppm: of_status(|status| status.frequency.map(|f| f * 1e6)),
            error_bound_s: of_status(|status| status.error_bound_s),
            last_sample_age_s: of_status(|status| status.last_sample_age_s),
            ..report
        }
    }
}

/// The report of a source of which nothing is known yet.
pub(super) fn blank(name: String, kind: KindReport, poll: Poll) -> SourceReport {
    SourceReport {
        name,
        kind,
        pool: false,
        address: None,
        port: None,
        state: SourceState::Starting,
        reason: None,
        options: Vec::new(),
        stratum: None,
        leap: None,
        reference_id: None,
        poll: poll.log2(),
        poll_s: poll.as_secs_f64(),
        reach: 0,
        reachable: false,
        auth: AuthReport::None,
        interleaved: false,
        transport: None,
        interface: None,
        tx_stamp: None,
        rx_stamp: None,
        offset_s: None,
        delay_s: None,
        jitter_s: None,
        frequency_ppm: None,
        root_delay_s: None,
        root_dispersion_s: None,
        error_bound_s: None,
        last_sample_age_s: None,
        sent: 0,
        received: 0,
        rejected: BTreeMap::new(),
        last_rejection: None,
        last_error: None,
    }
}

/// The options of the selection that a source was given.
pub(super) fn names_of(part: &SourcePart) -> Vec<String> {
    part.names().into_iter().map(str::to_owned).collect()
}

/// A source whose name has no address yet.
fn unresolved(source: &Source) -> SourceReport {
    let error = source.naming.as_ref().and_then(|naming| naming.error());
    let poll = source.config.settings.poll.min;
    SourceReport {
        pool: source.config.address.kind == SourceKind::Pool,
        port: Some(source.config.address.port),
        state: SourceState::Unresolved,
        options: names_of(&source.config.part),
        reason: Some(error.unwrap_or("the name is being looked up").to_owned()),
        last_error: error.map(str::to_owned),
        ..blank(source.name(), KindReport::Server, poll)
    }
}

/// The part a source plays, as it is reported.
pub(super) const fn state_of(state: State) -> SourceState {
    match state {
        State::Selected => SourceState::Selected,
        State::Combined => SourceState::Combined,
        State::Candidate => SourceState::Candidate,
        State::Falseticker => SourceState::Falseticker,
        State::Unusable => SourceState::Unusable,
        State::Waiting => SourceState::Starting,
        State::Unreachable => SourceState::Unreachable,
    }
}

/// Did the server itself send this, rather than anybody?
const fn is_an_answer(rejection: &Rejection) -> bool {
    matches!(
        rejection,
        Rejection::Unsynchronized { .. }
            | Rejection::RootDistance(_)
            | Rejection::ZeroTimestamp
            | Rejection::Turnaround(_)
            | Rejection::StampOrder(_)
            | Rejection::NegativeDelay(_)
            | Rejection::DelayTooLong(_)
    )
}

const fn leap_report(leap: Leap) -> LeapReport {
    match leap {
        Leap::None => LeapReport::None,
        Leap::Insert => LeapReport::Insert,
        Leap::Delete => LeapReport::Delete,
        Leap::Unsynchronized => LeapReport::Unsynchronized,
    }
}

/// The reasons that have occurred, with their counts.
fn rejected(statistics: &ClientStatistics) -> BTreeMap<String, u64> {
    let s = statistics;
    [
        ("over_ptp", s.over_ptp),
        ("too_short", s.too_short),
        ("version", s.version),
        ("mode", s.mode),
        ("framing", s.framing),
        ("unexpected_mac", s.unexpected_mac),
        ("nts_malformed", s.nts_malformed),
        ("wrong_unique_id", s.wrong_unique_id),
        ("not_authenticated", s.not_authenticated),
        ("not_authentic", s.not_authentic),
        ("unexpected", s.unexpected),
        ("duplicate", s.duplicate),
        ("bogus_origin", s.bogus_origin),
        ("zero_timestamp", s.zero_timestamp),
        ("unsynchronized", s.unsynchronized),
        ("root_distance", s.root_distance),
        ("turnaround", s.turnaround),
        ("no_common_stamp", s.no_common_stamp),
        ("stamp_order", s.stamp_order),
        ("negative_delay", s.negative_delay),
        ("delay_too_long", s.delay_too_long),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(reason, count)| (reason.to_owned(), count))
    .collect()
}
