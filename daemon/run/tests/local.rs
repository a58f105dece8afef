//! The clock that is served as it is, from the configuration to those who ask.

use super::*;

/// An address that no other test listens on.
const HERE: &str = "127.0.0.10";

/// A server without sources; `local` is the table of that name.
fn settings(port: u16, local: &str) -> String {
    format!("[server]\nlisten = ['{HERE}:{port}']\nlocal = {local}\n")
}

/// Asks as any client does; the stratum of the reply, 0 being that of one that is not synchronised.
async fn served_stratum(port: u16) -> u8 {
    let socket = tokio::net::UdpSocket::bind((HERE, 0)).await.unwrap();
    socket.connect((HERE, port)).await.unwrap();
    let mut packet = [0; 48];
    packet[0] = 0x23;
    packet[40] = 1;
    socket.send(&packet).await.unwrap();
    let reply = tokio::time::timeout(PATIENCE, socket.recv(&mut packet)).await;
    assert_eq!(reply.expect("a reply").unwrap(), 48);
    packet[1]
}

#[test]
fn a_clock_is_served_as_it_is_after_the_wait_and_a_reload_changes_that() {
    on_one_thread(async {
        let port = UdpSocket::bind((HERE, 0)).unwrap().local_addr().unwrap();
        let port = port.port();
        let host = Host::start(&settings(port, "{ stratum = 7, wait = '1s' }")).unwrap();
        assert_eq!(host.status().local_stratum, None);
        assert_eq!(served_stratum(port).await, 0);
        host.wait_for("served", |host| host.status().local_stratum.is_some())
            .await;
        assert_eq!(served_stratum(port).await, 7);
        let status = host.status();
        assert!(
            !status.synchronized && status.local_stratum == Some(7),
            "{status:?}"
        );

        // An orphan waits 5 min.
        write(
            &host.directory,
            &settings(port, "{ stratum = 8, orphan = true }"),
        );
        host.daemon.borrow_mut().reload();
        assert_eq!(host.status().local_stratum, None);
        assert_eq!(served_stratum(port).await, 0);
        // And the others not at all.
        write(&host.directory, &settings(port, "{ stratum = 9 }"));
        host.daemon.borrow_mut().reload();
        assert_eq!(host.status().local_stratum, Some(9));
        assert_eq!(served_stratum(port).await, 9);
    });
}
