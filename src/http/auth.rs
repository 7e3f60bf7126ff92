//! Who calls: client keys at the relay, admin keys everywhere else. Without one, nothing is told.
//!
//! A key counts when the head of a request has come: each request of a kept connection is checked anew,
//! and one whose body is still on its way when its key is revoked is served.

use std::{borrow::Cow, sync::Arc};

use actix_web::{
    HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderValue},
    },
    middleware::Next,
    web::Data,
};

use super::{
    actors::Actors,
    problem::{ErrorResponse, Management, Problem},
};
use crate::{
    actors::{
        access_keys::{KeyRing, parse_presented},
        clock::now,
        published::Published,
    },
    domain::access_key::{AccessKey, Role},
};

/// The key in an `Authorization: Bearer …`.
fn bearer(value: &HeaderValue) -> Option<Cow<'_, str>> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().into())
}

/// The key that a caller presents as `Authorization`.
///
/// Errors: a [`Problem`] of 401 when that stands there more than once with different values.
fn authorization(request: &HttpRequest) -> Result<Option<Cow<'_, str>>, Problem> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) { Err(several_keys()) } else { Ok(bearer(first)) }
}

/// The keys that a client presents in its dialect's own way: Anthropic's clients in `x-api-key`, Google's
/// in `x-goog-api-key` or as `key` in the query. The query is never logged.
fn in_own_way(request: &HttpRequest) -> impl Iterator<Item = Cow<'_, str>> {
    let headers = ["x-api-key", "x-goog-api-key"];
    let values = headers.into_iter().flat_map(|name| request.headers().get_all(name));
    let values = values.filter_map(|value| Some(Cow::from(value.to_str().ok()?.trim())));
    let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    let pairs = pairs.filter(|(name, _)| name == "key");
    let all = values.chain(pairs.map(|(_, key)| Cow::Owned(key.trim().to_owned())));
    all.filter(|key| !key.is_empty())
}

/// What stands before us may have looked at another key than we would.
fn several_keys() -> Problem {
    let message = "the request bears different keys (Authorization, x-api-key, x-goog-api-key or key in \
                   the query); send one";
    Problem::unauthorized(message)
}

/// The client key of a relay request.
///
/// Errors: a [`Problem`] of 401 when there is none of ours, or there are two that differ, of 403
/// when it is not for the relay.
pub fn client(request: &HttpRequest, keys: &Published<KeyRing>) -> Result<Arc<AccessKey>, Problem> {
    let presented = authorization(request)?.into_iter().chain(in_own_way(request));
    // Many clients send along what is left of another service's key in their environment.
    let (ours, others): (Vec<_>, Vec<_>) =
        presented.partition(|presented| parse_presented(presented).is_some());
    if ours.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(several_keys());
    }
    let key = verified(ours.first().or(others.first()).map(|key| &**key), keys)?;
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
    let presented = authorization(request).ok().flatten();
    let key = presented.and_then(|presented| ring.verify(now(), &presented).ok());
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
    let presented = authorization(request.request());
    let key = presented.and_then(|presented| verified(presented.as_deref(), &actors.key_ring));
    let key = key.map_err(ErrorResponse::<Management>::from)?;
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
        return Err(ErrorResponse::<Management>::from(Problem::forbidden(message)).into());
    }
    request.extensions_mut().insert(key);
    next.call(request).await
}

/// The key with which [`require_admin`] has let a request through.
pub fn admitted(request: &HttpRequest) -> Arc<AccessKey> {
    let key = request.extensions().get::<Arc<AccessKey>>().cloned();
    key.expect("nobody comes here without a key")
}
