//! One line in the log for each request that is over. Written here, on the thread that keeps the ledger:
//! no request waits for it.

use crate::domain::{failure::FailureClass, usage::UsageEntry};

/// The name by which filters switch these lines off, as in `info,providerpool::requests=off`.
const TARGET: &str = "providerpool::requests";

/// Tells the log of a request. Nothing is put together when nobody listens.
pub fn tell(entry: &UsageEntry) {
    let upstream_model = entry.upstream_model.as_ref().filter(|model| **model != entry.model);
    tracing::info!(
        target: TARGET,
        request_id = %entry.request_id,
        client_key = %entry.client_key_id,
        model = %entry.model,
        provider = entry.provider_id.as_ref().map(tracing::field::display),
        upstream_model = upstream_model.map(tracing::field::display),
        failure = entry.failure.map(FailureClass::as_str),
        attempts = entry.attempts,
        input_tokens = entry.tokens.map(|tokens| tokens.total() - tokens.output),
        output_tokens = entry.tokens.map(|tokens| tokens.output),
        first_event_ms = entry.first_event_ms,
        duration_ms = entry.duration_ms,
        "request {}", entry.outcome.as_str()
    );
}
