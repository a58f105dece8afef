//! One server, and a client's host with millions of addresses.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use crate::support::daemon::Daemon;
use crate::support::network::Host;
use crate::support::star::{SERVER, Star, source};
use crate::support::tls::{Authority, Validity};

/// How long anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The client's host answers for all addresses that begin so.
pub(crate) const MANY: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 0);
const MANY_NETWORK: &str = "10.128.0.0/9";
/// The same of IPv6.
const MANY_IPV6: &str = "fd99::/16";

/// A client and a server. Everything in 10.128.0.0/9 and `fd99::/16` is the client.
pub(crate) fn crowded() -> Star {
    with_many_addresses(Star::new(1))
}

/// Gives the client of a network of two those addresses.
pub(crate) fn with_many_addresses(star: Star) -> Star {
    let (ipv4, ipv6) = (Star::client_ipv4(0), "fd84::2");
    for (many, via) in [
        (MANY_NETWORK, ipv4.to_string()),
        (MANY_IPV6, ipv6.to_owned()),
    ] {
        star.client.ip(&format!("route add local {many} dev lo"));
        star.servers[0].ip(&format!("route add {many} via {via}"));
    }
    // Of IPv6, sockets may have only an interface's addresses otherwise.
    set_kernel(&star.client, "net/ipv6/ip_nonlocal_bind", "1");
    star
}

/// Sets a parameter of a host's kernel, below /proc/sys.
#[track_caller]
pub(crate) fn set_kernel(host: &Host, parameter: &str, value: &str) {
    let mut command = host.command(Path::new("sh"));
    command.args(["-c", "echo $1 > /proc/sys/$0", parameter, value]);
    let status = command.status().expect("run sh");
    assert!(status.success(), "set {parameter}");
}

/// The address of the client that has this number.
pub(crate) fn client(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(MANY.to_bits() + 1 + number)
}

/// A server's address.
pub(crate) fn ipv4(number: u8) -> Ipv4Addr {
    match Star::server_ipv4(number) {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("no address of IPv4: {address}"),
    }
}

/// A server that answers everybody, with these lines in its table.
pub(crate) fn open_to_all(lines: &str) -> String {
    let allow = "allow = [\"0.0.0.0/0\", \"::/0\"]";
    SERVER.replace("allow = [\"10.84.0.0/16\", \"fd84::/16\"]", allow) + lines + "\n"
}

/// Starts our daemon on the first server, open to all.
pub(crate) fn serve(star: &Star, lines: &str) -> Daemon {
    let configuration = open_to_all(lines);
    Daemon::start(&star.servers[0], &star.directory, "ours", &configuration)
}

/// The same of a network with names, with NTS.
pub(crate) fn secured(star: &Star, authority: &Authority, lines: &str) -> Daemon {
    let name = Star::server_name(0);
    let address = Star::server_ipv4(0).to_string();
    let names = [name.as_str(), address.as_str()];
    let identity = authority.issue(&star.directory, &name, &names, Validity::Now);
    let nts = format!(
        "[server.nts]\nlisten = [\"0.0.0.0:4460\", \"[::]:4460\"]\ncertificate = \"{}\"\nkey = \"{}\"",
        identity.certificate.display(),
        identity.key.display()
    );
    serve(star, &format!("{lines}\n{nts}"))
}

/// The `[[source]]` of a server with NTS that is asked so often.
pub(crate) fn nts_source(authority: &Authority, server: &str, poll: &str) -> String {
    let trusted = authority.certificate().display();
    source(server, poll) + &format!("nts = {{ trusted_certificates = \"{trusted}\" }}\n")
}

/// A count of the kernel's on a host: `Udp RcvbufErrors` of /proc/net/snmp.
pub(crate) fn kernel_count(host: &Host, protocol: &str, name: &str) -> u64 {
    let mut command = host.command(Path::new("cat"));
    let output = command.arg("/proc/net/snmp").output().expect("run cat");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let mut of_protocol = lines.filter(|(it, _)| *it == protocol).map(|(_, all)| all);
    let (names, values) = (of_protocol.next(), of_protocol.next());
    let names = names.unwrap_or_default().split_whitespace();
    let values = values.unwrap_or_default().split_whitespace();
    let found = names.zip(values).find(|(it, _)| *it == name);
    let value = found.and_then(|(_, value)| value.parse().ok());
    value.unwrap_or_else(|| panic!("no {protocol} {name}: {text}"))
}

/// The memory that a process has, kB.
pub(crate) fn resident_kb(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("read /proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or_else(|| panic!("no VmRSS: {status}"))
}
