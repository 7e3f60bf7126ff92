//! The shell around the ring.

use std::sync::Arc;

use actix::prelude::*;

use super::{
    messages::{CooldownCaused, FindTrace, RecordTraces},
    trace_ring::TraceRing,
};
use crate::{
    actors::supervise::{crashes_on_request, stops_on_request},
    domain::trace::Trace,
};

/// Owns the traces of the last requests.
pub struct Traces {
    ring: TraceRing,
}

impl Traces {
    /// Keeps the last `capacity` traces.
    pub fn new(capacity: usize) -> Self {
        Self { ring: TraceRing::new(capacity) }
    }
}

impl Actor for Traces {
    type Context = Context<Self>;
}

impl Supervised for Traces {}

impl Handler<RecordTraces> for Traces {
    type Result = ();

    fn handle(&mut self, msg: RecordTraces, _: &mut Self::Context) {
        for trace in msg.0 {
            self.ring.add(trace);
        }
    }
}

impl Handler<CooldownCaused> for Traces {
    type Result = ();

    fn handle(&mut self, msg: CooldownCaused, _: &mut Self::Context) {
        self.ring.note_cooldown(msg.request_id, msg.attempt, msg.cooldown);
    }
}

impl Handler<FindTrace> for Traces {
    type Result = Option<Arc<Trace>>;

    fn handle(&mut self, msg: FindTrace, _: &mut Self::Context) -> Self::Result {
        self.ring.find(msg.request_id)
    }
}

stops_on_request!(Traces);
crashes_on_request!(Traces);
