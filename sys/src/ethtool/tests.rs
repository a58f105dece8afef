use super::*;
use crate::hwtstamp::{FilterChoice, RxFilter, TxType};

fn both_ways() -> [(&'static str, Ethtool); 2] {
    let netlink = Ethtool::open().unwrap();
    assert!(
        netlink.family.is_some(),
        "this kernel has no ethtool family"
    );
    [
        ("netlink", netlink),
        ("ioctl", Ethtool::by_ioctl_only().unwrap()),
    ]
}

#[test]
fn netlink_and_ioctl_say_the_same() {
    let links = crate::link::list().unwrap();
    let [(_, mut netlink), (_, mut ioctl)] = both_ways();
    for link in links {
        let same = |mut capabilities: Capabilities| {
            capabilities.source = None;
            capabilities
        };
        assert_eq!(
            netlink.capabilities(link.index).map(same).ok(),
            ioctl.capabilities(&link.name).ok(),
            "{}",
            link.name
        );
        assert_eq!(
            netlink.speed_mbps(link.index).unwrap(),
            ioctl.speed_mbps(&link.name).unwrap(),
            "{}",
            link.name
        );
        assert_eq!(
            netlink
                .config(link.index)
                .map_err(|error| error.to_string()),
            ioctl.config(&link.name).map_err(|error| error.to_string())
        );
    }
}

#[test]
fn loopback_has_no_hardware() {
    for (way, mut ethtool) in both_ways() {
        let lo = ethtool.capabilities("lo").unwrap();
        assert!(lo.software_rx() && lo.software_tx(), "{way}");
        assert!(!lo.hardware_rx() && !lo.hardware_tx(), "{way}");
        assert_eq!((lo.phc_index, lo.source), (None, None), "{way}");
        assert_eq!(ethtool.speed_mbps("lo").unwrap(), None, "{way}");
        assert_eq!(ethtool.virtual_clocks("lo").unwrap(), [], "{way}");
        assert_eq!(ethtool.statistics("lo").unwrap(), None, "{way}");
        let error = ethtool.config("lo").unwrap_err();
        assert!(
            matches!(error, HwtstampError::NotSupported(_)),
            "{way}: {error}"
        );
        let config = Config {
            flags: 0,
            tx: TxType::On,
            rx: RxFilter::All,
        };
        let error = ethtool.set_config("lo", config).unwrap_err();
        assert!(
            matches!(
                error,
                HwtstampError::NotSupported(_) | HwtstampError::NotPermitted(_)
            ),
            "{way}: {error}"
        );
        let choice = FilterChoice::Auto {
            ptp_transport: true,
        };
        let arranged = ethtool.arrange("lo", choice).unwrap();
        assert!(
            !arranged.changed && arranged.refused.is_none(),
            "{way}: {arranged:?}"
        );
        assert_eq!((arranged.config, arranged.lack), (None, None), "{way}");
    }
}

#[test]
fn an_interface_that_does_not_exist_is_named() {
    for (way, mut ethtool) in both_ways() {
        for name in ["no-such-if0", "", "a-name-that-is-too-long", "nul\0"] {
            let error = ethtool.capabilities(name).unwrap_err();
            assert!(
                matches!(&error, HwtstampError::NoSuchInterface(n) if n == name),
                "{way}: {error:?}"
            );
        }
        let index = u32::MAX >> 1;
        let error = ethtool.config(index).unwrap_err().to_string();
        assert!(error.contains(&index.to_string()), "{way}: {error}");
        let error = ethtool.speed_mbps(index).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV), "{way}");
        assert!(ethtool.driver(index).is_err(), "{way}");
    }
}

#[test]
fn the_family_lists_its_commands() {
    let family = Family::open().unwrap();
    assert!(family.knows(uapi::ETHTOOL_MSG_TSINFO_GET));
    assert!(family.knows(uapi::ETHTOOL_MSG_LINKMODES_GET));
    assert!(!family.knows(0) && !family.knows(63) && !family.knows(64));
}
