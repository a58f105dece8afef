//! Sockets that somebody holds while the daemon is restarted, over loopback.

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clockwright::control::ServerReport;
use clockwright_ntp::{Header, Mode, NtpTimestamp};
use clockwright_timebase::{Timestamp, Utc};

use crate::support::daemon::CLOCKWRIGHT;
use crate::support::directory::Directory;
use crate::support::process::Process;
use crate::support::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(10);

/// What the service manager is for a daemon: it has a socket, and passes it.
struct Manager {
    held: UdpSocket,
    directory: Directory,
}

impl Manager {
    fn new() -> Self {
        let held = UdpSocket::bind("127.0.0.1:0").expect("open a socket");
        let directory = Directory::new();
        fs::create_dir(directory.path("state")).expect("make a state directory");
        Self { held, directory }
    }

    /// Starts the daemon with the socket, and waits until it runs.
    fn start(&self) -> Process {
        let address = self.held.local_addr().expect("its address");
        let socket = self.directory.path("control.sock");
        let configuration = format!(
            "[server]\nlisten = [\"{address}\"]\nworkers = 1\nlocal = {{ stratum = 1 }}\n\
             [state]\ndirectory = \"{}\"\n[control]\nsocket = \"{}\"\n",
            self.directory.path("state").display(),
            socket.display()
        );
        let file = self.directory.write("clockwright.toml", &configuration);
        // The shell becomes the daemon, so that its number is the daemon's.
        let script = "exec 3<&0 </dev/null; \
                      LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ntp-0-test exec \"$@\"";
        let passed = self.held.try_clone().expect("another descriptor of it");
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                script,
                "sh",
                CLOCKWRIGHT,
                "run",
                "--no-adjust",
                "--config",
            ])
            .arg(&file)
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(passed)));
        let log = self.directory.path("clockwright.log");
        let mut process = Process::start_reading("clockwright", &mut command, &log);
        wait_for("clockwright to answer", PATIENCE, || {
            assert!(process.ended().is_none(), "{}", process.log());
            self.report()
        });
        process
    }

    fn report(&self) -> Result<ServerReport, String> {
        let socket = self.directory.path("control.sock");
        let output = Command::new(CLOCKWRIGHT)
            .args(["server", "--json", "--socket"])
            .arg(socket)
            .output()
            .expect("run clockwright");
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }

    fn ask(&self, client: &UdpSocket) {
        let request = Header {
            transmit: NtpTimestamp::from_bits(0x0123_4567_89ab_cdef),
            ..Header::zeroed(Mode::Client)
        };
        let address = self.held.local_addr().expect("its address");
        client.send_to(&request.to_bytes(), address).expect("ask");
    }
}

fn reply(client: &UdpSocket) -> Header {
    let mut buffer = [0; 100];
    let length = client.recv(&mut buffer).expect("a reply");
    Header::parse(&buffer[..length]).expect("an NTP packet")
}

fn now() -> NtpTimestamp {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let seconds = i64::try_from(now.as_secs()).expect("a time");
    Timestamp::<Utc>::from_timespec(seconds, now.subsec_nanos().into()).into()
}

#[test]
fn what_comes_while_the_daemon_is_restarted_is_answered_by_its_true_time_of_arrival() {
    let manager = Manager::new();
    let client = UdpSocket::bind("127.0.0.1:0").expect("open a client's socket");
    client
        .set_read_timeout(Some(PATIENCE))
        .expect("set a timeout");
    let mut first = manager.start();
    manager.ask(&client);
    assert_eq!(reply(&client).mode, Mode::Server);
    first.signal(nix::sys::signal::Signal::SIGTERM);
    wait_for("the daemon to end", PATIENCE, || {
        first.ended().ok_or("it runs")
    });

    let asked = now();
    manager.ask(&client);
    let sent = now();
    let second = manager.start();
    let answered = reply(&client);
    // By the kernel's stamp, not by when it was read.
    let since = |later: NtpTimestamp, earlier: NtpTimestamp| later.since(earlier).as_secs_f64();
    assert!(since(answered.receive, asked) >= -1e-6, "{answered:?}");
    assert!(since(sent, answered.receive) >= -1e-6, "{answered:?}");
    assert!(since(answered.transmit, sent) > 0.0, "{answered:?}");
    let log = second.log();
    assert!(log.contains("held by the service manager"), "{log}");
    let report = wait_for("the reply to be counted", PATIENCE, || {
        let report = manager.report()?;
        if report.basic > 0 {
            Ok(report)
        } else {
            Err(format!("{report:#?}"))
        }
    });
    assert_eq!(report.basic, 1);
}
