//! Certificates and their private keys: reading them, and choosing one for a client.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use zeroize::Zeroize;

use super::validity::Validity;
use crate::nts::secret::{self, SecretError};

/// The longest file with certificates that is read, octets.
const LONGEST: u64 = 64 * 1024;
const DAY: i64 = 86_400;
/// So long before its end a certificate should have been renewed.
const RENEWAL: i64 = 7 * DAY;

/// Why certificates cannot be used.
#[derive(Debug)]
pub enum CertificateError {
    /// No certificate is configured.
    None,
    /// Each certificate needs a key, and each key a certificate.
    Unequal {
        /// How many certificates there are.
        certificates: usize,
        /// How many keys.
        keys: usize,
    },
    /// The certificate's file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It holds no certificate.
    NoCertificate(PathBuf, String),
    /// The key's file cannot be read, or others can read it.
    Key(SecretError),
    /// It holds no private key that can be used.
    NoKey(PathBuf, String),
    /// They do not belong together.
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("NTS key establishment needs a certificate and its key"),
            Self::Unequal { certificates, keys } => write!(
                f,
                "each certificate needs its private key, in the same order; there are \
                 {certificates} certificates and {keys} private keys"
            ),
            Self::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::NoCertificate(path, why) => {
                write!(f, "there is no certificate in {}: {why}", path.display())
            }
            Self::Key(error) => error.fmt(f),
            Self::NoKey(path, why) => write!(
                f,
                "there is no private key that can be used in {}: {why}; a PEM file with a key that \
                 is not encrypted is needed",
                path.display()
            ),
            Self::Mismatch { certificate, key } => write!(
                f,
                "the private key in {} is not that of the certificate in {}",
                key.display(),
                certificate.display()
            ),
        }
    }
}

impl std::error::Error for CertificateError {}

/// Certificates with their keys; at least one.
pub(super) struct Certificates {
    first: Pair,
    others: Vec<Pair>,
}

/// A certificate, the way to its root, and its key.
struct Pair {
    path: PathBuf,
    certified: Arc<CertifiedKey>,
    validity: Option<Validity>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.pairs().map(|it| &it.path))
            .finish()
    }
}

impl Certificates {
    /// Reads certificates, and keys in the same order.
    ///
    /// # Errors
    /// One of them cannot be used. A certificate that is not valid now can: the clock may be wrong,
    /// and a client says better what it does not like. See [`remarks`](Self::remarks).
    pub(super) fn load(
        certificates: &[PathBuf],
        keys: &[PathBuf],
    ) -> Result<Self, CertificateError> {
        if certificates.len() != keys.len() {
            return Err(CertificateError::Unequal {
                certificates: certificates.len(),
                keys: keys.len(),
            });
        }
        let pairs = certificates.iter().zip(keys);
        let mut pairs = pairs.map(|(certificate, key)| Pair::load(certificate, key));
        Ok(Self {
            first: pairs.next().ok_or(CertificateError::None)??,
            others: pairs.collect::<Result<_, _>>()?,
        })
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        [&self.first].into_iter().chain(&self.others)
    }

    /// When the first of them expires, seconds since 1970.
    pub(super) fn not_after(&self) -> Option<i64> {
        let ends = self.pairs().filter_map(|it| it.validity);
        ends.map(|it| it.not_after).min()
    }

    /// What an operator should know about the dates of these certificates, each a line.
    pub(super) fn remarks(&self, now_unix_s: u64) -> Vec<String> {
        let now = i64::try_from(now_unix_s).unwrap_or(i64::MAX);
        self.pairs().filter_map(|pair| pair.remark(now)).collect()
    }

    /// The first certificate for this name that the client can check, or else the first that it
    /// can check, or else the first.
    fn choose(&self, name: Option<&str>, can_check: impl Fn(&CertifiedKey) -> bool) -> &Pair {
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let checked: Vec<&Pair> = self.pairs().filter(|it| can_check(&it.certified)).collect();
        let named = |it: &&&Pair| name.as_ref().is_some_and(|name| it.is_for(name));
        let found = checked.iter().find(named).or(checked.first());
        found.copied().unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let can_check = |it: &CertifiedKey| it.key.choose_scheme(schemes).is_some();
        let pair = self.choose(hello.server_name(), can_check);
        Some(Arc::clone(&pair.certified))
    }
}

