//! Reports that tests show, send and read.

use std::collections::BTreeMap;

use crate::control::{
    AuthEntry, AuthReport, ClockName, FallbackReport, InterfaceReport, KeyServerReport, KindReport,
    LeapListReport, LeapReport, PhcReport, RxReport, ServerReport, ServerStampsReport,
    SourceReport, SourceState, StampCounts, StampReport, StatusReport, Steering, TableReport,
    TalkerReport, TimestampsReport, TransportReport, TxStampReport, WorkerReport,
};
use crate::probe::{ClockProbe, InterfaceProbe, ProbeReport, Stamping};

/// A daemon at work.
pub(crate) fn status() -> StatusReport {
    StatusReport {
        version: "0.1.0".to_owned(),
        uptime_s: 3_600.5,
        clock: ClockName::System,
        steering: Steering::Adjusting,
        synchronized: true,
        stratum: 3,
        local_stratum: None,
        orphan: false,
        reference_id: Some("192.0.2.1".to_owned()),
        reference_name: Some("time1.example.net".to_owned()),
        leap: LeapReport::None,
        tai_offset_s: Some(37),
        leap_list: Some(LeapListReport {
            path: "/usr/share/zoneinfo/leap-seconds.list".to_owned(),
            updated_unix_s: 1_783_296_000,
            expires_unix_s: 1_814_140_800,
            valid: true,
            next_leap_unix_s: None,
        }),
        leap_list_error: None,
        leap_disagreement: None,
        offset_s: Some(-120e-9),
        frequency_ppm: Some(12.3456),
        frequency_uncertainty_ppm: Some(0.002),
        holdover_s: None,
        temperature_c: None,
        temperature_ppm_per_k: None,
        root_delay_s: Some(240e-6),
        root_dispersion_s: Some(1.5e-3),
        error_bound_s: Some(12.3e-6),
        true_error_s: None,
        last_update_age_s: Some(12.0),
        samples: 120,
        steps: 1,
        disruptions: 0,
        last_disruptions: Vec::new(),
        other_steerer: None,
        sources: 4,
        sources_reachable: 4,
        sources_used: 3,
    }
}

/// A daemon that has just started.
pub(crate) fn unsynchronized() -> StatusReport {
    StatusReport {
        synchronized: false,
        stratum: 16,
        reference_id: None,
        reference_name: None,
        leap: LeapReport::Unsynchronized,
        tai_offset_s: None,
        offset_s: None,
        frequency_ppm: None,
        frequency_uncertainty_ppm: None,
        root_delay_s: None,
        root_dispersion_s: None,
        error_bound_s: None,
        last_update_age_s: None,
        samples: 0,
        steps: 0,
        disruptions: 0,
        last_disruptions: Vec::new(),
        other_steerer: None,
        sources_reachable: 0,
        sources_used: 0,
        ..status()
    }
}

/// A source that is followed, one that lies and one without an address.
pub(crate) fn sources() -> Vec<SourceReport> {
    vec![followed(), liar(), unresolved()]
}

fn followed() -> SourceReport {
    SourceReport {
        name: "time1.example.net".to_owned(),
        pool: false,
        address: Some("192.0.2.1".to_owned()),
        port: Some(123),
        kind: KindReport::Server,
        state: SourceState::Selected,
        reason: None,
        options: Vec::new(),
        stratum: Some(2),
        leap: Some(LeapReport::None),
        reference_id: Some("198.51.100.7".to_owned()),
        poll: 6,
        poll_s: 64.0,
        reach: 0o377,
        reachable: true,
        auth: AuthReport::None,
        interleaved: true,
        transport: Some(TransportReport::Udp),
        interface: Some("eth0".to_owned()),
        tx_stamp: Some(StampReport::Kernel),
        rx_stamp: Some(StampReport::Kernel),
        offset_s: Some(-120e-9),
        delay_s: Some(240e-6),
        jitter_s: Some(80e-9),
        frequency_ppm: Some(12.3),
        root_delay_s: Some(1e-3),
        root_dispersion_s: Some(1e-3),
        error_bound_s: Some(12.3e-6),
        last_sample_age_s: Some(12.0),
        sent: 100,
        received: 99,
        rejected: BTreeMap::new(),
        last_rejection: None,
        last_error: None,
    }
}

