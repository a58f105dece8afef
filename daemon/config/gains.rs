//! `clock.gains`: a loop whose gains the user fixes.

use clockwright_discipline::Gains;
use toml::de::DeValue;

use super::cross::problem_at;
use super::problem::Problem;
use super::section::{Origins, Wrong, section};
use super::settings::Config;
use super::value::Scalar;

section! {
    /// The gains of the loop, where they are not to follow from noise and wander.
    pub struct GainsConfig or bool {
        /// Of an innovation, this much goes into the offset: a.
        "proportional" => proportional: Gain = Gain(0.7);
        /// And this much, divided by the time between samples, into the frequency: b.
        "integral" => integral: Gain = Gain(0.3);
    }
}

impl GainsConfig {
    /// As the discipline wants them; `None`: the loop would not be stable, which no configuration that
    /// was read is.
    pub fn gains(&self) -> Option<Gains> {
        Gains::new(self.proportional.0, self.integral.0)
    }
}

/// A number without a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain(pub f64);

impl Scalar for Gain {
    fn kind() -> String {
        "a number".to_owned()
    }
    fn example() -> String {
        "0.3".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Option<Result<Self, Wrong>> {
        let text = match value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return None,
        };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        Some(
            number
                .map(Self)
                .ok_or_else(|| Wrong::new(format!("`{text}` is not a finite number"))),
        )
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Gains with which the loop would swing ever further.
pub(super) fn check(config: &Config, origins: &Origins) -> Option<Problem> {
    let gains = config.clock.gains.as_ref()?;
    if gains.gains().is_some() {
        return None;
    }
    let message = format!(
        "a loop with the gains {} and {} is not stable",
        gains.proportional.0, gains.integral.0
    );
    let found = problem_at(origins, "clock.gains", &message)?;
    Some(
        found.with_help(
            "with a the proportional and b the integral gain: 0 < a < 2, b > 0, 2a + b < 4",
        ),
    )
}
