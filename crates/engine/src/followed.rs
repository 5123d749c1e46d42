//! Which channels are followed: what one subject may be accused of, and what all together may.
//!
//! Of a channel that is no longer followed stays told what was told.

use alloc::vec::Vec;

use observation::{Span, Time};

use crate::alert::{AlertUpdate, Level};
use crate::alerts::surroundings;
use crate::channel::{Channel, ChannelKey, Far};
use crate::engine::Engine;
use crate::flows::Flow;

/// What was judged within this time goes on.
const GOES_ON: Span = Span::from_secs(600);
/// When there is too much, one part in so many goes at once.
const PARTS: usize = 8;

/// What is followed rather than what is less, and of equals what was judged last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    goes_on: GoesOn,
    level: Option<Level>,
    judged_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum GoesOn {
    No,
    Yes,
}

impl Engine {
    /// A subject that is accused of too many far ends loses the oldest of its weakest accusations.
    pub(crate) fn make_room_for(&mut self, key: &ChannelKey) {
        if self.channels.contains_key(key) {
            return;
        }
        let of_owner = self.channels.range(ChannelKey::lowest(key.owner)..);
        let mut count = 0;
        let mut victim = None;
        for (known, channel) in of_owner.take_while(|(known, _)| known.owner == key.owner) {
            count += 1;
            let sum_db = channel.verdict.as_ref().map_or(i16::MIN, |verdict| verdict.sum.sum_db);
            let weight = (sum_db, channel.opening);
            // What it tries in vain is one accusation, and the others are its parts.
            let is_whole = known.far == Far::Many;
            if !is_whole && victim.as_ref().is_none_or(|(least, _)| weight < *least) {
                victim = Some((weight, known.clone()));
            }
        }
        if count >= self.limits.channel_per_owner_count_max
            && let Some((_, victim)) = victim
        {
            self.follow_no_longer(&victim);
        }
    }

    /// Too many channels, or flows that they hold: those that matter least are followed no longer.
    pub(crate) fn follow_fewer(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        let (channel_count_max, held_count_max) =
            (self.limits.channel_count_max, self.limits.flow_held_count_max);
        if self.channels.len() <= channel_count_max && self.flows.held_count() <= held_count_max {
            return;
        }
        let ranked = self.channels.iter().map(|(key, channel)| (self.rank(key, channel), key));
        let mut ranked: Vec<(Rank, ChannelKey)> =
            ranked.map(|(rank, key)| (rank, key.clone())).collect();
        ranked.sort_unstable();
        let enough = |count_max: usize| count_max - count_max / PARTS;
        for (_, key) in ranked {
            if self.channels.len() <= enough(channel_count_max)
                && self.flows.held_count() <= enough(held_count_max)
            {
                return;
            }
            self.alerts.tell_of(&key, &surroundings!(self), out);
            self.follow_no_longer(&key);
        }
    }

    fn rank(&self, key: &ChannelKey, channel: &Channel) -> Rank {
        // What it tries in vain is one accusation, and the others are its parts.
        let is_whole = key.far == Far::Many;
        let is_recent = self.clock.since(channel.judged_at) <= GOES_ON;
        let goes_on = if is_whole || is_recent || channel.flows(&self.flows).any(Flow::is_open) {
            GoesOn::Yes
        } else {
            GoesOn::No
        };
        let level = channel.verdict.as_ref().map(|verdict| Level::of(verdict.sum.sum_db));
        Rank { goes_on, level, judged_at: channel.judged_at }
    }

    fn follow_no_longer(&mut self, key: &ChannelKey) {
        self.channel_evicted_count = self.channel_evicted_count.saturating_add(1);
        self.drop_channel(key);
        self.give_up_domain(key);
        self.alerts.give_up(key);
    }

    pub(crate) fn give_up_domain(&mut self, key: &ChannelKey) {
        match &key.far {
            Far::Domain(name) => self.lookups.give_up(key.owner, name),
            Far::Many => self.surveys.give_up(key.owner),
            _ => {}
        }
    }

    pub(crate) fn drop_channel(&mut self, key: &ChannelKey) {
        let Some(channel) = self.channels.remove(key) else { return };
        for (handle, keep) in channel.let_go() {
            self.flows.set_keep(handle, keep, self.clock);
        }
    }
}
