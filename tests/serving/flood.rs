//! Requests from as many addresses as are wanted, as fast as is wanted.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use clockwright_ntp::{Header, Mode};
use serde::{Deserialize, Serialize};

use crate::actor;
use crate::support::directory::Directory;
use crate::support::network::Host;
use crate::support::process::Process;
use crate::wire::{BATCH, HEADERS, Wire, set_source};

/// Replies that have not come by then will not.
const LOST_AFTER: Duration = Duration::from_millis(100);
/// Where there is no room for more requests, for so long.
const PAUSE: Duration = Duration::from_micros(50);
/// The path of the part below.
const PART: &str = "flood::flood";

/// What to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Flood {
    /// To whom.
    pub(crate) server: Ipv4Addr,
    /// From this address, and from as many after it, by turns.
    pub(crate) first: Ipv4Addr,
    pub(crate) addresses: u32,
    /// Of those that use interleaved mode, as the server is to believe.
    pub(crate) interleaved: bool,
    /// So many requests; `None`: until it is killed.
    pub(crate) requests: Option<u64>,
    /// So many are under way at most; `None`: as fast as possible.
    pub(crate) window: Option<u64>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answers {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
}

impl Flood {
    /// On this host, to its end.
    #[track_caller]
    pub(crate) fn run(&self, host: &Host, directory: &Directory) -> Answers {
        actor::run(host, directory, PART, self)
    }

    /// On this host, until the process is dropped.
    pub(crate) fn start(&self, host: &Host, directory: &Directory) -> Process {
        actor::start(host, directory, PART, self)
    }

    fn send_all(&self) -> Answers {
        let mut wire = Wire::new(self.server);
        let mut batch: Vec<Vec<u8>> = (0..BATCH).map(|_| self.request(&wire)).collect();
        let (mut sent, mut answered, mut lost) = (0_u64, 0_u64, 0_u64);
        let mut heard = Instant::now();
        let all = self.requests.unwrap_or(u64::MAX);
        loop {
            let under_way = sent.saturating_sub(answered + lost);
            let room = self.window.unwrap_or(u64::MAX).saturating_sub(under_way);
            let count = room.min(all - sent).min(BATCH as u64);
            if count > 0 {
                let batch = &mut batch[..usize::try_from(count).expect("a small number")];
                for (number, packet) in (sent..).zip(&mut *batch) {
                    self.prepare(packet, number);
                }
                wire.send(batch.len(), |at| &batch[at]);
                sent += count;
            }
            let mut replies = 0;
            while wire.receive(|_| replies += 1) > 0 {}
            answered += replies;
            if replies > 0 || under_way == 0 {
                heard = Instant::now();
            } else if heard.elapsed() > LOST_AFTER {
                lost = sent.saturating_sub(answered);
            } else if self.window.is_some() {
                std::thread::sleep(PAUSE);
            }
            // Those that were given up may have been answered after all.
            if sent == all && answered + lost >= all {
                return Answers { sent, answered };
            }
        }
    }

    fn request(&self, wire: &Wire) -> Vec<u8> {
        let mut header = Header::zeroed(Mode::Client).to_bytes();
        if self.interleaved {
            // An odd origin is one that our server may have handed out, and the receive timestamp
            // differs from the transmit timestamp.
            header[31] = 1;
            header[39] = 1;
        }
        let mut packet = wire.headers(header.len()).to_vec();
        packet.extend(header);
        packet
    }

    fn prepare(&self, packet: &mut [u8], number: u64) {
        let client = number % u64::from(self.addresses);
        let client = u32::try_from(client).expect("a client's number");
        set_source(packet, Ipv4Addr::from_bits(self.first.to_bits() + client));
        packet[HEADERS + 40..HEADERS + 48].copy_from_slice(&(number << 1).to_be_bytes());
    }
}

#[test]
#[ignore = "other tests start it on their hosts"]
fn flood() {
    let flood: Flood = actor::task();
    actor::tell(&flood.send_all());
}
