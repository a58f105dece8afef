//! What can only be judged of `[server]` as a whole.

use super::cross::problem_at;
use super::nts::ServerNtsConfig;
use super::problem::Problem;
use super::section::Origins;
use super::settings::ServerConfig;

/// What is missing from `[server]` or contradicts itself. Of keys that `is_bad` says could not be
/// read, nothing more is said.
pub(super) fn check(
    server: &ServerConfig,
    origins: &Origins,
    is_bad: impl Fn(&str) -> bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |path: &str, message: &str, help: &str| {
        let found = problem_at(origins, path, message);
        problems.extend(found.map(|problem| problem.with_help(help)));
    };
    if server.listen.is_empty()
        && !server.only_hands_out_keys()
        && !is_bad("server.listen")
        && !is_bad("server.nts")
    {
        let (path, message, help) = nowhere(server.nts.as_ref());
        say(path, message, &help);
    }
    let Some(nts) = server.nts.as_ref().filter(|_| !is_bad("server.nts")) else {
        return problems;
    };
    if nts.only_opens_cookies() {
        for key in ["ntp_port", "max_connections", "max_connections_per_address"] {
            say(
                &format!("server.nts.{key}"),
                &format!("`{key}` has no effect where no keys are handed out"),
                "remove it, or add `listen`, `certificate` and `key`",
            );
        }
    } else {
        if nts.listen.is_empty() {
            say(
                "server.nts",
                "[server.nts] does not say where to listen",
                "for all addresses: listen = [\"[::]:4460\", \"0.0.0.0:4460\"]",
            );
        }
        if let Some((path, message, help)) = unpaired(nts) {
            say(path, &message, help);
        }
    }
    if nts.keys.is_some() {
        say(
            "server.nts.rotate",
            "`rotate` has no effect with `keys`: who writes those files decides when they change",
            "remove one of the two",
        );
    }
    problems
}

/// A server without an address: where, what is wrong and what to do.
fn nowhere(nts: Option<&ServerNtsConfig>) -> (&'static str, &'static str, String) {
    let help = "for all addresses: listen = [\"[::]:123\", \"0.0.0.0:123\"]";
    match nts {
        None => {
            let message = "[server] does not say where to listen";
            ("server", message, help.to_owned())
        }
        Some(nts) if nts.only_opens_cookies() => {
            let message = "there are secrets for cookies and nobody to bring them: [server] does \
                           not say where to listen";
            ("server.nts", message, format!("{help} in [server]"))
        }
        Some(_) => {
            let message = "keys would be handed out for a server that is nowhere: [server] does \
                           not say where to listen, and [server.nts] has no `ntp_server`";
            let help = format!("{help} in [server]; or name another server with `ntp_server`");
            ("server.nts", message, help)
        }
    }
}

/// Certificates without keys or keys without certificates: where, what is wrong and what to do.
fn unpaired(nts: &ServerNtsConfig) -> Option<(&'static str, String, &'static str)> {
    let (certificates, keys) = (nts.certificates.len(), nts.private_keys.len());
    let both = "for example certificate = \"/etc/clockwright/tls/fullchain.pem\" and \
                key = \"/etc/clockwright/tls/privkey.pem\"";
    let missing = |what: &str| format!("[server.nts] has no `{what}`");
    match (certificates, keys) {
        (0, _) => Some(("server.nts", missing("certificate"), both)),
        (_, 0) => Some(("server.nts", missing("key"), both)),
        _ if certificates != keys => {
            let message = format!(
                "the numbers of certificates and of private keys differ: {certificates} and {keys}"
            );
            let help = "the first `key` belongs to the first `certificate`, and so on";
            Some(("server.nts.key", message, help))
        }
        _ => None,
    }
}
