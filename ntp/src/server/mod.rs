//! A server: answers requests, one at a time, without memory of its clients but a bounded table.
//!
//! Nothing is allocated after [`Server::new`], and a reply is never longer than its request. What
//! is not a well-formed request meets silence.

mod interleave;
mod reply;
mod request;
mod statistics;
mod tail;

pub use reply::{LONGEST, Reply, ReplyBuffer, TxKey};
pub use request::{Dropped, Received};
pub use statistics::ServerStatistics;

use clockwright_timebase::{Duration, Timestamp, Utc};

use crate::entropy::random_u64;
use crate::nts::field::UNIQUE_ID;
use crate::nts::{CookieJar, CookieKeys};
use crate::packet::{stratum_is_synchronized, stratum_on_wire};
use crate::{Entropy, Header, KissCode, Leap, Mode, NtpShort, NtpTimestamp, ReferenceId};
use interleave::ReplyTable;
use reply::{LowBits, Transmit, is_marked, next_marked};
use request::Request;
use statistics::count;
use tail::{Answer, AnswerKind};

/// How exact a departure is that is known from others': the resolution of the root dispersion (RFC 5905
/// section 6), 15 us.
pub const ABOUT: Duration = Duration::from_ntp_fractions(1 << 16);

/// A stamp that is later than this after the request arrived is not the reply's.
const LATEST_STAMP: Duration = Duration::from_secs(1);
/// Attempts at a receive timestamp that no remembered reply has.
const ATTEMPTS: usize = 64;

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConfig {
    /// How many replies are remembered for interleaved mode (RFC 9769), the oldest being
    /// forgotten first. Each takes 32 octets or less. Zero: only basic replies.
    pub interleaved_capacity: usize,
}

impl Default for ServerConfig {
    /// 4096 replies.
    fn default() -> Self {
        Self {
            interleaved_capacity: 4096,
        }
    }
}

/// What the server says about its clock (RFC 5905 section 11.1, system variables).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemVariables {
    /// Warning of a leap second, or that the clock is not synchronised.
    pub leap: Leap,
    /// 1 to 15; 0, 16 and above: not synchronised.
    pub stratum: u8,
    /// Precision of the clock as it is announced, log2 s: its resolution or the time it takes to
    /// read it, whichever is longer.
    pub precision: i8,
    /// Delay to the reference clock.
    pub root_delay: Duration,
    /// Dispersion to the reference clock, grown to the present.
    pub root_dispersion: Duration,
    /// What the clock follows.
    pub reference_id: ReferenceId,
    /// When the clock was last corrected. Clients are told an instant up to 1 s earlier, so that
    /// they cannot tell when this host received its own replies.
    pub reference_time: Timestamp<Utc>,
}

impl SystemVariables {
    /// Does the clock follow something?
    pub fn is_synchronized(&self) -> bool {
        self.leap != Leap::Unsynchronized && stratum_is_synchronized(self.stratum)
    }
}

/// Answers requests in basic and interleaved mode, plain and authenticated by NTS.
#[derive(Debug)]
pub struct Server {
    replies: ReplyTable,
    /// Opens and makes cookies; without it NTS fields are fields like others, and ignored.
    jar: Option<CookieJar>,
    /// The last receive timestamp handed out.
    last_receive: NtpTimestamp,
    statistics: ServerStatistics,
}

impl Server {
    /// A server with an empty table.
    pub fn new(config: ServerConfig) -> Self {
        Self {
            replies: ReplyTable::new(config.interleaved_capacity),
            jar: None,
            last_receive: NtpTimestamp::ZERO,
            statistics: ServerStatistics::default(),
        }
    }

    /// What the memory for this many replies takes, octets.
    pub fn octets(interleaved_capacity: usize) -> usize {
        ReplyTable::octets(interleaved_capacity)
    }

    /// Answers so from now on. With another capacity, what is remembered is forgotten.
    pub fn reconfigure(&mut self, config: ServerConfig) {
        if config.interleaved_capacity != self.replies.capacity() {
            self.replies = ReplyTable::new(config.interleaved_capacity);
        }
    }

    /// The keys of cookies from now on; `None`: NTS is not spoken.
    pub fn set_cookie_keys(&mut self, keys: Option<&CookieKeys>) {
        self.jar = keys.map(CookieJar::new);
    }

