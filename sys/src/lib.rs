//! The kernel boundary of clockwright: everything that asks Linux for time, safely.
//!
//! This is the one crate with `unsafe` in it. It offers the kernel's mechanisms in safe, typed
//! form and decides nothing: which clock to trust, which stamp to use and when to steer is for
//! the crates above.
//!
//! | module | kernel interface |
//! |---|---|
//! | [`cache`] | none: the processor's cache |
//! | [`clock`] | `clock_gettime`: readings, alone and bracketed |
//! | [`adjust`] | `clock_adjtime`: frequency, steps, status |
//! | [`socket`] | UDP with `SO_TIMESTAMPING`, error queue, batches |
//! | [`link`] | interfaces, listed and watched (rtnetlink) |
//! | [`ethtool`] | what an interface can stamp and is set to, its speed (netlink, ioctl) |
//! | [`hwtstamp`] | the words for that, and which setting to ask for |
//! | [`ptp`] | `/dev/ptpN`: reading, external timestamps |
//! | [`pps`] | `/dev/ppsN` |
//! | [`shm`] | the shared memory of NTP's driver 28 |
//! | [`vmclock`] | `/dev/vmclockN`: the clock of a hypervisor, as a page of memory |
//! | [`net`] | names and indices of interfaces |
//! | [`held`] | sockets that the service manager holds |
//! | [`process`] | capabilities, life and death of processes |
//! | [`wake`] | descriptors that wake tokio tasks |
//!
//! Every system call goes through the C library's function, so that tools which interpose those
//! functions (clknetsim, libfaketime) see each of them.

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
compile_error!(
    "clockwright-sys supports 64-bit Linux with glibc: other targets lay out the structures used \
     here differently"
);

pub mod adjust;
pub mod cache;
pub mod clock;
pub mod ethtool;
pub mod held;
pub mod hwtstamp;
mod ioctl;
pub mod link;
pub mod net;
mod netlink;
pub mod pps;
pub mod process;
pub mod ptp;
pub mod shm;
pub mod socket;
mod uapi;
pub mod vmclock;
pub mod wake;
