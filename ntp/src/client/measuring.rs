//! What becomes of a reply that is believed: an exchange at once, with the next reply, or never.

use clockwright_timebase::{Duration, Raw, Timestamp};

use super::carriage::Way;
use super::reply::{Answer, Measured};
use super::request::Form;
use super::statistics::count;
use super::timers::Timer;
use super::{Action, Arrival, Client, Rejection, UNREACHABLE_AFTER};
use crate::{Exchange, Foreseen, Header, Residence};

impl Client {
    /// A reply passed the tests of the packet alone.
    pub(super) fn answered(
        &mut self,
        header: Header,
        form: Form,
        residence: Option<Residence>,
        arrival: &Arrival,
        now: Timestamp<Raw>,
    ) -> Result<(), Rejection> {
        let Some(pending) = &self.pending else {
            return Err(Rejection::Unexpected);
        };
        let (to_interleaved, way) = (pending.is_interleaved(), pending.way);
        let mut answer = Answer {
            serial: pending.serial,
            transport: pending.way.transport,
            t1: pending.t1,
            t4: arrival.stamps,
            residence,
            header,
            form,
            state: Measured::Awaited,
        };
        let outcome = self.measure_at_once(&mut answer, to_interleaved)?;

        // From here on the reply is believed.
        if let Some(pending) = &mut self.pending {
            pending.answered = true;
        }
        self.note_answer(to_interleaved, way, form);
        if form == Form::Basic {
            let header = &answer.header;
            self.foresight.foretold(header.receive, header.transmit);
        }
        if let Some(previous) = self.last.take() {
            self.complete(&previous, &answer);
        }
        if let Some(outcome) = outcome {
            self.give(outcome);
        }
        if answer.state == Measured::Awaited {
            self.foresee(&answer);
        }
        if answer.state == Measured::Held {
            count(&mut self.statistics.held_replies);
            self.timers.set(Timer::StampWait, now + self.stamping.wait);
        }
        self.last = Some(answer);
        self.reschedule();
        Ok(())
    }

    /// Measures an answer in basic mode if it can and should be measured before the next one
    /// comes, and notes in it what has become of it. An error refuses the packet.
    fn measure_at_once(
        &self,
        answer: &mut Answer,
        to_interleaved: bool,
    ) -> Result<Option<Result<Exchange, Rejection>>, Rejection> {
        // A basic reply among interleaved ones is kept for its better t3.
        if answer.form == Form::Interleaved || self.interleaved() && to_interleaved {
            return Ok(None);
        }
        if self.stamping.wait > Duration::ZERO && answer.may_improve(self.stamping.best) {
            answer.state = Measured::Held;
            return Ok(None);
        }
        let outcome = answer.basic_exchange(&self.config);
        answer.state = Measured::Done;
        match outcome {
            Err(rejection) if rejection.is_broken_timestamp() => Err(rejection),
            _ => Ok(Some(outcome)),
        }
    }

    /// Keeps the books about an answered request.
    fn note_answer(&mut self, to_interleaved: bool, way: Way, form: Form) {
        self.statistics.replied(way, form);
        let was_silent = self.unanswered >= UNREACHABLE_AFTER;
        self.reach = self.reach << u8::from(way.probe) | 1;
        self.unanswered = 0;
        self.interleaving[way.transport as usize].replied(to_interleaved);
        self.carriage.replied(way.transport);
        self.polling.replied();
        if was_silent {
            self.polling.begin_burst(&self.config);
        }
        if !self.reachable {
            self.reachable = true;
            self.actions.push(Action::Reachable(true));
        }
    }

    /// Completes the exchange of the `previous` answer, now that the `latest` is there.
    fn complete(&mut self, previous: &Answer, latest: &Answer) {
        match (latest.form, previous.state) {
            (Form::Interleaved, Measured::Awaited) => {
                let outcome = previous.interleaved_exchange(&latest.header, &self.config);
                if let Ok(exchange) = &outcome {
                    self.foresight.note(exchange.t2, exchange.t3);
                }
                self.give(outcome);
            }
            (Form::Interleaved, Measured::Held | Measured::Done) => {
                if let Ok(exchange) = previous.interleaved_exchange(&latest.header, &self.config) {
                    self.foresight.note(exchange.t2, exchange.t3);
                }
                count(&mut self.statistics.already_measured);
            }
            (Form::Basic, Measured::Awaited) if previous.form == Form::Basic => {
                let outcome = previous.basic_exchange(&self.config);
                self.give(outcome);
            }
            // Of an interleaved reply followed by a basic one, nobody will ever know when it left.
            (Form::Basic, _) => {}
        }
    }

    /// Says what the exchange of an answer is likely to be that the next one will complete. Without
    /// the best stamp that there can be of its request, it would be of another kind than that.
    fn foresee(&mut self, answer: &Answer) {
        if self.stamping.wait > Duration::ZERO && answer.may_improve(self.stamping.best) {
            return;
        }
        let Some((t3, deviation)) = self.foresight.departure(answer.header.receive) else {
            return;
        };
        if let Ok(exchange) = answer.foreseen_exchange(t3, &self.config) {
            let foreseen = Foreseen {
                exchange,
                deviation,
            };
            self.actions.push(Action::Foreseen(foreseen));
        }
    }

    /// Measures a held answer with the stamp there is.
    pub(super) fn release_held(&mut self) {
        self.timers.cancel(Timer::StampWait);
        let Some(last) = self.last.as_mut().filter(|l| l.state == Measured::Held) else {
            return;
        };
        last.state = Measured::Done;
        let outcome = last.basic_exchange(&self.config);
        self.give(outcome);
        self.reschedule();
    }

    /// Hands the caller an exchange, or why there is none.
    fn give(&mut self, outcome: Result<Exchange, Rejection>) {
        match outcome {
            Ok(exchange) => {
                count(&mut self.statistics.exchanges);
                self.polling.exchanged(exchange.t4.at - exchange.t1.at);
                self.actions.push(Action::Exchange(exchange));
            }
            Err(rejection) => {
                self.statistics.reject(&rejection);
                self.actions.push(Action::Unusable(rejection));
            }
        }
    }
}
