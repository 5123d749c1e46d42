//! A network namespace that cannot vanish or be exchanged while we hold it: network_namespaces(7).

mod diag;

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

pub use diag::{SocketDiag, SocketEntry, SocketList, SocketState};

use crate::error::{Error, Result};
use crate::link::Links;
use crate::process::Process;
use crate::syscall::checked;

/// A network namespace, held open.
#[derive(Debug)]
pub struct PinnedNetns {
    fd: OwnedFd,
    inode: u64,
}

impl PinnedNetns {
    /// Opens a namespace's file: Docker's `SandboxKey`, `/run/netns/NAME`, `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// When it is gone or no network namespace, or without permission to open it.
    pub fn open(path: &Path) -> Result<Self> {
        // Not blocking, because the path may name a pipe instead.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = file.map_err(|error| {
            let doing = format!("opening the network namespace {}", path.display());
            Error::of(doing, error).needs("CAP_SYS_PTRACE")
        })?;
        Self::check(file)
    }

    /// The namespace that a process is in.
    ///
    /// # Errors
    /// When the process is gone, or without `CAP_SYS_PTRACE`.
    pub fn of_process(process: &Process) -> Result<Self> {
        let fd = process.open_netns().map_err(|error| {
            let doing = format!("opening the network namespace of process {}", process.pid());
            Error::of(doing, error).needs("CAP_SYS_PTRACE")
        })?;
        Self::check(File::from(fd))
    }

    /// The namespace that this thread is in.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn own() -> Result<Self> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// Its inode: the number by which namespaces are compared.
    #[must_use]
    pub const fn inode(&self) -> u64 {
        self.inode
    }

    /// Runs `work` inside, in a thread of its own, so that this thread never leaves its namespace.
    ///
    /// A socket that `work` opens and returns stays in the namespace and works from any thread.
    ///
    /// # Errors
    /// Without `CAP_SYS_ADMIN`, or when no thread can be started.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let enter = || {
            // SAFETY: no pointer is passed; the descriptor is open for the whole call.
            let returned = unsafe { libc::setns(self.fd.as_raw_fd(), libc::CLONE_NEWNET) };
            checked(i64::from(returned)).map_err(|error| {
                Error::of("entering a network namespace", error).needs("CAP_SYS_ADMIN")
            })
        };
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("netns".to_owned())
                .spawn_scoped(scope, move || enter().map(|_| work()))
                .map_err(|error| Error::of("starting a thread for a network namespace", error))?
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Asks about the interfaces inside.
    ///
    /// # Errors
    /// Without `CAP_SYS_ADMIN`.
    pub fn links(&self) -> Result<Links> {
        self.run(Links::open)?
    }

    /// Asks about the sockets inside.
    ///
    /// # Errors
    /// Without `CAP_SYS_ADMIN`.
    pub fn socket_diag(&self) -> Result<SocketDiag> {
        self.run(SocketDiag::open)?
    }

    fn check(file: File) -> Result<Self> {
        let doing = "opening a network namespace";
        // SAFETY: this request takes no pointer and only returns a number.
        let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
        if kind != libc::CLONE_NEWNET {
            return Err(Error::invalid(doing, "the file is no network namespace"));
        }
        let inode = file.metadata().map_err(|error| Error::of(doing, error))?.ino();
        Ok(Self { fd: file.into(), inode })
    }
}

impl AsFd for PinnedNetns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `_IO(0xb7, 3)`.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_known_by_its_inode() {
        let own = PinnedNetns::own().unwrap();
        let same = PinnedNetns::of_process(&Process::open(std::process::id()).unwrap()).unwrap();
        assert_eq!(own.inode(), same.inode());
    }

    #[test]
    fn another_kind_of_file_is_no_network_namespace() {
        assert!(PinnedNetns::open(Path::new("/proc/self/ns/mnt")).is_err());
        assert!(PinnedNetns::open(Path::new("/proc/self/status")).is_err());
        assert!(PinnedNetns::open(Path::new("/run/netns/there-is-none")).is_err());
    }
}
