//! The shared memory through which other programs give time to an NTP daemon: ntpd's driver 28.
//!
//! A System V segment for each unit, found by its key, in which a writer (gpsd, ptp4l) leaves the
//! time of its clock beside what the system clock showed then. Writer and reader share no lock: a
//! writer takes `valid` back and counts before and after it writes, and what was read is only a
//! sample if neither has changed meanwhile.

use std::io;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, Ordering, fence};

/// The key of unit 0: "NTP0".
const FIRST_KEY: libc::key_t = 0x4e54_5030;
/// Units below this are for their owner alone; the others for everybody, by ntpd's convention.
const PRIVATE_UNITS: u8 = 2;
/// How often a segment that is being written is looked at again.
const TRIES: usize = 4;

/// ntpd's `struct shmTime` where `int` has 32 and `time_t` 64 bits. All of it is atomic, since
/// another process may write any of it at any time.
#[repr(C)]
struct ShmTime {
    mode: AtomicI32,
    count: AtomicI32,
    clock_seconds: AtomicI64,
    clock_micros: AtomicI32,
    receive_seconds: AtomicI64,
    receive_micros: AtomicI32,
    leap: AtomicI32,
    precision: AtomicI32,
    _samples: AtomicI32,
    valid: AtomicI32,
    clock_nanos: AtomicU32,
    receive_nanos: AtomicU32,
    _unused: [AtomicI32; 8],
}

const _: () = {
    assert!(size_of::<ShmTime>() == 96);
    assert!(offset_of!(ShmTime, clock_seconds) == 8);
    assert!(offset_of!(ShmTime, receive_seconds) == 24);
    assert!(offset_of!(ShmTime, valid) == 48);
    assert!(offset_of!(ShmTime, receive_nanos) == 56);
};

/// What a writer has left, as it has written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// 0: the writer waits for `valid` to be taken back; 1: it counts. Nothing else is known.
    pub mode: i32,
    /// What its clock showed, in seconds since 1970.
    pub clock: Stamp,
    /// What the system clock showed at the same instant.
    pub received: Stamp,
    /// The announced leap second, as NTP numbers them; 3: the clock is not synchronised.
    pub leap: i32,
    /// How exact the clock is: log2 of seconds.
    pub precision: i32,
}

/// An instant, by the three fields that it has in the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds.
    pub seconds: i64,
    /// Microseconds of the second.
    pub micros: i32,
    /// Nanoseconds of the second; zero from writers that do not know the field.
    pub nanos: u32,
}

/// What became of an attempt to take a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// None has been written since the last.
    Nothing,
    /// One, whole.
    Whole(Written),
    /// Each time it was looked at it was just being written.
    Torn,
}

/// Who can write to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writers {
    /// The users who own it and who made it, each of whom can open it to others.
    pub users: [u32; 2],
    /// Can users besides the owner write to it?
    pub others: bool,
}

/// A segment, attached to this process until it is dropped.
#[derive(Debug)]
pub struct Segment {
    id: libc::c_int,
    shared: NonNull<ShmTime>,
}

impl Segment {
    /// Attaches the segment of `unit`, and makes it where there is none: with mode 0600 for units 0
    /// and 1, and 0666 for the others.
    ///
    /// # Errors
    /// `PermissionDenied` (`EACCES`) where it belongs to another user; `InvalidInput` (`EINVAL`)
    /// where it is too short to be such a segment.
    pub fn attach(unit: u8) -> io::Result<Self> {
        let mode = if unit < PRIVATE_UNITS { 0o600 } else { 0o666 };
        let flags = libc::IPC_CREAT | mode;
        // SAFETY: takes numbers only.
        let id = unsafe { libc::shmget(Self::key(unit), size_of::<ShmTime>(), flags) };
        if id < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: with no address wished for, the kernel maps the segment where nothing else is.
        let address = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        if address.addr() == usize::MAX {
            return Err(io::Error::last_os_error());
        }
        let shared = NonNull::new(address.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { id, shared })
    }

    /// The key that the segment of `unit` is found by.
    pub const fn key(unit: u8) -> i32 {
        FIRST_KEY + unit as libc::key_t
    }

    /// Takes the sample that was written since the last, and tells the writer so.
    pub fn take(&self) -> Taken {
        self.take_while(|| {})
    }

