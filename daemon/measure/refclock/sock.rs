//! A socket on which other programs give time, by the protocol of chrony's SOCK: gpsd, ptp4l.
//!
//! A sample is one datagram, the C structure of the machine:
//!
//! | octets | what |
//! |---|---|
//! | 0 to 7, 8 to 15 | what the system clock showed: seconds, microseconds |
//! | 16 to 23 | what must be added to it, s, a double; of a pulse, what must be taken from it |
//! | 24 to 27 | is it a pulse, which does not know the second? |
//! | 28 to 31 | leap second: 0 none, 1 inserted, 2 deleted, 3 not synchronised |
//! | 32 to 35 | nothing |
//! | 36 to 39 | 0x534f434b |
//!
//! A pulse tells that but for whole seconds: it is what the system clock showed past a second when
//! one began. It has the other sign, whatever the comment at the field in chrony says: chrony subtracts
//! it, and those who give it pulses go by that.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use clockwright_timebase::{Duration, Timestamp};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::Group;

use super::refusal::{Refusal, Tally};
use super::told::{Quarantine, Told, leap};
use super::{Found, Numbering};
use crate::clock::Clock;
use crate::config::{GroupName, RefclockSettings};

/// A sample.
const LENGTH: usize = 40;
/// `SOCK`.
const MAGIC: u32 = 0x534f_434b;
/// As many are taken at one look; what is sent faster waits.
const MOST: usize = 64;
/// So many at one look mean that the sender's next are soon too many for the socket.
const MANY: usize = 4;
/// No clock is further off than this, s: 1000 years.
const FARTHEST_S: f64 = 3.2e10;

/// A socket that is made when it can be, and removed when this is dropped.
#[derive(Debug)]
pub(super) struct Sock {
    path: PathBuf,
    bound: Option<Bound>,
    quarantine: Quarantine,
    /// Did many samples wait at the last look?
    pub(super) busy: bool,
}

#[derive(Debug)]
struct Bound {
    socket: UnixDatagram,
    /// Device and number of its file: what is removed must be it.
    file: (u64, u64),
}

impl Sock {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            bound: None,
            quarantine: Quarantine::default(),
            busy: false,
        }
    }

    /// The system clock was set.
    pub(super) fn restart(&mut self) {
        self.quarantine.begin();
    }

    /// Lets others send than before.
    pub(super) fn admit(&mut self, group: Option<&GroupName>) {
        if self.bound.is_some() && admit(&self.path, group).is_err() {
            // Made anew it says why it cannot be.
            self.close();
        }
    }

    /// The samples since the last look.
    pub(super) fn look(
        &mut self,
        settings: &RefclockSettings,
        clock: &dyn Clock,
        numbering: Numbering<'_>,
        tally: &mut Tally,
    ) -> Result<Found, String> {
        let quarantined = self.quarantine.holds(clock);
        let bound = match &mut self.bound {
            Some(bound) => bound,
            none => none.insert(open(&self.path, settings.group.as_ref())?),
        };
        let samples = receive(&bound.socket)
            .map_err(|error| format!("{}: cannot receive: {error}", self.path.display()))?;
        self.busy = samples.len() > MANY;
        if samples.is_empty() {
            return Ok(Found::Points(Vec::new()));
        }
        // Read after the last of them was stamped.
        let window = clock.window();
        let mut points = Vec::new();
        for sample in samples {
            let point = sample.and_then(|told| {
                if quarantined {
                    return Err(Refusal::ClockSet);
                }
                told.point(settings, &window, numbering)
            });
            match point {
                Ok(point) => points.push(point),
                Err(refusal) => tally.note(refusal),
            }
        }
        Ok(Found::Points(points))
    }

    fn close(&mut self) {
        let Some(bound) = self.bound.take() else {
            return;
        };
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|found| of_file(&found) == bound.file);
        if ours {
            // One that cannot be removed is found to be dead by whoever comes next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Sock {
    fn drop(&mut self) {
        self.close();
    }
}

