//! One out of several readings; pure.

use clockwright_discipline::Leap;
use clockwright_timebase::{Duration, Raw, Timestamp};

/// One reading of a reference clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    /// When.
    pub(super) at: Timestamp<Raw>,
    /// UTC by the clock minus the local oscillator.
    pub(super) offset: Duration,
    /// How far off it can be by what took it to be read.
    pub(super) half_width: Duration,
    /// How far off the clock itself can be, and the conversion to the local oscillator.
    pub(super) error: Duration,
    /// The leap second that it announces.
    pub(super) leap: Leap,
}

/// What several readings amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// The one reading that stands for them.
    pub(super) point: Point,
    /// How far they usually lie off the line through all of them, one standard deviation.
    pub(super) spread: Duration,
}

/// Readings this many times the usual deviation off the line through all of them are left out.
const TOO_FAR: f64 = 3.5;
/// The deviation of normal noise is so many times the median of its magnitude.
const NORMAL: f64 = 1.4826;
/// Clocks and stamps have whole nanoseconds, s.
const RESOLUTION_S: f64 = 1e-9;

/// The mean of those readings that lie on a line with most of them: a line because the local
/// oscillator runs at another rate than the clock, its mean because at the mean instant a rate
/// makes no difference.
pub(super) fn typical(points: &[Point]) -> Option<Batch> {
    let origin = points.first()?;
    let relative: Vec<(f64, f64)> = points
        .iter()
        .map(|p| {
            (
                (p.at - origin.at).as_secs_f64(),
                (p.offset - origin.offset).as_secs_f64(),
            )
        })
        .collect();
    // Theil and Sen: the median of the slopes between all pairs withstands many outliers.
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (n, a) in relative.iter().enumerate() {
        let later = relative.iter().skip(n + 1);
        slopes.extend(
            later
                .filter(|b| b.0 > a.0)
                .map(|b| (b.1 - a.1) / (b.0 - a.0)),
        );
    }
    let slope = median(&mut slopes).unwrap_or(0.0);
    let residuals: Vec<f64> = relative.iter().map(|(t, x)| x - slope * t).collect();
    let middle = median(&mut residuals.clone())?;
    let mut magnitudes: Vec<f64> = residuals.iter().map(|r| (r - middle).abs()).collect();
    let spread = NORMAL * median(&mut magnitudes)?;
    let usual = spread + RESOLUTION_S;
    let kept: Vec<(&Point, &(f64, f64))> = points
        .iter()
        .zip(&relative)
        .zip(&residuals)
        .filter(|(_, residual)| (*residual - middle).abs() <= TOO_FAR * usual)
        .map(|(kept, _)| kept)
        .collect();
    let count = kept.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| {
        Duration::from_secs_f64(kept.iter().map(|(_, r)| value(r)).sum::<f64>() / count)
    };
    let point = Point {
        at: origin.at + mean(|r| r.0),
        offset: origin.offset + mean(|r| r.1),
        half_width: kept.iter().map(|(p, _)| p.half_width).max()?,
        error: kept.iter().map(|(p, _)| p.error).max()?,
        leap: kept.last()?.0.leap,
    };
    Some(Batch {
        point,
        spread: Duration::from_secs_f64(spread),
    })
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings every 100 ms of a clock that gains 100 ppm, off by `errors` (ns).
    fn points(errors: &[i64]) -> Vec<Point> {
        (0..)
            .zip(errors)
            .map(|(n, error)| Point {
                at: Timestamp::from_epoch(Duration::from_millis(100 * n)),
                offset: Duration::from_secs(1_700_000_000)
                    + Duration::from_micros(10 * n)
                    + Duration::from_nanos(*error),
                half_width: Duration::from_nanos(500),
                error: Duration::from_nanos(n),
                leap: Leap::None,
            })
            .collect()
    }

    /// What is wrong with the sample, ns.
    fn error(point: &Point) -> f64 {
        let rate = Duration::from_secs(1_700_000_000) + point.at.since_epoch().scaled(1e-4);
        (point.offset - rate).as_secs_f64() * 1e9
    }

    #[test]
    fn readings_on_a_line_are_averaged() {
        let batch = typical(&points(&[3, -3, 3, -3, 3, -3, 3, -3])).unwrap();
        let sample = batch.point;
        let spread = batch.spread.as_secs_f64() * 1e9;
        assert!((3.0..6.0).contains(&spread), "{spread}");
        assert!(error(&sample).abs() < 1.0, "{}", error(&sample));
        assert_eq!(sample.at.since_epoch(), Duration::from_millis(350));
        assert_eq!(sample.half_width, Duration::from_nanos(500));
        assert_eq!(sample.error, Duration::from_nanos(7));
    }

    #[test]
    fn what_lies_off_the_line_is_left_out() {
        let sample = typical(&points(&[1, -1, 90_000, 0, 1, -40_000, 0, -1]))
            .unwrap()
            .point;
        assert!(error(&sample).abs() < 1.5, "{}", error(&sample));
    }

    #[test]
    fn one_reading_is_itself_and_none_is_none() {
        let one = points(&[7]);
        let itself = Some(Batch {
            point: one[0],
            spread: Duration::ZERO,
        });
        assert_eq!(typical(&one), itself);
        assert_eq!(typical(&[]), None);
        // Two at the same instant have no slope.
        let two = [one[0], one[0]];
        assert_eq!(typical(&two), itself);
    }
}
