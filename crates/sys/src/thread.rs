//! Threads that must be on time, and threads that can wait: sched(7).

use crate::error::{Error, Result};
use crate::syscall::checked;

/// Lets this thread run before all ordinary ones as soon as it has something to do.
///
/// A container's process may live for some milliseconds, and on a busy machine an ordinary thread
/// waits longer than that for its turn: with it, and with nothing else changed, the records of 20
/// ms
/// containers rose from 41 to 50 of 50 on two cores under a load of eight.
/// It is for threads that only fetch and hand on; children do not inherit it, and the kernel leaves
/// a twentieth of the time to others whatever happens.
///
/// # Errors
/// Without `CAP_SYS_NICE`; the thread then runs as before.
pub fn react_at_once() -> Result<()> {
    // SAFETY: the structure consists of integers, for which zero is a value.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = PRIORITY_LOWEST;
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 means this thread, and `parameters` is valid for reading.
    let returned = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    checked(i64::from(returned))
        .map(drop)
        .map_err(|error| Error::of("giving a thread precedence", error).needs("CAP_SYS_NICE"))
}

/// Lets this thread wait while others of its process have something to do.
///
/// It is for those who hand their work to one who has more to do than each of them: they keep the
/// cores that he leaves. Children inherit it.
///
/// # Errors
/// Where the system forbids it; the thread then runs as before.
pub fn give_way() -> Result<()> {
    // SAFETY: the arguments are integers; on Linux 0 means this thread alone.
    let returned = unsafe {
        let before = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, before.max(NICE))
    };
    checked(i64::from(returned))
        .map(drop)
        .map_err(|error| Error::of("letting a thread give way", error))
}

/// A third of an ordinary thread's share.
const NICE: libc::c_int = 5;

/// Enough to come before all ordinary threads, and after every other real-time one.
const PRIORITY_LOWEST: i32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_this_threads_alone() {
        let policy = || {
            // SAFETY: 0 means this thread; no pointer is passed.
            unsafe { libc::sched_getscheduler(0) }
        };
        std::thread::spawn(move || match react_at_once() {
            Ok(()) => {
                assert_eq!(policy(), libc::SCHED_RR | libc::SCHED_RESET_ON_FORK);
                assert_eq!(std::thread::spawn(policy).join().unwrap(), libc::SCHED_OTHER);
            }
            Err(error) => assert_eq!(error.missing(), Some("CAP_SYS_NICE"), "{error}"),
        })
        .join()
        .unwrap();
        assert_eq!(policy(), libc::SCHED_OTHER);
    }

    #[test]
    fn who_gives_way_is_this_thread_alone() {
        let nice = || {
            // SAFETY: the arguments are integers.
            unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
        };
        let before = nice();
        let gives_way = std::thread::spawn(move || {
            give_way().unwrap();
            nice()
        });
        assert_eq!(gives_way.join().unwrap(), before.max(NICE));
        assert_eq!(nice(), before);
    }
}
