//! Leap seconds that a real kernel makes, or that a real clock gets over otherwise: the guest's clock is
//! set to shortly before one, and the reference server announces and makes it.
//!
//! True time goes on evenly, and what is called an error is that against UTC as POSIX counts it.

use serde_json::{Value, json};

use crate::guest::{Drivers, run};
use crate::record::{Record, Sample};
use crate::scene::{ONE_SOURCE, RIGHT_NS, client, clockwright, steered};

/// The end of 2030, s since 1970.
const END_OF_2030: i64 = 1_924_992_000;
/// The end of 2037, in the second era of NTP and the last day but 18 of 32-bit seconds.
const END_OF_2037: i64 = 2_145_916_800;
/// Where the leap second is in most cases, s: between two looks, as a kernel notices it at its next tick.
const AT_S: f64 = 12.1;
/// When the clock has settled before that.
const BEFORE_S: f64 = 8.0;
/// When a kernel that was told nothing before the start knows that TAI is 37 s ahead.
const TELL_TAI: &str =
    "cd $LAB/guest && python3 -c 'import lab; lab.adjtimex(modes=0x80, constant=37)'";

/// A leap second at the end of the day that ends at `day_ends`, at `at` in the case.
#[derive(Clone, Copy)]
struct Leap {
    day_ends: i64,
    inserted: bool,
    at: f64,
}

impl Leap {
    /// The reference server, which announces and makes it.
    fn server(self) -> Value {
        let signed = if self.inserted {
            self.day_ends
        } else {
            -self.day_ends
        };
        json!({
            "name": "server", "in": 0, "program": "refntp",
            "arguments": ["-l", signed.to_string(), "hwt0"],
        })
    }

    /// As the case has it, with a list or without.
    fn described(self, with_list: bool) -> Value {
        let mut leap = json!({
            "day_ends": self.day_ends, "inserted": self.inserted, "at": self.at,
        });
        if with_list {
            leap["tai"] = json!([37, if self.inserted { 38 } else { 36 }]);
        }
        leap
    }
}

/// What is configured: the mode, and the list of the case or whatever the machine has, which is expired.
fn config(mode: &str, with_list: bool) -> String {
    let list = if with_list {
        "/run/leap-seconds.list"
    } else {
        "/run/no-such-list"
    };
    format!(
        "{ONE_SOURCE}[clock]\nleap = \"{mode}\"\nleap_list = \"{list}\"\nmax_slew = \"95000ppm\"\n"
    )
}

/// A clock that gets over a leap second in this way.
fn over(name: &str, mode: &str, leap: Leap, with_list: bool, seconds: f64) -> Record {
    // Before and after the kernel's tick in which it makes the second, 4 ms at most.
    let looks = [0.0005, 0.001, 0.002, 0.003, 0.005]
        .map(|after| json!({ "at": leap.at + after, "do": ["kernel"] }));
    let case = steered(json!({
        "leap": leap.described(with_list),
        "before": if with_list { json!([]) } else { json!([TELL_TAI]) },
        "daemons": [leap.server(), client(&config(mode, with_list))],
        "events": looks,
        "seconds": seconds,
    }));
    run(name, Drivers::Lab, case)
}

/// The kernel at a look: what it is ordered, where it is, TAI - UTC.
fn kernel(sample: &Sample) -> (&str, &str, i64) {
    let kernel = sample.kernel();
    let text = |key: &str| kernel[key].as_str().unwrap_or_default();
    let tai = kernel["tai_offset_s"].as_i64().unwrap_or_default();
    (text("leap"), text("state"), tai)
}

/// The kernel was so at every look from one second to another.
#[track_caller]
fn assert_kernel(record: &Record, from: f64, to: f64, expected: (&str, &str, i64)) {
    let mut looks = 0;
    for sample in record.between(from, to) {
        looks += 1;
        assert_eq!(kernel(sample), expected, "at {:.2} s", sample.t);
    }
    assert!(looks > 0, "no look between {from} and {to} s");
}

/// The clock was synchronised and right all the time, every sample was taken for what it was, and nobody
/// was warned.
#[track_caller]
fn assert_nothing_wrong(record: &Record, leap: Leap, steps: u64) {
    record.assert_claims_hold("client");
    record.assert_synchronized("client", 1.0, f64::INFINITY);
    record.assert_right(RIGHT_NS, BEFORE_S, f64::INFINITY);
    assert_samples_count(record);
    assert_told_once(record, leap);
    let last = record.samples.last().and_then(|last| last.status("client"));
    let last = last.expect("a status at the end");
    assert_eq!((last.steps, last.disruptions), (steps, 0));
}

