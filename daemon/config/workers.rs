//! How many threads serve.

use std::thread::available_parallelism;

use toml::de::DeValue;

use super::section::Wrong;
use super::value::Scalar;

/// The most workers that can be configured.
const MOST: u16 = 256;

/// How many threads answer requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for every CPU that this process may use.
    Auto,
    /// So many, 1 to 256.
    Count(u16),
}

impl Workers {
    /// How many that is now, 1 to 256. Where it cannot be told how many CPUs there are: one.
    pub fn count(self) -> u16 {
        match self {
            Self::Count(count) => count.clamp(1, MOST),
            Self::Auto => available_parallelism().map_or(1, |cpus| {
                u16::try_from(cpus.get()).map_or(MOST, |cpus| cpus.min(MOST))
            }),
        }
    }
}

impl Scalar for Workers {
    fn kind() -> String {
        "\"auto\" or a whole number".to_owned()
    }

    fn example() -> String {
        "\"auto\"".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Option<Result<Self, Wrong>> {
        if let Some(word) = value.as_str() {
            return Some(if word == "auto" {
                Ok(Self::Auto)
            } else {
                let message = format!("\"{}\" is not allowed here", word.escape_debug());
                Err(Wrong::new(message)
                    .help(format!("allowed: \"auto\", or a number from 1 to {MOST}")))
            });
        }
        let integer = value.as_integer()?;
        let count = u16::from_str_radix(integer.as_str(), integer.radix());
        Some(match count {
            Ok(count) if (1..=MOST).contains(&count) => Ok(Self::Count(count)),
            _ => Err(Wrong::new(format!("{integer} is not between 1 and {MOST}"))),
        })
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "\"auto\"".to_owned(),
            Self::Count(count) => count.to_string(),
        }
    }
}
