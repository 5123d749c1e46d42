//! What `/proc` says of a process, through a handle that no other process can slip under: proc(5).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use super::cgroup::{self, Cgroups, ContainerRef, container_of};
use super::origin::{self, InImage};
use crate::clock::Offsets;
use crate::error::{Error, Result};
use crate::syscall;

/// A process, held by its directory in `/proc`: when it ends, reading fails, also after its number
/// has been given to another process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    directory: OwnedFd,
}

/// What could be read of a process; what could not is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessRecord {
    /// The process, as the host numbers it.
    pub pid: u32,
    /// The process, as its innermost pid namespace numbers it.
    pub inner_pid: Option<u32>,
    /// Its parent.
    pub parent_pid: Option<u32>,
    /// Its real user id.
    pub real_uid: Option<u32>,
    /// Its effective user id.
    pub effective_uid: Option<u32>,
    /// When it was forked, in nanoseconds since the epoch, to a hundredth of a second.
    pub started_ns: Option<u64>,
    /// Its executable's path, as its own root sees it; ends in ` (deleted)` when the file is gone.
    pub executable: Option<String>,
    /// Its arguments, at most `ARGUMENT_BYTES_MAX` bytes of them.
    pub arguments: Vec<String>,
    /// Whether there were more.
    pub arguments_cut: bool,
    /// Its cgroup's path.
    pub cgroup_path: Option<String>,
    /// Its cgroup's number.
    pub cgroup_id: Option<u64>,
    /// The container that its cgroup names.
    pub container: Option<ContainerRef>,
    /// The inode of its network namespace.
    pub netns: Option<u64>,
}

