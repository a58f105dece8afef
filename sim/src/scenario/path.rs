//! What a scenario says of a network path.

use serde::{Deserialize, Serialize};

use super::{Span, Trouble, not_negative, part};

/// A network path. Both ways are alike, but for the asymmetry and for what `there` and `back` say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PathScenario {
    /// Least delay of one way, s.
    pub delay_s: f64,
    /// What is added to it at random: the deviation (`normal`) or the mean (`exponential`), s.
    pub jitter_s: f64,
    /// How.
    pub distribution: Distribution,
    /// Part of the packets that are delayed at random; the others take the least delay.
    pub queued: f64,
    /// Part of the time that cross traffic keeps the link busy, 0 to 0.99: packets wait behind it.
    pub load: f64,
    /// How long the link is busy with one burst of that traffic, on average, s.
    pub service_s: f64,
    /// Part of the packets that are lost.
    pub loss: f64,
    /// By how much the way there is longer than half of both, s.
    pub asymmetry_s: f64,
    /// What is different on the way to the server.
    pub there: WayScenario,
    /// What is different on the way back.
    pub back: WayScenario,
    /// Other routes that the packets take later.
    pub route: Vec<RouteChange>,
    /// Attackers who hold packets up.
    pub attack: Vec<Attack>,
    /// Times at which everything is lost, at random.
    pub loss_burst: Option<LossBurst>,
}

impl Default for PathScenario {
    fn default() -> Self {
        Self {
            delay_s: 100e-6,
            jitter_s: 10e-6,
            distribution: Distribution::Exponential,
            queued: 1.0,
            load: 0.0,
            service_s: 12e-6,
            loss: 0.0,
            asymmetry_s: 0.0,
            there: WayScenario::default(),
            back: WayScenario::default(),
            route: Vec::new(),
            attack: Vec::new(),
            loss_burst: None,
        }
    }
}

/// What is different on one way: each key instead of the path's of the same name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WayScenario {
    /// Least delay, s; the path's asymmetry is not added to it.
    pub delay_s: Option<f64>,
    /// Deviation or mean of the random part, s.
    pub jitter_s: Option<f64>,
    /// How it is distributed.
    pub distribution: Option<Distribution>,
    /// Part of the packets that it is added to.
    pub queued: Option<f64>,
    /// Part of the time that cross traffic keeps the link busy.
    pub load: Option<f64>,
    /// How long a burst of it does, on average, s.
    pub service_s: Option<f64>,
    /// Part of the packets that are lost.
    pub loss: Option<f64>,
}

/// From an instant on, both ways have other least delays.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteChange {
    /// When, s.
    pub at_s: f64,
    /// Least delay to the server, s.
    pub delay_there_s: f64,
    /// Least delay back, s.
    pub delay_back_s: f64,
}

/// Somebody holds all packets of one way up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// From when on, s.
    #[serde(default)]
    pub from_s: f64,
    /// Until when, s; to the end if not given.
    #[serde(default)]
    pub until_s: Option<f64>,
    /// Which way.
    pub way: Way,
    /// By how much at first, s.
    #[serde(default)]
    pub delay_s: f64,
    /// By how much more with each second, s/s.
    #[serde(default)]
    pub growth: f64,
}

impl Attack {
    /// How long a packet is held up that leaves at `at_s`, s.
    pub(crate) fn delay_at(&self, at_s: f64) -> f64 {
        let on = at_s >= self.from_s && self.until_s.is_none_or(|until_s| at_s < until_s);
        if on {
            (self.delay_s + self.growth * (at_s - self.from_s)).max(0.0)
        } else {
            0.0
        }
    }
}

/// Bursts in which all packets are lost, both ways. Their times and lengths are exponential.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossBurst {
    /// Time between two of them, on average, s.
    pub every_s: f64,
    /// Their length, on average, s.
    pub length_s: f64,
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// To the server.
    There,
    /// To the host.
    Back,
}

