//! A simulated world that drives clockwright's real state machines in virtual time.
