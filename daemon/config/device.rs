//! Clocks, interfaces and reference identifiers as people write them.

use std::fmt;
use std::str::FromStr;

use clockwright_phc::Selector;

use super::address::Host;

/// Longest name of an interface (`IFNAMSIZ` less the terminating zero).
const LONGEST_INTERFACE: usize = 15;

/// Longest name of a clock: twice what the kernel keeps of one (`PTP_CLOCK_NAME_LEN`).
const LONGEST_CLOCK: usize = 64;

/// A PTP hardware clock as configured: its device (`/dev/ptp0`), an interface whose packets it
/// stamps (`eth0`), or its driver's name (`KVM virtual PTP`). Whether there is such a clock is
/// found out where it is opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhcName(String);

impl PhcName {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What to open. A name is looked up among the interfaces that there are now, so it is asked
    /// for each time the clock is opened.
    pub fn selector(&self) -> Selector {
        match self.0.parse() {
            Ok(selector) => selector,
        }
    }
}

impl FromStr for PhcName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the name is empty".to_owned());
        }
        if text.chars().any(char::is_control) || text.trim() != text {
            let shown = text.escape_debug();
            return Err(format!("`{shown}` cannot be the name of a clock"));
        }
        if text.len() > LONGEST_CLOCK {
            return Err(format!("`{text}` is longer than any clock's name"));
        }
        if !text.starts_with('/') && text.contains('/') {
            return Err(format!("`{text}` is not an absolute path"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PhcName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Interfaces: a name, in which each `*` stands for any characters, also none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfacePattern(String);

impl InterfacePattern {
    /// All interfaces.
    pub fn every() -> Self {
        Self("*".to_owned())
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is `name` one of these interfaces?
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return name == self.0;
        };
        let Some(mut left) = name.strip_prefix(head) else {
            return false;
        };
        // The first place that fits a piece leaves most for those after it; the last piece must
        // be at the end.
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        for piece in middle.split('*') {
            match left.split_once(piece) {
                Some((_, after)) => left = after,
                None => return false,
            }
        }
        left.ends_with(tail)
    }
}

impl FromStr for InterfacePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = text.escape_debug();
        if text.is_empty() {
            return Err("the name is empty".to_owned());
        }
        // What the kernel refuses in a name (dev_valid_name), and what is not worth guessing at.
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
        if text.contains(odd) || text == "." || text == ".." {
            return Err(format!("`{shown}` cannot be the name of an interface"));
        }
        if text
            .chars()
            .filter(|c| *c != '*')
            .map(char::len_utf8)
            .sum::<usize>()
            > LONGEST_INTERFACE
        {
            return Err(format!(
                "`{shown}` is longer than the {LONGEST_INTERFACE} characters of an interface's name"
            ));
        }
        if text.contains(['?', '[']) {
            return Err(format!("in `{shown}` only * stands for other characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Longest path of a socket (`sun_path` less the terminating zero).
pub(super) const LONGEST_SOCKET: usize = 107;

/// The label of another source: its `server`, `pool`, `phc` or `sock`, or `shm 0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceLabel(String);

impl SourceLabel {
    /// As [`Source::label`](super::Source::label) writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SourceLabel {
    type Err = String;

    /// Hosts in any notation, as [`Host`] reads them; anything else must be a clock's name or the path
    /// of a socket.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(host) = text.parse::<Host>() {
            return Ok(Self(host.to_string()));
        }
        let is_path = text.starts_with('/') && !text.chars().any(char::is_control);
        if is_path && text.len() <= LONGEST_SOCKET {
            return Ok(Self(text.to_owned()));
        }
        text.parse::<PhcName>().map(|name| Self(name.0))
    }
}

/// What this host tells others that it follows, where that is a reference clock: one to four
/// printable ASCII characters (RFC 5905 section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName([u8; 4]);

impl RefName {
    /// The default of a PTP hardware clock.
    pub const PHC: Self = Self(*b"PHC\0");
    /// The default of a pulse per second.
    pub const PPS: Self = Self(*b"PPS\0");
    /// The default of a socket.
    pub const SOCK: Self = Self(*b"SOCK");
    /// The default of shared memory.
    pub const SHM: Self = Self(*b"SHM\0");

    /// As NTP carries it: from the left, the rest zero.
    pub const fn octets(self) -> [u8; 4] {
        self.0
    }
}

impl FromStr for RefName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(format!(
                "`{}` is not one to four printable ASCII characters",
                text.escape_debug()
            ));
        }
        let mut octets = [0; 4];
        for (to, from) in octets.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Ok(Self(octets))
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().position(|octet| *octet == 0).unwrap_or(4);
        for octet in self.0.iter().take(end) {
            write!(f, "{}", char::from(*octet))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, matches) in [
            ("*", "eth0", true),
            ("eth0", "eth0", true),
            ("eth0", "eth01", false),
            ("eth*", "eth", true),
            ("eth*", "enp1", false),
            ("enp*s0f*", "enp129s0f1np1", true),
            ("enp*s0f*", "enp129s1f1", false),
            ("*np1", "enp1s0np1", true),
            ("e*0*0", "eth0", false),
            ("e*0*0", "eth00", true),
            ("a*a", "a", false),
            ("**", "x", true),
        ] {
            let parsed: InterfacePattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "eth 0",
            "a/b",
            "..",
            "sixteen-letters0",
            "eth?",
            "eth[01]",
            "a\u{1b}",
        ] {
            assert!(text.parse::<InterfacePattern>().is_err(), "{text:?}");
        }
        for text in ["", " x", "dev/ptp0", "a\nb", &"x".repeat(65)] {
            assert!(text.parse::<PhcName>().is_err(), "{text:?}");
        }
        for text in ["", "GPSPS", "a b", "é"] {
            assert!(text.parse::<RefName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn clocks_in_every_notation() {
        let open = |text: &str| text.parse::<PhcName>().unwrap().selector();
        assert_eq!(open("/dev/ptp0"), Selector::Path("/dev/ptp0".into()));
        assert_eq!(open("lo"), Selector::Interface("lo".into()));
        assert_eq!(
            open("KVM virtual PTP"),
            Selector::Name("KVM virtual PTP".into())
        );
    }

    #[test]
    fn reference_names_fill_four_octets() {
        let gps: RefName = "GPS".parse().unwrap();
        assert_eq!(
            (gps.octets(), gps.to_string()),
            (*b"GPS\0", "GPS".to_owned())
        );
        assert_eq!("GNSS".parse::<RefName>().unwrap().to_string(), "GNSS");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), name in any::<String>()) {
            let _ = (text.parse::<PhcName>(), text.parse::<RefName>());
            if let Ok(pattern) = text.parse::<InterfacePattern>() {
                let _ = pattern.matches(&name);
            }
        }

        #[test]
        fn a_piece_replaced_by_a_star_still_matches(
            name in "[a-z0-9]{1,15}", from in 0_usize..15, to in 0_usize..15,
        ) {
            let (from, to) = (from.min(to).min(name.len()), from.max(to).min(name.len()));
            let (head, tail) = (name.get(..from).unwrap(), name.get(to..).unwrap());
            let pattern: InterfacePattern = format!("{head}*{tail}").parse().unwrap();
            prop_assert!(pattern.matches(&name));
        }
    }
}
