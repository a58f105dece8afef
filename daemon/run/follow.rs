//! PTP hardware clocks that are kept equal to what this host knows of UTC or TAI.

use std::path::Path;

use clockwright_discipline::Loop;
use clockwright_phc::{PhcError, Steered, Taken, Tracked};
use clockwright_sys::adjust::{self, AdjustError};
use clockwright_sys::clock::raw_now;
use clockwright_timebase::{Duration, Phc, Raw, Timestamp};
use tracing::{info, warn};

use super::daemon::Daemon;
use super::limiter::Limiter;
use crate::clock::ahead_of_utc;
use crate::config::{FollowChanges, FollowConfig, Timescale};
use crate::control::ClockName;
use crate::output::si::signed;

/// A clock that cannot be opened or read is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// A clock whose frequency is not known yet is read again this soon.
const READ_AGAIN: Duration = Duration::from_millis(20);

/// What is known of UTC, on the host's oscillator.
#[derive(Debug, Clone, Copy)]
struct Target {
    /// UTC − raw at `at`.
    ahead: Duration,
    at: Timestamp<Raw>,
    /// Rate of UTC minus rate of raw, s/s.
    frequency: f64,
}

impl Target {
    /// UTC at `at`, less `at`.
    fn ahead_at(&self, at: Timestamp<Raw>) -> Duration {
        self.ahead + (at - self.at).scaled(self.frequency)
    }
}

/// A clock that follows.
#[derive(Debug)]
pub(super) struct Follower {
    config: FollowConfig,
    open: Option<Opened>,
    due: Timestamp<Raw>,
    /// Why it cannot follow, as last logged.
    trouble: Option<String>,
}

/// An open clock, and what is done to it.
#[derive(Debug)]
struct Opened {
    clock: Steered,
    pi: Loop,
    /// Has it been told that it follows?
    announced: bool,
}

/// Something to be logged.
enum Event {
    Follows(String),
    Stepped(Duration),
    SetByAnother(Duration),
}

impl Follower {
    fn new(config: FollowConfig, now: Timestamp<Raw>) -> Self {
        Self {
            config,
            open: None,
            due: now,
            trouble: None,
        }
    }

    /// When it has something to do, by the host.
    fn next_timeout(&self) -> Timestamp<Raw> {
        let ends = self.open.as_ref().and_then(|open| open.pi.ends());
        ends.map_or(self.due, |ends| ends.min(self.due))
    }

    /// Does what is due.
    fn handle_timeout(
        &mut self,
        target: Option<Target>,
        disciplined: &ClockName,
    ) -> Result<Option<Event>, String> {
        let now = raw_now();
        if let Some(open) = &mut self.open {
            open.expire(now).map_err(|error| error.to_string())?;
        }
        if self.due > now {
            return Ok(None);
        }
        let interval = self.config.settings.interval.interval();
        self.due = (self.due + interval).max(now + interval.half());
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Opened::open(&self.config, disciplined)?,
        };
        let taken = open.clock.tracked_mut().refresh(now, Duration::ZERO);
        let taken = taken.map_err(|error| error.to_string())?;
        let event = match (taken, target) {
            (Some(Taken::Jumped { by }), _) => Some(Event::SetByAnother(by)),
            // Before it is corrected, its frequency is to be known.
            _ if !open.is_known() => {
                self.due = now + READ_AGAIN;
                None
            }
            (_, Some(target)) => open.correct(&self.config, &target)?,
            (_, None) => None,
        };
        self.open = Some(open);
        Ok(event)
    }

    /// Ends the correction under way; the frequency stays.
    fn stop(&mut self) {
        if let Some(open) = &mut self.open
            && let Some(end) = open.pi.ends()
        {
            // Nothing can be done about a clock that refuses, and the process is about to end.
            let _ = open.expire(end);
        }
    }
}

