//! Answers to a client's request, made of good and bad pieces.

use arbitrary::Arbitrary;
use clockwright_ntp::nts::SessionKeys;
use clockwright_ntp::over_ptp;

use crate::piece::{Damage, Few, Piece, Seal, Truth, Whose};

/// A server's packet, or what passes for one.
#[derive(Debug, Arbitrary)]
pub struct Answer {
    /// The first four octets, if they are not a server's.
    head: Option<[u8; 4]>,
    /// Is it of stratum 0?
    kiss: bool,
    distances: [u8; 8],
    reference: Reference,
    origin: Origin,
    /// When it was received and sent, if not as the request came.
    times: Option<[u64; 2]>,
    turnaround: u32,
    anonymous: bool,
    pieces: Vec<Piece>,
    /// Is it sealed as it should be, and with how many cookies?
    sealed: Option<Few>,
    damage: Damage,
    correction: i64,
}

#[derive(Debug, Arbitrary)]
enum Reference {
    Clock,
    Rate,
    Deny,
    Restrict,
    Nak,
    Any([u8; 4]),
}

/// Which request it names.
#[derive(Debug, Arbitrary)]
enum Origin {
    Basic,
    Interleaved,
    Any(u64),
}

/// A request that waits for its answer.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The NTP packet.
    pub packet: Vec<u8>,
    /// Its unique identifier and cookie, if it is authenticated.
    pub secured: Option<([u8; 32], Vec<u8>)>,
    /// What its transmit stamp would be on the wire of a server with the true time, s.
    pub seconds: u32,
}

impl Answer {
    /// Its octets; and whether a client could believe anything of them that believes nothing which
    /// is not sealed.
    pub fn packet(&self, asked: &Asked, keys: &SessionKeys) -> (Vec<u8>, bool) {
        let mut packet = self.header(asked);
        let (id, cookie) = asked.secured.clone().unwrap_or_default();
        let truth = Truth {
            id: &id,
            cookie: &cookie,
            keys,
        };
        if !self.anonymous {
            Piece::Id.write(&mut packet, &truth);
        }
        for piece in &self.pieces {
            piece.write(&mut packet, &truth);
        }
        if let Some(cookies) = self.sealed {
            Seal::of_server(cookies).write(&mut packet, &truth);
        }
        let whole = packet.clone();
        self.damage.apply(&mut packet);
        let of_server =
            |piece: &Piece| matches!(piece, Piece::Sealed(s) if s.whose == Whose::Server);
        let authentic =
            self.sealed.is_some() && packet == whole || self.pieces.iter().any(of_server);
        (packet, authentic)
    }

    fn header(&self, asked: &Asked) -> Vec<u8> {
        let mut packet = vec![0; 48];
        packet[..4].copy_from_slice(&self.head.unwrap_or([0x24, 1, 0, 0xe7]));
        packet[4..12].copy_from_slice(&self.distances);
        packet[12..16].copy_from_slice(match &self.reference {
            Reference::Clock => b"PPS\0",
            Reference::Rate => b"RATE",
            Reference::Deny => b"DENY",
            Reference::Restrict => b"RSTR",
            Reference::Nak => b"NTSN",
            Reference::Any(octets) => octets,
        });
        let origin = match self.origin {
            Origin::Basic => asked.packet[40..48].to_vec(),
            Origin::Interleaved => asked.packet[32..40].to_vec(),
            Origin::Any(any) => any.to_be_bytes().to_vec(),
        };
        packet[24..32].copy_from_slice(&origin);
        let came = u64::from(asked.seconds) << 32 | 0x1000_0001;
        let left = came.wrapping_add(u64::from(self.turnaround));
        for (at, time) in [32, 40].into_iter().zip(self.times.unwrap_or([came, left])) {
            packet[at..at + 8].copy_from_slice(&time.to_be_bytes());
        }
        if self.kiss {
            (packet[0], packet[1]) = (0xe4, 0);
        }
        packet
    }

    /// The same in a PTP message, if it can be carried.
    pub fn over_ptp(&self, packet: &[u8]) -> Vec<u8> {
        let mut message = over_ptp::wrap(packet, over_ptp::DEFAULT_DOMAIN, 1).unwrap_or_default();
        if let Some(correction) = message.get_mut(8..16) {
            correction.copy_from_slice(&self.correction.to_be_bytes());
        }
        message
    }
}
