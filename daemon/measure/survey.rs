//! Asking some servers a few times: what `query` and `set` begin with.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clockwright_ntp::nts::{Algorithm, Session, ke};
use clockwright_ntp::{ClientConfig, Exchange, KissCode, Measurement, PortPolicy, Rejection};
use clockwright_sys::clock::raw_now;
use clockwright_timebase::{Duration, Poll, Raw, Timestamp, Utc};

use super::association::{Association, Event};
use super::failure::Failure;
use super::instruments::Instruments;
use super::keys::{NoKeys, find_keys};
use super::port::{Arrival, Wake, Wakes, Woken};
use super::ptp_port::PtpPorts;
use super::resolve::{Family, Unresolved, resolve};
use crate::clock::{Clock, EARLIEST, lower_bound, shown_at};
use crate::config::{NTP_PORT, ServerName, TimestampingConfig};
use crate::interfaces::{Access, Interfaces, Policy};
use crate::nts::client::{DatePolicy, KeOrder};

/// Between requests to servers of one's own network.
const AT_HOME: Poll = Poll::new(-2);
/// Between requests to others: the 2 s that ntpd's default rate limit lets pass (RFC 8633 section
/// 4.4 asks clients to be polite).
const ABROAD: Poll = Poll::new(1);
/// How long the last reply is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Requests to each server.
    pub count: u32,
    /// Use interleaved mode where the server offers it.
    pub interleaved: bool,
    /// Which addresses of names.
    pub family: Family,
    /// Authenticate the servers by NTS; their ports are those of the key establishment then.
    pub nts: Option<NtsPlan>,
}

/// How to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NtsPlan {
    /// Files with certificates that are trusted besides the system's.
    pub trusted_certificates: Vec<PathBuf>,
}

impl Plan {
    fn client_config(&self, server: IpAddr) -> ClientConfig {
        let spacing = if is_at_home(server) { AT_HOME } else { ABROAD };
        ClientConfig {
            interleaved: self.interleaved,
            iburst: false,
            poll_min: spacing,
            poll_max: spacing,
            ports: PortPolicy::PerRequest,
            max_delay: None,
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// The exchange.
    pub exchange: Exchange,
    /// What it says against the local oscillator.
    pub measured: Measurement,
    /// What it says must be added to the clock.
    pub offset: Duration,
}

/// Keys that were established.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeysTaken {
    /// With whom.
    pub server: SocketAddr,
    /// How long that took, s.
    pub took_s: f64,
    /// What they are keys of.
    pub algorithm: Algorithm,
    /// Cookies that came with them.
    pub cookies: usize,
    /// Octets of each.
    pub cookie_length: usize,
}

/// Why there is no measurement, or no further one.
#[derive(Debug)]
pub enum Trouble {
    /// The name has no address.
    Unresolved(Unresolved),
    /// Keys could not be established.
    NoKeys(NoKeys),
    /// Requests do not get there.
    Failed(Failure),
    /// The server does not want to be asked.
    Kiss(KissCode),
    /// It answers, but nothing that could be used.
    Refused(Rejection),
    /// Nothing came back.
    Silent,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(why) => why.fmt(f),
            Self::NoKeys(why) => why.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::Kiss(code @ KissCode::Rate) => {
                write!(f, "asks to be asked less often ({code}): try again later")
            }
            Self::Kiss(KissCode::NtsNak) => f.write_str(
                "gives keys and then does not accept its own cookie (NTSN): do the server of keys \
                 and the NTP server share their cookie keys?",
            ),
            Self::Kiss(code) => write!(f, "denies service ({code})"),
            Self::Refused(rejection) => rejection.fmt(f),
            Self::Silent => write!(
                f,
                "no answer within {:.0} s: it may be down, no NTP server, or a firewall drops \
                 UDP packets on the way",
                PATIENCE.as_secs_f64()
            ),
        }
    }
}