impl Opened {
    fn open(config: &FollowConfig, disciplined: &ClockName) -> Result<Self, String> {
        let words = |error: PhcError| error.to_string();
        let tracked = Tracked::open_to_change(&config.clock.selector()).map_err(words)?;
        if is_same(tracked.path(), disciplined) {
            let path = tracked.path().display();
            return Err(format!("{path} is the clock that is disciplined: it leads"));
        }
        let id = tracked.clock().id();
        let id = id.ok_or_else(|| "nobody in this machine can steer it".to_owned())?;
        let state = adjust::read(id).map_err(|error| error.to_string())?;
        let clock = Steered::new(tracked, id, state.rate).map_err(words)?;
        if clock.largest() == 0.0 {
            return Err(format!(
                "{}: its driver cannot steer it",
                clock.tracked().path().display()
            ));
        }
        Ok(Self {
            pi: Loop::new(0.0, clock.largest()),
            clock,
            announced: false,
        })
    }

    /// Is its frequency known well enough to correct it?
    fn is_known(&self) -> bool {
        let tracker = self.clock.tracked().tracker();
        tracker.status().readings > 1 && !tracker.is_unsettled()
    }

    /// Compares it with what it should show, and corrects it.
    fn correct(&mut self, config: &FollowConfig, target: &Target) -> Result<Option<Event>, String> {
        let settings = &config.settings;
        let now = raw_now();
        let Some((shown, bound)) = self.clock.tracked().tracker().time_at(now) else {
            return Ok(None);
        };
        let scale = ahead_of_utc(settings.timescale);
        let wanted: Timestamp<Phc> = now.shifted_to(target.ahead_at(now) + scale + settings.offset);
        let missing = wanted - shown;
        let stepped = missing.abs() > settings.step + bound;
        if stepped {
            self.clock.step(missing).map_err(|error| explain(&error))?;
        }
        let offset_s = if stepped { 0.0 } else { missing.as_secs_f64() };
        let interval_s = settings.interval.as_secs_f64();
        let correction = self.pi.correct(now, offset_s, target.frequency, interval_s);
        self.clock
            .set_rate(correction.frequency)
            .map_err(|error| explain(&error))?;
        if stepped {
            return Ok(Some(Event::Stepped(missing)));
        }
        let first = !std::mem::replace(&mut self.announced, true);
        Ok(first.then(|| Event::Follows(self.clock.tracked().path().display().to_string())))
    }

    /// Ends the proportional part of a correction whose time has come.
    fn expire(&mut self, now: Timestamp<Raw>) -> Result<(), AdjustError> {
        match self.pi.expire(now) {
            Some(rest) => self.clock.set_rate(rest.frequency),
            None => Ok(()),
        }
    }
}

/// Is the device at `path` the disciplined clock, be it by another name?
fn is_same(path: &Path, disciplined: &ClockName) -> bool {
    let ClockName::Phc(other) = disciplined else {
        return false;
    };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(path) == real(Path::new(other))
}

