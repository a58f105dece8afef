//! Control messages as bytes.
//!
//! A control buffer is a row of `struct cmsghdr` (length, level, type) each followed by data and
//! padded to the alignment of a `size_t`. Reading and writing it as bytes needs no `unsafe` and,
//! unlike the C macros, cannot run over an end. nix has no types for the messages used here
//! (`SCM_TIMESTAMPING_PKTINFO`, `SCM_TS_OPT_ID`), so this is the one place that knows them.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clockwright_timebase::{Phc, Timestamp, Utc};
use libc::c_int;

use super::LocalAddress;
use crate::uapi;

const HEADER: usize = size_of::<libc::cmsghdr>();
const LEVEL: usize = offset_of!(libc::cmsghdr, cmsg_level);
const TYPE: usize = offset_of!(libc::cmsghdr, cmsg_type);
const _: () = assert!(offset_of!(libc::cmsghdr, cmsg_len) == 0 && HEADER == 16 && LEVEL == 8);

/// Room for everything the kernel attaches to a message: time stamps (64 with header), packet
/// information of both kinds (32 + 40), and an extended error with its offender (64).
pub(super) const SPACE: usize = 256;

/// A control buffer, aligned as the kernel's headers are.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; SPACE]);

impl Control {
    pub(super) const EMPTY: Self = Self([0; SPACE]);
}

/// One control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cmsg<'a> {
    level: c_int,
    kind: c_int,
    data: &'a [u8],
}

/// The messages of a control buffer; ends at the first one that is not whole.
pub(super) fn parse(mut rest: &[u8]) -> impl Iterator<Item = Cmsg<'_>> {
    std::iter::from_fn(move || {
        let length = usize::from_ne_bytes(array(rest, 0)?);
        let level = c_int::from_ne_bytes(array(rest, LEVEL)?);
        let kind = c_int::from_ne_bytes(array(rest, TYPE)?);
        let data = rest.get(HEADER..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some(Cmsg { level, kind, data })
    })
}

/// Everything this crate understands about a received or looped-back message.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Ancillary {
    pub(super) kernel: Option<Timestamp<Utc>>,
    pub(super) hardware: Option<Timestamp<Phc>>,
    pub(super) local: Option<LocalAddress>,
    pub(super) stamped_by: Option<u32>,
    pub(super) frame_length: Option<u32>,
    pub(super) error: Option<ExtendedError>,
}

/// `struct sock_extended_err` and the address that may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExtendedError {
    pub(super) errno: u32,
    pub(super) origin: u8,
    pub(super) kind: u8,
    pub(super) code: u8,
    pub(super) info: u32,
    pub(super) data: u32,
    pub(super) offender: Option<IpAddr>,
}

impl Ancillary {
    /// Reads all messages of a control buffer; unknown and malformed ones are skipped.
    pub(super) fn read(control: &[u8]) -> Self {
        let mut all = Self::default();
        for cmsg in parse(control) {
            all.take(cmsg);
        }
        all
    }

    fn take(&mut self, cmsg: Cmsg<'_>) {
        let data = cmsg.data;
        match (cmsg.level, cmsg.kind) {
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPING) => {
                self.kernel = timespec(data, 0);
                // ts[1] is unused since Linux 3.17; ts[2] is the NIC's own time.
                self.hardware = timespec(data, 2);
            }
            (libc::SOL_SOCKET, uapi::SCM_TIMESTAMPING_PKTINFO) => {
                // Zero means that the kernel does not know.
                self.stamped_by = u32_at(data, 0).filter(|&index| index != 0);
                self.frame_length = u32_at(data, 4).filter(|&length| length != 0);
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => self.local = local_v4(data),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => self.local = local_v6(data),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                self.error = extended_error(data);
            }
            _ => {}
        }
    }
}

/// The `index`-th timespec of `struct scm_timestamping`; `None` where it is zero (not taken).
fn timespec<B>(data: &[u8], index: usize) -> Option<Timestamp<B>> {
    let secs = i64::from_ne_bytes(array(data, index * 16)?);
    let nanos = i64::from_ne_bytes(array(data, index * 16 + 8)?);
    (secs != 0 || nanos != 0).then(|| Timestamp::from_timespec(secs, nanos))
}

/// `struct in_pktinfo`: the local address a reply should come from is `ipi_spec_dst`.
fn local_v4(data: &[u8]) -> Option<LocalAddress> {
    let address: [u8; 4] = array(data, offset_of!(libc::in_pktinfo, ipi_spec_dst))?;
    Some(LocalAddress {
        ip: Ipv4Addr::from(address).into(),
        ifindex: u32_at(data, offset_of!(libc::in_pktinfo, ipi_ifindex))?,
    })
}

/// `struct in6_pktinfo`.
fn local_v6(data: &[u8]) -> Option<LocalAddress> {
    let address: [u8; 16] = array(data, offset_of!(libc::in6_pktinfo, ipi6_addr))?;
    Some(LocalAddress {
        ip: Ipv6Addr::from(address).into(),
        ifindex: u32_at(data, offset_of!(libc::in6_pktinfo, ipi6_ifindex))?,
    })
}

fn extended_error(data: &[u8]) -> Option<ExtendedError> {
    let [origin, kind, code, _pad] = array(data, 4)?;
    Some(ExtendedError {
        errno: u32_at(data, 0)?,
        origin,
        kind,
        code,
        info: u32_at(data, 8)?,
        data: u32_at(data, 12)?,
        offender: super::address::read(data.get(16..)?).map(|offender| offender.ip()),
    })
}

