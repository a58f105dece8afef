//! Networks of a test: namespaces that no one else sees, joined by virtual cables.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::unistd::Uid;

use super::directory::Directory;
use super::process::Process;
use super::wait::wait_for;

/// How long making a namespace may take.
const MADE_WITHIN: Duration = Duration::from_secs(10);

/// Where hosts can be made: for root, anywhere; for others, in a user namespace of their own.
#[derive(Debug)]
pub(crate) struct Network {
    directory: Directory,
    /// Holds the user namespace, where one is needed.
    user: Option<Process>,
}

impl Network {
    /// An empty network.
    pub(crate) fn new() -> Self {
        let directory = Directory::new();
        let user = (!Uid::effective().is_root()).then(|| {
            let mut command = Command::new("setpriv");
            command.args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--user",
                "--map-root-user",
            ]);
            hold(
                "a user namespace (to run these tests as root works as well)",
                &mut command,
                "user",
                &directory,
            )
        });
        Self { directory, user }
    }

    /// A new host in it, with nothing but a loopback interface.
    pub(crate) fn host(&self, name: &str) -> Host {
        self.make_host(name, &["--net"], &["--net"])
    }

    /// The same with shared memory of its own, which goes with it.
    pub(crate) fn host_with_memory(&self, name: &str) -> Host {
        self.make_host(name, &["--net", "--ipc"], &["--net", "--ipc"])
    }

    /// The same with a `/run` of its own as well, empty at first. What runs on it starts in the root
    /// directory.
    pub(crate) fn host_with_memory_and_run(&self, name: &str) -> Host {
        let mount = "mount -t tmpfs none /run && exec \"$@\"";
        self.make_host(
            name,
            &["--net", "--ipc", "--mount", "--", "sh", "-c", mount, "sh"],
            &["--net", "--ipc", "--mount"],
        )
    }

    /// The same with names that only this host knows: the text is its `/etc/hosts`. What runs on
    /// it starts in the root directory.
    pub(crate) fn host_with_names(&self, name: &str, hosts: &str) -> Host {
        let file = self.directory.write(&format!("hosts-{name}"), hosts);
        let file = file.to_str().expect("a path in /tmp");
        let mount = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        self.make_host(
            name,
            &["--net", "--mount", "--", "sh", "-c", mount, file],
            &["--net", "--mount"],
        )
    }

    /// `unshare` are the arguments of the program that makes the host's namespaces, `enter` those
    /// of the one that enters them.
    fn make_host(&self, name: &str, unshare: &[&str], enter: &[&'static str]) -> Host {
        let mut command = self.command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(unshare);
        let holder = hold(
            &format!("the network namespace {name}"),
            &mut command,
            "net",
            &self.directory,
        );
        let host = Host {
            name: name.to_owned(),
            entrance: self.user_entrance(),
            namespaces: enter.to_vec(),
            holder,
        };
        host.ip("link set lo up");
        host
    }

    fn user_entrance(&self) -> Vec<String> {
        self.user.as_ref().map_or_else(Vec::new, |user| {
            let target = user.id().to_string();
            [
                "nsenter",
                "--user",
                "--preserve-credentials",
                "--target",
                &target,
                "--",
            ]
            .map(str::to_owned)
            .to_vec()
        })
    }

    fn command(&self, program: &str) -> Command {
        enter(self.user_entrance(), Path::new(program))
    }
}

/// A host: a network namespace.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    entrance: Vec<String>,
    /// What `nsenter` is told to enter.
    namespaces: Vec<&'static str>,
    holder: Process,
}

impl Host {
    /// Its name, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `program` on this host. It is killed with the thread that starts it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let target = self.holder.id().to_string();
        let mut entrance = self.entrance.clone();
        entrance.push("nsenter".to_owned());
        entrance.extend(self.namespaces.iter().copied().map(str::to_owned));
        entrance.extend(
            [
                "--target",
                &target,
                "--",
                "setpriv",
                "--pdeathsig",
                "KILL",
                "--",
            ]
            .map(str::to_owned),
        );
        enter(entrance, program)
    }

    /// Runs `ip` on this host with these arguments.
    #[track_caller]
    pub(crate) fn ip(&self, arguments: &str) {
        let output = self
            .command(&ip_program())
            .args(arguments.split_whitespace())
            .output()
            .expect("run ip (of Debian's package iproute2: `make deps`)");
        assert!(
            output.status.success(),
            "ip {arguments} on {}: {}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Joins this host and another by a cable between these two new interfaces, both up.
    pub(crate) fn cable(&self, interface: &str, other: (&Host, &str)) {
        self.ip(&format!(
            "link add name {} type veth peer name {} netns {}",
            interface,
            other.1,
            other.0.holder.id()
        ));
        for (host, interface) in [(self, interface), other] {
            host.ip(&format!("link set {interface} up"));
        }
    }

    /// Gives an interface an address, `10.0.0.1/24` or `fd00::1/64`, usable at once.
    pub(crate) fn address(&self, interface: &str, address: &str) {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        self.ip(&format!("address add {address} dev {interface}{nodad}"));
    }
}

/// Where `ip` is also for users whose PATH lacks the system's programs.
fn ip_program() -> PathBuf {
    ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("ip"))
}

fn enter(entrance: Vec<String>, program: &Path) -> Command {
    let mut words = entrance.into_iter();
    match words.next() {
        None => Command::new(program),
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(program);
            command
        }
    }
}

/// Starts a process that holds the namespace `kind` which `command` makes, and waits until it is
/// there.
fn hold(what: &str, command: &mut Command, kind: &str, directory: &Directory) -> Process {
    command.args(["sleep", "infinity"]).stdin(Stdio::null());
    let log = directory.path(&format!("holder-{kind}"));
    let mut process = Process::start(what, command, &log);
    let own = fs::read_link(format!("/proc/self/ns/{kind}")).expect("read /proc");
    let path = format!("/proc/{}/ns/{kind}", process.id());
    wait_for(what, MADE_WITHIN, || {
        if let Some(status) = process.ended() {
            panic!("cannot make {what}: {status}: {}", process.log());
        }
        match fs::read_link(&path) {
            Ok(there) if there != own && sleeping(process.id()) => Ok(()),
            _ => Err("not there yet"),
        }
    });
    process
}

/// Has the process become `sleep`? Before that, a user namespace has no user map yet.
fn sleeping(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "sleep")
}
