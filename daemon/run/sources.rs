//! The configured sources: their names, their addresses, and the servers being asked.

use std::net::SocketAddr;

use clockwright_discipline::{SourceId, State};
use clockwright_ntp::{ClientConfig, Exchange, KissCode, PortPolicy, Rejection};
use clockwright_timebase::{Duration, Raw, Timestamp};
use tracing::info;

use super::fallback::Usual;
use super::naming::{Naming, choose};
use super::replace::{GivenUp, Patience};
use super::sessions::SavedSession;
use crate::config::{
    Config, Host, NtsSettings, PortChoice, SourceAddress, SourceConfig, SourceKind, SourceSettings,
};
use crate::measure::{Association, Instruments, Unresolved};
use crate::nts::client::CertificateProof;

/// One `[[source]]`: a server, or the members of a pool.
#[derive(Debug)]
pub(super) struct Source {
    /// As configured.
    pub(super) config: SourceConfig,
    /// How its name is looked up; `None` for a literal address.
    pub(super) naming: Option<Naming>,
    /// The servers being asked.
    pub(super) members: Vec<Member>,
    /// Addresses of a pool that have been of no use.
    given_up: GivenUp,
}

/// One server being asked.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name towards the discipline.
    pub(super) id: SourceId,
    /// The address that its name gave. The server of its keys may have named another one to ask.
    pub(super) found: SocketAddr,
    /// The protocol with it.
    pub(super) asked: Association,
    /// The establishment of its keys, if it is authenticated.
    pub(super) keys: Option<MemberKeys>,
    /// The last exchange, and its round trip.
    pub(super) last: Option<(Exchange, Duration)>,
    /// The kind of stamps that its exchanges have.
    pub(super) usual: Usual,
    /// The last kiss, until an exchange succeeds.
    pub(super) kiss: Option<KissCode>,
    /// The last reply that was of no use, until an exchange succeeds.
    pub(super) refused: Option<Rejection>,
    /// The last rejection ever.
    pub(super) last_rejection: Option<Rejection>,
    /// The last local failure.
    pub(super) last_error: Option<String>,
    /// The part it played when that was last logged.
    pub(super) logged: Option<State>,
    /// Of a member of a pool: how long it has been of no use.
    pub(super) patience: Patience,
}

/// The establishment of a server's keys.
#[derive(Debug)]
pub(super) struct MemberKeys {
    /// Where it takes place.
    pub(super) server: SocketAddr,
    /// Why it failed the last time; `None` since it succeeded.
    pub(super) error: Option<String>,
    /// What proved the server of keys; `None` without keys, and with those of an earlier run.
    pub(super) proof: Option<CertificateProof>,
    /// Is it in doubt whether its certificate is valid, since the clock may be wrong?
    pub(super) in_doubt: bool,
    /// Is it believed all the same, on the word of a majority?
    pub(super) vouched_for: bool,
    /// When they are established anew if they are in doubt still; `None` without keys.
    pub(super) renew_at: Option<Timestamp<Raw>>,
    /// Were the keys established before it was configured anew whom to trust?
    pub(super) trust_changed: bool,
}

impl Source {
    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        self.config.address.host.to_string()
    }

    /// A member's name in messages: the configured one, and the address where that says more.
    pub(super) fn member_name(&self, member: &Member) -> String {
        let server = member.asked.server();
        match &self.config.address.host {
            Host::Address(_) => server.ip().to_string(),
            Host::Name(name) => format!("{name} ({})", server.ip()),
        }
    }

    /// The members by their addresses, and which of them are to be replaced: those that are lost,
    /// and one at a time of those that answer and are of no use.
    fn present(&self) -> Vec<(SocketAddr, bool)> {
        let exhausted = |member: &&Member| member.patience.exhausted().is_some();
        let useless = self.members.iter().find(exhausted).map(|member| member.id);
        let members = self.members.iter();
        members
            .map(|member| {
                let leaves = member.is_lost() || Some(member.id) == useless;
                (member.found, leaves)
            })
            .collect()
    }

    /// Remembers those of the members that leave which were of no use, and says why.
    fn give_up(&mut self, leave: &[SocketAddr], now: Timestamp<Raw>) {
        for member in self.members.iter().filter(|m| leave.contains(&m.found)) {
            if let Some(why) = member.patience.exhausted() {
                self.given_up.add(member.found, now);
                info!(
                    "{}: replaced by another server of the pool: {why}",
                    self.member_name(member)
                );
            }
        }
    }

    /// How many members it should have.
    fn wanted(&self) -> usize {
        match self.config.address.kind {
            SourceKind::Server => 1,
            SourceKind::Pool => self.config.settings.pool_size as usize,
        }
    }
}

