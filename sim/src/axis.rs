//! Axes with round numbers and SI units.

/// Units of time from the smallest, and how many seconds each is.
const UNITS: [(&str, f64); 5] = [
    ("ps", 1e-12),
    ("ns", 1e-9),
    ("us", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
];
/// Ticks to each side of zero.
const TICKS: f64 = 4.0;

/// A vertical axis of seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    scale: Scale,
    /// Where it ends above and below.
    top: f64,
    bottom: f64,
}

#[derive(Debug, Clone, Copy)]
enum Scale {
    /// From −`most_s` to `most_s`.
    Symmetric { most_s: f64 },
    /// From 10^`low` s to 10^`high` s.
    Logarithmic { low: i32, high: i32 },
}

impl Axis {
    /// As wide as needed for ±`most_s`, between two ordinates (top, bottom).
    pub(crate) fn symmetric(most_s: f64, (top, bottom): (f64, f64)) -> Self {
        let step_s = round_step(most_s / TICKS);
        let most_s = (most_s / step_s).ceil() * step_s;
        Self {
            scale: Scale::Symmetric { most_s },
            top,
            bottom,
        }
    }

    /// From the power of ten below the least value to that above the largest.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "decimal exponents of floats are small, and casts saturate"
    )]
    pub(crate) fn logarithmic((least, most): (f64, f64), (top, bottom): (f64, f64)) -> Self {
        let (low, high) = if least > 0.0 && most.is_finite() && most >= least {
            let low = least.log10().floor() as i32;
            (low, (most.log10().ceil() as i32).max(low + 1))
        } else {
            (-9, -3)
        };
        Self {
            scale: Scale::Logarithmic { low, high },
            top,
            bottom,
        }
    }

    /// Where it ends above and below.
    pub(crate) fn span(&self) -> (f64, f64) {
        (self.top, self.bottom)
    }

    /// The ordinate of a value, s.
    pub(crate) fn y(&self, value_s: f64) -> f64 {
        let height = self.bottom - self.top;
        let part = match self.scale {
            Scale::Symmetric { most_s } => f64::midpoint(value_s / most_s, 1.0),
            Scale::Logarithmic { low, high } => {
                (value_s.log10() - f64::from(low)) / f64::from(high - low)
            }
        };
        // Far outside is far enough: the picture is clipped.
        self.bottom - height * part.clamp(-10.0, 10.0)
    }

    /// Ordinates and labels.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Symmetric { most_s } => {
                let step_s = round_step(most_s / TICKS * 0.999);
                let values = (-5..=5).map(|n| f64::from(n) * step_s);
                values
                    .filter(|value_s| value_s.abs() <= most_s * 1.001)
                    .map(|value_s| (self.y(value_s), label(value_s, most_s)))
                    .collect()
            }
            Scale::Logarithmic { low, high } => (low..=high)
                .map(|power| 10_f64.powi(power))
                .map(|value_s| (self.y(value_s), label(value_s, value_s)))
                .collect(),
        }
    }
}

/// A value in the unit that suits the magnitude `by_s`.
fn label(value_s: f64, by_s: f64) -> String {
    if value_s == 0.0 {
        return "0".to_owned();
    }
    let suits = |(_, of): &&(&str, f64)| by_s >= 0.999 * of;
    let (unit, of) = UNITS.iter().rev().find(suits).unwrap_or(&UNITS[0]);
    let number = value_s / of;
    // Round steps of two digits at most.
    let rounded = (number * 1e3).round() / 1e3;
    format!("{rounded} {unit}")
}

/// 1, 2 or 5 times a power of ten, no less than `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|m| m * power >= least * 0.9999);
    step.unwrap_or(10.0) * power
}

/// Instants (s) and labels for a horizontal axis that is `duration_s` long, and their unit.
pub(crate) fn time_ticks(duration_s: f64) -> (Vec<(f64, String)>, &'static str) {
    let (unit, of_s) = match duration_s {
        d if d <= 600.0 => ("s", 1.0),
        d if d <= 10_800.0 => ("min", 60.0),
        d if d <= 400_000.0 => ("h", 3600.0),
        _ => ("d", 86_400.0),
    };
    let step = round_step(duration_s / of_s / 12.0);
    let ticks = (0..=20)
        .map(|n| f64::from(n) * step)
        .filter(|value| value * of_s <= duration_s * 1.0001)
        .map(|value| (value * of_s, format!("{}", (value * 1e6).round() / 1e6)))
        .collect();
    (ticks, unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_have_units() {
        let axis = Axis::symmetric(23e-9, (0.0, 100.0));
        let ticks = axis.ticks();
        let labels: Vec<&str> = ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(
            labels,
            ["-30 ns", "-20 ns", "-10 ns", "0", "10 ns", "20 ns", "30 ns"]
        );
        assert!((axis.y(0.0) - 50.0).abs() < 1e-9);
        assert!((axis.y(30e-9)).abs() < 1e-9);
    }

    #[test]
    fn powers_of_ten_cover_what_is_shown() {
        let axis = Axis::logarithmic((3e-9, 2e-6), (0.0, 100.0));
        let ticks = axis.ticks();
        let labels: Vec<&str> = ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["1 ns", "10 ns", "100 ns", "1 us", "10 us"]);
    }

    #[test]
    fn time_is_in_the_unit_that_suits() {
        for (duration_s, unit, second) in [
            (600.0, "s", "50"),
            (4000.0, "min", "10"),
            (43_200.0, "h", "1"),
            (1e6, "d", "1"),
        ] {
            let (ticks, found) = time_ticks(duration_s);
            assert_eq!(found, unit);
            assert_eq!(ticks[1].1, second);
            assert!(ticks.len() <= 13, "{}", ticks.len());
        }
    }
}
