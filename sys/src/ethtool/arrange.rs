//! Getting the stamps we want from an interface that is not ours alone.

use super::{Ethtool, Target};
use crate::hwtstamp::{
    Capabilities, Config, FilterChoice, HwtstampError, Lack, Plan, RxFilter, wanted,
};

/// What came of [`Ethtool::arrange`].
#[derive(Debug)]
pub struct Arranged {
    /// What the interface can stamp.
    pub capabilities: Capabilities,
    /// What is in force now, by the driver's own word; `None` where it does not tell, or can
    /// stamp nothing. [`crate::hwtstamp::receives`] says what it means for us.
    pub config: Option<Config>,
    /// Why packets that we want stamped will not be.
    pub lack: Option<Lack>,
    /// Why the setting could not be changed as planned, if it had to be: above all, without
    /// `CAP_NET_ADMIN` what is set stays in force, and may do.
    pub refused: Option<HwtstampError>,
    /// Was the setting changed?
    pub changed: bool,
}

#[expect(
    single_use_lifetimes,
    reason = "an elided lifetime is not yet allowed in `impl Into<..>`"
)]
impl Ethtool {
    /// Reads what `interface` is set to stamp and sets what is missing for `choice`, without
    /// taking anything from other programs ([`wanted`]). Where the driver refuses a filter that
    /// it claims to have, the next best is tried.
    ///
    /// Fails only where the interface's abilities or setting cannot be read.
    pub fn arrange<'a>(
        &mut self,
        interface: impl Into<Target<'a>>,
        choice: FilterChoice,
    ) -> Result<Arranged, HwtstampError> {
        let target = interface.into();
        let capabilities = self.capabilities(target)?;
        let current = match self.config(target) {
            Ok(config) => Some(config),
            // It can be set and not read, or neither: setting will tell.
            Err(HwtstampError::NotSupported(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(settle(capabilities, current, choice, |config| {
            self.set_config(target, config)
        }))
    }
}

/// Plans and sets until the driver grants something or refuses for good.
fn settle(
    capabilities: Capabilities,
    current: Option<Config>,
    choice: FilterChoice,
    mut set: impl FnMut(Config) -> Result<Config, HwtstampError>,
) -> Arranged {
    let arranged = |config, lack| Arranged {
        capabilities,
        config,
        lack,
        refused: None,
        changed: false,
    };
    let mut left = capabilities;
    loop {
        let (config, lack) = match wanted(&left, current, choice) {
            Plan::NoHardware => return arranged(current, None),
            Plan::Keep { config, lack } => return arranged(Some(config), lack),
            Plan::Set { config, lack } => (config, lack),
        };
        match set(config) {
            Ok(granted) => {
                return Arranged {
                    changed: true,
                    ..arranged(Some(granted), lack)
                };
            }
            // Each round has one filter less to try.
            Err(HwtstampError::FilterImpossible(..))
                if config.rx != RxFilter::None && left.offers_rx(config.rx) =>
            {
                left = left.without_rx(config.rx);
            }
            Err(refused) => {
                return Arranged {
                    refused: Some(refused),
                    ..arranged(current, lack)
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hwtstamp::TxType;
    use crate::uapi;

    const AUTO: FilterChoice = FilterChoice::Auto {
        ptp_transport: true,
    };
    const OFF: Config = Config {
        flags: 0,
        tx: TxType::Off,
        rx: RxFilter::None,
    };

    /// A NIC that claims all filters.
    fn nic() -> Capabilities {
        Capabilities {
            timestamping: uapi::SOF_TIMESTAMPING_RAW_HARDWARE
                | uapi::SOF_TIMESTAMPING_TX_HARDWARE
                | uapi::SOF_TIMESTAMPING_RX_HARDWARE,
            tx_types: 0b11,
            rx_filters: 0xffff,
            ..Default::default()
        }
    }

    fn impossible(config: Config) -> HwtstampError {
        HwtstampError::FilterImpossible("eth0".into(), config)
    }

    #[test]
    fn what_the_driver_refuses_is_passed_over_and_its_answer_counts() {
        let mut tried = Vec::new();
        let arranged = settle(nic(), Some(OFF), AUTO, |config| {
            tried.push(config.rx);
            match config.rx {
                RxFilter::PtpV2L4Event => Ok(Config {
                    rx: RxFilter::PtpV2Event,
                    ..config
                }),
                _ => Err(impossible(config)),
            }
        });
        let order = [RxFilter::NtpAll, RxFilter::All, RxFilter::PtpV2L4Event];
        assert_eq!(tried, order);
        assert_eq!(arranged.config.unwrap().rx, RxFilter::PtpV2Event);
        assert!(arranged.changed && arranged.refused.is_none() && arranged.lack.is_none());
        assert_eq!(arranged.capabilities, nic(), "as the driver claims");
    }

    #[test]
    fn a_driver_that_refuses_everything_is_asked_a_few_times() {
        for current in [None, Some(OFF)] {
            let mut tried = 0;
            let arranged = settle(nic(), current, AUTO, |config| {
                tried += 1;
                Err(impossible(config))
            });
            assert!(tried <= RxFilter::KNOWN.len(), "{tried}");
            assert!(!arranged.changed && arranged.refused.is_some());
            assert_eq!(arranged.config, current);
        }
    }

    #[test]
    fn another_programs_filter_that_cannot_be_set_again_stays() {
        // It is set and offered; what is refused is to switch transmission on beside it.
        let current = Config {
            rx: RxFilter::All,
            ..OFF
        };
        let mut tried = 0;
        let arranged = settle(nic(), Some(current), AUTO, |config| {
            tried += 1;
            assert!(tried <= 2, "again and again");
            Err(impossible(config))
        });
        assert_eq!(arranged.config, Some(current));
        assert!(arranged.refused.is_some());
    }

    #[test]
    fn without_permission_what_is_set_stays_in_force() {
        let mut tried = 0;
        let arranged = settle(nic(), Some(OFF), AUTO, |_| {
            tried += 1;
            Err(HwtstampError::NotPermitted("eth0".into()))
        });
        assert_eq!(
            (tried, arranged.config, arranged.changed),
            (1, Some(OFF), false)
        );
        let refused = arranged.refused.unwrap().to_string();
        assert!(refused.contains("CAP_NET_ADMIN"), "{refused}");
        let fitting = Config {
            tx: TxType::On,
            rx: RxFilter::All,
            ..OFF
        };
        let arranged = settle(nic(), Some(fitting), AUTO, |_| panic!("nothing to set"));
        assert!(arranged.refused.is_none() && arranged.config == Some(fitting));
    }
}
