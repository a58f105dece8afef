//! The list of leap seconds in force: read, read again when it has changed, and refused whole where
//! anything about it is wrong.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

use crate::config::LEAP_LIST;
use crate::leap::{LeapList, ListError};
use crate::output::date;

/// How often it is looked at whether the file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// So long before its end a list should have been replaced: IERS publishes the next one half a year
/// before that.
const SOON: Duration = Duration::from_secs(28 * 86_400);
/// No list is longer; one that is, is refused by its parser, octets.
const LONGEST: u64 = 512 * 1024;

/// Why a file is not used.
#[derive(Debug)]
pub(super) enum Refused {
    /// It cannot be read.
    Io(io::Error),
    /// It is not a list, or a damaged one.
    List(ListError),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::List(error) => error.fmt(f),
        }
    }
}

/// How a list's end is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Fresh,
    EndsSoon,
    Expired,
}

/// Something to log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// As it should be.
    Info(String),
    /// To be seen to.
    Warn(String),
}

/// The list in force.
#[derive(Debug)]
pub(super) struct ListFile {
    path: PathBuf,
    list: Option<LeapList>,
    /// Why the file as it is now is not the list in force.
    error: Option<String>,
    /// Size and time of change of the file that was read last; `None`: there was none.
    seen: Option<(u64, SystemTime)>,
    /// What was last said of the list's end.
    told: Option<Stage>,
    look_at: Timestamp<Raw>,
}

impl ListFile {
    /// The list at `path`, not read yet.
    pub(super) fn new(path: &Path, now: Timestamp<Raw>) -> Self {
        Self {
            path: path.to_owned(),
            list: None,
            error: None,
            seen: None,
            told: None,
            look_at: now,
        }
    }

    /// The list in force, valid or not.
    pub(super) const fn list(&self) -> Option<&LeapList> {
        self.list.as_ref()
    }

