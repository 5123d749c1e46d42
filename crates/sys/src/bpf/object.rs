//! Maps, programs, links and pins: the bpf(2) calls themselves.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::syscall::{checked, owned};

/// What a map is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum MapKind {
    Array = 2,
    LruHash = 9,
    Ringbuf = 27,
}

/// A map's dimensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapShape {
    pub(super) kind: MapKind,
    pub(super) key_bytes: u32,
    pub(super) value_bytes: u32,
    pub(super) entry_count_max: u32,
}

/// A program's kind and the only place where it may be attached: (`prog_type`, `attach_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    Ingress,
    Egress,
    Connect4,
    Connect6,
    Send4,
    Send6,
}

impl Hook {
    const fn program_type(self) -> u32 {
        match self {
            Self::Ingress | Self::Egress => 8,
            Self::Connect4 | Self::Connect6 | Self::Send4 | Self::Send6 => 18,
        }
    }

    const fn attach_type(self) -> u32 {
        match self {
            Self::Ingress => 0,
            Self::Egress => 1,
            Self::Connect4 => 10,
            Self::Connect6 => 11,
            Self::Send4 => 14,
            Self::Send6 => 15,
        }
    }
}

/// Creates a map.
pub(super) fn create_map(shape: MapShape) -> Result<OwnedFd> {
    let attributes = Attributes::new()
        .u32(0, shape.kind as u32)
        .u32(4, shape.key_bytes)
        .u32(8, shape.value_bytes)
        .u32(12, shape.entry_count_max);
    let created = match call(Command::MapCreate, &attributes) {
        // Before 5.11 maps count as locked memory, of which the default limit allows 64 KiB.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            raise_locked_memory_limit();
            call(Command::MapCreate, &attributes)
        }
        other => other,
    };
    created.and_then(|fd| owned(fd as i64)).map_err(|error| {
        Error::of(format!("creating a bpf map ({:?})", shape.kind), error).needs(CAPABILITIES)
    })
}

/// Loads a program for one hook.
pub(super) fn load_program(hook: Hook, code: &[u64]) -> Result<OwnedFd> {
    // No helper that we call is reserved to the GPL.
    let license = c"MIT";
    let mut log = vec![0_u8; LOG_BYTES];
    let attributes = Attributes::new()
        .u32(0, hook.program_type())
        .u32(4, u32::try_from(code.len()).unwrap_or(u32::MAX))
        .pointer(8, code.as_ptr().cast())
        .pointer(16, license.as_ptr().cast())
        .u32(68, hook.attach_type());
    let error = match call(Command::ProgramLoad, &attributes) {
        Ok(fd) => {
            return owned(fd as i64).map_err(|error| Error::of("loading a bpf program", error));
        }
        Err(error) => error,
    };
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Err(
            Error::of(format!("loading a bpf program ({hook:?})"), error).needs(CAPABILITIES)
        );
    }
    // Once more with a log, because an error number alone does not say what the verifier missed.
    let with_log = attributes
        .u32(24, 1)
        .u32(28, u32::try_from(LOG_BYTES).unwrap_or(0))
        .pointer(32, log.as_mut_ptr());
    let _ = call(Command::ProgramLoad, &with_log);
    let log = crate::native::text(&log);
    let tail: Vec<_> = log.lines().rev().take(3).collect();
    let doing = format!("loading a bpf program ({hook:?}; {})", tail.join(" < "));
    Err(Error::of(doing, error).needs(CAPABILITIES))
}

/// Attaches a program to a cgroup, beside what others have attached, until the link is closed.
pub(super) fn link(hook: Hook, program: &OwnedFd, cgroup: BorrowedFd<'_>) -> Result<OwnedFd> {
    let attributes =
        Attributes::new().fd(0, program.as_fd()).fd(4, cgroup).u32(8, hook.attach_type());
    call(Command::LinkCreate, &attributes).and_then(|fd| owned(fd as i64)).map_err(|error| {
        Error::of(format!("attaching a bpf program to a cgroup ({hook:?})"), error)
            .needs(CAPABILITIES)
    })
}

/// Takes a link's program off its cgroup, whoever else holds the link.
pub(super) fn detach(link: &OwnedFd) -> io::Result<()> {
    call(Command::LinkDetach, &Attributes::new().fd(0, link.as_fd())).map(drop)
}

/// The number of the cgroup that a link is attached to; `None` once that cgroup is gone.
pub(super) fn cgroup_of(link: &OwnedFd) -> Result<Option<u64>> {
    // The start of `struct bpf_link_info`: type, id, program, and behind the gap the cgroup's id.
    let mut info = [0_u8; 32];
    let attributes = Attributes::new().fd(0, link.as_fd()).u32(4, 32).pointer(8, info.as_mut_ptr());
    call(Command::ObjectInfo, &attributes)
        .map_err(|error| Error::of("describing a bpf link", error).needs(CAPABILITIES))?;
    Ok(crate::native::u64_at(&info, 16).filter(|id| *id != 0))
}

