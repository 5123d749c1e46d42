//! The few system calls that several modules share.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Whether there is something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Something can be read, or an error is to be fetched by reading.
    Ready,
    /// The time passed, or a signal came: the caller looks at its stop flag and waits again.
    TimedOut,
}

/// Opens a socket that is not inherited by a program that we start.
pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    owned(i64::from(fd))
}

/// Takes the descriptor that a system call returned.
pub(crate) fn owned(returned: i64) -> io::Result<OwnedFd> {
    match i32::try_from(returned) {
        // SAFETY: the kernel has just created this descriptor and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Turns the C convention of -1 and `errno` into a `Result`.
pub(crate) fn checked(returned: i64) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// Sets a socket option to a plain value.
pub(crate) fn set_option<T: Copy>(
    fd: &impl AsFd,
    level: i32,
    name: i32,
    value: &T,
) -> io::Result<()> {
    let length = socket_length::<T>();
    // SAFETY: `value` is valid for `length` bytes during the call, and the kernel only reads it.
    let returned = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    checked(i64::from(returned)).map(drop)
}

/// The size of `T` as socket calls want it.
pub(crate) const fn socket_length<T>() -> libc::socklen_t {
    // Socket structures are a few hundred bytes at most.
    #[allow(clippy::cast_possible_truncation, reason = "checked by the assertion")]
    const fn narrow(size: usize) -> libc::socklen_t {
        assert!(size < 4096);
        size as libc::socklen_t
    }
    narrow(size_of::<T>())
}

/// The kind of file system at `path`, by its magic number.
pub(crate) fn file_system(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the structure consists of integers, for which zero is a value.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` ends with zero and `stat` is valid for writing.
    let returned = unsafe { libc::statfs(path.as_ptr(), &raw mut stat) };
    checked(i64::from(returned))?;
    #[allow(clippy::cast_sign_loss, reason = "signed or not depending on the C library")]
    Ok(stat.f_type as u64)
}

/// Waits until `fd` can be read.
pub(crate) fn wait_readable(fd: &impl AsFd, timeout: Duration) -> io::Result<Readiness> {
    let mut poll = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let time = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
    };
    // SAFETY: `poll` and `time` live during the call, one entry is announced, no signal mask is
    // set.
    let returned = unsafe { libc::ppoll(&raw mut poll, 1, &raw const time, std::ptr::null()) };
    match checked(i64::from(returned)) {
        Ok(0) => Ok(Readiness::TimedOut),
        Ok(_) => Ok(Readiness::Ready),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Readiness::TimedOut),
        Err(error) => Err(error),
    }
}
