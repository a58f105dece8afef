//! The table, as the control socket reports it.

use clockwright_phc::Tracker;
use clockwright_sys::hwtstamp::Receives;
use clockwright_timebase::{Duration, Raw, Timestamp};

use super::fallback::Fallback;
use super::nic::{Grant, Nic};
use super::table::{Hardware, Interface, Interfaces};
use super::tally::{Direction, Kinds};
use crate::control::{
    FallbackReport, InterfaceReport, PhcReport, RxReport, StampCounts, StampReport, TxStampReport,
};

impl Interfaces {
    /// The interfaces that packets have come or gone by, and those that stamp in hardware, at `now`
    /// (host).
    pub fn report(&mut self, now: Timestamp<Raw>) -> Vec<InterfaceReport> {
        let indices: Vec<u32> = self
            .known
            .values()
            .filter(|found| found.nic().is_some() || found.has_carried())
            .map(|found| found.link.index)
            .collect();
        indices
            .into_iter()
            .filter_map(|index| self.report_one(index, now))
            .collect()
    }

    fn report_one(&mut self, index: u32, now: Timestamp<Raw>) -> Option<InterfaceReport> {
        let lost_by_driver = self.lost_by_driver(index);
        let found = self.known.get(&index)?;
        let nic = found.nic();
        let config = nic.and_then(Nic::granted);
        let speed = nic.and_then(|nic| nic.speed_mbps);
        Some(InterfaceReport {
            name: found.link.name.clone(),
            index,
            running: found.link.running,
            link_speed_bps: speed.map(|mbps| f64::from(mbps) * 1e6),
            lower: found.link.lower.and_then(|lower| self.name_of(lower)),
            master: found.link.master.and_then(|master| self.name_of(master)),
            tx_best: StampReport::from(self.best_transmit(Some(index))),
            rx_best: rx_report(nic),
            tx_type: config.map(|config| config.tx.to_string()),
            rx_filter: config.map(|config| config.rx.to_string()),
            reason: found.shortcoming(),
            phc: nic.map(|nic| self.phc_report(nic, now)),
            tx: counts(found.tally.transmit),
            rx: counts(found.tally.receive),
            tx_stamps: TxStampReport {
                missing: found.tally.transmit_missing,
                late: found.tally.transmit_late,
                lost_by_driver,
                latency_p50_s: found.latency.quantile(0.5).map(Duration::as_secs_f64),
                latency_p99_s: found.latency.quantile(0.99).map(Duration::as_secs_f64),
                latency_max_s: found.latency.longest().map(Duration::as_secs_f64),
                wait_s: nic
                    .filter(|nic| nic.transmits())
                    .map(|_| found.latency.wait().as_secs_f64()),
            },
            fallbacks: found.fallbacks(),
            last_fallback: found.tally.last.map(|(direction, why)| {
                let way = match direction {
                    Direction::Transmit => "sent",
                    Direction::Receive => "received",
                };
                format!("{way}: {why}")
            }),
        })
    }

    fn name_of(&self, index: u32) -> Option<String> {
        self.name(index).map(str::to_owned)
    }

    fn lost_by_driver(&mut self, index: u32) -> Option<u64> {
        let (_, ethtool) = self.nic_mut(index)?;
        let statistics = ethtool.statistics(index).ok()??;
        Some(statistics.lost)
    }

    fn phc_report(&self, nic: &Nic, now: Timestamp<Raw>) -> PhcReport {
        let clock = self.clocks.get(&nic.clock);
        let tracker = clock.and_then(|clock| Some(clock.tracked()?.tracker()));
        let status = tracker.map(Tracker::status);
        let seen = status.filter(|status| status.readings > 0);
        // Stamps are converted by a reading of the moment, not by one that has grown old since.
        let known = tracker.and_then(|tracker| Some(tracker.time_at(tracker.last_reading()?)?.1));
        PhcReport {
            path: nic.clock.display().to_string(),
            method: seen.and_then(|status| Some(status.method?.name().to_owned())),
            error_bound_s: known.map(Duration::as_secs_f64),
            noise_s: seen.and_then(|status| finite(status.noise_s)),
            read_delay_s: seen.and_then(|status| finite(status.read_delay_s)),
            frequency_ppm: seen.and_then(|status| finite(status.frequency_ppm)),
            wander: seen.and_then(|status| status.seen_wander),
            last_reading_age_s: tracker
                .and_then(|tracker| Some((now - tracker.last_reading()?).as_secs_f64())),
            readings: status.map_or(0, |status| status.readings),
            poor_readings: status.map_or(0, |status| status.poor),
            jumps: clock.map_or(0, |clock| clock.times_set),
            error: clock.and_then(|clock| clock.fault().map(str::to_owned)),
        }
    }
}

impl Interface {
    /// Has any packet of ours come or gone by it?
    fn has_carried(&self) -> bool {
        let any = |kinds: Kinds| kinds.hardware + kinds.kernel + kinds.daemon > 0;
        any(self.tally.transmit) || any(self.tally.receive)
    }

    /// Why it does not stamp both ways in hardware, in words.
    fn shortcoming(&self) -> Option<String> {
        let nic = match &self.hardware {
            Hardware::None => return Some(Fallback::NoHardware.to_string()),
            Hardware::NotWanted => return Some(Fallback::NotWanted.to_string()),
            Hardware::Nic(nic) => nic,
        };
        if let Grant::Refused(error) = &nic.grant {
            return Some(error.to_string());
        }
        if !nic.transmits() {
            return Some("what is sent is not stamped".to_owned());
        }
        let filter = nic.granted().map(|config| config.rx);
        let filter = filter.map(|filter| filter.to_string()).unwrap_or_default();
        match nic.receives() {
            Receives::AllPackets | Receives::NtpOnly | Receives::Unsaid => None,
            Receives::PtpOnly { l4: true } => Some(format!(
                "the receive filter `{filter}` stamps only PTP: plain NTP falls back to software \
                 timestamps"
            )),
            Receives::PtpOnly { l4: false } | Receives::Nothing => Some(format!(
                "the receive filter `{filter}` stamps no NTP packets, so measurements fall back \
                 to software timestamps"
            )),
        }
    }

    fn fallbacks(&self) -> Vec<FallbackReport> {
        let reasons = self.tally.reasons().into_iter();
        reasons
            .map(|(why, count)| FallbackReport {
                reason: why.name().to_owned(),
                words: why.to_string(),
                count,
            })
            .collect()
    }
}

fn rx_report(nic: Option<&Nic>) -> RxReport {
    match nic.map(Nic::receives) {
        Some(Receives::AllPackets) => RxReport::All,
        Some(Receives::NtpOnly) => RxReport::Ntp,
        Some(Receives::PtpOnly { l4: true }) => RxReport::Ptp,
        _ => RxReport::None,
    }
}

const fn counts(kinds: Kinds) -> StampCounts {
    StampCounts {
        hardware: kinds.hardware,
        kernel: kinds.kernel,
        daemon: kinds.daemon,
    }
}

/// JSON has no infinity.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
