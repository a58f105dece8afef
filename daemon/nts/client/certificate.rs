//! What a certificate says of itself.
//!
//! webpki reads certificates, and does not hand out their dates nor whether they are an
//! authority's. But it says so when it refuses them, and before it looks at anything else: so they
//! are got by asking it at times at which no certificate is valid.

use std::time::Duration;

use clockwright_timebase::{Timestamp, Utc};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

/// No certificate can name a year after 9999 (RFC 5280 section 4.1.2.5).
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

/// From when until when a certificate is valid, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    /// Not before.
    pub(super) from: UnixTime,
    /// Not after.
    pub(super) until: UnixTime,
}

impl Validity {
    /// Is it valid at this time?
    pub(super) fn contains(self, time: UnixTime) -> bool {
        self.from <= time && time <= self.until
    }
}

/// The dates of a certificate; `None` if it cannot be read.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let Error::CertExpired { not_after, .. } =
        objection(&certificate, UnixTime::since_unix_epoch(YEAR_10000))?
    else {
        return None;
    };
    let epoch = UnixTime::since_unix_epoch(Duration::ZERO);
    let from = match objection(&certificate, epoch) {
        Some(Error::CertNotValidYet { not_before, .. }) => not_before,
        _ => epoch,
    };
    Some(Validity {
        from,
        until: not_after,
    })
}

/// Is it the certificate of an authority, so that others may be signed with its key? `None` if it
/// cannot be read.
pub(super) fn is_authority(certificate: &CertificateDer<'_>) -> Option<bool> {
    let Validity { from, .. } = validity(certificate)?;
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    Some(matches!(
        objection(&certificate, from),
        Some(Error::CaUsedAsEndEntity)
    ))
}

/// Do issuer and subject have one name?
pub(super) fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|it| it.issuer() == it.subject())
}

/// Is it named as the issuer of `certificate`?
pub(super) fn is_named_issuer(subject: &[u8], certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|it| it.issuer() == subject)
}

/// What webpki has against the certificate of a server at `time`, were its issuer trusted.
pub(super) fn objection(certificate: &EndEntityCert<'_>, time: UnixTime) -> Option<Error> {
    let usage = KeyUsage::server_auth();
    match certificate.verify_for_usage(&[], &[], &[], time, usage, None, None) {
        // With nobody to trust, that it gets so far says that nothing is wrong with the rest.
        Err(Error::UnknownIssuer) | Ok(_) => None,
        Err(error) => Some(error),
    }
}

/// As certificates count; before 1970 is 1970.
pub(super) fn to_unix(time: Timestamp<Utc>) -> UnixTime {
    UnixTime::since_unix_epoch(time.since_epoch().to_std())
}

/// As everything else counts.
pub(super) fn to_utc(time: UnixTime) -> Timestamp<Utc> {
    Timestamp::from_timespec(i64::try_from(time.as_secs()).unwrap_or(i64::MAX), 0)
}
