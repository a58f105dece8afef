//! Bytes as little-endian kernels write them, after `net/ethtool/tsconfig.c`, `tsinfo.c` and
//! `bitset.c` of Linux 6.18.

use netlink_packet_generic::GenlMessage;
use proptest::prelude::*;

use super::*;
use crate::netlink;

const HEADER: &[u8] = &[
    28, 0, 1, 0x80, // ETHTOOL_A_TSCONFIG_HEADER, nest
    8, 0, 1, 0, 2, 0, 0, 0, // DEV_INDEX 2
    9, 0, 2, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0, // DEV_NAME "eth0"
    4, 0, 0, 0, // one this version does not know, and nothing in it
];

/// The answer to `TSCONFIG_GET`, which was asked with `ETHTOOL_FLAG_COMPACT_BITSETS`.
const COMPACT: &[u8] = &[
    24, 0, 3, 0x80, // TX_TYPES
    4, 0, 1, 0, // NOMASK
    8, 0, 2, 0, 4, 0, 0, 0, // SIZE 4
    8, 0, 4, 0, 0b10, 0, 0, 0, // VALUE: on
    24, 0, 4, 0x80, // RX_FILTERS
    4, 0, 1, 0, // NOMASK
    8, 0, 2, 0, 16, 0, 0, 0, // SIZE 16
    8, 0, 4, 0, 0, 0x10, 0, 0, // VALUE: ptpv2-event
    20, 0, 2, 0x80, // HWTSTAMP_PROVIDER
    8, 0, 1, 0, 3, 0, 0, 0, // INDEX 3
    8, 0, 2, 0, 0, 0, 0, 0, // QUALIFIER precise
];

/// The answer to `TSCONFIG_SET`, in which the kernel lists bits whatever was asked for.
const LISTED: &[u8] = &[
    28, 0, 5, 0x80, // HWTSTAMP_FLAGS
    4, 0, 1, 0, // NOMASK
    8, 0, 2, 0, 1, 0, 0, 0, // SIZE 1
    12, 0, 3, 0x80, // BITS
    8, 0, 1, 0x80, // BIT without an index, which is not one
    4, 0, 2, 0, // NAME ""
    52, 0, 3, 0x80, // TX_TYPES
    4, 0, 1, 0, // NOMASK
    8, 0, 2, 0, 4, 0, 0, 0, // SIZE 4
    36, 0, 3, 0x80, // BITS
    32, 0, 1, 0x80, // BIT
    8, 0, 1, 0, 2, 0, 0, 0, // INDEX 2
    17, 0, 2, 0, b'o', b'n', b'e', b's', b't', b'e', b'p', b'-', b's', b'y', b'n', b'c', 0, 0, 0,
    0, // NAME "onestep-sync"
    40, 0, 4, 0x80, // RX_FILTERS
    4, 0, 1, 0, // NOMASK
    8, 0, 2, 0, 16, 0, 0, 0, // SIZE 16
    24, 0, 3, 0x80, // BITS
    20, 0, 1, 0x80, // BIT
    8, 0, 1, 0, 1, 0, 0, 0, // INDEX 1
    8, 0, 2, 0, b'a', b'l', b'l', 0, // NAME "all"
];

/// The rest of an answer to `TSINFO_GET` with counters, of Linux 6.16.
const TSINFO: &[u8] = &[
    24, 0, 2, 0x80, // TIMESTAMPING
    4, 0, 1, 0, // NOMASK
    8, 0, 2, 0, 18, 0, 0, 0, // SIZE 18
    8, 0, 4, 0, 0x5f, 0, 0, 0, // VALUE
    24, 0, 3, 0x80, // TX_TYPES
    4, 0, 1, 0, // NOMASK
    8, 0, 2, 0, 4, 0, 0, 0, // SIZE 4
    8, 0, 4, 0, 0b11, 0, 0, 0, // VALUE
    24, 0, 4, 0x80, // RX_FILTERS
    4, 0, 1, 0, // NOMASK
    8, 0, 2, 0, 16, 0, 0, 0, // SIZE 16
    8, 0, 4, 0, 0b11, 0, 0, 0, // VALUE
    8, 0, 5, 0, 3, 0, 0, 0, // PHC_INDEX 3
    32, 0, 6, 0x80, // STATS
    8, 0, 1, 0, 0xe8, 3, 0, 0, // TX_PKTS 1000 as 32 bits
    12, 0, 2, 0, 5, 0, 0, 0, 1, 0, 0, 0, // TX_LOST 2^32 + 5 as 64 bits
    8, 0, 4, 0, 9, 0, 0, 0, // ONESTEP_PKTS_UNCONFIRMED 9
    8, 0, 8, 0, 2, 0, 0, 0, // HWTSTAMP_SOURCE: the PHY
];

