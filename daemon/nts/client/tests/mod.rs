//! Establishments with servers of the test, on loopback.

mod certificates;
mod connection;
mod dates;
mod server;
mod trust;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clockwright_ntp::nts::Algorithm;
use clockwright_ntp::nts::ke::{ALPN, server as codec};
use clockwright_timebase::{Timestamp, Utc};
use tokio::time::Instant;

use super::establish::establish_by;
use super::{DatePolicy, Established, KeFailure, KeOrder, Rejection};
use certificates::{Issued, day};
use server::{Answer, Seen, Server};

/// What happens at all happens within this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// On this day what the tests make is valid.
const TODAY: i64 = 150;

/// Files of one test, removed afterwards.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("clockwright-ke-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a test on one thread, as the daemon does.
fn on_one_thread<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(test)
}

/// Dates are checked, and nothing is known of the past.
const CHECK: DatePolicy = DatePolicy::Check {
    lower_bound: Timestamp::EPOCH,
    provisional: false,
};

/// Keys of `ntp.example`, on a day on which all is well.
fn order(address: SocketAddr, trusted: Vec<PathBuf>) -> KeOrder {
    KeOrder {
        address,
        name: "ntp.example".parse().unwrap(),
        trusted_certificates: trusted,
        dates: CHECK,
        time: day(TODAY),
        algorithms: Algorithm::ALL.to_vec(),
    }
}

/// What a server with AES-SIV says.
fn answer() -> Vec<u8> {
    let accepted = codec::Accepted {
        algorithm: Algorithm::AesSivCmac256,
        compliant: false,
    };
    codec::response(accepted, None, 123, vec![vec![9; 100]; 8]).to_vec()
}

/// A server that does everything right.
async fn good(issued: Issued) -> Server<Seen> {
    server::tls(issued, &[ALPN], Answer::Octets(answer())).await
}

async fn establish(order: KeOrder) -> Result<Established, KeFailure> {
    establish_by(Instant::now() + PATIENCE, order).await
}

/// What comes of an order with a server that has these certificates, when `change` has been made.
fn tried(
    issued: Issued,
    trusted: &[PathBuf],
    change: impl FnOnce(&mut KeOrder),
) -> Result<Established, KeFailure> {
    on_one_thread(async {
        let server = good(issued).await;
        let mut order = order(server.address, trusted.to_vec());
        change(&mut order);
        establish(order).await
    })
}

/// Why the certificates were rejected.
fn rejected(established: Result<Established, KeFailure>) -> Rejection {
    match established {
        Err(KeFailure::Certificate(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

/// By a clock that says it is this day.
fn on(number: i64) -> impl FnOnce(&mut KeOrder) {
    move |order| order.time = day(number)
}

/// By this clock, this lower bound, and either way.
fn by(
    clock: Timestamp<Utc>,
    lower_bound: Timestamp<Utc>,
    provisional: bool,
) -> impl FnOnce(&mut KeOrder) {
    move |order| {
        order.time = clock;
        order.dates = DatePolicy::Check {
            lower_bound,
            provisional,
        };
    }
}
