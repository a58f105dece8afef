//! The discipline of an oscillator whose temperature is known.

use clockwright_timebase::{Raw, Timestamp};

use super::{Action, ClockReading, Discipline};
use crate::sample::Sample;
use crate::thermal::TemperatureFit;
use crate::warmth::Taken;

impl ClockReading {
    /// The reading beside the compensated oscillator instead of the real one.
    pub(super) fn compensated(self, taken: Taken) -> Self {
        Self {
            clock: self.clock - taken.by(self.raw),
            ..self
        }
    }
}

impl Discipline {
    /// Takes in the temperature of the oscillator, or of something near it (°C). What a change of
    /// it does to the frequency is learnt, and once that has been found to explain how the clock
    /// strays, each change is made up for at once. To be called every some seconds, and for the
    /// first time before the first sample; an impossible temperature changes nothing.
    pub fn handle_temperature(&mut self, now: Timestamp<Raw>, celsius: f64) {
        let before = self.warmth.taken().rate;
        let may_jump = self.reference.is_none();
        self.warmth.feel(now, celsius, may_jump);
        if (self.warmth.taken().rate - before).abs() > 0.0 {
            self.steer(self.steered);
        }
    }

    /// The temperature that was last taken in, smoothed, °C.
    pub fn temperature_c(&self) -> Option<f64> {
        self.warmth.celsius()
    }

    /// What the temperature does to the oscillator, if it has been found to do something.
    pub fn temperature_fit(&self) -> Option<TemperatureFit> {
        self.warmth.fit()
    }

    /// Lets the clock run faster than the compensated oscillator by `frequency` (s/s).
    pub(super) fn steer(&mut self, frequency: f64) {
        self.steered = frequency;
        let frequency = frequency + self.warmth.taken().rate;
        self.actions.push_back(Action::SetFrequency { frequency });
    }

    /// The sample as of the compensated oscillator.
    pub(super) fn compensated(&self, sample: &Sample) -> Sample {
        Sample {
            offset: sample.offset - self.warmth.taken_by(sample.at),
            ..*sample
        }
    }
}
