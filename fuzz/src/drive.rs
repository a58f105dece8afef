//! A client that is driven by the fuzzer: time, stamps, keys, and answers of any kind.

use arbitrary::{Arbitrary, Result, Unstructured};
use clockwright_ntp::extension::Extensions;
use clockwright_ntp::nts::field::{COOKIE, UNIQUE_ID};
use clockwright_ntp::nts::{COOKIES, SessionKeys};
use clockwright_ntp::over_ptp::OVERHEAD;
use clockwright_ntp::{
    Action, Arrival, Client, ClientConfig, KissCode, PortPolicy, PtpUse, Request, Stamps,
    Transport, TxToken,
};
use clockwright_timebase::{Duration, Poll, Raw, Stamp, StampKind, Timestamp};

use crate::answer::{Answer, Asked};
use crate::dice::Dice;
use crate::session::{algorithm, keys, session};

/// Longer histories find no more.
const STEPS: usize = 40;
/// UTC of the instant that the client's time counts from, seconds of NTP.
const ORIGIN: u32 = 0xeb00_0000;

/// A history.
#[derive(Debug, Arbitrary)]
pub struct History {
    gcm: bool,
    /// Does it begin with keys?
    keyed: bool,
    config: Config,
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
struct Config {
    interleaved: bool,
    iburst: bool,
    sticky: bool,
    poll: (i8, i8),
    max_delay_ms: Option<u16>,
    ptp: u8,
}

impl Config {
    fn client(&self) -> ClientConfig {
        let ports = if self.sticky {
            PortPolicy::Sticky
        } else {
            PortPolicy::PerRequest
        };
        ClientConfig {
            interleaved: self.interleaved,
            iburst: self.iburst,
            poll_min: Poll::new(self.poll.0),
            poll_max: Poll::new(self.poll.1),
            ports,
            max_delay: self.max_delay_ms.map(|ms| Duration::from_millis(ms.into())),
        }
    }
}

#[derive(Debug, Arbitrary)]
enum Step {
    /// Time goes on to when the client wants it.
    Wait,
    /// Time goes on, ms.
    Elapse(u16),
    /// The latest request was sent, and is stamped so much later, ns.
    Stamp(Kind, i32),
    StampsEnded,
    SendFailed,
    Answer(Box<Answer>, Way),
    Octets(Vec<u8>, Way),
    /// The last datagram once more.
    Again(Way),
    Keys {
        cookies: u8,
    },
    NoKeys {
        local: bool,
    },
    Surrender,
    Restart,
    Poll(i8),
    Stamping(Kind, u16),
    Reconfigure(Config),
}

#[derive(Debug, Clone, Copy)]
struct Kind(StampKind);

impl<'a> Arbitrary<'a> for Kind {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.choose(&StampKind::BEST_FIRST).copied().map(Self)
    }
}

/// How a datagram comes.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Way {
    ptp: bool,
    /// Stamps besides the process's own.
    hardware: Option<i32>,
    kernel: Option<i32>,
    frame: i16,
}

/// Drives a client that authenticates its server, or one that does not.
pub fn run(history: &History, secured: bool) {
    let mut dice = Dice(3);
    let now = Timestamp::from_timespec(1000, 0);
    let algorithm = algorithm(history.gcm);
    let config = history.config.client();
    let mut client = Client::new(config, now, &mut dice);
    client.set_ptp(ptp(history.config.ptp));
    if secured {
        let kept = history.keyed.then(|| session(algorithm, 8, &mut dice));
        client.secure(kept.map(|session| (session, Duration::ZERO)), now);
    }
    let mut driver = Driver {
        client,
        dice,
        now,
        keys: keys(algorithm),
        secured,
        trusted: !secured,
        asked: None,
        token: None,
        last: (Vec::new(), Transport::Udp),
    };
    for step in history.steps.iter().take(STEPS) {
        driver.step(step);
        driver.drain();
    }
}

fn ptp(choice: u8) -> PtpUse {
    match choice % 4 {
        0 | 1 => PtpUse::Never,
        2 => PtpUse::Try,
        _ => PtpUse::Always,
    }
}

struct Driver {
    client: Client,
    dice: Dice,
    now: Timestamp<Raw>,
    keys: SessionKeys,
    secured: bool,
    /// Has anything come that may be believed? If not, nothing may have been.
    trusted: bool,
    asked: Option<Asked>,
    token: Option<TxToken>,
    last: (Vec<u8>, Transport),
}

