//! One server close by, and packets that wait.

use clockwright_sim::{Distribution, Scenario, WayScenario};

/// One server 5 us away, hardware-like stamps, asked so often every 2^`poll` s.
pub(crate) fn near(poll: i8, exchanges: f64) -> Scenario {
    let duration_s = exchanges * f64::from(poll).exp2();
    let text = format!(
        "duration_s = {duration_s}\nsettle_s = {}\n\n[[source]]\npoll_min = {poll}\npoll_max = {poll}\n\
         path = {{ delay_s = 5e-6, jitter_s = 6e-9, distribution = \"normal\" }}\n",
        duration_s / 8.0
    );
    Scenario::parse(&text).expect("a good scenario")
}

/// An M/M/1 queue that holds a packet up for 20 us on average: it is busy for `load` of the time, and
/// who finds it busy waits for service/(1 − load).
pub(crate) fn queue(load: f64) -> WayScenario {
    WayScenario {
        load: Some(load),
        service_s: Some(20e-6 * (1.0 - load)),
        ..WayScenario::default()
    }
}

/// A part of the packets waits, for `wait_s` on average.
pub(crate) fn waits(distribution: Distribution, wait_s: f64, part: f64) -> WayScenario {
    WayScenario {
        jitter_s: Some(wait_s),
        distribution: Some(distribution),
        queued: Some(part),
        ..WayScenario::default()
    }
}
