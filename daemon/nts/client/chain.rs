//! The certificates that a server shows.

use std::time::Duration;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::EndEntityCert;

use super::certificate::{Validity, objection, validity};
use super::trust::Trust;

/// More certificates than this between a server's and a root are not in use anywhere, and each is
/// one more to look for signatures of, and to try other times for.
pub(super) const MAX_INTERMEDIATES: usize = 8;

/// The certificates of a server, and the name that it is to have.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) server: CertificateDer<'static>,
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    pub(super) name: ServerName<'static>,
}

impl Chain {
    /// Are they those of the server of this name, for somebody with that `trust`, at `time`?
    ///
    /// Issuer, signatures, dates, purpose and name are checked. A certificate that was itself named
    /// as trusted needs no issuer, and may be an authority's.
    pub(super) fn check(&self, trust: &Trust, time: UnixTime) -> Result<(), Error> {
        let certificate = ParsedCertificate::try_from(&self.server)?;
        if trust.names(&self.server) {
            self.check_named(time)?;
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                trust.roots(),
                &self.intermediates,
                time,
                trust.algorithms(),
            )?;
        }
        verify_server_name(&certificate, &self.name)
    }

    /// Checks the dates and the purpose of the server's certificate alone.
    fn check_named(&self, time: UnixTime) -> Result<(), Error> {
        let unreadable = CertificateError::BadEncoding;
        let Some(Validity { from, until }) = validity(&self.server) else {
            return Err(unreadable.into());
        };
        if time < from {
            let not_before = from;
            return Err(CertificateError::NotValidYetContext { time, not_before }.into());
        }
        if time > until {
            let not_after = until;
            return Err(CertificateError::ExpiredContext { time, not_after }.into());
        }
        let Ok(certificate) = EndEntityCert::try_from(&self.server) else {
            return Err(unreadable.into());
        };
        match objection(&certificate, time) {
            None | Some(webpki::Error::CaUsedAsEndEntity) => Ok(()),
            Some(
                webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension,
            ) => Err(CertificateError::InvalidPurpose.into()),
            Some(_) => Err(unreadable.into()),
        }
    }

    /// When [`check`](Self::check) finds nothing wrong: intervals in their order, none where there is
    /// no such time. What it finds can only change where the validity of a certificate begins or
    /// ends, and never outside of that of the server's.
    pub(super) fn windows(&self, trust: &Trust) -> Vec<Validity> {
        let Some(own) = validity(&self.server) else {
            return Vec::new();
        };
        let intermediates = self.intermediates.iter().filter_map(validity);
        let changes = intermediates.flat_map(|it| [it.from, after(it.until)]);
        let mut beginnings: Vec<UnixTime> = changes
            .filter(|time| own.from < *time && *time <= own.until)
            .collect();
        beginnings.push(own.from);
        beginnings.sort_unstable();
        beginnings.dedup();
        let ends = beginnings.iter().skip(1).map(|next| before(*next));
        let ends = ends.chain([own.until]);
        let pieces = beginnings.iter().zip(ends);
        pieces
            .filter(|(from, _)| self.check(trust, **from).is_ok())
            .map(|(from, until)| Validity { from: *from, until })
            .collect()
    }

    /// The server's and the others.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        std::iter::once(&self.server).chain(&self.intermediates)
    }
}

/// The second after this one. Dates of certificates are whole seconds.
fn after(time: UnixTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs().saturating_add(1)))
}

/// The second before this one.
fn before(time: UnixTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs().saturating_sub(1)))
}
