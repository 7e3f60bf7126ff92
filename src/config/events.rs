//! `[events]`: the event stream.

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;

/// How much the event stream remembers, and for how many.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Events kept for subscribers that come back.
    pub ring: usize,
    /// Memory of the events that wait for one subscriber; one more, and it is dropped as too slow.
    pub subscriber_queue_bytes: usize,
    /// Longest time that one event waits for a subscriber; past it, that is dropped as too slow.
    pub subscriber_lag_ms: u64,
    /// Time between pings to a subscriber; it is dropped after two without an answer.
    pub heartbeat_ms: u64,
    /// Subscribers at once.
    pub max_subscribers: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            ring: 4096,
            subscriber_queue_bytes: 32 << 20,
            subscriber_lag_ms: 30_000,
            heartbeat_ms: 15_000,
            max_subscribers: 100,
        }
    }
}

impl Events {
    pub(super) fn check(&self, bounds: &mut Bounds) {
        bounds.number("events.ring", self.ring, 1..=1_000_000, "events");
        let bytes = self.subscriber_queue_bytes;
        bounds.number("events.subscriber_queue_bytes", bytes, 1024..=1 << 30, "bytes");
        bounds.number("events.subscriber_lag_ms", self.subscriber_lag_ms, 100..=600_000, "ms");
        bounds.number("events.heartbeat_ms", self.heartbeat_ms, 100..=600_000, "ms");
        bounds.number("events.max_subscribers", self.max_subscribers, 1..=10_000, "subscribers");
    }
}
