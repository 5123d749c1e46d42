//! What says little by itself is remembered within a limit of its own, until it is known what else
//! is found: a faint rhythm and a faint oddity of one far end may be told together.

use crate::channel::{ChannelKey, Position, Weight};
use crate::engine::Engine;
use crate::flows::Keep;

impl Engine {
    /// Puts a flow into the channel where it belongs.
    pub(crate) fn hold(&mut self, key: &ChannelKey, position: Position, weight: Weight) {
        let (_, _, handle) = position;
        let Some((keep, bears)) =
            self.flows.get(handle).map(|flow| (flow.keep, flow.oddity.fetched.is_some()))
        else {
            return;
        };
        let is_held = match keep {
            Keep::Loose => false,
            Keep::CountedFaint => weight == Weight::Faint,
            Keep::Counted => true,
            Keep::Held => self.channels.get(key).is_some_and(|it| it.holds(&position, weight)),
        };
        if !is_held && weight == Weight::Faint && !self.has_room_for_faint(key) {
            self.flows.set_keep(handle, Keep::CountedFaint, self.clock);
            self.channel_evicted_count = self.channel_evicted_count.saturating_add(1);
            return;
        }
        if !is_held {
            self.make_room_for(key);
        }
        let channel = match self.channels.get_mut(key) {
            Some(channel) => channel,
            None if is_held => return,
            None => self.channels.entry(key.clone()).or_default(),
        };
        if !is_held {
            let count_max = self.limits.flow_per_channel_count_max;
            let evicted = channel.hold(position, weight, count_max);
            channel.flow_count = channel.flow_count.saturating_add(u32::from(keep == Keep::Loose));
            self.flows.set_keep(handle, Keep::Held, self.clock);
            if let Some(evicted) = evicted {
                self.flows.set_keep(evicted, weight.let_go(), self.clock);
                self.channel_evicted_count = self.channel_evicted_count.saturating_add(1);
            }
        }
        if bears {
            channel.bears(position);
        }
    }

    /// What says little by itself takes at most half of a subject's channels.
    fn has_room_for_faint(&self, key: &ChannelKey) -> bool {
        let of_owner = self.channels.range(ChannelKey::lowest(key.owner)..);
        self.channels.contains_key(key)
            || of_owner.take_while(|(known, _)| known.owner == key.owner).count()
                < self.limits.channel_per_owner_count_max / 2
    }

    /// Nothing is told of it, as far as what is known now goes.
    pub(crate) fn keep_quiet(&mut self, key: &ChannelKey) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        (channel.verdict, channel.opening) = (None, None);
        // Flows that were evicted acquit nobody.
        if channel.handles().all(|handle| self.flows.get(handle).is_some()) {
            self.alerts.acquit(key);
        } else {
            self.alerts.give_up(key);
        }
    }
}
