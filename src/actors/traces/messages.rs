//! What can be asked of Traces.

use std::sync::Arc;

use actix::Message;

use crate::domain::{cooldown::CooldownView, id::RequestId, trace::Trace};

/// Facts: these requests are over, and this was their way.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RecordTraces(pub Vec<Arc<Trace>>);

/// A fact: an attempt led to a cooldown. Comes before its request is over, or after.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CooldownCaused {
    pub request_id: RequestId,
    /// The number of the attempt.
    pub attempt: u32,
    pub cooldown: CooldownView,
}

/// Asks for the trace of a request. `None`: it is under way, too long ago, or never was.
#[derive(Debug, Message)]
#[rtype(result = "Option<Arc<Trace>>")]
pub struct FindTrace {
    pub request_id: RequestId,
}
