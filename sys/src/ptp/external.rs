//! External timestamps: events on a clock's pins, stamped by the clock itself.

use std::io;
use std::os::fd::AsRawFd;

use clockwright_timebase::{Phc, Timestamp};

use super::Device;
use crate::ioctl::ioctl;
use crate::uapi;

/// Events that the kernel keeps for a reader at most (`PTP_MAX_TIMESTAMPS`), and read at once.
const MOST_EVENTS: usize = 128;

/// An event on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalEvent {
    /// When, by the clock.
    pub at: Timestamp<Phc>,
    /// On which channel.
    pub channel: u32,
}

impl Device {
    /// Has a programmable pin stamp events as `channel`. Clocks without programmable pins have
    /// theirs wired to channels.
    ///
    /// # Errors
    /// `PermissionDenied` where the device was not opened for writing (Linux 6.15);
    /// `Unsupported` or `InvalidInput` where the pin cannot do that.
    pub fn assign_pin(&self, pin: u32, channel: u32) -> io::Result<()> {
        let mut description = uapi::ptp_pin_desc {
            index: pin,
            func: uapi::PTP_PF_EXTTS,
            chan: channel,
            ..Default::default()
        };
        // SAFETY: PTP_PIN_SETFUNC reads one `ptp_pin_desc`.
        unsafe { ioctl(&self.file, PTP_PIN_SETFUNC, &mut description) }
    }

    /// Begins to stamp rising edges on `channel`, or ends it.
    ///
    /// # Errors
    /// `PermissionDenied` where the device was not opened for writing (Linux 6.15);
    /// `Unsupported` or `InvalidInput` where the clock has no such channel; `ResourceBusy` where
    /// another program uses it.
    pub fn stamp_events(&self, channel: u32, on: bool) -> io::Result<()> {
        let rising = uapi::PTP_ENABLE_FEATURE | uapi::PTP_RISING_EDGE;
        // Strict: a driver that would stamp other edges as well is to refuse. Those that cannot
        // tell are asked again without; the older request has no such flag.
        let flags = if on {
            [rising | uapi::PTP_STRICT_FLAGS, rising]
        } else {
            [0, 0]
        };
        let request = |number, flags| {
            let mut request = uapi::ptp_extts_request {
                index: channel,
                flags,
                ..Default::default()
            };
            // SAFETY: both requests read one `ptp_extts_request`.
            unsafe { ioctl(&self.file, number, &mut request) }
        };
        request(PTP_EXTTS_REQUEST2, flags[0]).or_else(|error| match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::EINVAL) => {
                request(PTP_EXTTS_REQUEST, flags[1])
            }
            _ => Err(error),
        })
    }

    /// The events that have happened since the last call, without waiting.
    pub fn events(&self) -> io::Result<Vec<ExternalEvent>> {
        let mut ready = libc::pollfd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: `ready` is one valid pollfd for the whole call.
        let count = unsafe { libc::poll(&raw mut ready, 1, 0) };
        // Reading would wait for an event: the device knows no O_NONBLOCK.
        if count <= 0 || ready.revents & libc::POLLIN == 0 {
            return if count < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(Vec::new())
            };
        }
        let mut events = [uapi::ptp_extts_event::default(); MOST_EVENTS];
        let pointer = events.as_mut_ptr().cast();
        // SAFETY: the array is writable for as many octets; any octets are valid events.
        let read = unsafe { libc::read(self.file.as_raw_fd(), pointer, size_of_val(&events)) };
        let Ok(read) = usize::try_from(read) else {
            return Err(io::Error::last_os_error());
        };
        let whole = read / size_of::<uapi::ptp_extts_event>();
        Ok(events.iter().take(whole).map(event_of).collect())
    }
}

fn event_of(event: &uapi::ptp_extts_event) -> ExternalEvent {
    ExternalEvent {
        at: super::instant(event.t),
        channel: event.index,
    }
}

/// `PTP_EXTTS_REQUEST`.
const PTP_EXTTS_REQUEST: libc::Ioctl =
    nix::request_code_write!(b'=', 2, size_of::<uapi::ptp_extts_request>());
/// `PTP_EXTTS_REQUEST2` (Linux 5.5): checks its flags.
const PTP_EXTTS_REQUEST2: libc::Ioctl =
    nix::request_code_write!(b'=', 11, size_of::<uapi::ptp_extts_request>());
/// `PTP_PIN_SETFUNC`.
const PTP_PIN_SETFUNC: libc::Ioctl =
    nix::request_code_write!(b'=', 7, size_of::<uapi::ptp_pin_desc>());

const _: () = {
    assert!(size_of::<uapi::ptp_extts_request>() == 16);
    assert!(size_of::<uapi::ptp_extts_event>() == 32);
    assert!(size_of::<uapi::ptp_pin_desc>() == 96);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn ioctl_numbers_are_those_of_the_abi() {
        assert_eq!(PTP_EXTTS_REQUEST, 0x4010_3d02);
        assert_eq!(PTP_EXTTS_REQUEST2, 0x4010_3d0b);
        assert_eq!(PTP_PIN_SETFUNC, 0x4060_3d07);
    }

    #[test]
    fn an_event_is_on_the_clocks_time() {
        let mut event = uapi::ptp_extts_event::default();
        (event.t.sec, event.t.nsec, event.index) = (12, 5, 1);
        let found = event_of(&event);
        assert_eq!(
            (found.at, found.channel),
            (Timestamp::from_timespec(12, 5), 1)
        );
    }
}
