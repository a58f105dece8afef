//! Reference clocks of this host: PTP hardware clocks, pulses, and what other programs say that the
//! time is.
//!
//! Readings come at a steady pace; once a poll interval they are made into one sample.

mod clock;
mod median;
mod pulse;
mod refusal;
mod shm;
mod sock;
mod told;

use clockwright_discipline::{Sample, Upstream};
use clockwright_timebase::{Duration, Poll, Raw, Timestamp, Utc};

use crate::clock::Clock;
use crate::config::{RefclockConfig, RefclockDevice};
use clock::Hardware;
use median::{Point, typical};
use pulse::Pulses;
pub use refusal::Refusal;
use refusal::Tally;
use shm::Shm;
use sock::Sock;

/// A device that cannot be opened or read is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Pulses are looked for this often, and what other programs say: the kernel and shared memory keep
/// only the newest.
const LOOK: Duration = Duration::from_millis(250);
/// A socket on which much is sent is looked at this often: few datagrams fit into it.
const LOOK_AT_BUSY: Duration = Duration::from_millis(25);
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
    /// What it says cannot be used, for another reason than the last time.
    Refused(Refusal),
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
    last_sample: Option<Timestamp<Raw>>,
    tally: Tally,
    /// What was last told to be refused.
    told_refusal: Option<&'static str>,
    failure: Option<String>,
    news: Vec<News>,
}

/// What is read.
#[derive(Debug)]
enum Device {
    Phc(Box<Hardware>),
    Pulse(Pulses),
    Sock(Sock),
    Shm(Shm),
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
            RefclockDevice::Sock(path) => Device::Sock(Sock::new(path.clone())),
            RefclockDevice::Shm(unit) => Device::Shm(Shm::new(*unit)),
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
            last_sample: None,
            tally: Tally::default(),
            told_refusal: None,
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
        let (old, new) = (&self.config.settings, &config.settings);
        match &mut self.device {
            Device::Pulse(pulses) if old.edge != new.edge => pulses.close(),
            Device::Sock(sock) if old.group != new.group => sock.admit(new.group.as_ref()),
            _ => {}
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

    /// What was refused, by kind, and the last of it.
    pub fn refused(&self) -> (impl Iterator<Item = (&'static str, u64)>, Option<Refusal>) {
        (self.tally.counts(), self.tally.last())
    }

    /// Why it has told no time in the last polls, in words; `None` where it has, or nobody knows.
    pub fn silence(&self, now: Timestamp<Raw>) -> Option<String> {
        if self.reach & 0b111 != 0 {
            return None;
        }
        if let Some(failure) = &self.failure {
            return Some(failure.clone());
        }
        let refused = self.tally.last().filter(|_| self.tally.in_force);
        match (self.last_sample, refused) {
            (Some(at), refused) => {
                let silent = (now - at).as_secs_f64();
                let why = refused.map_or(String::new(), |why| format!(": {why}"));
                Some(format!("no sample for {silent:.0} s{why}"))
            }
            (None, Some(why)) => Some(format!("nothing that can be used has come: {why}")),
            (None, None) => self.nothing_yet().map(str::to_owned),
        }
    }

    /// What may be missing where nothing has ever come.
    const fn nothing_yet(&self) -> Option<&'static str> {
        match self.device {
            Device::Phc(_) => None,
            Device::Pulse(_) => Some("no pulse has come"),
            Device::Sock(_) => Some(
                "nothing has come on this socket: gpsd looks for it when it starts, so start it \
                 after this daemon",
            ),
            Device::Shm(_) => Some(
                "nobody has written a sample: start gpsd as root and with -n, so that it reads the \
                 receiver though nobody asks",
            ),
        }
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
        match &mut self.device {
            // It does not stamp by the system clock.
            Device::Phc(_) => {}
            Device::Pulse(pulses) => pulses.restart(),
            Device::Sock(sock) => sock.restart(),
            Device::Shm(shm) => shm.restart(),
        }
    }

    /// Finds anew where a PTP hardware clock stands against the host's oscillator, which has lost count
    /// of time while the clock went on.
    pub fn restart_tracker(&mut self) {
        match &mut self.device {
            Device::Phc(hardware) => hardware.restart_tracker(),
            Device::Pulse(pulses) => pulses.restart_tracker(),
            Device::Sock(_) | Device::Shm(_) => {}
        }
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
            self.poll_ended(now);
        }
    }

    /// Time between readings.
    fn pace(&self) -> Duration {
        if self.failure.is_some() {
            return TRY_AGAIN;
        }
        match &self.device {
            Device::Phc(_) => {
                let each = i32::try_from(self.config.settings.filter).unwrap_or(1);
                (self.poll.interval() / each).max(SHORTEST_READING)
            }
            Device::Sock(sock) if sock.busy => LOOK_AT_BUSY,
            Device::Pulse(_) | Device::Sock(_) | Device::Shm(_) => LOOK,
        }
    }

