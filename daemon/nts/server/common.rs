//! What all connections have in common: the terms, the certificates, the cookie keys, the counts.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clockwright_ntp::Entropy;
use clockwright_ntp::nts::ke::server::{Accepted, response};
use clockwright_ntp::nts::{COOKIES, CookieJar, CookieKeys, LONGEST_COOKIE, SessionKeys};
use clockwright_sys::clock::raw_now;
use clockwright_timebase::{Raw, Timestamp};
use tokio::task::AbortHandle;
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

use super::counts::{KeServerCounts, Refusal, count};
use super::crowd::{Crowd, Member, ONE_ADDRESS};
use super::turns::Turns;
use crate::measure::OsEntropy;
use crate::run::Limiter;
use crate::serve::access::Access;
use crate::serve::rate::{Bucket, ClientTable, Limit, Verdict, micros};

/// So many clients are remembered for their rates.
const REMEMBERED: u32 = 4096;
/// Under which connections are taken, and where clients are sent.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// Who may ask.
    pub(super) access: Access,
    /// The NTP server, if it is another host than this.
    pub(super) ntp_server: Option<String>,
    /// Its port.
    pub(super) ntp_port: u16,
    /// Connections at a time.
    pub(super) most: usize,
    /// Connections of one address at a time.
    pub(super) most_per_address: u32,
    /// How often one client may connect; `None`: as often as it likes.
    pub(super) rate: Option<Limit>,
}

/// Shared by the listeners and their connections. The lock is held for microseconds, and never
/// while anything is waited for.
#[derive(Debug)]
pub(super) struct Common {
    inner: Mutex<Inner>,
    turns: Turns,
}

struct Inner {
    terms: Terms,
    tls: Option<Arc<rustls::ServerConfig>>,
    jar: CookieJar,
    entropy: OsEntropy,
    crowd: Crowd,
    clients: ClientTable,
    counts: KeServerCounts,
    limiter: Limiter,
}

impl Inner {
    /// Takes in a connection at `now`, and gives its number and those that had to make room for it.
    fn enter(&mut self, peer: IpAddr, now: Timestamp<Raw>) -> Result<(u64, Vec<Member>), Refusal> {
        if !self.terms.access.allows(peer) {
            return Err(Refusal::NotAllowed);
        }
        let client = ONE_ADDRESS.client(peer);
        let now_us = micros(now);
        let rate = self.terms.rate.as_ref();
        // This limit leaks nothing: a connection has been agreed on by both ends, so its address is
        // not forged, and what is refused costs no handshake. There is nothing to be random about.
        let seat = self.clients.expect(client);
        let verdict = self.clients.note(seat, Bucket::Open, now_us, rate, 0);
        if verdict != Verdict::Answer {
            return Err(Refusal::TooFast);
        }
        let entered = self.crowd.enter(peer);
        entered.map_err(|_| Refusal::TooManyFromAddress)
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// A connection's place among the others. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    common: Arc<Common>,
    number: u64,
    peer: IpAddr,
}

impl Place {
    /// What it shares with the others.
    pub(super) fn common(&self) -> &Common {
        &self.common
    }

    /// Whose connection it is.
    pub(super) const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Its number.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.common.lock().crowd.leave(self.number);
    }
}

impl Common {
    /// Nobody is connected yet, and nobody can shake hands.
    pub(super) fn new(terms: Terms, keys: &CookieKeys) -> Self {
        let inner = Inner {
            crowd: Crowd::new(terms.most, terms.most_per_address),
            clients: ClientTable::new(REMEMBERED),
            terms,
            tls: None,
            jar: CookieJar::new(keys),
            entropy: OsEntropy::new(),
            counts: KeServerCounts::default(),
            limiter: Limiter::default(),
        };
        Self {
            inner: Mutex::new(inner),
            turns: Turns::new(),
        }
    }

    /// A panic elsewhere leaves nothing half done in here that could do harm.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In which connections go on.
    pub(super) const fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Other terms and certificates, from the next connection on.
    pub(super) fn reconfigure(&self, terms: Terms, tls: Option<Arc<rustls::ServerConfig>>) {
        let mut inner = self.lock();
        inner.crowd.limit(terms.most, terms.most_per_address);
        inner.terms = terms;
        inner.tls = tls;
    }

