//! NTS.
pub mod client;
