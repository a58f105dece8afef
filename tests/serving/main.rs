//! The server under load and abuse: the real binary in network namespaces, asked by thousands of
//! addresses, by nonsense, by other servers, and by clients who only want the time.
//!
//! Needs namespaces: root, or user namespaces for everyone else. `make deps` brings the rest.

#![expect(
    clippy::panic,
    reason = "clippy knows the functions of tests by their attribute, and not what they call"
)]

mod access;
mod actor;
mod ask;
mod flood;
#[path = "../../benches/common/keys.rs"]
mod keys;
mod load;
mod loops;
mod memory;
mod rate;
mod replies;
mod restart;
mod scene;
#[expect(dead_code, reason = "replies are not read here")]
#[path = "../../benches/common/seal.rs"]
mod seal;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../support/mod.rs"]
mod support;
#[path = "../../benches/serving/wire.rs"]
mod wire;
mod workers;
