//! How much memory a process is given: prctl(2).

use crate::error::{Error, Result};
use crate::syscall::checked;

/// Lets this process, its threads and its children have memory in pages of 4 KiB only.
///
/// Where the kernel gives 2 MiB for the first byte that is touched, tables that are half empty cost
/// as much as full ones.
///
/// # Errors
/// Where the kernel knows no transparent huge pages; there are none then.
pub fn take_small_pages_only() -> Result<()> {
    const YES: libc::c_ulong = 1;
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: the arguments are integers; no pointer is passed.
    let returned = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, YES, UNUSED, UNUSED, UNUSED) };
    checked(i64::from(returned))
        .map(drop)
        .map_err(|error| Error::of("asking for small pages only", error))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_agrees() {
        super::take_small_pages_only().unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let enabled = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
        assert_eq!(enabled.map(str::trim), Some("0"), "{status}");
    }
}
