//! Certificates for the tests' servers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::directory::Directory;

/// A certificate authority, trusted by whom is told to.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate: PathBuf,
}

/// A server's certificate with its chain, and its private key, both in PEM.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The certificates' file.
    pub(crate) certificate: PathBuf,
    /// The key's file, which only its owner may read.
    pub(crate) key: PathBuf,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    /// From long ago to far in the future.
    Now,
    /// It was, until 2001.
    Past,
    /// It will be, from 2090.
    Future,
    /// From the beginning of one year to that of another.
    Years(i32, i32),
}

impl Authority {
    /// A new one, whose certificate is in `directory` under `name`.
    pub(crate) fn new(directory: &Directory, name: &str) -> Self {
        let mut parameters = parameters(&[], Validity::Now, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(parameters, new_key()).expect("an authority");
        let certificate = directory.write(&format!("{name}.pem"), &issuer.pem());
        Self {
            issuer,
            certificate,
        }
    }

    /// Its own certificate, in PEM.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// A new certificate for a server of these DNS names and IP addresses; its files are in
    /// `directory`, below `name`.
    pub(crate) fn issue(
        &self,
        directory: &Directory,
        name: &str,
        names: &[&str],
        validity: Validity,
    ) -> Identity {
        let key = new_key();
        let certificate = server_parameters(names, validity, name)
            .signed_by(&key, &self.issuer)
            .expect("sign a certificate");
        Identity::write(directory, name, &certificate.pem(), &key)
    }
}

impl Identity {
    /// A certificate that nobody but the server itself has signed.
    pub(crate) fn self_signed(directory: &Directory, name: &str, names: &[&str]) -> Self {
        let key = new_key();
        let certificate = server_parameters(names, Validity::Now, name)
            .self_signed(&key)
            .expect("sign a certificate");
        Self::write(directory, name, &certificate.pem(), &key)
    }

    fn write(directory: &Directory, name: &str, certificate: &str, key: &KeyPair) -> Self {
        let secret = directory.write(&format!("{name}.key"), "");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("protect a key");
        fs::write(&secret, key.serialize_pem()).expect("write a key");
        Self {
            certificate: directory.write(&format!("{name}.pem"), certificate),
            key: secret,
        }
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn server_parameters(names: &[&str], validity: Validity, common_name: &str) -> CertificateParams {
    let mut parameters = parameters(names, validity, common_name);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

fn parameters(names: &[&str], validity: Validity, common_name: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
    let mut parameters = CertificateParams::new(names).expect("names of a certificate");
    let (from, until) = match validity {
        Validity::Now => (2000, 2100),
        Validity::Past => (2000, 2001),
        Validity::Future => (2090, 2100),
        Validity::Years(from, until) => (from, until),
    };
    parameters.not_before = date_time_ymd(from, 1, 1);
    parameters.not_after = date_time_ymd(until, 1, 1);
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    parameters
}
