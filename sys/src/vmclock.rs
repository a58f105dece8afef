//! The clock of a hypervisor as a page of memory: `/dev/vmclockN` (`uapi/linux/vmclock-abi.h`,
//! Linux 6.13).
//!
//! The page says what UTC or TAI was when the CPU's counter had some value, how fast the counter
//! runs, and how wrong both may be. Reading it costs no exit to the hypervisor. When the machine
//! has been moved to another host, a marker in it changes: everything learnt of the counter, and of
//! every clock that runs by it, is void.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::clock::raw_now;

/// `VMCLOCK_MAGIC`.
const MAGIC: u32 = 0x4b4c_4356;
/// Octets of version 1.
const LENGTH: usize = 112;
/// Where the sequence number is, which is odd while the hypervisor writes.
const SEQUENCE_AT: usize = 12;
/// What is mapped: a page, of which the structure is the beginning.
const PAGE: usize = 4096;
/// How often a page that is being written is looked at again.
const TRIES: usize = 100;

/// The counter that the page speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// `CNTVCT_EL0` of ARM.
    ArmVirtual,
    /// The time-stamp counter of x86.
    Tsc,
    /// One that this program does not know, or none.
    Other(u8),
}

/// What the time in the page counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeType {
    /// UTC since 1970, leap seconds not counted.
    Utc,
    /// TAI since 1970.
    Tai,
    /// Since an unknown instant.
    Monotonic,
    /// Something else.
    Other(u8),
}

/// What the hypervisor says of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockStatus {
    /// Nothing.
    Unknown,
    /// It has only begun to synchronise.
    Initializing,
    /// It is synchronised.
    Synchronized,
    /// It was, and runs freely.
    FreeRunning,
    /// It is not to be relied on.
    Unreliable,
}

/// One consistent look at the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The counter that it speaks of.
    pub counter: Counter,
    /// What its time counts.
    pub time_type: TimeType,
    /// Changes when the machine was moved, so that all calibration is void.
    pub disruption_marker: u64,
    /// Is the machine about to be moved?
    pub disruption_soon: bool,
    /// What the hypervisor says of its clock.
    pub status: ClockStatus,
    /// TAI − UTC, where the hypervisor knows it, s.
    pub tai_offset: Option<i16>,
    /// Standard deviation of the time when the counter had its value, where that is known.
    pub estimated_error: Option<Duration>,
    /// Bound of the same.
    pub max_error: Option<Duration>,
    value: u64,
    /// Period of the counter, 2^-(64+shift) s.
    period: u64,
    shift: u8,
    /// Bound of the error that comes with each count, in the same unit; `None` if unknown.
    period_max_error: Option<u64>,
    seconds: u64,
    /// 2^-64 s.
    fraction: u64,
}

/// Why a page cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It has not the magic number, or is shorter than what this program knows.
    NoClock,
    /// Its version is another one.
    Version(u16),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoClock => f.write_str("this is no clock of a hypervisor"),
            Self::Version(version) => {
                write!(f, "this clock is of version {version}, and only 1 is known")
            }
        }
    }
}

impl std::error::Error for Malformed {}

