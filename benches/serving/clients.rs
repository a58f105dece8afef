//! Thousands of clients: what they ask, and what good replies are.
//!
//! The timestamps of a request are opaque to a server, which gives one of them back: in basic mode
//! the transmit, in interleaved mode the receive timestamp (RFC 9769 section 2). Here they are a mark that
//! names the request, and differ in its last bit: so a reply says in one comparison which request it
//! answers, and in which mode.

use std::net::Ipv4Addr;

use clockwright::measure::OsEntropy;
use clockwright_ntp::nts::{Cipher, Session};
use clockwright_ntp::{Entropy as _, Header, Mode};

use crate::common::seal::{is_authentic, seal};
use crate::kind::Form;
use crate::wire::{HEADERS, Wire, set_source};

/// The first address of the clients' network, and the length of its prefix.
pub(crate) const NETWORK: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 128, 0, 0), 9);

/// Where an NTP packet has what.
const STRATUM: usize = 1;
const ORIGIN: usize = 24;
const RECEIVE: usize = 32;
const TRANSMIT: usize = 40;
const HEADER: usize = 48;

/// The bit of a mark that says interleaved; the bits above say which request it is, those above them
/// how often that was sent.
const IS_INTERLEAVED: u64 = 1;
const REQUEST_SHIFT: u32 = 1;
const REQUEST_BITS: u32 = 16;
/// The most requests that can be under way.
pub(crate) const MOST_REQUESTS: usize = 1 << REQUEST_BITS;
/// Of so many authentic replies one is verified: doing so costs more than all the rest.
const VERIFY_EVERY: u64 = 256;
/// A reply's transmit time is this much after its receive time at most, NTP timestamp units: 1 s.
const LONGEST_TURNAROUND: u64 = 1 << 32;

/// What came of requests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Good replies.
    pub(crate) answered: u64,
    /// Those of them in interleaved mode.
    pub(crate) interleaved: u64,
    /// Replies that answer no request that is under way: they came too late, or twice.
    pub(crate) stray: u64,
    /// Requests that were given up.
    pub(crate) lost: u64,
}

/// The clients of one server.
pub(crate) struct Clients {
    form: Form,
    /// Where replies have the mark: an echo's is where the request had it.
    is_echo: bool,
    requests: Vec<Request>,
    /// Those not under way, as a stack: the same few are used while few are needed.
    free: Vec<u16>,
    addresses: u32,
    /// The client whose turn it is.
    next: u32,
    /// What each interleaved client gives back: the receive timestamp of the last reply to it.
    remembered: Vec<[u8; 8]>,
    /// How often requests were sent, from a random number on, above the bits of a request.
    sequence: u64,
    opens: Option<Cipher>,
    scratch: Vec<u8>,
    pub(crate) counts: Counts,
}

struct Request {
    /// With the headers of IP and UDP.
    packet: Vec<u8>,
    mark: u64,
    client: u32,
    /// When it was sent, ns since whatever the caller counts from; none if it is not under way.
    sent: Option<u64>,
}

impl Clients {
    /// So many clients, with `requests` requests under way at most. Authentic ones share a session and
    /// use its cookies again and again: servers without memory cannot tell.
    pub(crate) fn new(
        form: Form,
        wire: &Wire,
        (addresses, requests): (u32, usize),
        session: Option<&Session>,
        is_echo: bool,
    ) -> Self {
        let mut entropy = OsEntropy::new();
        let mut bits = [0; 8];
        entropy.fill(&mut bits);
        let numbers =
            0..=u16::try_from(requests.clamp(1, MOST_REQUESTS) - 1).expect("a request's number");
        let mut clients = Self {
            form,
            is_echo,
            requests: Vec::new(),
            free: numbers.rev().collect(),
            addresses,
            next: 0,
            remembered: vec![[0; 8]; addresses as usize],
            sequence: u64::from_ne_bytes(bits) >> (REQUEST_SHIFT + REQUEST_BITS),
            opens: session.map(|session| Cipher::new(session.keys.s2c())),
            scratch: Vec::new(),
            counts: Counts::default(),
        };
        clients.make_requests(wire, session, &mut entropy);
        clients
    }

    fn make_requests(&mut self, wire: &Wire, session: Option<&Session>, entropy: &mut OsEntropy) {
        let mut seals = session.map(|session| {
            let cookies = session.cookies.iter().cycle();
            (session, Cipher::new(session.keys.c2s()), cookies)
        });
        for number in (0..self.free.len()).map(|number| number as u64) {
            let mark = self.mark(number);
            let mut payload = Header::zeroed(Mode::Client).to_bytes().to_vec();
            payload[TRANSMIT..HEADER].copy_from_slice(&mark.to_be_bytes());
            if let Some((session, cipher, cookies)) = &mut seals {
                let cookie = cookies.next().expect("a cookie");
                seal(&mut payload, cookie.expose(), session, cipher, entropy);
            }
            let mut packet = wire.headers(payload.len()).to_vec();
            packet.append(&mut payload);
            self.requests.push(Request {
                packet,
                mark,
                client: 0,
                sent: None,
            });
        }
    }

