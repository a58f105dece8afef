//! Keys for others, from the configuration to a client that uses them.

use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::control::{AuthEntry, ServerReport};

/// An address that no other test listens on, so that none takes a port away.
const HERE: &str = "127.0.0.9";

/// A port that nobody uses, with UDP or with TCP.
fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind((HERE, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        if TcpListener::bind((HERE, port)).is_ok() {
            return port;
        }
    }
}

/// A certificate for that address that vouches for itself, and its key, in two files.
fn issue(directory: &Path) {
    use std::io::Write;
    let params = CertificateParams::new(vec![HERE.to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(directory.join("crt"), certificate.pem()).unwrap();
    let _ = fs::remove_file(directory.join("key"));
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(directory.join("key"));
    let pem = key.serialize_pem();
    file.unwrap().write_all(pem.as_bytes()).unwrap();
}

/// A directory with a certificate.
fn furnished() -> PathBuf {
    let directory = scratch();
    fs::create_dir_all(&directory).unwrap();
    issue(&directory);
    directory
}

/// Serves time on a UDP port, and keys on the TCP port with the same number.
fn settings(directory: &Path, port: u16) -> String {
    format!(
        "[server]\nlisten = ['{HERE}:{port}']\nlocal = {{ stratum = 1 }}\n\
         [server.nts]\nlisten = ['{HERE}:{port}']\ncertificate = '{0}/crt'\nkey = '{0}/key'\n",
        directory.display()
    )
}

fn client(directory: &Path, port: u16) -> Host {
    let trusted = directory.join("crt");
    Host::start(&format!(
        "[[source]]\nserver = '{HERE}'\npoll = {{ min = '1/8s', max = '1/4s' }}\n\
         nts = {{ port = {port}, trusted_certificates = ['{}'] }}\n{WRONG}",
        trusted.display()
    ))
    .unwrap()
}

fn report(host: &Host) -> ServerReport {
    View::server(&*host.daemon, 0)
}

fn auth(host: &Host) -> AuthEntry {
    View::auth(&*host.daemon).swap_remove(0)
}

#[test]
fn a_client_is_given_keys_that_outlive_the_server() {
    on_one_thread(async {
        let (directory, port) = (furnished(), free_port());
        let settings = settings(&directory, port);
        let server = Host::start_in(directory.clone(), &settings).unwrap();
        // It is not told where time is served: that is not on port 123.
        let client = client(&directory, port);
        client
            .wait_for("authenticated", |_| report(&server).authenticated > 3)
            .await;
        let keys = report(&server).key_establishment.unwrap();
        assert_eq!((keys.established, keys.refused.len()), (1, 0), "{keys:?}");
        assert_eq!(keys.listening, [format!("{HERE}:{port}")]);
        assert_eq!(keys.cookie_keys, 2);
        assert_eq!(auth(&client).key_establishments, 1);

        // The server stops and starts again. Its files stay, its ports are the same.
        server.daemon.borrow_mut().stop();
        let kept = scratch();
        fs::rename(&directory, &kept).unwrap();
        drop(server);
        client
            .wait_for("port closed", |_| {
                TcpListener::bind((HERE, port)).is_ok() && UdpSocket::bind((HERE, port)).is_ok()
            })
            .await;
        fs::rename(&kept, &directory).unwrap();
        let server = Host::start_in(directory, &settings).unwrap();
        client
            .wait_for("authenticated again", |_| report(&server).authenticated > 3)
            .await;
        let again = report(&server).key_establishment.unwrap();
        assert_eq!(again.cookie_key, keys.cookie_key);
        assert_eq!(again.established, 0);
        assert_eq!(
            (auth(&client).key_establishments, report(&server).naks),
            (1, 0)
        );
    });
}

#[test]
fn a_reload_takes_over_what_it_can_use_and_nothing_else() {
    on_one_thread(async {
        let (directory, port) = (furnished(), free_port());
        let with = settings(&directory, port);
        let (without, _) = with.split_once("[server.nts]").unwrap();
        let host = Host::start_in(directory.clone(), without).unwrap();
        let reload = |settings: &str| {
            write(&directory, settings);
            host.daemon.borrow_mut().reload();
        };
        let listens = || report(&host).key_establishment.is_some();
        assert!(!listens());
        fs::rename(directory.join("key"), directory.join("hidden")).unwrap();
        reload(&with);
        assert!(!listens(), "there is no key");
        assert!(
            host.daemon
                .borrow()
                .config
                .server
                .as_ref()
                .unwrap()
                .nts
                .is_none()
        );
        fs::rename(directory.join("hidden"), directory.join("key")).unwrap();
        reload(&with);
        assert!(listens());
        reload(&with.replace("stratum = 1", "stratum = 2"));
        assert!(listens());
        reload(without);
        assert!(!listens());
    });
}

#[test]
fn a_start_without_a_key_says_what_is_missing() {
    on_one_thread(async {
        let directory = furnished();
        fs::remove_file(directory.join("key")).unwrap();
        let settings = settings(&directory, free_port());
        let refused = Host::start_in(directory.clone(), &settings);
        let error = refused.err().map(|error| error.to_string()).unwrap();
        assert!(error.contains("server.nts: cannot read"), "{error}");
        let _ = fs::remove_dir_all(directory);
    });
}
