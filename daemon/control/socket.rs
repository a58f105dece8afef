//! The socket file: made so that never two daemons share it and never a dead one blocks it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Group;

use crate::config::ControlConfig;

/// Owner and group may ask, nobody else.
const MODE: u32 = 0o660;

/// The control socket, bound. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    listener: UnixListener,
    /// Held for as long as the daemon lives; the kernel releases it however the daemon ends.
    _lock: Flock<File>,
}

/// Why there is no control socket.
#[derive(Debug)]
pub enum ControlError {
    /// Another daemon has it.
    InUse {
        /// The socket.
        socket: PathBuf,
        /// That daemon's process id, if it could be read.
        pid: Option<u32>,
    },
    /// Something that is not a socket is at its place.
    NotASocket(PathBuf),
    /// The configured group does not exist.
    NoSuchGroup(String),
    /// The kernel refused a step.
    Io {
        /// What was tried, in words.
        tried: String,
        /// What came back.
        error: io::Error,
    },
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { socket, pid } => {
                write!(f, "another daemon is running on {}", socket.display())?;
                if let Some(pid) = pid {
                    write!(f, " (process {pid})")?;
                }
                f.write_str(
                    "; stop it (systemctl stop clockwright), or give this one its own \
                     control.socket in the configuration",
                )
            }
            Self::NotASocket(path) => write!(
                f,
                "{} exists and is not a socket; remove it, or choose another control.socket",
                path.display()
            ),
            Self::NoSuchGroup(name) => write!(
                f,
                "control.group: there is no group {name} on this host; create it with \
                 `groupadd --system {name}`, or choose another"
            ),
            Self::Io { tried, error } => write!(f, "cannot {tried}: {error}"),
        }
    }
}

impl std::error::Error for ControlError {}

/// For `map_err`: names the step that failed.
fn while_trying(tried: String) -> impl FnOnce(io::Error) -> ControlError {
    move |error| ControlError::Io { tried, error }
}

impl ControlSocket {
    /// Makes the socket: its directory if that is missing, the lock beside it (`*.lock`), the
    /// socket itself with mode 0660 and the configured group. A socket left by a daemon that
    /// died is replaced.
    ///
    /// # Errors
    /// Which step failed and what to do.
    pub fn bind(config: &ControlConfig) -> Result<Self, ControlError> {
        let path = &config.socket;
        let directory = path.parent().unwrap_or(Path::new("/"));
        if !directory.exists() {
            DirBuilder::new()
                .mode(0o755)
                .create(directory)
                .map_err(while_trying(format!("create {}", directory.display())))?;
        }
        let lock = lock(path)?;
        if let Ok(found) = fs::symlink_metadata(path)
            && !found.file_type().is_socket()
        {
            return Err(ControlError::NotASocket(path.clone()));
        }
        // Under another name until its mode is right, then renamed over what a dead daemon left.
        let draft = directory.join(format!(".c{}", std::process::id()));
        let _ = fs::remove_file(&draft);
        let bound = bind_draft(&draft, config).and_then(|listener| {
            fs::rename(&draft, path).map_err(while_trying(format!("make {}", path.display())))?;
            Ok(listener)
        });
        if bound.is_err() {
            let _ = fs::remove_file(&draft);
        }
        Ok(Self {
            path: path.clone(),
            listener: bound?,
            _lock: lock,
        })
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A listener on it for the runtime this is called in.
    pub(super) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // The lock is still held: what is at this path is ours.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes the lock that says that a daemon lives, and writes who holds it.
fn lock(socket: &Path) -> Result<Flock<File>, ControlError> {
    let mut name = socket.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(&name)
        .map_err(while_trying(format!("open {}", name.display())))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            // Only for the message of a second daemon: no reason to fail.
            let _ = lock.set_len(0);
            let _ = lock.rewind();
            let _ = writeln!(lock, "{}", std::process::id());
            Ok(lock)
        }
        Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut holder = String::new();
            let _ = file.take(32).read_to_string(&mut holder);
            Err(ControlError::InUse {
                socket: socket.to_owned(),
                pid: holder.trim().parse().ok(),
            })
        }
        Err((_, error)) => Err(ControlError::Io {
            tried: format!("lock {}", name.display()),
            error: error.into(),
        }),
    }
}

/// A listening socket at `path` with the mode and group it is to have.
fn bind_draft(path: &Path, config: &ControlConfig) -> Result<UnixListener, ControlError> {
    let what = config.socket.display();
    let listener = UnixListener::bind(path).map_err(while_trying(format!("make {what}")))?;
    if let Some(group) = &config.group {
        let found = Group::from_name(group.as_str()).map_err(|error| {
            while_trying(format!("look up group {}", group.as_str()))(error.into())
        })?;
        let Some(found) = found else {
            return Err(ControlError::NoSuchGroup(group.as_str().to_owned()));
        };
        chown(path, None, Some(found.gid.as_raw())).map_err(while_trying(format!(
            "give {what} to group {}",
            group.as_str()
        )))?;
    }
    fs::set_permissions(path, Permissions::from_mode(MODE))
        .map_err(while_trying(format!("set the mode of {what}")))?;
    listener
        .set_nonblocking(true)
        .map_err(while_trying(format!("use {what}")))?;
    Ok(listener)
}
