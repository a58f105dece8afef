//! One estimate from several sources.

use clockwright_timebase::Duration;

use crate::estimate::SourceEstimate;
use crate::kalman::Covariance;

/// A source to combine: its estimate, carried to the instant of all, and its root distance (s).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) estimate: SourceEstimate,
    pub(crate) distance_s: f64,
}

/// How much of the root distance counts as an error that no average removes: the asymmetry of a
/// path is seldom total. As a deviation, a tenth of the distance.
const ASYMMETRY: f64 = 0.1;

/// The mean, weighted by inverse variance: offsets by noise and asymmetry together, frequencies
/// by their own variance (an asymmetry that stays does not bend a frequency).
///
/// All estimates share one oscillator, so errors of its wander are common to them: the combined
/// covariance is taken from the best part, not divided by their number. `None` without parts.
pub(crate) fn combine(parts: &[Part]) -> Option<SourceEstimate> {
    let best = parts
        .iter()
        .min_by(|a, b| offset_variance(a).total_cmp(&offset_variance(b)))?;
    let reference = best.estimate;
    let (mut weight, mut offset) = (0.0, 0.0);
    let (mut frequency_weight, mut frequency) = (0.0, 0.0);
    for part in parts {
        let w = offset_variance(part).recip();
        weight += w;
        offset += w * (part.estimate.offset - reference.offset).as_secs_f64();
        let w = part
            .estimate
            .covariance
            .frequency
            .max(f64::MIN_POSITIVE)
            .recip();
        frequency_weight += w;
        frequency += w * (part.estimate.frequency - reference.frequency);
    }
    Some(SourceEstimate {
        offset: reference.offset + Duration::from_secs_f64(offset / weight),
        frequency: reference.frequency + frequency / frequency_weight,
        covariance: Covariance {
            frequency: parts
                .iter()
                .map(|part| part.estimate.covariance.frequency)
                .fold(f64::INFINITY, f64::min),
            ..reference.covariance
        },
        ..reference
    })
}

/// What those with a voice and others make together. The others have been found to lie within what
/// the voices agree on, and so does the combined offset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Together {
    /// Uncertain by as much as the voices alone are: whoever forges a source can also forge how
    /// quiet it is.
    pub(crate) estimate: SourceEstimate,
    /// By how much the others have changed the frequency, s/s; not negative.
    pub(crate) pull: f64,
}

/// Combines them all; the frequency stays within three deviations of what the voices say. `None`
/// without a voice.
pub(crate) fn combine_with(voices: &[Part], others: &[Part]) -> Option<Together> {
    let ours = combine(voices)?;
    if others.is_empty() {
        return Some(Together {
            estimate: ours,
            pull: 0.0,
        });
    }
    let all = combine(&[voices, others].concat())?;
    let most = 3.0 * ours.frequency_sd();
    let change = (all.frequency - ours.frequency).max(-most).min(most);
    Some(Together {
        estimate: SourceEstimate {
            offset: all.offset,
            frequency: ours.frequency + change,
            ..ours
        },
        pull: change.abs(),
    })
}

fn offset_variance(part: &Part) -> f64 {
    let noise = part.estimate.covariance.phase.max(1e-24);
    noise + (ASYMMETRY * part.distance_s).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_timebase::Timestamp;

    fn part(offset_us: i64, sd_s: f64, distance_s: f64) -> Part {
        Part {
            estimate: SourceEstimate {
                at: Timestamp::EPOCH,
                offset: Duration::from_micros(offset_us),
                frequency: 0.0,
                covariance: Covariance {
                    phase: sd_s * sd_s,
                    cross: 0.0,
                    frequency: 1e-18,
                },
                wander: 1e-9,
            },
            distance_s,
        }
    }

    #[test]
    fn equal_sources_meet_in_the_middle() {
        let all = combine(&[part(10, 1e-6, 1e-4), part(20, 1e-6, 1e-4)]);
        let offset = all.map(|e| e.offset.as_nanos());
        assert_eq!(offset, Some(15_000));
    }

    #[test]
    fn the_better_one_counts_more() {
        let all = combine(&[part(0, 1e-6, 1e-6), part(100, 1e-5, 1e-6)]);
        let offset = all.map(|e| e.offset.as_secs_f64()).unwrap_or_default();
        assert!((0.0..2e-6).contains(&offset), "{offset}");
    }

    #[test]
    fn no_sources_no_estimate() {
        assert!(combine(&[]).is_none());
        assert!(combine_with(&[], &[part(0, 1e-6, 1e-4)]).is_none());
    }

    #[test]
    fn those_without_a_voice_change_the_frequency_no_more_than_is_uncertain_anyway() {
        let voice = part(0, 1e-6, 1e-4);
        let with = |frequency: f64| {
            let mut other = part(20, 1e-7, 1e-5);
            other.estimate.frequency = frequency;
            other.estimate.covariance.frequency = 1e-24;
            combine_with(&[voice], &[other]).unwrap()
        };
        let sd = voice.estimate.frequency_sd();
        for (frequency, expected) in [(1e-10, 1e-10), (1e-3, 3.0 * sd), (-1e-3, -3.0 * sd)] {
            let together = with(frequency);
            let found = together.estimate.frequency;
            assert!((found - expected).abs() < 0.01 * sd, "{frequency}: {found}");
            assert!((together.pull - found.abs()).abs() < 1e-18);
            assert!(together.estimate.offset > Duration::from_micros(15));
            assert_eq!(together.estimate.covariance, voice.estimate.covariance);
        }
    }
}
