//! NTP over PTP (RFC 10030): one port for those we ask and for those who ask us.

use clockwright_discipline::SourceId;
use clockwright_ntp::{Mode, SystemVariables, over_ptp};
use clockwright_sys::clock::raw_now;
use clockwright_sys::socket::{ErrorQueue, Message, QueueItem, RecvBatch};
use tracing::{info, warn};

use super::daemon::Daemon;
use super::desk::{Answering, Carried};
use super::stamping::Stamper;
use crate::clock::Window;
use crate::config::{PtpTransport, ServerConfig};
use crate::measure::{Failure, PortId};

/// Datagrams and stamps taken from the kernel at once.
const BATCH: usize = 16;
/// Longest message looked at, octets: what fits into one packet everywhere.
const PAYLOAD: usize = 1280;
/// Batches read before the rest of the daemon has its turn.
const ROUNDS: usize = 8;
/// Octets of a looped-back packet that are kept: it is known by its number, not by its content.
const FRAME: usize = 128;

/// Buffers for what comes to the port.
#[derive(Debug)]
pub(super) struct PtpInbox {
    messages: RecvBatch,
    queue: ErrorQueue,
}

impl PtpInbox {
    pub(super) fn new() -> Self {
        Self {
            messages: RecvBatch::new(BATCH, PAYLOAD),
            queue: ErrorQueue::new(BATCH, FRAME),
        }
    }
}

impl Daemon {
    /// Opens the port where it is to be served on: where that is demanded, or where a NIC stamps
    /// nothing else on arrival.
    pub(super) fn serve_over_ptp(&mut self) {
        let demanded = match self.instruments.ptp.choice() {
            PtpTransport::Always => true,
            PtpTransport::Auto => self.instruments.interfaces.any_ptp_only(),
            PtpTransport::Never => false,
        };
        let Some(server) = self.config.server.as_ref().filter(|_| demanded) else {
            return;
        };
        let families: Vec<bool> = [false, true]
            .into_iter()
            .filter(|ipv6| server.listen.iter().any(|at| at.is_ipv6() == *ipv6))
            .collect();
        for ipv6 in families {
            if !self.instruments.ptp.is_usable(ipv6, raw_now()) {
                continue;
            }
            let was_open = self.instruments.ptp.is_open(ipv6);
            match self.instruments.open_ptp(ipv6) {
                Ok(_) if was_open => {}
                Ok(_) => info!(
                    "serving NTP over PTP too, on UDP port {} ({})",
                    over_ptp::PORT,
                    if ipv6 { "IPv6" } else { "IPv4" }
                ),
                Err(error) => {
                    if self.instruments.ptp.is_news(ipv6) {
                        warn!("serving without NTP over PTP: {}", Failure::PtpPort(error));
                    }
                }
            }
        }
    }

    /// Reads what has arrived at the port: transmit stamps first, so that a reply finds its request
    /// stamped.
    pub(super) fn handle_ptp_port(&mut self, id: PortId) {
        let Some(mut inbox) = self.ptp_inbox.take() else {
            return;
        };
        let mut rounds = 0;
        while rounds < ROUNDS && self.read_ptp(id, &mut inbox) {
            rounds += 1;
        }
        if rounds == ROUNDS
            && let Some(port) = self.instruments.ptp.get(id)
        {
            port.read_more_later();
        }
        self.ptp_inbox = Some(inbox);
        let all: Vec<SourceId> = self.sources.members().map(|member| member.id).collect();
        for id in all {
            if let Some(member) = self.sources.member_mut(id) {
                member
                    .asked
                    .carry_out(&mut self.instruments, self.clock.as_ref());
            }
            self.handle_events(id);
        }
    }

