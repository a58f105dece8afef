//! `clockwright status` for people.

use clockwright_timebase::Timestamp;

use super::date;
use super::si::{age, ppm, signed, span};
use super::style::{Paint, Style};
use super::table::{Align, Cell, Table};
use super::text::printable;
use crate::control::{ClockName, DisruptionKind, LeapReport, StatusReport, Steering};

/// A sentence that says how right the clock is, warnings if there are any, and the details.
pub fn status_lines(status: &StatusReport, paint: Paint) -> Vec<String> {
    let (sentence, style) = verdict(status);
    let mut lines = vec![paint.apply(style, &sentence)];
    lines.extend(warning(status).map(|warning| paint.apply(Style::Doubtful, warning)));
    lines.extend(status.other_steerer.as_deref().map(|what| {
        let text = format!("Beware: {}.", printable(what));
        paint.apply(Style::Doubtful, &text)
    }));
    lines.push(String::new());
    lines.extend(details(status).lines(paint));
    lines
}

/// How right the clock is, in one sentence.
fn verdict(status: &StatusReport) -> (String, Style) {
    if status.synchronized {
        let reference = status
            .reference_name
            .as_deref()
            .or(status.reference_id.as_deref());
        let to = reference.map_or_else(String::new, |name| {
            let name = printable(name);
            match status.stratum.saturating_sub(1) {
                0 => format!(" to the reference clock {name}"),
                stratum => format!(" to {name} (stratum {stratum})"),
            }
        });
        let within = status.error_bound_s.map_or_else(String::new, |bound| {
            format!(": the clock is within ±{} of UTC", span(bound))
        });
        if let Some(held) = status.holdover_s {
            let text = format!(
                "In holdover for {}, without a source to follow{within}.",
                age(held)
            );
            return (text, Style::Doubtful);
        }
        if status.orphan {
            let apart = status.error_bound_s.map_or_else(String::new, |bound| {
                format!(": the clock is within ±{} of its clock", span(bound))
            });
            let text = format!("Synchronised{to}, an orphan that does not know UTC{apart}.");
            return (text, Style::Doubtful);
        }
        return (format!("Synchronised{to}{within}."), Style::Good);
    }
    if let Some(stratum) = status.local_stratum {
        let text = format!(
            "Not synchronised: this host's own clock is served as it is, at stratum {stratum} \
             (server.local)."
        );
        return (text, Style::Doubtful);
    }
    let why = match (status.sources, status.sources_reachable) {
        (0, _) => "no source has an address; see: clockwright sources".to_owned(),
        (1, 0) => "its only source has not answered yet".to_owned(),
        (all, 0) => format!("none of its {all} sources has answered yet"),
        (all, some) => {
            format!(
                "{some} of {all} sources answer, and none can be followed yet; see: clockwright sources"
            )
        }
    };
    (format!("Not synchronised: {why}."), Style::Bad)
}

/// Why the clock is not corrected, if it is not.
fn warning(status: &StatusReport) -> Option<&'static str> {
    match status.steering {
        Steering::Adjusting => None,
        Steering::Disabled => {
            Some("The clock is only watched, not corrected: --no-adjust was given.")
        }
        Steering::NotPermitted => Some(
            "The clock is only watched, not corrected: the daemon lacks the privilege CAP_SYS_TIME.",
        ),
    }
}

/// What has happened to the host's time, if something has.
fn disruptions(status: &StatusReport) -> Option<String> {
    let last = status.last_disruptions.first()?;
    let by = |text: fn(f64) -> String| last.by_s.map_or_else(String::new, text);
    let what = match last.kind {
        DisruptionKind::Suspended => format!("slept{}", by(|s| format!(" for {}", age(s)))),
        DisruptionKind::Moved => "moved to another host, or a snapshot".to_owned(),
        DisruptionKind::ClockSet => {
            format!(
                "clock set{} by another program",
                by(|s| format!(" by {}", signed(s)))
            )
        }
    };
    let ago = age(last.age_s);
    Some(match status.disruptions {
        1 => format!("{what}, {ago} ago"),
        many => format!("{many}; the last: {what}, {ago} ago"),
    })
}