/// Writes control messages into a [`Control`].
#[derive(Debug)]
pub(super) struct Writer<'a> {
    control: &'a mut Control,
    length: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(control: &'a mut Control) -> Self {
        Self { control, length: 0 }
    }

    /// The bytes written so far.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The source address and interface to send from.
    pub(super) fn source(&mut self, from: LocalAddress) {
        match from.ip {
            IpAddr::V4(ip) => {
                let mut info = [0; size_of::<libc::in_pktinfo>()];
                put(
                    &mut info,
                    offset_of!(libc::in_pktinfo, ipi_ifindex),
                    &from.ifindex.to_ne_bytes(),
                );
                put(
                    &mut info,
                    offset_of!(libc::in_pktinfo, ipi_spec_dst),
                    &ip.octets(),
                );
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            IpAddr::V6(ip) => {
                let mut info = [0; size_of::<libc::in6_pktinfo>()];
                put(
                    &mut info,
                    offset_of!(libc::in6_pktinfo, ipi6_ifindex),
                    &from.ifindex.to_ne_bytes(),
                );
                put(
                    &mut info,
                    offset_of!(libc::in6_pktinfo, ipi6_addr),
                    &ip.octets(),
                );
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
    }

    /// Asks for transmit stamps of this packet: `SOF_TIMESTAMPING_TX_*` bits.
    pub(super) fn stamp(&mut self, flags: u32) {
        self.push(
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPING,
            &flags.to_ne_bytes(),
        );
    }

    /// The number under which this packet's stamps are to be reported.
    pub(super) fn stamp_id(&mut self, id: u32) {
        self.push(libc::SOL_SOCKET, uapi::SCM_TS_OPT_ID, &id.to_ne_bytes());
    }

    /// Three messages at most are written, together 40 + 24 + 24 bytes, so all fit.
    fn push(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        let start = self.length;
        let bytes = &mut self.control.0;
        put(bytes, start, &(HEADER + data.len()).to_ne_bytes());
        put(bytes, start + LEVEL, &level.to_ne_bytes());
        put(bytes, start + TYPE, &kind.to_ne_bytes());
        put(bytes, start + HEADER, data);
        self.length += aligned(HEADER + data.len());
    }
}

/// `CMSG_ALIGN`.
const fn aligned(length: usize) -> usize {
    length.saturating_add(size_of::<usize>() - 1) & !(size_of::<usize>() - 1)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

/// Copies `data` to `bytes[at..]`; offsets are this module's constants, within the buffers.
fn put(bytes: &mut [u8], at: usize, data: &[u8]) {
    bytes[at..at + data.len()].copy_from_slice(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn header_and_alignment_are_those_of_the_c_macros() {
        for length in [0u32, 1, 4, 12, 20, 48] {
            // SAFETY: this C macro only computes with the number.
            let space = unsafe { libc::CMSG_SPACE(length) };
            // SAFETY: so does this one.
            let len = unsafe { libc::CMSG_LEN(length) };
            let ours = HEADER + length as usize;
            assert_eq!(len as usize, ours);
            assert_eq!(space as usize, aligned(ours));
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for ip in ["192.0.2.7", "2001:db8::7"] {
            let from = LocalAddress {
                ip: ip.parse().unwrap(),
                ifindex: 3,
            };
            let mut control = Control::EMPTY;
            let mut writer = Writer::new(&mut control);
            writer.source(from);
            writer.stamp(0x3);
            writer.stamp_id(0x1234);
            let length = writer.len();
            let control = &control.0[..length];
            assert_eq!(Ancillary::read(control).local, Some(from));
            let messages: Vec<_> = parse(control).collect();
            assert_eq!(messages.len(), 3);
            assert_eq!(messages[1].kind, 37);
            assert_eq!(messages[2].kind, 81);
            assert_eq!(messages[2].data, 0x1234_u32.to_ne_bytes());
        }
    }

    #[test]
    fn stamps_are_told_from_the_absence_of_stamps() {
        let mut bytes = [0; 64];
        put(&mut bytes, 0, &64_usize.to_ne_bytes());
        put(&mut bytes, LEVEL, &libc::SOL_SOCKET.to_ne_bytes());
        put(&mut bytes, TYPE, &libc::SO_TIMESTAMPING.to_ne_bytes());
        assert_eq!(Ancillary::read(&bytes), Ancillary::default());
        put(&mut bytes, 48, &7_i64.to_ne_bytes());
        put(&mut bytes, 56, &9_i64.to_ne_bytes());
        let read = Ancillary::read(&bytes);
        assert_eq!(read.kernel, None);
        assert_eq!(read.hardware, Some(Timestamp::from_timespec(7, 9)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_and_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&bytes).count() <= bytes.len() / HEADER);
            let _ = Ancillary::read(&bytes);
        }

        #[test]
        fn arbitrary_lengths_end_and_do_not_panic(length in 0_usize..80, kind in 0_i32..90, data in prop::collection::vec(any::<u8>(), 0..80)) {
            for level in [libc::SOL_SOCKET, libc::IPPROTO_IP, libc::IPPROTO_IPV6] {
                let mut bytes = length.to_ne_bytes().to_vec();
                bytes.extend(level.to_ne_bytes());
                bytes.extend(kind.to_ne_bytes());
                bytes.extend(&data);
                prop_assert!(parse(&bytes).count() <= bytes.len() / HEADER);
                let _ = Ancillary::read(&bytes);
            }
        }
    }
}
