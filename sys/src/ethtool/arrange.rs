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
                Plan::NoHardware => return Ok(arranged(current, None)),
                Plan::Keep { config, lack } => return Ok(arranged(Some(config), lack)),
                Plan::Set { config, lack } => (config, lack),
            };
            match self.set_config(target, config) {
                Ok(granted) => {
                    return Ok(Arranged {
                        changed: true,
                        ..arranged(Some(granted), lack)
                    });
                }
                Err(HwtstampError::FilterImpossible(..))
                    if config.rx != RxFilter::None && left.offers_rx(config.rx) =>
                {
                    left = left.without_rx(config.rx);
                }
                Err(refused) => {
                    return Ok(Arranged {
                        refused: Some(refused),
                        ..arranged(current, lack)
                    });
                }
            }
        }
    }
}
