//! What will be used of an interface, and why not more: pure, from what its driver says.

use clockwright_sys::hwtstamp::{
    Capabilities, Config, FilterChoice, Lack, Plan, Receives, RxFilter, TxType, receives, wanted,
};

use super::report::Stamping;

/// What will be used of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    /// The timestamps that NTP gets.
    pub(super) stamping: Stamping,
    /// The same in words.
    pub(super) words: String,
    /// Why not better, and what is to be known besides.
    pub(super) reasons: Vec<String>,
    /// What the daemon will have set; `None` where it sets nothing.
    pub(super) wanted: Option<Config>,
}

/// Judges a device by what it can do, by what it is set to now (`None` where it does not say), with
/// the default configuration. `driver` is its driver's name.
pub(super) fn judge(
    capabilities: &Capabilities,
    current: Option<Config>,
    driver: &str,
) -> Judgement {
    let auto = FilterChoice::Auto {
        ptp_transport: true,
    };
    let (config, lack, sets) = match wanted(capabilities, current, auto) {
        Plan::NoHardware => return software(capabilities, driver),
        Plan::Keep { config, lack } => (config, lack, false),
        Plan::Set { config, lack } => (config, lack, true),
    };
    if capabilities.phc_index.is_none() {
        let mut judgement = software(capabilities, driver);
        judgement.reasons = vec![format!(
            "the driver, {driver}, stamps in hardware, but names no PTP hardware clock, and \
             without that its stamps cannot be read"
        )];
        return judgement;
    }
    let mut reasons = Vec::new();
    reasons.extend(lack.map(|lack| why_lacking(lack, capabilities)));
    let (stamping, words) = usable(config);
    if sets {
        reasons.push(format!(
            "the daemon sets transmit {}, receive {}, which takes CAP_NET_ADMIN",
            config.tx, config.rx
        ));
    }
    Judgement {
        stamping,
        words: words.to_owned(),
        reasons,
        wanted: Some(config),
    }
}

/// What NTP gets where `config` is in force.
fn usable(config: Config) -> (Stamping, &'static str) {
    let sends = config.tx != TxType::Off;
    match receives(config.rx) {
        Receives::AllPackets | Receives::NtpOnly if sends => {
            (Stamping::Hardware, Stamping::Hardware.words())
        }
        Receives::Unsaid if sends => (
            Stamping::Hardware,
            "hardware timestamps on what is sent; the driver does not say which received packets \
             it stamps: where they are NTP's, they are used",
        ),
        Receives::PtpOnly { l4: true } if sends => (
            Stamping::HardwareOverPtp,
            "hardware timestamps where the server answers NTP over PTP, software timestamps elsewhere",
        ),
        _ if sends => (
            Stamping::Software,
            "software timestamps: what is sent can be stamped in hardware, what is received \
             cannot, and an interval is never measured by two kinds of stamps",
        ),
        _ => (
            Stamping::Software,
            "software timestamps: what is sent cannot be stamped in hardware, and an interval is \
             never measured by two kinds of stamps",
        ),
    }
}

/// An interface without hardware that could be used.
fn software(capabilities: &Capabilities, driver: &str) -> Judgement {
    let mut reasons = vec![format!("the driver, {driver}, does not stamp in hardware")];
    if !capabilities.software_tx() {
        reasons.push(format!(
            "{driver} does not let the kernel stamp what is sent either: the daemon does, which \
             is less certain by some microseconds"
        ));
    }
    Judgement {
        stamping: Stamping::Software,
        words: Stamping::Software.words().to_owned(),
        reasons,
        wanted: None,
    }
}

fn why_lacking(lack: Lack, capabilities: &Capabilities) -> String {
    match lack {
        Lack::NotOffered => {
            let offered: Vec<String> = filters(capabilities)
                .filter(|filter| *filter != RxFilter::None)
                .map(|filter| filter.to_string())
                .collect();
            if offered.is_empty() {
                "the NIC has no receive filter".to_owned()
            } else {
                format!(
                    "the NIC has no receive filter that covers NTP, only {}",
                    offered.join(", ")
                )
            }
        }
        taken @ Lack::Taken(_) => taken.to_string(),
    }
}

