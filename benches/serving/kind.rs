//! Kinds of load.

use std::fmt::{Display, Formatter, Result};

use clockwright_ntp::nts::Algorithm;
use serde::{Deserialize, Serialize};

/// What requests are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Form {
    /// Plain ones of the basic mode.
    Plain,
    /// Plain ones of the interleaved mode (RFC 9769).
    Interleaved,
    /// Authentic ones of the basic mode, with keys for the AEAD of this number at IANA.
    Nts(u16),
}

/// When they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loop {
    /// As fast as replies come, so many being under way.
    Closed,
    /// So many a second.
    Open,
}

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) form: Form,
    pub(crate) when: Loop,
}

/// All of them, with their names.
const KINDS: [(&str, Form, Loop); 8] = [
    ("plain", Form::Plain, Loop::Closed),
    ("interleaved", Form::Interleaved, Loop::Closed),
    ("nts30", Form::Nts(30), Loop::Closed),
    ("nts15", Form::Nts(15), Loop::Closed),
    ("plain-open", Form::Plain, Loop::Open),
    ("interleaved-open", Form::Interleaved, Loop::Open),
    ("nts30-open", Form::Nts(30), Loop::Open),
    ("nts15-open", Form::Nts(15), Loop::Open),
];

impl Kind {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Self {
        let kinds = &mut KINDS.iter();
        let found = kinds.find(|(known, ..)| *known == name);
        found.map_or_else(
            || {
                let names = KINDS.map(|(name, ..)| name).join(", ");
                panic!("there is no load {name:?}; there are {names}")
            },
            |&(_, form, when)| Self { form, when },
        )
    }
}

impl Form {
    /// The AEAD, if it is authentic.
    pub(crate) fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::Plain | Self::Interleaved => None,
            Self::Nts(aead) => Algorithm::from_id(aead),
        }
    }
}

impl Display for Kind {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        let known = KINDS
            .iter()
            .find(|(_, form, when)| (*form, *when) == (self.form, self.when));
        to.write_str(known.map_or("", |(name, ..)| name))
    }
}
