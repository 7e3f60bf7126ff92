//! Which status, code and words each error of ours gets. Matched without a default, so that a new one
//! does not compile before somebody has chosen.

use std::time::Duration;

use actix_web::http::StatusCode;

use super::{LATER, Problem, SOON};
use crate::{
    actors::{
        access_keys::AccessKeyError, credentials::CredentialError, db::DbError,
        discovery::DiscoveryError, events::SubscribeError, registry::RegistryError,
        router::RouteError, usage_tracker::LedgerError,
    },
    domain::{
        failure::{Failure as AttemptFailure, FailureClass},
        id::IdError,
        model::Capability,
        pattern::PatternError,
        route::NameKind,
    },
    relay::RelayError,
};

impl From<RelayError> for Problem {
    fn from(error: RelayError) -> Self {
        let said = error.to_string();
        match error {
            RelayError::Draining => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "draining", said).retry_after(LATER)
            }
            RelayError::Busy { .. } | RelayError::ProvidersBusy { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", said).retry_after(SOON)
            }
            RelayError::BadRequest { param, .. } => Self { param, ..Self::bad_request(said) },
            RelayError::ModelNotAllowed(_) => {
                Self::new(StatusCode::FORBIDDEN, "model_not_allowed", said).about("model")
            }
            RelayError::FieldNotAllowed { field } => {
                Self::new(StatusCode::FORBIDDEN, "model_not_allowed", said).about(field)
            }
            RelayError::NoProvider => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_provider", said)
                    .retry_after(LATER)
                    .needs_a_person()
            }
            RelayError::RouteUnreadable { kind, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, unreadable(kind), said)
                    .about("model")
                    .retry_after(LATER)
                    .needs_a_person()
            }
            RelayError::NoSuchModel(_) | RelayError::NoModelListed { .. } => {
                Self::not_found("model_not_found", said).about("model")
            }
            RelayError::Lacking { capabilities, .. } => {
                let words: Vec<_> = capabilities.iter().map(Capability::as_str).collect();
                let hint = "allow others with the header x-providerpool-relax: true";
                let message = format!("{said}: {}; {hint}", words.join(", "));
                Self::new(StatusCode::BAD_REQUEST, "capability_missing", message).about("model")
            }
            RelayError::ForEmbeddings { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "model_for_embeddings", said).about("model")
            }
            RelayError::Lossy { .. } => {
                let hint = "allow it by leaving out the header x-providerpool-strict";
                Self::new(StatusCode::BAD_REQUEST, "translation_lossy", format!("{said}; {hint}"))
            }
            RelayError::UnknownAnswer => {
                Self::new(StatusCode::BAD_REQUEST, "previous_response_not_found", said)
                    .about("previous_response_id")
            }
            RelayError::NotOffered { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "not_offered", said).about("model")
            }
            RelayError::NoneAllowed { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "no_provider_allowed", said)
            }
            RelayError::Cooling { cause, retry_after, .. } => {
                let (status, code) = match cause {
                    FailureClass::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
                    FailureClass::Payment => (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota"),
                    _ => (StatusCode::SERVICE_UNAVAILABLE, "providers_cooling"),
                };
                Self::new(status, code, said).retry_after(retry_after)
            }
            RelayError::AtFault(failure) => at_fault(&failure, said),
            RelayError::Exhausted { last, retry_after, .. } => {
                exhausted(last.class_told(), said, retry_after)
            }
            RelayError::BrokenOff(failure) => broken_off(&failure, said),
            RelayError::DeadlinePassed => Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", said),
            RelayError::KeyEnded(_) => Self::unauthorized(said),
            RelayError::LedgerUnavailable => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", said)
                    .retry_after(LATER)
            }
        }
    }
}

/// The upstream's own reason, since it is about what the client sent.
fn at_fault(failure: &AttemptFailure, said: String) -> Problem {
    let (status_told, code) = told(failure.class);
    let status = failure
        .status
        .and_then(|status| StatusCode::from_u16(status).ok())
        // Others are about our credential or our rate there, not about the client's; unless a rule of
        // the provider says that they are.
        .filter(|status| {
            let is_error = status.is_client_error() || status.is_server_error();
            failure.rule.is_some() && is_error
                || matches!(status.as_u16(), 400 | 404 | 409 | 413 | 415 | 422)
        })
        .unwrap_or(status_told);
    let problem = match failure.reason.clone().filter(|reason| !reason.message.is_empty()) {
        None => Problem::new(status, code, said),
        Some(reason) => Problem {
            param: reason.param,
            kind: reason.kind,
            ..Problem::new(status, reason.code.unwrap_or_else(|| code.to_owned()), reason.message)
        },
    };
    when_to_come_back(problem, failure.retry_after)
}

fn exhausted(class: FailureClass, said: String, retry_after: Option<Duration>) -> Problem {
    let (status, code) = told(class);
    let problem = when_to_come_back(Problem::new(status, code, said), retry_after);
    if class == FailureClass::ModelMissing { problem.about("model") } else { problem }
}

