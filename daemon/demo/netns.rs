//! Network namespaces without a name: held by an open file, gone with the last process.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Stdio;

use nix::sched::{CloneFlags, setns, unshare};

/// A network of its own, with no interface but an unconfigured loopback.
///
/// It exists as long as this value, or a process in it, does. There is no file or name that
/// could be left behind.
#[derive(Debug)]
pub(super) struct NetworkNamespace {
    handle: File,
}

impl NetworkNamespace {
    /// Makes a new one. The calling thread stays in the namespace it is in.
    pub(super) fn new() -> io::Result<Self> {
        let handle = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        })?;
        Ok(Self { handle })
    }

    /// Does `work` inside of it, on a thread that ends with the work.
    ///
    /// A namespace belongs to a thread: going in on a passing one means that nobody has to find
    /// the way back, for which a process without privilege would lack the right.
    pub(super) fn inside<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        on_a_thread(|| {
            enter(self.as_fd())?;
            work()
        })
    }

    /// As the standard input of a child, which is how [`super::launch`] is handed its namespace.
    pub(super) fn as_stdin(&self) -> io::Result<Stdio> {
        Ok(self.handle.try_clone()?.into())
    }
}

impl AsFd for NetworkNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Moves the calling thread into a network namespace, for good.
pub(super) fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?)
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        scope
            .spawn(work)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
