//! NTS between the real binary and real peers: chrony, ntpsec and ntpd-rs, both ways.
//!
//! Needs namespaces: root, or user namespaces for everyone else. `make deps` brings the rest.

#![expect(
    clippy::panic,
    reason = "clippy knows the functions of tests by their attribute, and not what they call"
)]

mod boot;
mod client;
mod crowd;
mod peers;
mod scene;
mod server;
mod shared;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../support/mod.rs"]
mod support;
