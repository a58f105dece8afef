//! Checks a server's certificates while TLS shakes hands.

use std::sync::{Mutex, PoisonError};

use clockwright_timebase::{Timestamp, Utc};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::certificate::to_unix;
use super::chain::{Chain, MAX_INTERMEDIATES};
use super::proof::{CertificateProof, Dates};
use super::rejection::{Checked, Rejection};
use super::trust::Trust;

/// What the dates of certificates are worth. Nothing else about them is ever let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatePolicy {
    /// They must be valid now. What is taken for now is never before `lower_bound`, whatever the
    /// clock says.
    Check {
        /// What is surely past ([`clock::lower_bound`](crate::clock::lower_bound)).
        lower_bound: Timestamp<Utc>,
        /// Accept, provisionally, certificates that are all valid at some time that is not before
        /// the lower bound: the clock has not been synchronised yet.
        provisional: bool,
    },
    /// `check_time = false`: valid at any time is good enough.
    Ignore,
}

/// Checks the certificates of one connection, and remembers what came of it.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    dates: DatePolicy,
    clock: Timestamp<Utc>,
    verdict: Mutex<Option<Result<CertificateProof, Rejection>>>,
}

impl Verifier {
    /// Checks by a clock that says `clock`.
    pub(super) const fn new(trust: Trust, dates: DatePolicy, clock: Timestamp<Utc>) -> Self {
        Self {
            trust,
            dates,
            clock,
            verdict: Mutex::new(None),
        }
    }

    /// What came of it; `None` before any certificates were shown.
    pub(super) fn take_verdict(&self) -> Option<Result<CertificateProof, Rejection>> {
        let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        verdict.take()
    }

    /// Remembers what came of it.
    fn decide(&self, verdict: Result<CertificateProof, Rejection>) {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
    }

    /// In what way the dates are in order.
    fn judge(&self, chain: &Chain) -> Result<Dates, Error> {
        let clock = to_unix(self.clock);
        let sometime = |earliest| {
            let windows = chain.windows(&self.trust);
            windows.iter().any(|window| window.until >= earliest)
        };
        match self.dates {
            DatePolicy::Check {
                lower_bound,
                provisional,
            } => {
                let lower_bound = to_unix(lower_bound);
                match chain.check(&self.trust, clock.max(lower_bound)) {
                    Ok(()) => Ok(Dates::Checked),
                    Err(_) if provisional && sometime(lower_bound) => Ok(Dates::Provisional),
                    Err(error) => Err(error),
                }
            }
            DatePolicy::Ignore => match chain.check(&self.trust, clock) {
                Ok(()) => Ok(Dates::Ignored),
                Err(_) if sometime(UnixTime::since_unix_epoch(std::time::Duration::ZERO)) => {
                    Ok(Dates::Ignored)
                }
                Err(error) => Err(error),
            },
        }
    }

    /// What the dates were compared with.
    const fn checked(&self) -> Checked {
        Checked {
            clock: self.clock,
            lower_bound: match self.dates {
                DatePolicy::Check { lower_bound, .. } => Some(lower_bound),
                DatePolicy::Ignore => None,
            },
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        // What the system clock says: not the clock that counts.
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if intermediates.len() > MAX_INTERMEDIATES {
            // Before anything is made of them.
            let rejection = Rejection::TooMany(intermediates.len() + 1);
            let error = Error::General(rejection.to_string());
            self.decide(Err(rejection));
            return Err(error);
        }
        let owned = |it: &CertificateDer<'_>| it.clone().into_owned();
        let chain = Chain {
            server: owned(server),
            intermediates: intermediates.iter().map(owned).collect(),
            name: name.to_owned(),
        };
        let (answer, verdict) = match self.judge(&chain) {
            Ok(dates) => {
                let trust = self.trust.for_chain(&chain);
                let proof = CertificateProof::new(chain, trust, dates);
                (Ok(ServerCertVerified::assertion()), Ok(proof))
            }
            Err(error) => {
                let rejection = Rejection::new(&error, &chain, self.checked());
                (Err(error), Err(rejection))
            }
        };
        self.decide(verdict);
        answer
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, self.trust.for_tls())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, self.trust.for_tls())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.for_tls().supported_schemes()
    }
}