fn after_header(rest: &[u8]) -> Vec<u8> {
    [HEADER, rest].concat()
}

#[test]
#[cfg(target_endian = "little")]
fn a_setting_is_read_from_either_form() {
    let expected = |flags, tx, rx| Some(Config { flags, tx, rx });
    assert_eq!(
        config(&after_header(COMPACT)),
        expected(0, TxType::On, RxFilter::PtpV2Event)
    );
    assert_eq!(
        config(&after_header(LISTED)),
        expected(0, TxType::OneStepSync, RxFilter::All)
    );
    // Half a setting is none: the ioctl is asked.
    assert_eq!(config(&after_header(&COMPACT[..24])), None);
    assert_eq!(config(HEADER), None);
}

#[test]
#[cfg(target_endian = "little")]
fn abilities_and_counters_are_read() {
    let answer = after_header(TSINFO);
    let read = capabilities(&answer);
    assert_eq!(read.timestamping, 0x5f);
    assert_eq!((read.tx_types, read.rx_filters), (0b11, 0b11));
    assert_eq!(read.phc_index, Some(3));
    assert_eq!(read.source, Some(StampSource::Transceiver));
    let counted = TxStampStatistics {
        packets: 1000,
        lost: (1 << 32) + 5,
        errors: 0,
    };
    assert_eq!(statistics(&answer), Some(counted));
    // No counters, and a nest without any.
    assert_eq!(statistics(&after_header(COMPACT)), None);
    assert_eq!(statistics(&[4, 0, 6, 0x80]), None);
    assert_eq!(capabilities(HEADER), Capabilities::default());
}