/// What came of asking one server.
#[derive(Debug)]
pub struct Answers {
    /// The server as it was named.
    pub name: ServerName,
    /// The address that was asked.
    pub address: Option<SocketAddr>,
    /// The keys it was asked with.
    pub keys: Option<KeysTaken>,
    /// The measurements, in their order.
    pub taken: Vec<Taken>,
    /// Requests sent.
    pub sent: u64,
    /// Replies believed.
    pub received: u64,
    /// What was amiss.
    pub trouble: Option<Trouble>,
}

/// Asks all servers at the same time. Offsets are those of `clock`, which is not touched. To be
/// called within the tokio runtime.
pub async fn survey(servers: &[ServerName], plan: &Plan, clock: &dyn Clock) -> Vec<Answers> {
    let (wakes, mut woken) = match Wakes::new() {
        Ok(both) => both,
        Err(error) => return unable(servers, &error),
    };
    // What others have set is used; to change it is not for somebody who only asks.
    let policy = Policy::new(TimestampingConfig::default());
    let interfaces = Interfaces::new(policy, Access::Look, raw_now());
    let mut instruments = Instruments::new(wakes, interfaces, PtpPorts::never());
    let found = find_all(servers, plan, clock.read().clock).await;
    let mut inquiries = Vec::with_capacity(servers.len());
    for (owner, (name, found)) in (0..).zip(found) {
        inquiries.push(Inquiry::new(name, found, owner, plan));
    }
    for inquiry in &mut inquiries {
        inquiry.begin(clock, &mut instruments);
    }
    while let Some(due) = inquiries.iter().filter_map(Inquiry::next).min() {
        let idle = clock.timescale().until(due, clock.timer_rate()).to_std();
        if let Some(arrival) = next_port(&mut woken, idle).await {
            let owner = arrival.port.owner;
            for inquiry in inquiries.iter_mut().filter(|i| i.owner == owner) {
                inquiry.handle_port(arrival, clock, &mut instruments);
            }
        }
        for inquiry in &mut inquiries {
            inquiry.handle_time(clock, &mut instruments);
        }
    }
    inquiries.into_iter().map(Inquiry::into_answers).collect()
}

/// No server can be asked.
fn unable(servers: &[ServerName], error: &io::Error) -> Vec<Answers> {
    let servers = servers.iter();
    servers
        .map(|name| Answers {
            name: name.clone(),
            address: None,
            keys: None,
            taken: Vec::new(),
            sent: 0,
            received: 0,
            trouble: Some(Trouble::Failed(Failure::Open(io::Error::new(
                error.kind(),
                error.to_string(),
            )))),
        })
        .collect()
}

/// Waits for a port with something to read, for `idle` at most.
async fn next_port(woken: &mut Woken, idle: std::time::Duration) -> Option<Arrival> {
    match tokio::time::timeout(idle, woken.next()).await {
        Ok(Some(Wake::Port(arrival))) => Some(arrival),
        Ok(Some(Wake::Timer) | None) | Err(_) => None,
    }
}

/// Where a server is asked, and with which keys.
struct Found {
    addresses: Vec<SocketAddr>,
    keys: Option<(Session, KeysTaken)>,
}

/// Where all servers are asked, found out at the same time. `now` is what their certificates are
/// judged by.
async fn find_all(
    servers: &[ServerName],
    plan: &Plan,
    now: Timestamp<Utc>,
) -> Vec<(ServerName, Result<Found, Trouble>)> {
    let lookups: Vec<_> = servers
        .iter()
        .cloned()
        .map(|name| (name.clone(), tokio::spawn(find(name, plan.clone(), now))))
        .collect();
    let mut all = Vec::with_capacity(lookups.len());
    for (name, lookup) in lookups {
        // It neither panics nor is it cancelled.
        let found = lookup.await;
        let found = found.unwrap_or(Err(Trouble::Unresolved(Unresolved::NoAnswer)));
        all.push((name, found));
    }
    all
}

