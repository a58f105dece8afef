//! PTP hardware clocks: `/dev/ptpN`.