/// The aligned details under the sentence.
fn details(status: &StatusReport) -> Table {
    let clock = match &status.clock {
        ClockName::System => "system clock".to_owned(),
        ClockName::Virtual => "virtual clock (the host's clock is not touched)".to_owned(),
        ClockName::Phc(device) => {
            format!("{} (the host's clock is not touched)", printable(device))
        }
    };
    let to_correct = |offset| format!("{} still to correct", signed(offset));
    let plus_minus = |bound| format!("±{}", span(bound));
    let ago = |seconds| format!("{} ago", age(seconds));
    let sources = format!(
        "{} known, {} reachable, {} used",
        status.sources, status.sources_reachable, status.sources_used
    );
    let version = printable(&status.version);
    let rows = [
        ("Clock", Some(clock)),
        ("Reference", Some(reference(status))),
        ("Offset", status.offset_s.map(to_correct)),
        ("Error bound", status.error_bound_s.map(plus_minus)),
        ("True error", status.true_error_s.map(signed)),
        ("Frequency", frequency(status)),
        ("Temperature", temperature(status)),
        ("Root delay", status.root_delay_s.map(span)),
        ("Root dispersion", status.root_dispersion_s.map(span)),
        ("Leap second", Some(leap(status.leap).to_owned())),
        (
            "TAI - UTC",
            status.tai_offset_s.map(|offset| format!("{offset} s")),
        ),
        ("Leap list", Some(leap_list(status))),
        ("Leap votes", disagreement(status)),
        ("Last update", status.last_update_age_s.map(ago)),
        ("Sources", Some(sources)),
        ("Samples", Some(format!("{} used", status.samples))),
        ("Steps", Some(format!("{} since the start", status.steps))),
        ("Disruptions", disruptions(status)),
        (
            "Daemon",
            Some(format!("version {version}, up {}", age(status.uptime_s))),
        ),
    ];
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    for (name, value) in rows {
        // The true error can be known of the virtual clock only, TAI only by a list; not all hosts have a
        // sensor, and most are never disrupted.
        let optional = [
            "True error",
            "TAI - UTC",
            "Temperature",
            "Disruptions",
            "Leap votes",
        ];
        if optional.contains(&name) && value.is_none() {
            continue;
        }
        let value = value.unwrap_or_else(|| "not known yet".to_owned());
        table.row(vec![Cell::new(name, Style::Heading), value.into()]);
    }
    table
}

/// Which sources do not agree about a leap second.
fn disagreement(status: &StatusReport) -> Option<String> {
    let told = status.leap_disagreement.as_deref()?;
    Some(printable(told).into_owned())
}

/// The list of leap seconds, and until when it counts.
fn leap_list(status: &StatusReport) -> String {
    let date = |unix_s| date(Timestamp::from_timespec(unix_s, 0));
    let list = status.leap_list.as_ref().map(|list| {
        let until = date(list.expires_unix_s);
        match (list.valid, list.next_leap_unix_s) {
            (false, _) => format!("expired on {until}; the sources are believed"),
            (true, None) => format!("valid until {until}, no leap second"),
            (true, Some(next)) => format!("valid until {until}, leap second before {}", date(next)),
        }
    });
    let error = status.leap_list_error.as_deref().map(printable);
    match (list, error) {
        (Some(list), None) => list,
        (Some(list), Some(error)) => format!("{list}; a newer one was refused: {error}"),
        (None, Some(error)) => format!("refused: {error}"),
        (None, None) => "none; the sources are believed".to_owned(),
    }
}

/// What the clock is steered by, and how well that is known.
fn frequency(status: &StatusReport) -> Option<String> {
    let frequency = ppm(status.frequency_ppm?);
    Some(match status.frequency_uncertainty_ppm {
        Some(sigma) => format!("{frequency} ±{sigma:.3}"),
        None => frequency,
    })
}

/// What the sensor shows, and what is made of it.
fn temperature(status: &StatusReport) -> Option<String> {
    let celsius = status.temperature_c?;
    Some(match status.temperature_ppm_per_k {
        Some(slope) => format!("{celsius:.1} °C, {slope:+.4} ppm with each degree, made up for"),
        None => format!("{celsius:.1} °C, which explains nothing yet"),
    })
}

/// What this host follows and the stratum it has by that.
fn reference(status: &StatusReport) -> String {
    let id = status
        .reference_id
        .as_deref()
        .map_or_else(|| "none".to_owned(), |id| printable(id).into_owned());
    let stratum = status.local_stratum.unwrap_or(status.stratum);
    format!("{id}, this host is stratum {stratum}")
}

