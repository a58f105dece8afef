//! PTP hardware clocks: find, describe, read.
