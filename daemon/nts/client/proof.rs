//! What a server's certificates were accepted for.

use std::fmt;
use std::sync::OnceLock;

use clockwright_timebase::{Timestamp, Utc};

use super::certificate::{Validity, to_unix};
use super::chain::Chain;
use super::rejection::{Checked, Rejection};
use super::trust::Trust;
use crate::nts::bootstrap::Holds;

/// In what way the dates of certificates are in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    /// They are valid.
    Checked,
    /// They are valid at a time that may be the right one.
    Provisional,
    /// Nobody asked.
    Ignored,
}

/// The certificates with which a server proved who it is, and who vouches for them: enough to check
/// them again when the time is known better. A few kilobytes.
#[derive(Clone)]
pub struct CertificateProof {
    chain: Chain,
    trust: Trust,
    dates: Dates,
    /// When they are valid. Checking them takes a millisecond, and [`Holds`] is asked often.
    windows: OnceLock<Vec<Validity>>,
}

impl CertificateProof {
    pub(super) const fn new(chain: Chain, trust: Trust, dates: Dates) -> Self {
        Self {
            chain,
            trust,
            dates,
            windows: OnceLock::new(),
        }
    }

    /// Were the certificates out of date by the clock, and accepted only because that is in doubt?
    pub const fn is_provisional(&self) -> bool {
        matches!(self.dates, Dates::Provisional)
    }

    /// Are their dates looked at, as they are without `check_time = false`?
    pub fn checks_dates(&self) -> bool {
        self.dates != Dates::Ignored
    }

    /// Are they not valid before some time after `time`?
    pub fn is_early_at(&self, time: Timestamp<Utc>) -> bool {
        let first = self.windows().first();
        self.checks_dates() && first.is_some_and(|window| to_unix(time) < window.from)
    }

    /// When they are valid, in order.
    fn windows(&self) -> &[Validity] {
        self.windows.get_or_init(|| self.chain.windows(&self.trust))
    }

    /// Are they valid at `time`? Always, with `check_time = false`.
    ///
    /// # Errors
    /// They have expired then, or are not valid yet.
    pub fn holds_at(&self, time: Timestamp<Utc>) -> Result<(), Rejection> {
        self.check(Checked {
            clock: time,
            lower_bound: None,
        })
    }

    /// What is wrong with their dates, where it is `clock` by this host and `lower_bound` is surely
    /// past; `None` if they are valid at the later of the two.
    pub fn objection(
        &self,
        clock: Timestamp<Utc>,
        lower_bound: Timestamp<Utc>,
    ) -> Option<Rejection> {
        let lower_bound = Some(lower_bound);
        self.check(Checked { clock, lower_bound }).err()
    }

    fn check(&self, checked: Checked) -> Result<(), Rejection> {
        if !self.checks_dates() {
            return Ok(());
        }
        let time = to_unix(
            checked
                .lower_bound
                .unwrap_or(checked.clock)
                .max(checked.clock),
        );
        self.chain
            .check(&self.trust, time)
            .map_err(|error| Rejection::new(&error, &self.chain, checked))
    }
}

impl Holds for &CertificateProof {
    fn holds_at(&self, time: Timestamp<Utc>) -> bool {
        let time = to_unix(time);
        !self.checks_dates() || self.windows().iter().any(|window| window.contains(time))
    }
}

impl fmt::Debug for CertificateProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, dates) = (self.chain.name.to_str(), self.dates);
        write!(f, "CertificateProof({name}, dates {dates:?})")
    }
}
