//! Which interfaces the ring listens to, decided in the kernel: classic BPF on the interface index.

use std::os::fd::OwnedFd;

use crate::error::{Error, Result};
use crate::syscall;

/// Which interfaces' frames the kernel puts into the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceFilter {
    /// All, also those that are made later, except these.
    Drop(Vec<u32>),
    /// Only these; none at all when empty.
    Only(Vec<u32>),
}

impl InterfaceFilter {
    pub(super) fn attach(&self, socket: &OwnedFd) -> Result<()> {
        let mut program = self.program()?;
        let program = libc::sock_fprog {
            // `program` has checked the bound.
            len: u16::try_from(program.len()).unwrap_or(u16::MAX),
            filter: program.as_mut_ptr(),
        };
        syscall::set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program).map_err(
            |error| Error::of("attaching the interface filter (net.core.optmem_max?)", error),
        )
    }

    fn program(&self) -> Result<Vec<libc::sock_filter>> {
        let (listed, verdict, otherwise) = match self {
            Self::Drop(listed) => (listed, REJECT, ACCEPT),
            Self::Only(listed) => (listed, ACCEPT, REJECT),
        };
        if listed.len() > INTERFACE_COUNT_MAX {
            return Err(Error::invalid("building the interface filter", "too many interfaces"));
        }
        let mut program = vec![statement(LOAD_WORD, INTERFACE_INDEX)];
        for ifindex in listed {
            program.push(libc::sock_filter { code: JUMP_EQUAL, jt: 0, jf: 1, k: *ifindex });
            program.push(statement(RETURN, verdict));
        }
        program.push(statement(RETURN, otherwise));
        Ok(program)
    }
}

const fn statement(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF + SKF_AD_IFINDEX`.
const INTERFACE_INDEX: u32 = 0xffff_f008;
const REJECT: u32 = 0;
/// More than any frame has.
const ACCEPT: u32 = 0x0004_0000;
/// `BPF_MAXINSNS` is 4096.
const INTERFACE_COUNT_MAX: usize = 2000;
const _: () = assert!(2 * INTERFACE_COUNT_MAX + 2 <= 4096);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_interfaces_return_before_the_default() {
        let program = InterfaceFilter::Drop(vec![3, 9]).program().unwrap();
        let words: Vec<_> = program.iter().map(|i| (i.code, i.jt, i.jf, i.k)).collect();
        assert_eq!(
            words,
            [
                (0x20, 0, 0, 0xffff_f008),
                (0x15, 0, 1, 3),
                (0x06, 0, 0, 0),
                (0x15, 0, 1, 9),
                (0x06, 0, 0, 0),
                (0x06, 0, 0, 0x0004_0000),
            ]
        );
    }

    #[test]
    fn a_filter_that_does_not_fit_is_refused() {
        assert!(InterfaceFilter::Drop(vec![1; INTERFACE_COUNT_MAX]).program().is_ok());
        assert!(InterfaceFilter::Drop(vec![1; INTERFACE_COUNT_MAX + 1]).program().is_err());
    }
}