    /// Answers `request`, an NTP packet, which arrived at `rx` by the served clock. The reply is made
    /// in `buffer`.
    ///
    /// Mode 3 is answered in mode 4, and mode 1 (symmetric active) in mode 2 without ever making
    /// use of it, in the request's own version, 1 to 4. A request that asks what correction it has
    /// collected on its way (RFC 10030) is told; an authentic one is answered authentically, and
    /// one whose cookie cannot be opened is told so (RFC 8915 section 5.7); other extension fields
    /// are ignored.
    pub fn handle<'b>(
        &mut self,
        request: &[u8],
        rx: impl Into<Received>,
        system: &SystemVariables,
        entropy: &mut dyn Entropy,
        buffer: &'b mut ReplyBuffer,
    ) -> Result<Reply<'b>, Dropped> {
        let rx = rx.into();
        let answer = request::read(request).and_then(|request| {
            let answer = self.answer_with(&request, rx.correction, entropy, buffer)?;
            Ok((request.header, answer))
        });
        let (request, answer) = answer.inspect_err(|dropped| self.statistics.drop(dropped))?;
        if answer.kind == AnswerKind::Nak {
            count(&mut self.statistics.nts_naks);
            let code = KissCode::NtsNak;
            return Ok(kiss(
                code, &request, rx.at, system, entropy, answer.end, buffer,
            ));
        }
        let timing = self.time(&request, rx.at, system, entropy);
        count(match timing.transmit {
            Transmit::Now(_) => &mut self.statistics.basic,
            Transmit::Previous(_) => &mut self.statistics.interleaved,
        });
        if answer.kind == AnswerKind::Authentic {
            count(&mut self.statistics.nts);
        }
        let Timing {
            header,
            transmit,
            tx_key,
        } = timing;
        Ok(Reply::new(header, transmit, tx_key, answer.end, buffer))
    }

    /// Answers a request with nothing but the wish for fewer of them (kiss code `RATE`, RFC 5905
    /// section 7.4), whatever else it asks for. Nobody can tell that it is this server's wish: a
    /// client with NTS does not listen to it.
    ///
    /// # Errors
    /// As [`Server::handle`].
    pub fn slow_down<'b>(
        &mut self,
        request: &[u8],
        rx: Timestamp<Utc>,
        system: &SystemVariables,
        entropy: &mut dyn Entropy,
        buffer: &'b mut ReplyBuffer,
    ) -> Result<Reply<'b>, Dropped> {
        let request = request::read(request).inspect_err(|why| self.statistics.drop(why))?;
        count(&mut self.statistics.rate_kisses);
        buffer.begin();
        let (code, end) = (KissCode::Rate, Header::LEN);
        let header = &request.header;
        Ok(kiss(code, header, rx, system, entropy, end, buffer))
    }

    /// What follows the header of the reply to `request`, written into `buffer`.
    fn answer_with(
        &mut self,
        request: &Request<'_>,
        correction: Duration,
        entropy: &mut dyn Entropy,
        buffer: &mut ReplyBuffer,
    ) -> Result<Answer, Dropped> {
        let Some(jar) = &mut self.jar else {
            return Ok(tail::plain(request, correction, buffer));
        };
        match request.nts()? {
            None => Ok(tail::plain(request, correction, buffer)),
            Some(fields) => tail::sealed(request, &fields, jar, correction, entropy, buffer),
        }
    }

    /// The header and the timestamps of a reply that tells the time.
    fn time(
        &mut self,
        request: &Header,
        rx: Timestamp<Utc>,
        system: &SystemVariables,
        entropy: &mut dyn Entropy,
    ) -> Timing {
        let random = Random::draw(entropy);
        let receive = self.unique_receive(
            LowBits::new(system.precision, random.receive).receive(rx.into()),
            request.origin,
        );
        let previous = self.previous_transmit(request);
        let low_bits = LowBits::new(system.precision, random.transmit);
        let (origin, transmit) = match previous {
            Some((transmit, _)) => (
                request.receive,
                Transmit::Previous(low_bits.transmit(transmit, request.origin)),
            ),
            None => (request.transmit, Transmit::Now(low_bits)),
        };
        let about = previous.is_some_and(|(_, about)| about);
        let remember = is_interleaved_form(request) && self.replies.insert(receive);
        let tx_key = remember.then(|| TxKey {
            receive,
            rx: rx.into(),
        });
        let mut header = compose(request, system, random.reference_age);
        if about {
            header.root_dispersion = header.root_dispersion.next_up();
        }
        Timing {
            header: header.with_timestamps(origin, receive),
            transmit,
            tx_key,
        }
    }

    /// When the reply that `request` asks about had left, and whether that is only about when.
    fn previous_transmit(&mut self, request: &Header) -> Option<(NtpTimestamp, bool)> {
        if !is_interleaved_form(request) {
            return None;
        }
        self.replies.take(request.origin)
    }

    /// `receive`, moved on until no remembered reply has it (RFC 9769 section 2), nor the last one,
    /// remembered or not, nor the request.
    fn unique_receive(&mut self, receive: NtpTimestamp, origin: NtpTimestamp) -> NtpTimestamp {
        let mut unique = receive;
        for _ in 0..ATTEMPTS {
            let taken =
                unique == self.last_receive || unique == origin || self.replies.contains(unique);
            if !taken {
                break;
            }
            unique = next_marked(unique);
        }
        self.last_receive = unique;
        unique
    }

    /// The kernel or the NIC says when a reply left; the next interleaved reply to the same client
    /// will tell it. Ignored when the reply has been forgotten, or when the stamp is not within
    /// 1 s after the request.
    pub fn transmitted(&mut self, key: TxKey, at: Timestamp<Utc>) {
        self.note_transmitted(key, at, false);
    }

    /// The same of a reply that was not stamped itself; `at` is within [`ABOUT`] of when it left. The
    /// reply that tells it has so much more root dispersion.
    pub fn transmitted_about(&mut self, key: TxKey, at: Timestamp<Utc>) {
        self.note_transmitted(key, at, true);
    }

    fn note_transmitted(&mut self, key: TxKey, at: Timestamp<Utc>, about: bool) {
        let at = NtpTimestamp::from(at);
        let turnaround = at.since(key.rx);
        if turnaround.is_negative() || turnaround > LATEST_STAMP {
            count(&mut self.statistics.implausible_stamps);
        } else {
            self.replies.set_transmit(key.receive, at, about);
        }
    }

    /// The served clock was stepped: timestamps from before must not be paired with later ones.
    pub fn clock_stepped(&mut self) {
        self.replies.clear();
    }

    /// What the server has seen.
    pub const fn statistics(&self) -> &ServerStatistics {
        &self.statistics
    }

    /// How many replies are remembered for interleaved mode.
    pub const fn remembered(&self) -> usize {
        self.replies.held()
    }

    /// How many had to make room for others before their clients asked again; it wraps. Clients
    /// that stop asking leave one each; far more means that the table is too small.
    pub const fn replaced(&self) -> u64 {
        self.replies.replaced()
    }
}

