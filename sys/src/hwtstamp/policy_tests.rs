use proptest::prelude::*;

use super::*;

const AUTO: FilterChoice = FilterChoice::Auto {
    ptp_transport: true,
};
const UDP_ONLY: FilterChoice = FilterChoice::Auto {
    ptp_transport: false,
};

/// A NIC that stamps what it sends, and received packets by these filters.
fn nic(filters: &[RxFilter]) -> Capabilities {
    Capabilities {
        timestamping: uapi::SOF_TIMESTAMPING_RAW_HARDWARE
            | uapi::SOF_TIMESTAMPING_TX_HARDWARE
            | uapi::SOF_TIMESTAMPING_RX_HARDWARE,
        phc_index: Some(0),
        tx_types: 0b11,
        rx_filters: filters.iter().fold(1, |mask, &filter| mask | bit(filter)),
        source: None,
    }
}

fn set(tx: TxType, rx: RxFilter) -> Config {
    Config { flags: 0, tx, rx }
}

const OFF: Option<Config> = Some(Config {
    flags: 0,
    tx: TxType::Off,
    rx: RxFilter::None,
});

/// What a plan leaves in force, and what is lacking; that it is set only where it differs.
fn outcome(
    caps: &Capabilities,
    current: Option<Config>,
    choice: FilterChoice,
) -> (RxFilter, Option<Lack>) {
    match wanted(caps, current, choice) {
        Plan::NoHardware => panic!("no hardware"),
        Plan::Keep { config, lack } => {
            assert_eq!(Some(config), current);
            (config.rx, lack)
        }
        Plan::Set { config, lack } => {
            assert_ne!(Some(config), current);
            assert_eq!(config.tx, TxType::On);
            (config.rx, lack)
        }
    }
}

#[test]
fn on_an_idle_nic_the_narrowest_fitting_filter_is_set() {
    use RxFilter::{All, None as Nothing, NtpAll, PtpV2Event, PtpV2L2Event, PtpV2L4Event};
    for (filters, choice, expected) in [
        (&[All, NtpAll, PtpV2Event][..], AUTO, NtpAll),
        (&[All, PtpV2Event], AUTO, All),
        (&[PtpV2L4Event, PtpV2Event], AUTO, PtpV2L4Event),
        (&[PtpV2L2Event, PtpV2Event], AUTO, PtpV2Event),
        (&[All, PtpV2Event], FilterChoice::Ptp, PtpV2Event),
        (&[All], FilterChoice::Ptp, All),
        (&[All, NtpAll], FilterChoice::All, All),
        (&[All, NtpAll], FilterChoice::Ntp, NtpAll),
        (&[All, NtpAll], FilterChoice::None, Nothing),
    ] {
        assert_eq!(
            outcome(&nic(filters), OFF, choice),
            (expected, None),
            "{filters:?} {choice:?}"
        );
    }
    for (filters, choice) in [
        (&[PtpV2L4Event, PtpV2Event][..], UDP_ONLY),
        (&[PtpV2L4Event, NtpAll], FilterChoice::All),
        (&[PtpV2L2Event], AUTO),
        (&[], AUTO),
    ] {
        let lack = Some(Lack::NotOffered);
        assert_eq!(
            outcome(&nic(filters), OFF, choice),
            (Nothing, lack),
            "{filters:?} {choice:?}"
        );
    }
}

#[test]
fn what_another_program_set_stays_if_it_covers_what_we_want() {
    let caps = nic(RxFilter::KNOWN);
    for (rx, choice) in [
        (RxFilter::All, FilterChoice::Ntp),
        (RxFilter::All, FilterChoice::None),
        (RxFilter::NtpAll, AUTO),
        (RxFilter::PtpV2Event, FilterChoice::Ptp),
        (RxFilter::PtpV2Event, FilterChoice::None),
    ] {
        let current = Some(set(TxType::On, rx));
        assert!(
            matches!(
                wanted(&caps, current, choice),
                Plan::Keep { lack: None, .. }
            ),
            "{rx}"
        );
    }
}

