//! The table's reasoning, with interfaces made up.

use clockwright_ntp::Transport;
use clockwright_sys::hwtstamp::{
    Capabilities, Config, FilterChoice, HwtstampError, RxFilter, TxType,
};
use clockwright_sys::link::{Kind, Link};
use clockwright_timebase::{Raw, StampKind, Timestamp};

use super::fallback::Fallback;
use super::nic::{Airtime, Grant, Nic, Wishes};
use super::policy::Policy;
use super::table::{Access, Hardware, Interface, Interfaces};
use super::tally::Direction;
use crate::config::TimestampingConfig;

const NOW: Timestamp<Raw> = Timestamp::EPOCH;

fn link(index: u32, name: &str, kind: Kind) -> Link {
    Link {
        index,
        name: name.to_owned(),
        kind,
        up: true,
        running: true,
        loopback: false,
        master: None,
        lower: None,
    }
}

fn nic(rx: RxFilter) -> Nic {
    let able = Capabilities {
        timestamping: 0x5f,
        phc_index: Some(7),
        tx_types: 0b11,
        rx_filters: 0b11,
        ..Capabilities::default()
    };
    let config = Config {
        flags: 0,
        tx: TxType::On,
        rx,
    };
    Nic::made_up(able, Grant::Config(config), Some(10_000))
}

/// A host with these interfaces and no others, on which nothing is looked up.
fn host(interfaces: Vec<(Link, Hardware)>) -> Interfaces {
    let policy = Policy::new(TimestampingConfig {
        interfaces: Vec::new(),
        ..TimestampingConfig::default()
    });
    let mut host = Interfaces::new(policy, Access::Look, NOW);
    host.known.clear();
    for (link, hardware) in interfaces {
        let mut interface = Interface::new(link);
        interface.hardware = hardware;
        host.known.insert(interface.link.index, interface);
    }
    host
}

fn stamping(index: u32, name: &str) -> (Link, Hardware) {
    let nic = nic(RxFilter::All);
    (
        link(index, name, Kind::Device),
        Hardware::Nic(Box::new(nic)),
    )
}

#[test]
fn a_vlan_is_stamped_by_what_is_below_it() {
    let mut vlan = link(3, "eth0.5", Kind::Vlan);
    vlan.lower = Some(2);
    let mut upper = link(4, "eth0.5.6", Kind::Vlan);
    upper.lower = Some(3);
    let host = host(vec![
        stamping(2, "eth0"),
        (vlan, Hardware::None),
        (upper, Hardware::None),
    ]);
    assert_eq!(host.device_of(4), Some(2));
    assert_eq!(host.names_of(2), ["eth0", "eth0.5", "eth0.5.6"]);
    assert_eq!(host.device_of(9), None);
}

#[test]
fn interfaces_that_stand_on_each_other_in_a_circle_are_nobodys() {
    // The kernel has none; what it says is read all the same.
    let mut one = link(2, "a", Kind::Vlan);
    one.lower = Some(3);
    let mut other = link(3, "b", Kind::Vlan);
    other.lower = Some(2);
    let host = host(vec![(one, Hardware::None), (other, Hardware::None)]);
    assert_eq!(host.device_of(2), None);
    assert_eq!(host.names_of(2), ["a", "b"]);
}

#[test]
fn a_bond_is_its_slave_only_if_there_is_one() {
    let bond = link(5, "bond0", Kind::Bond);
    let (mut first, hardware) = stamping(2, "eth0");
    first.master = Some(5);
    let mut one = host(vec![(first, hardware), (bond, Hardware::None)]);
    assert_eq!(one.device_of(5), Some(2));
    assert_eq!(one.names_of(2), ["eth0", "bond0"]);
    let (mut second, hardware) = stamping(3, "eth1");
    second.master = Some(5);
    let mut second = Interface::new(second);
    second.hardware = hardware;
    one.known.insert(3, second);
    assert_eq!(one.device_of(5), None);
}

#[test]
fn each_packet_without_hardware_stamp_has_its_reason() {
    let refused = Nic::made_up(
        Capabilities::default(),
        Grant::Refused(HwtstampError::NoSuchInterface("eth3".to_owned())),
        None,
    );
    let of = |index: u32, name: &str, hardware| (link(index, name, Kind::Device), hardware);
    let boxed = |nic: Nic| Hardware::Nic(Box::new(nic));
    let mut host = host(vec![
        of(1, "lo", Hardware::None),
        of(2, "eth0", Hardware::NotWanted),
        of(3, "eth1", boxed(refused)),
        of(4, "eth2", boxed(nic(RxFilter::None))),
        of(5, "eth3", boxed(nic(RxFilter::All))),
        of(6, "eth4", boxed(nic(RxFilter::PtpV2L4Event))),
        of(7, "eth5", boxed(nic(RxFilter::NtpAll))),
    ]);
    let (udp, ptp) = (Transport::Udp, Transport::Ptp);
    for (interface, transport, why) in [
        (1, udp, Fallback::NoHardware),
        (2, udp, Fallback::NotWanted),
        (3, udp, Fallback::NotGranted),
        (4, udp, Fallback::Filter),
        (5, udp, Fallback::Missing),
        (6, udp, Fallback::Filter),
        (6, ptp, Fallback::Missing),
        (7, udp, Fallback::Missing),
        (7, ptp, Fallback::Filter),
    ] {
        let kernel = StampKind::Kernel;
        host.count(
            Direction::Receive,
            interface,
            kernel,
            (transport, None),
            NOW,
        );
        let last = host.known[&interface].tally.last;
        assert_eq!(last, Some((Direction::Receive, why)), "{interface}");
    }
    // What is sent is stamped whatever the receive filter.
    let kernel = StampKind::Kernel;
    host.count(Direction::Transmit, 4, kernel, (udp, None), NOW);
    let last = host.known[&4].tally.last;
    assert_eq!(last, Some((Direction::Transmit, Fallback::Missing)));
    assert_eq!(host.best_transmit(Some(4)), StampKind::Hardware);
    assert_eq!(host.best_transmit(Some(3)), StampKind::Kernel);
    assert!(host.is_ptp_only(6) && !host.is_ptp_only(5));
}

#[test]
fn a_frame_takes_its_length_at_the_speed_of_the_link() {
    let mut nic = nic(RxFilter::All);
    let nanos = |airtime: Airtime| (airtime.known.as_nanos(), airtime.doubt.as_nanos());
    // RFC 5905's 48 octets over IPv4: 90 octets and the check sequence.
    assert_eq!(nanos(nic.frame_time(90)), (75, 0));
    nic.speed_mbps = Some(1_000);
    assert_eq!(nanos(nic.frame_time(90)), (752, 0));
    assert_eq!(nanos(nic.frame_time(10)), (512, 0));
    // Nothing is guessed at an unknown speed, and never does anything become negative.
    for unknown in [None, Some(0)] {
        nic.speed_mbps = unknown;
        assert_eq!(nanos(nic.frame_time(90)), (0, 752));
    }
}

#[test]
fn without_interfaces_wanted_nothing_is_asked_of_sockets() {
    let host = host(vec![(link(1, "lo", Kind::Device), Hardware::None)]);
    assert!(!host.stamping().hardware);
    let host = self::host(vec![stamping(2, "eth0")]);
    assert!(host.stamping().hardware);
    assert_eq!(Wishes::none().filter, FilterChoice::None);
}
