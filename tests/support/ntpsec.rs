//! A real ntpd of NTPsec as a peer. It never touches the host's clock (`disable ntp`).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use super::directory::Directory;
use super::network::Host;
use super::peer::{self, Peer, Version};
use super::tls::{Authority, Identity};
use super::wait::{wait_for, when};

/// A running ntpd.
#[derive(Debug)]
pub(crate) struct Ntpsec<'h> {
    peer: Peer,
    host: &'h Host,
}

impl<'h> Ntpsec<'h> {
    /// Starts one on `host` with these lines of configuration, and waits until it answers ntpq.
    /// Its files are in `directory`, below `name`; the key of its cookies is kept for the next
    /// start under the same name.
    #[track_caller]
    pub(crate) fn start(
        version: Version,
        host: &'h Host,
        directory: &Directory,
        name: &str,
        configuration: &str,
    ) -> Self {
        let file = directory.write(
            &format!("{name}.conf"),
            &format!(
                "{configuration}\ndisable ntp\nnts cookie {}\nstatsdir {}/\nrestrict default\nrestrict 127.0.0.1\n",
                directory.path(&format!("{name}.cookies")).display(),
                directory.as_ref().display(),
            ),
        );
        let file = file.to_str().expect("a path in /tmp");
        // Log to standard error, in the foreground.
        let arguments = ["-n", "-c", file];
        let mut peer = Peer::start(host, directory, name, &version.of("ntpd"), &arguments);
        peer.wait_until_it_answers(|| ntpq(host, "rv 0 version"));
        Self { peer, host }
    }

    /// Waits until it hands out its host's clock: for a second or two after its start it answers that
    /// it is not ready.
    #[track_caller]
    pub(crate) fn wait_until_it_serves(&self) {
        wait_for("ntpsec to serve", Duration::from_secs(20), || {
            when(self.read("0", "stratum"), |read| {
                read.get("stratum").is_some_and(|stratum| stratum == "1")
            })
        });
    }

    /// A count of the daemon, `nts_server_send` for example (ntpq's `ntsinfo` lists them).
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        let variables = self.read("0", name);
        let count = variables.get(name).and_then(|text| text.parse().ok());
        count.unwrap_or_else(|| panic!("ntpq knows no count of {name}: {variables:?}"))
    }

    /// Variables of its only source, `reach` or `ntscookies` for example; none before it has
    /// resolved the name.
    #[track_caller]
    pub(crate) fn source(&self, names: &str) -> BTreeMap<String, String> {
        self.read("&1", names)
    }

    /// Asks it to end, and waits until it has.
    #[track_caller]
    pub(crate) fn end(self) {
        self.peer.end();
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        self.peer.log()
    }

    #[track_caller]
    fn read(&self, association: &str, names: &str) -> BTreeMap<String, String> {
        let text = ntpq(self.host, &format!("rv {association} {names}"))
            .unwrap_or_else(|error| panic!("ntpq rv {association} {names}: {error}"));
        text.split([',', '\n'])
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect()
    }
}

/// Lines for a server that hands out the host's clock, with NTS and without.
pub(crate) fn nts_server(identity: &Identity) -> String {
    format!(
        "tos orphan 1 orphanwait 1\nnts enable\nnts cert {}\nnts key {}\n",
        identity.certificate.display(),
        identity.key.display()
    )
}

/// Lines for a client of a server with NTS, once a second.
pub(crate) fn nts_client(server: impl Display, authority: &Authority) -> String {
    format!(
        "server {server} nts iburst minpoll 0 maxpoll 0\nnts ca {}\n",
        authority.certificate().display()
    )
}

/// ntpq succeeds whatever happens; what is wrong begins with asterisks, or is not an answer at
/// all.
fn ntpq(host: &Host, command: &str) -> Result<String, String> {
    let mut ntpq = peer::tool_on(host, "ntpq");
    let text = peer::output(ntpq.args(["-n", "-c", "raw", "-c", command, "127.0.0.1"]))?;
    if text.contains("***") || !text.contains('=') {
        return Err(text);
    }
    Ok(text)
}