    /// Other certificates, from the next connection on.
    pub(super) fn set_tls(&self, tls: Arc<rustls::ServerConfig>) {
        self.lock().tls = Some(tls);
    }

    /// Other cookie keys, from the next request on.
    pub(super) fn set_keys(&self, keys: &CookieKeys) {
        self.lock().jar = CookieJar::new(keys);
    }

    /// The certificates and how TLS is to be spoken.
    pub(super) fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.lock().tls.clone()
    }

    /// What has become of the connections.
    pub(super) fn counts(&self) -> KeServerCounts {
        let inner = self.lock();
        KeServerCounts {
            open: u32::try_from(inner.crowd.len()).unwrap_or(u32::MAX),
            ..inner.counts
        }
    }

    /// Finds a place for a new connection, if its peer may have one.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let entered = {
            let mut inner = self.lock();
            count(&mut inner.counts.accepted);
            inner.enter(peer, raw_now())
        };
        match entered {
            Ok((number, displaced)) => {
                for member in displaced {
                    self.displace(&member);
                }
                let common = Arc::clone(self);
                Some(Place {
                    common,
                    number,
                    peer,
                })
            }
            Err(refusal) => {
                self.refuse(peer, &refusal);
                None
            }
        }
    }

    /// Says how the connection with this number can be ended, should it have to make room.
    pub(super) fn is_attended(&self, number: u64, task: AbortHandle) {
        self.lock().crowd.attend(number, task);
    }

    fn displace(&self, member: &Member) {
        member.end();
        self.refuse(member.peer, &Refusal::TooMany);
    }

    /// A TLS handshake was completed.
    pub(super) fn count_handshake(&self) {
        count(&mut self.lock().counts.handshakes);
    }

    /// A request was answered with cookies.
    pub(super) fn count_established(&self) {
        count(&mut self.lock().counts.established);
    }

    /// A connection came to nothing: counts that, and logs some of them.
    pub(super) fn refuse(&self, peer: IpAddr, refusal: &Refusal) {
        let kind = match refusal {
            Refusal::NotAllowed => "denied",
            Refusal::TooMany => "crowded",
            Refusal::TooManyFromAddress => "crowded by one",
            Refusal::TooFast => "too fast",
            _ => "refused",
        };
        let (leave, most) = {
            let mut inner = self.lock();
            inner.counts.refuse(refusal);
            (inner.limiter.leave(kind, raw_now()), inner.terms.most)
        };
        let Some(leave) = leave else {
            return;
        };
        match refusal {
            Refusal::NotAllowed => {
                info!("{peer} asks for NTS keys and is not in server.allow: not answered{leave}");
            }
            Refusal::TooMany => warn!(
                "more than {most} connections for NTS keys at once: the oldest, from {peer}, was \
                 closed. If these are honest clients, raise server.nts.max_connections{leave}"
            ),
            Refusal::TooManyFromAddress => info!(
                "{peer} has too many connections for NTS keys open: another one was closed. If \
                 many clients share its address, raise \
                 server.nts.max_connections_per_address{leave}"
            ),
            Refusal::TooFast => info!(
                "{peer} asks for NTS keys too often: the connection was closed. If many clients \
                 share its address, raise the burst of server.nts.connection_rate{leave}"
            ),
            _ => debug!("{peer} asks for NTS keys in vain: {refusal}{leave}"),
        }
    }

    /// A connection could not be accepted, through no fault of the client's.
    pub(super) fn tell_of_failure(&self, error: &std::io::Error) {
        let leave = self.lock().limiter.leave("accept", raw_now());
        if let Some(leave) = leave {
            warn!("connections for NTS keys cannot be accepted: {error}{leave}");
        }
    }

    /// The answer to a request, with cookies for these keys; `None` if no cookie can be made.
    pub(super) fn answer(
        &self,
        accepted: Accepted,
        session: &SessionKeys,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let entropy: &mut dyn Entropy = &mut inner.entropy;
        let mut cookies = Vec::with_capacity(COOKIES);
        for _ in 0..COOKIES {
            let mut room = Zeroizing::new([0; LONGEST_COOKIE]);
            let length = inner.jar.make(session, entropy, room.as_mut_slice())?;
            cookies.push(Zeroizing::new(room.get(..length)?.to_vec()));
        }
        let server = inner.terms.ntp_server.as_deref();
        Some(response(accepted, server, inner.terms.ntp_port, cookies))
    }
}