impl Member {
    /// Is there no hope in it: does it not answer, or refuse to serve?
    fn is_lost(&self) -> bool {
        let client = self.asked.client();
        let statistics = client.statistics();
        let asked = statistics.requests >= 8 || statistics.key_establishments >= KEY_ATTEMPTS;
        client.denied() || client.reach() == 0 && asked
    }
}

/// Keys that nobody has asked for in so long, four weeks, would be replaced at once.
const OLDEST_SESSION: Duration = Duration::from_secs(4 * 7 * 86_400);

/// Attempts to have keys established after which another address of the name is looked for.
const KEY_ATTEMPTS: u64 = 3;

/// The members that came and went with new addresses.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    /// To be made known to the discipline.
    pub(super) joined: Vec<SourceId>,
    /// To be forgotten by it.
    pub(super) left: Vec<SourceId>,
}

/// All sources, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Sources {
    list: Vec<Source>,
    /// Keys and cookies of an earlier run that nobody has taken yet.
    remembered: Vec<SavedSession>,
    /// Since when.
    remembered_at: Option<Timestamp<Raw>>,
    /// Ids given out so far. None is given twice.
    ids: u32,
}

impl Sources {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.list.iter()
    }

    /// The source with this address.
    pub(super) fn get_mut(&mut self, address: &SourceAddress) -> Option<&mut Source> {
        self.list.iter_mut().find(|s| s.config.address == *address)
    }

    /// All servers being asked.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.list.iter().flat_map(|source| &source.members)
    }

    /// All servers being asked.
    pub(super) fn members_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.list.iter_mut().flat_map(|source| &mut source.members)
    }

    /// What was kept of an earlier run's keys and cookies.
    pub(super) fn remember(&mut self, sessions: Vec<SavedSession>, now: Timestamp<Raw>) {
        self.remembered = sessions;
        self.remembered_at = Some(now);
    }

    /// Takes keys and cookies from all servers, to be kept for the next run. Nothing can be asked
    /// afterwards without new ones.
    pub(super) fn surrender(&mut self, now: Timestamp<Raw>) -> Vec<SavedSession> {
        let mut sessions = self.unclaimed(now);
        for source in &mut self.list {
            let (address, settings) = (&source.config.address, &source.config.settings);
            for member in &mut source.members {
                let session = member.asked.client_mut().surrender_session(now);
                // What is in doubt now must not be taken for proven by the next run.
                let proven = |keys: &&MemberKeys| !keys.in_doubt && !keys.trust_changed;
                let keys = member.keys.as_ref().filter(proven);
                if let (Some((session, age)), Some(keys)) = (session, keys) {
                    sessions.push(SavedSession {
                        name: address.host.to_string(),
                        key_server: keys.server,
                        server: member.asked.server(),
                        trust: settings.nts.as_ref().map_or_else(String::new, trust_of),
                        session,
                        age,
                    });
                }
            }
        }
        sessions
    }

    /// What nobody has taken, of sources that are still configured: the name may not have been
    /// looked up yet.
    fn unclaimed(&mut self, now: Timestamp<Raw>) -> Vec<SavedSession> {
        let since = self.remembered_at.map_or(Duration::ZERO, |at| now - at);
        let mut sessions = std::mem::take(&mut self.remembered);
        sessions.retain_mut(|saved| {
            saved.age += since;
            let is_its = |source: &Source| {
                let address = &source.config.address;
                let port = saved.key_server.port();
                address.ke_port == Some(port) && address.host.to_string() == saved.name
            };
            saved.age < OLDEST_SESSION && self.list.iter().any(is_its)
        });
        sessions
    }

    /// Does anybody but `id` ask this server?
    pub(super) fn is_asked_by_another(&self, id: SourceId, server: SocketAddr) -> bool {
        self.members()
            .filter(|member| member.id != id)
            .any(|member| member.asked.server() == server || member.found == server)
    }

    /// A name towards the discipline that nobody has had.
    pub(super) fn next_id(&mut self) -> SourceId {
        let id = SourceId(self.ids);
        self.ids = self.ids.wrapping_add(1);
        id
    }

    /// A server and the source it belongs to.
    pub(super) fn find(&self, id: SourceId) -> Option<(&Source, &Member)> {
        self.list.iter().find_map(|source| {
            let member = source.members.iter().find(|member| member.id == id)?;
            Some((source, member))
        })
    }

    /// A server.
    pub(super) fn member_mut(&mut self, id: SourceId) -> Option<&mut Member> {
        self.members_mut().find(|member| member.id == id)
    }

    /// Adds a source. A literal address is asked from now on; a name first has to be looked up.
    pub(super) fn add(
        &mut self,
        config: SourceConfig,
        now: Timestamp<Raw>,
        instruments: &mut Instruments,
    ) -> Turnover {
        let literal = match config.address.host {
            Host::Address(ip) => Some(SocketAddr::new(ip, config.address.port)),
            Host::Name(_) => None,
        };
        let address = config.address.clone();
        self.list.push(Source {
            naming: literal.is_none().then(|| Naming::new(now)),
            config,
            members: Vec::new(),
            given_up: GivenUp::default(),
        });
        match literal {
            Some(server) => self.adopt(&address, &[server], now, instruments),
            None => Turnover::default(),
        }
    }

    /// Removes a source; its sockets are closed.
    pub(super) fn remove(&mut self, address: &SourceAddress) -> Turnover {
        let mut turnover = Turnover::default();
        if let Some(at) = self.list.iter().position(|s| s.config.address == *address) {
            let gone = self.list.remove(at);
            turnover.left = gone.members.iter().map(|member| member.id).collect();
        }
        turnover
    }

    /// Gives a source other settings; what is known of its servers stays. A pool that grows looks
    /// for more, one that shrinks loses those that joined last.
    pub(super) fn alter(&mut self, config: &SourceConfig, now: Timestamp<Raw>) -> Turnover {
        let mut turnover = Turnover::default();
        let Some(source) = self.get_mut(&config.address) else {
            return turnover;
        };
        let trusts_others = source.config.settings.nts != config.settings.nts;
        source.config.settings = config.settings.clone();
        source.config.part = config.part.clone();
        let wanted = source.wanted();
        let surplus = source.members.len().min(wanted);
        turnover.left = source.members.drain(surplus..).map(|m| m.id).collect();
        if source.members.len() < wanted
            && let Some(naming) = &mut source.naming
        {
            naming.look_up_soon(now);
        }
        let client = client_config(&config.settings);
        for member in &mut source.members {
            member.asked.reconfigure(client);
            if let Some(keys) = member.keys.as_mut().filter(|_| trusts_others) {
                keys.trust_changed = true;
                member.asked.client_mut().renew_keys(now);
            }
        }
        turnover
    }

    /// The order of `order`, for reports.
    pub(super) fn sort_like(&mut self, order: &Config) {
        self.list.sort_by_key(|source| {
            order
                .servers()
                .position(|config| config.address == source.config.address)
        });
    }

    /// The addresses of a name have been found: takes as many servers as are wanted, and replaces
    /// those that are lost.
    pub(super) fn adopt(
        &mut self,
        address: &SourceAddress,
        found: &[SocketAddr],
        now: Timestamp<Raw>,
        instruments: &mut Instruments,
    ) -> Turnover {
        let mut turnover = Turnover::default();
        // Not those that a server of keys has named: it must not keep others from their addresses.
        let taken: Vec<SocketAddr> = self.members().map(|member| member.found).collect();
        let Some(source) = self.list.iter_mut().find(|s| s.config.address == *address) else {
            return turnover;
        };
        let present = source.present();
        let given_up = &source.given_up;
        let found = found.iter().copied();
        let found: Vec<SocketAddr> = found
            .filter(|address| !given_up.contains(*address, now))
            .collect();
        let (leave, join) = choose(source.wanted(), &present, &found, &taken);
        source.give_up(&leave, now);
        let mut paces = Vec::new();
        source.members.retain(|member| {
            let leaves = leave.contains(&member.found);
            if leaves {
                turnover.left.push(member.id);
                paces.extend(member.asked.client().key_pace());
            }
            !leaves
        });
        let settings = &source.config.settings;
        for found in join {
            let id = SourceId(self.ids);
            self.ids = self.ids.wrapping_add(1);
            let client = client_config(settings);
            let mut asked = Association::new(found, id.0, client, now, instruments);
            let keys = address.ke_port.map(|port| {
                let server = SocketAddr::new(found.ip(), port);
                let trust = settings.nts.as_ref().map_or_else(String::new, trust_of);
                let saved = take_remembered(&mut self.remembered, address, server, &trust);
                let keys = MemberKeys::secure(&mut asked, server, saved, now);
                if let Some(pace) = paces.pop() {
                    asked.client_mut().keep_key_pace(pace);
                }
                keys
            });
            // An earlier run may have had its keys from another address of the name; that is the one
            // to be replaced if it is lost.
            let found = keys.as_ref().map_or(found, |keys| {
                SocketAddr::new(keys.server.ip(), found.port())
            });
            source.members.push(Member {
                id,
                found,
                asked,
                keys,
                last: None,
                usual: Usual::default(),
                kiss: None,
                refused: None,
                last_rejection: None,
                last_error: None,
                logged: None,
                patience: Patience::default(),
            });
            turnover.joined.push(id);
        }
        turnover
    }

    /// What came of looking up a name, for when to look it up again.
    pub(super) fn looked_up(
        &mut self,
        address: &SourceAddress,
        failure: Option<&Unresolved>,
        replaced: bool,
        now: Timestamp<Raw>,
    ) {
        let Some(source) = self.get_mut(address) else {
            return;
        };
        let wanted = source.wanted();
        let complete = source.members.len() >= wanted;
        let lost = source.present().iter().any(|(_, lost)| *lost);
        let duplicate = source.members.is_empty() && failure.is_none();
        let Some(naming) = &mut source.naming else {
            return;
        };
        match failure {
            Some(failure) => naming.failed(failure.to_string(), now),
            None if duplicate => {
                let why = "all its addresses are already asked for other sources";
                naming.failed(why.to_owned(), now);
            }
            // One that takes another's place has yet to show that it is better: of two that do not
            // answer, each would follow the other at once.
            None => naming.succeeded(complete && !lost && !replaced, now),
        }
    }

    /// A server is lost: its name may stand for others by now.
    pub(super) fn silent(&mut self, id: SourceId, now: Timestamp<Raw>) {
        let source = self
            .list
            .iter_mut()
            .find(|s| s.members.iter().any(|m| m.id == id));
        if let Some(naming) = source.and_then(|source| source.naming.as_mut()) {
            naming.look_up_soon(now);
        }
    }

    /// The names whose time to be looked up has come. Each is given out once, and waited for until
    /// [`Sources::looked_up`].
    pub(super) fn due_names(&mut self, now: Timestamp<Raw>) -> Vec<SourceAddress> {
        self.list
            .iter_mut()
            .filter_map(|source| {
                let due = source.naming.as_mut()?.begin(now);
                due.then(|| source.config.address.clone())
            })
            .collect()
    }

    /// When the next server or name has something to do.
    pub(super) fn next_timeout(&self) -> Option<Timestamp<Raw>> {
        let names = self.list.iter().filter_map(|s| s.naming.as_ref()?.next());
        let servers = self
            .members()
            .filter_map(|member| member.asked.next_timeout());
        names.chain(servers).min()
    }

    /// The path or the clock is new: forgets what is under way with every server.
    pub(super) fn restart(&mut self, now: Timestamp<Raw>) {
        for member in self.members_mut() {
            member.asked.restart(now);
        }
    }
}

