//! What happens to the servers being asked, and what follows from it.

use clockwright_discipline::SourceId;
use clockwright_ntp::KissCode;
use tracing::{debug, info, warn};

use super::daemon::Daemon;
use super::sources::Member;
use crate::measure::Event;

impl Daemon {
    /// Takes in what an association has to say.
    pub(super) fn handle_events(&mut self, id: SourceId) {
        while let Some(event) = self
            .sources
            .member_mut(id)
            .and_then(|member| member.asked.poll_event())
        {
            self.handle_event(id, event);
        }
        self.tell_of_samples();
    }

    fn handle_event(&mut self, id: SourceId, event: Event) {
        match event {
            Event::Exchange(exchange) => self.take_exchange(id, &exchange),
            Event::Foreseen(foreseen) => self.take_foreseen(id, &foreseen),
            Event::Reachable(reachable) => self.handle_reachability(id, reachable),
            Event::KeysWanted => self.establish_keys(id),
            other => self.handle_trouble(id, other),
        }
    }

    /// Something has gone wrong with a server's packets.
    fn handle_trouble(&mut self, id: SourceId, event: Event) {
        let now = self.clock.timescale().now();
        let Some((source, member)) = self.sources.find(id) else {
            return;
        };
        let name = source.member_name(member);
        let Some(member) = self.sources.member_mut(id) else {
            return;
        };
        match event {
            Event::Kiss(code) => {
                member.kiss = Some(code);
                if let Some(leave) = self.limiter.leave("kiss", now) {
                    warn!("{name}: {}{leave}", explain(code));
                }
                if matches!(code, KissCode::Deny | KissCode::Restrict) {
                    self.sources.silent(id, now);
                }
            }
            Event::Unusable(rejection) | Event::Refused(rejection) => {
                member.refused = Some(rejection);
                member.last_rejection = Some(rejection);
                if let Some(leave) = self.limiter.leave("refused", now) {
                    debug!("{name}: packet refused: {rejection}{leave}");
                }
            }
            Event::Failed(failure) => {
                let failure = failure.to_string();
                if let Some(leave) = self.limiter.leave("failed", now) {
                    warn!("{name}: {failure}{leave}");
                }
                member.last_error = Some(failure);
            }
            Event::Doubted(why) => {
                if let Some(leave) = self.limiter.leave("stamp", now) {
                    warn!(
                        "{name}: a kernel timestamp cannot be right: it is {why}; the daemon's own \
                         is used. Was the system clock set?{leave}"
                    );
                }
            }
            Event::Exchange(_) | Event::Foreseen(_) | Event::Reachable(_) | Event::KeysWanted => {}
        }
    }

    /// A server has stopped answering, or answers again.
    fn handle_reachability(&mut self, id: SourceId, reachable: bool) {
        let now = self.clock.timescale().now();
        self.discipline.set_reachable(id, reachable);
        let Some((source, member)) = self.sources.find(id) else {
            return;
        };
        let name = source.member_name(member);
        let leave = self.limiter.leave("reach", now);
        if reachable {
            if let Some(leave) = leave {
                info!("{name}: answers{leave}");
            }
            return;
        }
        if let Some(leave) = leave {
            warn!("{name}: {}{leave}", silence(member));
        }
        self.sources.silent(id, now);
        self.judge();
    }
}

/// Why a server does not tell the time, as far as that is known.
fn silence(member: &Member) -> String {
    let keys = member.keys.as_ref();
    let without = keys.filter(|_| !member.asked.client().has_keys());
    if let Some(error) = without.and_then(|keys| keys.error.as_ref()) {
        return format!("it cannot be asked without keys: {error}");
    }
    let hint = match (&member.last_error, &member.refused, member.kiss) {
        (Some(error), ..) => format!(": {error}"),
        (None, Some(rejection), _) => format!(" with anything usable: {rejection}"),
        (None, None, Some(code)) => format!(" with the time: it {}", explain(code)),
        (None, None, None) if member.asked.is_asked_over_ptp_only() => {
            ": it may not answer NTP over PTP, which `timestamping.ptp_transport` or its port \
             demands, it may be down, or a firewall drops UDP port 319 on the way"
                .to_owned()
        }
        (None, None, None) if member.keys.is_some() => {
            ": it may be down, or a firewall drops UDP packets on the way, perhaps only those \
             that are longer than 48 octets"
                .to_owned()
        }
        (None, None, None) => {
            ": it may be down, or a firewall drops UDP packets on the way".to_owned()
        }
    };
    format!("eight requests were not answered{hint}")
}

/// A kiss code in words.
pub(super) fn explain(code: KissCode) -> String {
    match code {
        KissCode::Rate => "asks to be asked less often (RATE); it is".to_owned(),
        KissCode::Deny | KissCode::Restrict => {
            format!("denies service ({code}): ask its operator, or use another server")
        }
        KissCode::NtsNak => "cannot open our cookie (NTSN), or somebody pretends to be it; if the \
                             next request brings nothing authentic, keys are established anew"
            .to_owned(),
        KissCode::Other(_) => format!("answered with kiss code {code}"),
    }
}
