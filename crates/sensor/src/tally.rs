//! What became of every packet: nothing is dropped without being counted.

/// Counts since the sensor was made. Those of several lanes are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets handed in and owned by this lane.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets that became part of a flow.
    pub understood: u64,
    /// Packets that did not, by reason.
    pub not_understood: [u64; NotUnderstood::COUNT],
    /// Flows opened.
    pub flows_opened: u64,
    /// Flows closed, the evicted ones included.
    pub flows_closed: u64,
    /// Flows closed to keep within `flow_count_max`.
    pub flows_evicted: u64,
    /// Fragments that did not complete their datagram: they wait for it, or were dropped.
    pub fragments: u64,
    /// Those of them that never will: too many, too late or contradictory.
    pub fragments_dropped: u64,
    /// Flow directions that were identified without keeping their first bytes.
    pub heads_denied: u64,
    /// Flows whose protocol is no longer followed because followers held too much.
    pub followers_given_up: u64,
    /// Bursts whose shape was not measured because too many were open.
    pub bursts_unsampled: u64,
    /// Bursts that were counted and not told: a decided flow had told enough of them.
    pub bursts_untold: u64,
    /// Segments that did not fit into the reorder buffers; their hole was given up.
    pub segments_dropped: u64,
    /// Payload bytes that were never seen.
    pub bytes_lost: u64,
    /// Packets with an implausible time.
    pub time_jumps: u64,
    /// Packets at ports beyond `port_count_max`; their traffic is not in `port_traffic`.
    pub packets_uncounted_port: u64,
}

/// Why a packet is not part of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotUnderstood {
    /// A link type that we do not know.
    LinkType,
    /// Cut off before its addresses were complete.
    Short,
    /// Address resolution: understood, and no flow.
    Arp,
    /// Neither IPv4, IPv6 nor ARP.
    NotIp,
    /// An IP header that cannot be.
    BadIp,
    /// A transport header that cannot be, or is cut off.
    BadTransport,
    /// More tunnels in tunnels, tags or extension headers than anybody needs.
    TooDeep,
}

impl NotUnderstood {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();
    /// All of them, in the order of `Tally::not_understood`.
    pub const ALL: [Self; 7] = [
        Self::LinkType,
        Self::Short,
        Self::Arp,
        Self::NotIp,
        Self::BadIp,
        Self::BadTransport,
        Self::TooDeep,
    ];

    /// Its name in counters and on the last line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinkType => "unknown link type",
            Self::Short => "cut short",
            Self::Arp => "arp",
            Self::NotIp => "not ip",
            Self::BadIp => "bad ip header",
            Self::BadTransport => "bad transport header",
            Self::TooDeep => "nested too deep",
        }
    }
}

impl Tally {
    pub(crate) fn refuse(&mut self, why: NotUnderstood) {
        if let Some(count) = self.not_understood.get_mut(why as usize) {
            *count += 1;
        }
    }

    /// The counts of both, for the sum over lanes.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.not_understood.iter_mut().zip(other.not_understood) {
            *mine += theirs;
        }
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.understood += other.understood;
        self.flows_opened += other.flows_opened;
        self.flows_closed += other.flows_closed;
        self.flows_evicted += other.flows_evicted;
        self.fragments += other.fragments;
        self.fragments_dropped += other.fragments_dropped;
        self.heads_denied += other.heads_denied;
        self.followers_given_up += other.followers_given_up;
        self.bursts_unsampled += other.bursts_unsampled;
        self.bursts_untold += other.bursts_untold;
        self.segments_dropped += other.segments_dropped;
        self.bytes_lost += other.bytes_lost;
        self.time_jumps += other.time_jumps;
        self.packets_uncounted_port += other.packets_uncounted_port;
        self
    }
}
