//! The three programs and the layouts of what they say. Offsets into contexts are those of
//! `struct bpf_sock_addr` and `struct __sk_buff`.

use std::os::fd::{AsFd, OwnedFd};

use super::asm::{Assembler, Helper, Label, Reg, When};
use super::object::Hook;

/// The maps that the socket programs share.
#[derive(Debug)]
pub(super) struct SocketMaps {
    /// Where events go.
    pub(super) events: OwnedFd,
    /// Sockets whose first packet was reported, by cookie.
    pub(super) seen: OwnedFd,
    /// Datagram destinations that were reported, by cookie, address and port.
    pub(super) sent: OwnedFd,
    /// How many events found no room.
    pub(super) lost: OwnedFd,
}

/// What begins every event: kind, protocol, time, cgroup.
pub(super) mod layout {
    pub(in crate::bpf) const KIND: usize = 0;
    pub(in crate::bpf) const PROTOCOL: usize = 4;
    pub(in crate::bpf) const AT: usize = 8;
    pub(in crate::bpf) const CGROUP: usize = 16;
    /// An opened socket: pid, and then the key of `SocketMaps::sent`.
    pub(in crate::bpf) const OPENED_PID: usize = 24;
    pub(in crate::bpf) const OPENED_COOKIE: usize = 32;
    pub(in crate::bpf) const OPENED_ADDRESS: usize = 40;
    pub(in crate::bpf) const OPENED_PORT: usize = 56;
    pub(in crate::bpf) const OPENED_BYTES: usize = 64;
    /// A first packet: cookie and the start of its IP header.
    pub(in crate::bpf) const TUPLE_COOKIE: usize = 24;
    pub(in crate::bpf) const TUPLE_HEADER: usize = 32;
    pub(in crate::bpf) const TUPLE_BYTES: usize = 80;
}

/// `KIND` of an event: the hook that saw it.
pub(super) const fn kind_of(hook: Hook) -> u8 {
    match hook {
        Hook::Ingress => 1,
        Hook::Egress => 2,
        Hook::Connect4 => 3,
        Hook::Connect6 => 4,
        Hook::Send4 => 5,
        Hook::Send6 => 6,
    }
}

/// Reports who connects where, and who sends an unconnected datagram where, and lets it pass.
pub(super) fn opened(hook: Hook, maps: &SocketMaps) -> Vec<u64> {
    const BASE: i16 = -64;
    let field = |offset: usize| BASE + i16::try_from(offset).unwrap_or(0);
    let mut asm = Assembler::new();
    let (pass, lost) = (asm.label(), asm.label());
    asm.copy(Reg::R6, Reg::R1);
    asm.call(Helper::SocketCookie).store_u64(field(layout::OPENED_COOKIE), Reg::R0);
    asm.load_u32(Reg::R1, Reg::R6, 36).store_u32(field(layout::PROTOCOL), Reg::R1);
    let is_v4 = matches!(hook, Hook::Connect4 | Hook::Send4);
    for word in 0..4_i16 {
        let target = field(layout::OPENED_ADDRESS) + 4 * word;
        match (is_v4, word) {
            (true, 0) => asm.load_u32(Reg::R1, Reg::R6, 4).store_u32(target, Reg::R1),
            (true, _) => asm.store_value_u32(target, 0),
            (false, _) => asm.load_u32(Reg::R1, Reg::R6, 8 + 4 * word).store_u32(target, Reg::R1),
        };
    }
    asm.load_u32(Reg::R1, Reg::R6, 24).store_u32(field(layout::OPENED_PORT), Reg::R1);
    asm.store_value_u32(field(layout::OPENED_PORT) + 4, 0);
    let is_send = matches!(hook, Hook::Send4 | Hook::Send6);
    if is_send {
        // Every datagram passes here; only the first one of a socket to a destination is news.
        asm.map(Reg::R1, maps.sent.as_fd()).stack(Reg::R2, field(layout::OPENED_COOKIE));
        asm.call(Helper::MapLookup).jump_when(When::NotZero, Reg::R0, pass);
    }
    asm.call(Helper::CurrentCgroupId).store_u64(field(layout::CGROUP), Reg::R0);
    asm.call(Helper::CurrentPidTgid).store_u64(field(layout::OPENED_PID), Reg::R0);
    output(&mut asm, hook, maps, (BASE, layout::OPENED_BYTES), lost);
    if is_send {
        remember(&mut asm, &maps.sent, field(layout::OPENED_COOKIE), field(layout::AT));
    }
    asm.jump(pass);
    count_loss(&mut asm, &maps.lost, lost, BASE - 8, pass);
    asm.bind(pass).exit_with(1);
    asm.finish()
}

