//! Where the engine looks into feeds: far ends, names on their way, and what flows show.

use observation::{Endpoint, Fact, Observation, Time};

use super::{Indicators, Listed};
use crate::channel::{ChannelKey, Far, Listing, LookedUp};
use crate::dirty::Dirty;
use crate::engine::Engine;
use crate::flows::Handle;
use crate::judge::Keys;
use crate::ledger::{Asked, Owner, Place};
use crate::lookups::Lookup;

impl Engine {
    /// Replaces what the feed in this place said before. A saved state holds no feeds: whoever
    /// loads one names them again.
    pub fn learn(&mut self, place: usize, indicators: Indicators) {
        self.ledger.feeds.learn(place, indicators);
    }

    /// Whether feeds list a far end, by its address or by a name that led there.
    pub(crate) fn listed_far_end(&self, at: Time, place: Place, far: Endpoint) -> Option<Listed> {
        let feeds = &self.ledger.feeds;
        if feeds.is_empty() {
            return None;
        }
        let by_address = feeds.address(far.address, far.port, at);
        let names = self.ledger.names_to(place, &far.address, at);
        let by_name = names.filter_map(|asked| feeds.name(&asked.name, at));
        by_address.into_iter().chain(by_name).reduce(Listed::stronger)
    }

    /// A flow may show something that a feed lists.
    pub(crate) fn shown(&mut self, observation: &Observation<'_>, dirty: &mut Dirty) {
        let (at, feeds) = (observation.at, &self.ledger.feeds);
        let (id, listed) = match &observation.fact {
            Fact::TlsHello(hello) => {
                let listed = [feeds.name(&hello.server_name, at), feeds.ja4(&hello.ja4, at)];
                (hello.flow, listed.into_iter().flatten().reduce(Listed::stronger))
            }
            Fact::Http(fact) => (fact.flow, feeds.request(&fact.host, &fact.target, at)),
            _ => return,
        };
        let Some(listed) = listed else { return };
        let Some(handle) = self.flows.find(id) else { return };
        if self.flows.get_mut(handle).is_some_and(|flow| flow.list(listed)) {
            self.dirty(handle, dirty);
        }
    }

    pub(crate) fn dirty_if_listed(&self, handle: Handle, dirty: &mut Dirty) {
        if self.flows.get(handle).is_some_and(|flow| flow.listed.is_some()) {
            self.dirty(handle, dirty);
        }
    }

    /// A name is asked for: flows that it led to may be known already, and the lookup is told also
    /// where nobody goes there.
    pub(crate) fn asked_for_listed(&mut self, handle: Handle, asked: &Asked, dirty: &mut Dirty) {
        let at = asked.first;
        let Some(listed) = self.ledger.feeds.name(&asked.name, at) else { return };
        let Some(lookup) = self.flows.get(handle).and_then(Lookup::of) else { return };
        let place = Place::of(&lookup.key, lookup.local);
        let flows: alloc::vec::Vec<Handle> = self.flows.of_place(place, at).collect();
        for flow_handle in flows {
            let Some(flow) = self.flows.get_mut(flow_handle) else { continue };
            if flow.opened >= at
                && asked.addresses.contains(&flow.far().address)
                && flow.list(listed.clone())
            {
                self.dirty(flow_handle, dirty);
            }
        }
        let owner = self.ledger.owner(&lookup.key, lookup.local, lookup.opened);
        // One for all names below a listed one: a tunnel has very many.
        let key = ChannelKey { owner, far: Far::Name(listed.value.clone()) };
        self.make_room_for(&key);
        let channel = self.channels.entry(key).or_default();
        let server = lookup.key.responder.address;
        let count = channel.looked_up.map_or(0, |before| before.count).saturating_add(1);
        let last = channel.looked_up.map_or(at, |before| before.last.max(at));
        channel.looked_up = Some(LookedUp { place, last, count, server });
        let is_first = channel.listing.as_ref().is_none_or(|known| at < known.listed.at);
        if is_first {
            let listing = Listing { listed, lookup, flow: handle };
            channel.listing = Some(alloc::boxed::Box::new(listing));
        }
    }

    /// Whose lookups of listed names were made in a flow is known better now.
    pub(crate) fn move_listings(
        &mut self,
        handle: Handle,
        before: Owner,
        owner: Owner,
        keys: &mut Keys,
    ) {
        if self.ledger.feeds.is_empty() {
            return;
        }
        for from in [before, owner] {
            let of_owner = self.channels.range(ChannelKey::lowest(from)..);
            let of_owner = of_owner.take_while(|(key, _)| key.owner == from);
            let of_flow = of_owner.filter(|(_, channel)| {
                channel.listing.as_ref().is_some_and(|listing| listing.flow == handle)
            });
            let found: alloc::vec::Vec<ChannelKey> = of_flow.map(|(key, _)| key.clone()).collect();
            for key in found {
                if from != owner {
                    self.move_listing(&key, owner, keys);
                }
                keys.insert(key);
            }
        }
    }

    fn move_listing(&mut self, key: &ChannelKey, owner: Owner, keys: &mut Keys) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let (listing, looked_up) = (channel.listing.take(), channel.looked_up.take());
        let key = ChannelKey { owner, far: key.far.clone() };
        self.make_room_for(&key);
        let channel = self.channels.entry(key.clone()).or_default();
        if channel.listing.is_none() {
            (channel.listing, channel.looked_up) = (listing, looked_up);
        }
        keys.insert(key);
    }
}