fn liar() -> SourceReport {
    SourceReport {
        name: "192.0.2.9".to_owned(),
        address: Some("192.0.2.9".to_owned()),
        port: Some(1123),
        state: SourceState::Falseticker,
        reason: Some("off by 20.0 ms from the majority".to_owned()),
        reach: 0o17,
        interleaved: false,
        rx_stamp: Some(StampReport::Daemon),
        offset_s: Some(20e-3),
        rejected: BTreeMap::from([("bogus_origin".to_owned(), 2)]),
        last_rejection: Some("bogus origin".to_owned()),
        ..followed()
    }
}

fn unresolved() -> SourceReport {
    SourceReport {
        name: "none.example".to_owned(),
        address: None,
        state: SourceState::Unresolved,
        stratum: None,
        leap: None,
        reference_id: None,
        reach: 0,
        reachable: false,
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
        last_error: Some("name not found".to_owned()),
        ..followed()
    }
}

/// A NIC that stamps everything, one that stamps only PTP below a VLAN, and one without hardware.
pub(crate) fn timestamps() -> TimestampsReport {
    TimestampsReport {
        interfaces: vec![stamping(), vlan(), ptp_only(), software()],
    }
}

fn stamping() -> InterfaceReport {
    InterfaceReport {
        name: "eth0".to_owned(),
        index: 2,
        running: true,
        link_speed_bps: Some(25e9),
        lower: None,
        master: Some("bond0".to_owned()),
        tx_best: StampReport::Hardware,
        rx_best: RxReport::All,
        tx_type: Some("on".to_owned()),
        rx_filter: Some("all".to_owned()),
        reason: None,
        phc: Some(PhcReport {
            path: "/dev/ptp0".to_owned(),
            method: Some("extended".to_owned()),
            error_bound_s: Some(410e-9),
            noise_s: Some(6.2e-9),
            read_delay_s: Some(720e-9),
            frequency_ppm: Some(-3.412),
            wander: Some(1.3e-10),
            last_reading_age_s: Some(0.4),
            readings: 3_601,
            poor_readings: 2,
            jumps: 0,
            error: None,
        }),
        tx: StampCounts {
            hardware: 1_204,
            kernel: 3,
            daemon: 0,
        },
        rx: StampCounts {
            hardware: 1_207,
            kernel: 0,
            daemon: 0,
        },
        tx_stamps: TxStampReport {
            missing: 2,
            late: 1,
            lost_by_driver: Some(2),
            latency_p50_s: Some(41e-6),
            latency_p99_s: Some(212e-6),
            latency_max_s: Some(5.1e-3),
            wait_s: Some(1e-3),
        },
        fallbacks: vec![FallbackReport {
            reason: "missing".to_owned(),
            words: "the hardware gave no timestamp".to_owned(),
            count: 3,
        }],
        last_fallback: Some("sent: the hardware gave no timestamp".to_owned()),
    }
}

fn vlan() -> InterfaceReport {
    InterfaceReport {
        name: "eth1.7".to_owned(),
        index: 9,
        link_speed_bps: Some(1e9),
        lower: Some("eth1".to_owned()),
        master: None,
        rx_best: RxReport::Ptp,
        tx_type: None,
        rx_filter: None,
        phc: None,
        tx: StampCounts::default(),
        rx: StampCounts::default(),
        tx_stamps: TxStampReport::default(),
        fallbacks: Vec::new(),
        last_fallback: None,
        ..stamping()
    }
}

fn ptp_only() -> InterfaceReport {
    InterfaceReport {
        name: "eth1".to_owned(),
        index: 3,
        link_speed_bps: Some(1e9),
        master: None,
        rx_best: RxReport::Ptp,
        rx_filter: Some("ptpv2-l4-event".to_owned()),
        reason: Some("the NIC stamps received packets only in PTP messages".to_owned()),
        rx: StampCounts {
            hardware: 0,
            kernel: 66,
            daemon: 1,
        },
        fallbacks: vec![FallbackReport {
            reason: "filter".to_owned(),
            words: "the receive filter leaves these packets out".to_owned(),
            count: 67,
        }],
        last_fallback: Some("received: the receive filter leaves these packets out".to_owned()),
        ..stamping()
    }
}

fn software() -> InterfaceReport {
    InterfaceReport {
        name: "virbr0".to_owned(),
        index: 4,
        running: false,
        link_speed_bps: None,
        lower: None,
        master: None,
        tx_best: StampReport::Kernel,
        rx_best: RxReport::None,
        tx_type: None,
        rx_filter: None,
        reason: Some("its driver does not support hardware timestamping".to_owned()),
        phc: None,
        tx: StampCounts::default(),
        rx: StampCounts::default(),
        tx_stamps: TxStampReport::default(),
        fallbacks: Vec::new(),
        last_fallback: None,
    }
}

