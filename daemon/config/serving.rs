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
    if server.addresses().next().is_none()
        && server.smear.is_none()
        && !server.only_hands_out_keys()
        && !is_bad("server.listen")
        && !is_bad("server.nts")
    {
        let (path, message, help) = nowhere(server.nts.as_ref());
        say(path, message, &help);
    }
    if !is_bad("server.allow") && !is_bad("server.deny") {
        for (path, message, help) in access(server) {
            say(path, &message, help);
        }
    }
    if !is_bad("server.smear") {
        for (path, message, help) in smear(server) {
            say(path, &message, help);
        }
    }
    if server.clients.table == 0 && (server.rate.is_some() || has_rate(server.nts.as_ref())) {
        say(
            "server.clients.table",
            "without a table of clients nobody's rate is known",
            "remove this, or `rate`",
        );
    }
    if server.only_hands_out_keys() {
        for key in ["server.rate", "server.nts.rate"] {
            say(
                key,
                "this rate has no effect where no time is served",
                "remove it; how often keys may be asked for says server.nts.connection_rate",
            );
        }
    }
    if let Some(nts) = server.nts.as_ref().filter(|_| !is_bad("server.nts")) {
        check_nts(nts, say);
    }
    problems
}

/// What is missing from `[server.nts]` or contradicts itself: tells `say` where, what is wrong and
/// what to do.
fn check_nts(nts: &ServerNtsConfig, mut say: impl FnMut(&str, &str, &str)) {
    if nts.only_opens_cookies() {
        for key in [
            "ntp_port",
            "max_connections",
            "max_connections_per_address",
            "connection_rate",
        ] {
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
}

/// Are requests with NTS limited?
fn has_rate(nts: Option<&ServerNtsConfig>) -> bool {
    nts.is_some_and(|nts| nts.rate.is_some())
}

/// Lists of networks that contradict each other: where, what is wrong and what to do.
fn access(server: &ServerConfig) -> Vec<(&'static str, String, &'static str)> {
    if server.allow.is_empty() && !server.deny.is_empty() {
        let message = "`deny` has no effect: without `allow` only this host is answered";
        let help = "for everyone else: allow = [\"0.0.0.0/0\", \"::/0\"]";
        return vec![("server.deny", message.to_owned(), help)];
    }
    let both = server.deny.iter().filter(|it| server.allow.contains(it));
    both.map(|network| {
        let message = format!("{network} is in `allow` and in `deny`");
        let help = "the longest prefix counts: of two that are equal, remove one";
        ("server.deny", message, help)
    })
    .collect()
}

/// Smeared time that is served nowhere, or where other time is served: where, what is wrong and
/// what to do.
fn smear(server: &ServerConfig) -> Vec<(&'static str, String, &'static str)> {
    let Some(smear) = &server.smear else {
        return Vec::new();
    };
    if smear.listen.is_empty() {
        let message = "[server.smear] does not say where to listen".to_owned();
        let help = "for example another port or an address of its own: listen = [\"[::]:1123\"]";
        return vec![("server.smear", message, help)];
    }
    let both = smear.listen.iter().filter(|at| server.listen.contains(at));
    both.map(|address| {
        let message = format!("{address} is in `server.listen` already");
        let help = "smeared and other time need addresses or ports of their own";
        ("server.smear.listen", message, help)
    })
    .collect()
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
