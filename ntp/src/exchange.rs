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
    /// How long switches on the way kept the two packets, where they say so and it is to be
    /// believed (RFC 10030); the measurement is then without it.
    pub residence: Option<Residence>,
}

/// An exchange whose reply is here while the server has not said yet when it left (interleaved mode,
/// RFC 9769 section 2): `t3` is foreseen from what the server usually takes. The [`Exchange`]
/// itself follows with the server's next reply, and replaces this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreseen {
    /// What the exchange is likely to be.
    pub exchange: Exchange,
    /// The standard deviation of `t3`; half of it is in the offset, all of it in the delay.
    pub deviation: Duration,
}

/// How long transparent clocks on the way say that they kept the packets of an exchange. Nothing
/// protects what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residence {
    /// The request. Slightly negative where the server's link is faster than the client's, of
    /// which it is reckoned.
    pub request: Duration,
    /// The reply.
    pub reply: Duration,
}

impl Residence {
    /// Transparent clocks that run fast, by as much, must not take out more than there was
    /// (RFC 10030): 1/10 000.
    const CAUTION: i32 = 10_000;

    /// What both packets together lose of their delay.
    pub fn total(&self) -> Duration {
        let total = self.request + self.reply;
        total - total / Self::CAUTION
    }
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
        let measured = Measurement {
            at: self.t1.at + elapsed.half(),
            offset: (forward + backward).half(),
            delay: elapsed - turnaround,
            uncertainty: (self.t1.uncertainty + self.t4.uncertainty).half(),
        };
        match &self.residence {
            Some(residence) => measured.without(residence),
            None => measured,
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
    /// Raw: half the sum of both bounds. Where switches' word was taken for a part of the delay,
    /// also what the offset would be wrong by at most if that were a lie.
    pub uncertainty: Duration,
}

impl Measurement {
    /// The same without the time that the packets were kept on their way (RFC 10030). Claims no
    /// more certainty for it: what the delay loses, the uncertainty gains.
    fn without(self, residence: &Residence) -> Self {
        let Residence { request, reply } = *residence;
        Self {
            offset: self.offset + (reply - request).half(),
            delay: self.delay - residence.total(),
            uncertainty: self.uncertainty + request.max(reply),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exchange(
        t1: Timestamp<Raw>,
        t2: Timestamp<Utc>,
        t3: Timestamp<Utc>,
        t4: Timestamp<Raw>,
    ) -> Exchange {
        Exchange {
            t1: Stamp::exact(t1, StampKind::Kernel),
            t2: t2.into(),
            t3: t3.into(),
            t4: Stamp::exact(t4, StampKind::Kernel),
            interleaved: false,
            leap: Leap::None,
            stratum: 1,
            poll: 0,
            precision: -25,
            root_delay: Duration::ZERO,
            root_dispersion: Duration::ZERO,
            reference_id: ReferenceId::ZERO,
            reference_time: NtpTimestamp::ZERO,
            residence: None,
        }
    }

    #[test]
    fn offset_and_delay_of_rfc_5905_section_8() {
        // Out in 3 ms, 1 ms there, back in 5 ms; UTC is 1000 s ahead of Raw.
        let raw = |ms| Timestamp::from_epoch(Duration::from_millis(ms));
        let utc = |ms: i64| Timestamp::from_epoch(Duration::from_millis(1_000_000 + ms));
        let mut exchange = exchange(raw(0), utc(3), utc(4), raw(9));
        exchange.t1.uncertainty = Duration::from_micros(2);
        exchange.t4.uncertainty = Duration::from_micros(4);
        let measured = exchange.measure(utc(500));
        let close = |a: Duration, b: Duration| (a - b).abs() < Duration::from_nanos(1);
        assert!(
            close(measured.offset, Duration::from_millis(999_999)),
            "{measured:?}"
        );
        assert!(close(measured.delay, Duration::from_millis(8)));
        assert_eq!(
            measured.at,
            Timestamp::from_epoch(Duration::from_micros(4500))
        );
        assert_eq!(measured.uncertainty, Duration::from_micros(3));
    }

    #[test]
    fn what_switches_kept_is_taken_out_but_nothing_is_claimed_for_it() {
        // 2 us each way, and 30 us in a queue on the way back.
        let raw = |us| Timestamp::from_epoch(Duration::from_micros(us));
        let utc = |us: i64| Timestamp::from_epoch(Duration::from_micros(1_000_000 + us));
        let mut exchange = exchange(raw(0), utc(2), utc(3), raw(35));
        let plain = exchange.measure(utc(0));
        exchange.residence = Some(Residence {
            request: Duration::ZERO,
            reply: Duration::from_micros(30),
        });
        let corrected = exchange.measure(utc(0));
        let close = |a: Duration, b: Duration| (a - b).abs() <= Duration::from_nanos(4);
        assert!(close(plain.offset, Duration::from_micros(1_000_000 - 15)));
        assert!(
            close(corrected.offset, Duration::from_secs(1)),
            "{corrected:?}"
        );
        assert!(close(corrected.delay, Duration::from_micros(4)));
        assert!(
            corrected.delay >= Duration::from_micros(4),
            "never too short"
        );
        // Were it a lie, the truth could be where it can be for the plain exchange.
        let reach = corrected.delay.half() + corrected.uncertainty;
        assert!(corrected.offset - reach <= plain.offset - plain.delay.half());
        assert!(corrected.offset + reach >= plain.offset + plain.delay.half());
    }

    #[test]
    fn both_timestamps_are_in_one_era_even_at_the_pivots_reach() {
        let raw = Timestamp::EPOCH;
        let pivot = Timestamp::from_epoch(Duration::from_secs(1_800_000_000));
        let t2 = pivot + Duration::from_secs((1 << 31) - 1);
        let turnaround = Duration::from_secs(2);
        let measured = exchange(raw, t2, t2 + turnaround, raw + turnaround).measure(pivot);
        assert_eq!(measured.delay, Duration::ZERO);
        assert_eq!(measured.offset, t2.since_epoch());
    }

    #[test]
    fn kinds_are_told() {
        let zero = Timestamp::EPOCH;
        let mut exchange = exchange(zero, Timestamp::EPOCH, Timestamp::EPOCH, zero);
        assert!(!exchange.is_mixed());
        exchange.t1.kind = StampKind::Hardware;
        assert!(exchange.is_mixed());
        assert_eq!(exchange.worst_kind(), StampKind::Kernel);
    }

    /// 2036-02-07T06:28:16Z.
    const ROLL_OVER: i64 = 2_085_978_496;

    proptest! {
        /// The truth comes out exactly as far as the wire carries it, in any era, across its end,
        /// and wherever the pivot is; the error is half the asymmetry.
        #[test]
        fn the_truth_comes_out(
            t1 in -1i64 << 50..1 << 50,
            near in prop_oneof![
                -5_000_000_000i64..5_000_000_000, -1i64 << 60..1 << 60],
            out in 0i64..1 << 34, turnaround in 0i64..1 << 32, back in 0i64..1 << 34,
            pivot_error in -(1i64 << 30)..1 << 30,
        ) {
            let nanos = Duration::from_nanos;
            let t1 = Timestamp::<Raw>::from_epoch(nanos(t1));
            let offset = Duration::from_secs(ROLL_OVER) + nanos(near) - t1.since_epoch();
            let t2 = (t1 + nanos(out)).shifted_to::<Utc>(offset);
            let t3 = t2 + nanos(turnaround);
            let t4 = t1 + nanos(out + turnaround + back);
            let pivot = t2 + Duration::from_secs(pivot_error);
            let measured = exchange(t1, t2, t3, t4).measure(pivot);
            let resolution = Duration::from_ntp_fractions(1);
            prop_assert!((measured.delay - nanos(out + back)).abs() <= resolution);
            let expected = offset + nanos(out - back).half();
            prop_assert!((measured.offset - expected).abs() <= resolution);
            prop_assert_eq!(measured.at, t1 + nanos(out + turnaround + back).half());
        }
    }
}
