//! The daemon around the state machines: configuration, sockets, clocks, control socket, commands.

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod demo;
pub mod interfaces;
mod leap;
pub mod measure;
pub mod nts;
pub mod output;
pub mod probe;
pub mod query;
pub mod run;
mod serve;
pub mod set;
pub mod sim;
