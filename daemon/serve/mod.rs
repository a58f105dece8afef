//! Serving time: what is decided about each request.

pub(crate) mod access;