#[test]
fn beside_a_ptp_program_the_filter_is_widened_or_kept() {
    let ptp4l = Some(set(TxType::On, RxFilter::PtpV2L2Event));
    // Both programs are served by "all".
    let rich = nic(&[RxFilter::All, RxFilter::NtpAll, RxFilter::PtpV2L2Event]);
    assert_eq!(outcome(&rich, ptp4l, AUTO), (RxFilter::All, None));
    // NTP over PTP beside PTP over Ethernet.
    let ptp = nic(&[
        RxFilter::PtpV2L4Event,
        RxFilter::PtpV2L2Event,
        RxFilter::PtpV2Event,
    ]);
    assert_eq!(outcome(&ptp, ptp4l, AUTO), (RxFilter::PtpV2Event, None));
    // "ntp-all" would take ptp4l's stamps.
    let either = nic(&[RxFilter::NtpAll, RxFilter::PtpV2L2Event]);
    let taken = Lack::Taken(RxFilter::PtpV2L2Event);
    for (choice, lack) in [
        (AUTO, Some(taken)),
        (UDP_ONLY, Some(taken)),
        (FilterChoice::All, Some(Lack::NotOffered)),
        (FilterChoice::Ptp, Some(Lack::NotOffered)),
    ] {
        assert_eq!(
            outcome(&either, ptp4l, choice),
            (RxFilter::PtpV2L2Event, lack)
        );
    }
    let taken = taken.to_string();
    assert!(taken.contains("ptpv2-l2-event"), "{taken}");
}

#[test]
fn a_filter_of_unknown_reach_gives_way_to_all_only() {
    for rx in [RxFilter::Some, RxFilter::Unknown(16)] {
        let current = Some(set(TxType::On, rx));
        let rich = nic(&[RxFilter::All, RxFilter::NtpAll]);
        assert_eq!(outcome(&rich, current, AUTO), (RxFilter::All, None));
        let poor = nic(&[RxFilter::NtpAll, RxFilter::PtpV2Event]);
        assert_eq!(outcome(&poor, current, AUTO), (rx, Some(Lack::Taken(rx))));
        assert_eq!(outcome(&poor, current, FilterChoice::None), (rx, None));
    }
}

#[test]
fn where_the_setting_cannot_be_read_the_widest_is_set() {
    let rich = nic(&[RxFilter::All, RxFilter::NtpAll, RxFilter::PtpV2Event]);
    assert_eq!(outcome(&rich, None, AUTO), (RxFilter::All, None));
    assert_eq!(
        outcome(&rich, None, FilterChoice::None),
        (RxFilter::All, None)
    );
    let ptp = nic(&[RxFilter::PtpV2L4Event, RxFilter::PtpV2Event]);
    assert_eq!(outcome(&ptp, None, AUTO), (RxFilter::PtpV2Event, None));
    let lack = Some(Lack::NotOffered);
    assert_eq!(outcome(&ptp, None, UDP_ONLY), (RxFilter::PtpV2Event, lack));
    assert_eq!(outcome(&nic(&[]), None, AUTO), (RxFilter::None, lack));
}

#[test]
fn transmission_is_switched_on_and_one_step_left_alone() {
    let caps = nic(&[RxFilter::All]);
    let tx = |current| match wanted(&caps, current, AUTO) {
        Plan::Set { config, .. } | Plan::Keep { config, .. } => config.tx,
        Plan::NoHardware => panic!("no hardware"),
    };
    assert_eq!(tx(Some(set(TxType::Off, RxFilter::All))), TxType::On);
    assert_eq!(tx(None), TxType::On);
    for theirs in [TxType::OneStepSync, TxType::OneStepP2p, TxType::Unknown(7)] {
        assert_eq!(tx(Some(set(theirs, RxFilter::None))), theirs);
    }
    // Some NICs stamp only what they receive.
    let deaf = Capabilities {
        tx_types: 1,
        ..caps
    };
    let plan = wanted(&deaf, OFF, AUTO);
    assert!(
        matches!(plan, Plan::Set { config, .. } if config.tx == TxType::Off && config.rx == RxFilter::All)
    );
}