/// Where one server is asked.
async fn find(name: ServerName, plan: Plan, now: Timestamp<Utc>) -> Result<Found, Trouble> {
    let addresses = resolve(&name.host, name.port, plan.family)
        .await
        .map_err(Trouble::Unresolved)?;
    let Some(nts) = plan.nts else {
        let keys = None;
        return Ok(Found { addresses, keys });
    };
    let mut trouble = Trouble::Silent;
    for mut address in addresses {
        if name.port == NTP_PORT {
            address.set_port(ke::PORT);
        }
        let order = KeOrder {
            address,
            name: name.host.clone(),
            trusted_certificates: nts.trusted_certificates.clone(),
            dates: DatePolicy::Check {
                lower_bound: lower_bound(None),
                provisional: false,
            },
            time: now,
            algorithms: Algorithm::ALL.to_vec(),
        };
        let begun = std::time::Instant::now();
        match find_keys(order, NTP_PORT).await {
            Err(failure) => trouble = Trouble::NoKeys(failure),
            Ok((established, server)) => {
                let session = established.session;
                let taken = KeysTaken {
                    server: address,
                    took_s: begun.elapsed().as_secs_f64(),
                    algorithm: session.keys.algorithm(),
                    cookies: session.cookies.len(),
                    cookie_length: session.cookies.first().map_or(0, |c| c.expose().len()),
                };
                return Ok(Found {
                    addresses: vec![server],
                    keys: Some((session, taken)),
                });
            }
        }
    }
    Err(trouble)
}

/// One server being asked.
struct Inquiry<'p> {
    owner: u32,
    plan: &'p Plan,
    answers: Answers,
    /// Keys that have not been used yet.
    session: Option<Session>,
    /// Addresses not tried yet.
    addresses: VecDeque<SocketAddr>,
    asked: Option<Association>,
    /// When no reply is waited for any more; known once the last request is out.
    deadline: Option<Timestamp<Raw>>,
}

impl<'p> Inquiry<'p> {
    fn new(name: ServerName, found: Result<Found, Trouble>, owner: u32, plan: &'p Plan) -> Self {
        let (addresses, keys, trouble) = match found {
            Ok(Found { addresses, keys }) => (addresses, keys, None),
            Err(trouble) => (Vec::new(), None, Some(trouble)),
        };
        let (session, keys) = keys.unzip();
        Self {
            owner,
            plan,
            session,
            answers: Answers {
                name,
                address: None,
                keys,
                taken: Vec::new(),
                sent: 0,
                received: 0,
                trouble,
            },
            addresses: addresses.into(),
            asked: None,
            deadline: None,
        }
    }

    /// Begins to ask at the next address, if there is one.
    fn begin(&mut self, clock: &dyn Clock, instruments: &mut Instruments) {
        self.asked = self.addresses.pop_front().map(|server| {
            self.answers.address = Some(server);
            let config = self.plan.client_config(server.ip());
            let now = clock.timescale().now();
            let mut asked = Association::new(server, self.owner, config, now, instruments);
            if let Some(session) = self.session.take() {
                asked.resume(session, Duration::ZERO, server, now);
            }
            asked
        });
        self.deadline = None;
    }

    /// When [`Inquiry::handle_time`] is to be called; `None` once all is done.
    fn next(&self) -> Option<Timestamp<Raw>> {
        let timer = self.asked.as_ref()?.next_timeout();
        timer.into_iter().chain(self.deadline).min()
    }

    fn handle_port(&mut self, arrival: Arrival, clock: &dyn Clock, instruments: &mut Instruments) {
        if let Some(asked) = &mut self.asked {
            asked.handle_port(arrival, instruments, clock);
        }
    }

