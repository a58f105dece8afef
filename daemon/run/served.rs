//! What the daemon tells about those who ask it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::daemon::Daemon;
use crate::control::{ServerReport, ServerStampsReport, TableReport, TalkerReport, WorkerReport};
use crate::serve::tally::Counts;

impl Daemon {
    /// The report about those who ask this host, with so many of those who ask most.
    pub(super) fn server_report(&self, talkers: u32) -> ServerReport {
        let service = &self.serving.service;
        let mut counts = service.counts();
        // What came over PTP is answered by this thread.
        let desk = &self.serving.desk;
        counts.add_protocol(desk.server.statistics());
        counts.denied += desk.counts.denied;
        counts.unsent += desk.counts.unsent;
        let places = service.places();
        let smeared = places.iter().filter(|(place, _)| place.smeared);
        let threads: u64 = places.iter().map(|(_, workers)| u64::from(*workers)).sum();
        let capacity = self
            .config
            .server
            .as_ref()
            .map_or(0, |it| it.interleaved_replies);
        ServerReport {
            listening: places
                .iter()
                .map(|(place, _)| place.address.to_string())
                .collect(),
            smeared: smeared
                .map(|(place, _)| place.address.to_string())
                .collect(),
            received: counts.received,
            basic: counts.basic,
            interleaved: counts.interleaved,
            authenticated: counts.authenticated,
            naks: counts.naks,
            rate_kisses: counts.kisses,
            denied: counts.denied,
            dropped: dropped(&counts),
            unsent: counts.unsent,
            stamps: ServerStampsReport {
                rx_hardware: counts.rx_hardware,
                rx_kernel: counts.rx_kernel,
                rx_daemon: counts.rx_daemon,
                tx_hardware: counts.tx_hardware,
                tx_kernel: counts.tx_kernel,
                tx_between: counts.tx_between,
                tx_missing: counts.tx_missing,
                tx_implausible: counts.tx_implausible,
            },
            interleaved_table: TableReport {
                capacity: threads * u64::from(capacity),
                remembered: counts.remembered,
                replaced: counts.replaced,
            },
            tables_octets: threads * self.serving.octets_of_a_worker(),
            workers: (0..).zip(service.counts_by_worker()).map(worker).collect(),
            talkers: (talkers > 0).then(|| self.talkers(talkers)),
            key_establishment: self.key_server_report(),
        }
    }

    fn talkers(&self, most: u32) -> Vec<TalkerReport> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let prefixes = self.serving.policy().prefixes;
        let talkers = self.serving.service.talkers(most).into_iter();
        talkers
            .map(|talker| TalkerReport {
                address: network(prefixes.network(talker.client)),
                requests: talker.requests,
                limited: talker.limited,
            })
            .collect()
    }
}

/// A network as people write it; one that is an address alone, as that.
fn network((address, prefix): (IpAddr, u8)) -> String {
    if address.is_ipv4() && prefix == 32 {
        address.to_string()
    } else {
        format!("{address}/{prefix}")
    }
}

fn worker((number, counts): (u16, Counts)) -> WorkerReport {
    let answered = counts.basic + counts.interleaved;
    WorkerReport {
        number,
        received: counts.received,
        answered,
        interleaved: counts.interleaved,
        authenticated: counts.authenticated,
        kisses: counts.naks + counts.kisses,
        dropped: dropped_and_denied(&counts),
        batches: counts.batches,
    }
}

/// The same with those who are not allowed, which the whole has a number of its own for.
fn dropped_and_denied(counts: &Counts) -> BTreeMap<String, u64> {
    let mut reasons = dropped(counts);
    if counts.denied > 0 {
        reasons.insert("denied".to_owned(), counts.denied);
    }
    reasons
}

/// The reasons that have occurred, with their counts.
fn dropped(counts: &Counts) -> BTreeMap<String, u64> {
    [
        ("limited", counts.limited),
        ("untimely", counts.untimely),
        ("too_short", counts.too_short),
        ("too_long", counts.too_long),
        ("version", counts.version),
        ("mode", counts.mode),
        ("framing", counts.framing),
        ("nts_malformed", counts.nts_malformed),
        ("unknown_key", counts.unknown_key),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(reason, count)| (reason.to_owned(), count))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_have_not_occurred_are_left_out() {
        let counts = Counts {
            limited: 3,
            framing: 1,
            ..Counts::default()
        };
        let told = dropped(&counts);
        assert_eq!(dropped_and_denied(&counts), told);
        assert_eq!(told.len(), 2);
        assert_eq!((told["limited"], told["framing"]), (3, 1));
    }

    #[test]
    fn a_single_ipv4_address_is_shown_as_one() {
        let show = |text: &str, prefix| network((text.parse().unwrap(), prefix));
        assert_eq!(show("192.0.2.1", 32), "192.0.2.1");
        assert_eq!(show("192.0.2.0", 24), "192.0.2.0/24");
        assert_eq!(show("2001:db8::", 64), "2001:db8::/64");
    }
}
