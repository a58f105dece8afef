//! Key establishment as a client: TCP, TLS 1.3, certificates, and the messages of `ntp::nts::ke`.
//!
//! [`establish`] does all of it once, and keeps nothing: when to try again, and what becomes of the
//! keys, is the caller's. Certificates are checked by the time that the caller believes in, and what
//! was checked comes back as a [`CertificateProof`], so that it can be checked again at another time
//! (see [`bootstrap`](super::bootstrap)).
//!
//! - `trust`: whom this host trusts; `chain`: the certificates of a server, checked against that;
//! - `verifier`: the same as TLS wants it, with what [`DatePolicy`] allows;
//! - `establish`: the connection; `failure` and `rejection`: what can go wrong, in words.

mod certificate;
mod chain;
mod establish;
mod failure;
mod proof;
mod rejection;
#[cfg(test)]
mod tests;
mod trust;
mod verifier;

pub use establish::{DEADLINE, Established, KeOrder, establish};
pub use failure::{KeFailure, Phase};
pub use proof::CertificateProof;
pub use rejection::{Checked, Rejection, Whose};
pub use trust::TrustError;
pub use verifier::DatePolicy;
