//! `[relay]`: how long a request may take, and how much of it is kept.

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;

/// How long a request may take, and how much of it is kept.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Relay {
    /// Time for one request with all its attempts. A caller may ask for less.
    pub timeout_ms: u64,
    /// Time for one attempt at a whole answer while another provider is left to be asked; where the
    /// provider's usual times are known, six times those if that is longer.
    pub attempt_timeout_ms: u64,
    /// Longest wait for a provider that can be asked, when all are cooling or busy.
    pub max_wait_ms: u64,
    /// Time to connect to a provider, TLS included.
    pub connect_timeout_ms: u64,
    /// Longest silence of a provider within an answer.
    pub idle_timeout_ms: u64,
    /// Longest wait for what ends a stream, once all of the answer is here.
    pub end_wait_ms: u64,
    /// Silence towards the client after which a stream is kept alive.
    pub keep_alive_ms: u64,
    /// Bytes of a stream kept back until its first event has proved the provider.
    pub hold_back_bytes: usize,
    /// Largest unstreamed answer.
    pub max_answer_bytes: usize,
    /// Largest event of a stream. A larger one breaks it off.
    pub max_event_bytes: usize,
    /// Requests at once; the next is refused.
    pub max_in_flight: usize,
    /// Shortest pause before a provider that has failed is asked once more; the longest is four
    /// times as long.
    pub retry_pause_ms: u64,
    /// Whether a second provider is asked beside one that is slow to answer.
    pub hedge: bool,
    /// Silence of a stream after which it is slow, as long as nothing is known of its provider.
    pub hedge_unknown_ms: u64,
    /// Shortest silence of a stream that is slow, when its provider's usual times are known.
    pub hedge_min_ms: u64,
    /// Longest silence of a stream that is not slow yet.
    pub hedge_max_ms: u64,
    /// The same as `hedge_min_ms` for whole answers.
    pub hedge_whole_min_ms: u64,
    /// Whether a stream that breaks off is taken up again with another attempt, if that says the same.
    pub resume: bool,
    /// Whether a stream ends when its client's key is revoked, expires or is changed. Else it is finished,
    /// and only the next request is refused.
    pub end_streams_of_revoked_keys: bool,
    /// Requests whose way is remembered, to be read by the API. 0: none.
    pub traces: usize,
    /// Bytes of answers of the Responses API that are kept, to be continued by their id. 0: none.
    pub stored_response_bytes: usize,
    /// Asks providers to report the usage of streams, when the client has not.
    pub ask_stream_usage: bool,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            timeout_ms: 600_000,
            attempt_timeout_ms: 120_000,
            max_wait_ms: 60_000,
            connect_timeout_ms: 5_000,
            idle_timeout_ms: 60_000,
            end_wait_ms: 2_000,
            keep_alive_ms: 15_000,
            hold_back_bytes: 64 << 10,
            max_answer_bytes: 64 << 20,
            max_event_bytes: 16 << 20,
            max_in_flight: 10_000,
            retry_pause_ms: 200,
            hedge: true,
            hedge_unknown_ms: 10_000,
            hedge_min_ms: 5_000,
            hedge_max_ms: 30_000,
            hedge_whole_min_ms: 30_000,
            resume: true,
            end_streams_of_revoked_keys: false,
            traces: 1_000,
            stored_response_bytes: 64 << 20,
            ask_stream_usage: true,
        }
    }
}

impl Relay {
    pub(super) fn check(&self, bounds: &mut Bounds) {
        bounds.number("relay.timeout_ms", self.timeout_ms, 100..=86_400_000, "ms");
        bounds.number("relay.attempt_timeout_ms", self.attempt_timeout_ms, 100..=86_400_000, "ms");
        bounds.number("relay.max_wait_ms", self.max_wait_ms, 0..=86_400_000, "ms");
        bounds.number("relay.connect_timeout_ms", self.connect_timeout_ms, 10..=120_000, "ms");
        bounds.number("relay.idle_timeout_ms", self.idle_timeout_ms, 10..=3_600_000, "ms");
        bounds.number("relay.end_wait_ms", self.end_wait_ms, 1..=60_000, "ms");
        bounds.number("relay.keep_alive_ms", self.keep_alive_ms, 10..=600_000, "ms");
        bounds.number("relay.hold_back_bytes", self.hold_back_bytes, 1024..=16 << 20, "bytes");
        bounds.number("relay.max_answer_bytes", self.max_answer_bytes, 1024..=1 << 30, "bytes");
        let event = 64 << 10..=256 << 20;
        bounds.number("relay.max_event_bytes", self.max_event_bytes, event, "bytes");
        bounds.number("relay.max_in_flight", self.max_in_flight, 1..=1_000_000, "requests");
        bounds.number("relay.retry_pause_ms", self.retry_pause_ms, 1..=10_000, "ms");
        bounds.number("relay.traces", self.traces, 0..=100_000, "requests");
        let stored = self.stored_response_bytes;
        bounds.number("relay.stored_response_bytes", stored, 0..=64 << 30, "bytes");
        let silence = 1..=600_000;
        bounds.number("relay.hedge_unknown_ms", self.hedge_unknown_ms, silence.clone(), "ms");
        bounds.number("relay.hedge_min_ms", self.hedge_min_ms, silence.clone(), "ms");
        bounds.number("relay.hedge_max_ms", self.hedge_max_ms, self.hedge_min_ms..=600_000, "ms");
        bounds.number("relay.hedge_whole_min_ms", self.hedge_whole_min_ms, silence, "ms");
    }
}