/// A stream that nobody has gone on with. What its upstream has said of it keeps its class; what only
/// ended is a broken stream, whatever ended it.
fn broken_off(failure: &AttemptFailure, said: String) -> Problem {
    match failure.class {
        _ if failure.is_about_the_request() => at_fault(failure, said),
        FailureClass::Silent
        | FailureClass::Stalled
        | FailureClass::Cut
        | FailureClass::Connect
        | FailureClass::Cancelled => Problem::new(StatusCode::BAD_GATEWAY, "stream_broken", said),
        class => exhausted(class, said, failure.retry_after),
    }
}

/// The status and the code by which a client knows a class of failures.
fn told(class: FailureClass) -> (StatusCode, &'static str) {
    match class {
        FailureClass::ClientFault | FailureClass::Cancelled => {
            (StatusCode::BAD_REQUEST, "invalid_request")
        }
        FailureClass::ContextTooLong => (StatusCode::BAD_REQUEST, "context_length_exceeded"),
        FailureClass::Refusal => (StatusCode::BAD_REQUEST, "content_filter"),
        FailureClass::Auth => (StatusCode::BAD_GATEWAY, "upstream_auth"),
        FailureClass::Payment => (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota"),
        FailureClass::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
        FailureClass::Overload => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        FailureClass::ModelMissing => (StatusCode::NOT_FOUND, "model_not_found"),
        FailureClass::Silent | FailureClass::Stalled => {
            (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout")
        }
        FailureClass::Server | FailureClass::Connect | FailureClass::Cut => {
            (StatusCode::BAD_GATEWAY, "upstream_error")
        }
    }
}

fn when_to_come_back(problem: Problem, retry_after: Option<Duration>) -> Problem {
    match problem.status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            problem.retry_after(retry_after.unwrap_or(SOON))
        }
        _ => problem,
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        let code = match error {
            IdError::Empty | IdError::Malformed(_) => "invalid_provider_id",
            IdError::Reserved(_) => "reserved_provider_id",
            IdError::EmptyModel | IdError::MalformedModel | IdError::DottedModel => {
                "invalid_model_name"
            }
        };
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }
}

impl From<PatternError> for Problem {
    fn from(error: PatternError) -> Self {
        match error {
            PatternError::Name(error) => error.into(),
            PatternError::Stars => Self::new(StatusCode::BAD_REQUEST, "invalid_model_name", error),
        }
    }
}

impl From<RouteError> for Problem {
    fn from(error: RouteError) -> Self {
        let said = error.to_string();
        match error {
            // "route_not_found" is said of paths.
            RouteError::NotFound(NameKind::Route, _) => {
                Self::not_found("model_route_not_found", said)
            }
            RouteError::NotFound(NameKind::Alias, _) => Self::not_found("alias_not_found", said),
            RouteError::OwnedByConfiguration(..) => {
                Self::new(StatusCode::CONFLICT, "owned_by_configuration", said)
            }
            RouteError::Unreadable(kind, _) => {
                Self::new(StatusCode::CONFLICT, unreadable(kind), said)
            }
            RouteError::TooMany { .. } => Self::new(StatusCode::CONFLICT, "too_many", said),
            RouteError::Invalid(invalid) => Self::bad_request(said).about(invalid.field),
            RouteError::Db(error) => error.into(),
        }
    }
}

fn unreadable(kind: NameKind) -> &'static str {
    match kind {
        NameKind::Route => "model_route_unreadable",
        NameKind::Alias => "alias_unreadable",
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let said = error.to_string();
        match error {
            RegistryError::NotFound(_) => Self::not_found("provider_not_found", said),
            RegistryError::Exists(_) => Self::new(StatusCode::CONFLICT, "provider_exists", said),
            RegistryError::Unreadable(_) => {
                Self::new(StatusCode::CONFLICT, "provider_unreadable", said)
            }
            RegistryError::OwnedByConfiguration(_) => {
                Self::new(StatusCode::CONFLICT, "owned_by_configuration", said)
            }
            RegistryError::BuiltIn(_) => {
                Self::new(StatusCode::CONFLICT, "provider_is_built_in", said)
            }
            RegistryError::FixedByCatalog(_, field) => {
                Self::new(StatusCode::CONFLICT, "fixed_by_catalog", said).about(field)
            }
            RegistryError::Invalid(invalid) => Self::bad_request(said).about(invalid.field),
            RegistryError::Id(error) => error.into(),
            RegistryError::Db(error) => error.into(),
        }
    }
}

impl From<DiscoveryError> for Problem {
    fn from(error: DiscoveryError) -> Self {
        let said = error.to_string();
        match error {
            DiscoveryError::NoAddress(_) => {
                Self::new(StatusCode::CONFLICT, "no_address", said).about("base_url")
            }
            DiscoveryError::OneFormat(_) => {
                Self::new(StatusCode::CONFLICT, "format_is_fixed", said).about("base_url")
            }
            DiscoveryError::Locked(_) => {
                Self::new(StatusCode::CONFLICT, "provider_is_locked", said)
            }
            DiscoveryError::Busy(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", said).retry_after(SOON)
            }
            DiscoveryError::Registry(error) => error.into(),
        }
    }
}