impl Process {
    /// Takes hold of a process.
    ///
    /// # Errors
    /// When it is gone.
    pub fn open(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}\0");
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: `path` ends with zero.
        let returned = unsafe { libc::open(path.as_ptr().cast(), flags) };
        let directory = syscall::owned(i64::from(returned))
            .map_err(|error| Error::of(format!("opening process {pid}"), error))?;
        Ok(Self { pid, directory })
    }

    /// Its number.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Reads what it can, what vanishes first at first.
    ///
    /// `cgroups` is `None` where there is no version 2 hierarchy.
    #[must_use]
    pub fn read(&self, cgroups: Option<&Cgroups>) -> ProcessRecord {
        let mut record = ProcessRecord { pid: self.pid, ..ProcessRecord::default() };
        record.executable = self.executable_path().ok();
        if let Ok(bytes) = self.file(b"cmdline\0", ARGUMENT_BYTES_MAX + 1) {
            record.arguments_cut = bytes.len() > ARGUMENT_BYTES_MAX;
            record.arguments = arguments(bytes.get(..ARGUMENT_BYTES_MAX).unwrap_or(&bytes));
        }
        let cgroup = self.file(b"cgroup\0", TEXT_BYTES_MAX).unwrap_or_default();
        record.cgroup_path = cgroup::path_in(&String::from_utf8_lossy(&cgroup));
        if let Some(path) = &record.cgroup_path {
            record.container = container_of(path);
            record.cgroup_id = cgroups.and_then(|cgroups| cgroups.id(path));
        }
        let status = self.file(b"status\0", TEXT_BYTES_MAX).unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        record.parent_pid = status_number(&status, "PPid:", 0);
        record.real_uid = status_number(&status, "Uid:", 0);
        record.effective_uid = status_number(&status, "Uid:", 1);
        record.inner_pid =
            status.lines().find_map(|line| line.strip_prefix("NSpid:")).and_then(|numbers| {
                numbers.split_whitespace().last().and_then(|number| number.parse().ok())
            });
        let stat = self.file(b"stat\0", TEXT_BYTES_MAX).unwrap_or_default();
        record.started_ns = start_ticks(&String::from_utf8_lossy(&stat)).map(started_ns);
        record.netns = self.netns();
        record
    }

    /// Its executable, pinned: the very file that runs, whatever its path names by now.
    ///
    /// # Errors
    /// When it is gone, or without `CAP_SYS_PTRACE`.
    pub fn executable(&self) -> Result<File> {
        self.open_at(b"exe\0", libc::O_RDONLY | libc::O_NONBLOCK).map(File::from).map_err(|error| {
            Error::of(format!("opening the executable of process {}", self.pid), error)
                .needs("CAP_SYS_PTRACE")
        })
    }

    /// Whether its executable belongs to its container's image.
    #[must_use]
    pub fn in_image(&self) -> InImage {
        let (Ok(link), Ok(executable), Ok(mounts)) = (
            self.executable_path(),
            self.open_at(b"exe\0", libc::O_PATH),
            self.file(b"mountinfo\0", MOUNTINFO_BYTES_MAX),
        ) else {
            return InImage::Unknown;
        };
        origin::in_image(&link, &executable, &String::from_utf8_lossy(&mounts))
    }

    /// The inode of its network namespace.
    #[must_use]
    pub fn netns(&self) -> Option<u64> {
        // SAFETY: the structure consists of integers, for which zero is a value.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        let path = c"ns/net".as_ptr();
        // SAFETY: `path` ends with zero and `stat` is valid for writing.
        let returned = unsafe { libc::fstatat(self.directory.as_raw_fd(), path, &raw mut stat, 0) };
        (returned == 0).then_some(stat.st_ino)
    }

    /// Whether one of its descriptors is the socket of this inode.
    ///
    /// # Errors
    /// When the process is gone, or without `CAP_SYS_PTRACE` and `CAP_DAC_READ_SEARCH`.
    pub fn holds_socket(&self, inode: u32) -> Result<bool> {
        let doing = || format!("listing the descriptors of process {}", self.pid);
        // Through the handle, so that the number cannot be another process' by now.
        let held = format!("/proc/self/fd/{}/fd", self.directory.as_raw_fd());
        let entries = std::fs::read_dir(held).map_err(|error| {
            Error::of(doing(), error).needs("CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH")
        })?;
        let wanted = format!("socket:[{inode}]");
        Ok(entries.flatten().take(DESCRIPTOR_COUNT_MAX).any(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
        }))
    }

    /// A descriptor of its network namespace.
    pub(crate) fn open_netns(&self) -> io::Result<OwnedFd> {
        self.open_at(b"ns/net\0", libc::O_RDONLY)
    }

    /// Opens a file of its directory; `name` ends with zero.
    fn open_at(&self, name: &[u8], flags: i32) -> io::Result<OwnedFd> {
        debug_assert_eq!(name.last(), Some(&0));
        let directory = self.directory.as_raw_fd();
        // SAFETY: `name` ends with zero.
        let returned =
            unsafe { libc::openat(directory, name.as_ptr().cast(), flags | libc::O_CLOEXEC) };
        syscall::owned(i64::from(returned))
    }

    fn file(&self, name: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        File::from(self.open_at(name, libc::O_RDONLY)?).take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn executable_path(&self) -> io::Result<String> {
        let mut bytes = vec![0_u8; libc::PATH_MAX as usize];
        let name = c"exe".as_ptr();
        // SAFETY: `name` ends with zero and `bytes` is valid for writing its own length.
        let returned = unsafe {
            libc::readlinkat(
                self.directory.as_raw_fd(),
                name,
                bytes.as_mut_ptr().cast(),
                bytes.len(),
            )
        };
        bytes.truncate(syscall::checked(returned as i64)?);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Splits at zeroes; a final zero ends the last argument and starts no other.
fn arguments(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn status_number(status: &str, key: &str, column: usize) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().nth(column)?.parse().ok()
}

/// Field 22; the name in parentheses before it may hold anything, also parentheses.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn started_ns(ticks: u64) -> u64 {
    // SAFETY: no pointer is passed.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let per_second = u64::try_from(per_second).unwrap_or(100).max(1);
    Offsets::now().from_boot(ticks.saturating_mul(1_000_000_000 / per_second))
}

/// Longer command lines are rare and the excess explains nothing.
const ARGUMENT_BYTES_MAX: usize = 32 << 10;
const DESCRIPTOR_COUNT_MAX: usize = 1 << 16;
const TEXT_BYTES_MAX: usize = 64 << 10;
const MOUNTINFO_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let fields = "S 1 ".to_owned() + &"0 ".repeat(17) + "4711 0";
        assert_eq!(start_ticks(&format!("7 (a) b) {fields}")), Some(4711));
        assert_eq!(start_ticks("7 (a"), None);
    }

    #[test]
    fn an_empty_argument_is_an_argument() {
        assert_eq!(arguments(b"nc\0\0-e\0"), ["nc", "", "-e"]);
        assert!(arguments(b"").is_empty());
    }

    #[test]
    fn this_process_reads_itself() {
        let process = Process::open(std::process::id()).unwrap();
        let record = process.read(Cgroups::probe().as_ref());
        assert_eq!(record.executable.unwrap(), std::env::current_exe().unwrap().to_string_lossy());
        assert_eq!(record.arguments[0], std::env::args().next().unwrap());
        assert!(record.parent_pid.is_some() && record.real_uid.is_some());
        let age = crate::clock::realtime_ns().saturating_sub(record.started_ns.unwrap());
        assert!(age < 600_000_000_000, "{age}");
        assert!(process.executable().unwrap().metadata().unwrap().len() > 1000);
    }

    #[test]
    fn a_process_that_ended_is_not_mistaken_for_another() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let process = Process::open(child.id()).unwrap();
        child.wait().unwrap();
        let record = process.read(None);
        assert_eq!(record, ProcessRecord { pid: child.id(), ..ProcessRecord::default() });
        assert!(process.executable().is_err());
        assert_eq!(process.in_image(), InImage::Unknown);
    }
}
