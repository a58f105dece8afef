//! The bound contains the truth in worlds drawn at random: ten million looks in all.
//!
//! `CONTAINMENT_SCALE=20 cargo test -p clockwright-sim --test worlds_at_random` looks at twenty times
//! as many worlds. A world in which the bound was broken is written to a file that
//! `clockwright sim` can run.

use crate::looking::{assert_contained, scale};

mod looking;
mod worlds;

/// Looks that the tests of this file make, one scale with another.
const LOOKS: u64 = 10_000_000;
#[test]
fn the_bound_holds_in_worlds_drawn_at_random() {
    let worlds: Vec<_> = (1..=100 * scale())
        .map(|n| worlds::world(u64::from(n), false))
        .collect();
    let looks = assert_contained("worlds", &worlds);
    println!("{looks} looks");
    assert!(looks >= LOOKS * u64::from(scale()), "only {looks} looks");
}

#[test]
fn the_bound_holds_in_worlds_with_attackers_who_delay() {
    let worlds: Vec<_> = (1..=25 * scale())
        .map(|n| worlds::world(u64::from(n), true))
        .collect();
    let looks = assert_contained("worlds with attackers", &worlds);
    println!("{looks} looks");
}
