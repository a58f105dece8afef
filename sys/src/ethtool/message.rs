//! The messages of generic netlink's family "ethtool": questions written, answers read.
//!
//! (`linux/ethtool_netlink.h` and Documentation/networking/ethtool-netlink.rst.) What a younger
//! kernel adds to an answer is passed over.

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLA_F_NESTED, NlaBuffer, NlasIterator,
    ParseableParametrized, parse_u16, parse_u32, parse_u64,
};
use netlink_packet_generic::{GenlFamily, GenlHeader};

use super::{Target, TxStampStatistics};
use crate::hwtstamp::{Capabilities, Config, RxFilter, StampSource, TxType};
use crate::uapi;

/// A message of any generic family: its command and its attributes, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) command: u8,
    pub(super) version: u8,
    pub(super) attributes: Vec<u8>,
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        "ethtool"
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        self.version
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        self.attributes.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        // The buffer is made with the length above; a longer one has padding.
        for (to, from) in buffer.iter_mut().zip(&self.attributes) {
            *to = *from;
        }
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        Ok(Self {
            command: header.cmd,
            version: header.version,
            attributes: bytes.to_vec(),
        })
    }
}

/// A question about `target` (`flags`: `ETHTOOL_FLAG_*`).
pub(super) fn question(command: u32, target: Target<'_>, flags: u32) -> Message {
    with_attributes(command, &[header(target, flags)])
}

/// The question that sets a stamping configuration, complete: nothing of what was set stays.
/// `None` where a number has no bit in the kernel's sets.
pub(super) fn set_config(target: Target<'_>, config: Config) -> Option<Message> {
    let bit = |number: i32| 1_u32.checked_shl(u32::try_from(number).ok()?);
    let attributes = [
        header(target, uapi::ETHTOOL_FLAG_COMPACT_BITSETS),
        bitset(uapi::ETHTOOL_A_TSCONFIG_TX_TYPES, bit(config.tx.as_raw())?),
        bitset(
            uapi::ETHTOOL_A_TSCONFIG_RX_FILTERS,
            bit(config.rx.as_raw())?,
        ),
        bitset(
            uapi::ETHTOOL_A_TSCONFIG_HWTSTAMP_FLAGS,
            config.flags.cast_unsigned(),
        ),
    ];
    Some(with_attributes(uapi::ETHTOOL_MSG_TSCONFIG_SET, &attributes))
}

/// Reads the answer to `ETHTOOL_MSG_TSINFO_GET`. What is missing there is empty.
pub(super) fn capabilities(answer: &[u8]) -> Capabilities {
    let mut capabilities = Capabilities::default();
    for attribute in attributes(answer) {
        let value = attribute.value();
        match u32::from(attribute.kind()) {
            uapi::ETHTOOL_A_TSINFO_TIMESTAMPING => capabilities.timestamping = bits(value),
            uapi::ETHTOOL_A_TSINFO_TX_TYPES => capabilities.tx_types = bits(value),
            uapi::ETHTOOL_A_TSINFO_RX_FILTERS => capabilities.rx_filters = bits(value),
            uapi::ETHTOOL_A_TSINFO_PHC_INDEX => {
                // -1 stands for none.
                let index = parse_u32(value).ok();
                capabilities.phc_index = index.filter(|index| index.cast_signed() >= 0);
            }
            uapi::ETHTOOL_A_TSINFO_HWTSTAMP_SOURCE => {
                capabilities.source = match parse_u32(value) {
                    Ok(uapi::HWTSTAMP_SOURCE_NETDEV) => Some(StampSource::Controller),
                    Ok(uapi::HWTSTAMP_SOURCE_PHYLIB) => Some(StampSource::Transceiver),
                    _ => None,
                };
            }
            _ => {}
        }
    }
    capabilities
}

/// Reads the counters in the answer to `ETHTOOL_MSG_TSINFO_GET`; `None` where there are none.
pub(super) fn statistics(answer: &[u8]) -> Option<TxStampStatistics> {
    let mut counted = None;
    for counter in find(answer, uapi::ETHTOOL_A_TSINFO_STATS).map(attributes)? {
        let Some(value) = unsigned(counter.value()) else {
            continue;
        };
        let counted: &mut TxStampStatistics = counted.get_or_insert_default();
        match u32::from(counter.kind()) {
            uapi::ETHTOOL_A_TS_STAT_TX_PKTS => counted.packets = value,
            uapi::ETHTOOL_A_TS_STAT_TX_LOST => counted.lost = value,
            uapi::ETHTOOL_A_TS_STAT_TX_ERR => counted.errors = value,
            _ => {}
        }
    }
    counted
}