    /// Does what is due, and notices when all is done.
    fn handle_time(&mut self, clock: &dyn Clock, instruments: &mut Instruments) {
        let Some(asked) = &mut self.asked else {
            return;
        };
        asked.handle_timeout(instruments, clock);
        let now = clock.timescale().now();
        let silenced = self.handle_events(clock);
        let Some(asked) = &mut self.asked else {
            return;
        };
        let client = asked.client();
        let requests = client.statistics().requests;
        if self.deadline.is_none() && requests >= u64::from(self.plan.count) {
            self.deadline = Some(now + PATIENCE);
            // The next request would be one too many.
            let config = ClientConfig {
                poll_min: Poll::MAX,
                poll_max: Poll::MAX,
                ..self.plan.client_config(asked.server().ip())
            };
            asked.reconfigure(config);
        }
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        let complete = self.deadline.is_some()
            && !asked.client().awaiting_reply()
            && asked.next_timeout().is_none_or(|due| due - now >= PATIENCE);
        if silenced || late || complete {
            self.end(clock, instruments);
        }
    }

    /// Takes in what happened; true if it makes no sense to go on with this address.
    fn handle_events(&mut self, clock: &dyn Clock) -> bool {
        let mut silenced = false;
        while let Some(event) = self.asked.as_mut().and_then(Association::poll_event) {
            match event {
                Event::Exchange(exchange) => self.answers.taken.push(take(&exchange, clock)),
                Event::Kiss(code) => {
                    silenced |= !matches!(code, KissCode::Other(_));
                    self.answers.trouble = Some(Trouble::Kiss(code));
                }
                Event::Unusable(rejection) | Event::Refused(rejection) => {
                    if !matches!(self.answers.trouble, Some(Trouble::Kiss(_))) {
                        self.answers.trouble = Some(Trouble::Refused(rejection));
                    }
                }
                Event::Failed(failure) => {
                    silenced |= self.answers.taken.is_empty();
                    self.answers.trouble = Some(Trouble::Failed(failure));
                }
                // All cookies are used up: none of that many requests was answered.
                Event::KeysWanted => silenced = true,
                Event::Foreseen(_) | Event::Reachable(_) | Event::Doubted(_) => {}
            }
        }
        silenced
    }

    /// Ends with this address; goes on with the next one if it gave nothing for a reason of its
    /// own.
    fn end(&mut self, clock: &dyn Clock, instruments: &mut Instruments) {
        if let Some(asked) = self.asked.take() {
            let statistics = asked.client().statistics();
            self.answers.sent += statistics.requests - statistics.send_failures;
            self.answers.received += statistics.basic_replies + statistics.interleaved_replies;
        }
        let unreachable = matches!(self.answers.trouble, Some(Trouble::Failed(_)));
        if unreachable && self.answers.taken.is_empty() && !self.addresses.is_empty() {
            self.begin(clock, instruments);
        }
    }

    fn into_answers(self) -> Answers {
        let mut answers = self.answers;
        if !answers.taken.is_empty() {
            answers.trouble = None;
        } else if answers.trouble.is_none() {
            answers.trouble = Some(Trouble::Silent);
        }
        answers
    }
}

/// What an exchange says of `clock`.
fn take(exchange: &Exchange, clock: &dyn Clock) -> Taken {
    let reading = clock.read();
    let measured = exchange.measure(reading.clock.max(EARLIEST));
    // An interleaved exchange is as old as the time between requests, and the clock may have been
    // running at another rate than the oscillator since.
    let shown = shown_at(reading, clock.rate(), measured.at);
    Taken {
        exchange: *exchange,
        measured,
        offset: measured.offset - (shown.since_epoch() - measured.at.since_epoch()),
    }
}

/// Is it on this host or on a network that is nobody else's?
fn is_at_home(server: IpAddr) -> bool {
    match server.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ones_own_network_is_asked_in_quick_succession() {
        let at_home = |text: &str| is_at_home(text.parse().unwrap());
        for near in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "192.168.1.1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(at_home(near), "{near}");
        }
        for far in ["192.0.2.1", "2001:db8::1", "172.32.0.1", "::ffff:192.0.2.1"] {
            assert!(!at_home(far), "{far}");
        }
    }
}