impl Pair {
    fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let chain = read_chain(certificate)?;
        let validity = chain.first().and_then(|first| Validity::of(first));
        let signing = read_key(key)?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(CertificateError::Mismatch {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                });
            }
            Err(error) => {
                let path = certificate.to_owned();
                return Err(CertificateError::NoCertificate(path, error.to_string()));
            }
        }
        Ok(Self {
            path: certificate.to_owned(),
            certified: Arc::new(certified),
            validity,
        })
    }

    fn is_for(&self, name: &ServerName<'_>) -> bool {
        self.certified
            .end_entity_cert()
            .and_then(ParsedCertificate::try_from)
            .and_then(|parsed| verify_server_name(&parsed, name))
            .is_ok()
    }

    fn remark(&self, now: i64) -> Option<String> {
        let path = self.path.display();
        let Validity {
            not_before,
            not_after,
        } = self.validity?;
        if now < not_before {
            let wait = span(not_before - now);
            Some(format!(
                "the certificate in {path} is not valid for another {wait}, unless this host's \
                 clock is wrong: until then clients refuse it"
            ))
        } else if now > not_after {
            let since = span(now - not_after);
            Some(format!(
                "the certificate in {path} expired {since} ago: clients refuse it. Renew it; it is \
                 read anew by itself"
            ))
        } else if not_after - now < RENEWAL && not_after - not_before > 2 * RENEWAL {
            let left = span(not_after - now);
            Some(format!(
                "the certificate in {path} expires in {left}: renew it"
            ))
        } else {
            None
        }
    }
}

/// A number of seconds for people.
fn span(seconds: i64) -> String {
    match seconds / 3600 {
        _ if seconds < 120 => format!("{seconds} seconds"),
        0..2 => format!("{} minutes", seconds / 60),
        hours @ 2..48 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}

/// The certificates of a PEM file.
fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut text))
        .map_err(|error| CertificateError::Unreadable(path.to_owned(), error))?;
    let none = |why: String| CertificateError::NoCertificate(path.to_owned(), why);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| none(explain(&error)))?;
    if chain.is_empty() {
        return Err(none(explain(&pem::Error::NoItemsFound)));
    }
    Ok(chain)
}

/// The first private key of a PEM file.
fn read_key(path: &Path) -> Result<Arc<dyn rustls::sign::SigningKey>, CertificateError> {
    let none = |why: String| CertificateError::NoKey(path.to_owned(), why);
    let text = secret::read(path).map_err(CertificateError::Key)?;
    let mut key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| none(explain(&error)))?;
    let signing = aws_lc_rs::sign::any_supported_type(&key);
    key.zeroize();
    signing.map_err(|error| none(error.to_string()))
}