/// A host with a NIC that stamps everything, one for PTP only, one without hardware, a bond, and the
/// clock of its hypervisor.
pub(crate) fn probe() -> ProbeReport {
    ProbeReport {
        kernel: "6.12.57".to_owned(),
        net_admin: false,
        interfaces: vec![able(), for_ptp(), without_hardware(), bond()],
        clocks: vec![nic_clock(), closed_clock(), hypervisor_clock()],
        configuration: "[[source]]\nserver = \"time.example.net\"    # yours".to_owned(),
    }
}

fn able() -> InterfaceProbe {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    InterfaceProbe {
        name: "eth0".to_owned(),
        index: 2,
        kind: "device".to_owned(),
        running: true,
        driver: Some("igc".to_owned()),
        link_speed_bps: Some(2.5e9),
        master: Some("bond0".to_owned()),
        below: Vec::new(),
        tx_hardware: true,
        rx_hardware: true,
        tx_kernel: true,
        rx_kernel: true,
        tx_types: words(&["off", "on"]),
        rx_filters: words(&["none", "all"]),
        tx_type: Some("off".to_owned()),
        rx_filter: Some("none".to_owned()),
        tx_type_wanted: Some("on".to_owned()),
        rx_filter_wanted: Some("all".to_owned()),
        clock: Some("/dev/ptp0".to_owned()),
        stamping: Stamping::Hardware,
        judgement: "hardware timestamps".to_owned(),
        reasons: words(&["the daemon sets transmit on, receive all, which takes CAP_NET_ADMIN"]),
    }
}

fn for_ptp() -> InterfaceProbe {
    InterfaceProbe {
        name: "eth1".to_owned(),
        index: 3,
        driver: Some("bcmgenet".to_owned()),
        link_speed_bps: Some(1e9),
        master: None,
        rx_filters: vec!["none".to_owned(), "ptpv2-l4-event".to_owned()],
        rx_filter_wanted: Some("ptpv2-l4-event".to_owned()),
        clock: Some("/dev/ptp1".to_owned()),
        stamping: Stamping::HardwareOverPtp,
        judgement: "hardware timestamps where the server answers NTP over PTP, software \
                    timestamps elsewhere"
            .to_owned(),
        reasons: Vec::new(),
        ..able()
    }
}

fn without_hardware() -> InterfaceProbe {
    InterfaceProbe {
        name: "eth2".to_owned(),
        index: 4,
        running: false,
        driver: Some("virtio_net".to_owned()),
        link_speed_bps: None,
        master: None,
        tx_hardware: false,
        rx_hardware: false,
        tx_types: Vec::new(),
        rx_filters: Vec::new(),
        tx_type: None,
        rx_filter: None,
        tx_type_wanted: None,
        rx_filter_wanted: None,
        clock: None,
        stamping: Stamping::Software,
        judgement: "software timestamps".to_owned(),
        reasons: vec!["the driver, virtio_net, does not stamp in hardware".to_owned()],
        ..able()
    }
}

fn bond() -> InterfaceProbe {
    InterfaceProbe {
        name: "bond0".to_owned(),
        index: 5,
        kind: "bond".to_owned(),
        running: true,
        driver: Some("bonding".to_owned()),
        below: vec!["eth0".to_owned()],
        stamping: Stamping::Hardware,
        judgement: "stamped by eth0 below it".to_owned(),
        reasons: Vec::new(),
        ..without_hardware()
    }
}

fn nic_clock() -> ClockProbe {
    ClockProbe {
        path: "/dev/ptp0".to_owned(),
        name: Some("igc".to_owned()),
        interfaces: vec!["eth0".to_owned()],
        method: Some("extended".to_owned()),
        read_delay_s: Some(1.42e-6),
        noise_s: Some(8.1e-9),
        frequency_ppm: Some(-3.412),
        offset_s: Some(37.000_001),
        max_adjustment_ppm: Some(62.5e3),
        cross_timestamps: true,
        external_timestamps: 2,
        virtual_clocks: Vec::new(),
        error: None,
    }
}

fn closed_clock() -> ClockProbe {
    ClockProbe {
        path: "/dev/ptp1".to_owned(),
        name: Some("bcm-ptp".to_owned()),
        interfaces: vec!["eth1".to_owned()],
        method: None,
        read_delay_s: None,
        noise_s: None,
        frequency_ppm: None,
        offset_s: None,
        max_adjustment_ppm: None,
        cross_timestamps: false,
        external_timestamps: 0,
        virtual_clocks: Vec::new(),
        error: Some("/dev/ptp1: not permitted to open it".to_owned()),
    }
}

