//! The port of PTP event messages, which all sources and the server share for NTP over PTP.
//!
//! RFC 10030 has both ends send from and to port 319, because NICs recognise PTP by it. So there is
//! one socket a family for everybody, opened when somebody first wants it and closed when nobody
//! does any more: ptp4l may want the port too.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clockwright_ntp::over_ptp::{DEFAULT_DOMAIN, PORT};
use clockwright_sys::socket::{Options, Stamping};
use clockwright_timebase::{Duration, Raw, Timestamp};

use super::port::{Port, PortId, Wakes};
use crate::config::PtpTransport;

/// The owner of these ports: no source has this number, nor have the servers' ports.
pub const OWNER: u32 = u32::MAX - 1;
/// A port that could not be opened is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(300);
/// A port that nobody has sent from for this long is closed.
const IDLE: Duration = Duration::from_secs(30);

/// The ports of both families, and what the configuration says about them.
#[derive(Debug)]
pub struct PtpPorts {
    choice: PtpTransport,
    domain: u8,
    v4: Side,
    v6: Side,
    opened: u32,
    sequence: u16,
}

/// The port of one family.
#[derive(Debug, Default)]
struct Side {
    port: Option<(Port, Stamping)>,
    /// When it could not be opened.
    failed: Option<Timestamp<Raw>>,
    /// Has that been told?
    told: bool,
    /// When it was last wanted.
    used: Option<Timestamp<Raw>>,
}

impl PtpPorts {
    /// None is open yet.
    pub fn new(choice: PtpTransport, domain: u8) -> Self {
        Self {
            choice,
            domain,
            v4: Side::default(),
            v6: Side::default(),
            opened: 0,
            sequence: 0,
        }
    }

    /// For those who must leave the port to others.
    pub fn never() -> Self {
        Self::new(PtpTransport::Never, DEFAULT_DOMAIN)
    }

    /// Takes over a changed configuration.
    pub fn reconfigure(&mut self, choice: PtpTransport, domain: u8) {
        self.domain = domain;
        if choice != self.choice {
            self.choice = choice;
            for side in [&mut self.v4, &mut self.v6] {
                (side.failed, side.told) = (None, false);
            }
            if choice == PtpTransport::Never {
                (self.v4.port, self.v6.port) = (None, None);
            }
        }
    }

    /// When NTP is to go over PTP.
    pub const fn choice(&self) -> PtpTransport {
        self.choice
    }

    /// The PTP domain of the messages.
    pub const fn domain(&self) -> u8 {
        self.domain
    }

    /// The number of the next reply.
    pub const fn next_sequence(&mut self) -> u16 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Is the port open, or worth an attempt to open it?
    pub fn is_usable(&self, ipv6: bool, now: Timestamp<Raw>) -> bool {
        let side = if ipv6 { &self.v6 } else { &self.v4 };
        let lately = |failed: Timestamp<Raw>| now - failed < TRY_AGAIN;
        side.port.is_some() || !side.failed.is_some_and(lately)
    }

    /// The port, opened if need be. A socket that stamps otherwise than `stamping` says is replaced.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(
        &mut self,
        ipv6: bool,
        stamping: Stamping,
        wakes: &Wakes,
        now: Timestamp<Raw>,
    ) -> io::Result<&Port> {
        let any: IpAddr = if ipv6 {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        let side = self.side(ipv6);
        side.used = Some(now);
        // One that stamps otherwise goes first: the two could not have the port at the same time.
        let open = side.port.take().filter(|(_, stamps)| *stamps == stamping);
        let open = match open {
            Some(open) => open,
            None => (self.open_anew(any, stamping, wakes, now)?, stamping),
        };
        Ok(&self.side(ipv6).port.insert(open).0)
    }

    fn open_anew(
        &mut self,
        any: IpAddr,
        stamping: Stamping,
        wakes: &Wakes,
        now: Timestamp<Raw>,
    ) -> io::Result<Port> {
        self.opened = self.opened.wrapping_add(1);
        let id = PortId {
            owner: OWNER,
            serial: self.opened,
        };
        // Not shared with others (SO_REUSEADDR): the kernel would give each packet to only one of
        // them, and it might be the wrong one.
        let options = Options {
            stamping,
            ..Options::new(SocketAddr::new(any, PORT))
        };
        let opened = Port::open(id, &options, wakes);
        let side = self.side(any.is_ipv6());
        side.failed = opened.is_err().then_some(now);
        side.told &= opened.is_err();
        opened
    }

    /// The port could not be opened: has that still to be told? Says so once, until it can be.
    pub const fn is_news(&mut self, ipv6: bool) -> bool {
        !std::mem::replace(&mut self.side(ipv6).told, true)
    }

    /// Is the port open?
    pub const fn is_open(&self, ipv6: bool) -> bool {
        let side = if ipv6 { &self.v6 } else { &self.v4 };
        side.port.is_some()
    }

    /// The open port of this name.
    pub fn get(&self, id: PortId) -> Option<&Port> {
        let open = [&self.v4.port, &self.v6.port].into_iter().flatten();
        open.map(|(port, _)| port).find(|port| port.id() == id)
    }

    const fn side(&mut self, ipv6: bool) -> &mut Side {
        if ipv6 { &mut self.v6 } else { &mut self.v4 }
    }

    /// Closes ports that nobody has sent from for a while.
    pub fn close_idle(&mut self, now: Timestamp<Raw>) {
        for side in [&mut self.v4, &mut self.v6] {
            if side.used.is_some_and(|used| now - used > IDLE) {
                side.port = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp<Raw> {
        Timestamp::from_epoch(Duration::from_secs(secs))
    }

    #[test]
    fn a_port_that_cannot_be_had_is_left_alone_for_a_while() {
        let mut ports = PtpPorts::new(PtpTransport::Auto, 123);
        assert!(ports.is_usable(false, at(0)));
        ports.v4.failed = Some(at(10));
        assert!(!ports.is_usable(false, at(300)));
        assert!(
            ports.is_usable(true, at(300)),
            "the other family's may be free"
        );
        assert!(ports.is_usable(false, at(310)));
        ports.reconfigure(PtpTransport::Always, 5);
        assert!(ports.is_usable(false, at(11)), "asked for anew");
        assert!(ports.is_news(true) && !ports.is_news(true), "told once");
        assert_eq!((ports.choice(), ports.domain()), (PtpTransport::Always, 5));
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut ports = PtpPorts::never();
        ports.sequence = u16::MAX;
        assert_eq!(ports.next_sequence(), 0);
    }
}
