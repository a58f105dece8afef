//! Less than a CPU for each worker, so that a machine of two has room for two of them and for the
//! generator, which works as hard as they do.

use std::fs;
use std::path::{Path, PathBuf};

/// How often the kernel deals out CPU time, us: so often that no queue runs over meanwhile.
const PERIOD_US: u32 = 4000;
/// Where the first version of control groups limits CPU time, and where the second does.
const GROUPS: [(&str, &str); 2] = [
    ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"),
    ("/sys/fs/cgroup", "cpu.max"),
];

/// A control group with one process; gone when dropped, which is after that process has ended.
pub(crate) struct Share(PathBuf);

impl Share {
    /// Lets this process and all its threads have `cpus` CPUs together, in bursts of milliseconds.
    pub(crate) fn give(process: u32, cpus: f64) -> Self {
        let quota_us = (cpus * f64::from(PERIOD_US)).round();
        let (base, kind) = GROUPS
            .into_iter()
            .find(|(base, _)| Path::new(base).join("cgroup.procs").exists())
            .expect("a control group file system with CPU quotas");
        let group = Path::new(base).join(format!("clockwright-bench-{process}"));
        fs::create_dir(&group).expect("make a control group");
        let write = |file: &str, text: String| {
            fs::write(group.join(file), text).unwrap_or_else(|error| {
                panic!("write {file} of a control group for CPU time: {error}")
            });
        };
        if kind == "cpu.max" {
            write(kind, format!("{quota_us} {PERIOD_US}"));
        } else {
            write("cpu.cfs_period_us", PERIOD_US.to_string());
            write(kind, quota_us.to_string());
        }
        write("cgroup.procs", process.to_string());
        Self(group)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Still there are only processes that outlive the bench, whose fault that is.
        let _ = fs::remove_dir(&self.0);
    }
}
