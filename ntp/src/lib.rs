//! NTP without I/O: packets, client and server state machines, interleaved mode.
