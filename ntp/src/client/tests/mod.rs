//! The client against a server played by the test.

mod interleaved;
mod noise;
mod over_ptp;
mod polling;
mod replies;
mod stamps;

use clockwright_timebase::{StampKind, Utc};

use super::*;
use crate::entropy::test::Seeded;
use crate::{Exchange, Header, Leap, Mode, NtpShort, NtpTimestamp, ReferenceId, Residence};

/// UTC − Raw in all these tests: what every exchange must measure.
const OFFSET: Duration = Duration::from_secs(1_700_000_000);
/// From the client to the server, and back.
const ONE_WAY: Duration = Duration::from_micros(100);
/// What the server takes to reply.
const TURNAROUND: Duration = Duration::from_micros(30);

/// A client, and the time.
struct Rig {
    client: Client,
    entropy: Seeded,
    now: Timestamp<Raw>,
}

/// A request the client handed out.
struct Asked {
    header: Header,
    token: TxToken,
    fresh_port: bool,
    /// When.
    at: Timestamp<Raw>,
}

/// No burst, poll 1 s to 16 s, kernel stamps.
fn config() -> ClientConfig {
    ClientConfig {
        iburst: false,
        poll_min: Poll::new(0),
        poll_max: Poll::new(4),
        ..ClientConfig::default()
    }
}

fn interleaved() -> ClientConfig {
    ClientConfig {
        interleaved: true,
        ..config()
    }
}

/// The server's clock at a local instant.
fn server_time(at: Timestamp<Raw>) -> NtpTimestamp {
    at.shifted_to::<Utc>(OFFSET).into()
}

fn kernel(at: Timestamp<Raw>) -> Stamp<Raw> {
    Stamp::exact(at, StampKind::Kernel)
}

/// A synchronised server's header in reply to a request that left at `sent`, in basic mode.
fn reply(request: &Header, sent: Timestamp<Raw>) -> Header {
    let received = sent + ONE_WAY;
    Header {
        stratum: 1,
        precision: -25,
        root_dispersion: NtpShort::round_up(Duration::from_micros(50)),
        reference_id: ReferenceId(*b"PHC\0"),
        reference_time: server_time(received - Duration::from_secs(10)),
        origin: request.transmit,
        receive: server_time(received),
        transmit: server_time(received + TURNAROUND),
        ..Header::zeroed(Mode::Server)
    }
}

/// When the reply to a request that left at `sent` arrives.
fn arrival(sent: Timestamp<Raw>) -> Timestamp<Raw> {
    sent + ONE_WAY * 2 + TURNAROUND
}

impl Rig {
    fn new(config: ClientConfig) -> Self {
        let mut entropy = Seeded::new(1);
        let now = Timestamp::from_epoch(Duration::from_secs(1000));
        Self {
            client: Client::new(config, now, &mut entropy),
            entropy,
            now,
        }
    }

    fn actions(&mut self) -> Vec<Action> {
        core::iter::from_fn(|| self.client.poll_action()).collect()
    }

    /// Lets time pass until the next request; panics on any other action.
    fn ask(&mut self) -> Asked {
        let (asked, others) = self.ask_amid();
        assert!(others.is_empty(), "{others:?}");
        asked
    }

