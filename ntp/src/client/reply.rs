//! Replies: what they must pass to be believed, and the exchanges they complete.

use clockwright_timebase::{Duration, Poll, StampKind};

use super::request::{Form, PendingRequest};
use super::{ClientConfig, Rejection, Stamps, Transport};
use crate::extension::{Extensions, network_correction};
use crate::packet::stratum_is_synchronized;
use crate::{Exchange, Header, KissCode, Mode, NtpTimestamp, Residence};

/// RFC 5905 section 7.2, MAXDISP: what is this far from the truth is of no use. Also the longest
/// round trip, of which half would be as much.
const MAX_DISPERSION: Duration = Duration::from_secs(16);
/// The longest a server may take to reply.
const MAX_TURNAROUND: Duration = Duration::from_secs(4);
/// The coarsest clock resolution that excuses an impossible difference, whatever the server says
/// of its precision: 1/32 s.
const COARSEST_PRECISION: i8 = -5;
/// Two clocks may differ this much in rate, 1/1000, without either being broken: twice RFC 5905's
/// 500 ppm.
const RATE_ALLOWANCE: i32 = 1000;
/// In basic mode a server says when its reply *will* have left. A thread that was quicker this time than
/// it usually is errs by about this, and on a way that is shorter the round trip seems negative.
const FORETOLD: Duration = Duration::from_micros(2);

/// A believed reply with the request it answers.
#[derive(Debug)]
pub(super) struct Answer {
    /// Which request it answers.
    pub(super) serial: u64,
    /// What carried both.
    pub(super) transport: Transport,
    /// When the request left, as far as known; may still improve.
    pub(super) t1: Stamps,
    /// When the reply arrived.
    pub(super) t4: Stamps,
    /// How long the two were kept on their way, by the account of those who did.
    pub(super) residence: Option<Residence>,
    /// What the reply said.
    pub(super) header: Header,
    /// Its mode.
    pub(super) form: Form,
    /// What has become of the exchange.
    pub(super) state: Measured,
}

/// What has become of an answer's exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measured {
    /// Not measured: the next interleaved reply will say when this one left.
    Awaited,
    /// In basic mode, waiting for the request's transmit stamp.
    Held,
    /// Given to the caller, or found to be of no use.
    Done,
}

/// What a packet that answers the latest request is.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The time, and the correction that the server says the request had collected.
    Time(Header, Form, Option<Duration>),
    /// A kiss.
    Kiss(KissCode),
}

/// A server's packet that names the latest request as the one it answers.
#[derive(Debug)]
pub(super) struct Match<'p> {
    /// Its header.
    pub(super) header: Header,
    /// What follows that.
    pub(super) extensions: Extensions<'p>,
    form: Form,
}

/// Reads `payload` and finds out whether it answers the latest request (RFC 5905 section 8, as
/// changed by RFC 9769 section 2).
pub(super) fn matched<'p>(
    payload: &'p [u8],
    request: Option<&PendingRequest>,
    last: Option<&Answer>,
) -> Result<Match<'p>, Rejection> {
    let (header, extensions) = read(payload)?;
    let request = request.ok_or(Rejection::Unexpected)?;
    if last.is_some_and(|last| last.is_repeated_by(&header)) {
        return Err(Rejection::Duplicate);
    }
    let form = request
        .form_of_reply(header.origin)
        .ok_or(Rejection::BogusOrigin)?;
    if request.answered {
        return Err(Rejection::Duplicate);
    }
    Ok(Match {
        header,
        extensions,
        form,
    })
}

/// Puts an answer to the tests that need nothing but itself. Fields count up to `end` in the packet;
/// `kissed`: has a kiss been believed already?
pub(super) fn judge(answer: &Match<'_>, end: usize, kissed: bool) -> Result<Verdict, Rejection> {
    let header = answer.header;
    if let Some(kiss) = kiss_of(&header) {
        // One packet cannot slow the client down twice. The time may still come: a forged kiss
        // must not keep the true reply out.
        return if kissed {
            Err(Rejection::Duplicate)
        } else {
            Ok(Verdict::Kiss(kiss))
        };
    }
    check_server(&header)?;
    if answer.form == Form::Basic {
        check_turnaround(&header, header.transmit)?;
    }
    let correction = answer
        .extensions
        .fields()
        .take_while(|field| field.offset < end)
        .find_map(|field| network_correction::read(&field));
    Ok(Verdict::Time(header, answer.form, correction))
}

