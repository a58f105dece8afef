//! Four timestamps, and what they say about the local clock.

use clockwright_timebase::{Duration, Raw, Stamp, StampKind, Timestamp, Utc};

use crate::{Leap, NtpTimestamp, ReferenceId};

/// A completed request and reply, with everything the server said along with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// When the request left this host.
    pub t1: Stamp<Raw>,
    /// When the server received the request, by its clock.
    pub t2: NtpTimestamp,
    /// When the reply left the server, by its clock.
    pub t3: NtpTimestamp,
    /// When the reply reached this host.
    pub t4: Stamp<Raw>,
    /// Was `t3` taken when the reply had left (interleaved mode), not before it was sent?
    ///
    /// Then the server told it in its next reply, so the exchange is one poll interval old.
    pub interleaved: bool,
    /// The server's leap indicator in its latest reply.
    pub leap: Leap,
    /// The server's stratum in its latest reply, 1 to 15.
    pub stratum: u8,
    /// The poll interval in the server's latest reply, log2 s.
    pub poll: i8,
    /// The precision of the server's clock, log2 s.
    pub precision: i8,
    /// The server's delay to its reference clock when it received the request.
    pub root_delay: Duration,
    /// The server's dispersion to its reference clock when it received the request.
    pub root_dispersion: Duration,
    /// What the server follows, in its latest reply.
    pub reference_id: ReferenceId,
    /// When the server's clock was last corrected, in its latest reply.
    pub reference_time: NtpTimestamp,
}

impl Exchange {
    /// What the exchange says about the local timescale, in exact integers
    /// (RFC 5905 section 8).
    ///
    /// `pivot` is any instant within 68 years of the exchange; it chooses the NTP era.
    pub fn measure(&self, pivot: Timestamp<Utc>) -> Measurement {
        let elapsed = self.t4.at - self.t1.at;
        let turnaround = self.t3.since(self.t2);
        // The era is chosen once, so that t2 and t3 can never land in different ones.
        let t2 = self.t2.to_utc(pivot);
        let t3 = t2 + turnaround;
        let forward = t2.since_epoch() - self.t1.at.since_epoch();
        let backward = t3.since_epoch() - self.t4.at.since_epoch();
        Measurement {
            at: self.t1.at + elapsed.half(),
            offset: (forward + backward).half(),
            delay: elapsed - turnaround,
            uncertainty: (self.t1.uncertainty + self.t4.uncertainty).half(),
        }
    }

    /// The worse of the two local stamps' kinds: what the measurement as a whole can claim.
    pub fn worst_kind(&self) -> StampKind {
        self.t1.kind.max(self.t4.kind)
    }

    /// Were the two local stamps taken at different places? Then the path between these places
    /// is in the offset, as an asymmetry.
    pub fn is_mixed(&self) -> bool {
        self.t1.kind != self.t4.kind
    }
}

/// An offset and a delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    /// The middle of the exchange, t1 to t4, to which the offset belongs.
    pub at: Timestamp<Raw>,
    /// UTC − Raw at `at`: what must be added to the local timescale to make it UTC.
    pub offset: Duration,
    /// Round trip without the server's part. Slightly negative when the clocks' resolution and
    /// frequency error exceed the path.
    pub delay: Duration,
    /// Bound on the part of the offset's error that comes from converting the local stamps to
    /// Raw: half the sum of both bounds.
    pub uncertainty: Duration,
}
