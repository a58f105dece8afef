//! The small fields of the header: leap indicator, mode, stratum.

use core::fmt;

/// The leap indicator (RFC 5905 figure 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Leap {
    /// No leap second at the end of the current month.
    #[default]
    None,
    /// The last minute of the month has 61 seconds.
    Insert,
    /// The last minute of the month has 59 seconds.
    Delete,
    /// The clock is not synchronised.
    Unsynchronized,
}

impl Leap {
    /// From the two bits of the wire; higher bits are ignored.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::Insert,
            2 => Self::Delete,
            _ => Self::Unsynchronized,
        }
    }

    /// The two bits of the wire.
    pub const fn to_bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Insert => 1,
            Self::Delete => 2,
            Self::Unsynchronized => 3,
        }
    }

    /// The name used in every output: `none`, `insert`, `delete` or `unsynchronized`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Insert => "insert",
            Self::Delete => "delete",
            Self::Unsynchronized => "unsynchronized",
        }
    }
}

impl fmt::Display for Leap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The association mode (RFC 5905 figure 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// 0: reserved; what NTP version 1 clients send.
    Reserved,
    /// 1: symmetric active.
    SymmetricActive,
    /// 2: symmetric passive.
    SymmetricPassive,
    /// 3: a client's request.
    Client,
    /// 4: a server's reply.
    Server,
    /// 5: broadcast.
    Broadcast,
    /// 6: control messages; a different packet format.
    Control,
    /// 7: private use; a different packet format.
    Private,
}

impl Mode {
    /// From the three bits of the wire; higher bits are ignored.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::Reserved,
            1 => Self::SymmetricActive,
            2 => Self::SymmetricPassive,
            3 => Self::Client,
            4 => Self::Server,
            5 => Self::Broadcast,
            6 => Self::Control,
            _ => Self::Private,
        }
    }

    /// The three bits of the wire.
    pub const fn to_bits(self) -> u8 {
        match self {
            Self::Reserved => 0,
            Self::SymmetricActive => 1,
            Self::SymmetricPassive => 2,
            Self::Client => 3,
            Self::Server => 4,
            Self::Broadcast => 5,
            Self::Control => 6,
            Self::Private => 7,
        }
    }
}

/// The stratum of a clock that follows nothing, RFC 5905's MAXSTRAT. On the wire it is 0
/// (section 7.3).
pub const STRATUM_UNSYNCHRONIZED: u8 = 16;

/// Is it the stratum of a synchronised server, 1 to 15?
pub const fn stratum_is_synchronized(stratum: u8) -> bool {
    0 < stratum && stratum < STRATUM_UNSYNCHRONIZED
}

/// The stratum as it is written in a header: 16 and the reserved values above it become 0.
pub const fn stratum_on_wire(stratum: u8) -> u8 {
    if stratum_is_synchronized(stratum) {
        stratum
    } else {
        0
    }
}