/// An error in words, with what to look for.
fn explain(error: &AdjustError) -> String {
    match error {
        AdjustError::Kernel(kernel) if kernel.kind() == std::io::ErrorKind::ResourceBusy => {
            "it has virtual clocks, and runs freely as long as it has; write 0 to n_vclocks of it \
             in /sys/class/ptp"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// All clocks that follow.
#[derive(Debug, Default)]
pub(super) struct Followers {
    list: Vec<Follower>,
}

impl Followers {
    /// Those configured.
    pub(super) fn new(configs: &[FollowConfig]) -> Self {
        let now = raw_now();
        let list = configs.iter().cloned();
        Self {
            list: list.map(|config| Follower::new(config, now)).collect(),
        }
    }

    /// When the next one has something to do, by the host.
    pub(super) fn next_timeout(&self) -> Option<Timestamp<Raw>> {
        self.list.iter().map(Follower::next_timeout).min()
    }

    /// Takes over a changed configuration.
    pub(super) fn reconfigure(&mut self, changes: &FollowChanges) {
        let now = raw_now();
        self.list.retain_mut(|follower| {
            let stays = !changes.removed.contains(&follower.config.clock);
            if !stays {
                follower.stop();
            }
            stays
        });
        for config in &changes.altered {
            for follower in &mut self.list {
                if follower.config.clock == config.clock {
                    follower.config = config.clone();
                    follower.due = now;
                }
            }
        }
        let added = changes.added.iter().cloned();
        self.list
            .extend(added.map(|config| Follower::new(config, now)));
    }

    /// The host's oscillator has lost count of time: where the clocks stand against it is found anew,
    /// and no other program is blamed for the difference.
    pub(super) fn restart_trackers(&mut self) {
        let now = raw_now();
        for follower in &mut self.list {
            if let Some(open) = &mut follower.open {
                open.clock.tracked_mut().tracker_mut().restart();
                follower.due = now;
            }
        }
    }

    /// Ends the corrections under way.
    pub(super) fn stop(&mut self) {
        self.list.iter_mut().for_each(Follower::stop);
    }
}

impl Daemon {
    /// Corrects the clocks that follow, where it is time to.
    pub(super) fn handle_followers(&mut self) {
        let now = raw_now();
        if self.followers.next_timeout().is_none_or(|due| due > now) {
            return;
        }
        let target = self.target();
        let disciplined = self.clock.name();
        for follower in &mut self.followers.list {
            if follower.next_timeout() <= now {
                let outcome = follower.handle_timeout(target, &disciplined);
                if let (Ok(Some(Event::Stepped(_))), Some(open)) = (&outcome, &follower.open) {
                    let interfaces = &mut self.instruments.interfaces;
                    interfaces.clock_was_set(open.clock.tracked().path());
                }
                report(follower, outcome, &mut self.limiter);
            }
        }
    }

    /// What is known of UTC; `None` until the clock is synchronised.
    fn target(&self) -> Option<Target> {
        let reading = self.reading();
        let status = self.discipline.status(reading);
        if !status.synchronized {
            return None;
        }
        let timescale = self.clock.timescale();
        // What the clock shows cancels out: the estimate is of UTC against the oscillator.
        let utc = reading.clock + Duration::from_secs_f64(status.offset_s);
        let host = timescale.host_at(reading.raw);
        let drift = timescale.drift();
        Some(Target {
            ahead: utc.since_epoch() - host.since_epoch(),
            at: host,
            frequency: status.frequency + drift + status.frequency * drift,
        })
    }
}

fn report(follower: &mut Follower, outcome: Result<Option<Event>, String>, limiter: &mut Limiter) {
    let now = raw_now();
    let name = follower.config.clock.as_str();
    let event = match outcome {
        Ok(event) => event,
        Err(why) => {
            follower.due = now + TRY_AGAIN;
            follower.open = None;
            if follower.trouble.as_ref() != Some(&why)
                && let Some(leave) = limiter.leave("follow", now)
            {
                warn!("{name} cannot follow: {why}{leave}");
            }
            follower.trouble = Some(why);
            return;
        }
    };
    let Some(event) = event else {
        return;
    };
    follower.trouble = None;
    let scale = match follower.config.settings.timescale {
        Timescale::Tai => "TAI",
        Timescale::Utc => "UTC",
    };
    let Some(leave) = limiter.leave("follow", now) else {
        return;
    };
    match event {
        Event::Follows(path) if path == name => info!("{name} follows {scale}{leave}"),
        Event::Follows(path) => info!("{name} ({path}) follows {scale}{leave}"),
        Event::Stepped(by) => {
            let by = signed(by.as_secs_f64());
            info!("{name} was stepped by {by}, to {scale}{leave}");
        }
        Event::SetByAnother(by) => {
            let by = signed(by.as_secs_f64());
            warn!(
                "{name}: another program has set this clock by {by}. Two programs must not steer \
                 one clock: look for ptp4l, phc2sys or ts2phc{leave}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_moves_on_with_utc() {
        let target = Target {
            ahead: Duration::from_secs(1_800_000_000),
            at: Timestamp::from_timespec(1_000, 0),
            frequency: 50e-6,
        };
        let later = target.at + Duration::from_secs(10);
        let gained = target.ahead_at(later) - target.ahead;
        assert!((gained.as_secs_f64() - 500e-6).abs() < 1e-12);
    }

    #[test]
    fn the_disciplined_clock_is_known_by_any_name() {
        let link = std::env::temp_dir().join(format!("follow-{}", std::process::id()));
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let leads = ClockName::Phc("/dev/null".to_owned());
        assert!(is_same(&link, &leads));
        assert!(is_same(Path::new("/dev/null"), &leads));
        assert!(!is_same(Path::new("/dev/zero"), &leads));
        assert!(!is_same(Path::new("/dev/null"), &ClockName::System));
        std::fs::remove_file(link).unwrap();
    }
}
