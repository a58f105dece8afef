//! The daemon around the state machines.
