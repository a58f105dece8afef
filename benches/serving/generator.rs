//! The other side: all the clients, in a process of its own in their namespace.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use clockwright_ntp::nts::Session;
use serde::{Deserialize, Serialize};

use crate::clients::Clients;
use crate::common::helper;
use crate::common::keys::establish_keys;
use crate::kind::Form;
use crate::load::{self, Outcome, Pace};
use crate::wire::Wire;

/// The program's first argument where it is to be the generator; the second is the authority's
/// file.
pub(crate) const ARGUMENT: &str = "generate";

/// Every server is asked for so long at least before it is measured.
const WARMING: Duration = Duration::from_millis(100);
/// Each client asks so often before the interleaved mode is measured: its first reply cannot be
/// interleaved, and some servers remember only from the second request on.
const EXCHANGES: u64 = 3;
/// Gives up warming after so long.
const LONGEST_WARMING: Duration = Duration::from_secs(20);

/// Something to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Be new clients of a server, and ask it until everything is warm.
    Warm(Order),
    /// Ask the same server, this fast and long.
    Ask { pace: Pace, seconds: f64 },
}

/// Which clients to be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) server: Ipv4Addr,
    pub(crate) form: Form,
    /// The server gives back what it gets.
    pub(crate) is_echo: bool,
    /// With whom keys are established, where they are needed and have not been yet.
    pub(crate) keys_of: Ipv4Addr,
    /// How many clients.
    pub(crate) addresses: u32,
    /// Requests under way when warming, and at most.
    pub(crate) window: usize,
    pub(crate) most: usize,
}

/// Does what it is told until there is nothing more.
pub(crate) fn run(authority: &Path) {
    let mut sessions = BTreeMap::new();
    let mut ready: Option<(Clients, Wire)> = None;
    helper::obey(|command: Command| match command {
        Command::Warm(order) => {
            let (mut clients, mut wire) = prepare(&order, &mut sessions, authority);
            let outcome = warm(&mut clients, &mut wire, &order);
            ready = Some((clients, wire));
            outcome
        }
        Command::Ask { pace, seconds } => {
            let (clients, wire) = ready.as_mut().expect("clients that are warm");
            let time = Duration::from_secs_f64(seconds);
            load::run(clients, wire, pace, time, u64::MAX)
        }
    });
}

fn prepare(
    order: &Order,
    sessions: &mut BTreeMap<(Ipv4Addr, u16), Session>,
    authority: &Path,
) -> (Clients, Wire) {
    let session = match order.form {
        Form::Plain | Form::Interleaved => None,
        Form::Nts(aead) => {
            let server = order.keys_of;
            let session = sessions.entry((server, aead)).or_insert_with(|| {
                let session = establish_keys(IpAddr::V4(server), aead, authority, 1);
                session.expect("keys")
            });
            Some(&*session)
        }
    };
    let wire = Wire::new(order.server);
    let numbers = (order.addresses, order.most);
    let clients = Clients::new(order.form, &wire, numbers, session, order.is_echo);
    (clients, wire)
}

fn warm(clients: &mut Clients, wire: &mut Wire, order: &Order) -> Outcome {
    let pace = Pace::Closed(order.window);
    let outcome = load::run(clients, wire, pace, WARMING, u64::MAX);
    if order.form != Form::Interleaved || order.is_echo {
        return outcome;
    }
    let requests = EXCHANGES * u64::from(order.addresses);
    let requests = requests.saturating_sub(outcome.answered);
    load::run(clients, wire, pace, LONGEST_WARMING, requests)
}
