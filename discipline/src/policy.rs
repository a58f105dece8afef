//! What the user asks of the selection: of one source, and of all together.

use crate::part::MAX_DISTANCE_S;

/// What a source is to the others. All of it is asked for; nothing follows from what a source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Role {
    /// Of those that tell the truth it is followed, and the others are not.
    pub prefer: bool,
    /// A majority of the trusted ones decides what the truth is; the others only where no trusted
    /// one can be believed.
    pub trust: bool,
    /// The clock is updated only while one of the required ones tells the truth.
    pub require: bool,
}

impl Role {
    /// Only that.
    pub const PREFER: Self = Self {
        prefer: true,
        trust: false,
        require: false,
    };
    /// Only that.
    pub const TRUST: Self = Self {
        prefer: false,
        trust: true,
        require: false,
    };
    /// Only that.
    pub const REQUIRE: Self = Self {
        prefer: false,
        trust: false,
        require: true,
    };
}

/// How sources are selected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// Fewest sources with a voice that must agree before the clock is updated.
    pub min_sources: usize,
    /// The lowest and the highest stratum that is followed.
    pub strata: (u8, u8),
    /// A source of a root distance of this or more is not believed, s.
    pub max_distance_s: f64,
    /// Every source counts as uncertain by at least this, s: one that claims to be exact does not
    /// make liars of honest ones then.
    pub min_distance_s: f64,
    /// A source this many times further from UTC than the best adds nothing to it.
    pub combine_limit: f64,
    /// By how much more than the selected one all others count as distant, s.
    pub reselect_distance_s: f64,
    /// How much more distant a source counts as with each stratum, s.
    pub stratum_weight_s: f64,
    /// Is a source required, also one that is not known yet?
    pub required: bool,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            min_sources: 1,
            strata: (0, 15),
            max_distance_s: MAX_DISTANCE_S,
            min_distance_s: 0.0,
            combine_limit: 3.0,
            reselect_distance_s: 0.0,
            stratum_weight_s: 0.0,
            required: false,
        }
    }
}

impl Selection {
    /// What a source counts as being away from UTC where it is compared with others, s.
    pub(crate) fn score_s(&self, distance_s: f64, stratum: u8) -> f64 {
        distance_s + self.stratum_weight_s * f64::from(stratum)
    }
}