/// How a delay varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Both ways about the least delay, as with jitter of stamps.
    Normal,
    /// Only more than the least delay, as with queues.
    Exponential,
    /// The same with a heavy tail: Lomax's of exponent 1.5, whose mean is `jitter_s` and whose variance is
    /// infinite, as with bursts of all lengths.
    Pareto,
}

/// All that holds for one way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct OneWay {
    pub(crate) delay_s: f64,
    pub(crate) jitter_s: f64,
    pub(crate) distribution: Distribution,
    pub(crate) queued: f64,
    pub(crate) load: f64,
    pub(crate) service_s: f64,
    pub(crate) loss: f64,
}

impl OneWay {
    /// Variance of the delay, s²: E[x²] − E[x]² of variables that are 0 but for a part q.
    fn variance(&self) -> f64 {
        let part_exponential = |q: f64, mean_s: f64| mean_s * mean_s * (2.0 * q - q * q);
        let jitter = match self.distribution {
            Distribution::Normal => self.jitter_s * self.jitter_s * self.queued,
            Distribution::Exponential => part_exponential(self.queued, self.jitter_s),
            Distribution::Pareto if self.jitter_s > 0.0 => f64::INFINITY,
            Distribution::Pareto => 0.0,
        };
        jitter + part_exponential(self.load, self.service_s / (1.0 - self.load))
    }
}

impl PathScenario {
    /// All that holds for one way at first.
    pub(crate) fn one_way(&self, way: Way) -> OneWay {
        let (own, asymmetry_s) = match way {
            Way::There => (&self.there, self.asymmetry_s),
            Way::Back => (&self.back, -self.asymmetry_s),
        };
        OneWay {
            delay_s: own.delay_s.unwrap_or(self.delay_s + asymmetry_s),
            jitter_s: own.jitter_s.unwrap_or(self.jitter_s),
            distribution: own.distribution.unwrap_or(self.distribution),
            queued: own.queued.unwrap_or(self.queued),
            load: own.load.unwrap_or(self.load),
            service_s: own.service_s.unwrap_or(self.service_s),
            loss: own.loss.unwrap_or(self.loss),
        }
    }

    /// The RMS error of one offset measured over this path, its mean aside, s.
    pub(crate) fn offset_noise_s(&self) -> f64 {
        let variance = |way| self.one_way(way).variance();
        (variance(Way::There) + variance(Way::Back)).sqrt() / 2.0
    }

    pub(super) fn check(&self) -> Result<(), Trouble> {
        not_negative("delay_s", self.delay_s)?;
        if self.asymmetry_s.abs() > self.delay_s || self.asymmetry_s.is_nan() {
            return Err(Trouble::value("asymmetry_s", "at most delay_s"));
        }
        for way in [Way::There, Way::Back] {
            let way = self.one_way(way);
            not_negative("delay_s", way.delay_s)?;
            not_negative("jitter_s", way.jitter_s)?;
            part("queued", way.queued)?;
            part("loss", way.loss)?;
            if !(0.0..=0.99).contains(&way.load) {
                return Err(Trouble::value("load", "between 0 and 0.99"));
            }
            if !(1e-9..=10.0).contains(&way.service_s) {
                return Err(Trouble::value("service_s", "between 1e-9 and 10"));
            }
        }
        for route in &self.route {
            not_negative("route.at_s", route.at_s)?;
            not_negative("route.delay_there_s", route.delay_there_s)?;
            not_negative("route.delay_back_s", route.delay_back_s)?;
        }
        for attack in &self.attack {
            let until_s = attack.until_s.unwrap_or(f64::INFINITY);
            let span = Span {
                from_s: attack.from_s,
                until_s,
            };
            span.check("attack.until_s")?;
            not_negative("attack.delay_s", attack.delay_s)?;
            if !(-1.0..=1.0).contains(&attack.growth) {
                return Err(Trouble::value("attack.growth", "between -1 and 1"));
            }
        }
        if let Some(burst) = self.loss_burst
            && !(burst.every_s > 0.0 && burst.length_s > 0.0)
        {
            return Err(Trouble::value("loss_burst", "two positive numbers"));
        }
        Ok(())
    }
}