impl State {
    /// Reads the structure at the beginning of the page.
    pub fn parse(page: &[u8; LENGTH]) -> Result<Self, Malformed> {
        let size = u32_at(page, 4) as usize;
        if u32_at(page, 0) != MAGIC || size < LENGTH {
            return Err(Malformed::NoClock);
        }
        let version = u16_at(page, 8);
        if version != 1 {
            return Err(Malformed::Version(version));
        }
        let flags = u64_at(page, 0x18);
        let flagged = |bit: u32| flags & (1 << bit) != 0;
        let nanos = |at| Duration::from_nanos(i64::try_from(u64_at(page, at)).unwrap_or(i64::MAX));
        Ok(Self {
            counter: match page[0x0a] {
                0 => Counter::ArmVirtual,
                1 => Counter::Tsc,
                other => Counter::Other(other),
            },
            time_type: match page[0x0b] {
                0 => TimeType::Utc,
                1 => TimeType::Tai,
                2 => TimeType::Monotonic,
                other => TimeType::Other(other),
            },
            disruption_marker: u64_at(page, 0x10),
            disruption_soon: flagged(1) || flagged(2),
            status: match page[0x22] {
                1 => ClockStatus::Initializing,
                2 => ClockStatus::Synchronized,
                3 => ClockStatus::FreeRunning,
                4 => ClockStatus::Unreliable,
                _ => ClockStatus::Unknown,
            },
            tai_offset: flagged(0).then(|| u16_at(page, 0x24).cast_signed()),
            shift: page[0x27],
            value: u64_at(page, 0x28),
            period: u64_at(page, 0x30),
            period_max_error: flagged(4).then(|| u64_at(page, 0x40)),
            seconds: u64_at(page, 0x48),
            fraction: u64_at(page, 0x50),
            estimated_error: flagged(5).then(|| nanos(0x58)),
            max_error: flagged(6).then(|| nanos(0x60)),
        })
    }

    /// The time since the epoch of [`State::time_type`] when the counter shows `counter`.
    pub fn time_at(&self, counter: u64) -> Duration {
        let elapsed = scaled(counter.wrapping_sub(self.value), self.period, self.shift);
        let fraction = elapsed.saturating_add(u128::from(self.fraction));
        from_fractions(fraction) + from_fractions(u128::from(self.seconds) << 64)
    }

    /// How far that can be wrong, where the hypervisor says so: the bound when the counter had its
    /// value, and what has come with the counts since.
    pub fn max_error_at(&self, counter: u64) -> Option<Duration> {
        let rate = self.period_max_error.unwrap_or(0);
        let grown = scaled(counter.wrapping_sub(self.value), rate, self.shift);
        Some(self.max_error? + from_fractions(grown))
    }
}

/// `count` · `factor` · 2^-(64+shift) s in units of 2^-64 s.
fn scaled(count: u64, factor: u64, shift: u8) -> u128 {
    (u128::from(count) * u128::from(factor))
        .checked_shr(shift.into())
        .unwrap_or(0)
}

/// From units of 2^-64 s.
fn from_fractions(fractions: u128) -> Duration {
    const NANOS: u128 = 1_000_000_000;
    let (whole, rest) = (fractions >> 64, fractions & u128::from(u64::MAX));
    // 10⁹ ns a second, 2^32 units a nanosecond: both products are below 2^127.
    let units = ((whole * NANOS) << 32) + ((rest * NANOS) >> 32);
    Duration::from_units(i128::try_from(units).unwrap_or(i128::MAX))
}

fn u16_at(page: &[u8; LENGTH], at: usize) -> u16 {
    u16::from_le_bytes(octets(page, at))
}

fn u32_at(page: &[u8; LENGTH], at: usize) -> u32 {
    u32::from_le_bytes(octets(page, at))
}

fn u64_at(page: &[u8; LENGTH], at: usize) -> u64 {
    u64::from_le_bytes(octets(page, at))
}

fn octets<const N: usize>(page: &[u8; LENGTH], at: usize) -> [u8; N] {
    std::array::from_fn(|n| page.get(at + n).copied().unwrap_or_default())
}

/// The counter between two readings of `CLOCK_MONOTONIC_RAW`, and the page that explains it.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Raw, just before.
    pub before: Timestamp<Raw>,
    /// The counter.
    pub counter: u64,
    /// Raw, just after.
    pub after: Timestamp<Raw>,
    /// What it means.
    pub state: State,
}

/// A mapped clock.
#[derive(Debug)]
pub struct Device {
    page: NonNull<u8>,
}

// SAFETY: the page is only read, by volatile loads, and unmapped when the one owner is dropped.
unsafe impl Send for Device {}