fn of_file(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// What waits in the socket.
fn receive(socket: &UnixDatagram) -> io::Result<Vec<Result<Told, Refusal>>> {
    let mut samples = Vec::new();
    // Longer than a sample, so that one that is too long shows.
    let mut datagram = [0; LENGTH + 24];
    while samples.len() < MOST {
        match socket.recv(&mut datagram) {
            Ok(length) => samples.push(read(datagram.get(..length).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(samples)
}

/// Reads one datagram.
fn read(datagram: &[u8]) -> Result<Told, Refusal> {
    let sample: &[u8; LENGTH] = datagram
        .try_into()
        .map_err(|_| Refusal::Length(datagram.len()))?;
    let magic = u32::from_ne_bytes(octets(sample, 36));
    if magic != MAGIC {
        return Err(Refusal::Magic(magic));
    }
    let seconds = i64::from_ne_bytes(octets(sample, 0));
    let micros = i64::from_ne_bytes(octets(sample, 8));
    let offset = f64::from_ne_bytes(octets(sample, 16));
    let pulse = i32::from_ne_bytes(octets(sample, 24)) != 0;
    let is_time = (0..1 << 40).contains(&seconds)
        && (0..1_000_000).contains(&micros)
        && offset.abs() < FARTHEST_S;
    // A comparison with what is no number is false.
    if !is_time {
        return Err(Refusal::NoTime);
    }
    let offset = Duration::from_secs_f64(offset);
    Ok(Told {
        shown: Timestamp::from_timespec(seconds, micros * 1000),
        ahead: if pulse { -offset } else { offset },
        pulse,
        leap: leap(i32::from_ne_bytes(octets(sample, 28)))?,
        precision: Duration::ZERO,
    })
}

fn octets<const N: usize>(sample: &[u8; LENGTH], at: usize) -> [u8; N] {
    std::array::from_fn(|n| sample.get(at + n).copied().unwrap_or_default())
}

/// Makes the socket, in place of one that nobody has any more.
fn open(path: &Path, group: Option<&GroupName>) -> Result<Bound, String> {
    let shown = path.display();
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.exists() {
        DirBuilder::new()
            .mode(0o755)
            .create(directory)
            .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    }
    make_way(path)?;
    let made = make(path).map_err(|error| match error {
        Errno::EACCES | Errno::EPERM | Errno::EROFS => format!(
            "cannot make {shown}: {error}; let this program's user write to {}, or choose another \
             directory",
            directory.display()
        ),
        _ => format!("cannot make {shown}: {error}"),
    })?;
    let file = fs::symlink_metadata(path).map_err(|error| format!("{shown}: {error}"))?;
    let bound = Bound {
        socket: made,
        file: of_file(&file),
    };
    if let Err(why) = admit(path, group) {
        let _ = fs::remove_file(path);
        return Err(why);
    }
    Ok(bound)
}

/// Removes a socket that was left behind; anything else stays, and is named.
fn make_way(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(format!(
            "{shown} exists and is not a socket; remove it, or choose another `sock`"
        ));
    }
    let tried = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    match tried {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| format!("cannot replace {shown}, which is left over: {error}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(()) => Err(format!(
            "{shown} is another program's socket (is chronyd running?); stop that program, or \
             choose another `sock`"
        )),
        Err(error) => Err(format!(
            "{shown} is a socket that may be in use ({error}); remove it, or choose another `sock`"
        )),
    }
}

/// A socket at `path` to which nobody but root and this program's user may send, from the moment that
/// it is there.
fn make(path: &Path) -> Result<UnixDatagram, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket: OwnedFd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    // Linux makes the file with the mode that the socket had before, less the umask.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixDatagram::from(socket))
}

/// Lets the members of `group` send, or nobody but root and this program's user.
fn admit(path: &Path, group: Option<&GroupName>) -> Result<(), String> {
    let shown = path.display();
    let mut mode = 0o600;
    if let Some(group) = group {
        let name = group.as_str();
        let found = Group::from_name(name)
            .map_err(|error| format!("cannot look up group {name}: {error}"))?
            .ok_or_else(|| {
                format!(
                    "{shown}: there is no group {name} on this host; create it with `groupadd \
                     --system {name}`, or choose another `group`"
                )
            })?;
        chown(path, None, Some(found.gid.as_raw()))
            .map_err(|error| format!("cannot give {shown} to group {name}: {error}"))?;
        mode = 0o660;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| format!("cannot set the mode of {shown}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Observed;
    use crate::control::Steering;
    use clockwright_discipline::Leap;
    use clockwright_sys::clock::realtime_now;
    use proptest::prelude::*;

    /// As a C program on this kind of machine lays it out.
    fn datagram(offset: f64, pulse: i32, leap: i32) -> [u8; LENGTH] {
        let mut octets = [0xaa; LENGTH];
        octets[0..8].copy_from_slice(&1_800_000_000_i64.to_ne_bytes());
        octets[8..16].copy_from_slice(&250_000_i64.to_ne_bytes());
        octets[16..24].copy_from_slice(&offset.to_ne_bytes());
        octets[24..28].copy_from_slice(&pulse.to_ne_bytes());
        octets[28..32].copy_from_slice(&leap.to_ne_bytes());
        octets[36..40].copy_from_slice(&0x534f_434b_u32.to_ne_bytes());
        octets
    }

    #[test]
    fn a_sample_is_read_as_it_is_written_for_chrony() {
        let told = Told {
            shown: Timestamp::from_timespec(1_800_000_000, 250_000_000),
            ahead: Duration::from_secs_f64(0.125),
            pulse: false,
            leap: Leap::None,
            precision: Duration::ZERO,
        };
        assert_eq!(read(&datagram(0.125, 0, 0)), Ok(told));
        let insert = Told {
            leap: Leap::Insert,
            ..told
        };
        assert_eq!(read(&datagram(0.125, 0, 1)), Ok(insert));
        // A second began when the system clock showed 0.25 s past one.
        let pulse = Told {
            ahead: Duration::from_secs_f64(-0.25),
            pulse: true,
            ..told
        };
        assert_eq!(read(&datagram(0.25, 1, 0)), Ok(pulse));
    }

    #[test]
    fn what_is_no_sample_is_refused_with_the_reason() {
        let good = datagram(0.0, 0, 0);
        assert_eq!(read(&good[..39]), Err(Refusal::Length(39)));
        let mut long = good.to_vec();
        long.push(0);
        assert_eq!(read(&long), Err(Refusal::Length(41)));
        let mut magic = good;
        magic[36] ^= 1;
        assert!(matches!(read(&magic), Err(Refusal::Magic(_))));
        for offset in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(read(&datagram(offset, 0, 0)), Err(Refusal::NoTime));
        }
        for (at, number) in [(0, i64::MIN), (0, i64::MAX), (8, -1), (8, 1_000_000)] {
            let mut wrong = good;
            wrong[at..at + 8].copy_from_slice(&number.to_ne_bytes());
            assert_eq!(read(&wrong), Err(Refusal::NoTime), "{at} {number}");
        }
        assert_eq!(read(&datagram(0.0, 0, 3)), Err(Refusal::Unsynchronized));
    }

    /// A directory that is removed with all that is in it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("clockwright-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn sock(path: &Path) -> Sock {
        let mut sock = Sock::new(path.to_owned());
        sock.bound = Some(open(path, None).unwrap());
        sock
    }

    #[test]
    fn what_was_sent_before_the_system_clock_was_set_is_counted_and_not_used() {
        let scratch = Scratch::new("sock-set");
        let path = scratch.0.join("gps.sock");
        let mut sock = sock(&path);
        let clock = Observed::new(Steering::Disabled);
        let sender = UnixDatagram::unbound().unwrap();
        let send = |sock: &mut Sock| {
            let now = realtime_now().since_epoch().as_nanos() / 1000;
            let mut sample = datagram(0.0, 0, 0);
            sample[0..8].copy_from_slice(&(now / 1_000_000).to_ne_bytes());
            sample[8..16].copy_from_slice(&(now % 1_000_000).to_ne_bytes());
            sender.send_to(&sample, &path).unwrap();
            let mut tally = Tally::default();
            let settings = RefclockSettings::default();
            let found = sock.look(&settings, &clock, &|_| None, &mut tally).unwrap();
            let Found::Points(points) = found else {
                panic!("no points");
            };
            (points.len(), tally.last())
        };
        assert_eq!(send(&mut sock), (1, None));
        sock.restart();
        assert_eq!(send(&mut sock), (0, Some(Refusal::ClockSet)));
    }

    #[test]
    fn a_socket_is_its_owners_alone_and_goes_when_it_is_closed() {
        let scratch = Scratch::new("sock-mode");
        let path = scratch.0.join("made/gps.sock");
        let open = sock(&path);
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(open);
        assert!(!path.exists());
    }

    #[test]
    fn only_a_socket_that_nobody_has_is_replaced() {
        let scratch = Scratch::new("sock-stale");
        let path = scratch.0.join("gps.sock");
        // Closed without being removed: as a daemon leaves it that was killed.
        drop(UnixDatagram::bind(&path).unwrap());
        let first = sock(&path);
        let why = open(&path, None).unwrap_err();
        assert!(why.contains("is another program's socket"), "{why}");
        assert!(path.exists());
        drop(first);
        fs::write(&path, "precious").unwrap();
        let why = open(&path, None).unwrap_err();
        assert!(why.contains("exists and is not a socket"), "{why}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        // Whatever has come to its place is not removed with it.
        fs::remove_file(&path).unwrap();
        let second = sock(&path);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        drop(second);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_group_that_is_not_there_is_named_and_no_socket_is_left() {
        let scratch = Scratch::new("sock-group");
        let path = scratch.0.join("gps.sock");
        let text = format!(
            "[[source]]\nsock = '{}'\ngroup = 'no-such-group'\n",
            path.display()
        );
        let config = crate::config::Config::from_text("t".as_ref(), &text).unwrap();
        let group = config.refclocks().next().unwrap().settings.group.clone();
        let why = open(&path, group.as_ref()).unwrap_err();
        assert!(why.contains("there is no group no-such-group"), "{why}");
        assert!(!path.exists());
    }

    proptest! {
        #[test]
        fn arbitrary_datagrams_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&octets);
            if let Ok(mut sample) = <[u8; LENGTH]>::try_from(octets.as_slice()) {
                sample[36..].copy_from_slice(&MAGIC.to_ne_bytes());
                let _ = read(&sample);
            }
        }
    }
}
