//! When to ask in interleaved form (RFC 9769 section 2).

/// Interleaved requests in a row that may go unanswered before a basic one is sent: the server may
/// have forgotten, and older timestamps are of less and less use.
const UNANSWERED: u8 = 4;
/// Replies to wait, at first, before interleaved requests are offered again to a server that
/// answers basic ones only.
const PAUSE_MIN: u16 = 8;
/// The longest such pause, in replies.
const PAUSE_MAX: u16 = 1024;

/// Whether to ask in interleaved form.
///
/// A server without interleaved mode answers such requests in basic mode, which costs nothing; so
/// the offer is repeated for ever. Some middleboxes and servers drop them; then the client falls
/// back, and offers again after longer and longer pauses.
#[derive(Debug, Default)]
pub(super) struct Interleaving {
    /// Interleaved requests since the last reply, [`UNANSWERED`] at most.
    offered: u8,
    /// Basic requests sent after these went unanswered.
    fallback: u8,
    /// Replies left until interleaved requests are offered again.
    pause: u16,
    /// How long the last pause was.
    last_pause: u16,
}

impl Interleaving {
    /// May the next request be in interleaved form?
    pub(super) const fn offer(&self) -> bool {
        self.pause == 0 && self.offered < UNANSWERED
    }

    /// A request is handed out; says whether this is the first basic one after interleaved ones
    /// went unanswered.
    pub(super) const fn requested(&mut self, interleaved: bool) -> bool {
        if interleaved {
            self.offered += 1;
            return false;
        }
        if self.offered < UNANSWERED {
            return false;
        }
        self.fallback = self.fallback.saturating_add(1);
        self.fallback == 1
    }

    /// A reply to a request in interleaved form or not was believed.
    pub(super) fn replied(&mut self, to_interleaved: bool) {
        if to_interleaved {
            self.last_pause = 0;
        } else if self.fallback == 1 {
            // The very first basic request was answered: it was the form that was not liked. Had
            // the server been away, some basic requests would most likely be lost as well.
            self.last_pause = (self.last_pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            self.pause = self.last_pause;
        } else {
            self.pause = self.pause.saturating_sub(1);
        }
        self.offered = 0;
        self.fallback = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends the next request in the form it may have; true if interleaved.
    fn ask(state: &mut Interleaving) -> bool {
        let interleaved = state.offer();
        state.requested(interleaved);
        interleaved
    }

    #[test]
    fn a_server_that_drops_the_form_is_offered_it_more_and_more_rarely() {
        let mut state = Interleaving::default();
        let mut lengths = Vec::new();
        for _ in 0..12 {
            for _ in 0..4 {
                assert!(ask(&mut state));
            }
            let mut basic = 0;
            while !state.offer() {
                assert!(!ask(&mut state));
                state.replied(false);
                basic += 1;
            }
            lengths.push(basic - 1);
        }
        assert_eq!(lengths[..4], [8, 16, 32, 64]);
        assert_eq!(lengths[11], 1024);
    }

    #[test]
    fn an_outage_does_not_stop_the_offer() {
        let mut state = Interleaving::default();
        for _ in 0..4 {
            assert!(ask(&mut state));
        }
        for _ in 0..3 {
            assert!(!ask(&mut state), "falls back");
        }
        state.replied(false);
        assert!(ask(&mut state), "and offers again at once");
        state.replied(true);
        assert!(state.offer());
    }
}
