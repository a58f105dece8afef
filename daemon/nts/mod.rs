//! Network Time Security (RFC 8915) around the state machines of `ntp`: the connections on which
//! keys are established, and the files in which they are kept.

pub mod bootstrap;
pub mod client;
pub(crate) mod hex;
#[cfg(test)]
pub(crate) mod scratch;
pub(crate) mod secret;
pub mod server;
