//! The keys of `[[source]]`, of any kind, that say what a source is to the others.

use super::section::section;

section! {
    /// What the user wants of a source in the selection.
    pub struct SourcePart {
        /// It is followed before all others, if it tells the truth.
        "prefer" => prefer: bool = false;
        /// A majority of the trusted ones decides what the truth is.
        "trust" => trust: bool = false;
        /// The clock is updated only while one of the required ones tells the truth.
        "require" => require: bool = false;
        /// It is measured, and never followed.
        "noselect" => noselect: bool = false;
    }
}

impl SourcePart {
    /// The names of the keys that are `true`.
    pub fn names(&self) -> Vec<&'static str> {
        let all = [
            ("prefer", self.prefer),
            ("trust", self.trust),
            ("require", self.require),
            ("noselect", self.noselect),
        ];
        let given = all.into_iter().filter(|(_, given)| *given);
        given.map(|(name, _)| name).collect()
    }
}