#[test]
#[cfg(target_endian = "little")]
fn virtual_clocks_are_an_array() {
    let answer = [
        &[8, 0, 2, 0, 3, 0, 0, 0][..], // NUM 3
        &[16, 0, 3, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
    ];
    assert_eq!(virtual_clocks(&after_header(&answer.concat())), [1, 2]);
    assert_eq!(virtual_clocks(HEADER), []);
}

#[test]
fn a_speed_is_a_number() {
    let answer = emit(&[number(uapi::ETHTOOL_A_LINKMODES_SPEED, 25_000)]);
    assert_eq!(speed(&answer), Some(25_000));
    assert_eq!(speed(HEADER), None);
}

#[test]
fn a_question_names_its_interface() {
    let find_in_header = |message: &Message, kind| {
        let header = find(&message.attributes, uapi::ETHTOOL_A_TSINFO_HEADER)
            .unwrap()
            .to_vec();
        find(&header, kind).map(<[u8]>::to_vec)
    };
    let by_index = question(25, 7.into(), uapi::ETHTOOL_FLAG_STATS);
    assert_eq!((by_index.command, by_index.version), (25, 1));
    let index = find_in_header(&by_index, uapi::ETHTOOL_A_HEADER_DEV_INDEX);
    assert_eq!(index, Some(7_u32.to_ne_bytes().to_vec()));
    let flags = find_in_header(&by_index, uapi::ETHTOOL_A_HEADER_FLAGS);
    assert_eq!(flags, Some(4_u32.to_ne_bytes().to_vec()));
    let by_name = question(25, "eth0".into(), 0);
    let name = find_in_header(&by_name, uapi::ETHTOOL_A_HEADER_DEV_NAME);
    assert_eq!(name, Some(b"eth0\0".to_vec()));
    assert_eq!(
        find_in_header(&by_name, uapi::ETHTOOL_A_HEADER_DEV_INDEX),
        None
    );
}

#[test]
#[cfg(target_endian = "little")]
fn a_setting_is_written_as_sets_of_the_least_size() {
    let setting = Config {
        flags: 0,
        tx: TxType::On,
        rx: RxFilter::PtpV2Event,
    };
    let message = set_config(2.into(), setting).unwrap();
    let mut expected = vec![
        20, 0, 1, 0x80, // HEADER
        8, 0, 1, 0, 2, 0, 0, 0, // DEV_INDEX 2
        8, 0, 3, 0, 1, 0, 0, 0, // FLAGS: compact
    ];
    for (kind, size, value) in [(3, 2, 0b10_u32), (4, 13, 1 << 12), (5, 1, 0)] {
        expected.extend([24, 0, kind, 0x80]);
        expected.extend([4, 0, 1, 0]); // NOMASK
        expected.extend([8, 0, 2, 0, size, 0, 0, 0]); // SIZE
        expected.extend([8, 0, 4, 0]); // VALUE
        expected.extend(value.to_le_bytes());
    }
    assert_eq!(message.attributes, expected);
}

#[test]
fn a_setting_that_has_no_bit_is_not_asked_for() {
    let config = |tx, rx| Config { flags: 0, tx, rx };
    let possible = |tx, rx| set_config(2.into(), config(tx, rx)).is_some();
    assert!(possible(TxType::Unknown(31), RxFilter::Unknown(31)));
    assert!(!possible(TxType::Unknown(32), RxFilter::None));
    assert!(!possible(TxType::Off, RxFilter::Unknown(-1)));
}

proptest! {
    /// The question and the answer write a setting alike.
    #[test]
    fn settings_round_trip(flags in any::<i32>(), tx in 0..32_i32, rx in 0..32_i32) {
        let setting = Config { flags, tx: TxType::from_raw(tx), rx: RxFilter::from_raw(rx) };
        let message = set_config(2.into(), setting).unwrap();
        prop_assert_eq!(message.command, 47);
        prop_assert_eq!(config(&message.attributes), Some(setting));
    }

    #[test]
    fn no_answer_makes_the_readers_panic(mut bytes in answers(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
        for _ in 0..2 {
            capabilities(&bytes);
            statistics(&bytes);
            config(&bytes);
            speed(&bytes);
            virtual_clocks(&bytes);
            let _ = netlink::messages::<GenlMessage<Message>>(&bytes).count();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
    }

    /// Framed and read back by the library.
    #[test]
    fn messages_round_trip(command in any::<u8>(), attributes in prop::collection::vec(any::<u8>(), 0..64)) {
        let sent = Message { command, version: 1, attributes };
        let mut framed = GenlMessage::from_payload(sent.clone());
        framed.set_resolved_family_id(0x15);
        let bytes = netlink::serialize(framed, 0, 9);
        let mut read = netlink::messages::<GenlMessage<Message>>(&bytes);
        let message = read.next().unwrap().unwrap();
        prop_assert_eq!(message.header.message_type, 0x15);
        prop_assert_eq!(message.header.sequence_number, 9);
        match message.payload {
            netlink_packet_core::NetlinkPayload::InnerMessage(inner) => prop_assert_eq!(inner.payload, sent),
            other => prop_assert!(false, "{other:?}"),
        }
        prop_assert!(read.next().is_none());
    }
}

/// Bytes: any, and answers of the kernel, whole and cut.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![Just(COMPACT), Just(LISTED), Just(TSINFO)].prop_map(after_header);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..128),
        (whole, any::<prop::sample::Index>()).prop_map(|(mut bytes, end)| {
            bytes.truncate(end.index(bytes.len() + 1));
            bytes
        }),
    ]
}
