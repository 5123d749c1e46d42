//! The limit of every collection of the engine.

use serde::{Deserialize, Serialize};

/// What is kept at most. What is evicted is counted in the [`crate::Tally`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Containers, running or gone.
    pub container_count_max: usize,
    /// Places (port and address) with flows or names.
    pub place_count_max: usize,
    /// Flows in all.
    pub flow_count_max: usize,
    /// Flows of one place: a flood evicts only its own.
    pub flow_per_place_count_max: usize,
    /// Flows that channels hold, all together.
    pub flow_held_count_max: usize,
    /// Channels in all: who is accused of what, or may come to be.
    pub channel_count_max: usize,
    /// Far ends that one subject is accused of at a time: a scanner evicts only his own.
    pub channel_per_owner_count_max: usize,
    /// Flows that one channel remembers.
    pub flow_per_channel_count_max: usize,
    /// Channel profiles in all.
    pub profile_count_max: usize,
    /// Channel profiles of one subject: ten million destinations evict only their owner's.
    pub profile_per_owner_count_max: u32,
    /// Names that one place has asked for.
    pub name_per_place_count_max: usize,
    /// Registered domains that places have asked about.
    pub domain_count_max: usize,
    /// Processes.
    pub process_count_max: usize,
    /// Sockets with an owner.
    pub socket_count_max: usize,
    /// Runtime clients on the host (`docker run …`).
    pub client_count_max: usize,
    /// Workloads of which is learned what they usually do.
    pub baseline_count_max: usize,
    /// Destinations of one workload: a scanner evicts only his own.
    pub destination_per_baseline_count_max: usize,
    /// Subjects listed in one alert.
    pub subject_count_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            container_count_max: 20_000,
            place_count_max: 32_768,
            flow_count_max: 131_072,
            flow_per_place_count_max: 16_384,
            flow_held_count_max: 16_384,
            channel_count_max: 8_192,
            channel_per_owner_count_max: 256,
            flow_per_channel_count_max: 32,
            profile_count_max: 49_152,
            profile_per_owner_count_max: 1_024,
            name_per_place_count_max: 64,
            domain_count_max: 16_384,
            process_count_max: 16_384,
            socket_count_max: 65_536,
            client_count_max: 512,
            baseline_count_max: 1_024,
            destination_per_baseline_count_max: 64,
            subject_count_max: 256,
        }
    }
}

impl Limits {
    /// The same limits, each a part of it and at least 1: for tests that want to reach them.
    #[must_use]
    pub const fn divided_by(self, n: usize) -> Self {
        const fn part(value: usize, n: usize) -> usize {
            if n == 0 || value < n { 1 } else { value / n }
        }
        Self {
            container_count_max: part(self.container_count_max, n),
            place_count_max: part(self.place_count_max, n),
            flow_count_max: part(self.flow_count_max, n),
            flow_per_place_count_max: part(self.flow_per_place_count_max, n),
            flow_held_count_max: part(self.flow_held_count_max, n),
            channel_count_max: part(self.channel_count_max, n),
            channel_per_owner_count_max: part(self.channel_per_owner_count_max, n),
            flow_per_channel_count_max: part(self.flow_per_channel_count_max, n),
            profile_count_max: part(self.profile_count_max, n),
            profile_per_owner_count_max: part(self.profile_per_owner_count_max as usize, n) as u32,
            name_per_place_count_max: part(self.name_per_place_count_max, n),
            domain_count_max: part(self.domain_count_max, n),
            process_count_max: part(self.process_count_max, n),
            socket_count_max: part(self.socket_count_max, n),
            client_count_max: part(self.client_count_max, n),
            baseline_count_max: part(self.baseline_count_max, n),
            destination_per_baseline_count_max: part(self.destination_per_baseline_count_max, n),
            subject_count_max: part(self.subject_count_max, n),
        }
    }
}
