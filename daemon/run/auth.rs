//! What the daemon tells about how its sources prove themselves.

use super::daemon::Daemon;
use super::sources::{Member, Source};
use crate::config::Host;
use crate::control::{AuthEntry, AuthReport};

impl Daemon {
    /// The report of each source that is asked over the network.
    pub(super) fn auth_entries(&self) -> Vec<AuthEntry> {
        let mut entries = Vec::new();
        for source in self.sources.iter() {
            if source.members.is_empty() {
                entries.push(without_address(source));
            }
            let members = source.members.iter();
            entries.extend(members.map(|member| self.auth_entry(source, member)));
        }
        entries
    }

    fn auth_entry(&self, source: &Source, member: &Member) -> AuthEntry {
        let blank = AuthEntry {
            address: Some(member.asked.server().ip().to_string()),
            last_error: None,
            ..without_address(source)
        };
        let now = self.clock.timescale().now();
        let (Some(keys), Some(auth)) = (&member.keys, member.asked.client().auth(now)) else {
            return blank;
        };
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        AuthEntry {
            key_server: Some(keys.server.to_string()),
            key_establishments: auth.established,
            aead: auth.algorithm.map(|aead| aead.name().to_owned()),
            aead_id: auth.algorithm.map(clockwright_ntp::nts::Algorithm::id),
            key_length_bits: auth.algorithm.map(|aead| number(aead.key_length() * 8)),
            key_age_s: auth.age.map(clockwright_timebase::Duration::as_secs_f64),
            attempts: auth.attempts,
            establishing: auth.under_way,
            naks: auth.naks,
            cookies: number(auth.cookies),
            cookie_length: number(auth.cookie_length),
            provisional: keys.in_doubt,
            doubt: self.doubt_about(keys),
            last_error: keys.error.clone(),
            ..blank
        }
    }
}

/// The report of a source whose name has no address yet.
fn without_address(source: &Source) -> AuthEntry {
    let address = &source.config.address;
    let key_server = match (&address.host, address.ke_port) {
        (Host::Name(_), _) | (_, None) => None,
        (host, Some(port)) => Some(format!("{host} port {port}")),
    };
    let naming = source.naming.as_ref();
    AuthEntry {
        name: source.name(),
        address: None,
        key_server,
        mode: if address.ke_port.is_some() {
            AuthReport::Nts
        } else {
            AuthReport::None
        },
        key_establishments: 0,
        aead: None,
        aead_id: None,
        key_length_bits: None,
        key_age_s: None,
        attempts: 0,
        establishing: false,
        naks: 0,
        cookies: 0,
        cookie_length: 0,
        provisional: false,
        doubt: None,
        last_error: naming.and_then(|naming| naming.error()).map(str::to_owned),
    }
}
