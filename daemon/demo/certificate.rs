//! A certificate for the demo's server, and the authority that the clients are told to trust: made
//! anew each time, and gone with the demo's private file system.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

/// Where the files are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// The authority's certificate, PEM.
    pub(super) authority: PathBuf,
    /// The server's certificate, PEM.
    pub(super) certificate: PathBuf,
    /// The server's key, PEM, readable by its owner only.
    pub(super) key: PathBuf,
}

impl Files {
    /// Where they are, below this directory.
    pub(super) fn below(directory: &Path) -> Self {
        Self {
            authority: directory.join("authority.pem"),
            certificate: directory.join("certificate.pem"),
            key: directory.join("key.pem"),
        }
    }
}

/// Why there is no certificate.
#[derive(Debug)]
pub(super) enum CertificateError {
    /// It could not be made.
    Make(rcgen::Error),
    /// It could not be written.
    Write(io::Error),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Make(error) => write!(f, "make the server's certificate: {error}"),
            Self::Write(error) => write!(f, "write the server's certificate: {error}"),
        }
    }
}

impl From<rcgen::Error> for CertificateError {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error)
    }
}

impl From<io::Error> for CertificateError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Makes a certificate for a server with these addresses, and writes it with its key and the
/// authority that signed it.
pub(super) fn write(files: &Files, addresses: &[IpAddr]) -> Result<(), CertificateError> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let mut server = CertificateParams::new(Vec::new())?;
    server.subject_alt_names = addresses.iter().copied().map(SanType::IpAddress).collect();
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?;

    fs::write(&files.authority, authority_certificate.pem())?;
    fs::write(&files.certificate, certificate.pem())?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&files.key)?;
    file.write_all(key.serialize_pem().as_bytes())?;
    Ok(())
}
