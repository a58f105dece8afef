//! What the user can choose about asking a server.

use clockwright_timebase::{Duration, Poll};

/// How a client asks its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientConfig {
    /// Offer interleaved mode (RFC 9769). A server without it keeps answering in basic mode.
    pub interleaved: bool,
    /// Begin with a burst: up to 8 requests, at most 2 s apart, until 4 exchanges are good; then two
    /// that are 2 s apart, two of 4 s, and so on, up to the poll interval.
    pub iburst: bool,
    /// The shortest poll interval.
    pub poll_min: Poll,
    /// The longest poll interval; a value below `poll_min` counts as `poll_min`. A server that
    /// sends RATE or DENY raises the interval beyond it.
    pub poll_max: Poll,
    /// Which source port requests leave from.
    pub ports: PortPolicy,
    /// Exchanges with a longer round trip are refused; `None` for no limit but the protocol's 16 s.
    pub max_delay: Option<Duration>,
}

impl Default for ClientConfig {
    /// Basic mode with a burst, 64 s to 1024 s, a new port per request.
    fn default() -> Self {
        Self {
            interleaved: false,
            iburst: true,
            poll_min: Poll::new(6),
            poll_max: Poll::new(10),
            ports: PortPolicy::PerRequest,
            max_delay: None,
        }
    }
}

/// Whether requests go over PTP (RFC 10030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PtpUse {
    /// Not at all.
    #[default]
    Never,
    /// Where the server turns out to answer that way; otherwise by UDP.
    Try,
    /// Every one.
    Always,
}

/// Which source port requests leave from; always a random one (RFC 9109).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortPolicy {
    /// A new one for every request: the most entropy against blind forgery.
    PerRequest,
    /// One until the client restarts: routers that hash ports keep all packets on one path.
    Sticky,
}
