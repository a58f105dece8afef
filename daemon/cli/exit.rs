//! How a command ended.

use std::process::ExitCode;

/// How a command ended, as every `clockwright` command tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: done what was asked.
    Done = 0,
    /// 1: could not be done; a message on standard error says what was tried.
    Failed = 1,
    /// 2: wrong usage, or a configuration that is not valid.
    Usage = 2,
    /// 3: the command worked, and the answer is that the clock is not synchronised.
    Unsynchronized = 3,
}

impl Exit {
    /// The number the process returns.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
