//! Who calls: client keys at the relay, admin keys everywhere else. Without one, nothing is told.
//!
//! A key counts when the head of a request has come: each request of a kept connection is checked anew,
//! and one whose body is still on its way when its key is revoked is served.

use std::{borrow::Cow, sync::Arc};

use actix_web::{
    HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, header},
    middleware::Next,
    web::Data,
};

use super::{
    actors::Actors,
    problem::{Failure, Management, Problem},
};
use crate::{
    actors::{access_keys::KeyRing, clock::now, published::Published},
    domain::access_key::{AccessKey, Role},
};

/// The key a caller presents as `Authorization: Bearer …`.
fn bearer(request: &HttpRequest) -> Option<Cow<'_, str>> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().into())
}

/// The key a client presents in its dialect's own way: Anthropic's clients in `x-api-key`, Google's in
/// `x-goog-api-key` or as `key` in the query. The query is never logged.
fn in_own_way(request: &HttpRequest) -> Option<Cow<'_, str>> {
    let header = |name: &str| Some(request.headers().get(name)?.to_str().ok()?.trim().into());
    let in_query = || {
        let mut pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        pairs.find(|(name, _)| name == "key").map(|(_, key)| key)
    };
    header("x-api-key").or_else(|| header("x-goog-api-key")).or_else(in_query)
}

/// The client key of a relay request.
///
/// Errors: a [`Problem`] of 401 when there is none of ours, of 403 when it is not for the relay.
pub fn client(request: &HttpRequest, keys: &Published<KeyRing>) -> Result<Arc<AccessKey>, Problem> {
    let presented = bearer(request).or_else(|| in_own_way(request));
    let key = verified(presented.as_deref(), keys)?;
    if key.role != Role::Client {
        return Err(Problem::forbidden(
            "this is an admin key; the relay takes client keys, which begin with ppk_",
        ));
    }
    Ok(key)
}

/// Whether the key is one of those who manage.
pub fn manages(request: &HttpRequest, keys: &Published<KeyRing>) -> bool {
    let ring = keys.read();
    let key = bearer(request).and_then(|presented| ring.verify(now(), &presented).ok());
    key.is_some_and(|key| key.role != Role::Client)
}

fn verified(presented: Option<&str>, keys: &Published<KeyRing>) -> Result<Arc<AccessKey>, Problem> {
    let Some(presented) = presented else {
        return Err(Problem::unauthorized("no key; send it as 'Authorization: Bearer <key>'"));
    };
    let ring = keys.read();
    ring.verify(now(), presented).cloned().map_err(Problem::unauthorized)
}

/// Lets admin keys through: a viewer's to look, an admin's to do everything. Wrapped around whole
/// scopes, so that a route that is forgotten, or does not exist, is closed too. Routes find the key by
/// [`admitted`].
pub async fn require_admin<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let actors =
        request.app_data::<Data<Actors>>().expect("the server gives every scope its actors");
    let presented = bearer(request.request());
    let key = verified(presented.as_deref(), &actors.key_ring);
    let key = key.map_err(Failure::<Management>::from)?;
    // Explaining needs a body, and changes nothing.
    let only_looks = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        || (*request.method() == Method::POST && request.path() == "/api/v1/routes/explain");
    let refusal = match key.role {
        Role::Admin => None,
        Role::Viewer if only_looks => None,
        Role::Viewer => Some("this key may look and not change; use an admin key"),
        Role::Client => Some("this is a client key; management takes admin keys (ppa_…)"),
    };
    if let Some(message) = refusal {
        return Err(Failure::<Management>::from(Problem::forbidden(message)).into());
    }
    request.extensions_mut().insert(key);
    next.call(request).await
}

/// The key with which [`require_admin`] has let a request through.
pub fn admitted(request: &HttpRequest) -> Arc<AccessKey> {
    let key = request.extensions().get::<Arc<AccessKey>>().cloned();
    key.expect("nobody comes here without a key")
}
