//! What travels over the control socket: one JSON object a line, one answer to each request.

use serde::{Deserialize, Serialize};

/// Longest request line accepted, octets, the newline included.
pub const MAX_REQUEST: usize = 1024;

/// The most clients that one answer names.
pub const MOST_TALKERS: u32 = 1000;

/// A request: `{"command":"status"}`. All of them only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Answered by a [`StatusReport`](super::StatusReport).
    Status,
    /// Answered by an array of [`SourceReport`](super::SourceReport).
    Sources,
    /// Answered by an array of [`AuthEntry`](super::AuthEntry).
    Auth,
    /// Answered by a [`ServerReport`](super::ServerReport).
    Server {
        /// So many of the clients that ask most are wanted; above [`MOST_TALKERS`], that many.
        #[serde(default)]
        talkers: u32,
    },
    /// Answered by a [`TimestampsReport`](super::TimestampsReport).
    Timestamps,
}

/// An answer: `{"ok": ...}` or `{"error": "what is wrong"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    /// What was asked for.
    Ok(T),
    /// Why there is no answer.
    Error(String),
}
