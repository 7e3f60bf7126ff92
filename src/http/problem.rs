//! Errors as answers: what a caller is told when something went wrong, and in which envelope. Which
//! error becomes what is in `errors`, and nowhere else.

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        Method, StatusCode,
        header::{self, HeaderName},
    },
};
use bytes::Bytes;
use serde::Serialize;

use crate::{
    domain::id::RequestId,
    gateway::{exchange::ClientApi, translate::ErrorView},
};

mod errors;

/// How long a caller should wait when we cannot tell better, for what passes quickly.
const SOON: Duration = Duration::from_secs(1);
/// The same for what takes a person or another process.
const LATER: Duration = Duration::from_secs(30);

/// An error on its way to a caller, before it is in anyone's dialect.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable: programs may match on it.
    pub code: String,
    /// For people: what happened, to which thing, and what to do.
    pub message: String,
    /// The parameter at fault.
    pub param: Option<String>,
    /// The upstream's own word for the kind of error, when the message is the upstream's too.
    pub kind: Option<String>,
    /// Present on every 429 and 503.
    pub retry_after: Option<Duration>,
    /// Whether somebody has to do something before asking again makes sense. OpenAI's clients would
    /// ask again by themselves, after a wait in which nobody sees why.
    pub needs_a_person: bool,
}

impl Problem {
    pub fn new(status: StatusCode, code: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.to_string(),
            param: None,
            kind: None,
            retry_after: None,
            needs_a_person: false,
        }
    }

    /// Names the parameter at fault.
    pub fn about(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    fn needs_a_person(self) -> Self {
        Self { needs_a_person: true, ..self }
    }

    pub fn bad_request(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    pub fn unauthorized(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    pub fn forbidden(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub fn not_found(code: &'static str, message: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// There is something under this path, but not for this method. `allow`: those it is for.
    pub fn method_not_allowed(method: &Method, path: &str, allow: &str) -> Self {
        let message = format!("{path} does not take {method}; it takes {allow}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    pub fn too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    pub fn body_too_slow() -> Self {
        let message = "the body did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
    }

    /// The bodies of all requests together take as much room as they may.
    pub fn no_room_for_bodies(wait: Duration) -> Self {
        let message = "the requests under way take all room there is for bodies; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(wait)
    }

    /// The bodies of the requests of one key take as much room as one key may have.
    pub fn no_room_for_bodies_of_key(wait: Duration) -> Self {
        let message = "the requests of this key that are under way take all room there is for the \
                       bodies of one key; try again";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message).retry_after(wait)
    }

    /// One address has as many requests under way as it may.
    pub fn too_many_of_this_address() -> Self {
        let message = "there are too many requests of your address at once; try again";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message).retry_after(SOON)
    }

    /// A part of the pool did not answer: it is restarting.
    pub fn restarting() -> Self {
        let message = "a part of the pool is restarting; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "restarting", message).retry_after(SOON)
    }

    /// A part of the pool did not answer in time: it has much to do, or waits for the database.
    pub fn overrun() -> Self {
        let message = "a part of the pool did not answer in time; whether a change was made is not \
                       known, look before you try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overrun", message).retry_after(SOON)
    }
}

/// How errors look to one kind of caller.
pub trait Envelope: fmt::Debug + 'static {
    /// The body, JSON.
    fn body(&self, problem: &Problem, request_id: RequestId) -> Bytes;
}

/// Callers of the management API.
#[derive(Debug, Default)]
pub struct Management;

/// An error of the management API.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ManagementError<'a> {
    error: ManagementErrorBody<'a>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ManagementErrorBody<'a> {
    /// Stable: programs may match on it.
    code: &'a str,
    /// For people: what happened, to which thing, and what to do.
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
    #[schema(value_type = String)]
    request_id: RequestId,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Details<'a> {
    /// The parameter at fault.
    param: &'a str,
}

impl Envelope for Management {
    fn body(&self, problem: &Problem, request_id: RequestId) -> Bytes {
        let error = ManagementErrorBody {
            code: &problem.code,
            message: &problem.message,
            details: problem.param.as_deref().map(|param| Details { param }),
            request_id,
        };
        serde_json::to_vec(&ManagementError { error }).expect("texts are always JSON").into()
    }
}

/// Callers of the relay: in the dialect they speak.
impl Envelope for ClientApi {
    fn body(&self, problem: &Problem, _: RequestId) -> Bytes {
        self.side().error_body(&error_view(problem)).into()
    }
}

/// A problem as the dialects make their errors of it. The kinds are OpenAI's:
/// <https://platform.openai.com/docs/guides/error-codes>, read 2026-11-22.
pub fn error_view(problem: &Problem) -> ErrorView<'_> {
    let kind = match problem.status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    ErrorView {
        status: problem.status.as_u16(),
        message: &problem.message,
        kind: problem.kind.as_deref().unwrap_or(kind),
        param: problem.param.as_deref(),
        code: Some(&problem.code),
    }
}

/// What a request speaks of and is not there, in the head of its answer.
pub const WARNING: HeaderName = HeaderName::from_static("x-providerpool-warning");

/// A [`Problem`] in the envelope of `D`.
#[derive(Debug)]
pub struct ErrorResponse<D> {
    /// Boxed: it is large, and what may fail with it should not be.
    problem: Box<Problem>,
    request_id: RequestId,
    /// What the request speaks of and is not there.
    warning: Option<String>,
    envelope: D,
}

impl<D> ErrorResponse<D> {
    pub fn of(envelope: D, problem: impl Into<Problem>, request_id: RequestId) -> Self {
        Self { problem: Box::new(problem.into()), request_id, warning: None, envelope }
    }

    #[must_use]
    pub fn warning(self, warning: Option<String>) -> Self {
        Self { warning, ..self }
    }
}

impl<D: Default, E: Into<Problem>> From<E> for ErrorResponse<D> {
    fn from(error: E) -> Self {
        Self::of(D::default(), error, RequestId::generate())
    }
}

impl<D> fmt::Display for ErrorResponse<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl<D: Envelope> ResponseError for ErrorResponse<D> {
    fn status_code(&self) -> StatusCode {
        self.problem.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.problem.status);
        response.content_type("application/json");
        response.insert_header(("x-request-id", self.request_id.to_string()));
        if let Some(warning) = &self.warning {
            response.insert_header((WARNING, warning.as_str()));
        }
        if self.problem.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(wait) = self.problem.retry_after {
            // Whole seconds, never too few: who waits that long must find us ready.
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.problem.needs_a_person {
            // Heeded by OpenAI's clients: `_should_retry` of openai-python 3.54, read 2026-11-22.
            response.insert_header(("x-should-retry", "false"));
        }
        response.body(self.envelope.body(&self.problem, self.request_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let problem = Problem::restarting().retry_after(Duration::from_millis(1_001));
        let response = ErrorResponse::<Management>::from(problem).error_response();
        assert_eq!(response.headers().get("retry-after").unwrap(), "2");
    }

    #[test]
    fn the_management_envelope_has_its_documented_shape() {
        let id = RequestId::generate();
        let problem = Problem::bad_request("priority: must be a number").about("priority");
        let body = Management.body(&problem, id);
        let expected = format!(
            r#"{{"error":{{"code":"invalid_request","message":"priority: must be a number","details":{{"param":"priority"}},"request_id":"{id}"}}}}"#
        );
        assert_eq!(body, expected.as_bytes());
    }
}