impl Driver {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait => {
                if let Some(at) = self.client.next_timeout() {
                    self.now = self.now.max(at);
                }
                self.client.handle_timeout(self.now, &mut self.dice);
            }
            Step::Elapse(ms) => self.now += Duration::from_millis((*ms).into()),
            Step::Stamp(kind, late) => self.stamp(*kind, *late),
            Step::StampsEnded => {
                if let Some(token) = self.token.take() {
                    self.client.stamps_ended(token);
                }
            }
            Step::SendFailed => {
                if let Some(token) = self.token.take() {
                    self.client.send_failed(token, self.now);
                }
            }
            Step::Answer(answer, way) => self.answer(answer, *way),
            Step::Octets(octets, way) => self.deliver(octets.clone(), *way, way.transport()),
            Step::Again(way) => {
                let (octets, transport) = self.last.clone();
                self.deliver(octets, *way, transport);
            }
            other => self.manage(other),
        }
    }

    /// What happens beside packets.
    fn manage(&mut self, step: &Step) {
        let (client, now) = (&mut self.client, self.now);
        match step {
            Step::Keys { cookies } => {
                let session = session(self.keys.algorithm(), cookies % 12, &mut self.dice);
                client.keys_established(session, now);
            }
            Step::NoKeys { local } => client.keys_failed(*local, now),
            Step::Surrender => {
                if let Some((session, _)) = client.surrender_session(now) {
                    assert!((1..=COOKIES).contains(&session.cookies.len()));
                }
            }
            Step::Restart => client.restart(now),
            Step::Poll(log2) => client.set_poll(Poll::new(*log2)),
            Step::Stamping(kind, ms) => {
                client.set_stamping(kind.0, Duration::from_millis((*ms).into()));
            }
            Step::Reconfigure(config) => client.reconfigure(config.client()),
            _ => {}
        }
    }

    fn stamp(&mut self, kind: Kind, late: i32) {
        let Some(token) = &self.token else { return };
        let at = self.now + Duration::from_nanos(late.into());
        let stamp = Stamp::exact(at, kind.0);
        if kind.0 == StampKind::Daemon {
            self.client.sent(token, stamp);
        } else {
            self.client.stamped(token, stamp);
        }
    }

    fn answer(&mut self, answer: &Answer, way: Way) {
        let Some(asked) = &self.asked else { return };
        let (packet, authentic) = answer.packet(asked, &self.keys);
        self.trusted |= authentic;
        match way.transport() {
            Transport::Udp => self.deliver(packet, way, Transport::Udp),
            Transport::Ptp => self.deliver(answer.over_ptp(&packet), way, Transport::Ptp),
        }
    }

    fn deliver(&mut self, octets: Vec<u8>, way: Way, transport: Transport) {
        let arrival = way.arrival(self.now, transport);
        let before = *self.client.statistics();
        let cookies = self.cookies();
        let result = self.client.handle_datagram(&octets, arrival, self.now);
        let after = self.client.statistics();
        assert_eq!(after.datagrams, before.datagrams + 1);
        if let Err(rejection) = result {
            assert!(after.rejected() > before.rejected());
            assert!(!rejection.to_string().is_empty());
        }
        assert!(
            self.trusted || self.cookies() == cookies,
            "cookies of nobody"
        );
        self.last = (octets, transport);
    }

    fn cookies(&self) -> usize {
        let cookies = self.client.auth(self.now).map_or(0, |auth| auth.cookies);
        assert!(cookies <= COOKIES);
        cookies
    }

    /// Does what the client wants done.
    fn drain(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Send(request) => self.sent(request),
                Action::Exchange(exchange) => {
                    assert!(self.trusted, "believed nobody");
                    let pivot = Timestamp::from_timespec(1_700_000_000, 0);
                    let measured = exchange.measure(pivot);
                    assert!(measured.delay <= Duration::from_secs(20));
                }
                Action::Kiss(kiss) => assert!(self.trusted || kiss == KissCode::NtsNak),
                Action::EstablishKeys => assert!(self.secured),
                Action::Unusable(rejection) => assert!(!rejection.to_string().is_empty()),
                Action::Foreseen(foreseen) => {
                    assert!(self.trusted, "believed nobody");
                    assert!(!foreseen.deviation.is_negative());
                }
                Action::Reachable(_) => {}
            }
        }
        assert!(self.client.reach() == 0 || self.client.statistics().requests > 0);
    }

    fn sent(&mut self, request: Request) {
        let packet = match request.transport {
            Transport::Udp => request.payload,
            Transport::Ptp => request.payload[OVERHEAD..].to_vec(),
        };
        assert!(packet.len() <= 1232, "fits every path");
        let extensions = Extensions::parse(&packet).unwrap();
        let body = |kind| {
            let mut found = extensions.fields().filter(|field| field.kind == kind);
            found.next().map(|field| field.body)
        };
        let secured = body(UNIQUE_ID).zip(body(COOKIE));
        let secured = secured.map(|(id, cookie)| (id.try_into().unwrap(), cookie.to_vec()));
        assert_eq!(secured.is_some(), self.secured, "never in the plain");
        let elapsed = self.now.since_epoch().as_nanos() / 1_000_000_000;
        self.asked = Some(Asked {
            secured,
            packet,
            seconds: ORIGIN.wrapping_add(u32::try_from(elapsed).unwrap_or(0)),
        });
        let read = Stamp::exact(self.now, StampKind::Daemon);
        self.client.sent(&request.token, read);
        self.token = Some(request.token);
    }
}

impl Way {
    const fn transport(self) -> Transport {
        if self.ptp {
            Transport::Ptp
        } else {
            Transport::Udp
        }
    }

    fn arrival(self, now: Timestamp<Raw>, transport: Transport) -> Arrival {
        let mut stamps = Stamps::default();
        for (kind, late) in [
            (StampKind::Hardware, self.hardware),
            (StampKind::Kernel, self.kernel),
        ] {
            if let Some(late) = late {
                let at = now + Duration::from_nanos(late.into());
                stamps.note(Stamp::exact(at, kind));
            }
        }
        Arrival {
            stamps,
            transport,
            frame: Duration::from_nanos(self.frame.into()),
        }
    }
}