    /// The list, where what it says of `now` is true.
    pub(super) fn valid(&self, now: Timestamp<Utc>) -> Option<&LeapList> {
        self.list.as_ref().filter(|list| list.is_valid(now))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why a newer file was refused.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// When the file is to be looked at.
    pub(super) const fn next_timeout(&self) -> Timestamp<Raw> {
        self.look_at
    }

    /// Uses the list at `path` from now on. It is read even if it seems unchanged.
    pub(super) fn reconfigure(&mut self, path: &Path) {
        if path != self.path {
            *self = Self::new(path, self.look_at);
        }
        self.seen = None;
        self.look_at = Timestamp::EPOCH;
    }

    /// Looks at the file where it is time to; `utc` is what the clock shows.
    pub(super) fn look(&mut self, now: Timestamp<Raw>, utc: Timestamp<Utc>) -> Vec<Notice> {
        if now < self.look_at {
            return Vec::new();
        }
        self.look_at = now + LOOK_EVERY;
        let mut notices: Vec<Notice> = self.read_if_changed(utc).into_iter().collect();
        notices.extend(self.tell_of_end(utc));
        notices
    }

    fn read_if_changed(&mut self, utc: Timestamp<Utc>) -> Option<Notice> {
        let found = match fs::metadata(&self.path).and_then(|it| Ok((it.len(), it.modified()?))) {
            Ok(found) => found,
            Err(error) => return self.missing(error),
        };
        if self.seen.replace(found) == Some(found) {
            return None;
        }
        match read(&self.path) {
            Ok(list) => {
                self.error = None;
                if self.list.as_ref() == Some(&list) {
                    return None;
                }
                let told = introduce(&self.path, &list, utc);
                self.list = Some(list);
                self.told = None;
                Some(Notice::Info(told))
            }
            Err(refused) => Some(self.refuse(&refused)),
        }
    }

    /// The file is not there. Where nobody asked for one that is as it may be.
    fn missing(&mut self, error: io::Error) -> Option<Notice> {
        let by_default = self.path == Path::new(LEAP_LIST);
        let is_news = self.seen.take().is_some() || self.error.is_none();
        if !is_news || by_default && self.list.is_none() && error.kind() == ErrorKind::NotFound {
            return None;
        }
        Some(self.refuse(&Refused::Io(error)))
    }

    fn refuse(&mut self, refused: &Refused) -> Notice {
        let text = refused.to_string();
        let rest = if self.list.is_some() {
            "the list read before stays in force"
        } else {
            "no list is in force, the sources are believed"
        };
        let path = self.path.display();
        let notice = Notice::Warn(format!(
            "the list of leap seconds {path} is refused: {text}; {rest}"
        ));
        self.error = Some(text);
        notice
    }

    /// Says once that the list ends soon, or has ended.
    fn tell_of_end(&mut self, utc: Timestamp<Utc>) -> Option<Notice> {
        let list = self.list.as_ref()?;
        let left = list.expires() - utc;
        let stage = if left <= Duration::ZERO {
            Stage::Expired
        } else if left <= SOON {
            Stage::EndsSoon
        } else {
            Stage::Fresh
        };
        if self.told.replace(stage) == Some(stage) {
            return None;
        }
        let (path, until) = (self.path.display(), date(list.expires()));
        let text = match stage {
            Stage::Fresh => return None,
            Stage::EndsSoon => format!(
                "the list of leap seconds {path} ends on {until}: install a newer one (the package \
                 tzdata, or https://data.iana.org/time-zones/data/leap-seconds.list)"
            ),
            Stage::Expired => format!(
                "the list of leap seconds {path} has expired on {until}: the sources are believed \
                 instead, and TAI is not told to the kernel. Install a newer one (the package \
                 tzdata, or https://data.iana.org/time-zones/data/leap-seconds.list)"
            ),
        };
        // What a distribution ships and nobody has asked for is no reason for concern when it is old.
        Some(if self.path == Path::new(LEAP_LIST) {
            Notice::Info(text)
        } else {
            Notice::Warn(text)
        })
    }
}

fn read(path: &Path) -> Result<LeapList, Refused> {
    let mut text = String::new();
    let file = File::open(path).map_err(Refused::Io)?;
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(Refused::Io)?;
    LeapList::parse(&text).map_err(Refused::List)
}

fn introduce(path: &Path, list: &LeapList, utc: Timestamp<Utc>) -> String {
    let path = path.display();
    let next = list.next(utc).map_or_else(
        || "no leap second is to come".to_owned(),
        |next| format!("the next leap second comes before {}", date(next.day_ends)),
    );
    let offset = list.tai_offset_s(utc).unwrap_or_default();
    format!(
        "leap seconds by {path} of {}: valid until {}, TAI - UTC is {offset} s, {next}",
        date(list.updated()),
        date(list.expires())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leap::tests::hashed;

    const UNTIL: i64 = 4_000_000_000 - 2_208_988_800;

    fn list(last: &str) -> String {
        hashed(&format!(
            "#$ 3900000000\n#@ 4000000000\n3644697600 36\n3692217600 37\n{last}#h HASH\n"
        ))
    }

    fn warns(notices: &[Notice], text: &str) -> bool {
        notices
            .iter()
            .any(|notice| matches!(notice, Notice::Warn(said) if said.contains(text)))
    }

    #[test]
    fn a_damaged_list_is_refused_and_the_old_one_goes_on() {
        let path = std::env::temp_dir().join(format!("leap-list-{}", std::process::id()));
        fs::write(&path, list("")).unwrap();
        let day = |days: i64| Timestamp::from_timespec(days * 86_400, 0);
        let utc = Timestamp::from_timespec(UNTIL - 90 * 86_400, 0);
        let mut file = ListFile::new(&path, day(0));
        let notices = file.look(day(0), utc);
        assert!(matches!(notices.as_slice(), [Notice::Info(text)] if text.contains("37 s")));
        assert_eq!(file.look(file.next_timeout(), utc), []);

        fs::write(&path, list("").replace("3900000000", "3900000001")).unwrap();
        file.reconfigure(&path);
        let notices = file.look(day(2), utc);
        assert!(warns(
            &notices,
            "is refused: its content does not fit its own hash"
        ));
        assert!(warns(&notices, "the list read before stays in force"));
        assert!(file.error().is_some() && file.valid(utc).is_some());
        // Not again and again.
        assert_eq!(file.look(day(3), utc), []);

        fs::remove_file(&path).unwrap();
        assert!(warns(&file.look(day(4), utc), "is refused: No such file"));
        assert_eq!(file.look(day(5), utc), []);
        fs::write(&path, list("3913056000 38\n")).unwrap();
        assert_eq!(file.look(day(6), utc).len(), 1);
        assert_eq!(file.error(), None);
        assert_eq!(file.list().and_then(LeapList::last_tai_offset_s), Some(38));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_end_of_a_list_is_told_before_and_after_once_each() {
        let path = std::env::temp_dir().join(format!("leap-end-{}", std::process::id()));
        fs::write(&path, list("")).unwrap();
        let mut file = ListFile::new(&path, Timestamp::EPOCH);
        let mut look = |days: i64| {
            let now = file.next_timeout();
            let notices = file.look(now, Timestamp::from_timespec(UNTIL + days * 86_400, 0));
            (
                notices,
                file.valid(Timestamp::from_timespec(UNTIL + days * 86_400, 0))
                    .is_some(),
            )
        };
        assert!(!warns(&look(-29).0, "ends on"));
        let (notices, valid) = look(-28);
        assert!(
            valid && warns(&notices, "ends on 2026-10-03"),
            "{notices:?}"
        );
        assert_eq!(look(-1), (Vec::new(), true));
        let (notices, valid) = look(0);
        assert!(
            !valid && warns(&notices, "has expired on 2026-10-03"),
            "{notices:?}"
        );
        assert_eq!(look(100), (Vec::new(), false));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_host_without_tzdata_is_not_warned() {
        let mut file = ListFile::new(Path::new(LEAP_LIST), Timestamp::EPOCH);
        let error = io::Error::from(ErrorKind::NotFound);
        assert_eq!(file.missing(error), None);
        let mut file = ListFile::new(Path::new("/nonexistent/list"), Timestamp::EPOCH);
        assert!(warns(
            &file.look(Timestamp::EPOCH, Timestamp::EPOCH),
            "is refused"
        ));
    }
}