impl Device {
    /// Maps the clock.
    ///
    /// # Errors
    /// `InvalidData` where it is something else, or speaks of a counter that this CPU has not.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: a new mapping, at an address that the kernel chooses, touches no other memory.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGE,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let page = NonNull::new(page.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let device = Self { page };
        let state = device.read()?.state;
        if matches!(state.counter, Counter::Other(_)) || !is_here(state.counter) {
            let message = "the hypervisor's clock is of a counter that this CPU has not";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(device)
    }

    /// The counter now, and the page of the same moment.
    ///
    /// # Errors
    /// `WouldBlock` where the hypervisor was writing all the time; `InvalidData` where the page is
    /// no such clock (any more).
    pub fn read(&self) -> io::Result<Reading> {
        for _ in 0..TRIES {
            let sequence = self.sequence();
            if sequence % 2 == 1 {
                std::hint::spin_loop();
                continue;
            }
            let before = raw_now();
            let counter = counter();
            let after = raw_now();
            let page = self.copy();
            // The copy is complete before the number is looked at again.
            fence(Ordering::Acquire);
            if self.sequence() == sequence {
                let state = State::parse(&page)
                    .map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))?;
                return Ok(Reading {
                    before,
                    counter,
                    after,
                    state,
                });
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn sequence(&self) -> u32 {
        // SAFETY: within the page, which is mapped as long as `self` lives and aligned to 4096.
        let at = unsafe { self.page.add(SEQUENCE_AT) }.cast::<u32>().as_ptr();
        // SAFETY: aligned, mapped, and only ever written as a whole, by the hypervisor.
        let sequence = unsafe { AtomicU32::from_ptr(at) };
        u32::from_le(sequence.load(Ordering::Acquire))
    }

    fn copy(&self) -> [u8; LENGTH] {
        std::array::from_fn(|n| {
            // SAFETY: `n` is below LENGTH and so within the page.
            let at = unsafe { self.page.add(n) };
            // SAFETY: mapped and readable; volatile because the hypervisor writes meanwhile.
            unsafe { at.read_volatile() }
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.page.as_ptr().cast(), PAGE) };
    }
}

fn is_here(counter: Counter) -> bool {
    match counter {
        Counter::Tsc => cfg!(target_arch = "x86_64"),
        Counter::ArmVirtual => cfg!(target_arch = "aarch64"),
        Counter::Other(_) => false,
    }
}

#[cfg(target_arch = "x86_64")]
fn counter() -> u64 {
    // SAFETY: every x86-64 CPU has LFENCE; it keeps the counter from being read early.
    unsafe { core::arch::x86_64::_mm_lfence() };
    // SAFETY: every x86-64 CPU has RDTSC, and Linux leaves it to user space by default.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "aarch64")]
fn counter() -> u64 {
    let value: u64;
    // SAFETY: reads a register that Linux leaves to user space; nothing else changes.
    unsafe {
        core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nomem, nostack))
    };
    value
}