/// Reads the answer to `ETHTOOL_MSG_TSCONFIG_GET` or `_SET`; `None` where one of its halves is
/// missing or is not one number.
pub(super) fn config(answer: &[u8]) -> Option<Config> {
    let one = |kind| {
        let bits = bits(find(answer, kind)?);
        bits.is_power_of_two()
            .then(|| bits.trailing_zeros().cast_signed())
    };
    Some(Config {
        flags: find(answer, uapi::ETHTOOL_A_TSCONFIG_HWTSTAMP_FLAGS)
            .map_or(0, |flags| bits(flags).cast_signed()),
        tx: TxType::from_raw(one(uapi::ETHTOOL_A_TSCONFIG_TX_TYPES)?),
        rx: RxFilter::from_raw(one(uapi::ETHTOOL_A_TSCONFIG_RX_FILTERS)?),
    })
}

/// Reads the speed, in the kernel's way of writing it, from the answer to
/// `ETHTOOL_MSG_LINKMODES_GET`.
pub(super) fn speed(answer: &[u8]) -> Option<u32> {
    parse_u32(find(answer, uapi::ETHTOOL_A_LINKMODES_SPEED)?).ok()
}

/// Reads the indices in the answer to `ETHTOOL_MSG_PHC_VCLOCKS_GET`.
pub(super) fn virtual_clocks(answer: &[u8]) -> Vec<u32> {
    let indices = find(answer, uapi::ETHTOOL_A_PHC_VCLOCKS_INDEX).unwrap_or_default();
    indices
        .chunks_exact(4)
        .filter_map(|index| parse_u32(index).ok())
        .filter(|index| index.cast_signed() >= 0)
        .collect()
}

/// The attributes of a message or a nest, until the first that cannot be read.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// The value of the first attribute of this kind.
pub(super) fn find(bytes: &[u8], kind: u32) -> Option<&[u8]> {
    let found = NlasIterator::new(bytes)
        .map_while(Result::ok)
        .find(|attribute| u32::from(attribute.kind()) == kind)?;
    // The buffer borrows itself with its value, so the value is cut out of its bytes again.
    let length = usize::from(found.length());
    found.into_inner().get(4..length)
}

/// The first 32 bits of a bit set without mask, in either of its forms.
fn bits(set: &[u8]) -> u32 {
    if let Some(words) = find(set, uapi::ETHTOOL_A_BITSET_VALUE) {
        let first = words.get(..4).unwrap_or_default();
        return parse_u32(first).unwrap_or(0);
    }
    let listed = find(set, uapi::ETHTOOL_A_BITSET_BITS).unwrap_or_default();
    attributes(listed)
        .filter_map(|bit| parse_u32(find(bit.value(), uapi::ETHTOOL_A_BITSET_BIT_INDEX)?).ok())
        .filter_map(|index| 1_u32.checked_shl(index))
        .fold(0, |set, bit| set | bit)
}

/// An unsigned number of whichever length the kernel chose (`nla_put_uint`).
fn unsigned(value: &[u8]) -> Option<u64> {
    match value.len() {
        2 => parse_u16(value).ok().map(u64::from),
        4 => parse_u32(value).ok().map(u64::from),
        _ => parse_u64(value).ok(),
    }
}

/// Whom a question is about. Its attribute has the same number in every message.
fn header(target: Target<'_>, flags: u32) -> DefaultNla {
    let who = match target {
        Target::Index(index) => number(uapi::ETHTOOL_A_HEADER_DEV_INDEX, index),
        Target::Name(name) => {
            let text = [name.as_bytes(), &[0]].concat();
            DefaultNla::new(kind(uapi::ETHTOOL_A_HEADER_DEV_NAME), text)
        }
    };
    let flags = number(uapi::ETHTOOL_A_HEADER_FLAGS, flags);
    nest(uapi::ETHTOOL_A_TSINFO_HEADER, &[who, flags])
}

/// A compact bit set that replaces what is set: bits beyond its size are cleared.
///
/// It is just as long as it must be: `ethnl_bitmap32_not_zero()` of many kernels takes a set that
/// is longer than theirs for one with bits that they do not know.
fn bitset(name: u32, bits: u32) -> DefaultNla {
    let size = (u32::BITS - bits.leading_zeros()).max(1);
    let parts = [
        DefaultNla::new(kind(uapi::ETHTOOL_A_BITSET_NOMASK), Vec::new()),
        number(uapi::ETHTOOL_A_BITSET_SIZE, size),
        number(uapi::ETHTOOL_A_BITSET_VALUE, bits),
    ];
    nest(name, &parts)
}

fn nest(name: u32, parts: &[DefaultNla]) -> DefaultNla {
    DefaultNla::new(kind(name) | NLA_F_NESTED, emit(parts))
}

fn number(name: u32, value: u32) -> DefaultNla {
    DefaultNla::new(kind(name), value.to_ne_bytes().to_vec())
}

fn with_attributes(command: u32, attributes: &[DefaultNla]) -> Message {
    Message {
        command: u8::try_from(command).unwrap_or(0),
        version: 1,
        attributes: emit(attributes),
    }
}

fn emit(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

/// An attribute's number, of which netlink keeps 14 bits; the headers have them as 32.
fn kind(name: u32) -> u16 {
    u16::try_from(name).unwrap_or(0)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