/// What is wrong with a PEM file, without a word of what is in it.
fn explain(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "nothing of that kind is in it",
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::Base64Decode(_) => "a section is not in Base64",
        _ => "it is not in PEM format",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::{Issued, NOW};
    use super::*;
    use crate::nts::scratch::Scratch;

    fn load(scratch: &Scratch, names: &[&str]) -> Result<Certificates, CertificateError> {
        let path = |name: &&str, kind: &str| scratch.path(&format!("{name}.{kind}"));
        let certificates: Vec<_> = names.iter().map(|it| path(it, "crt")).collect();
        let keys: Vec<_> = names.iter().map(|it| path(it, "key")).collect();
        Certificates::load(&certificates, &keys)
    }

    fn write(scratch: &Scratch, name: &str, issued: &Issued) {
        issued.write(
            &scratch.path(&format!("{name}.crt")),
            &scratch.path(&format!("{name}.key")),
        );
    }

    #[test]
    fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
        let scratch = Scratch::new("certificates-choice");
        write(&scratch, "a", &Issued::new(&["a.example"]));
        write(&scratch, "b", &Issued::new(&["b.example", "*.b.example"]));
        let certificates = load(&scratch, &["a", "b"]).unwrap();
        let chosen = |name| {
            let pair = certificates.choose(name, |_| true);
            pair.path.file_name().unwrap().to_str().unwrap()
        };
        assert_eq!(chosen(Some("a.example")), "a.crt");
        assert_eq!(chosen(Some("b.example")), "b.crt");
        assert_eq!(chosen(Some("ntp.b.example")), "b.crt");
        assert_eq!(chosen(Some("c.example")), "a.crt");
        assert_eq!(chosen(Some("not a name")), "a.crt");
        assert_eq!(chosen(None), "a.crt");
    }

    #[test]
    fn of_two_certificates_a_client_is_shown_the_one_it_can_check() {
        let scratch = Scratch::new("certificates-schemes");
        write(&scratch, "a", &Issued::new(&["a.example"]));
        write(&scratch, "b", &Issued::new(&["a.example"]));
        let certificates = load(&scratch, &["a", "b"]).unwrap();
        let b = Arc::clone(&certificates.others[0].certified);
        let chosen = |name| {
            let can_check = |it: &CertifiedKey| std::ptr::eq(it, b.as_ref());
            let pair = certificates.choose(name, can_check);
            pair.path.file_name().unwrap().to_str().unwrap()
        };
        assert_eq!(chosen(Some("a.example")), "b.crt");
        assert_eq!(chosen(None), "b.crt");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let scratch = Scratch::new("certificates-bad");
        write(&scratch, "a", &Issued::new(&["a.example"]));
        write(&scratch, "b", &Issued::new(&["b.example"]));
        let refused = |names: &[&str]| load(&scratch, names).unwrap_err().to_string();
        assert!(refused(&[]).contains("needs a certificate"));
        let one_key = Certificates::load(&[], &[scratch.path("a.key")]).unwrap_err();
        assert!(one_key.to_string().contains("0 certificates and 1 private"));

        let missing = refused(&["a", "missing"]);
        assert!(missing.contains("missing.crt"), "{missing}");
        fs::rename(scratch.path("b.key"), scratch.path("a.key")).unwrap();
        let mismatch = refused(&["a"]);
        assert!(mismatch.contains("a.key is not that of"), "{mismatch}");
        let no_key = refused(&["b"]);
        assert!(no_key.contains("cannot read"), "{no_key}");

        let put = |name: &str, text: &str| {
            secret::replace(&scratch.path(name), text.as_bytes()).unwrap();
        };
        put(
            "b.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        let encrypted = refused(&["b"]);
        assert!(encrypted.contains("not encrypted"), "{encrypted}");
        put(
            "b.key",
            "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n",
        );
        let odd = refused(&["b"]);
        assert!(odd.contains("no private key that can be used in"), "{odd}");
        put(
            "b.crt",
            "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n",
        );
        put("b.key", &Issued::new(&["b.example"]).key_pem());
        let odd = refused(&["b"]);
        assert!(odd.contains("no certificate in"), "{odd}");
        put("b.crt", "nothing");
        let empty = refused(&["b"]);
        assert!(empty.contains("nothing of that kind"), "{empty}");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let scratch = Scratch::new("certificates-exposed");
        write(&scratch, "a", &Issued::new(&["a.example"]));
        fs::set_permissions(scratch.path("a.key"), Permissions::from_mode(0o644)).unwrap();
        let refused = load(&scratch, &["a"]).unwrap_err().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
    }

    #[test]
    fn dates_are_remarked_on_and_never_fatal() {
        let scratch = Scratch::new("certificates-dates");
        write(&scratch, "a", &Issued::valid(&["a.example"], 2026, 2027));
        let certificates = load(&scratch, &["a"]).unwrap();
        let remarks = |now| certificates.remarks(now);
        // From `date`: 2026-07-01, 2025-12-30, 2027-01-04, 2026-12-28.
        assert!(remarks(NOW).is_empty());
        let early = remarks(1_767_052_800).join("");
        assert!(early.contains("not valid for another 2 days"), "{early}");
        let late = remarks(1_799_020_800).join("");
        assert!(late.contains("expired 3 days ago"), "{late}");
        let soon = remarks(1_798_416_000).join("");
        assert!(soon.contains("expires in 4 days"), "{soon}");
    }

    #[test]
    fn no_key_is_shown() {
        let scratch = Scratch::new("certificates-debug");
        write(&scratch, "a", &Issued::new(&["a.example"]));
        let shown = format!("{:?}", load(&scratch, &["a"]).unwrap());
        assert!(shown.ends_with("a.crt\"]"), "{shown}");
    }
}
