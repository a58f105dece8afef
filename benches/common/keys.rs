//! Keys for NTS.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use clockwright::config::Host;
use clockwright::nts::client::{DatePolicy, KeOrder, establish};
use clockwright_ntp::nts::{Algorithm, Session};
use clockwright_timebase::Timestamp;

const KE_PORT: u16 = 4460;

/// Establishes keys as our daemon does, so often, one after the other; gives the last ones. `aead` is the
/// number of the AEAD at IANA, `authority` the file of the one that has certified the server.
pub(crate) fn establish_keys(
    server: IpAddr,
    aead: u16,
    authority: &Path,
    times: usize,
) -> Option<Session> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("start an event loop");
    let sessions = (0..times).map(|_| runtime.block_on(keys(server, aead, authority)));
    sessions.last()
}

async fn keys(server: IpAddr, aead: u16, authority: &Path) -> Session {
    let algorithm = Algorithm::from_id(aead).expect("an AEAD of ours");
    let order = KeOrder {
        address: SocketAddr::new(server, KE_PORT),
        name: Host::Address(server),
        trusted_certificates: vec![authority.to_owned()],
        dates: DatePolicy::Ignore,
        time: Timestamp::EPOCH,
        algorithms: vec![algorithm],
    };
    let established = establish(order)
        .await
        .unwrap_or_else(|error| panic!("establish keys with {server}: {error}"));
    let session = established.session;
    assert_eq!(session.keys.algorithm(), algorithm);
    session
}
