//! How much the sensor keeps, and which part of the traffic is its own.

use observation::Span;

/// Everything that is bounded. What a limit takes away is counted in the [`crate::Tally`].
/// Of heads, bursts, followers and reordered bytes one capture port may hold a quarter, and flows
/// are evicted where there are most, so that a flood at one port leaves the others alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows at one time; the one that was idle for longest makes room.
    pub flow_count_max: u32,
    /// Chunks of `HEAD_BYTES_MAX` that hold the first bytes of undecided flows.
    pub head_count_max: u32,
    /// Bursts at one time that are sampled for their shape.
    pub burst_count_max: u32,
    /// Bytes of all flows that wait for an earlier segment.
    pub reorder_bytes_max: u32,
    /// Bytes that the followers of all flows hold: unfinished messages, unanswered questions.
    pub follower_bytes_max: u32,
    /// What waits for an earlier segment in one direction of one flow.
    pub reorder_flow_bytes_max: u32,
    /// Datagrams of one shard at one time that wait for their missing fragments.
    pub fragment_count_max: u32,
    /// Bytes of one shard's fragments that wait.
    pub fragment_bytes_max: u32,
    /// Capture ports whose traffic is counted apart.
    pub port_count_max: u32,
    /// A TCP flow without a packet for so long has ended.
    pub tcp_idle: Span,
    /// A TCP attempt without an answer for so long has ended.
    pub attempt_idle: Span,
    /// Any other flow without a packet for so long has ended.
    pub datagram_idle: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flow_count_max: 1 << 18,
            head_count_max: 1 << 14,
            burst_count_max: 1 << 14,
            reorder_bytes_max: 32 << 20,
            follower_bytes_max: 64 << 20,
            reorder_flow_bytes_max: 256 << 10,
            fragment_count_max: 64,
            fragment_bytes_max: 256 << 10,
            port_count_max: 1 << 13,
            // A command after twenty idle minutes belongs to the session that was opened for it.
            tcp_idle: Span::from_secs(2 * 3600),
            // Linux doubles its wait from 1 s; the sixth wait is 32 s.
            attempt_idle: Span::from_secs(70),
            datagram_idle: Span::from_secs(180),
        }
    }
}

impl Limits {
    /// Every capacity divided by `n` and at least one; times stay. For tests, and for lanes that
    /// share one budget.
    #[must_use]
    pub fn divided_by(self, n: u32) -> Self {
        let part = |value: u32| value.checked_div(n).unwrap_or(value).max(1);
        Self {
            flow_count_max: part(self.flow_count_max),
            head_count_max: part(self.head_count_max),
            burst_count_max: part(self.burst_count_max),
            reorder_bytes_max: part(self.reorder_bytes_max),
            follower_bytes_max: part(self.follower_bytes_max),
            reorder_flow_bytes_max: part(self.reorder_flow_bytes_max),
            fragment_count_max: part(self.fragment_count_max),
            fragment_bytes_max: part(self.fragment_bytes_max),
            port_count_max: part(self.port_count_max),
            ..self
        }
    }
}

/// Which of the lanes this sensor is: it owns the shards with `shard % count == index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// 0 for the first lane.
    pub index: u8,
    /// How many lanes there are; 0 is taken for 1.
    pub count: u8,
}

impl Lane {
    /// The only lane: it owns all shards.
    pub const ONLY: Self = Self { index: 0, count: 1 };
}