/// Reports the first packet of each socket, and lets it pass.
pub(super) fn first_packet(hook: Hook, maps: &SocketMaps) -> Vec<u64> {
    const BASE: i16 = -80;
    const KEY: i16 = BASE - 8;
    let field = |offset: usize| BASE + i16::try_from(offset).unwrap_or(0);
    let mut asm = Assembler::new();
    let (pass, lost, loaded) = (asm.label(), asm.label(), asm.label());
    asm.copy(Reg::R6, Reg::R1);
    asm.call(Helper::SocketCookie).jump_when(When::Zero, Reg::R0, pass);
    asm.store_u64(KEY, Reg::R0);
    asm.map(Reg::R1, maps.seen.as_fd()).stack(Reg::R2, KEY);
    asm.call(Helper::MapLookup).jump_when(When::NotZero, Reg::R0, pass);
    asm.load_u64(Reg::R1, Reg::R10, KEY).store_u64(field(layout::TUPLE_COOKIE), Reg::R1);
    asm.copy(Reg::R1, Reg::R6).call(Helper::SkbCgroupId).store_u64(field(layout::CGROUP), Reg::R0);
    asm.load_u32(Reg::R1, Reg::R6, 16).store_u32(field(layout::PROTOCOL), Reg::R1);
    // 48 bytes hold both IP headers and the ports; a short datagram over IPv4 has 28 at least.
    // A load that fails leaves zeroes.
    for length in [48, 28] {
        asm.copy(Reg::R1, Reg::R6).set(Reg::R2, 0).stack(Reg::R3, field(layout::TUPLE_HEADER));
        asm.set(Reg::R4, length).call(Helper::SkbLoadBytes);
        asm.jump_when(When::Zero, Reg::R0, loaded);
    }
    asm.bind(loaded);
    output(&mut asm, hook, maps, (BASE, layout::TUPLE_BYTES), lost);
    remember(&mut asm, &maps.seen, KEY, field(layout::AT));
    asm.jump(pass);
    count_loss(&mut asm, &maps.lost, lost, KEY - 8, pass);
    asm.bind(pass).exit_with(1);
    asm.finish()
}

/// Counts every packet and its bytes into the array's entry `index`, and drops it.
pub(super) fn drop_all(counters: &OwnedFd, index: i32) -> Vec<u64> {
    const KEY: i16 = -8;
    let mut asm = Assembler::new();
    let end = asm.label();
    asm.copy(Reg::R6, Reg::R1).store_value_u32(KEY, index);
    asm.map(Reg::R1, counters.as_fd()).stack(Reg::R2, KEY).call(Helper::MapLookup);
    asm.jump_when(When::Zero, Reg::R0, end);
    asm.set(Reg::R1, 1).add_u64(Reg::R0, 0, Reg::R1);
    asm.load_u32(Reg::R1, Reg::R6, 0).add_u64(Reg::R0, 8, Reg::R1);
    asm.bind(end).exit_with(0);
    asm.finish()
}

/// Completes the event at `place` (stack offset, length) and hands it over, or jumps to `lost`.
fn output(asm: &mut Assembler, hook: Hook, maps: &SocketMaps, place: (i16, usize), lost: Label) {
    let (base, length) = place;
    let field = |offset: usize| base + i16::try_from(offset).unwrap_or(0);
    asm.store_value_u32(field(layout::KIND), i32::from(kind_of(hook)));
    asm.call(Helper::KtimeNs).store_u64(field(layout::AT), Reg::R0);
    asm.map(Reg::R1, maps.events.as_fd()).stack(Reg::R2, base);
    asm.set(Reg::R3, i32::try_from(length).unwrap_or(0)).set(Reg::R4, 0);
    asm.call(Helper::RingbufOutput).jump_when(When::NotZero, Reg::R0, lost);
}

/// Notes after the event that it was reported; one that found no room is tried again.
fn remember(asm: &mut Assembler, map: &OwnedFd, key: i16, value: i16) {
    asm.map(Reg::R1, map.as_fd()).stack(Reg::R2, key).stack(Reg::R3, value).set(Reg::R4, 0);
    asm.call(Helper::MapUpdate);
}

fn count_loss(asm: &mut Assembler, map: &OwnedFd, lost: Label, key: i16, pass: Label) {
    asm.bind(lost).store_value_u32(key, 0);
    asm.map(Reg::R1, map.as_fd()).stack(Reg::R2, key).call(Helper::MapLookup);
    asm.jump_when(When::Zero, Reg::R0, pass);
    asm.set(Reg::R1, 1).add_u64(Reg::R0, 0, Reg::R1);
}
