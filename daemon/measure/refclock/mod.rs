//! Reference clocks of this host: PTP hardware clocks and pulses as sources of time.
//!
//! Readings come at a steady pace; once a poll interval they are made into one sample.

mod clock;
mod median;
mod pulse;

use clockwright_discipline::{Sample, Upstream};
use clockwright_timebase::{Duration, Poll, Raw, Timestamp, Utc};

use crate::clock::Clock;
use crate::config::{RefclockConfig, RefclockDevice};
use clock::Hardware;
use median::{Point, typical};
use pulse::Pulses;

/// A device that cannot be opened or read is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Pulses are looked for this often: the kernel keeps only the newest.
const LOOK_FOR_PULSES: Duration = Duration::from_millis(250);
/// Clocks are read at most this often.
const SHORTEST_READING: Duration = Duration::from_millis(10);

/// What a reference clock has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A sample.
    Sample(Sample),
    /// It tells time (again), or does not.
    Reachable(bool),
    /// It cannot be opened or read.
    Failed(String),
    /// The virtual machine was moved: everything begins anew.
    Moved,
    /// A PTP hardware clock was set by another program: this was added to it.
    Set(Duration),
}

/// What numbers the seconds that pulses begin: UTC − raw at an instant, and its error bound;
/// `None` where nobody knows yet.
pub type Numbering<'a> = &'a dyn Fn(Timestamp<Raw>) -> Option<(Duration, Duration)>;

/// A reference clock being read.
#[derive(Debug)]
pub struct Refclock {
    config: RefclockConfig,
    device: Device,
    poll: Poll,
    next_reading: Timestamp<Raw>,
    next_sample: Timestamp<Raw>,
    points: Vec<Point>,
    reach: u8,
    polls: u64,
    samples: u64,
    failure: Option<String>,
    news: Vec<News>,
}

/// What is read.
#[derive(Debug)]
enum Device {
    Phc(Box<Hardware>),
    Pulse(Pulses),
}

/// What a look at the device found.
enum Found {
    /// Readings, or none.
    Points(Vec<Point>),
    /// The machine was moved.
    Moved,
    /// The clock was set.
    Set(Duration),
}

impl Refclock {
    /// A reference clock that is read from `now` on.
    pub fn new(config: RefclockConfig, now: Timestamp<Raw>) -> Self {
        let device = match &config.device {
            RefclockDevice::Phc(name) => Device::Phc(Box::new(Hardware::new(name.clone()))),
            RefclockDevice::Pps(path) => Device::Pulse(Pulses::new(path.clone())),
        };
        let poll = config.poll.min;
        Self {
            config,
            device,
            poll,
            next_reading: now,
            next_sample: now + poll.interval(),
            points: Vec::new(),
            reach: 0,
            polls: 0,
            samples: 0,
            failure: None,
            news: Vec::new(),
        }
    }

    /// As configured.
    pub const fn config(&self) -> &RefclockConfig {
        &self.config
    }

    /// Takes over other settings.
    pub fn reconfigure(&mut self, config: RefclockConfig) {
        self.poll = self.poll.clamp(config.poll.min, config.poll.max);
        if config.settings.edge != self.config.settings.edge
            && let Device::Pulse(pulses) = &mut self.device
        {
            pulses.close();
        }
        self.config = config;
        self.points.clear();
    }

    /// How often samples are made.
    pub const fn poll(&self) -> Poll {
        self.poll
    }

    /// Makes samples at another interval.
    pub fn set_poll(&mut self, poll: Poll) {
        self.poll = poll.clamp(self.config.poll.min, self.config.poll.max);
    }

    /// The last eight polls, the newest in bit 0; a one gave a sample.
    pub const fn reach(&self) -> u8 {
        self.reach
    }

    /// Polls so far, and samples made.
    pub const fn counts(&self) -> (u64, u64) {
        (self.polls, self.samples)
    }

