//! What is posted for the workers: the clock as it is served, whom to answer, and by which rules.

use std::sync::Arc;

use clockwright_discipline::{ClockReading, Outlook};
use clockwright_ntp::nts::CookieKeys;
use clockwright_ntp::{Leap, ReferenceId, SystemVariables};
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

use super::about::About;
use super::policy::Policy;
use super::smear::Smear;
use crate::clock::{Pace, Shown, Timescale, Window};
use crate::config::LocalConfig;
use crate::interfaces::Sight;
use clockwright_sys::clock;

/// All that a worker goes by. It does not change; something new is posted instead.
#[derive(Debug)]
pub(crate) struct Posted {
    /// The oscillator of the process, and how the system clock runs against the host's.
    pub(crate) timescale: Timescale,
    /// See there.
    pub(crate) pace: Pace,
    /// The served clock.
    pub(crate) shown: Shown,
    /// Until when that can be believed, on the host's oscillator; `None`: until it is steered.
    pub(crate) fresh_until: Option<Timestamp<Raw>>,
    /// What is known of the clock.
    pub(crate) outlook: Outlook,
    /// The server it follows most, as clients are to know it.
    pub(crate) reference_id: Option<ReferenceId>,
    /// The announced leap second.
    pub(crate) leap: Leap,
    /// Its resolution, log2 s.
    pub(crate) precision: i8,
    /// How it is served while it follows nobody.
    pub(crate) local: Option<LocalConfig>,
    /// The leap second that is being smeared, where that is done.
    pub(crate) smear: Option<Smear>,
    /// The interfaces that stamp in hardware.
    pub(crate) sight: Arc<Sight>,
    /// Who is answered, and how often.
    pub(crate) policy: Arc<Policy>,
    /// What cookies are opened with; `None`: NTS is not spoken.
    pub(crate) cookie_keys: Option<Arc<CookieKeys>>,
}

impl Posted {
    /// The clocks, read now.
    pub(crate) fn window(&self) -> Window {
        Window::new(self.timescale, clock::bracket(), self.pace)
    }

    /// What is said about the clock, which shows `now` at `window`.
    pub(crate) fn variables(&self, window: &Window, now: Timestamp<Utc>) -> SystemVariables {
        let reading = ClockReading {
            raw: window.now(),
            clock: now,
        };
        let status = self.outlook.status(reading);
        About::new(
            status,
            reading,
            self.reference_id,
            self.leap,
            self.precision,
        )
        .variables(self.local.as_ref())
    }

    /// Is what is said of the clock too old at `window`?
    pub(crate) fn is_stale(&self, window: &Window) -> bool {
        self.fresh_until
            .is_some_and(|until| window.host_now() > until)
    }
}

/// How long what a worker has made of what is posted may be used: in that time no clock that is
/// worth its name gets worse by anything that shows in a packet.
pub(crate) const VARIABLES_FRESH_FOR: Duration = Duration::from_millis(8);
