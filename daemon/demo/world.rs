//! The demo's private world: a mount namespace, and a user namespace where not root.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

/// Where the demo keeps its files: a file system in memory that only the demo's processes see,
/// and that goes when the last of them does, however it ends.
pub(super) const DIRECTORY: &str = "/tmp";

/// Why there is no private world on this machine.
#[derive(Debug)]
pub(super) enum WorldError {
    /// The kernel allows namespaces neither to this user nor through a user namespace.
    NotAllowed {
        /// What it said to the user directly.
        direct: Errno,
        /// What it said inside or about a user namespace.
        through_user_namespace: io::Error,
    },
    /// Anything else, with what was being done.
    Failed(&'static str, io::Error),
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed {
                direct,
                through_user_namespace,
            } => write!(
                f,
                "this machine does not let the demo make its private network.\n\
                 tried: namespaces as uid {}: {}\n\
                 tried: namespaces inside a user namespace: {through_user_namespace}\n\
                 what to do, any one of:\n  \
                 run it as root: sudo clockwright demo\n  \
                 allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 (Debian), \
                 kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), \
                 user.max_user_namespaces=1000 (elsewhere)\n  \
                 in a container: give it CAP_SYS_ADMIN",
                Uid::current(),
                direct.desc()
            ),
            Self::Failed(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for WorldError {}

/// Moves this process, which must have a single thread, into a world of its own.
///
/// Afterwards it may make network namespaces, and [`DIRECTORY`] is empty and private. Mounts
/// made from here on are not seen outside.
pub(super) fn enter() -> Result<(), WorldError> {
    match unshare(CloneFlags::CLONE_NEWNS) {
        Ok(()) => private_directory().map_err(|error| WorldError::Failed("mount", error)),
        Err(direct @ (Errno::EPERM | Errno::EACCES)) => {
            enter_through_user_namespace().map_err(|through_user_namespace| {
                WorldError::NotAllowed {
                    direct,
                    through_user_namespace,
                }
            })
        }
        Err(other) => Err(WorldError::Failed("unshare", other.into())),
    }
}

/// The way for an ordinary user: become root of a user namespace in which only this user exists.
fn enter_through_user_namespace() -> io::Result<()> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    // user_namespaces(7): without privilege outside, groups must be given up before the map.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    private_directory()
}

fn private_directory() -> io::Result<()> {
    let nothing: Option<&Path> = None;
    mount(
        nothing,
        "/",
        nothing,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        nothing,
    )?;
    mount(
        Some("tmpfs"),
        DIRECTORY,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some("mode=0700,size=16m"),
    )?;
    Ok(())
}
