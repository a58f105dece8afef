//! The mathematics of clock discipline, without I/O.
