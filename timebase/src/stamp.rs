//! Timestamps of packets: when, and by whom.

use core::fmt;

use crate::{Duration, TimeBase, Timestamp};

/// Who took a packet's timestamp; earlier is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StampKind {
    /// The NIC, by its PTP hardware clock.
    Hardware,
    /// The kernel, where the packet entered or left its driver.
    Kernel,
    /// This process, around its system call.
    Daemon,
}

impl StampKind {
    /// All kinds, from the one taken nearest to the wire.
    pub const BEST_FIRST: [Self; 3] = [Self::Hardware, Self::Kernel, Self::Daemon];

    /// The name used in every output: `hardware`, `kernel` or `daemon`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Kernel => "kernel",
            Self::Daemon => "daemon",
        }
    }
}

impl fmt::Display for StampKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// When a packet crossed, on base `B`, who says so, and how wrong that may be.
pub struct Stamp<B> {
    /// The instant.
    pub at: Timestamp<B>,
    /// Who took it.
    pub kind: StampKind,
    /// Bound on the error that converting it to base `B` may have added; not negative.
    pub uncertainty: Duration,
}

impl<B> Stamp<B> {
    /// A stamp taken by `kind` directly on base `B`, so that no conversion added an error.
    pub const fn exact(at: Timestamp<B>, kind: StampKind) -> Self {
        Self {
            at,
            kind,
            uncertainty: Duration::ZERO,
        }
    }
}

impl<B> Clone for Stamp<B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B> Copy for Stamp<B> {}

impl<B> PartialEq for Stamp<B> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.kind == other.kind && self.uncertainty == other.uncertainty
    }
}
impl<B> Eq for Stamp<B> {}

impl<B: TimeBase> fmt::Debug for Stamp<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}±{:?} ({})", self.at, self.uncertainty, self.kind)
    }
}
