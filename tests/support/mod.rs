//! What the integration tests stand on: networks, processes, our daemon and its peers.
//!
//! Everything is owned by values: when a test ends, passing or panicking, its processes are
//! killed and reaped, its network namespaces are gone with them, its files are removed, and the
//! logs of a test that failed are shown. If the test program itself is killed, the kernel does
//! the same for the processes and namespaces.

pub(crate) mod chrony;
pub(crate) mod daemon;
pub(crate) mod directory;
pub(crate) mod network;
pub(crate) mod ntpd_rs;
pub(crate) mod ntpsec;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod star;
pub(crate) mod tls;
pub(crate) mod wait;