/// An announced leap second, in words.
pub(super) const fn leap(leap: LeapReport) -> &'static str {
    match leap {
        LeapReport::None => "none announced",
        LeapReport::Insert => "one is inserted at the end of this day",
        LeapReport::Delete => "one is deleted at the end of this day",
        LeapReport::Unsynchronized => "unknown while not synchronised",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_newcomer_reads_a_sentence() {
        let shown = status_lines(&samples::status(), Paint::NEVER).join("\n");
        assert_eq!(
            shown,
            "Synchronised to time1.example.net (stratum 2): the clock is within ±12.3 us of UTC.

Clock            system clock
Reference        192.0.2.1, this host is stratum 3
Offset           -120 ns still to correct
Error bound      ±12.3 us
Frequency        +12.346 ppm ±0.002
Root delay       240 us
Root dispersion  1.50 ms
Leap second      none announced
TAI - UTC        37 s
Leap list        valid until 2027-06-28 00:00:00 UTC, no leap second
Last update      12 s ago
Sources          4 known, 4 reachable, 3 used
Samples          120 used
Steps            1 since the start
Daemon           version 0.1.0, up 60 min"
        );
    }

    #[test]
    fn a_clock_that_is_served_as_it_is_says_so() {
        let mut status = samples::unsynchronized();
        status.local_stratum = Some(10);
        let shown = status_lines(&status, Paint::NEVER).join("\n");
        assert!(
            shown.starts_with(
                "Not synchronised: this host's own clock is served as it is, at stratum 10 \
                 (server.local).\n"
            ),
            "{shown}"
        );
        assert!(shown.contains("none, this host is stratum 10"), "{shown}");
    }

    #[test]
    fn holdover_is_said_first_with_how_far_off_the_clock_may_be() {
        let mut status = samples::status();
        status.holdover_s = Some(1800.0);
        status.temperature_c = Some(41.52);
        status.temperature_ppm_per_k = Some(-0.0815);
        let shown = status_lines(&status, Paint::NEVER).join("\n");
        assert!(
            shown.starts_with(
                "In holdover for 30 min, without a source to follow: the clock is within ±12.3 us \
                 of UTC.\n"
            ),
            "{shown}"
        );
        assert!(
            shown.contains("41.5 °C, -0.0815 ppm with each degree, made up for"),
            "{shown}"
        );
    }

    #[test]
    fn who_follows_an_orphan_is_not_told_of_utc() {
        let mut status = samples::status();
        status.stratum = 11;
        status.orphan = true;
        assert_eq!(
            status_lines(&status, Paint::NEVER).remove(0),
            "Synchronised to time1.example.net (stratum 10), an orphan that does not know UTC: the \
             clock is within ±12.3 us of its clock."
        );
    }

    #[test]
    fn a_reference_clock_is_called_one() {
        let mut status = samples::status();
        status.stratum = 1;
        status.reference_name = Some("/dev/pps0".to_owned());
        let first = status_lines(&status, Paint::NEVER).remove(0);
        assert!(
            first.starts_with("Synchronised to the reference clock /dev/pps0: the clock is within"),
            "{first}"
        );
    }

    #[test]
    fn what_keeps_the_clock_from_being_right_is_said_first() {
        let mut status = samples::unsynchronized();
        let first = |status: &StatusReport| status_lines(status, Paint::NEVER).remove(0);
        assert_eq!(
            first(&status),
            "Not synchronised: none of its 4 sources has answered yet."
        );
        status.sources_reachable = 2;
        assert!(first(&status).starts_with("Not synchronised: 2 of 4 sources answer"));
        status.sources = 0;
        assert_eq!(
            first(&status),
            "Not synchronised: no source has an address; see: clockwright sources."
        );
        status.steering = Steering::NotPermitted;
        assert!(status_lines(&status, Paint::NEVER)[1].contains("CAP_SYS_TIME"));
    }

    #[test]
    fn names_from_outside_cannot_reach_the_terminal() {
        let mut status = samples::status();
        status.reference_name = Some("\u{1b}[2Jevil".to_owned());
        assert!(
            !status_lines(&status, Paint::NEVER)
                .join("")
                .contains('\u{1b}')
        );
    }
}
