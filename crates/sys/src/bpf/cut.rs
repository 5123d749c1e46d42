//! Taking a cgroup off the network: every packet of its sockets, both ways, is counted and dropped.
//!
//! The cut is for containers on the host's network, where no interface is theirs alone.
//! Pinned, it outlives the program; whoever may write to the bpf file system can undo it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::object::{self, Hook, MapKind, MapShape};
use super::programs;
use crate::error::{Error, Result};
use crate::native::u64_at;
use crate::syscall;

/// A cut that stands. Dropping it undoes it, unless it was pinned.
#[derive(Debug)]
pub struct CgroupCut {
    ingress: OwnedFd,
    egress: OwnedFd,
    counters: OwnedFd,
    pinned: Option<PathBuf>,
}

/// What a cut has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutCounters {
    /// Towards the cgroup's sockets.
    pub ingress: CutTraffic,
    /// From the cgroup's sockets.
    pub egress: CutTraffic,
}

/// Packets and their bytes, from the IP header on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutTraffic {
    /// How many packets.
    pub packet_count: u64,
    /// How many bytes.
    pub byte_count: u64,
}

impl CgroupCut {
    /// Cuts off the cgroup of this directory and all below it, established connections included.
    ///
    /// # Errors
    /// When the directory is gone or no cgroup v2, or without `CAP_BPF` and `CAP_NET_ADMIN`.
    pub fn apply(cgroup_directory: &Path) -> Result<Self> {
        let cgroup = File::open(cgroup_directory).map_err(|error| {
            Error::of(format!("opening the cgroup {}", cgroup_directory.display()), error)
        })?;
        let counters = object::create_map(MapShape {
            kind: MapKind::Array,
            key_bytes: 4,
            value_bytes: 16,
            entry_count_max: 2,
        })?;
        let attach = |hook, index| {
            let program = object::load_program(hook, &programs::drop_all(&counters, index))?;
            object::link(hook, &program, cgroup.as_fd())
        };
        let egress = attach(Hook::Egress, EGRESS)?;
        let ingress = attach(Hook::Ingress, INGRESS)?;
        Ok(Self { ingress, egress, counters, pinned: None })
    }

    /// Lets the cut outlive this process, as a new directory in a bpf file system.
    ///
    /// # Errors
    /// When the directory exists already or lies elsewhere; the cut then stands unpinned.
    pub fn pin(&mut self, directory: &Path) -> Result<()> {
        if let Some(parent) = directory.parent() {
            fs::create_dir_all(parent)
                .map_err(|error| Error::of(format!("making {}", parent.display()), error))?;
        }
        fs::create_dir(directory)
            .map_err(|error| Error::of(format!("making {}", directory.display()), error))?;
        let pinned = [&self.ingress, &self.egress, &self.counters]
            .into_iter()
            .zip(PIN_NAMES)
            .try_for_each(|(object, name)| object::pin(object, &directory.join(name)));
        match pinned {
            Ok(()) => {
                self.pinned = Some(directory.to_owned());
                Ok(())
            }
            Err(error) => {
                let _ = remove_pins(directory);
                Err(error)
            }
        }
    }

    /// Goes on under another name, and makes room for a cut of the old one.
    ///
    /// # Errors
    /// When it is not pinned, or something stands in the new place.
    pub fn rename(&mut self, directory: &Path) -> Result<()> {
        let doing = || format!("renaming a cut to {}", directory.display());
        let Some(pinned) = &self.pinned else { return Err(Error::invalid(doing(), "not pinned")) };
        fs::rename(pinned, directory).map_err(|error| Error::of(doing(), error))?;
        self.pinned = Some(directory.to_owned());
        Ok(())
    }

    /// Takes hold of a cut that was pinned, by this process or an earlier one.
    ///
    /// # Errors
    /// When there is none ([`Error::kind`] is `NotFound`), or without `CAP_BPF`.
    pub fn reopen(directory: &Path) -> Result<Self> {
        let [ingress, egress, counters] =
            PIN_NAMES.map(|name| object::open_pinned(&directory.join(name)));
        let cut = Self {
            ingress: ingress?,
            egress: egress?,
            counters: counters?,
            pinned: Some(directory.to_owned()),
        };
        // Also proves that what is pinned there is a cut's counters.
        cut.counters()?;
        Ok(cut)
    }

    /// Whether it is this directory's cgroup that is cut: a container that is started again has a
    /// new one under the same path.
    ///
    /// # Errors
    /// When the directory cannot be looked at, or the kernel refuses to describe the cut.
    pub fn covers(&self, cgroup_directory: &Path) -> Result<bool> {
        let metadata = fs::metadata(cgroup_directory).map_err(|error| {
            Error::of(format!("looking at the cgroup {}", cgroup_directory.display()), error)
        })?;
        let id = Some(metadata.ino());
        Ok(object::cgroup_of(&self.ingress)? == id && object::cgroup_of(&self.egress)? == id)
    }

    /// What the cut has stopped so far.
    ///
    /// # Errors
    /// When the kernel refuses to read the counters.
    pub fn counters(&self) -> Result<CutCounters> {
        let read = |index: i32| {
            let value: [u8; 16] = object::read_entry(&self.counters, index.unsigned_abs())?;
            Ok(CutTraffic {
                packet_count: u64_at(&value, 0).unwrap_or(0),
                byte_count: u64_at(&value, 8).unwrap_or(0),
            })
        };
        Ok(CutCounters { ingress: read(INGRESS)?, egress: read(EGRESS)? })
    }

    /// Puts the cgroup back on the network, whoever else holds the cut, and returns what it
    /// stopped.
    ///
    /// # Errors
    /// When the kernel refuses; the pins then still stand and the call can be repeated.
    pub fn undo(self) -> Result<CutCounters> {
        let counters = self.counters()?;
        for link in [&self.ingress, &self.egress] {
            // Where the cgroup is gone, the attachment went with it, and this succeeds too.
            object::detach(link).map_err(|error| Error::of("detaching a cut", error))?;
        }
        if let Some(directory) = &self.pinned {
            remove_pins(directory)
                .map_err(|error| Error::of(format!("unpinning {}", directory.display()), error))?;
        }
        Ok(counters)
    }
}

fn remove_pins(directory: &Path) -> io::Result<()> {
    for name in PIN_NAMES {
        match fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(directory)
}

/// Mounts a bpf file system at `path` where there is none; says whether it had to.
///
/// # Errors
/// When the directory does not exist, or without `CAP_SYS_ADMIN`.
pub fn ensure_bpffs(path: &Path) -> Result<Mounted> {
    let doing = || format!("mounting a bpf file system at {}", path.display());
    let magic = syscall::file_system(path).map_err(|error| Error::of(doing(), error))?;
    if magic == BPF_MAGIC {
        return Ok(Mounted::Before);
    }
    let target = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid(doing(), "the path holds a zero"))?;
    let kind = c"bpf".as_ptr();
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let mode = c"mode=0700".as_ptr();
    // SAFETY: all four texts end with zero.
    let returned = unsafe { libc::mount(kind, target.as_ptr(), kind, flags, mode.cast()) };
    match returned {
        0 => Ok(Mounted::Now),
        _ => Err(Error::last(doing()).needs("CAP_SYS_ADMIN")),
    }
}

/// Whether a bpf file system was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounted {
    /// It was.
    Before,
    /// It was mounted by this call.
    Now,
}

const BPF_MAGIC: u64 = 0xcafe_4a11;
const INGRESS: i32 = 0;
const EGRESS: i32 = 1;
/// A bpf file system allows no dots in names.
const PIN_NAMES: [&str; 3] = ["ingress", "egress", "counters"];
