//! What is wrong with a server's certificates, in words an operator can act on.

use std::fmt;

use clockwright_timebase::{Timestamp, Utc};
use rustls::{CertificateError, Error};

use super::certificate::{Validity, is_self_signed, to_utc, validity};
use super::chain::{Chain, MAX_INTERMEDIATES};
use crate::output::{date, printable};

/// So many of a certificate's names are shown.
const MAX_NAMES: usize = 8;

/// Which certificate it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The server's own.
    Server,
    /// One between it and the root.
    Issuer,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "the server's certificate",
            Self::Issuer => "an issuer's certificate that the server sent",
        })
    }
}

/// What dates were compared with: the later of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// What this host's clock said.
    pub clock: Timestamp<Utc>,
    /// What is surely past, if that was to be considered.
    pub lower_bound: Option<Timestamp<Utc>>,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = date(self.clock);
        match self.lower_bound {
            Some(least) if least > self.clock => write!(
                f,
                "it is {} at least (when this program was built, or last knew the time, which is in \
                 drift.json in state.directory: remove that if it is wrong), though this host's clock \
                 says {clock}",
                date(least)
            ),
            _ => write!(f, "this host's clock says {clock}"),
        }
    }
}

/// Why certificates are not accepted. All but the dates are the server's doing, or whoever's is
/// there instead of it; the dates can be this host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It was valid until then.
    Expired(Whose, Timestamp<Utc>, Checked),
    /// It is valid from then on.
    NotYetValid(Whose, Timestamp<Utc>, Checked),
    /// It is for other names.
    WrongName {
        /// The name it should have.
        expected: String,
        /// Those that it has.
        names: Vec<String>,
    },
    /// The server signed it itself, and it was not named as trusted.
    SelfSigned,
    /// It leads to nobody who is trusted. So many certificates were sent.
    UnknownIssuer(usize),
    /// So many certificates were sent, which is more than are looked at.
    TooMany(usize),
    /// It is not meant for servers.
    Purpose,
    /// Whoever is trusted by the name of its issuer did not sign it.
    Signature,
    /// It is signed in a way that is not accepted.
    Algorithm(String),
    /// It makes no sense, or has something in it that is not understood.
    Unusable(String),
}

impl Rejection {
    /// What `error` means about `chain`.
    pub(super) fn new(error: &Error, chain: &Chain, checked: Checked) -> Self {
        let Error::InvalidCertificate(error) = error else {
            return Self::Unusable(error.to_string());
        };
        match error {
            CertificateError::ExpiredContext { not_after, .. } => {
                let expired = |it: Validity| it.until == *not_after;
                Self::Expired(whose(chain, expired), to_utc(*not_after), checked)
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                let begins = |it: Validity| it.from == *not_before;
                Self::NotYetValid(whose(chain, begins), to_utc(*not_before), checked)
            }
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName {
                expected: chain.name.to_str().into_owned(),
                names: presented.iter().map(|name| bare(name)).collect(),
            },
            // Also one that may issue others, which a server's may not.
            CertificateError::UnknownIssuer | CertificateError::Other(_)
                if is_self_signed(&chain.server) =>
            {
                Self::SelfSigned
            }
            CertificateError::UnknownIssuer => Self::UnknownIssuer(chain.intermediates.len() + 1),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Purpose
            }
            CertificateError::BadSignature => Self::Signature,
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::Algorithm(error.to_string())
            }
            CertificateError::Other(other) => Self::Unusable(other.to_string()),
            other => Self::Unusable(other.to_string()),
        }
    }

    /// Is it the dates that are wrong, so that it may be the clock?
    pub const fn is_about_dates(&self) -> bool {
        matches!(self, Self::Expired(..) | Self::NotYetValid(..))
    }
}

/// Is it the server's certificate whose dates are like that?
fn whose(chain: &Chain, dates: impl Fn(Validity) -> bool) -> Whose {
    if validity(&chain.server).is_some_and(dates) {
        Whose::Server
    } else {
        Whose::Issuer
    }
}

/// A name as the server's operator wrote it. webpki shows `DnsName("a")` and `IpAddress(::1)`.
fn bare(name: &str) -> String {
    let inner = ["DnsName(\"", "IpAddress("]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    let inner = inner.map_or(name, |it| it.trim_end_matches(')').trim_matches('"'));
    printable(inner).into_owned()
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(whose, expired, checked) => write!(
                f,
                "{whose} expired at {}, and {checked}: the server's operator has to renew it, unless \
                 the clock is wrong",
                date(*expired)
            ),
            Self::NotYetValid(whose, from, checked) => write!(
                f,
                "{whose} is not valid before {}, and {checked}: the clock is probably wrong. Set it \
                 once, or see clock.restore",
                date(*from)
            ),
            Self::WrongName { expected, names } => write_names(f, expected, names),
            Self::SelfSigned => f.write_str(
                "the server's certificate is self-signed. If it is meant to be trusted, copy it here \
                 and name it in nts.trusted_certificates, or by --trust",
            ),
            Self::UnknownIssuer(sent) => write!(
                f,
                "the server's certificate was issued by nobody whom this host trusts (certificates \
                 sent: {sent}). If the authority is a private one, name its certificate in \
                 nts.trusted_certificates; if it is a public one, the server has to send those \
                 between its own and the root, too (fullchain.pem), or this host's ca-certificates \
                 are old"
            ),
            Self::TooMany(sent) => write!(
                f,
                "the server sent {sent} certificates, and more than {} are not looked at: its \
                 operator has to leave away those that are not between its own and the root",
                MAX_INTERMEDIATES + 1
            ),
            Self::Purpose => f.write_str(
                "the server's certificate is not meant for servers: its extended key usage has to \
                 name serverAuth",
            ),
            Self::Signature => f.write_str(
                "the server's certificate was not signed by the authority that this host trusts by \
                 the name of its issuer. Does the authority have a new key? Then its new certificate \
                 belongs in nts.trusted_certificates",
            ),
            Self::Algorithm(why) => write!(
                f,
                "the server's certificates are signed in a way that is not accepted: {}",
                printable(why)
            ),
            Self::Unusable(why) => {
                write!(f, "the server's certificates cannot be used: {}", printable(why))
            }
        }
    }
}

/// The names that a certificate has, and what to make of them.
fn write_names(f: &mut fmt::Formatter<'_>, expected: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return write!(
            f,
            "the server's certificate is not for {expected}: it has no name at all. Names belong in \
             its subjectAltName; a common name is not looked at (RFC 9525 section 2)"
        );
    }
    let (shown, rest) = names.split_at(names.len().min(MAX_NAMES));
    write!(
        f,
        "the server's certificate is not for {expected} but for {}",
        shown.join(", ")
    )?;
    if !rest.is_empty() {
        write!(f, " and {} more", rest.len())?;
    }
    f.write_str(": is it the right server? Then configure it by one of these names")
}

impl std::error::Error for Rejection {}
