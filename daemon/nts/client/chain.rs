//! The certificates that a server shows.

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::EndEntityCert;

use super::certificate::{Validity, objection, validity};
use super::trust::Trust;

/// More certificates than this between a server's and a root are not in use anywhere, and each
/// is one more time to try.
const MAX_INTERMEDIATES: usize = 8;

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

    /// The times, not before `earliest`, at which the chain becomes valid if it ever does: `earliest`,
    /// and where the validity of one of its certificates begins.
    pub(super) fn beginnings(&self, earliest: UnixTime) -> Vec<UnixTime> {
        let mut times: Vec<UnixTime> = self
            .certificates()
            .filter_map(|it| Some(validity(it)?.from))
            .filter(|from| *from > earliest)
            .collect();
        times.push(earliest);
        times.sort_unstable();
        times.dedup();
        times
    }

    /// The server's and those that are looked at of the others.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let intermediates = self.intermediates.iter().take(MAX_INTERMEDIATES);
        std::iter::once(&self.server).chain(intermediates)
    }
}