impl From<CredentialError> for Problem {
    fn from(error: CredentialError) -> Self {
        let said = error.to_string();
        match error {
            CredentialError::NotFound { .. } => Self::not_found("key_not_found", said),
            CredentialError::NotStored { .. } => {
                Self::new(StatusCode::CONFLICT, "key_is_not_stored", said)
            }
            CredentialError::Invalid(invalid) => Self::bad_request(said).about(invalid.field),
            CredentialError::Locked { .. } => {
                Self::new(StatusCode::CONFLICT, "key_is_locked", said)
            }
            CredentialError::Db(error) => error.into(),
        }
    }
}

impl From<AccessKeyError> for Problem {
    fn from(error: AccessKeyError) -> Self {
        let said = error.to_string();
        match error {
            AccessKeyError::NotFound(_) => Self::not_found("key_not_found", said),
            AccessKeyError::Invalid(invalid) => Self::bad_request(said).about(invalid.field),
            AccessKeyError::Db(error) => error.into(),
        }
    }
}

impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::TooMany { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_subscribers", error)
                    .retry_after(LATER)
            }
            SubscribeError::Stopping => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "draining", error).retry_after(LATER)
            }
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        tracing::error!(%error, "a question about usage could not be answered");
        let message = "the ledger cannot be reached; its entries are safe, try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", message).retry_after(LATER)
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        tracing::error!(%error, "a change could not be stored");
        let unavailable = |message| {
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message)
                .retry_after(LATER)
        };
        match error {
            DbError::Busy
            | DbError::Late
            | DbError::Stopped
            | DbError::Taken(_)
            | DbError::Connection(_) => {
                unavailable("the database cannot be reached; nothing was changed, try again later")
            }
            DbError::Full(_) => unavailable(
                "the database has no room left; nothing was changed: make room on its disk, then try \
                 again",
            )
            .needs_a_person(),
            DbError::Damaged(_) => unavailable(
                "the database is damaged; nothing was changed: stop the pool and start it again, it \
                 then says what to do",
            )
            .needs_a_person(),
            DbError::Timeout => unavailable(
                "the database did not answer in time; whether the change was made is not known, \
                 look before you try again",
            ),
            DbError::Panicked => {
                unavailable("the database part has just restarted; nothing was changed, try again")
            }
            DbError::Duplicate => Self::new(
                StatusCode::CONFLICT,
                "stored_already",
                "the database holds it already, from another process; it is known here after a restart",
            ),
            DbError::Query(_) | DbError::Corrupt { .. } | DbError::Locked { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "database_error",
                "the database refused the change; the log says why",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::failure::Reason;

    fn relay_problem(error: RelayError) -> Problem {
        error.into()
    }

    #[test]
    fn every_429_and_503_says_when_to_come_back() {
        for class in FailureClass::ALL {
            let last = Arc::new(AttemptFailure::new(class, "x"));
            let problem = relay_problem(RelayError::Exhausted {
                last,
                provider: None,
                attempts: 1,
                retry_after: None,
            });
            let must_say = matches!(problem.status.as_u16(), 429 | 503);
            assert_eq!(problem.retry_after.is_some(), must_say, "{class:?}");
        }
        for error in [
            RelayError::Draining,
            RelayError::Busy { limit: 1 },
            RelayError::NoProvider,
            RelayError::LedgerUnavailable,
        ] {
            let problem = relay_problem(error);
            assert!(problem.retry_after.is_some(), "{}", problem.code);
        }
    }

    #[test]
    fn the_key_of_the_pool_is_never_the_clients_fault() {
        let mut failure = AttemptFailure::new(FailureClass::Auth, "acme answered 401");
        failure.status = Some(401);
        let last = Arc::new(failure);
        let problem = relay_problem(RelayError::Exhausted {
            last,
            provider: None,
            attempts: 1,
            retry_after: None,
        });
        assert_eq!(problem.status, StatusCode::BAD_GATEWAY);
    }

    #[test]
    fn a_reason_about_the_request_is_passed_on_in_the_upstreams_words() {
        let mut failure = AttemptFailure::new(FailureClass::ClientFault, "acme answered 422");
        failure.status = Some(422);
        failure.reason = Some(Box::new(Reason {
            message: "temperature is too high".into(),
            kind: Some("invalid_request_error".into()),
            code: None,
            param: Some("temperature".into()),
        }));
        let problem = relay_problem(RelayError::AtFault(Arc::new(failure)));
        assert_eq!(problem.status.as_u16(), 422);
        assert_eq!(problem.message, "temperature is too high");
        assert_eq!(problem.param.as_deref(), Some("temperature"));
    }
}
