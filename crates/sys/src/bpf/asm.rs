//! An assembler for the few instructions that our programs need: `linux/bpf.h`, RFC 9669.

use std::os::fd::{AsRawFd, BorrowedFd};

/// A register.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    /// The frame pointer.
    R10,
}

impl Reg {
    const fn number(self) -> u8 {
        match self {
            Self::R0 => 0,
            Self::R1 => 1,
            Self::R2 => 2,
            Self::R3 => 3,
            Self::R4 => 4,
            Self::R6 => 6,
            Self::R10 => 10,
        }
    }
}

/// A function of the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Helper {
    MapLookup = 1,
    MapUpdate = 2,
    KtimeNs = 5,
    CurrentPidTgid = 14,
    SkbLoadBytes = 26,
    SocketCookie = 46,
    SkbCgroupId = 79,
    CurrentCgroupId = 80,
    RingbufOutput = 130,
}

/// When a jump is taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Zero,
    NotZero,
}

/// A place to jump to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(usize);

/// Collects instructions.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    code: Vec<u64>,
    /// Where each label stands, once it is bound.
    labels: Vec<Option<usize>>,
    /// (instruction, label)
    jumps: Vec<(usize, usize)>,
}

impl Assembler {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn copy(&mut self, to: Reg, from: Reg) -> &mut Self {
        self.emit(0xbf, to, from, 0, 0)
    }

    pub(super) fn set(&mut self, to: Reg, value: i32) -> &mut Self {
        self.emit(0xb7, to, Reg::R0, 0, value)
    }

    /// `to` becomes the address of the stack at `offset`.
    pub(super) fn stack(&mut self, to: Reg, offset: i16) -> &mut Self {
        self.copy(to, Reg::R10).emit(0x07, to, Reg::R0, 0, i32::from(offset))
    }

    pub(super) fn load_u32(&mut self, to: Reg, from: Reg, offset: i16) -> &mut Self {
        self.emit(0x61, to, from, offset, 0)
    }

    pub(super) fn load_u64(&mut self, to: Reg, from: Reg, offset: i16) -> &mut Self {
        self.emit(0x79, to, from, offset, 0)
    }

    /// Stores to the stack.
    pub(super) fn store_u32(&mut self, offset: i16, from: Reg) -> &mut Self {
        self.emit(0x63, Reg::R10, from, offset, 0)
    }

    pub(super) fn store_u64(&mut self, offset: i16, from: Reg) -> &mut Self {
        self.emit(0x7b, Reg::R10, from, offset, 0)
    }

    pub(super) fn store_value_u32(&mut self, offset: i16, value: i32) -> &mut Self {
        self.emit(0x62, Reg::R10, Reg::R0, offset, value)
    }

    /// Adds `from` to the 64-bit number at `to` + `offset`, atomically.
    pub(super) fn add_u64(&mut self, to: Reg, offset: i16, from: Reg) -> &mut Self {
        self.emit(0xdb, to, from, offset, 0)
    }

    /// `to` becomes the map.
    pub(super) fn map(&mut self, to: Reg, map: BorrowedFd<'_>) -> &mut Self {
        const IS_MAP_FD: Reg = Reg::R1;
        self.emit(0x18, to, IS_MAP_FD, 0, map.as_raw_fd());
        self.code.push(0);
        self
    }

    pub(super) fn call(&mut self, helper: Helper) -> &mut Self {
        self.emit(0x85, Reg::R0, Reg::R0, 0, helper as i32)
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub(super) fn bind(&mut self, label: Label) -> &mut Self {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = Some(self.code.len());
        }
        self
    }

    pub(super) fn jump(&mut self, label: Label) -> &mut Self {
        self.jumps.push((self.code.len(), label.0));
        self.emit(0x05, Reg::R0, Reg::R0, 0, 0)
    }

    pub(super) fn jump_when(&mut self, when: When, register: Reg, label: Label) -> &mut Self {
        self.jumps.push((self.code.len(), label.0));
        let opcode = match when {
            When::Zero => 0x15,
            When::NotZero => 0x55,
        };
        self.emit(opcode, register, Reg::R0, 0, 0)
    }

    pub(super) fn exit_with(&mut self, value: i32) -> &mut Self {
        self.set(Reg::R0, value).emit(0x95, Reg::R0, Reg::R0, 0, 0)
    }

    /// The program, as the kernel takes it. A jump to a label that was never bound jumps to the
    /// next instruction, which the kernel then judges.
    pub(super) fn finish(mut self) -> Vec<u64> {
        for (at, label) in std::mem::take(&mut self.jumps) {
            let target = self.labels.get(label).copied().flatten().unwrap_or(at + 1);
            let distance = i64::try_from(target).unwrap_or(0) - i64::try_from(at).unwrap_or(0) - 1;
            let distance = i16::try_from(distance).unwrap_or(0);
            if let Some(word) = self.code.get_mut(at) {
                let mut bytes = word.to_ne_bytes();
                let [low, high] = distance.to_ne_bytes();
                (bytes[2], bytes[3]) = (low, high);
                *word = u64::from_ne_bytes(bytes);
            }
        }
        self.code
    }

    fn emit(&mut self, opcode: u8, to: Reg, from: Reg, offset: i16, value: i32) -> &mut Self {
        let registers = if cfg!(target_endian = "little") {
            from.number() << 4 | to.number()
        } else {
            to.number() << 4 | from.number()
        };
        let [o0, o1] = offset.to_ne_bytes();
        let [v0, v1, v2, v3] = value.to_ne_bytes();
        self.code.push(u64::from_ne_bytes([opcode, registers, o0, o1, v0, v1, v2, v3]));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_drop_program_is_two_known_words() {
        let mut asm = Assembler::new();
        asm.exit_with(0);
        assert_eq!(asm.finish(), [0xb7, 0x95]);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_jump_counts_from_the_next_instruction() {
        let mut asm = Assembler::new();
        let (end, start) = (asm.label(), asm.label());
        asm.bind(start).jump_when(When::Zero, Reg::R6, end).jump(start).bind(end).exit_with(1);
        assert_eq!(asm.finish(), [0x0001_0615, 0xfffe_0005, 0x0000_0001_0000_00b7, 0x95]);
    }
}