    /// Reads a batch of stamps and one of messages; true if there may be more.
    fn read_ptp(&mut self, id: PortId, inbox: &mut PtpInbox) -> bool {
        let Some(port) = self.instruments.ptp.get(id) else {
            return false;
        };
        // Errors here are the network's, about somebody's packet, and say nothing to us.
        let stamps = port.socket().recv_tx_stamps(&mut inbox.queue).unwrap_or(0);
        let messages = port.socket().recv(&mut inbox.messages).unwrap_or(0);
        if stamps == 0 && messages == 0 {
            return false;
        }
        let window = self.clock.window();
        if stamps > 0 {
            self.take_ptp_stamps(id, &inbox.queue, &window);
        }
        if messages > 0 {
            self.take_ptp_messages(id, &inbox.messages, &window);
        }
        stamps == BATCH || inbox.messages.is_full()
    }

    /// Gives stamps to those whose packets they are of.
    fn take_ptp_stamps(&mut self, id: PortId, queue: &ErrorQueue, window: &Window) {
        for item in queue.items() {
            let QueueItem::Stamp(stamp) = item else {
                continue;
            };
            let interfaces = &mut self.instruments.interfaces;
            let mut members = self.sources.members_mut();
            if let Some(member) = members.find(|m| m.asked.awaits_over_ptp(id, stamp.id)) {
                member.asked.handle_ptp_stamp(&stamp, interfaces, window);
            } else {
                let mut stamper = Stamper {
                    clock: self.clock.as_ref(),
                    interfaces,
                };
                let desk = &mut self.serving.desk;
                desk.stamped(id, &stamp, &mut stamper, window);
            }
        }
    }

    /// Gives messages to those who asked, and answers the others.
    fn take_ptp_messages(&mut self, id: PortId, batch: &RecvBatch, window: &Window) {
        let mut variables = None;
        for message in batch.messages() {
            let domain = self.instruments.ptp.domain();
            // PTP's own messages come here, too.
            let Ok(read) = over_ptp::unwrap(message.payload, domain) else {
                continue;
            };
            match read.packet.first().map(|flags| Mode::from_bits(*flags)) {
                Some(Mode::Server) => self.take_ptp_reply(&message, window),
                Some(Mode::Client | Mode::SymmetricActive) => {
                    if self.config.server.is_none() {
                        continue;
                    }
                    let said = *variables.get_or_insert_with(|| {
                        self.about(self.clock.read()).variables(self.active_local())
                    });
                    self.answer_over_ptp(id, &message, read, &said, window);
                }
                _ => {}
            }
        }
    }

    fn take_ptp_reply(&mut self, message: &Message<'_>, window: &Window) {
        let interfaces = &mut self.instruments.interfaces;
        let mut members = self.sources.members_mut();
        if let Some(member) = members.find(|member| member.asked.is_over_ptp_at(message.source)) {
            member.asked.handle_ptp_message(message, interfaces, window);
        }
    }

    fn answer_over_ptp(
        &mut self,
        id: PortId,
        message: &Message<'_>,
        request: over_ptp::Message<'_>,
        variables: &SystemVariables,
        window: &Window,
    ) {
        let carried = Carried {
            request,
            domain: self.instruments.ptp.domain(),
            sequence: self.instruments.ptp.next_sequence(),
        };
        let (Some(config), Some(port)) = (&self.config.server, self.instruments.ptp.get(id)) else {
            return;
        };
        if !is_served(message, config) {
            return;
        }
        let policy = self.serving.policy();
        let mut answering = Answering {
            stamper: Stamper {
                clock: self.clock.as_ref(),
                interfaces: &mut self.instruments.interfaces,
            },
            variables,
            access: &policy.access,
            entropy: &mut self.instruments.entropy,
        };
        let denied = self
            .serving
            .desk
            .answer(port, message, carried, &mut answering, window);
        if let Some(address) = denied {
            self.tell_of_denial(address);
        }
    }
}

/// Did the request come to an address that is served on? The port is open for all of them.
fn is_served(message: &Message<'_>, config: &ServerConfig) -> bool {
    let Some(local) = message.local else {
        return false;
    };
    let mut addresses = config.listen.iter().map(std::net::SocketAddr::ip);
    addresses.any(|ip| ip == local.ip || ip.is_unspecified() && ip.is_ipv4() == local.ip.is_ipv4())
}