/// Other CPUs have no counter that the page can speak of; the clock is refused when opened.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn counter() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// UTC was 1.8e9 s and a half when the counter showed 1000; it counts 2^30 a second.
    fn page(edit: impl FnOnce(&mut [u8; LENGTH])) -> [u8; LENGTH] {
        let mut page = [0; LENGTH];
        let mut put = |at: usize, octets: &[u8]| {
            page[at..at + octets.len()].copy_from_slice(octets);
        };
        put(0, &MAGIC.to_le_bytes());
        put(4, &4096_u32.to_le_bytes());
        put(8, &1_u16.to_le_bytes());
        put(0x0a, &[1, 0]);
        put(0x10, &77_u64.to_le_bytes());
        put(0x18, &0b101_0001_u64.to_le_bytes());
        put(0x22, &[2]);
        put(0x24, &37_u16.to_le_bytes());
        put(0x27, &[20]);
        put(0x28, &1000_u64.to_le_bytes());
        put(0x30, &(1_u64 << 54).to_le_bytes());
        put(0x40, &(1_u64 << 34).to_le_bytes());
        put(0x48, &1_800_000_000_u64.to_le_bytes());
        put(0x50, &(1_u64 << 63).to_le_bytes());
        put(0x60, &250_u64.to_le_bytes());
        edit(&mut page);
        page
    }

    #[test]
    fn the_time_is_that_of_the_counter() {
        let state = State::parse(&page(|_| {})).unwrap();
        assert_eq!(state.counter, Counter::Tsc);
        assert_eq!(state.time_type, TimeType::Utc);
        assert_eq!(state.status, ClockStatus::Synchronized);
        assert_eq!((state.disruption_marker, state.tai_offset), (77, Some(37)));
        assert_eq!(state.estimated_error, None);
        let half = Duration::from_millis(1_800_000_000_500);
        assert_eq!(state.time_at(1000), half);
        assert_eq!(
            state.time_at(1000 + (1 << 30)),
            half + Duration::from_secs(1)
        );
        // 2^-20 of what is counted, and 250 ns at the start.
        let bound = state.max_error_at(1000 + (1 << 30)).unwrap();
        assert!((bound.as_nanos() - 250 - 954).abs() <= 1, "{bound:?}");
    }

    #[test]
    fn what_is_no_such_clock_is_refused() {
        assert_eq!(State::parse(&[0; LENGTH]), Err(Malformed::NoClock));
        let short = page(|page| page[4..8].copy_from_slice(&64_u32.to_le_bytes()));
        assert_eq!(State::parse(&short), Err(Malformed::NoClock));
        let newer = page(|page| page[8] = 2);
        assert_eq!(State::parse(&newer), Err(Malformed::Version(2)));
    }

    /// A file can be mapped like the device.
    fn file(name: &str, page: &[u8; LENGTH]) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("vmclock-{name}-{}", std::process::id()));
        let mut whole = vec![0; PAGE];
        whole[..LENGTH].copy_from_slice(page);
        std::fs::write(&path, whole).unwrap();
        path
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_mapped_page_is_read_with_the_counter() {
        let path = file("good", &page(|_| {}));
        let device = Device::open(&path).unwrap();
        let (one, two) = (device.read().unwrap(), device.read().unwrap());
        assert!(one.before <= one.after && one.after <= two.before);
        assert!(two.counter > one.counter);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_page_that_is_always_being_written_is_given_up() {
        let path = file("busy", &page(|page| page[SEQUENCE_AT] = 1));
        let error = Device::open(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_counter_of_another_cpu_is_refused() {
        let path = file("other", &page(|page| page[0x0a] = 0xff));
        let error = Device::open(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        std::fs::remove_file(path).unwrap();
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed_and_asked(
            octets in prop::collection::vec(any::<u8>(), LENGTH),
            valid in any::<bool>(),
            counter in any::<u64>(),
        ) {
            let mut page = [0; LENGTH];
            page.copy_from_slice(&octets);
            if valid {
                page[..4].copy_from_slice(&MAGIC.to_le_bytes());
                page[4..8].copy_from_slice(&4096_u32.to_le_bytes());
                page[8..10].copy_from_slice(&1_u16.to_le_bytes());
            }
            if let Ok(state) = State::parse(&page) {
                prop_assert!(!state.time_at(counter).is_negative());
                let _ = state.max_error_at(counter);
            } else {
                prop_assert!(!valid);
            }
        }

        #[test]
        fn time_follows_the_counter(counts in 0_u64..1 << 50) {
            let state = State::parse(&page(|_| {})).unwrap();
            let elapsed = state.time_at(1000 + counts) - state.time_at(1000);
            let expected = counts as f64 / f64::from(1 << 30);
            prop_assert!((elapsed.as_secs_f64() - expected).abs() < 1e-9);
        }
    }
}