    /// Why it cannot be read, in words.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// When [`Refclock::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Timestamp<Raw> {
        self.next_reading.min(self.next_sample)
    }

    /// What has happened, oldest first.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Forgets readings: the oscillator has lost count of time, or the clock that stamps pulses was
    /// set.
    pub fn restart(&mut self) {
        self.points.clear();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, clock: &dyn Clock, numbering: Numbering<'_>) {
        let now = clock.timescale().now();
        if self.next_reading <= now {
            self.read(clock, numbering);
            self.next_reading = now + self.pace();
        }
        if self.next_sample <= now {
            // On a grid, so that time spent here does not add up.
            let interval = self.poll.interval();
            self.next_sample = (self.next_sample + interval).max(now + interval.half());
            self.poll_ended();
        }
    }

    /// Time between readings.
    fn pace(&self) -> Duration {
        if self.failure.is_some() {
            return TRY_AGAIN;
        }
        match self.device {
            Device::Phc(_) => {
                let each = i32::try_from(self.config.settings.filter).unwrap_or(1);
                (self.poll.interval() / each).max(SHORTEST_READING)
            }
            Device::Pulse(_) => LOOK_FOR_PULSES,
        }
    }

    fn read(&mut self, clock: &dyn Clock, numbering: Numbering<'_>) {
        let settings = &self.config.settings;
        let found = match &mut self.device {
            Device::Phc(hardware) => hardware.read(settings, clock.timescale()),
            Device::Pulse(pulses) => pulses.look(settings, clock, numbering),
        };
        match found {
            Ok(Found::Points(points)) => {
                self.failure = None;
                self.points.extend(points);
                // A longer poll interval than readings are wanted of: the newest count.
                let surplus = self.points.len().saturating_sub(settings.filter as usize);
                self.points.drain(..surplus);
            }
            Ok(Found::Set(by)) => {
                self.points.clear();
                self.news.push(News::Set(by));
            }
            Ok(Found::Moved) => {
                self.points.clear();
                self.news.push(News::Moved);
            }
            Err(failure) => {
                if self.failure.as_ref() != Some(&failure) {
                    self.news.push(News::Failed(failure.clone()));
                }
                self.failure = Some(failure);
            }
        }
    }

    /// Makes a sample of the readings since the last one.
    fn poll_ended(&mut self) {
        let before = self.reach;
        self.polls += 1;
        self.reach <<= 1;
        if let Some(point) = typical(&self.points) {
            self.points.clear();
            self.samples += 1;
            self.reach |= 1;
            self.news.push(News::Sample(self.sample(&point)));
        }
        match (before, self.reach) {
            (0, 1) => self.news.insert(0, News::Reachable(true)),
            (0x80, 0) => self.news.push(News::Reachable(false)),
            _ => {}
        }
    }

    fn sample(&self, point: &Point) -> Sample {
        Sample {
            at: point.at,
            offset: point.offset,
            // What a bus may hide of a reading is bounded by half of what it took, as of a round
            // trip.
            delay: point.half_width * 2,
            uncertainty: point.error,
            upstream: Upstream {
                stratum: 0,
                root_dispersion: self.config.settings.precision.unwrap_or_default(),
                reference_id: self.config.reference_id().octets(),
                ..Upstream::default()
            },
        }
    }
}

/// UTC − raw, of an instant by both.
fn difference(utc: Timestamp<Utc>, raw: Timestamp<Raw>) -> Duration {
    utc.since_epoch() - raw.since_epoch()
}

#[cfg(test)]
mod tests {
    use clockwright_sys::clock::{bracket, raw_now};

    use super::*;
    use crate::clock::Observed;
    use crate::config::{Config, Source};
    use crate::control::Steering;

    fn refclock(text: &str) -> Refclock {
        let text = format!("[[source]]\n{text}\npoll = {{ min = '1s', max = '4s' }}\n");
        let config = Config::from_text("test.toml".as_ref(), &text).unwrap();
        match &config.sources[..] {
            [Source::Refclock(config)] => Refclock::new(config.clone(), raw_now()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_told_once_and_tried_again() {
        let clock = Observed::new(Steering::Disabled);
        let mut refclock = refclock("phc = '/dev/ptp4000000'");
        for _ in 0..3 {
            refclock.next_reading = raw_now();
            refclock.handle_timeout(&clock, &|_| None);
        }
        let news = refclock.take_news();
        assert!(
            matches!(&news[..], [News::Failed(why)] if why.contains("no such")),
            "{news:?}"
        );
        assert!(refclock.failure().is_some());
        assert!(refclock.next_reading - raw_now() > Duration::from_secs(9));
    }

    #[test]
    fn readings_become_one_sample_a_poll_and_silence_is_told() {
        let mut refclock = refclock("pps = '/dev/pps0'");
        let utc = bracket();
        refclock.points = (0..5)
            .map(|n| Point {
                at: utc.raw() + Duration::from_secs(n),
                offset: utc.offset(),
                half_width: Duration::from_nanos(50),
                error: Duration::from_nanos(7),
            })
            .collect();
        refclock.poll_ended();
        let news = refclock.take_news();
        let [News::Reachable(true), News::Sample(sample)] = &news[..] else {
            panic!("{news:?}");
        };
        assert_eq!(sample.offset, utc.offset());
        assert_eq!(sample.delay, Duration::from_nanos(100));
        assert_eq!(sample.upstream.reference_id, *b"PPS\0");
        assert_eq!(sample.upstream.stratum, 0);
        for _ in 0..7 {
            refclock.poll_ended();
        }
        assert_eq!((refclock.reach(), refclock.take_news()), (0x80, vec![]));
        refclock.poll_ended();
        assert_eq!(refclock.take_news(), [News::Reachable(false)]);
        assert_eq!(refclock.counts(), (9, 1));
    }
}
