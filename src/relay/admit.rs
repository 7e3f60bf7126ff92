//! The first step: is this a request we serve, from someone who may ask it?

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    attempt::Attempts, deadline::Deadline, error::RelayError, gate::Permit, services::Relay,
    settle::Settlement,
};
use crate::{
    actors::clock::now,
    domain::{
        access_key::AccessKey,
        id::RequestId,
        usage::{Outcome, UsageEntry},
    },
    gateway::dialect::openai_chat::ChatRequest,
};

/// A request as it came in.
pub struct Incoming {
    pub id: RequestId,
    pub key: Arc<AccessKey>,
    pub arrived: Instant,
    /// What the client allows it to take, when that is less than we do.
    pub timeout: Option<Duration>,
    pub body: Bytes,
    /// Asked for before the body was read: bodies take memory.
    pub permit: Permit,
}

/// Lets a request in, if there is room.
///
/// Errors: [`RelayError::Draining`], [`RelayError::Busy`].
pub fn enter(relay: &Relay) -> Result<Permit, RelayError> {
    relay.gate.enter()
}

/// Checks a request and opens its account. From here on it is on the ledger, however it ends.
///
/// Errors: [`RelayError::BadRequest`], [`RelayError::ModelNotAllowed`].
pub fn admit(relay: &Rc<Relay>, incoming: Incoming) -> Result<Attempts, RelayError> {
    let request = ChatRequest::parse(&incoming.body).map_err(|error| RelayError::BadRequest {
        message: error.message,
        param: error.param.map(str::to_owned),
    })?;
    if !incoming.key.allows(&request.model) {
        return Err(RelayError::ModelNotAllowed(request.model));
    }
    let deadline = Deadline::new(incoming.arrived, relay.settings.timeout, incoming.timeout);
    let entry = UsageEntry {
        request_id: incoming.id,
        at: now().minus(incoming.arrived.elapsed()),
        client_key_id: incoming.key.id.clone(),
        model: request.model.clone(),
        provider_id: None,
        upstream_model: None,
        credential_id: None,
        outcome: Outcome::Cancelled,
        failure: None,
        streamed: request.stream,
        attempts: 0,
        tokens: None,
        first_event_ms: None,
        duration_ms: 0,
    };
    let settlement = Settlement::open(Rc::clone(relay), incoming.arrived, entry, incoming.permit);
    Ok(Attempts::new(settlement, request, incoming.body, deadline))
}
