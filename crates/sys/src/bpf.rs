//! Programs in the kernel, written as instructions: bpf(2), with neither compiler nor object file.
//!
//! [`SocketEvents`] tells which process and cgroup opened each socket, and each socket's addresses.
//! [`CgroupCut`] takes a cgroup's sockets off the network and puts them back.
//! Both need cgroup v2, `CAP_BPF` and `CAP_NET_ADMIN`; what sends through `AF_PACKET` passes by
//! both.

mod asm;
mod cut;
mod object;
mod programs;
mod ringbuf;
mod sockets;

pub use cut::{CgroupCut, CutCounters, CutTraffic, Mounted, ensure_bpffs};
pub use sockets::{
    SkbDirection, SocketCall, SocketEvent, SocketEvents, SocketOpened, SocketTuple, Transport,
};