/// No sample was refused or suspected.
#[track_caller]
fn assert_samples_count(record: &Record) {
    let log = &record.log["client"];
    let samples = log.lines().filter(|line| line.contains(" sample: "));
    let counts = |line: &&str| line.contains("Accepted") || line.contains("(First)");
    let (good, bad): (Vec<_>, Vec<_>) = samples.partition(counts);
    assert!(good.len() > 12 && bad.is_empty(), "{bad:#?}");
}

#[track_caller]
fn assert_told_once(record: &Record, leap: Leap) {
    let what = if leap.inserted {
        "a leap second is inserted before"
    } else {
        "a leap second is left out before"
    };
    assert_eq!(record.told("client", what).len(), 1);
    let warnings = record.warnings("client");
    let others = warnings.iter().filter(|it| !it.contains("no-such-list"));
    assert_eq!(others.count(), 0, "{warnings:#?}");
}

#[test]
fn the_kernel_inserts_a_second_of_the_list() {
    let leap = Leap {
        day_ends: END_OF_2030,
        inserted: true,
        at: AT_S,
    };
    let record = over("leap-kernel", "kernel", leap, true, 20.0);
    assert_nothing_wrong(&record, leap, 0);
    assert_kernel(&record, 3.0, AT_S, ("insert", "insert", 37));
    assert_kernel(&record, AT_S, AT_S + 1.0, ("insert", "in progress", 38));
    // What is over is ordered no more.
    assert_kernel(&record, AT_S + 4.0, f64::INFINITY, ("none", "ok", 38));
    for event in &record.events {
        assert_eq!(event.result["tai_offset_s"], 38, "at {:.4} s", event.t);
    }
    let set = record.told(
        "client",
        "a leap second: the system clock was set by -1.00 s",
    );
    assert_eq!(set.len(), 1);
}

#[test]
fn the_kernel_leaves_a_second_out() {
    let leap = Leap {
        day_ends: END_OF_2030,
        inserted: false,
        at: AT_S,
    };
    let record = over("leap-deleted", "kernel", leap, true, 20.0);
    assert_nothing_wrong(&record, leap, 0);
    assert_kernel(&record, 3.0, AT_S, ("delete", "delete", 37));
    assert_kernel(&record, AT_S + 4.0, f64::INFINITY, ("none", "ok", 36));
    for event in &record.events {
        assert_eq!(event.result["tai_offset_s"], 36, "at {:.4} s", event.t);
    }
}

#[test]
fn the_daemon_steps_a_second_that_its_sources_announce() {
    let leap = Leap {
        day_ends: END_OF_2037,
        inserted: true,
        at: AT_S,
    };
    let record = over("leap-step", "step", leap, false, 20.0);
    assert_nothing_wrong(&record, leap, 1);
    // No list says what TAI is now; the kernel knew what it was before.
    assert_kernel(&record, 3.0, AT_S, ("none", "ok", 37));
    assert_kernel(&record, AT_S, f64::INFINITY, ("none", "ok", 38));
}

#[test]
fn a_slewed_second_is_within_the_bound_until_it_is_gone() {
    let leap = Leap {
        day_ends: END_OF_2037,
        inserted: true,
        at: AT_S,
    };
    let record = over("leap-slew", "slew", leap, false, 30.0);
    record.assert_claims_hold("client");
    record.assert_synchronized("client", 1.0, f64::INFINITY);
    record.assert_right(RIGHT_NS, BEFORE_S, AT_S);
    // 11 s at 95 000 ppm.
    let worst = record.worst_error_ns(AT_S, AT_S + 0.5);
    assert!((0.95e9..1.001e9).contains(&worst), "{worst}");
    record.assert_right(RIGHT_NS, AT_S + 14.0, f64::INFINITY);
    let steps = record.samples.last().and_then(|last| last.status("client"));
    assert_eq!(steps.map(|status| status.steps), Some(0));
    assert_samples_count(&record);
    assert_told_once(&record, leap);
    assert_kernel(&record, 3.0, AT_S, ("none", "ok", 37));
    assert_kernel(&record, AT_S, f64::INFINITY, ("none", "ok", 38));
}

#[test]
fn a_second_that_is_ignored_is_slewed_once_the_sources_have_made_it() {
    let leap = Leap {
        day_ends: END_OF_2030,
        inserted: true,
        at: AT_S,
    };
    let record = over("leap-ignore", "ignore", leap, true, 30.0);
    record.assert_right(RIGHT_NS, BEFORE_S, AT_S);
    record.assert_right(RIGHT_NS, AT_S + 15.0, f64::INFINITY);
    for sample in record.between(3.0, f64::INFINITY) {
        assert_eq!(kernel(sample).0, "none", "at {:.2} s", sample.t);
    }
    let last = record.samples.last().and_then(|last| last.status("client"));
    assert!(last.is_some_and(|last| last.synchronized && last.steps == 0));
}

