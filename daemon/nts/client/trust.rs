//! Whom this host trusts to say who a server is: the authorities that the system knows, and the
//! certificates that the configuration names.
//!
//! A certificate of an authority that is named counts like one of the system's. Any other that is
//! named - self-signed, or not - is trusted to be the server's own, octet for octet, and for nothing
//! else: it does not make its key that of an authority, which could then speak for any server.
//! (webpki would take it as one.) An authority's certificate that a server shows as its own is
//! accepted if it is named; `openssl req -x509` makes such ones unless it is told otherwise.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};

use super::certificate::{is_authority, is_named_issuer};
use super::chain::Chain;

/// Longest file read, octets; all authorities of a system take a quarter of a megabyte.
const MAX_FILE: u64 = 4 << 20;

/// Why it is not known whom to trust.
#[derive(Debug)]
pub enum TrustError {
    /// Neither the system nor the configuration names anybody.
    Nobody,
    /// The files could not be read in time.
    TooSlow,
    /// A configured file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// There is no certificate in it.
    NoCertificate(PathBuf),
    /// One of its certificates makes no sense.
    Damaged(PathBuf, String),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str(
                "this host trusts nobody to say who a server is: install the system's certificates \
                 (Debian, Ubuntu, Fedora: package ca-certificates), or name a file in \
                 nts.trusted_certificates",
            ),
            Self::TooSlow => f.write_str(
                "the files with the certificates that this host trusts could not be read in time; \
                 are they on a network file system?",
            ),
            Self::Unreadable(path, error) => write!(
                f,
                "cannot read {}, which nts.trusted_certificates or --trust names: {error}",
                path.display()
            ),
            Self::NoCertificate(path) => write!(
                f,
                "no certificate is in {}, which nts.trusted_certificates or --trust names; a PEM file \
                 with `-----BEGIN CERTIFICATE-----` is expected",
                path.display()
            ),
            Self::Damaged(path, why) => write!(
                f,
                "a certificate in {}, which nts.trusted_certificates or --trust names, cannot be used: \
                 {why}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for TrustError {}

/// Whom this host trusts.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    roots: Arc<RootCertStore>,
    named: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// The system's authorities as they are now, and the certificates in `files`. Takes some
    /// milliseconds.
    ///
    /// # Errors
    /// A file cannot be used, or there is nobody. Of the system's, what can be read counts.
    pub(super) fn load(files: &[PathBuf]) -> Result<Self, TrustError> {
        Self::gather(rustls_native_certs::load_native_certs().certs, files)
    }

    /// As [`Trust::load`], with these for the system's authorities.
    pub(super) fn gather(
        system: Vec<CertificateDer<'static>>,
        files: &[PathBuf],
    ) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(system);
        let mut named = Vec::new();
        for file in files {
            for certificate in read(file)? {
                // What cannot be read as a server's can only be an authority's: old ones are.
                if is_authority(&certificate).unwrap_or(true) {
                    roots
                        .add(certificate.clone())
                        .map_err(|error| TrustError::Damaged(file.clone(), error.to_string()))?;
                }
                named.push(certificate);
            }
        }
        if roots.is_empty() && named.is_empty() {
            return Err(TrustError::Nobody);
        }
        Ok(Self {
            roots: Arc::new(roots),
            named,
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        })
    }

    /// Of all of it what is needed to check `chain` again.
    pub(super) fn for_chain(&self, chain: &Chain) -> Self {
        let issues = |subject: &[u8]| chain.certificates().any(|it| is_named_issuer(subject, it));
        let roots = self.roots.roots.iter();
        Self {
            roots: Arc::new(
                roots
                    .filter(|root| issues(&root.subject))
                    .cloned()
                    .collect(),
            ),
            named: self
                .named
                .iter()
                .filter(|named| **named == chain.server)
                .cloned()
                .collect(),
            algorithms: self.algorithms,
        }
    }

    /// Was this very certificate named?
    pub(super) fn names(&self, certificate: &CertificateDer<'_>) -> bool {
        self.named.contains(certificate)
    }

    /// The authorities.
    pub(super) fn roots(&self) -> &RootCertStore {
        &self.roots
    }

    /// What signatures may be made with.
    pub(super) const fn algorithms(&self) -> &[&'static dyn SignatureVerificationAlgorithm] {
        self.algorithms.all
    }

    /// The same, as TLS wants it.
    pub(super) const fn for_tls(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }
}

/// The certificates in a file; one at least.
fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let mut text = Vec::new();
    File::open(file)
        .and_then(|it| it.take(MAX_FILE).read_to_end(&mut text))
        .map_err(|error| TrustError::Unreadable(file.to_owned(), error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(none) if none.is_empty() => Err(TrustError::NoCertificate(file.to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(TrustError::Damaged(file.to_owned(), error.to_string())),
    }
}