/// Does `packet` claim to be authenticated by NTS? Its first extension field is looked at, which is
/// the unique identifier in everybody's packets; whether the claim is true takes much longer to
/// find out.
pub fn claims_nts(packet: &[u8]) -> bool {
    let kind = packet.get(Header::LEN..Header::LEN + 2);
    kind.is_some_and(|kind| kind == UNIQUE_ID.to_be_bytes())
}

/// What is in a reply's header, and how it is to be sent.
struct Timing {
    header: Header,
    transmit: Transmit,
    tx_key: Option<TxKey>,
}

/// A reply that tells no time, but `code`; it ends at `end` of the packet in `buffer`.
fn kiss<'b>(
    code: KissCode,
    request: &Header,
    rx: Timestamp<Utc>,
    system: &SystemVariables,
    entropy: &mut dyn Entropy,
    end: usize,
    buffer: &'b mut ReplyBuffer,
) -> Reply<'b> {
    let random = Random::draw(entropy);
    let receive = LowBits::new(system.precision, random.receive).receive(rx.into());
    let header = Header {
        leap: Leap::Unsynchronized,
        version: request.version,
        poll: request.poll,
        reference_id: code.reference_id(),
        ..Header::zeroed(reply_mode(request))
    };
    let transmit = Transmit::Now(LowBits::new(system.precision, random.transmit));
    let header = header.with_timestamps(request.transmit, receive);
    Reply::new(header, transmit, None, end, buffer)
}

/// The mode of the reply to a request.
fn reply_mode(request: &Header) -> Mode {
    if request.mode == Mode::SymmetricActive {
        Mode::SymmetricPassive
    } else {
        Mode::Server
    }
}

/// Does `request` come from a client that uses interleaved mode, and does its origin look like a
/// receive timestamp of this server (RFC 9769 section 2)?
fn is_interleaved_form(request: &Header) -> bool {
    request.mode == Mode::Client
        && request.version == crate::packet::VERSION
        && request.receive != request.transmit
        && is_marked(request.origin)
}

/// A reply's header but for the timestamps of this exchange. `reference_age` blurs the reference
/// time.
fn compose(request: &Header, system: &SystemVariables, reference_age: Duration) -> Header {
    let header = Header {
        leap: Leap::Unsynchronized,
        version: request.version,
        poll: request.poll,
        precision: system.precision,
        root_delay: NtpShort::round_up(system.root_delay),
        root_dispersion: NtpShort::round_up(system.root_dispersion),
        ..Header::zeroed(reply_mode(request))
    };
    if !system.is_synchronized() {
        // Stratum 0 with a reference identifier would be a kiss.
        return header;
    }
    Header {
        leap: system.leap,
        stratum: stratum_on_wire(system.stratum),
        reference_id: system.reference_id,
        reference_time: (system.reference_time - reference_age).into(),
        ..header
    }
}

impl Header {
    /// The same header in answer to a request.
    const fn with_timestamps(self, origin: NtpTimestamp, receive: NtpTimestamp) -> Self {
        Self {
            origin,
            receive,
            ..self
        }
    }
}

/// The random numbers of one reply, drawn at once.
struct Random {
    receive: u64,
    transmit: u64,
    /// Below one second.
    reference_age: Duration,
}

impl Random {
    /// One draw is enough: what is filled into a timestamp is less than an octet, since the bits of
    /// a nanosecond's fraction are two ([`LowBits`]).
    fn draw(entropy: &mut dyn Entropy) -> Self {
        let random = random_u64(entropy);
        Self {
            receive: random,
            transmit: random >> 8,
            reference_age: NtpTimestamp::from_bits(random >> 32).since(NtpTimestamp::ZERO),
        }
    }
}

#[cfg(test)]
mod tests;
