//! Asking the kernel by netlink, and reading what it sends.

use std::io;

use netlink_packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer,
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};

/// The kernel's address.
const KERNEL: u32 = 0;

/// How often a listing is begun again when what it lists changed under it.
const ATTEMPTS: usize = 10;

/// A socket for questions, each answered before the next is asked.
#[derive(Debug)]
pub(crate) struct Conversation {
    socket: Socket,
    sequence: u32,
}

impl Conversation {
    /// With the subsystem `protocol`, of the network namespace of the calling thread.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        // Netlink answers while the question is being sent, so there is never anything to wait
        // for, and a kernel that broke this rule would otherwise hang the program.
        socket.set_non_blocking(true)?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Asks one question; returns what came before the kernel's acknowledgement.
    pub(crate) fn ask<Q, A>(&mut self, question: Q) -> io::Result<Vec<A>>
    where
        Q: NetlinkSerializable,
        A: NetlinkDeserializable,
    {
        self.send(question, NLM_F_ACK)?;
        let mut answers = Vec::new();
        self.receive(|answer| answers.push(answer))?;
        Ok(answers)
    }

    /// Asks for a list; returns one that nothing changed under, unless something always does.
    pub(crate) fn list<Q, A>(&mut self, question: &Q) -> io::Result<Vec<A>>
    where
        Q: NetlinkSerializable + Clone,
        A: NetlinkDeserializable,
    {
        let mut answers = Vec::new();
        for _ in 0..ATTEMPTS {
            answers.clear();
            self.send(question.clone(), NLM_F_DUMP)?;
            if !self.receive(|answer| answers.push(answer))? {
                break;
            }
        }
        Ok(answers)
    }

    fn send<Q: NetlinkSerializable>(&mut self, question: Q, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = serialize(question, flags, self.sequence);
        self.socket
            .send_to(&bytes, &SocketAddr::new(KERNEL, 0), 0)?;
        Ok(())
    }

    /// Hands over the answers to the last question; was the list interrupted by a change?
    fn receive<A: NetlinkDeserializable>(&self, mut each: impl FnMut(A)) -> io::Result<bool> {
        let mut interrupted = false;
        loop {
            let (bytes, from) = self.socket.recv_from_full()?;
            if from.port_number() != KERNEL {
                continue;
            }
            for message in messages(&bytes) {
                let message = message.map_err(|error| garbled(&error))?;
                // What is left of an earlier question that ended with an error.
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => each(answer),
                    NetlinkPayload::Error(error) => match error.code {
                        None => return Ok(interrupted),
                        Some(_) => return Err(error.to_io()),
                    },
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(io::Error::from_raw_os_error(-done.code));
                    }
                    NetlinkPayload::Done(_) => return Ok(interrupted),
                    _ => {}
                }
            }
        }
    }
}

/// The bytes of one question.
pub(crate) fn serialize<Q: NetlinkSerializable>(question: Q, flags: u16, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(question));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The messages of one datagram, until the first that cannot be read.
pub(crate) fn messages<A: NetlinkDeserializable>(
    datagram: &[u8],
) -> impl Iterator<Item = Result<NetlinkMessage<A>, DecodeError>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        // Less than a header is padding.
        if rest.len() < 16 {
            return None;
        }
        let message = NetlinkBuffer::new_checked(rest).and_then(|buffer| {
            // Each begins at a multiple of four bytes.
            let length = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
            let next = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            let message = NetlinkMessage::deserialize(rest);
            rest = next;
            message
        });
        if message.is_err() {
            rest = &[];
        }
        Some(message)
    })
}

/// The kernel's answer could not be read.
fn garbled(error: &DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A message's type and what is in it.
    #[derive(Debug, PartialEq)]
    struct Plain(u16, Vec<u8>);

    impl NetlinkDeserializable for Plain {
        type Error = Infallible;

        fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
            Ok(Self(header.message_type, payload.to_vec()))
        }
    }

    fn message(length: u32, message_type: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(message_type.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(payload);
        bytes
    }

    fn read(datagram: &[u8]) -> Vec<Option<Plain>> {
        messages(datagram)
            .map(|message| match message.ok()?.payload {
                NetlinkPayload::InnerMessage(plain) => Some(plain),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_datagram_has_many_messages_each_padded() {
        let first = message(17, 20, &[1, 0, 0, 0]);
        let last = message(18, 21, &[2, 3]);
        let expected = [Some(Plain(20, vec![1])), Some(Plain(21, vec![2, 3]))];
        assert_eq!(read(&[first, last].concat()), expected);
    }

    #[test]
    fn what_cannot_be_read_ends_the_datagram() {
        let good = message(16, 20, &[]);
        for length in [0, 4, 15, 33, u32::MAX] {
            let bad = message(length, 21, &good);
            let datagram = [good.clone(), bad].concat();
            assert_eq!(read(&datagram), [Some(Plain(20, vec![])), None], "{length}");
        }
        assert_eq!(read(&good[..15]), []);
    }

    fn about(index: u32) -> netlink_packet_route::RouteNetlinkMessage {
        let mut link = netlink_packet_route::link::LinkMessage::default();
        link.header.index = index;
        netlink_packet_route::RouteNetlinkMessage::GetLink(link)
    }

    #[test]
    fn the_kernels_refusal_is_its_error() {
        let mut conversation = Conversation::open(netlink_sys::protocols::NETLINK_ROUTE).unwrap();
        for _ in 0..2 {
            let answer = conversation.ask::<_, Plain>(about(u32::MAX >> 1));
            assert_eq!(answer.unwrap_err().raw_os_error(), Some(libc::ENODEV));
        }
        let loopback = conversation.ask::<_, Plain>(about(1)).unwrap();
        assert_eq!(loopback.len(), 1);
    }

    #[test]
    fn what_is_left_of_an_earlier_question_is_no_answer() {
        let mut conversation = Conversation::open(netlink_sys::protocols::NETLINK_ROUTE).unwrap();
        conversation.send(about(1), NLM_F_ACK).unwrap();
        let answer = conversation.ask::<_, Plain>(about(u32::MAX >> 1));
        assert_eq!(answer.unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }
}
