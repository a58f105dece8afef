//! Taking in the newest exchange before it is complete.
//!
//! In interleaved mode the server says with its next reply when the last one left, and until then that is a
//! guess (`fresh.rs`). A copy of the state takes it in; the state itself waits.

use clockwright_timebase::{Raw, Timestamp};

use super::{Ahead, LEARNING, SourceFilter, Verdict};
use crate::bound::Doubt;
use crate::fresh::Fresh;
use crate::kalman::{Covariance, Kalman};
use crate::track::{SUSPECT_SIGMAS, Track};

impl SourceFilter {
    /// Takes in the newest exchange before it is complete (see `fresh.rs`), until the next complete
    /// one comes.
    pub(crate) fn foresee(&mut self, fresh: &Fresh) -> Verdict {
        self.ahead = None;
        let verdict = if self.count < LEARNING {
            self.ahead = self.foresee_among_the_first(fresh);
            self.ahead.map_or(Verdict::First, |_| Verdict::Accepted)
        } else {
            self.judge_and_foresee(fresh)
        };
        self.known = self.conclude();
        verdict
    }

    fn judge_and_foresee(&mut self, fresh: &Fresh) -> Verdict {
        let Some(track) = &self.track else {
            return Verdict::First;
        };
        let sample = &fresh.sample;
        if sample.at <= track.at {
            return Verdict::OutOfOrder;
        }
        let floor = |least| track.congestion.floor_s(least);
        let above = |floor: f64| (sample.delay.as_secs_f64() - floor).max(0.0);
        let excess = self.floor.floor().map(floor).map_or(0.0, above);
        let Some(weighed) = fresh.weigh(track.bank.hypothesis(), self.level, excess) else {
            return Verdict::First;
        };
        let mut verdict = Verdict::Accepted;
        let (mut state, mut innovation) = track.ahead(sample, weighed.change);
        let expected = (state.covariance.phase + weighed.variance).sqrt();
        if innovation.abs() > SUSPECT_SIGMAS * expected + excess / 2.0 {
            let dt = (sample.at - track.at).as_secs_f64();
            let same_side = self.suspect == Some(innovation > 0.0);
            let confirmed = self
                .aside
                .take_if(|aside| same_side && aside.tells_frequency(sample, innovation));
            let Some(aside) = confirmed else {
                self.doubt = self.doubt.and(Doubt::of(innovation, dt));
                return Verdict::Suspect;
            };
            self.unsettled = aside.frequency(sample, innovation).powi(2);
            let (longest, rate) = aside.delays(sample);
            self.believed.begin_again(longest, rate);
            let moved = aside.confirmed_by(innovation, excess);
            (state, innovation) = moved.ahead(sample, weighed.change);
            self.track = Some(moved);
            self.suspect = None;
            self.doubt = Doubt::default();
            verdict = Verdict::Moved;
        }
        let Some(track) = &self.track else {
            return verdict;
        };
        // To look at each way by itself takes both of them. What the bank would make of this exchange
        // is what the one-way filter knows better.
        if track.congestion.is_heard(track.bank.state()) {
            return verdict;
        }
        let before = state.covariance;
        match self.prior.gains {
            Some(gains) => {
                let dt = (sample.at - track.at).as_secs_f64();
                gains.update(&mut state, innovation, dt, weighed.variance);
            }
            None => state.update(innovation, weighed.variance),
        }
        // The usual round trip stands for a guess as far as that is not believed.
        let delay = sample.delay.as_secs_f64() - 2.0 * weighed.change;
        self.ahead = Some(self.ahead_with(track, (sample.at, delay), before, state));
        verdict
    }

    /// What the first few samples say with this one, before the bank has learnt anything.
    fn foresee_among_the_first(&self, fresh: &Fresh) -> Option<Ahead> {
        let track = self.track.as_ref()?;
        let sample = &fresh.sample;
        if sample.at <= track.at {
            return None;
        }
        let (before, _) = track.ahead(sample, 0.0);
        let guess = fresh.deviation_s.powi(2) / 4.0;
        if guess > before.covariance.phase {
            return None;
        }
        let all = self.first_few.with(sample);
        let mut state = all.state(track.origin, self.known_before())?;
        state.covariance.phase += guess;
        let delay = sample.delay.as_secs_f64();
        Some(self.ahead_with(track, (sample.at, delay), before.covariance, state))
    }

    /// The state that has taken in an exchange of an instant and a round trip (s), and that was as
    /// uncertain as `before`.
    fn ahead_with(
        &self,
        track: &Track,
        (at, delay): (Timestamp<Raw>, f64),
        before: Covariance,
        state: Kalman,
    ) -> Ahead {
        let dt = (at - track.at).as_secs_f64();
        let mut believed = self.believed;
        believed.take((delay, None), dt, (before, state.covariance), 0.0);
        Ahead {
            at,
            state,
            believed,
        }
    }
}
