//! Many clients at the same time, and the rest of the daemon.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use rustls::ClientConnection;
use tokio::net::UdpSocket;

use super::*;

/// So many clients say hello at once.
const CLIENTS: u32 = 200;

/// Has the server sent something?
fn is_answered(client: &TcpStream) -> bool {
    match client.peek(&mut [0]) {
        Ok(length) => length > 0,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

/// The most answers, each of which costs a signature, between two packets that come for a task
/// which waits for them as the ports of the daemon do.
async fn most_between_packets(clients: &[TcpStream]) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let itself = socket.local_addr().unwrap();
    let (mut answered, mut most) = (0, 0);
    while answered < clients.len() {
        socket.send_to(&[0], itself).await.unwrap();
        socket.readable().await.unwrap();
        // Until there is nothing: then the next one is waited for.
        while socket.try_recv(&mut [0]).is_ok() {}
        let now = clients.iter().filter(|it| is_answered(it)).count();
        most = most.max(now - answered);
        answered = now;
    }
    most
}

#[test]
fn a_crowd_of_clients_does_not_keep_a_packet_waiting() {
    run(async {
        let host = Host::new("ke-crowded", |nts| {
            nts.max_connections_per_address = CLIENTS;
            nts.connection_rate = None;
        });
        let config = Arc::new(client_config(&host.issued, &[ke::ALPN]));
        let name = ServerName::try_from(NAME).unwrap();
        let mut hello = Vec::new();
        let mut client = ClientConnection::new(config, name).unwrap();
        client.write_tls(&mut hello).unwrap();
        let connect = |_| TcpStream::connect(host.address()).unwrap();
        let mut clients: Vec<_> = (0..CLIENTS).map(connect).collect();
        let server = &host.server;
        wait_for("all to be there", || {
            (server.counts().open == CLIENTS).then_some(())
        })
        .await;
        // The server runs when all of them have said it.
        for client in &mut clients {
            client.write_all(&hello).unwrap();
            client.set_nonblocking(true).unwrap();
        }
        let most = tokio::spawn(async move { most_between_packets(&clients).await });
        let most = most.await.unwrap();
        assert!(most <= 2, "{most} signatures while a packet waited");
    });
}
