//! `[selection]`: which sources the clock follows.

use super::section::section;
use super::value::choice;

section! {
    /// Which sources the clock follows.
    pub struct SelectionConfig {
        /// What authentication is worth.
        "authentication" => authentication: Authentication = Authentication::Mix;
    }
}

choice! {
    /// How sources that prove who they are (NTS), and clocks of this host, stand to those that
    /// anybody on the way can forge.
    pub enum Authentication {
        /// The others are never followed.
        Require = "require",
        /// The others are followed only where no source uses NTS.
        Prefer = "prefer",
        /// The others must agree with them.
        Mix = "mix",
        /// All are the same.
        Ignore = "ignore",
    }
}
