//! What the configuration says about interfaces.

use clockwright_sys::hwtstamp::FilterChoice;
use clockwright_timebase::Duration;

use super::nic::Wishes;
use crate::config::{PtpTransport, RxFilterChoice, TimestampingConfig};

/// Which interfaces are to stamp, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    config: TimestampingConfig,
}

impl Policy {
    /// As configured.
    pub const fn new(config: TimestampingConfig) -> Self {
        Self { config }
    }

    /// Is any interface to stamp in hardware?
    pub(super) fn any(&self) -> bool {
        !self.config.interfaces.is_empty()
    }

    /// Is one of these names, an interface's own and those of the bonds and VLANs above it, to
    /// stamp in hardware?
    pub(super) fn wants(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.config.selects(name))
    }

    /// What is wished of the interface `name`.
    pub(super) fn wishes(&self, name: &str) -> Wishes {
        let own = self.config.of_interface(name);
        Wishes {
            filter: filter(
                own.and_then(|own| own.rx_filter)
                    .unwrap_or(self.config.rx_filter),
                self.config.ptp_transport,
            ),
            tx_compensation: own.map_or(Duration::ZERO, |own| own.tx_compensation),
            rx_compensation: own.map_or(Duration::ZERO, |own| own.rx_compensation),
            // A clock that is not there is found missing when the driver's own is used instead.
            clock: own
                .and_then(|own| own.phc.as_ref())
                .and_then(|phc| phc.selector().path().ok())
                .map(Into::into),
        }
    }
}

/// The filter to ask for.
const fn filter(choice: RxFilterChoice, transport: PtpTransport) -> FilterChoice {
    match choice {
        RxFilterChoice::Auto => FilterChoice::Auto {
            ptp_transport: !matches!(transport, PtpTransport::Never),
        },
        RxFilterChoice::All => FilterChoice::All,
        RxFilterChoice::Ntp => FilterChoice::Ntp,
        RxFilterChoice::Ptp => FilterChoice::Ptp,
        RxFilterChoice::None => FilterChoice::None,
    }
}
