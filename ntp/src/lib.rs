//! NTP without I/O: packets, client and server state machines, interleaved mode.
//!
//! Nothing here reads a clock, a file, a socket or a source of random numbers. The state machines
//! take the time, the octets that arrived and an [`Entropy`] as arguments, and give back what is
//! to be done. The same code runs in the daemon, in the simulator and under the fuzzers.
//!
//! - [`time`]: the 64-bit and 32-bit formats of the wire, and their eras (RFC 5905 section 6).
//! - [`packet`]: the 48-octet header (RFC 5905 section 7.3).
//! - [`extension`]: extension fields and where the MAC begins (RFC 7822).
//! - [`nts`]: Network Time Security (RFC 8915).
//! - [`over_ptp`]: NTP packets in PTP messages (RFC 10030).
//! - [`client`]: asks one server; basic and interleaved (RFC 9769), with data-minimised requests.
//! - [`server`]: answers, basic and interleaved.
//! - [`exchange`]: four timestamps and what they say about the local clock.
//!
//! Local instants of a client are on [`Raw`](clockwright_timebase::Raw), which nobody steers, so
//! that steering a clock never bends a measurement; a server's are on
//! [`Utc`](clockwright_timebase::Utc), because that is what it gives out.

pub mod client;
mod entropy;
pub mod exchange;
pub mod extension;
pub mod nts;
pub mod over_ptp;
pub mod packet;
pub mod server;
pub mod time;

pub use client::{
    Action, Arrival, AuthStatus, Client, ClientConfig, ClientStatistics, KeyPace, PortPolicy,
    PtpUse, Rejection, Request, Stamps, Transport, TxToken,
};
pub use entropy::Entropy;
pub use exchange::{Exchange, Foreseen, Measurement, Residence};
pub use packet::{Header, KissCode, Leap, Mode, ReferenceId};
pub use server::{
    ABOUT, Dropped, Received, Reply, ReplyBuffer, Server, ServerConfig, ServerStatistics,
    SystemVariables, TxKey, claims_nts,
};
pub use time::{NtpShort, NtpTimestamp};
