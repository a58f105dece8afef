//! The cookie keys of a server that has its own, and when the next one takes over.

use clockwright_ntp::Entropy;
use clockwright_ntp::nts::{CookieKey, CookieKeys};
use clockwright_timebase::{Duration, Raw, Timestamp};

/// Former keys that still open cookies. A client that asks once in a rotation never meets a key
/// that is forgotten.
const PREVIOUS: usize = 2;
/// After so many rotations every key is another.
const ALL: usize = PREVIOUS + 2;

/// Keys, and how long the current one has been that.
///
/// The age is counted by the clock that nobody sets, and by the host's only while the daemon did
/// not run: a clock that is set can neither wear all keys out at once nor make one last for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyring {
    /// Seals cookies after the next rotation. It is on the disk long before, so that no cookie is
    /// lost with a power failure.
    pub(super) next: CookieKey,
    /// Seals cookies.
    pub(super) current: CookieKey,
    /// Open cookies; the latest comes first.
    pub(super) previous: Vec<CookieKey>,
    /// When the current key became that; by this boot's clock, hence perhaps before it began.
    since: Timestamp<Raw>,
}

impl Keyring {
    /// New keys.
    pub(super) fn new(now: Timestamp<Raw>, entropy: &mut dyn Entropy) -> Self {
        Self {
            next: CookieKey::random(entropy),
            current: CookieKey::random(entropy),
            previous: Vec::new(),
            since: now,
        }
    }

    /// Keys of an earlier run: `keys` are the next one, the current one, and former ones, the latest
    /// first; the current one has been that for `age`. `None` if there are not at least the two.
    pub(super) fn resume(
        keys: impl IntoIterator<Item = CookieKey>,
        age: Duration,
        now: Timestamp<Raw>,
    ) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self {
            next: keys.next()?,
            current: keys.next()?,
            previous: keys.take(PREVIOUS).collect(),
            since: now - age,
        })
    }

    /// How long the current key has been that.
    pub(super) fn age(&self, now: Timestamp<Raw>) -> Duration {
        now - self.since
    }

    /// When the next key takes over, if one does `every` so often.
    pub(super) fn due(&self, every: Duration) -> Timestamp<Raw> {
        self.since + every
    }

    /// Rotates as often as is due by now; true if that was at least once.
    pub(super) fn handle_time(
        &mut self,
        now: Timestamp<Raw>,
        every: Duration,
        entropy: &mut dyn Entropy,
    ) -> bool {
        let mut rotated = false;
        for _ in 0..ALL {
            if self.due(every) > now {
                return rotated;
            }
            self.since += every;
            self.rotate(entropy);
            rotated = true;
        }
        if self.due(every) <= now {
            self.since = now;
        }
        rotated
    }

    fn rotate(&mut self, entropy: &mut dyn Entropy) {
        let next = std::mem::replace(&mut self.next, CookieKey::random(entropy));
        let former = std::mem::replace(&mut self.current, next);
        self.previous.insert(0, former);
        self.previous.truncate(PREVIOUS);
    }

    /// The next, the current and the former keys, as [`Keyring::resume`] takes them.
    pub(super) fn all(&self) -> impl Iterator<Item = &CookieKey> {
        [&self.next, &self.current]
            .into_iter()
            .chain(&self.previous)
    }

    /// What cookies are made and opened with.
    pub(super) fn cookie_keys(&self) -> CookieKeys {
        let others = self.previous.iter().chain([&self.next]);
        CookieKeys {
            sealing: self.current.clone(),
            others: others.cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::OsEntropy;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(secs: i64) -> Timestamp<Raw> {
        Timestamp::from_timespec(secs, 0)
    }

    fn ids(keyring: &Keyring) -> Vec<u32> {
        keyring.all().map(CookieKey::id).collect()
    }

    #[test]
    fn keys_move_on_one_place_a_day() {
        let mut entropy = OsEntropy::new();
        let mut keyring = Keyring::new(at(0), &mut entropy);
        let [next, current] = ids(&keyring)[..] else {
            panic!("{keyring:?}");
        };
        assert!(!keyring.handle_time(at(86_399), DAY, &mut entropy));
        assert!(keyring.handle_time(at(86_400), DAY, &mut entropy));
        assert!(!keyring.handle_time(at(86_400), DAY, &mut entropy));
        assert_eq!(ids(&keyring)[1..], [next, current]);
        let fresh = ids(&keyring)[0];
        // Late by an hour: the next is due as if it had not been.
        assert!(keyring.handle_time(at(2 * 86_400 + 3600), DAY, &mut entropy));
        assert_eq!(ids(&keyring)[1..], [fresh, next, current]);
        assert_eq!(keyring.due(DAY), at(3 * 86_400));
        assert!(keyring.handle_time(at(3 * 86_400), DAY, &mut entropy));
        let all = ids(&keyring);
        assert_eq!(all.len(), 4);
        assert_eq!(all[2..], [fresh, next]);
    }

    #[test]
    fn the_current_key_seals_and_all_open() {
        let mut entropy = OsEntropy::new();
        let mut keyring = Keyring::new(at(0), &mut entropy);
        keyring.handle_time(at(2 * 86_400), DAY, &mut entropy);
        let keys = keyring.cookie_keys();
        assert_eq!(keys.sealing, keyring.current);
        assert_eq!(keys.others.len(), 3);
        for key in keyring.all().filter(|key| **key != keyring.current) {
            assert!(keys.others.contains(key));
        }
    }

    #[test]
    fn what_was_due_while_nobody_ran_is_made_up_for() {
        let mut entropy = OsEntropy::new();
        let before = Keyring::new(at(0), &mut entropy);
        let resumed = |age| {
            let keys = before.all().cloned();
            let mut keyring = Keyring::resume(keys, age, at(50)).unwrap();
            keyring.handle_time(at(50), DAY, &mut OsEntropy::new());
            keyring
        };
        let same = resumed(Duration::from_secs(80_000));
        assert_eq!(ids(&same), ids(&before));
        assert_eq!(same.due(DAY), at(50 + 6400));
        let once = resumed(Duration::from_secs(90_000));
        assert_eq!(ids(&once)[1..], ids(&before));
        assert_eq!(once.due(DAY), at(50 + 2 * 86_400 - 90_000));
        let three = resumed(Duration::from_secs(3 * 86_400));
        assert_eq!(ids(&three)[3], before.next.id());
        // After fifty years no key of then is left, and the work is bounded.
        let none = resumed(Duration::from_secs(50 * 365 * 86_400));
        assert!(ids(&none).iter().all(|id| !ids(&before).contains(id)));
        assert_eq!(none.due(DAY), at(50 + 86_400));
    }

    #[test]
    fn two_keys_are_the_least_to_go_on_with() {
        let mut entropy = OsEntropy::new();
        let mut keys: Vec<_> = (0..6).map(|_| CookieKey::random(&mut entropy)).collect();
        let resumed = Keyring::resume(keys.clone(), Duration::ZERO, at(0)).unwrap();
        assert_eq!(resumed.previous, keys[2..4]);
        keys.truncate(1);
        assert!(Keyring::resume(keys, Duration::ZERO, at(0)).is_none());
    }
}