/// What happens to the kernel's order on the day, in the course of one case, s.
mod course {
    /// Another program sets the clock, and the kernel forgets when the second was to be.
    pub(super) const SET: f64 = 4.05;
    /// The daemon ends, ...
    pub(super) const ENDED: f64 = 9.05;
    /// ... comes back, ...
    pub(super) const BACK: f64 = 11.05;
    /// ... is told to slew, ...
    pub(super) const SLEW: f64 = 15.05;
    /// ... and to let the kernel do it.
    pub(super) const KERNEL: f64 = 17.05;
    /// It ends, and one that slews comes and goes.
    pub(super) const CHANGED: f64 = 19.05;
    pub(super) const SLEWER: f64 = 20.05;
    pub(super) const SLEWER_ENDED: f64 = 23.05;
    /// The first one is back, ends, and starts again in the very last moment.
    pub(super) const AGAIN: f64 = 24.05;
    pub(super) const LATE_END: f64 = 28.05;
    pub(super) const LATE: f64 = 29.8;
    pub(super) const LEAP: f64 = 30.1;
}

/// Tells a running daemon another mode.
fn told(mode: &str) -> Value {
    json!([
        "run",
        format!(
            "sed -i 's/^leap = .*/leap = \"{mode}\"/' /run/client.conf; kill -HUP $(pgrep -x clockwright)"
        )
    ])
}

#[test]
fn the_kernels_order_outlives_the_daemon_and_only_where_it_is_wanted() {
    let leap = Leap {
        day_ends: END_OF_2030,
        inserted: true,
        at: course::LEAP,
    };
    let mut slewer = clockwright("slewer", 1, &config("slew", true), &[]);
    slewer["at"] = json!(course::SLEWER);
    let events: Vec<_> = [
        (course::SET, json!(["step clock", 0.001])),
        (course::ENDED, json!(["end", "client"])),
        (course::BACK, json!(["start", "client"])),
        (course::SLEW, told("slew")),
        (course::KERNEL, told("kernel")),
        (course::CHANGED, json!(["end", "client"])),
        (course::SLEWER_ENDED, json!(["end", "slewer"])),
        (course::AGAIN, json!(["start", "client"])),
        (course::LATE_END, json!(["end", "client"])),
        (course::LATE, json!(["start", "client"])),
    ]
    .into_iter()
    .map(|(at, what)| json!({ "at": at, "do": what }))
    .collect();
    let record = run(
        "leap-orders",
        Drivers::Lab,
        steered(json!({
            "leap": leap.described(true),
            "daemons": [leap.server(), client(&config("kernel", true)), slewer],
            "events": events,
            "seconds": 39,
        })),
    );
    let assert_order = |from: f64, to: f64, order: &str| {
        let looks: Vec<_> = record.between(from + 0.1, to).collect();
        assert!(!looks.is_empty(), "no look between {from} and {to} s");
        for sample in looks {
            assert_eq!(kernel(sample).0, order, "at {:.2} s", sample.t);
        }
    };
    assert_order(2.0, course::SET, "insert");
    // Taken back for a while, and given again.
    assert_order(course::SET, course::SET + 1.0, "none");
    assert_order(course::SET + 3.0, course::SLEW, "insert");
    assert_order(course::SLEW, course::KERNEL, "none");
    assert_order(course::KERNEL, course::SLEWER, "insert");
    assert_order(course::SLEWER + 0.2, course::AGAIN, "none");
    assert_order(course::AGAIN + 2.0, course::LEAP, "insert");
    // The kernel makes it, with nobody synchronised to see to it, and it is not made again.
    for sample in record.between(course::LEAP + 0.05, f64::INFINITY) {
        assert_eq!(kernel(sample).2, 38, "TAI - UTC at {:.2} s", sample.t);
    }
    assert_order(course::LEAP + 4.0, f64::INFINITY, "none");
    record.assert_claims_hold("client");
    record.assert_right(20_000.0, 1.5, course::SET);
    // Nothing is done for the leap second by a daemon that ends, whatever its mode.
    record.assert_right(20_000.0, course::SET + 2.0, course::LEAP);
    record.assert_right(RIGHT_NS, course::LEAP + 6.0, f64::INFINITY);
    let last = record.samples.last().and_then(|last| last.status("client"));
    assert_eq!(last.map(|last| last.steps), Some(0));
}
