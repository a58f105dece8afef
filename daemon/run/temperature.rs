//! The temperature of the oscillator, read from a sensor of the host: `clock.temperature`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use clockwright_timebase::{Raw, Timestamp};
use tracing::{info, warn};

use super::daemon::Daemon;

/// Longest reading, octets: `-273150` and more.
const MAX_READING: u64 = 32;

/// When the sensor is read next, and what has been said about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SensorWatch {
    next: Timestamp<Raw>,
    told_failure: bool,
    told_use: bool,
}

impl SensorWatch {
    /// A sensor to be read at once.
    pub(super) const fn new(now: Timestamp<Raw>) -> Self {
        Self {
            next: now,
            told_failure: false,
            told_use: false,
        }
    }
}

impl Daemon {
    /// When the sensor is to be read; `None`: there is none.
    pub(super) fn temperature_due(&self) -> Option<Timestamp<Raw>> {
        let sensor = self.config.clock.temperature.sensor.as_ref();
        sensor.map(|_| self.sensor.next)
    }

    /// Reads the sensor if that is due. Of failures the first is logged: the clock goes on without.
    pub(super) fn read_temperature(&mut self, now: Timestamp<Raw>) {
        if self.temperature_due().is_none_or(|due| due > now) {
            return;
        }
        let config = &self.config.clock.temperature;
        self.sensor.next = now + config.every;
        let Some(path) = &config.sensor else {
            return;
        };
        match read(path) {
            Ok(celsius) => {
                self.discipline.handle_temperature(now, celsius);
                if std::mem::take(&mut self.sensor.told_failure) {
                    info!("{} can be read again", path.display());
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.sensor.told_failure, true) {
                    warn!(
                        "cannot read the temperature from {}: {error}; going on without. \
                         clock.temperature.sensor is a file such as \
                         /sys/class/hwmon/hwmon0/temp1_input",
                        path.display()
                    );
                }
            }
        }
        self.carry_out();
        self.tell_of_temperature();
    }

    /// Logs whether the temperature has been found to matter.
    fn tell_of_temperature(&mut self) {
        let found = self.discipline.temperature_fit();
        if std::mem::replace(&mut self.sensor.told_use, found.is_some()) == found.is_some() {
            return;
        }
        let Some(leave) = self.limiter.leave("temperature", self.sensor.next) else {
            return;
        };
        if let Some(fit) = found {
            info!(
                "the temperature explains the oscillator: {:+.4} ppm for each degree; its changes \
                 are made up for{leave}",
                fit.slope() * 1e6
            );
        } else {
            info!("the temperature does not explain the oscillator any more{leave}");
        }
    }
}

/// What a sensor of Linux shows, °C.
fn read(path: &Path) -> io::Result<f64> {
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    // A pipe would make the daemon wait.
    if !fs::metadata(path)?.is_file() {
        return Err(invalid("it is no file"));
    }
    let mut text = String::new();
    File::open(path)?
        .take(MAX_READING)
        .read_to_string(&mut text)?;
    let thousandths: i32 = text
        .trim()
        .parse()
        .map_err(|_| invalid("it does not say a number of thousandths of a degree"))?;
    Ok(f64::from(thousandths) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sensor_shows_is_read_and_what_is_none_is_refused() {
        let path = std::env::temp_dir().join(format!("clockwright-temp-{}", std::process::id()));
        for (text, shown) in [
            ("41500\n", Some(41.5)),
            ("-2000", Some(-2.0)),
            ("hot", None),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path).ok(), shown, "{text}");
        }
        fs::write(&path, "1".repeat(1000)).unwrap();
        assert!(read(&path).is_err());
        fs::remove_file(&path).unwrap();
        assert!(read(&path).is_err());
        assert!(read(Path::new("/dev/zero")).is_err());
    }
}
