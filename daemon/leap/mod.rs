//! What is published about leap seconds.

mod list;
#[cfg(test)]
pub(crate) use list::tests;

pub(crate) use list::{LeapList, ListError};
