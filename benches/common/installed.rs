//! Our daemon as it is installed: the tests' one says more in its log.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::daemon::CLOCKWRIGHT;
use crate::support::directory::Directory;
use crate::support::network::Host;
use crate::support::process::Process;
use crate::support::tls::Identity;
use crate::support::wait::wait_for;

/// How long it may take to answer after its start.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Starts it under this name on `host` with this `[server]` and these lines of `[server.nts]` besides where it hands out
/// keys, and waits until it runs.
pub(crate) fn start(
    host: &Host,
    directory: &Directory,
    identity: &Identity,
    name: &str,
    (server, nts): (&str, &str),
) -> Process {
    let state = directory.path(&format!("{name}-state"));
    fs::create_dir(&state).expect("make a state directory");
    let socket = directory.path(&format!("{name}.sock"));
    let configuration = format!(
        "{server}[server.nts]\nlisten = [\"0.0.0.0:4460\"]\ncertificate = \"{}\"\nkey = \"{}\"\n\
         {nts}[state]\ndirectory = \"{}\"\n[control]\nsocket = \"{}\"\n",
        identity.certificate.display(),
        identity.key.display(),
        state.display(),
        socket.display(),
    );
    let file = directory.write(&format!("{name}.toml"), &configuration);
    let mut command = host.command(Path::new(CLOCKWRIGHT));
    command.args(["run", "--no-adjust", "--config"]).arg(file);
    let log = directory.path(&format!("{name}.log"));
    let mut process = Process::start("clockwright", &mut command, &log);
    wait_for("clockwright to run", ANSWERS_WITHIN, || {
        assert!(process.ended().is_none(), "{}", process.log());
        if socket.exists() {
            Ok(())
        } else {
            Err("no control socket")
        }
    });
    process
}