#[test]
fn a_nic_that_stamps_only_what_it_sends_is_still_of_use() {
    let mut caps = nic(&[]);
    caps.timestamping &= !uapi::SOF_TIMESTAMPING_RX_HARDWARE;
    assert_eq!(
        outcome(&caps, OFF, AUTO),
        (RxFilter::None, Some(Lack::NotOffered))
    );
    assert_eq!(
        outcome(&caps, OFF, FilterChoice::None),
        (RxFilter::None, None)
    );
    caps.timestamping = uapi::SOF_TIMESTAMPING_RX_SOFTWARE;
    assert_eq!(wanted(&caps, None, AUTO), Plan::NoHardware);
}

#[test]
fn flags_stay_but_for_the_bonds() {
    let current = Some(Config {
        flags: 0b101,
        tx: TxType::Off,
        rx: RxFilter::None,
    });
    let plan = wanted(&nic(&[RxFilter::All]), current, AUTO);
    assert!(
        matches!(plan, Plan::Set { config, .. } if config.flags == 0b100),
        "{plan:?}"
    );
}

#[test]
fn what_a_filter_means_for_us() {
    use Receives::{AllPackets, Nothing, NtpOnly, PtpOnly, Unsaid};
    for (filter, expected) in [
        (RxFilter::None, Nothing),
        (RxFilter::All, AllPackets),
        (RxFilter::NtpAll, NtpOnly),
        (RxFilter::PtpV2Event, PtpOnly { l4: true }),
        (RxFilter::PtpV2L4Event, PtpOnly { l4: true }),
        (RxFilter::PtpV2L2Event, PtpOnly { l4: false }),
        (RxFilter::PtpV1L4Event, PtpOnly { l4: false }),
        (RxFilter::PtpV2L4Sync, PtpOnly { l4: false }),
        (RxFilter::Some, Unsaid),
        (RxFilter::Unknown(16), Unsaid),
    ] {
        assert_eq!(receives(filter), expected, "{filter}");
    }
}

fn any_config() -> impl Strategy<Value = Option<Config>> {
    let config = (0..5_i32, 0..18_i32, any::<i32>()).prop_map(|(tx, rx, flags)| Config {
        flags,
        tx: TxType::from_raw(tx),
        rx: RxFilter::from_raw(rx),
    });
    proptest::option::of(config)
}

fn any_choice() -> impl Strategy<Value = FilterChoice> {
    prop_oneof![
        Just(AUTO),
        Just(UDP_ONLY),
        Just(FilterChoice::All),
        Just(FilterChoice::Ntp),
        Just(FilterChoice::Ptp),
        Just(FilterChoice::None),
    ]
}

proptest! {
    /// Nobody loses a stamp, only what the NIC offers is asked for, and once granted it stays.
    #[test]
    fn nothing_is_ever_narrowed(
        timestamping in any::<u32>(),
        tx_types in 0..16_u32,
        rx_filters in any::<u32>(),
        current in any_config(),
        choice in any_choice(),
    ) {
        let caps = Capabilities { timestamping, phc_index: None, tx_types, rx_filters, source: None };
        let Plan::Set { config, lack } = wanted(&caps, current, choice) else { return Ok(()) };
        let before = current.map_or(RxFilter::None, |config| config.rx);
        prop_assert!(config.rx == before || caps.offers_rx(config.rx));
        if let (Some(before), Some(after)) = (Packets::of(before), Packets::of(config.rx)) {
            prop_assert!(after.contain(before));
        }
        if let Some(current) = current {
            prop_assert!(current.tx == TxType::Off || config.tx == current.tx);
        }
        let granted = wanted(&caps, Some(config), choice);
        prop_assert_eq!(granted, Plan::Keep { config, lack });
    }
}
