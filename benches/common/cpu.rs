//! CPU time of other processes.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::time::TimeValLike as _;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// What a process and all its descendants have spent, each. Threads that have ended count.
#[derive(Debug)]
pub(crate) struct CpuClocks(BTreeMap<u32, i64>);

impl CpuClocks {
    /// What they have spent so far.
    pub(crate) fn of(process: u32) -> Self {
        let parents = parents();
        let mut family = vec![process];
        let mut at = 0;
        while let Some(parent) = family.get(at).copied() {
            let children = parents.iter().filter(|(_, of)| **of == parent);
            family.extend(children.map(|(child, _)| *child));
            at += 1;
        }
        Self(family.into_iter().map(|id| (id, cpu_ns(id))).collect())
    }

    /// What they have spent since, us. None of them may have ended: what it spent could not be known.
    pub(crate) fn since_us(&self, before: &Self) -> f64 {
        let gone = before.0.keys().find(|id| !self.0.contains_key(id));
        assert_eq!(gone, None, "a process ended while it was measured");
        let spent = |(id, now): (&u32, &i64)| now - before.0.get(id).unwrap_or(&0);
        self.0.iter().map(spent).sum::<i64>() as f64 * 1e-3
    }
}

/// The kernel counts it to the nanosecond, softirqs that a process was interrupted by included.
fn cpu_ns(process: u32) -> i64 {
    let id = Pid::from_raw(process.try_into().expect("a process id"));
    let clock = clock_getcpuclockid(id)
        .unwrap_or_else(|error| panic!("process {process} does not run any more: {error}"));
    let spent = clock_gettime(clock);
    spent
        .expect("read the clock of a process")
        .num_nanoseconds()
}

/// The parents of all processes.
fn parents() -> BTreeMap<u32, u32> {
    let processes = fs::read_dir("/proc").expect("read /proc").flatten();
    processes
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name, in parentheses, may hold spaces; the state comes next, then the parent.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
            Some((id, parent.parse().ok()?))
        })
        .collect()
}