    fn mark(&mut self, number: u64) -> u64 {
        self.sequence += 1;
        self.sequence << (REQUEST_SHIFT + REQUEST_BITS) | number << REQUEST_SHIFT
    }

    /// How many requests are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.requests.len() - self.free.len()
    }

    /// How many more can be.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Sends so many, each from the next client; as many must be free.
    pub(crate) fn send(&mut self, wire: &mut Wire, count: usize, now: u64) {
        let first = self.free.len() - count;
        for at in first..self.free.len() {
            self.prepare(self.free[at], now);
        }
        let numbers = &self.free[first..];
        wire.send(count, |at| &self.requests[usize::from(numbers[at])].packet);
        self.free.truncate(first);
    }

    /// Makes a request the next client's.
    fn prepare(&mut self, number: u16, now: u64) {
        let mark = self.mark(number.into());
        let request = &mut self.requests[usize::from(number)];
        request.client = self.next;
        request.sent = Some(now);
        set_source(&mut request.packet, address(self.next));
        self.next = (self.next + 1) % self.addresses;
        let payload = &mut request.packet[HEADERS..];
        match self.form {
            Form::Plain => {
                request.mark = mark;
                payload[TRANSMIT..HEADER].copy_from_slice(&mark.to_be_bytes());
            }
            Form::Interleaved => {
                request.mark = mark;
                let remembered = &self.remembered[request.client as usize];
                payload[ORIGIN..RECEIVE].copy_from_slice(remembered);
                payload[RECEIVE..TRANSMIT].copy_from_slice(&(mark | IS_INTERLEAVED).to_be_bytes());
                payload[TRANSMIT..HEADER].copy_from_slice(&mark.to_be_bytes());
            }
            // Sealed with the mark that it has.
            Form::Nts(_) => {}
        }
    }

    /// Counts a reply; gives when its request was sent, if it answers one.
    pub(crate) fn take(&mut self, reply: &[u8]) -> Option<u64> {
        assert!(reply.len() >= HEADER, "a reply that is too short");
        assert_eq!(reply[0] & 7, 4, "a reply of another mode");
        let mark = field(reply, if self.is_echo { TRANSMIT } else { ORIGIN });
        let number = (mark >> REQUEST_SHIFT) as usize % MOST_REQUESTS;
        let known = self.requests.get_mut(number);
        let known = known.filter(|request| request.mark == mark & !IS_INTERLEAVED);
        let Some((request, sent)) = known.and_then(|it| it.sent.take().map(|sent| (it, sent)))
        else {
            self.counts.stray += 1;
            return None;
        };
        self.counts.answered += 1;
        self.free
            .push(u16::try_from(number).expect("a request's number"));
        if self.is_echo {
            return Some(sent);
        }
        assert_ne!(
            reply[STRATUM], 0,
            "a server that refuses or is not synchronised"
        );
        let is_interleaved = mark & IS_INTERLEAVED != 0;
        self.counts.interleaved += u64::from(is_interleaved);
        // The transmit time of the reply before belongs to the receive time of the reply before.
        let remembered = &mut self.remembered[request.client as usize];
        let received = if is_interleaved {
            u64::from_be_bytes(*remembered)
        } else {
            field(reply, RECEIVE)
        };
        let turnaround = field(reply, TRANSMIT).wrapping_sub(received);
        assert!(
            turnaround < LONGEST_TURNAROUND,
            "a transmit time that is none: {turnaround}"
        );
        if self.form == Form::Interleaved {
            remembered.copy_from_slice(&reply[RECEIVE..TRANSMIT]);
        }
        if let Some(cipher) = &mut self.opens
            && self.counts.answered % VERIFY_EVERY == 1
        {
            let asked = &request.packet[HEADERS..];
            let good = is_authentic(reply, asked, cipher, &mut self.scratch);
            assert!(good, "a reply that is not authentic");
        }
        Some(sent)
    }

    /// Gives up what was sent before that time.
    pub(crate) fn give_up(&mut self, before: u64) {
        for (number, request) in (0..).zip(&mut self.requests) {
            if request.sent.is_some_and(|sent| sent < before) {
                request.sent = None;
                self.free.push(number);
                self.counts.lost += 1;
            }
        }
    }
}

fn field(packet: &[u8], at: usize) -> u64 {
    let bits = packet[at..].first_chunk();
    u64::from_be_bytes(*bits.expect("a whole packet"))
}

/// A client's address.
fn address(client: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(NETWORK.0.to_bits() + 1 + client)
}
