//! Routes that change while other sources look on: the true error, and whether the bound contains it.

use clockwright_sim::{Report, RouteChange, Scenario, run_with_seeds};

const SEEDS: [u64; 3] = [21, 22, 23];

/// Three servers, polled every 2^`poll` s. For a third of the time the first `changed` of them are
/// behind a route that is longer by so much there and back, s.
fn three(poll: i8, changed: usize, (there_s, back_s): (f64, f64)) -> Scenario {
    let length_s = if poll > 2 { 60_000.0 } else { 12_000.0 };
    let source = format!(
        "\n[[source]]\npoll_min = {poll}\npoll_max = {poll}\n\
         path = {{ delay_s = 400e-6, jitter_s = 1e-6 }}\n"
    );
    let settle_s = length_s / 8.0;
    let text = format!("duration_s = {length_s}\nsettle_s = {settle_s}\n") + &source.repeat(3);
    let mut scenario = Scenario::parse(&text).expect("a good scenario");
    let route = |at_s: f64, (there_s, back_s): (f64, f64)| RouteChange {
        at_s,
        delay_there_s: 400e-6 + there_s,
        delay_back_s: 400e-6 + back_s,
    };
    for source in &mut scenario.source[..changed] {
        source.path.route = vec![
            route(length_s / 3.0 + 0.3, (there_s, back_s)),
            route(length_s * 2.0 / 3.0 + 0.6, (0.0, 0.0)),
        ];
    }
    scenario
}

fn reports(scenario: &Scenario) -> Vec<Report> {
    let reports = run_with_seeds(scenario, SEEDS);
    for report in &reports {
        assert!(report.bound_probes > 0, "no bound was published");
        let violations = (report.bound_violations, report.sample_violations);
        assert_eq!(violations, (0, 0), "{report:?}");
    }
    reports
}

/// Half of what it is longer by, over three, would be 33 us: hundreds of times the usual error at 1 s.
#[test]
fn a_route_that_changes_for_one_source_of_three_hardly_moves_the_clock() {
    for poll in [0, 6] {
        let quiet = reports(&three(poll, 0, (0.0, 0.0)));
        for longer in [(200e-6, 0.0), (0.0, 200e-6)] {
            let changed = reports(&three(poll, 1, longer));
            for (changed, quiet) in changed.iter().zip(&quiet) {
                let (seed, rms_s, max_s) = (changed.seed, changed.rms_s, changed.max_s);
                // At 64 s a new route may move the clock until the next sample attests to it.
                let most = if poll > 2 { 12.0 } else { 4.0 };
                assert!(
                    rms_s < 6.0 * quiet.rms_s && max_s < most * quiet.max_s,
                    "poll {poll}, {longer:?}, seed {seed}: {rms_s} {max_s}, quiet {} {}",
                    quiet.rms_s,
                    quiet.max_s
                );
            }
        }
    }
}

/// The same uplink, say: two agree against one, and nobody can tell which is right.
#[test]
fn where_two_of_three_change_at_once_the_bound_still_holds() {
    for poll in [0, 6] {
        reports(&three(poll, 2, (200e-6, 0.0)));
    }
}
