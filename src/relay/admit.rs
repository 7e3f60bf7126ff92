//! The first step: is this a request we serve, from someone who may ask it?

use std::{cell::OnceCell, rc::Rc, sync::Arc};

use tokio::time::Instant;

use super::{
    admitted_request::{AdmittedRequest, Session},
    deadline::Deadline,
    dispatch::Dispatch,
    error::RelayError,
    gate::Permit,
    history::Recalled,
    services::Relay,
    settle::Settlement,
};
use crate::{
    actors::clock::now,
    domain::{
        access_key::AccessKey,
        id::{ModelName, RequestId},
        route::{Mode, RouteOptions},
        usage::{Outcome, UsageEntry},
    },
    gateway::{
        exchange::{ClientCall, ClientRequest, Operation},
        translate::{InvalidRequest, PathParams},
    },
};

/// A request as it came in.
pub struct Incoming {
    pub id: RequestId,
    pub asked: ClientCall,
    /// What its path has said already.
    pub addressed: PathParams,
    pub key: Arc<AccessKey>,
    pub arrived: Instant,
    pub deadline: Deadline,
    pub recalled: Recalled,
    pub options: RouteOptions,
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
/// `header` reads a header of it.
///
/// Errors: [`RelayError::BadRequest`], [`RelayError::ModelNotAllowed`],
/// [`RelayError::FieldNotAllowed`].
pub fn admit<'h>(
    relay: &Rc<Relay>,
    incoming: Incoming,
    header: impl Fn(&str) -> Option<&'h str>,
) -> Result<Rc<Dispatch>, RelayError> {
    let Incoming { id, asked, addressed, key, arrived, deadline, recalled, options, permit } =
        incoming;
    let Recalled { body, continues } = recalled;
    let request = ClientRequest::parse(asked, body, &addressed).map_err(|error| {
        let InvalidRequest { message, param } = error;
        RelayError::BadRequest { message, param: param.map(Into::into) }
    })?;
    let request = request.with_headers(&header).continuing(continues);
    if asked.operation() == Operation::Embed && Mode::of_name(request.model()).is_some() {
        let message = "model must name a model: none is chosen for embeddings".to_owned();
        return Err(RelayError::BadRequest { message, param: Some("model".to_owned()) });
    }
    check_allowed(&key, request.model(), Some(&request))?;
    let entry = UsageEntry {
        request_id: id,
        at: now().minus(arrived.elapsed()),
        client_key_id: key.id.clone(),
        model: request.model().clone(),
        provider_id: None,
        upstream_model: None,
        credential_id: None,
        outcome: Outcome::Cancelled,
        failure: None,
        streamed: request.is_streamed(),
        attempts: 0,
        tokens: None,
        usage_estimated: false,
        first_event_ms: None,
        duration_ms: 0,
    };
    let uses_tokens = asked.operation() != Operation::CountTokens;
    let body = uses_tokens.then(|| request.body().clone());
    let settlement = Settlement::open(Rc::clone(relay), (arrived, deadline), entry, body, permit);
    let session = session(relay, &key, &request, header);
    let needs = request.needs();
    let (request, prompt_tokens) = (Rc::new(request), OnceCell::new());
    let admitted =
        AdmittedRequest { id, owner: key, request, options, needs, session, prompt_tokens };
    Ok(Rc::new(Dispatch::new(settlement, admitted, deadline)))
}

/// Whether a key may ask for a model, with a request where there is one.
///
/// Errors: [`RelayError::ModelNotAllowed`], [`RelayError::FieldNotAllowed`].
pub fn check_allowed(
    key: &AccessKey,
    model: &ModelName,
    request: Option<&ClientRequest>,
) -> Result<(), RelayError> {
    if !key.allows(model) {
        return Err(RelayError::ModelNotAllowed(model.clone()));
    }
    let request = request.filter(|_| key.is_limited());
    match request.and_then(|request| request.find_forbidden(|model| key.allows(model))) {
        Some(field) => Err(RelayError::FieldNotAllowed { field }),
        None => Ok(()),
    }
}

/// The session of a request, where there is something to choose by it.
fn session<'h>(
    relay: &Relay,
    key: &AccessKey,
    request: &ClientRequest,
    header: impl Fn(&str) -> Option<&'h str>,
) -> Option<Session> {
    if !relay.settings.session_affinity || !relay.snapshots.providers.read().has_choice() {
        return None;
    }
    let (keys, is_named) = request.session(&key.id, header);
    let is_continued = is_named || request.is_continuation();
    (!keys.is_empty()).then_some(Session { keys, is_continued })
}
