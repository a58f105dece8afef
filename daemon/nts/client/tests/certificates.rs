//! Authorities and certificates made for tests. Days are counted from 2026-01-01.

use std::time::Duration;

use clockwright_timebase::{Timestamp, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::clock::EARLIEST;

const DAY: u64 = 86_400;

/// The beginning of a day; negative ones are in 2025.
pub(super) fn day(number: i64) -> Timestamp<Utc> {
    EARLIEST + clockwright_timebase::Duration::from_secs(number * 86_400)
}

/// What a certificate is to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'w> {
    /// Names and addresses.
    pub(super) names: &'w [&'w str],
    /// Valid from the beginning of one day to that of another.
    pub(super) days: (u64, u64),
    /// An authority's.
    pub(super) authority: bool,
    /// For servers, or for clients only.
    pub(super) for_servers: bool,
}

/// For `ntp.example`, from day 100 to day 190.
pub(super) const GOOD: Wanted<'static> = Wanted {
    names: &["ntp.example"],
    days: (100, 190),
    authority: false,
    for_servers: true,
};

impl Wanted<'_> {
    fn params(&self, common_name: &str) -> CertificateParams {
        let names: Vec<String> = self.names.iter().map(|it| (*it).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        let first = date_time_ymd(2026, 1, 1);
        params.not_before = first + Duration::from_secs(self.days.0 * DAY);
        params.not_after = first + Duration::from_secs(self.days.1 * DAY);
        if self.authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        if !self.for_servers {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        params
    }
}

/// What a server has.
pub(super) struct Issued {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) pem: String,
}

/// Whoever signs certificates.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its own certificate and those above it, without the root's.
    above: Vec<CertificateDer<'static>>,
}

impl Authority {
    /// A root, valid for ten years.
    pub(super) fn root(name: &str) -> Self {
        let wanted = Wanted {
            names: &[],
            days: (0, 3650),
            authority: true,
            for_servers: true,
        };
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(wanted.params(name), key).unwrap(),
            above: Vec::new(),
        }
    }

    /// An authority below this one.
    pub(super) fn below(&self, name: &str, days: (u64, u64)) -> Self {
        let wanted = Wanted {
            names: &[],
            days,
            authority: true,
            for_servers: true,
        };
        self.sign(&wanted, name)
    }

    /// The same one, which `root` has certified once more, for other days.
    pub(super) fn certified_again(mut self, root: &Self, name: &str, days: (u64, u64)) -> Self {
        let wanted = Wanted {
            names: &[],
            days,
            authority: true,
            for_servers: true,
        };
        let key = KeyPair::from_pem(&self.issuer.key().serialize_pem()).unwrap();
        let other = CertifiedIssuer::signed_by(wanted.params(name), key, &root.issuer).unwrap();
        self.above.push(other.der().clone());
        self
    }

    fn sign(&self, wanted: &Wanted, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(wanted.params(name), key, &self.issuer).unwrap();
        let own = issuer.der().clone();
        Self {
            issuer,
            above: [vec![own], self.above.clone()].concat(),
        }
    }

    /// A server's certificate, with those above it.
    pub(super) fn issue(&self, wanted: Wanted) -> Issued {
        self.sign(&wanted, "server").show()
    }

    /// A server that signs as if it were an authority.
    pub(super) fn impostor(&self) -> Self {
        self.sign(&GOOD, "an impostor")
    }

    /// As what a server shows: its own certificate is the first of the chain.
    pub(super) fn show(&self) -> Issued {
        Issued {
            chain: self.above.clone(),
            key: PrivateKeyDer::from_pem_slice(self.issuer.key().serialize_pem().as_bytes())
                .unwrap(),
            pem: self.issuer.pem(),
        }
    }

    /// Its certificate, as in a file.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }
}

/// A certificate that a server signed itself.
pub(super) fn self_signed(wanted: Wanted) -> Issued {
    let key = KeyPair::generate().unwrap();
    let certificate = wanted.params("itself").self_signed(&key).unwrap();
    Issued {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        pem: certificate.pem(),
    }
}