/// Makes an object outlive the process, under a name in a bpf file system.
pub(super) fn pin(object: &OwnedFd, path: &Path) -> Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid("pinning a bpf object", "the path holds a zero"))?;
    let attributes = Attributes::new().pointer(0, name.as_ptr().cast()).fd(8, object.as_fd());
    call(Command::ObjectPin, &attributes).map(drop).map_err(|error| {
        Error::of(format!("pinning a bpf object at {}", path.display()), error).needs(CAPABILITIES)
    })
}

/// Opens a pinned object.
pub(super) fn open_pinned(path: &Path) -> Result<OwnedFd> {
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid("opening a pinned bpf object", "the path holds a zero"))?;
    let attributes = Attributes::new().pointer(0, name.as_ptr().cast());
    call(Command::ObjectGet, &attributes).and_then(|fd| owned(fd as i64)).map_err(|error| {
        Error::of(format!("opening the bpf object at {}", path.display()), error)
            .needs(CAPABILITIES)
    })
}

/// Reads an array's entry of `N` bytes, which must be the map's value size rounded up to 8.
pub(super) fn read_entry<const N: usize>(map: &OwnedFd, index: u32) -> Result<[u8; N]> {
    // The kernel writes as many bytes as the map's values have: a pinned map is somebody's file, so
    // the size is not taken on trust.
    if value_bytes(map)? != N {
        return Err(Error::invalid("reading a bpf map", "its values have another size"));
    }
    let mut value = [0; N];
    let attributes = Attributes::new()
        .fd(0, map.as_fd())
        .pointer(8, (&raw const index).cast())
        .pointer(16, value.as_mut_ptr());
    call(Command::MapLookup, &attributes)
        .map(|_| value)
        .map_err(|error| Error::of("reading a bpf map", error).needs(CAPABILITIES))
}

/// The value size of an array whose keys are 4 bytes; anything else is refused.
fn value_bytes(map: &OwnedFd) -> Result<usize> {
    // The start of `struct bpf_map_info`: type, id, key size, value size.
    let mut info = [0_u8; 16];
    let attributes = Attributes::new().fd(0, map.as_fd()).u32(4, 16).pointer(8, info.as_mut_ptr());
    call(Command::ObjectInfo, &attributes)
        .map_err(|error| Error::of("describing a bpf map", error).needs(CAPABILITIES))?;
    let field = |offset| crate::native::u32_at(&info, offset);
    match (field(0), field(8), field(12)) {
        (Some(kind), Some(4), Some(bytes)) if kind == MapKind::Array as u32 => Ok(bytes as usize),
        _ => Err(Error::invalid("describing a bpf map", "it is no array")),
    }
}

#[derive(Clone, Copy, Debug)]
enum Command {
    MapCreate = 0,
    MapLookup = 1,
    ProgramLoad = 5,
    ObjectPin = 6,
    ObjectGet = 7,
    ObjectInfo = 15,
    LinkCreate = 28,
    LinkDetach = 34,
}

/// `union bpf_attr`, filled in by offset. What is left zero means the default.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct Attributes([u8; ATTRIBUTE_BYTES]);

impl Attributes {
    const fn new() -> Self {
        Self([0; ATTRIBUTE_BYTES])
    }

    fn u32(mut self, offset: usize, value: u32) -> Self {
        if let Some(field) = self.0.get_mut(offset..offset + 4) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
        self
    }

    fn fd(self, offset: usize, fd: BorrowedFd<'_>) -> Self {
        // A borrowed descriptor is never negative.
        self.u32(offset, fd.as_raw_fd().unsigned_abs())
    }

    fn pointer(mut self, offset: usize, value: *const u8) -> Self {
        if let Some(field) = self.0.get_mut(offset..offset + 8) {
            field.copy_from_slice(&(value.expose_provenance() as u64).to_ne_bytes());
        }
        self
    }
}

fn call(command: Command, attributes: &Attributes) -> io::Result<usize> {
    // SAFETY: `attributes` is valid for its size. The pointers in it were put there by the
    // functions above from values that live until this call has returned, with the sizes that the
    // call states or that the map was made with.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_ref(attributes),
            ATTRIBUTE_BYTES,
        )
    };
    checked(returned)
}

fn raise_locked_memory_limit() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is valid for reading. A refusal shows in the call that is tried next.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}

const CAPABILITIES: &str = "CAP_BPF and CAP_NET_ADMIN";
const ATTRIBUTE_BYTES: usize = 128;
const LOG_BYTES: usize = 64 << 10;
