//! What an operator should know about interfaces and their clocks.

use std::fmt;
use std::path::PathBuf;

use clockwright_timebase::Duration;

use crate::output::si::signed;

/// Something that happened to an interface or its clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An interface stamps in hardware from now on.
    InUse {
        /// Its name.
        interface: String,
        /// What was granted.
        grant: String,
        /// The PTP hardware clock.
        clock: PathBuf,
        /// What it will not do, and what that means.
        but: Option<&'static str>,
    },
    /// An interface could stamp, and does not.
    Refused {
        /// Its name.
        interface: String,
        /// Why, and what to do.
        why: String,
    },
    /// An interface that was in use is gone.
    Gone {
        /// Its name.
        interface: String,
    },
    /// The configuration had been lost, and was set again.
    Restored {
        /// Its name.
        interface: String,
        /// What is in force.
        grant: String,
    },
    /// Another program changed the configuration, and it is left so.
    Changed {
        /// Its name.
        interface: String,
        /// What is in force.
        grant: String,
    },
    /// The configuration was lost, and could not be set again.
    Lost {
        /// Its name.
        interface: String,
        /// Why, and what to do.
        why: String,
    },
    /// A PTP hardware clock was set by another program.
    ClockSet {
        /// Its device.
        clock: PathBuf,
        /// By how much.
        by: Duration,
    },
    /// A PTP hardware clock cannot be read.
    ClockUnreadable {
        /// Its device.
        clock: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// A PTP hardware clock can be read again.
    ClockReadable {
        /// Its device.
        clock: PathBuf,
    },
    /// Changes of interfaces are not noticed.
    Blind {
        /// Why.
        why: String,
    },
}

impl Notice {
    /// Is something not as it should be?
    pub const fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Lost { .. }
                | Self::ClockSet { .. }
                | Self::ClockUnreadable { .. }
                | Self::Blind { .. }
        )
    }

    /// Of what kind it is: notices of one kind are limited together.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InUse { .. } | Self::Gone { .. } => "interface",
            Self::Refused { .. } | Self::Lost { .. } => "refused",
            Self::Restored { .. } | Self::Changed { .. } => "filter",
            Self::ClockSet { .. } => "phc-set",
            Self::ClockUnreadable { .. } | Self::ClockReadable { .. } => "phc-read",
            Self::Blind { .. } => "blind",
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse {
                interface,
                grant,
                clock,
                but,
            } => {
                let clock = clock.display();
                write!(f, "{interface}: hardware timestamps by {clock} ({grant})")?;
                but.map_or(Ok(()), |but| write!(f, "; {but}"))
            }
            Self::Refused { interface, why } => write!(
                f,
                "{interface}: no hardware timestamps, software timestamps are used: {why}"
            ),
            Self::Gone { interface } => write!(f, "{interface}: the interface is gone"),
            Self::Restored { interface, grant } => write!(
                f,
                "{interface}: the device had forgotten how to timestamp (was it reset?); set \
                 again: {grant}"
            ),
            Self::Changed { interface, grant } => write!(
                f,
                "{interface}: another program changed how it timestamps: now {grant}"
            ),
            Self::Lost { interface, why } => write!(
                f,
                "{interface}: hardware timestamps were switched off, and cannot be switched on \
                 again; software timestamps are used: {why}"
            ),
            Self::ClockSet { clock, by } => write!(
                f,
                "{} was set by another program, by {}; measuring it anew",
                clock.display(),
                signed(by.as_secs_f64())
            ),
            Self::ClockUnreadable { clock, why } => write!(
                f,
                "{} cannot be read, software timestamps are used: {why}",
                clock.display()
            ),
            Self::ClockReadable { clock } => write!(f, "{} can be read again", clock.display()),
            Self::Blind { why } => write!(
                f,
                "interfaces that come, go or change are not noticed until a restart: {why}"
            ),
        }
    }
}
