//! Servers that spread a leap second over hours, beside others that do not.
//!
//! While one smears, its time and UTC differ by up to half a second or a second, and neither is
//! wrong in its own eyes. A clock that listens to both is torn between them, or follows whichever
//! kind has the majority.

use clockwright_discipline::{self as discipline, SourceId};
use clockwright_ntp::ReferenceId;
use tracing::warn;

use super::daemon::Daemon;

/// Are there servers of both kinds among those with these reference ids?
fn are_mixed(reference_ids: impl IntoIterator<Item = ReferenceId>) -> bool {
    let (mut smeared, mut straight) = (false, false);
    for reference_id in reference_ids {
        if discipline::smears(reference_id.0) {
            smeared = true;
        } else {
            straight = true;
        }
    }
    smeared && straight
}

impl Daemon {
    /// Warns, once for as long as it lasts, if this server smears, and others that answer do not.
    pub(super) fn tell_of_smears(&mut self, id: SourceId) {
        let now = self.clock.timescale().now();
        let said = self
            .sources
            .members()
            .filter(|member| member.asked.client().reach() != 0)
            .filter_map(|member| Some(member.last?.0.reference_id));
        let mixed = are_mixed(said);
        let Some((source, member)) = self.sources.find(id) else {
            return;
        };
        let smears = member
            .last
            .is_some_and(|(exchange, _)| discipline::smears(exchange.reference_id.0));
        let is_news = mixed && smears && !self.told_smears;
        self.told_smears = mixed && (self.told_smears || smears);
        if is_news && let Some(leave) = self.limiter.leave("smear", now) {
            warn!(
                "{} serves smeared time (a leap second spread over hours) and others do not: use \
                 only one kind{leave}",
                source.member_name(member)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NTPD: ReferenceId = ReferenceId([254, 0x80, 1, 2]);
    const CHRONY: ReferenceId = ReferenceId([127, 127, 1, 255]);
    const STRAIGHT: [ReferenceId; 3] = [
        ReferenceId([192, 0, 2, 254]),
        ReferenceId(*b"GPS\0"),
        ReferenceId([127, 127, 1, 1]),
    ];

    #[test]
    fn both_conventions_are_known() {
        let smears = |id: ReferenceId| discipline::smears(id.0);
        assert!(smears(NTPD) && smears(CHRONY));
        assert!(!STRAIGHT.into_iter().any(smears));
    }

    #[test]
    fn only_both_kinds_together_are_a_mixture() {
        assert!(!are_mixed([]));
        assert!(!are_mixed([NTPD, CHRONY]));
        assert!(!are_mixed(STRAIGHT));
        for one in STRAIGHT {
            assert!(are_mixed([NTPD, one]) && are_mixed([one, CHRONY]));
        }
    }
}
