//! Talking to the generic netlink family "ethtool".

use std::io;

use netlink_packet_core::{DefaultNla, Emitable, parse_u16, parse_u32};
use netlink_packet_generic::constants::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_OP_ID, CTRL_ATTR_OPS, CTRL_CMD_GETFAMILY,
    GENL_ID_CTRL,
};
use netlink_packet_generic::{GenlFamily, GenlMessage};
use netlink_sys::protocols::NETLINK_GENERIC;

use super::message::{Message, attributes, find};
use crate::netlink::Conversation;

/// The family as this kernel has it.
#[derive(Debug)]
pub(super) struct Family {
    conversation: Conversation,
    id: u16,
    /// Bit n set: the kernel knows command n.
    commands: u64,
}

impl Family {
    /// For the network namespace of the calling thread. Fails where the kernel is older than
    /// the family (Linux 5.6) or was built without it.
    pub(super) fn open() -> io::Result<Self> {
        let mut conversation = Conversation::open(NETLINK_GENERIC)?;
        let name = [Message::family_name().as_bytes(), &[0]].concat();
        let name = DefaultNla::new(CTRL_ATTR_FAMILY_NAME, name);
        let mut question = Message {
            command: CTRL_CMD_GETFAMILY,
            version: 1,
            attributes: vec![0; name.buffer_len()],
        };
        name.emit(&mut question.attributes);
        let answer = ask(&mut conversation, GENL_ID_CTRL, question)?;
        let id = find(&answer, u32::from(CTRL_ATTR_FAMILY_ID)).and_then(|id| parse_u16(id).ok());
        Ok(Self {
            conversation,
            id: id.ok_or_else(no_answer)?,
            commands: commands(&answer),
        })
    }

    /// Does the kernel know this command (`ETHTOOL_MSG_*`)?
    pub(super) fn knows(&self, command: u32) -> bool {
        self.commands
            .checked_shr(command)
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// Asks; returns the attributes of the answer.
    pub(super) fn ask(&mut self, question: Message) -> io::Result<Vec<u8>> {
        ask(&mut self.conversation, self.id, question)
    }
}

fn ask(conversation: &mut Conversation, family: u16, question: Message) -> io::Result<Vec<u8>> {
    let mut question = GenlMessage::from_payload(question);
    question.set_resolved_family_id(family);
    let answers: Vec<GenlMessage<Message>> = conversation.ask(question)?;
    let first = answers.into_iter().next().ok_or_else(no_answer)?;
    Ok(first.payload.attributes)
}

/// The commands listed in the controller's description of a family.
///
/// The library's typed reading of it fails on the first attribute it does not know, which would
/// take all of netlink from us on some younger kernel.
fn commands(description: &[u8]) -> u64 {
    let listed = find(description, u32::from(CTRL_ATTR_OPS)).unwrap_or_default();
    attributes(listed)
        .filter_map(|command| parse_u32(find(command.value(), u32::from(CTRL_ATTR_OP_ID))?).ok())
        .filter_map(|number| 1_u64.checked_shl(number))
        .fold(0, |known, command| known | command)
}

/// The answer lacks what was asked for.
pub(super) fn no_answer() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the kernel's answer lacks what was asked for",
    )
}
