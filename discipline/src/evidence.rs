//! What speaks for one model beside another, and when that is enough.
//!
//! Likelihoods are those of Student's t distribution, so that a single outlier does not pass for
//! noise and many do. The evidence against a rival is bounded (a CUSUM test), so that it can win when
//! things change.

/// Degrees of freedom of the likelihood: near enough to normal that a normal noise is found
/// within 7 %.
const FREEDOM: f64 = 8.0;

/// The log-likelihood, but for a constant, of an innovation (s) of this variance (s²).
pub(crate) fn likelihood(innovation: f64, variance: f64) -> f64 {
    let squared = innovation * innovation / variance;
    -0.5 * ((FREEDOM + 1.0) * (squared / FREEDOM).ln_1p() + variance.ln())
}

/// How rivals are judged by their evidence: log-likelihood ratios to the one that is believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contest {
    /// At which a rival takes over.
    pub(crate) take_over: f64,
    /// The least, whatever speaks against a rival.
    pub(crate) worst: f64,
}

impl Contest {
    /// A rival's evidence after it has explained something by `better` than the believed one has.
    pub(crate) fn note(self, evidence: f64, better: f64) -> f64 {
        (evidence + better).max(self.worst)
    }

    /// The rival that takes over, if one does.
    pub(crate) fn winner<R>(
        self,
        rivals: impl Iterator<Item = R>,
        evidence: impl Fn(&R) -> f64,
    ) -> Option<R> {
        let best = rivals.max_by(|a, b| evidence(a).total_cmp(&evidence(b)));
        best.filter(|best| evidence(best) > self.take_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_rival_wins_if_it_has_explained_enough() {
        let contest = Contest {
            take_over: 4.0,
            worst: -6.0,
        };
        let winner = |evidence: &[f64]| contest.winner(evidence.iter().copied(), |it| *it);
        assert_eq!(winner(&[1.0, 4.5, 4.2]), Some(4.5));
        assert_eq!(winner(&[1.0, 4.0]), None);
        assert_eq!(winner(&[]), None);
        let held = contest.note(-5.0, -5.0);
        assert!((held + 6.0).abs() < 1e-12, "{held}");
    }

    #[test]
    fn an_outlier_costs_less_than_by_the_normal_distribution() {
        let normal = |sigmas: f64| -0.5 * sigmas * sigmas;
        assert!((likelihood(1.0, 1.0) - normal(1.0)).abs() < 0.1);
        assert!(likelihood(10.0, 1.0) > normal(10.0) + 30.0);
    }
}
