//! What no right clock shows less than.

use clockwright_timebase::{Timestamp, Utc};

use super::EARLIEST;

/// When this program was built, by the clock of whoever built it.
pub const BUILT: Timestamp<Utc> = match i64::from_str_radix(env!("CLOCKWRIGHT_BUILT"), 10) {
    Ok(seconds) => Timestamp::from_timespec(seconds, 0),
    Err(_) => EARLIEST,
};

/// The latest instant that is surely past: the program had been built, and if it has run before,
/// it was the time that was `saved` then.
pub fn lower_bound(saved: Option<Timestamp<Utc>>) -> Timestamp<Utc> {
    saved.unwrap_or(EARLIEST).max(BUILT).max(EARLIEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_sys::clock::realtime_now;
    use clockwright_timebase::Duration;

    #[test]
    fn the_program_was_built_in_the_past() {
        assert!(BUILT > Timestamp::EPOCH && BUILT <= realtime_now());
    }

    #[test]
    fn the_latest_of_what_is_known_counts() {
        let least = lower_bound(None);
        assert!(least >= BUILT && least >= EARLIEST);
        let day = Duration::from_secs(86_400);
        assert_eq!(lower_bound(Some(least + day)), least + day);
        assert_eq!(lower_bound(Some(least - day)), least);
    }
}