    /// The same; `meanwhile` is what happens while it is read.
    fn take_while(&self, meanwhile: impl Fn()) -> Taken {
        let shared = self.shared();
        for _ in 0..TRIES {
            if shared.valid.load(Ordering::Acquire) == 0 {
                return Taken::Nothing;
            }
            let count = shared.count.load(Ordering::Acquire);
            let copy = shared.copy();
            meanwhile();
            // The copy is read before what tells whether it is whole.
            fence(Ordering::Acquire);
            // Of mode 0 nothing but a second look tells that it is not being written.
            let again = shared.copy();
            fence(Ordering::Acquire);
            let unchanged = shared.count.load(Ordering::Relaxed) == count
                && shared.valid.load(Ordering::Relaxed) != 0;
            if unchanged && copy == again {
                shared.valid.store(0, Ordering::Release);
                return Taken::Whole(copy);
            }
            std::hint::spin_loop();
        }
        Taken::Torn
    }

    /// Who can write to it.
    pub fn writers(&self) -> io::Result<Writers> {
        // SAFETY: a structure of numbers, for which zero is a value.
        let mut found: libc::shmid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: IPC_STAT writes one `shmid_ds`.
        if unsafe { libc::shmctl(self.id, libc::IPC_STAT, &raw mut found) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let rights = found.shm_perm;
        Ok(Writers {
            users: [rights.uid, rights.cuid],
            others: rights.mode & 0o022 != 0,
        })
    }

    /// Has the kernel remove it as soon as nobody has it attached: for tests, as a segment outlives
    /// whoever made it.
    pub fn remove(&self) -> io::Result<()> {
        // SAFETY: IPC_RMID takes no structure. The memory stays while this process has it attached.
        match unsafe { libc::shmctl(self.id, libc::IPC_RMID, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn shared(&self) -> &ShmTime {
        // SAFETY: `shmat` has mapped the segment, readable and writable and on a page's boundary,
        // and `shmget` has made sure that it is as long as a `ShmTime`. It stays mapped while
        // `self` lives, also when somebody removes it. All fields are atomic numbers, so that any
        // octets are a value of them and other processes may write them meanwhile.
        unsafe { self.shared.as_ref() }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the address is from `shmat`, detached only here, and no reference to what is
        // there outlives `self`. It cannot fail for such an address.
        unsafe { libc::shmdt(self.shared.as_ptr().cast()) };
    }
}

impl ShmTime {
    fn copy(&self) -> Written {
        Written {
            mode: self.mode.load(Ordering::Relaxed),
            clock: Stamp {
                seconds: self.clock_seconds.load(Ordering::Relaxed),
                micros: self.clock_micros.load(Ordering::Relaxed),
                nanos: self.clock_nanos.load(Ordering::Relaxed),
            },
            received: Stamp {
                seconds: self.receive_seconds.load(Ordering::Relaxed),
                micros: self.receive_micros.load(Ordering::Relaxed),
                nanos: self.receive_nanos.load(Ordering::Relaxed),
            },
            leap: self.leap.load(Ordering::Relaxed),
            precision: self.precision.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    /// Units that no program uses, one for each test.
    struct Unit(Segment, u8);

    impl Unit {
        fn new(unit: u8) -> Self {
            Self(Segment::attach(unit).unwrap(), unit)
        }

        /// Writes the octets of a whole segment.
        fn write(&self, octets: &[u8; 96]) {
            let to = self.0.shared.as_ptr().cast::<[u8; 96]>();
            // SAFETY: it is as long, and nobody else has this segment.
            unsafe { to.write_volatile(*octets) };
        }
    }

    impl Drop for Unit {
        fn drop(&mut self) {
            self.0.remove().unwrap();
        }
    }

    /// As a C program lays it out on this kind of machine: `int` in 4 octets, `time_t` in 8.
    fn octets(mode: i32, valid: i32) -> [u8; 96] {
        let mut octets = [0xee; 96];
        let mut put = |at: usize, field: &[u8]| octets[at..at + field.len()].copy_from_slice(field);
        put(0, &mode.to_ne_bytes());
        put(4, &42_i32.to_ne_bytes());
        put(8, &1_800_000_000_i64.to_ne_bytes());
        put(16, &250_000_i32.to_ne_bytes());
        put(24, &1_799_999_999_i64.to_ne_bytes());
        put(32, &999_999_i32.to_ne_bytes());
        put(36, &1_i32.to_ne_bytes());
        put(40, &(-20_i32).to_ne_bytes());
        put(44, &3_i32.to_ne_bytes());
        put(48, &valid.to_ne_bytes());
        put(52, &250_000_123_u32.to_ne_bytes());
        put(56, &999_999_456_u32.to_ne_bytes());
        octets
    }

    #[test]
    fn a_segment_is_read_as_a_c_program_writes_it_and_only_once() {
        let unit = Unit::new(240);
        assert_eq!(Segment::key(240), 0x4e54_5120);
        assert_eq!(unit.0.take(), Taken::Nothing);
        unit.write(&octets(1, 0));
        assert_eq!(unit.0.take(), Taken::Nothing);
        unit.write(&octets(1, 1));
        let written = Written {
            mode: 1,
            clock: Stamp {
                seconds: 1_800_000_000,
                micros: 250_000,
                nanos: 250_000_123,
            },
            received: Stamp {
                seconds: 1_799_999_999,
                micros: 999_999,
                nanos: 999_999_456,
            },
            leap: 1,
            precision: -20,
        };
        assert_eq!(unit.0.take(), Taken::Whole(written));
        assert_eq!(unit.0.take(), Taken::Nothing);
    }

    #[test]
    fn who_attaches_later_shares_it_and_the_mode_says_who_may_write() {
        let unit = Unit::new(241);
        let other = Segment::attach(unit.1).unwrap();
        unit.write(&octets(0, 1));
        assert!(matches!(other.take(), Taken::Whole(written) if written.mode == 0));
        assert_eq!(unit.0.take(), Taken::Nothing);
        let me = nix::unistd::geteuid().as_raw();
        let writers = unit.0.writers().unwrap();
        assert_eq!(
            (writers.users, writers.others),
            ([me; 2], true),
            "{writers:?}"
        );
    }

    #[test]
    fn what_is_begun_or_finished_while_it_is_read_is_not_taken() {
        let unit = Unit::new(244);
        let shared = unit.0.shared();
        // By the rules of mode 1; a writer of mode 0 that breaks them changes only the values.
        let begun = || {
            shared.valid.store(0, Ordering::Relaxed);
        };
        let counted = || {
            shared.count.fetch_add(1, Ordering::Relaxed);
        };
        let changed = || {
            shared.leap.fetch_xor(1, Ordering::Relaxed);
        };
        unit.write(&octets(1, 1));
        assert_eq!(unit.0.take_while(counted), Taken::Torn);
        unit.write(&octets(0, 1));
        assert_eq!(unit.0.take_while(changed), Taken::Torn);
        unit.write(&octets(1, 1));
        // The second time it is looked at there is nothing yet.
        assert_eq!(unit.0.take_while(begun), Taken::Nothing);
        unit.write(&octets(1, 1));
        assert!(matches!(unit.0.take_while(|| {}), Taken::Whole(_)));
    }

    /// A writer that never rests, by the rules of mode 1: what is taken is always of one write.
    #[test]
    fn what_is_being_written_is_never_taken() {
        let unit = Unit::new(242);
        let stop = AtomicBool::new(false);
        let stop = &stop;
        let writer = |segment: &Segment| {
            let shared = segment.shared();
            shared.mode.store(1, Ordering::Relaxed);
            for n in (1..2_000_000_000).cycle() {
                shared.valid.store(0, Ordering::Relaxed);
                shared.count.fetch_add(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                shared.clock_seconds.store(n.into(), Ordering::Relaxed);
                shared.receive_micros.store(n, Ordering::Relaxed);
                shared.leap.store(n, Ordering::Relaxed);
                shared
                    .receive_nanos
                    .store(n.cast_unsigned(), Ordering::Relaxed);
                fence(Ordering::SeqCst);
                shared.count.fetch_add(1, Ordering::Relaxed);
                shared.valid.store(1, Ordering::Relaxed);
                if n % 7 == 0 {
                    // Time to be read, but for the last.
                    std::thread::yield_now();
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        };
        let (mut whole, mut torn) = (0, None);
        std::thread::scope(|scope| {
            let number = unit.1;
            scope.spawn(move || writer(&Segment::attach(number).unwrap()));
            let started = std::time::Instant::now();
            while whole < 2_000 && started.elapsed().as_secs() < 5 {
                let Taken::Whole(written) = unit.0.take() else {
                    continue;
                };
                whole += 1;
                let n = written.leap;
                let same = written.clock.seconds == i64::from(n)
                    && written.received.micros == n
                    && written.received.nanos == n.cast_unsigned();
                if !same {
                    torn = Some(written);
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(torn, None);
        assert!(whole > 100, "{whole}");
    }

    #[test]
    fn a_segment_that_is_too_short_is_refused() {
        // SAFETY: takes numbers only.
        let id = unsafe { libc::shmget(Segment::key(243), 80, libc::IPC_CREAT | 0o600) };
        let error = Segment::attach(243).unwrap_err();
        // SAFETY: IPC_RMID takes no structure.
        unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