/// The receive filters that are offered.
pub(super) fn filters(capabilities: &Capabilities) -> impl Iterator<Item = RxFilter> {
    let offered = |filter: &RxFilter| capabilities.offers_rx(*filter);
    RxFilter::KNOWN.iter().copied().filter(offered)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOFTWARE: u32 = 0b1_1010;
    const HARDWARE: u32 = 0b101_1111;

    fn nic(filters: &[RxFilter]) -> Capabilities {
        let bit = |filter: &RxFilter| 1_u32 << filter.as_raw();
        Capabilities {
            timestamping: HARDWARE,
            phc_index: Some(0),
            tx_types: 0b11,
            rx_filters: filters.iter().map(bit).sum(),
            ..Capabilities::default()
        }
    }

    const fn set(tx: TxType, rx: RxFilter) -> Config {
        Config { flags: 0, tx, rx }
    }

    fn shown(judgement: &Judgement) -> String {
        format!("{}\n{}", judgement.words, judgement.reasons.join("\n"))
    }

    #[test]
    fn a_nic_that_stamps_all_needs_only_the_privilege() {
        let able = nic(&[RxFilter::None, RxFilter::All]);
        let fresh = judge(&able, Some(set(TxType::Off, RxFilter::None)), "igc");
        assert_eq!(fresh.stamping, Stamping::Hardware);
        assert_eq!(
            shown(&fresh),
            "hardware timestamps\nthe daemon sets transmit on, receive all, which takes \
             CAP_NET_ADMIN"
        );
        let ready = judge(&able, Some(set(TxType::On, RxFilter::All)), "igc");
        assert_eq!(
            (ready.stamping, ready.reasons),
            (Stamping::Hardware, vec![])
        );
    }

    #[test]
    fn a_nic_for_ptp_carries_ntp_in_ptp() {
        let able = nic(&[RxFilter::None, RxFilter::PtpV2L4Event]);
        let judgement = judge(&able, Some(set(TxType::On, RxFilter::PtpV2L4Event)), "bcm");
        assert_eq!(judgement.stamping, Stamping::HardwareOverPtp);
        // Over Ethernet only, NTP cannot go that way.
        let able = nic(&[RxFilter::None, RxFilter::PtpV2L2Event]);
        let judgement = judge(&able, Some(set(TxType::Off, RxFilter::None)), "x");
        assert_eq!(judgement.stamping, Stamping::Software);
        assert!(
            shown(&judgement).contains("no receive filter that covers NTP, only ptpv2-l2-event"),
            "{judgement:?}"
        );
    }

    #[test]
    fn a_filter_that_another_program_needs_is_left_to_it() {
        let able = nic(&[RxFilter::None, RxFilter::NtpAll, RxFilter::PtpV2L2Event]);
        let judgement = judge(&able, Some(set(TxType::On, RxFilter::PtpV2L2Event)), "x");
        assert_eq!(judgement.stamping, Stamping::Software);
        assert_eq!(
            judgement.wanted,
            Some(set(TxType::On, RxFilter::PtpV2L2Event))
        );
        assert!(
            shown(&judgement).contains("another program set"),
            "{judgement:?}"
        );
    }

    #[test]
    fn without_hardware_the_driver_is_named() {
        let virtio = Capabilities {
            timestamping: SOFTWARE,
            ..Capabilities::default()
        };
        let judgement = judge(&virtio, None, "virtio_net");
        assert_eq!(
            shown(&judgement),
            "software timestamps\nthe driver, virtio_net, does not stamp in hardware"
        );
        let bare = judge(&Capabilities::default(), None, "tun");
        assert!(shown(&bare).contains("the daemon does"), "{bare:?}");
        assert_eq!(bare.wanted, None);
    }

    #[test]
    fn stamps_without_a_clock_are_of_no_use() {
        let mut able = nic(&[RxFilter::All]);
        able.phc_index = None;
        let judgement = judge(&able, None, "x");
        assert_eq!(judgement.stamping, Stamping::Software);
        assert!(shown(&judgement).contains("names no PTP hardware clock"));
    }
}
