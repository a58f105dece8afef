//! What the fuzz targets have in common: random octets, a session, packets made of pieces, and a
//! client to be driven.
//!
//! Octets by themselves hardly ever make a packet that is authentic, so nothing behind the seal
//! would be reached. The fuzzer therefore chooses pieces, some good and some bad, which are then
//! written, and sealed with the true keys where it says so.

pub mod answer;
pub mod dice;
pub mod drive;
pub mod piece;
pub mod record;
pub mod session;
