//! The real binary in network namespaces, with itself and with chronyd as peers.
//!
//! Needs namespaces: root, or user namespaces for everyone else. `make deps` brings the rest.

#![expect(
    clippy::panic,
    reason = "clippy knows the functions of tests by their attribute, and not what they call"
)]

mod daemon;
mod demo;
mod gpsd;
mod held;
mod leap;
mod orphan;
mod ptp;
mod query;
mod refclocks;
mod serve;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../support/mod.rs"]
mod support;
