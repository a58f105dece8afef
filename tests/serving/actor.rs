//! Parts of a test that have to be on one of its hosts: this program once more, which there runs one
//! of its ignored tests.

use std::env;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::support::directory::Directory;
use crate::support::network::Host;
use crate::support::process::Process;

/// Where the part finds what it is to do.
const TASK: &str = "CLOCKWRIGHT_TEST_TASK";
/// What begins the line that says what it found.
const FOUND: &str = "found: ";
/// How long one may take.
const ENDS_WITHIN: Duration = Duration::from_secs(150);

/// Starts `part`, the path of an ignored test, on `host`.
pub(crate) fn start(
    host: &Host,
    directory: &Directory,
    part: &str,
    task: &impl Serialize,
) -> Process {
    let mut command = host.command(&env::current_exe().expect("know this program's file"));
    command.args(["--exact", part, "--ignored", "--nocapture"]);
    command.env(TASK, serde_json::to_string(task).expect("a task"));
    let log = directory.path(&format!("{}.log", part.replace("::", "-")));
    Process::start(part, &mut command, &log)
}

/// The same; waits for its end, and gives what it found.
#[track_caller]
pub(crate) fn run<R: DeserializeOwned>(
    host: &Host,
    directory: &Directory,
    part: &str,
    task: &impl Serialize,
) -> R {
    end(&mut start(host, directory, part, task))
}

/// Waits for the end of one that was started, and gives what it found.
#[track_caller]
pub(crate) fn end<R: DeserializeOwned>(part: &mut Process) -> R {
    let status = part.wait(ENDS_WITHIN);
    let log = part.log();
    assert!(status.success(), "{status}: {log}");
    let found = log.lines().find_map(|line| line.strip_prefix(FOUND));
    let found = found.unwrap_or_else(|| panic!("it found nothing: {log}"));
    serde_json::from_str(found).expect("what it found")
}

/// In such a part: what to do.
pub(crate) fn task<T: DeserializeOwned>() -> T {
    let task = env::var(TASK).expect("something to do: other tests start this one");
    serde_json::from_str(&task).expect("a task")
}

/// In such a part: what was found, which is said once.
#[expect(
    clippy::print_stdout,
    reason = "the test that has started it reads that"
)]
pub(crate) fn tell(found: &impl Serialize) {
    // The line before belongs to the test program.
    let found = serde_json::to_string(found).expect("something found");
    println!("\n{FOUND}{found}");
}
