//! Who plays in the demo, and what each is told to begin with.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::{certificate, world};

/// How long the prefix of a cable's addresses is.
pub(super) const fn prefix_len(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 30,
        IpAddr::V6(_) => 64,
    }
}

/// A host that finds the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Client {
    /// What it is called on the screen.
    pub name: &'static str,
    /// What its clock shows minus the truth when it starts, s.
    pub initial_error_s: f64,
    /// How much too fast its clock runs, ppm.
    pub drift_ppm: f64,
    /// Its end of the cable.
    pub address: IpAddr,
    /// The server's end of the same cable.
    pub server_address: IpAddr,
}

/// The host that has the time: this machine's own clock, served as it is.
pub(super) const SERVER: &str = "server";

/// The hosts whose clocks are wrong. One asks over IPv4, one over IPv6.
pub(super) const CLIENTS: [Client; 2] = [
    Client {
        name: "alpha",
        initial_error_s: 7.3e-3,
        drift_ppm: 31.0,
        address: IpAddr::V4(Ipv4Addr::new(10, 83, 1, 2)),
        server_address: IpAddr::V4(Ipv4Addr::new(10, 83, 1, 1)),
    },
    Client {
        name: "beta",
        initial_error_s: -4.1e-3,
        drift_ppm: -18.0,
        address: IpAddr::V6(Ipv6Addr::new(0xfd83, 0, 0, 2, 0, 0, 0, 2)),
        server_address: IpAddr::V6(Ipv6Addr::new(0xfd83, 0, 0, 2, 0, 0, 0, 1)),
    },
];

/// How often a client asks.
pub(super) const POLL: &str = "1/4s";

/// How fast a client may correct its clock: slow enough that one can watch it.
const MAX_SLEW: &str = "1500ppm";

/// Where a host keeps its files.
pub(super) fn directory(name: &str) -> PathBuf {
    Path::new(world::DIRECTORY).join(name)
}

/// A host's configuration file.
pub(super) fn configuration_file(name: &str) -> PathBuf {
    directory(name).join("clockwright.toml")
}

/// A host's control socket.
pub(super) fn control_socket(name: &str) -> PathBuf {
    directory(name).join("control.sock")
}

/// The files with which the server proves who it is.
pub(super) fn certificates() -> certificate::Files {
    certificate::Files::below(Path::new(world::DIRECTORY))
}

/// What a host prints.
pub(super) fn log_file(name: &str) -> PathBuf {
    directory(name).join("log")
}

/// The server's configuration.
pub(super) fn server_configuration() -> String {
    let made = certificates();
    let mut text = format!(
        "[server]\nlisten = [\"0.0.0.0:123\", \"[::]:123\"]\n\
         allow = [\"10.83.0.0/16\", \"fd83::/16\"]\n\
         local = {{ stratum = 1 }}\n\n\
         [server.nts]\nlisten = [\"0.0.0.0:4460\", \"[::]:4460\"]\n\
         certificate = \"{}\"\nkey = \"{}\"\n\n",
        made.certificate.display(),
        made.key.display()
    );
    files(&mut text, SERVER);
    text
}

/// A client's configuration.
pub(super) fn client_configuration(client: &Client) -> String {
    let Client {
        name,
        initial_error_s,
        drift_ppm,
        server_address,
        ..
    } = client;
    let authority = certificates().authority;
    let authority = authority.display();
    let initial_error_us = initial_error_s * 1e6;
    let mut text = format!(
        "[[source]]\nserver = \"{server_address}\"\n\
         nts = {{ trusted_certificates = [\"{authority}\"] }}\ninterleaved = true\n\
         poll = {{ min = \"{POLL}\", max = \"{POLL}\" }}\n\n\
         [clock]\nkind = \"virtual\"\n\
         virtual = {{ error = \"{initial_error_us:.0}us\", drift = \"{drift_ppm}ppm\" }}\n\
         step = {{ first = 0 }}\nmax_slew = \"{MAX_SLEW}\"\n\n"
    );
    files(&mut text, name);
    text
}

fn files(text: &mut String, name: &str) {
    let state = directory(name).join("state");
    let socket = control_socket(name);
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "[state]\ndirectory = \"{}\"\n\n[control]\nsocket = \"{}\"\n",
        state.display(),
        socket.display()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClockKind, Config, Source, SourceKind};
    use clockwright_timebase::{Duration, Poll};

    fn read(text: &str) -> Config {
        Config::from_text(Path::new("demo"), text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn clients_are_told_what_the_screen_says() {
        for client in &CLIENTS {
            let config = read(&client_configuration(client));
            assert_eq!(config.clock.kind, ClockKind::Virtual);
            let told = &config.clock.virtual_clock;
            assert!((told.error.as_secs_f64() - client.initial_error_s).abs() < 1e-12);
            assert!((told.drift.as_ppm() - client.drift_ppm).abs() < 1e-9);
            // A step would take the show away.
            assert_eq!(config.clock.step.first, 0);
            let [Source::Ntp(source)] = &config.sources[..] else {
                panic!("one source");
            };
            assert_eq!(source.address.kind, SourceKind::Server);
            assert_eq!(
                source.address.host,
                crate::config::Host::Address(client.server_address)
            );
            assert!(source.settings.interleaved);
            let nts = source.settings.nts.as_ref().unwrap();
            assert_eq!(nts.trusted_certificates, [certificates().authority]);
            assert_eq!(source.settings.poll.max, Poll::new(-2));
            assert_eq!(config.control.socket, control_socket(client.name));
        }
    }

    #[test]
    fn the_server_answers_its_clients_only() {
        let config = read(&server_configuration());
        let server = config.server.as_ref().unwrap();
        for client in &CLIENTS {
            assert!(server.allows(client.address));
        }
        assert!(!server.allows("192.0.2.1".parse().unwrap()));
        assert_eq!(server.local.as_ref().map(|local| local.stratum), Some(1));
    }

    #[test]
    fn the_first_correction_takes_seconds_to_watch() {
        for client in &CLIENTS {
            let config = read(&client_configuration(client));
            let error = Duration::from_secs_f64(client.initial_error_s).abs();
            let seconds = error.as_secs_f64() / (config.clock.max_slew.as_ppm() * 1e-6);
            assert!((2.0..6.0).contains(&seconds), "{seconds}");
        }
    }
}
