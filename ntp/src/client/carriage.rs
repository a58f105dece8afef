//! Which transport the next request takes: UDP, or PTP where the server answers there.

use super::{PtpUse, Transport};

/// Requests over PTP in a row that may go unanswered before the server is asked by UDP again.
const UNANSWERED: u8 = 4;
/// Requests over PTP in one attempt to find out whether the server answers there. Between two of
/// them it is asked by UDP.
const PROBES: u8 = 3;
/// Replies by UDP to wait, at first, before the next attempt.
const PAUSE_MIN: u16 = 8;
/// The longest such pause, in replies: one request in some hundred is all that is ever lost.
const PAUSE_MAX: u16 = 256;
/// A server that has answered so many requests over PTP does answer there, though the path may
/// have stopped carrying them.
const SETTLED: u16 = 16;

/// Which transport to ask by.
///
/// Most servers do not answer over PTP, and some networks do not carry it; nobody says so. Where
/// it is to be [tried](PtpUse::Try), some requests are sent that way, between others by UDP that
/// keep the time coming. Once one is answered, all are sent that way, until several in a row are
/// not. Attempts that fail are repeated after longer and longer pauses.
#[derive(Debug)]
pub(super) struct Carriage {
    ptp: PtpUse,
    /// Does the server answer over PTP, as far as known?
    answers: bool,
    /// Replies over PTP since it does.
    replies: u16,
    /// Requests over PTP since the last reply over it, attempts aside.
    ptp_silent: u8,
    /// Requests by UDP since the last reply by it.
    udp_silent: u8,
    /// Has the server stopped answering over PTP, and not been heard by UDP since?
    gave_up: bool,
    /// Requests left in the present attempt.
    probes: u8,
    /// Was the last request one of these? Then one by UDP is next.
    probed: bool,
    /// Requests by UDP left until the next attempt.
    pause: u16,
    /// How long the last pause was.
    last_pause: u16,
}

/// How a request goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) transport: Transport,
    /// Is it only to find out whether the server answers over PTP? Silence then says nothing
    /// about the server.
    pub(super) probe: bool,
}

impl Carriage {
    /// Everything by UDP.
    pub(super) const fn new() -> Self {
        Self {
            ptp: PtpUse::Never,
            answers: false,
            replies: 0,
            ptp_silent: 0,
            udp_silent: 0,
            gave_up: false,
            probes: PROBES,
            probed: false,
            pause: 0,
            last_pause: 0,
        }
    }

    /// Whether PTP is to be used from now on.
    pub(super) fn set(&mut self, ptp: PtpUse) {
        if self.ptp != ptp {
            *self = Self { ptp, ..Self::new() };
        }
    }

    /// The path may be another one, which may carry PTP: what was found not to work is tried
    /// again.
    pub(super) const fn restart(&mut self) {
        self.ptp_silent = 0;
        if !self.answers {
            *self = Self {
                ptp: self.ptp,
                ..Self::new()
            };
        }
    }

    /// How the next request, which is about to be handed out, goes.
    pub(super) fn request(&mut self) -> Way {
        if self.answers && self.ptp_silent >= UNANSWERED && self.ptp == PtpUse::Try {
            self.give_up();
        }
        let way = match self.ptp {
            PtpUse::Always => Way::PTP,
            PtpUse::Try if self.answers => Way::PTP,
            PtpUse::Try if self.probes > 0 && !self.probed => Way::PROBE,
            PtpUse::Never | PtpUse::Try => Way::UDP,
        };
        self.probed = way.probe;
        match way {
            Way::PROBE => {
                self.probes -= 1;
                if self.probes == 0 {
                    self.take_a_break();
                }
            }
            Way::UDP => {
                self.udp_silent = self.udp_silent.saturating_add(1);
                if self.probes == 0 {
                    self.pause = self.pause.saturating_sub(1);
                    if self.pause == 0 {
                        self.probes = PROBES;
                    }
                }
            }
            _ => self.ptp_silent = self.ptp_silent.saturating_add(1),
        }
        way
    }

    /// The server answered by `transport`.
    pub(super) fn replied(&mut self, transport: Transport) {
        match transport {
            Transport::Ptp => {
                self.replies = if self.answers {
                    self.replies.saturating_add(1)
                } else {
                    1
                };
                self.answers = true;
                self.ptp_silent = 0;
                self.gave_up = false;
                if self.replies >= SETTLED {
                    self.last_pause = 0;
                }
            }
            Transport::Udp => {
                // If the very first request by UDP was answered, it was PTP that was not.
                let away = if self.gave_up { 2 } else { UNANSWERED };
                if self.udp_silent >= away {
                    // Otherwise the server was away, which says nothing about the transport.
                    (self.probes, self.pause, self.last_pause) = (PROBES, 0, 0);
                }
                self.udp_silent = 0;
                self.gave_up = false;
            }
        }
    }

    /// The server does not answer over PTP any more.
    fn give_up(&mut self) {
        self.answers = false;
        self.gave_up = true;
        (self.ptp_silent, self.udp_silent) = (0, 0);
        self.probes = 0;
        self.take_a_break();
    }

    /// An attempt has failed, or is about to: the next one is to come later. While nothing comes
    /// by UDP either, there is nothing to lose by trying often.
    fn take_a_break(&mut self) {
        self.last_pause = if self.udp_silent >= UNANSWERED {
            PAUSE_MIN
        } else {
            (self.last_pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)
        };
        self.pause = self.last_pause;
    }
}