/// Reads a server's packet.
fn read(payload: &[u8]) -> Result<(Header, Extensions<'_>), Rejection> {
    let length = payload.len();
    let header = Header::parse(payload).ok_or(Rejection::TooShort { length })?;
    if !(1..=4).contains(&header.version) {
        return Err(Rejection::Version(header.version));
    }
    if header.mode != Mode::Server {
        return Err(Rejection::Mode(header.mode));
    }
    let extensions = Extensions::parse(payload).map_err(Rejection::Framing)?;
    if extensions.mac().is_some() {
        return Err(Rejection::UnexpectedMac);
    }
    Ok((header, extensions))
}

/// How long the request and its reply were kept on their way (RFC 10030 section 3).
///
/// `collected` is the reply's correction and `told` what the server says of the request's, which
/// includes the time its frame took to arrive; that is taken to be the same as the reply's,
/// `frame`. Without a correction of both there is none: half of it would be an asymmetry.
pub(super) fn residence(
    collected: Duration,
    told: Option<Duration>,
    frame: Duration,
) -> Option<Residence> {
    let told = told?;
    let known = [collected, told, frame];
    let residence = Residence {
        request: told - frame,
        reply: collected,
    };
    let plausible = known.iter().all(|part| *part > Duration::ZERO);
    (plausible && !residence.total().is_negative()).then_some(residence)
}

/// The kiss that `header` is, if it is one.
pub(super) fn kiss_of(header: &Header) -> Option<KissCode> {
    (header.stratum == 0)
        .then(|| KissCode::from_reference_id(header.reference_id))
        .flatten()
}

/// Tests 3, 6 and 7: timestamps are there, and the server claims to know the time.
fn check_server(header: &Header) -> Result<(), Rejection> {
    if header.receive.is_zero() || header.transmit.is_zero() {
        return Err(Rejection::ZeroTimestamp);
    }
    let (leap, stratum) = (header.leap, header.stratum);
    if leap == crate::Leap::Unsynchronized || !stratum_is_synchronized(stratum) {
        return Err(Rejection::Unsynchronized { leap, stratum });
    }
    let distance = header.root_delay.to_duration().half() + header.root_dispersion.to_duration();
    if distance >= MAX_DISPERSION {
        return Err(Rejection::RootDistance(distance));
    }
    Ok(())
}

/// The server sent at `t3` what `header` answers, and cannot have done so before it came.
fn check_turnaround(header: &Header, t3: NtpTimestamp) -> Result<(), Rejection> {
    let turnaround = t3.since(header.receive);
    if turnaround < -resolution(header.precision) || turnaround > MAX_TURNAROUND {
        return Err(Rejection::Turnaround(turnaround));
    }
    Ok(())
}

/// The resolution of a clock of this precision.
fn resolution(precision: i8) -> Duration {
    if precision < Poll::MIN.log2() {
        // Below 1/128 s; an exponent so negative that the shift exceeds all bits leaves nothing.
        let shift = u32::from(precision.unsigned_abs());
        let second = Duration::from_secs(1).as_units();
        return Duration::from_units(second.checked_shr(shift).unwrap_or(0));
    }
    Poll::new(precision.min(COARSEST_PRECISION)).interval()
}

impl Answer {
    /// Test 1: has `header` the same two timestamps? One alone may well be the same in an
    /// interleaved reply that follows a basic one.
    fn is_repeated_by(&self, header: &Header) -> bool {
        header.receive == self.header.receive && header.transmit == self.header.transmit
    }

    /// Is it of use to wait for another transmit stamp of the request, where the path gives stamps
    /// of kind `best` at best?
    pub(super) fn may_improve(&self, best: StampKind) -> bool {
        Stamps::may_improve(&self.t1, &self.t4, best)
    }

    /// The exchange this answer completes by itself, in basic mode.
    pub(super) fn basic_exchange(&self, config: &ClientConfig) -> Result<Exchange, Rejection> {
        self.exchange(&self.header, Form::Basic, config)
    }

