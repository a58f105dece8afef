//! `[timestamping]`: which interfaces stamp packets in hardware, and how.

use clockwright_timebase::Duration;
use toml::Spanned;
use toml::de::DeValue;

use super::device::{InterfacePattern, PhcName};
use super::section::{Key, Reader, Value, Wrong, section};
use super::tables;
use super::value::choice;

section! {
    /// Where packets get their timestamps.
    pub struct TimestampingConfig {
        /// The interfaces that stamp in hardware as far as they can; all others are left as they
        /// are, and the kernel stamps their packets.
        "interfaces" => interfaces: Vec<InterfacePattern> = vec![InterfacePattern::every()];
        /// When NTP travels in PTP messages (RFC 10030).
        "ptp_transport" => ptp_transport: PtpTransport = PtpTransport::Auto;
        /// The PTP domain of those messages.
        "ptp_domain" => ptp_domain: u8 = 123;
        /// Which received packets interfaces are asked to stamp.
        "rx_filter" => rx_filter: RxFilterChoice = RxFilterChoice::Auto;
        /// What is different for some interfaces.
        "interface" => interface: Vec<InterfaceTimestamping> = Vec::new();
    }
}

choice! {
    /// When NTP travels in PTP messages (RFC 10030), which NICs stamp that stamp only PTP.
    pub enum PtpTransport {
        /// Where the NIC stamps received packets only in PTP, and the server answers there.
        Auto = "auto",
        /// With every server, and no other way.
        Always = "always",
        /// Not at all.
        Never = "never",
    }
}

choice! {
    /// Which received packets an interface is asked to stamp.
    pub enum RxFilterChoice {
        /// The narrowest filter that the NIC has and that stamps NTP; else, with the PTP transport,
        /// PTP; else none.
        Auto = "auto",
        /// All packets.
        All = "all",
        /// NTP packets.
        Ntp = "ntp",
        /// PTP packets.
        Ptp = "ptp",
        /// None: only what is sent is stamped in hardware.
        None = "none",
    }
}

section! {
    /// The keys of a `[[timestamping.interface]]`.
    struct InterfaceKeys {
        /// Which interfaces.
        "name" => name: Option<InterfacePattern> = None;
        /// Added to hardware transmit stamps.
        "tx_compensation" => tx_compensation: Duration = Duration::ZERO, if compensation;
        /// Subtracted from hardware receive stamps.
        "rx_compensation" => rx_compensation: Duration = Duration::ZERO, if compensation;
        /// Instead of `timestamping.rx_filter`.
        "rx_filter" => rx_filter: Option<RxFilterChoice> = None;
        /// The clock that stamps, instead of the one that the driver names.
        "phc" => phc: Option<PhcName> = None;
    }
}

/// A `[[timestamping.interface]]`: what is different for some interfaces. Compensations are for the
/// way between the point where the NIC takes the stamp and the point, such as the connector, that
/// both ends count from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceTimestamping {
    /// Which interfaces.
    pub name: InterfacePattern,
    /// Added to each hardware transmit stamp: a packet reaches the wire this much later than it is
    /// stamped.
    pub tx_compensation: Duration,
    /// Subtracted from each hardware receive stamp: a packet left the wire this much earlier than
    /// it is stamped.
    pub rx_compensation: Duration,
    /// Which received packets it is asked to stamp; `None`: as `timestamping.rx_filter` says.
    pub rx_filter: Option<RxFilterChoice>,
    /// The clock that its stamps are of; `None`: the one that the driver names.
    pub phc: Option<PhcName>,
}

impl TimestampingConfig {
    /// Is the interface `name` to stamp in hardware?
    pub fn selects(&self, name: &str) -> bool {
        self.interfaces.iter().any(|pattern| pattern.matches(name))
    }

    /// What is different for the interface `name`: the first `[[timestamping.interface]]` that it
    /// matches.
    pub fn of_interface(&self, name: &str) -> Option<&InterfaceTimestamping> {
        self.interface.iter().find(|own| own.name.matches(name))
    }
}

/// Reads one `[[timestamping.interface]]`; `None` if anything about it is wrong.
fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<InterfaceTimestamping> {
    let before = reader.count();
    let mut keys = InterfaceKeys::default();
    reader.table(value, &mut [&mut keys]);
    if reader.count() != before {
        return None;
    }
    let Some(name) = keys.name else {
        let wrong = Wrong::new("this interface has no `name`");
        reader.wrong(&value.span(), wrong.help("for example name = \"eth0\""));
        return None;
    };
    Some(InterfaceTimestamping {
        name,
        tx_compensation: keys.tx_compensation,
        rx_compensation: keys.rx_compensation,
        rx_filter: keys.rx_filter,
        phc: keys.phc,
    })
}

impl Value for Vec<InterfaceTimestamping> {
    fn apply(&mut self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        let rule = "interfaces are written as [[timestamping.interface]]";
        tables::append(self, value, rule, reader, read);
    }

    fn describe(&self, path: &str, keys: &mut Vec<Key>) {
        InterfaceKeys::default().describe(path, keys);
    }

    fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>) {
        if self != new {
            changed.push(path.to_owned());
        }
    }
}

/// A cable of 200 m takes a microsecond; what is longer than a millisecond is a slip of the unit.
fn compensation(duration: Duration) -> Result<(), String> {
    if duration.abs() <= Duration::from_millis(1) {
        Ok(())
    } else {
        Err("a compensation is not longer than 1ms".to_owned())
    }
}
