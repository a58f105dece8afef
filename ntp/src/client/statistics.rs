//! What a client has seen, counted.

use super::carriage::Way;
use super::request::{Form, PendingRequest};
use crate::{Rejection, Transport};

/// Counts since the client was made; they wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientStatistics {
    /// Requests handed out for sending.
    pub requests: u64,
    /// Of these, in interleaved form.
    pub interleaved_requests: u64,
    /// Requests that the caller could not send.
    pub send_failures: u64,
    /// Datagrams received.
    pub datagrams: u64,
    /// Replies believed in basic mode.
    pub basic_replies: u64,
    /// Replies believed in interleaved mode.
    pub interleaved_replies: u64,
    /// Replies held back until the request's transmit stamp came.
    pub held_replies: u64,
    /// Of these, given up waiting for it.
    pub stamp_timeouts: u64,
    /// Exchanges given to the caller.
    pub exchanges: u64,
    /// Interleaved replies about an exchange that had been measured in basic mode before; it is
    /// not given to the caller twice.
    pub already_measured: u64,
    /// Times that interleaved requests went unanswered and the client fell back to basic mode.
    pub fallbacks: u64,
    /// `RATE` kisses believed.
    pub kiss_rate: u64,
    /// `DENY` and `RSTR` kisses believed.
    pub kiss_denied: u64,
    /// Other kisses believed.
    pub kiss_other: u64,
    /// Requests that went over PTP.
    pub ptp_requests: u64,
    /// Replies believed that came over PTP.
    pub ptp_replies: u64,
    /// Times that keys were to be established.
    pub key_establishments: u64,
    /// Kisses that say the server could not open a cookie (`NTSN`). Anybody can forge them.
    pub nts_naks: u64,
    /// Refused as [`Rejection::OverPtp`].
    pub over_ptp: u64,
    /// Refused as [`Rejection::TooShort`].
    pub too_short: u64,
    /// Refused as [`Rejection::Version`].
    pub version: u64,
    /// Refused as [`Rejection::Mode`].
    pub mode: u64,
    /// Refused as [`Rejection::Framing`].
    pub framing: u64,
    /// Refused as [`Rejection::UnexpectedMac`].
    pub unexpected_mac: u64,
    /// Refused as [`Rejection::Nts`].
    pub nts_malformed: u64,
    /// Refused as [`Rejection::WrongUniqueId`].
    pub wrong_unique_id: u64,
    /// Refused as [`Rejection::NotAuthenticated`].
    pub not_authenticated: u64,
    /// Refused as [`Rejection::NotAuthentic`].
    pub not_authentic: u64,
    /// Refused as [`Rejection::Unexpected`].
    pub unexpected: u64,
    /// Refused as [`Rejection::Duplicate`].
    pub duplicate: u64,
    /// Refused as [`Rejection::BogusOrigin`].
    pub bogus_origin: u64,
    /// Refused as [`Rejection::ZeroTimestamp`].
    pub zero_timestamp: u64,
    /// Refused as [`Rejection::Unsynchronized`].
    pub unsynchronized: u64,
    /// Refused as [`Rejection::RootDistance`].
    pub root_distance: u64,
    /// Refused as [`Rejection::Turnaround`].
    pub turnaround: u64,
    /// Refused as [`Rejection::NoCommonStamp`].
    pub no_common_stamp: u64,
    /// Refused as [`Rejection::StampOrder`].
    pub stamp_order: u64,
    /// Refused as [`Rejection::NegativeDelay`].
    pub negative_delay: u64,
    /// Refused as [`Rejection::DelayTooLong`].
    pub delay_too_long: u64,
}

impl ClientStatistics {
    /// Counts a request.
    pub(super) const fn requested(&mut self, request: &PendingRequest) {
        count(&mut self.requests);
        if request.is_interleaved() {
            count(&mut self.interleaved_requests);
        }
        if matches!(request.way.transport, Transport::Ptp) {
            count(&mut self.ptp_requests);
        }
    }

    /// Counts a reply that is believed.
    pub(super) const fn replied(&mut self, way: Way, form: Form) {
        count(match form {
            Form::Basic => &mut self.basic_replies,
            Form::Interleaved => &mut self.interleaved_replies,
        });
        if matches!(way.transport, Transport::Ptp) {
            count(&mut self.ptp_replies);
        }
    }

    /// Counts a rejection under its name.
    pub(super) const fn reject(&mut self, rejection: &Rejection) {
        let counter = match rejection {
            Rejection::OverPtp(_) => &mut self.over_ptp,
            Rejection::TooShort { .. } => &mut self.too_short,
            Rejection::Version(_) => &mut self.version,
            Rejection::Mode(_) => &mut self.mode,
            Rejection::Framing(_) => &mut self.framing,
            Rejection::UnexpectedMac => &mut self.unexpected_mac,
            Rejection::Nts(_) => &mut self.nts_malformed,
            Rejection::WrongUniqueId => &mut self.wrong_unique_id,
            Rejection::NotAuthenticated => &mut self.not_authenticated,
            Rejection::NotAuthentic => &mut self.not_authentic,
            Rejection::Unexpected => &mut self.unexpected,
            Rejection::Duplicate => &mut self.duplicate,
            Rejection::BogusOrigin => &mut self.bogus_origin,
            Rejection::ZeroTimestamp => &mut self.zero_timestamp,
            Rejection::Unsynchronized { .. } => &mut self.unsynchronized,
            Rejection::RootDistance(_) => &mut self.root_distance,
            Rejection::Turnaround(_) => &mut self.turnaround,
            Rejection::NoCommonStamp => &mut self.no_common_stamp,
            Rejection::StampOrder(_) => &mut self.stamp_order,
            Rejection::NegativeDelay(_) => &mut self.negative_delay,
            Rejection::DelayTooLong(_) => &mut self.delay_too_long,
        };
        count(counter);
    }

    /// Everything refused, for whatever reason.
    pub const fn rejected(&self) -> u64 {
        self.over_ptp
            .wrapping_add(self.too_short)
            .wrapping_add(self.version)
            .wrapping_add(self.mode)
            .wrapping_add(self.framing)
            .wrapping_add(self.unexpected_mac)
            .wrapping_add(self.nts_malformed)
            .wrapping_add(self.wrong_unique_id)
            .wrapping_add(self.not_authenticated)
            .wrapping_add(self.not_authentic)
            .wrapping_add(self.unexpected)
            .wrapping_add(self.duplicate)
            .wrapping_add(self.bogus_origin)
            .wrapping_add(self.zero_timestamp)
            .wrapping_add(self.unsynchronized)
            .wrapping_add(self.root_distance)
            .wrapping_add(self.turnaround)
            .wrapping_add(self.no_common_stamp)
            .wrapping_add(self.stamp_order)
            .wrapping_add(self.negative_delay)
            .wrapping_add(self.delay_too_long)
    }
}

/// One more.
pub(super) const fn count(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}