fn hypervisor_clock() -> ClockProbe {
    ClockProbe {
        path: "/dev/ptp2".to_owned(),
        name: Some("KVM virtual PTP".to_owned()),
        interfaces: Vec::new(),
        method: Some("precise".to_owned()),
        read_delay_s: Some(0.0),
        offset_s: Some(-12.3e-6),
        max_adjustment_ppm: Some(0.0),
        external_timestamps: 0,
        ..nic_clock()
    }
}

/// Two sources that are authenticated, one of them not yet, and one that is not.
pub(crate) fn auth() -> Vec<AuthEntry> {
    let good = AuthEntry {
        name: "time1.example.net".to_owned(),
        address: Some("192.0.2.1".to_owned()),
        key_server: Some("192.0.2.1:4460".to_owned()),
        mode: AuthReport::Nts,
        key_establishments: 1,
        aead: Some("AES-128-GCM-SIV".to_owned()),
        aead_id: Some(30),
        key_length_bits: Some(128),
        key_age_s: Some(720.0),
        attempts: 0,
        establishing: false,
        naks: 0,
        cookies: 8,
        cookie_length: 68,
        provisional: false,
        doubt: None,
        last_error: None,
    };
    let without_keys = AuthEntry {
        name: "time2.example.net".to_owned(),
        address: Some("192.0.2.2".to_owned()),
        key_server: Some("192.0.2.2:4460".to_owned()),
        key_establishments: 0,
        aead: None,
        aead_id: None,
        key_length_bits: None,
        key_age_s: None,
        attempts: 3,
        establishing: true,
        naks: 2,
        cookies: 0,
        cookie_length: 0,
        last_error: Some("cannot connect to TCP port 4460 of 192.0.2.2: no answer".to_owned()),
        ..good.clone()
    };
    let plain = AuthEntry {
        name: "192.0.2.9".to_owned(),
        address: Some("192.0.2.9".to_owned()),
        key_server: None,
        mode: AuthReport::None,
        attempts: 0,
        establishing: false,
        naks: 0,
        last_error: None,
        ..without_keys.clone()
    };
    vec![good, without_keys, plain]
}

fn workers() -> Vec<WorkerReport> {
    vec![
        WorkerReport {
            number: 0,
            received: 610,
            answered: 605,
            interleaved: 400,
            authenticated: 300,
            kisses: 4,
            dropped: BTreeMap::from([("denied".to_owned(), 1), ("framing".to_owned(), 1)]),
            batches: 61,
        },
        WorkerReport {
            number: 1,
            received: 600,
            answered: 595,
            interleaved: 400,
            authenticated: 400,
            kisses: 0,
            dropped: BTreeMap::from([("denied".to_owned(), 4), ("framing".to_owned(), 2)]),
            batches: 600,
        },
    ]
}

fn talkers() -> Vec<TalkerReport> {
    vec![
        TalkerReport {
            address: "192.0.2.7".to_owned(),
            requests: 900,
            limited: 20,
        },
        TalkerReport {
            address: "2001:db8::/64".to_owned(),
            requests: 310,
            limited: 0,
        },
    ]
}

/// A server that has been busy.
pub(crate) fn server() -> ServerReport {
    let one = |name: &str, count| BTreeMap::from([(name.to_owned(), count)]);
    ServerReport {
        listening: vec!["0.0.0.0:123".to_owned(), "[::]:123".to_owned()],
        smeared: Vec::new(),
        received: 1210,
        basic: 400,
        interleaved: 800,
        authenticated: 700,
        naks: 3,
        rate_kisses: 1,
        denied: 5,
        dropped: one("framing", 2),
        unsent: 0,
        stamps: ServerStampsReport {
            rx_hardware: 1100,
            rx_kernel: 110,
            tx_hardware: 790,
            tx_kernel: 11,
            ..ServerStampsReport::default()
        },
        interleaved_table: TableReport {
            capacity: 131_072,
            remembered: 250,
            replaced: 0,
        },
        tables_octets: 3_400_000,
        workers: workers(),
        talkers: Some(talkers()),
        key_establishment: Some(KeyServerReport {
            listening: vec!["[::]:4460".to_owned()],
            accepted: 42,
            established: 41,
            refused: one("no_alpn", 4),
            open: 1,
            cookie_key: "1a2b3c4d".to_owned(),
            cookie_keys: 4,
        }),
    }
}
