//! The control socket: how `clockwright status` and monitoring ask the running daemon.
//!
//! A Unix stream socket. A client writes one JSON object a line ([`Request`]) and gets one JSON
//! object a line back ([`Answer`]). Every request only reads.

mod auth;
mod client;
mod protocol;
mod report;
mod server;
mod serving;
mod socket;
#[cfg(test)]
mod tests;
mod timestamps;

pub use auth::AuthEntry;
pub use client::{AskError, ask};
pub use protocol::{Answer, MAX_REQUEST, MOST_TALKERS, Request};
pub use report::{
    AuthReport, ClockName, DisruptionKind, DisruptionReport, KindReport, LeapListReport,
    LeapReport, SourceReport, SourceState, StampReport, StatusReport, Steering, TransportReport,
};
pub use server::MAX_CLIENTS;
pub use serving::{
    KeyServerReport, ServerReport, ServerStampsReport, TableReport, TalkerReport, WorkerReport,
};
pub use socket::{ControlError, ControlSocket};
pub use timestamps::{
    FallbackReport, InterfaceReport, PhcReport, RxReport, StampCounts, TimestampsReport,
    TxStampReport,
};

/// Where the control socket gets its answers: implemented by the run loop.
///
/// Called on the daemon's own thread, once for every request; what is returned is a snapshot.
pub trait View {
    /// The daemon and its clock, now.
    fn status(&self) -> StatusReport;
    /// All sources, now, in the order of the configuration.
    fn sources(&self) -> Vec<SourceReport>;
    /// How the sources that are asked over the network prove themselves, now, in the same order.
    fn auth(&self) -> Vec<AuthEntry>;
    /// Who has asked this host, and what became of it, now; with so many of the clients that ask
    /// most.
    fn server(&self, talkers: u32) -> ServerReport;
    /// Who stamps packets on which interface, and why not better, now.
    fn timestamps(&self) -> TimestampsReport;
}