impl Way {
    pub(super) const UDP: Self = Self {
        transport: Transport::Udp,
        probe: false,
    };
    pub(super) const PTP: Self = Self {
        transport: Transport::Ptp,
        probe: false,
    };
    pub(super) const PROBE: Self = Self {
        transport: Transport::Ptp,
        probe: true,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server and a path that answer by these transports.
    #[derive(Clone, Copy)]
    struct Answers {
        udp: bool,
        ptp: bool,
    }

    const BOTH: Answers = Answers {
        udp: true,
        ptp: true,
    };
    const UDP_ONLY: Answers = Answers {
        udp: true,
        ptp: false,
    };
    const PTP_ONLY: Answers = Answers {
        udp: false,
        ptp: true,
    };
    const NONE: Answers = Answers {
        udp: false,
        ptp: false,
    };

    fn trying() -> Carriage {
        let mut carriage = Carriage::new();
        carriage.set(PtpUse::Try);
        carriage
    }

    /// Asks `count` times: `u` and `p` for requests by UDP and PTP, in capitals if answered.
    fn ask(carriage: &mut Carriage, count: usize, answers: Answers) -> String {
        let mut history = String::new();
        for _ in 0..count {
            let way = carriage.request();
            let (name, answered) = match way.transport {
                Transport::Udp => ('u', answers.udp),
                Transport::Ptp => ('p', answers.ptp),
            };
            if answered {
                carriage.replied(way.transport);
            }
            history.push(if answered {
                name.to_ascii_uppercase()
            } else {
                name
            });
        }
        history
    }

    #[test]
    fn a_server_that_answers_over_ptp_is_asked_there() {
        assert_eq!(ask(&mut trying(), 6, BOTH), "PPPPPP");
        assert_eq!(ask(&mut trying(), 6, PTP_ONLY), "PPPPPP");
    }

    #[test]
    fn one_that_does_not_is_asked_by_udp_and_seldom_otherwise() {
        let mut carriage = trying();
        assert_eq!(ask(&mut carriage, 14, UDP_ONLY), "pUpUpUUUUUUUUp");
        let history = ask(&mut carriage, 20_000, UDP_ONLY);
        let lost = history.matches('p').count();
        assert!((200..400).contains(&lost), "{lost}");
        let longest = history.split('p').map(str::len).max().unwrap();
        assert_eq!(longest, usize::from(PAUSE_MAX));
        assert!(!history.contains("pp"), "one by UDP between any two");
    }

    #[test]
    fn the_attempts_go_on_for_ever() {
        let mut carriage = trying();
        ask(&mut carriage, 5000, UDP_ONLY);
        let history = ask(&mut carriage, 300, BOTH);
        assert!(history.ends_with('P'), "{history}");
    }

    #[test]
    fn a_path_that_stops_carrying_ptp_is_left_after_four_polls() {
        let mut carriage = trying();
        ask(&mut carriage, 100, BOTH);
        assert_eq!(ask(&mut carriage, 14, UDP_ONLY), "ppppUUUUUUUUpU");
        // And found again.
        let history = ask(&mut carriage, 30, BOTH);
        assert!(history.ends_with("PPPP"), "{history}");
    }

    #[test]
    fn a_path_that_carries_ptp_now_and_then_is_tried_less_and_less() {
        let mut carriage = trying();
        let mut lost = 0;
        let mut asked = 0;
        while asked < 4000 {
            let found = ask(&mut carriage, 1, BOTH);
            asked += 1;
            if found == "P" {
                let silence = ask(&mut carriage, 5, UDP_ONLY);
                asked += 5;
                lost += silence.matches('p').count();
            }
        }
        assert!(lost < 150, "{lost}");
    }

    #[test]
    fn an_outage_does_not_count_against_ptp() {
        let mut carriage = trying();
        ask(&mut carriage, 100, BOTH);
        ask(&mut carriage, 50, NONE);
        let history = ask(&mut carriage, 5, BOTH);
        assert!(history.contains("PP"), "{history}");
    }

    #[test]
    fn a_server_that_answers_only_over_ptp_is_found_again_after_an_outage() {
        let mut carriage = trying();
        ask(&mut carriage, 100, PTP_ONLY);
        ask(&mut carriage, 1000, NONE);
        let history = ask(&mut carriage, 10, PTP_ONLY);
        assert!(history.ends_with("PP"), "{history}");
    }

    #[test]
    fn what_is_demanded_is_done() {
        let mut carriage = Carriage::new();
        assert_eq!(ask(&mut carriage, 5, BOTH), "UUUUU");
        carriage.set(PtpUse::Always);
        assert_eq!(ask(&mut carriage, 9, UDP_ONLY), "ppppppppp");
        carriage.set(PtpUse::Never);
        assert_eq!(ask(&mut carriage, 5, PTP_ONLY), "uuuuu");
    }

    #[test]
    fn setting_what_is_set_changes_nothing() {
        let mut carriage = trying();
        ask(&mut carriage, 100, BOTH);
        carriage.set(PtpUse::Try);
        carriage.restart();
        assert_eq!(ask(&mut carriage, 1, BOTH), "P");
        let mut carriage = trying();
        ask(&mut carriage, 100, UDP_ONLY);
        carriage.restart();
        assert_eq!(
            ask(&mut carriage, 1, BOTH),
            "P",
            "another path, another try"
        );
    }
}
