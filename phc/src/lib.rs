//! PTP hardware clocks: find, read, track, steer.
//!
//! A clock is named by its device, its driver's name or an interface it stamps for ([`Selector`]);
//! [`Clock::read`] says what it showed at which instant of `CLOCK_MONOTONIC_RAW`, by the best
//! method the kernel and the driver have.

mod band;
mod clock;
mod error;
mod find;
mod knot;
mod seen;
mod steered;
mod track;
mod tracked;
mod tracker;

pub use clock::{Clock, Method, Reading};
pub use clockwright_sys::ptp::{Device, DeviceCapabilities, ExternalEvent};
pub use error::PhcError;
pub use find::{Found, Selector, device, list, of_interface};
pub use steered::Steered;
pub use tracked::Tracked;
pub use tracker::{Instant, Taken, Tracker, TrackerStatus};