/// Whom keys were established in trust of, in words: those of an earlier run count only where that
/// is configured as it was then.
fn trust_of(nts: &NtsSettings) -> String {
    format!("{:?} dates {}", nts.trusted_certificates, nts.check_time)
}

/// The keys and cookies that an earlier run had of this source: those from this very server of keys
/// if there are any, else, of a source that is one server, those from another of its addresses.
fn take_remembered(
    remembered: &mut Vec<SavedSession>,
    address: &SourceAddress,
    server: SocketAddr,
    trust: &str,
) -> Option<SavedSession> {
    let name = address.host.to_string();
    let fits = |saved: &SavedSession| {
        let port = saved.key_server.port();
        saved.name == name && port == server.port() && saved.trust == trust
    };
    let same = remembered
        .iter()
        .position(|saved| fits(saved) && saved.key_server == server);
    let other = || match address.kind {
        SourceKind::Server => remembered.iter().position(fits),
        SourceKind::Pool => None,
    };
    same.or_else(other).map(|at| remembered.swap_remove(at))
}

impl MemberKeys {
    /// Begins to authenticate a server, with the keys and cookies of an earlier run if there are
    /// some.
    fn secure(
        asked: &mut Association,
        server: SocketAddr,
        saved: Option<SavedSession>,
        now: Timestamp<Raw>,
    ) -> Self {
        let mut keys = Self {
            server,
            error: None,
            proof: None,
            in_doubt: false,
            vouched_for: false,
            renew_at: None,
            trust_changed: false,
        };
        match saved {
            Some(saved) => {
                keys.server = saved.key_server;
                asked.resume(saved.session, saved.age, saved.server, now);
            }
            None => asked.secure(now),
        }
        keys
    }
}

/// How a server is asked.
pub(super) fn client_config(settings: &SourceSettings) -> ClientConfig {
    ClientConfig {
        interleaved: settings.interleaved,
        iburst: settings.iburst,
        poll_min: settings.poll.min,
        poll_max: settings.poll.max,
        ports: match settings.ports {
            PortChoice::PerRequest => PortPolicy::PerRequest,
            PortChoice::Sticky => PortPolicy::Sticky,
        },
        max_delay: settings.max_delay,
    }
}
