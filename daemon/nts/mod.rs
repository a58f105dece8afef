//! NTS.
pub mod bootstrap;
pub mod client;