    /// Lets time pass until the next request; what else happened is returned beside it.
    fn ask_amid(&mut self) -> (Asked, Vec<Action>) {
        let mut others = Vec::new();
        loop {
            let due = self.client.next_timeout().expect("a timer always runs");
            assert!(
                due >= self.now - Duration::from_secs(1),
                "no timer left behind"
            );
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now, &mut self.entropy);
            for action in self.actions() {
                match action {
                    Action::Send(request) => {
                        return (
                            Asked {
                                header: Header::parse(&request.payload).unwrap(),
                                token: request.token,
                                fresh_port: request.fresh_port,
                                at: self.now,
                            },
                            others,
                        );
                    }
                    other => others.push(other),
                }
            }
        }
    }

    /// The next request, sent and stamped by the kernel.
    fn ask_stamped(&mut self) -> (Header, Timestamp<Raw>) {
        let asked = self.ask();
        self.client
            .sent(&asked.token, Stamp::exact(asked.at, StampKind::Daemon));
        self.client.stamped(&asked.token, kernel(asked.at));
        self.client.stamps_ended(asked.token);
        (asked.header, asked.at)
    }

    /// Delivers `reply` at `at`.
    fn deliver(&mut self, reply: &Header, at: Timestamp<Raw>) -> Result<(), Rejection> {
        self.deliver_octets(&reply.to_bytes(), at)
    }

    fn deliver_octets(&mut self, octets: &[u8], at: Timestamp<Raw>) -> Result<(), Rejection> {
        self.now = self.now.max(at);
        self.client
            .handle_datagram(octets, Arrival::udp(kernel(at)), self.now)
    }

    /// One whole exchange in basic mode.
    fn exchange(&mut self) -> Exchange {
        let (request, sent) = self.ask_stamped();
        self.deliver(&reply(&request, sent), arrival(sent)).unwrap();
        only_exchange(self.actions())
    }

    /// Delivers what must be refused with `rejection`, and checks that nothing has changed.
    fn refuse(&mut self, reply: &Header, at: Timestamp<Raw>, rejection: Rejection) {
        self.refuse_octets(&reply.to_bytes(), at, rejection);
    }

    fn refuse_octets(&mut self, octets: &[u8], at: Timestamp<Raw>, rejection: Rejection) {
        let before = self.state();
        let rejected = self.client.statistics.rejected();
        assert_eq!(self.deliver_octets(octets, at), Err(rejection));
        assert_eq!(self.state(), before);
        assert_eq!(self.client.statistics.rejected(), rejected + 1);
    }

    /// All of the client's state but the statistics.
    fn state(&self) -> String {
        let Client {
            config,
            stamping,
            carriage,
            ptp_domain,
            timers,
            polling,
            interleaving,
            keeping,
            actions,
            statistics: _,
            next_serial,
            pending,
            last,
            foresight,
            reach,
            unanswered,
            reachable,
            port_bound,
            sequence,
        } = &self.client;
        format!(
            "{config:?} {stamping:?} {carriage:?} {ptp_domain} {sequence} {timers:?} {polling:?} {interleaving:?} {keeping:?} {actions:?} {next_serial} \
             {pending:?} {last:?} {foresight:?} {reach} {unanswered} {reachable} {port_bound}"
        )
    }
}

/// The exchange among `actions`, beside which there may be only news of reachability and
/// what is foreseen of another.
fn only_exchange(actions: Vec<Action>) -> Exchange {
    let mut exchanges = exchanges(actions);
    assert_eq!(exchanges.len(), 1);
    exchanges.remove(0)
}

/// The exchanges among `actions`, beside which there may be only news of reachability and
/// what is foreseen of others.
fn exchanges(actions: Vec<Action>) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for action in actions {
        match action {
            Action::Exchange(exchange) => exchanges.push(exchange),
            Action::Reachable(_) | Action::Foreseen(_) => {}
            other => panic!("{other:?}"),
        }
    }
    exchanges
}

/// The era pivot: any instant near enough.
fn pivot() -> Timestamp<Utc> {
    Timestamp::from_epoch(OFFSET)
}

/// Checks that an exchange measured the test's offset and delay, to the wire's resolution.
fn assert_true(exchange: &Exchange) {
    let measured = exchange.measure(pivot());
    assert!(
        (measured.offset - OFFSET).abs() <= Duration::from_nanos(1),
        "{measured:?}"
    );
    assert!(
        (measured.delay - ONE_WAY * 2).abs() <= Duration::from_nanos(1),
        "{measured:?}"
    );
}

/// An unsynchronised header: leap 3.
fn unsynchronized(header: Header) -> Header {
    Header {
        leap: Leap::Unsynchronized,
        ..header
    }
}
