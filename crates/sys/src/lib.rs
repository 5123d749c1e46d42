//! What Linux alone can tell and do: the only crate with `unsafe`, behind a safe interface.
//!
//! | module | gives | needs |
//! | --- | --- | --- |
//! | [`ring`] | every frame on every interface, from its first one | `CAP_NET_RAW` |
//! | [`link`] | interfaces, their peers and their exact counters | nothing |
//! | [`process`] | executions as they happen, and what `/proc` says of them | `CAP_SYS_PTRACE` |
//! | [`bpf`] | who opened each socket; a cut for one cgroup | `CAP_BPF`, `CAP_NET_ADMIN` |
//! | [`netns`] | a namespace held open, and its sockets | `CAP_SYS_ADMIN`, `CAP_SYS_PTRACE` |
//! | [`nft`] | a device or a namespace cut off, counted, undone | `CAP_NET_ADMIN` |
//! | [`caps`] | what this process may and this kernel can | nothing |
//! | [`memory`] | no more memory than is touched | nothing |
//! | [`thread`] | a thread that is on time, or one that waits | `CAP_SYS_NICE` |
//! | [`clock`] | the offsets that turn kernel times into nanoseconds since the epoch | nothing |
//!
//! *Architecture Invariant:* nothing here judges, and nothing here speaks with a container runtime.
//! Times are nanoseconds since the epoch (`CLOCK_REALTIME`), descriptors are
//! [`std::os::fd::OwnedFd`], errors are [`Error`], which says what was tried and which capability
//! is missing.
//! What the kernel answers is parsed with bounds, like everything else that was not made here.
//! On other systems than Linux the crate is empty.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "system calls and shared rings; every block says why it is sound")]

pub mod bpf;
pub mod caps;
pub mod clock;
mod error;
pub mod link;
pub mod memory;
mod native;
mod netlink;
pub mod netns;
pub mod nft;
pub mod process;
pub mod ring;
mod syscall;
pub mod thread;

pub use error::{Error, Result};
