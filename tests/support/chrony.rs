//! A real chronyd as a peer. It never touches the host's clock (`-x`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::directory::Directory;
use super::network::Host;
use super::process::Process;
use super::wait::wait_for;

/// A running chronyd.
#[derive(Debug)]
pub(crate) struct Chronyd {
    /// Runs as long as this is kept.
    _process: Process,
    socket: PathBuf,
}

impl Chronyd {
    /// Starts one on `host` with these lines of configuration, and waits until it answers
    /// chronyc. Its files are in `directory`, below `name`.
    #[track_caller]
    pub(crate) fn start(
        host: &Host,
        directory: &Directory,
        name: &str,
        configuration: &str,
    ) -> Self {
        // chronyd makes the socket's directory itself, with the permissions it insists on.
        let socket = directory.path(&format!("{name}-run")).join("chronyd.sock");
        let pid = directory.path(&format!("{name}.pid"));
        let file = directory.write(
            &format!("{name}.conf"),
            &format!(
                "{configuration}\nbindcmdaddress {}\ncmdport 0\npidfile {}\n",
                socket.display(),
                pid.display()
            ),
        );
        let mut command = host.command(&program("usr/sbin/chronyd"));
        command.args(["-x", "-d", "-u", "root", "-f"]).arg(file);
        let mut process =
            Process::start(name, &mut command, &directory.path(&format!("{name}.log")));
        wait_for("chronyd to answer", Duration::from_secs(10), || {
            if let Some(status) = process.ended() {
                panic!("{name} ended at once: {status}");
            }
            chronyc(&socket, "tracking")
        });
        Self {
            _process: process,
            socket,
        }
    }

    /// What chronyc prints when given this command.
    #[track_caller]
    pub(crate) fn ask(&self, command: &str) -> String {
        chronyc(&self.socket, command).unwrap_or_else(|error| panic!("chronyc {command}: {error}"))
    }
}

fn chronyc(socket: &Path, command: &str) -> Result<String, String> {
    let output = Command::new(program("usr/bin/chronyc"))
        .arg("-h")
        .arg(socket)
        .arg("-n")
        .args(command.split_whitespace())
        .output()
        .map_err(|error| format!("{error} (`make deps` brings chrony)"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text)
    }
}

/// A program of Debian's package chrony, where `make deps` unpacks it, else wherever the PATH
/// has it.
fn program(path: &str) -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/peers/chrony")
        .join(path);
    if unpacked.exists() {
        return unpacked;
    }
    Path::new(path)
        .file_name()
        .map_or_else(|| PathBuf::from(path), PathBuf::from)
}
