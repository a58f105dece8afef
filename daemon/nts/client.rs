//! stub
#![allow(missing_docs, dead_code)]
use crate::config::Host;
use clockwright_ntp::nts::{Algorithm, Session};
use clockwright_timebase::{Timestamp, Utc};
use std::net::SocketAddr;
use std::path::PathBuf;
#[derive(Debug)]
pub struct KeOrder {
    pub address: SocketAddr,
    pub name: Host,
    pub trusted_certificates: Vec<PathBuf>,
    pub dates: DatePolicy,
    pub time: Timestamp<Utc>,
    pub algorithms: Vec<Algorithm>,
}
#[derive(Debug)]
pub enum DatePolicy {
    Check {
        lower_bound: Timestamp<Utc>,
        provisional: bool,
    },
    Ignore,
}
#[derive(Debug)]
pub struct Established {
    pub session: Session,
    pub server: Option<Host>,
    pub port: Option<u16>,
    pub proof: CertificateProof,
}
#[derive(Debug)]
pub struct CertificateProof;
impl CertificateProof {
    pub fn is_provisional(&self) -> bool {
        false
    }
    pub fn holds_at(&self, _t: Timestamp<Utc>) -> Result<(), KeFailure> {
        Ok(())
    }
}
#[derive(Debug)]
pub struct KeFailure;
impl KeFailure {
    pub fn is_local(&self) -> bool {
        false
    }
}
impl std::fmt::Display for KeFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no")
    }
}
impl std::error::Error for KeFailure {}
pub async fn establish(_o: KeOrder) -> Result<Established, KeFailure> {
    Err(KeFailure)
}
impl crate::nts::bootstrap::Holds for &CertificateProof {
    fn holds_at(&self, _time: Timestamp<Utc>) -> bool {
        true
    }
}
