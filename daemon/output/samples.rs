//! Reports that tests show, send and read.

use std::collections::BTreeMap;

use crate::control::{
    AuthReport, ClockName, LeapReport, SourceReport, SourceState, StampReport, StatusReport,
    Steering,
};

/// A daemon at work.
pub(crate) fn status() -> StatusReport {
    StatusReport {
        version: "0.1.0".to_owned(),
        uptime_s: 3_600.5,
        clock: ClockName::System,
        steering: Steering::Adjusting,
        synchronized: true,
        stratum: 3,
        reference_id: Some("192.0.2.1".to_owned()),
        reference_name: Some("time1.example.net".to_owned()),
        leap: LeapReport::None,
        offset_s: Some(-120e-9),
        frequency_ppm: Some(12.3456),
        frequency_uncertainty_ppm: Some(0.002),
        root_delay_s: Some(240e-6),
        root_dispersion_s: Some(1.5e-3),
        error_bound_s: Some(12.3e-6),
        true_error_s: None,
        last_update_age_s: Some(12.0),
        samples: 120,
        steps: 1,
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
        offset_s: None,
        frequency_ppm: None,
        frequency_uncertainty_ppm: None,
        root_delay_s: None,
        root_dispersion_s: None,
        error_bound_s: None,
        last_update_age_s: None,
        samples: 0,
        steps: 0,
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
        port: 123,
        state: SourceState::Selected,
        reason: None,
        stratum: Some(2),
        leap: Some(LeapReport::None),
        reference_id: Some("198.51.100.7".to_owned()),
        poll: 6,
        poll_s: 64.0,
        reach: 0o377,
        reachable: true,
        auth: AuthReport::None,
        interleaved: true,
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
        port: 1123,
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