    fn read(&mut self, clock: &dyn Clock, numbering: Numbering<'_>) {
        let settings = &self.config.settings;
        let tally = &mut self.tally;
        let found = match &mut self.device {
            Device::Phc(hardware) => hardware.read(settings, clock.timescale()),
            Device::Pulse(pulses) => pulses.look(settings, clock, numbering, tally),
            Device::Sock(sock) => sock.look(settings, clock, numbering, tally),
            Device::Shm(shm) => shm.look(settings, clock, numbering, tally),
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
        self.tell_of_refusal();
    }

    /// Passes on what is refused now and was not before.
    fn tell_of_refusal(&mut self) {
        let refusal = self.tally.last().filter(|_| self.tally.in_force);
        let Some(refusal) = refusal.filter(|refusal| !refusal.passes()) else {
            return;
        };
        if self.told_refusal.replace(refusal.key()) != Some(refusal.key()) {
            self.news.push(News::Refused(refusal));
        }
    }

    /// Makes a sample of the readings since the last one.
    fn poll_ended(&mut self, now: Timestamp<Raw>) {
        let before = self.reach;
        self.polls += 1;
        self.reach <<= 1;
        if let Some(batch) = typical(&self.points) {
            self.points.clear();
            let most = self.config.settings.max_dispersion;
            if most.is_some_and(|most| batch.spread > most) {
                self.tally.note(Refusal::Noisy(batch.spread));
                self.tell_of_refusal();
            } else {
                self.samples += 1;
                self.reach |= 1;
                self.last_sample = Some(now);
                self.tally.in_force = false;
                self.news.push(News::Sample(self.sample(&batch.point)));
            }
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
                stratum: self.config.settings.stratum,
                leap: point.leap,
                root_delay: self.config.settings.delay,
                root_dispersion: self.config.settings.precision.unwrap_or_default(),
                reference_id: self.config.reference_id().octets(),
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
    use clockwright_discipline::Leap;
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
                leap: Leap::Insert,
            })
            .collect();
        let now = raw_now();
        refclock.poll_ended(now);
        let news = refclock.take_news();
        let [News::Reachable(true), News::Sample(sample)] = &news[..] else {
            panic!("{news:?}");
        };
        assert_eq!(sample.offset, utc.offset());
        assert_eq!(sample.delay, Duration::from_nanos(100));
        assert_eq!(sample.upstream.reference_id, *b"PPS\0");
        assert_eq!(sample.upstream.stratum, 0);
        assert_eq!(sample.upstream.leap, Leap::Insert);
        assert_eq!(refclock.silence(now), None);
        for _ in 0..7 {
            refclock.poll_ended(now);
        }
        assert_eq!(
            refclock.silence(now + Duration::from_secs(12)).as_deref(),
            Some("no sample for 12 s")
        );
        assert_eq!((refclock.reach(), refclock.take_news()), (0x80, vec![]));
        refclock.poll_ended(now);
        assert_eq!(refclock.take_news(), [News::Reachable(false)]);
        assert_eq!(refclock.counts(), (9, 1));
    }

    /// Readings a second apart that scatter by `spread`.
    fn scattered(at: Timestamp<Raw>, spread: Duration) -> Vec<Point> {
        let point = |n: i64| Point {
            at: at + Duration::from_secs(n),
            offset: if n % 2 == 0 { spread } else { -spread },
            half_width: Duration::ZERO,
            error: Duration::ZERO,
            leap: Leap::None,
        };
        (0..8).map(point).collect()
    }

    #[test]
    fn readings_that_scatter_too_much_make_no_sample() {
        let mut refclock = refclock("sock = '/tmp/none.sock'\nmax_dispersion = '1ms'");
        let now = raw_now();
        refclock.points = scattered(now, Duration::from_micros(300));
        refclock.poll_ended(now);
        assert_eq!(refclock.counts(), (1, 1));
        for _ in 0..3 {
            refclock.points = scattered(now, Duration::from_millis(3));
            refclock.poll_ended(now);
        }
        assert_eq!(refclock.counts(), (4, 1));
        let told = refclock.take_news();
        let refused = told.iter().filter(|n| matches!(n, News::Refused(_)));
        assert_eq!(refused.count(), 1, "{told:?}");
        assert!(refclock.refused().0.eq([("noisy", 3)]));
        let silence = refclock.silence(now + Duration::from_secs(3)).unwrap();
        assert!(
            silence.contains("no sample for 3 s: readings scattered"),
            "{silence}"
        );
    }

    #[test]
    fn what_is_configured_of_a_clock_goes_into_its_samples() {
        let text = "shm = 250\ndelay = '20ms'\nstratum = 3\nprecision = '1ms'\nrefid = 'GPS'";
        let mut refclock = refclock(text);
        refclock.points = scattered(raw_now(), Duration::ZERO);
        refclock.poll_ended(raw_now());
        let news = refclock.take_news();
        let Some(News::Sample(sample)) = news.last() else {
            panic!("{news:?}");
        };
        let upstream = Upstream {
            stratum: 3,
            leap: Leap::None,
            root_delay: Duration::from_millis(20),
            root_dispersion: Duration::from_millis(1),
            reference_id: *b"GPS\0",
        };
        assert_eq!(sample.upstream, upstream);
    }
}
