//! `[events]`: the event stream.

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;

/// How much the event stream remembers, and for how many.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Events kept for subscribers that come back.
    pub ring: usize,
    /// Events waiting for one subscriber; one more, and it is dropped as too slow.
    pub subscriber_queue: usize,
    /// Time between pings to a subscriber; it is dropped after two without an answer.
    pub heartbeat_ms: u64,
    /// Subscribers at once.
    pub max_subscribers: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self { ring: 4096, subscriber_queue: 256, heartbeat_ms: 15_000, max_subscribers: 100 }
    }
}

impl Events {
    pub(super) fn check(&self, bounds: &mut Bounds) {
        bounds.number("events.ring", self.ring, 1..=1_000_000, "events");
        bounds.number("events.subscriber_queue", self.subscriber_queue, 1..=100_000, "events");
        bounds.number("events.heartbeat_ms", self.heartbeat_ms, 100..=600_000, "ms");
        bounds.number("events.max_subscribers", self.max_subscribers, 1..=10_000, "subscribers");
    }
}
