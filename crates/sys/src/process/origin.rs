//! Whether an executable belongs to its container's image: overlayfs keeps what was written later
//! in a directory of its own (`upperdir`).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::syscall;

/// Whether an executable belongs to its container's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InImage {
    /// It lies in a layer of the image.
    Yes,
    /// It was written into the container, or lies on a mount, in memory, or nowhere any more.
    No,
    /// Could not be told: no container, a storage driver other than overlayfs, or no permission.
    Unknown,
}

/// Judges by the path that `/proc/PID/exe` shows, an `O_PATH` handle to it and
/// `/proc/PID/mountinfo`.
pub(super) fn in_image(link: &str, executable: &OwnedFd, mountinfo: &str) -> InImage {
    if link.starts_with("/memfd:") || link.ends_with(" (deleted)") {
        return InImage::No;
    }
    let Some(mount_id) = mount_id(executable) else { return InImage::Unknown };
    match place(link, mount_id, mountinfo) {
        Place::Elsewhere => InImage::No,
        Place::Unknown => InImage::Unknown,
        Place::Overlay { upper, path } => match exists_beneath(&upper, &path) {
            Ok(()) => InImage::No,
            Err(error) if error.kind() == io::ErrorKind::NotFound => InImage::Yes,
            Err(_) => InImage::Unknown,
        },
    }
}

/// Where a file lies, as its process' mounts tell.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// On the root's overlay, at this path, while later writes go to `upper`.
    Overlay {
        upper: String,
        path: String,
    },
    /// On a mount inside a container that is not its root.
    Elsewhere,
    Unknown,
}

fn place(link: &str, mount_id: u64, mountinfo: &str) -> Place {
    let mounts: Vec<_> = mountinfo.lines().filter_map(parse_mount).collect();
    // What is mounted last covers what lies below it.
    let Some(root) = mounts.iter().rev().find(|mount| mount.point == "/") else {
        return Place::Unknown;
    };
    // The container's first program is still the runtime's own, from a mount that it cannot see.
    if root.file_system != "overlay" || !mounts.iter().any(|mount| mount.id == mount_id) {
        return Place::Unknown;
    }
    if root.id != mount_id {
        return Place::Elsewhere;
    }
    let upper = root.options.split(',').find_map(|option| option.strip_prefix("upperdir="));
    match upper.map(unescape) {
        // Relative directories are those of the process that mounted, which we do not know.
        Some(upper) if upper.starts_with('/') && link.starts_with('/') => {
            Place::Overlay { upper, path: link.trim_start_matches('/').to_owned() }
        }
        _ => Place::Unknown,
    }
}

struct Mount<'a> {
    id: u64,
    point: &'a str,
    file_system: &'a str,
    options: &'a str,
}

/// `36 35 98:0 /root /point rw,noatime master:1 - overlay overlay rw,upperdir=…`
fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ');
    let mut right = right.split(' ');
    Some(Mount {
        id: left.next()?.parse().ok()?,
        point: left.nth(3)?,
        file_system: right.next()?,
        options: right.nth(1)?,
    })
}

/// Octal escapes, as the kernel writes blanks in mount tables.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn mount_id(file: &OwnedFd) -> Option<u64> {
    // SAFETY: the structure consists of integers, for which zero is a value.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with zero and `stat` is valid for writing.
    let returned = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_MNT_ID,
            &raw mut stat,
        )
    };
    (returned == 0 && stat.stx_mask & libc::STATX_MNT_ID != 0).then_some(stat.stx_mnt_id)
}

/// Whether `path` exists below `directory`, without following any link that a container planted.
fn exists_beneath(directory: &str, path: &str) -> io::Result<()> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let directory = CString::new(directory)?;
    // SAFETY: `directory` ends with zero.
    let returned = unsafe { libc::open(directory.as_ptr(), flags) };
    let directory = syscall::owned(i64::from(returned)).map_err(|error| match error.kind() {
        // A driver's directory that is not there says nothing about the file.
        io::ErrorKind::NotFound => io::ErrorKind::Unsupported.into(),
        _ => error,
    })?;
    // SAFETY: the structure consists of integers, for which zero is a value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = OPEN_FLAGS;
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS;
    let path = CString::new(path)?;
    // SAFETY: `path` ends with zero, `how` is valid for reading and its size is announced.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            directory.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    syscall::owned(returned).map(drop)
}

#[allow(clippy::cast_sign_loss, reason = "flags are bits")]
const OPEN_FLAGS: u64 = (libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
700 600 0:50 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/x\\040y/diff,workdir=/w
701 700 0:51 / /dev rw - tmpfs tmpfs rw
702 700 8:1 /data /mnt rw - ext4 /dev/sda1 rw
";

    #[test]
    fn the_root_overlay_names_its_upper_directory() {
        let expected = Place::Overlay { upper: "/var/x y/diff".into(), path: "bin/nc".into() };
        assert_eq!(place("/bin/nc", 700, MOUNTS), expected);
    }

    #[test]
    fn a_mount_inside_a_container_is_not_its_image() {
        assert_eq!(place("/dev/shm/x", 701, MOUNTS), Place::Elsewhere);
        assert_eq!(place("/mnt/x", 702, MOUNTS), Place::Elsewhere);
    }

    #[test]
    fn what_cannot_be_placed_is_unknown() {
        assert_eq!(place("/usr/bin/runc", 30, MOUNTS), Place::Unknown);
        assert_eq!(place("/bin/sh", 1, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"), Place::Unknown);
        let relative = "1 0 0:5 / / rw - overlay overlay rw,upperdir=abc/diff\n";
        assert_eq!(place("/bin/sh", 1, relative), Place::Unknown);
        assert_eq!(place("/bin/sh", 1, "garbage\n"), Place::Unknown);
    }
}
