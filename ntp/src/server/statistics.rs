//! What a server has seen, counted.

use super::Dropped;

/// Counts since the server was made; they wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerStatistics {
    /// Replies in basic mode.
    pub basic: u64,
    /// Replies in interleaved mode.
    pub interleaved: u64,
    /// Replies authenticated by NTS; they are counted as basic or interleaved, too.
    pub nts: u64,
    /// Requests whose cookie could not be opened, or that were not sealed with the keys in it: they
    /// were told so (kiss code `NTSN`).
    pub nts_naks: u64,
    /// Requests that were answered by the wish for fewer (kiss code `RATE`).
    pub rate_kisses: u64,
    /// Transmit stamps that could not be those of their replies.
    pub implausible_stamps: u64,
    /// Left unanswered as [`Dropped::TooShort`].
    pub too_short: u64,
    /// Left unanswered as [`Dropped::Version`].
    pub version: u64,
    /// Left unanswered as [`Dropped::Mode`].
    pub mode: u64,
    /// Left unanswered as [`Dropped::Framing`].
    pub framing: u64,
    /// Left unanswered as [`Dropped::Nts`].
    pub nts_malformed: u64,
    /// Left unanswered as [`Dropped::UnknownKey`].
    pub unknown_key: u64,
}

impl ServerStatistics {
    /// Every request that was given the time.
    pub const fn answered(&self) -> u64 {
        self.basic.wrapping_add(self.interleaved)
    }

    /// Everything left unanswered.
    pub const fn dropped(&self) -> u64 {
        self.too_short
            .wrapping_add(self.version)
            .wrapping_add(self.mode)
            .wrapping_add(self.framing)
            .wrapping_add(self.nts_malformed)
            .wrapping_add(self.unknown_key)
    }

    /// Counts a dropped request under its reason.
    pub(super) const fn drop(&mut self, dropped: &Dropped) {
        count(match dropped {
            Dropped::TooShort => &mut self.too_short,
            Dropped::Version(_) => &mut self.version,
            Dropped::Mode(_) => &mut self.mode,
            Dropped::Framing(_) => &mut self.framing,
            Dropped::Nts(_) => &mut self.nts_malformed,
            Dropped::UnknownKey => &mut self.unknown_key,
        });
    }
}

/// One more.
pub(super) const fn count(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}
