//! Hostile packets and messages, made by a codec that shares nothing with the crate under test.
//!
//! The codec is written from the RFCs: [`siv`] (RFC 5297), [`packet`] (RFC 5905, 7822 and 8915) and
//! [`cookie`]. It can write whatever is wrong, and it reads strictly; what the crate sends
//! is judged by it. Each case is named after the rule it breaks.

#![expect(clippy::unwrap_used, reason = "tests")]

mod client;
mod cookie;
mod dice;
mod ke;
mod packet;
mod server;
mod siv;