    /// The exchange of which `latest`, a later reply, says when this answer left.
    pub(super) fn interleaved_exchange(
        &self,
        latest: &Header,
        config: &ClientConfig,
    ) -> Result<Exchange, Rejection> {
        self.exchange(latest, Form::Interleaved, config)
    }

    /// What this answer's exchange will be, should it turn out to have left at `t3`.
    pub(super) fn foreseen_exchange(
        &self,
        t3: NtpTimestamp,
        config: &ClientConfig,
    ) -> Result<Exchange, Rejection> {
        let foreseen = Header {
            transmit: t3,
            ..self.header
        };
        // Where the guess is poorer than the way is short, the round trip may seem negative.
        let exchange = self.compose(&foreseen, Form::Basic)?;
        check_longest(round_trip(&exchange), config)?;
        Ok(exchange)
    }

    /// T1, T2 and T4 of this answer with T3 from `latest`: RFC 9769 section 2's first set, whose
    /// delay a frequency error cannot spoil.
    fn exchange(
        &self,
        latest: &Header,
        form: Form,
        config: &ClientConfig,
    ) -> Result<Exchange, Rejection> {
        let exchange = self.compose(latest, form)?;
        check_turnaround(&self.header, exchange.t3)?;
        let delay = check_delay(&exchange, config)?;
        // What is said to have been kept must have been there.
        let residence = exchange.residence.filter(|kept| kept.total() <= delay);
        Ok(Exchange {
            residence,
            ..exchange
        })
    }

    /// The same without a test of what it says.
    fn compose(&self, latest: &Header, form: Form) -> Result<Exchange, Rejection> {
        let (t1, t4) = Stamps::matched(&self.t1, &self.t4).ok_or(Rejection::NoCommonStamp)?;
        Ok(Exchange {
            t1,
            t2: self.header.receive,
            t3: latest.transmit,
            t4,
            interleaved: form == Form::Interleaved,
            leap: latest.leap,
            stratum: latest.stratum,
            poll: latest.poll,
            precision: latest.precision,
            // These describe the clock that took T2 and T3; the others say what it is now.
            root_delay: self.header.root_delay.to_duration(),
            root_dispersion: self.header.root_dispersion.to_duration(),
            reference_id: latest.reference_id,
            reference_time: latest.reference_time,
            // The stamps of software are as far from the wire as the switches are.
            residence: self.residence.filter(|_| t4.kind == StampKind::Hardware),
        })
    }
}

/// Is the round trip possible, and short enough? Gives it.
fn check_delay(exchange: &Exchange, config: &ClientConfig) -> Result<Duration, Rejection> {
    let elapsed = exchange.t4.at - exchange.t1.at;
    let doubt = exchange.t1.uncertainty + exchange.t4.uncertainty;
    if elapsed < -doubt {
        return Err(Rejection::StampOrder(elapsed));
    }
    let delay = round_trip(exchange);
    let foretold = if exchange.interleaved {
        Duration::ZERO
    } else {
        FORETOLD
    };
    let allowance =
        doubt + resolution(exchange.precision) + foretold + elapsed.abs() / RATE_ALLOWANCE;
    if delay < -allowance {
        return Err(Rejection::NegativeDelay(delay));
    }
    if elapsed > MAX_DISPERSION + MAX_TURNAROUND {
        return Err(Rejection::DelayTooLong(delay));
    }
    check_longest(delay, config)?;
    Ok(delay)
}

/// From request to reply, without the server's part.
fn round_trip(exchange: &Exchange) -> Duration {
    (exchange.t4.at - exchange.t1.at) - exchange.t3.since(exchange.t2)
}

/// Is a round trip short enough?
fn check_longest(delay: Duration, config: &ClientConfig) -> Result<(), Rejection> {
    let longest = config
        .max_delay
        .map_or(MAX_DISPERSION, |max| max.min(MAX_DISPERSION));
    if delay > longest {
        return Err(Rejection::DelayTooLong(delay));
    }
    Ok(())
}

impl Rejection {
    /// Is a timestamp wrong, rather than the path slow?
    pub(super) const fn is_broken_timestamp(&self) -> bool {
        matches!(
            self,
            Self::Turnaround(_) | Self::StampOrder(_) | Self::NegativeDelay(_)
        )
    }
}
