//! Who may use how much of what all flows share: no capture port can take everything, so that a
//! flood from one container leaves the others what they need.

use alloc::vec::Vec;

use observation::PortId;

use crate::hash;

/// Capture ports are put into this many groups.
pub(super) const GROUP_COUNT: usize = 64;
/// One group may hold this part of the whole.
const SHARE: u32 = 4;

/// How much of something is held, by all and by each group of ports.
#[derive(Debug)]
pub(crate) struct Quota {
    max: u32,
    all: u32,
    groups: Vec<u32>,
}

/// The group of a port.
pub(super) fn group_of(port: PortId) -> usize {
    (hash::of(0, &port.0) % GROUP_COUNT as u64) as usize
}

impl Quota {
    pub(crate) fn new(max: u32) -> Self {
        Self { max, all: 0, groups: [0; GROUP_COUNT].into() }
    }

    /// How much more this port may take. A source without ports is one port and may take all.
    pub(super) fn room(&self, port: PortId) -> u32 {
        let free = self.max.saturating_sub(self.all);
        if port == PortId::UNKNOWN {
            return free;
        }
        let held = self.groups.get(group_of(port)).copied().unwrap_or(0);
        free.min((self.max / SHARE).max(1).saturating_sub(held))
    }

    pub(super) fn take(&mut self, port: PortId, count: u32) {
        self.all = self.all.saturating_add(count);
        if let Some(held) = self.groups.get_mut(group_of(port)) {
            *held = held.saturating_add(count);
        }
    }

    pub(super) fn give_back(&mut self, port: PortId, count: u32) {
        self.all = self.all.saturating_sub(count);
        if let Some(held) = self.groups.get_mut(group_of(port)) {
            *held = held.saturating_sub(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_leaves_room_for_the_others() {
        let mut quota = Quota::new(100);
        quota.take(PortId(1), quota.room(PortId(1)));
        assert_eq!((quota.room(PortId(1)), quota.room(PortId(2))), (0, 25));
        quota.give_back(PortId(1), 5);
        assert_eq!(quota.room(PortId(1)), 5);
        assert_eq!(quota.room(PortId::UNKNOWN), 80);
    }
}
