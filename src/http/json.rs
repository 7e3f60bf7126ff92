//! Bodies, paths and queries of management calls, with our words when they do not parse.

use actix_web::{
    HttpRequest,
    error::JsonPayloadError,
    web::{JsonConfig, PathConfig, QueryConfig},
};

use super::problem::{Failure, Management, Problem};

/// Largest body of a management call, in bytes. A provider with 2000 models fits.
const MAX_BODY: usize = 1024 * 1024;

pub fn json_config() -> JsonConfig {
    JsonConfig::default().limit(MAX_BODY).error_handler(refuse_json)
}

pub fn path_config() -> PathConfig {
    PathConfig::default().error_handler(|error, _| refuse_part("path", &error))
}

pub fn query_config() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| refuse_part("query", &error))
}

fn refuse(problem: Problem) -> actix_web::Error {
    Failure::<Management>::from(problem).into()
}

fn refuse_json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    refuse(match error {
        JsonPayloadError::OverflowKnownLength { limit, .. }
        | JsonPayloadError::Overflow { limit } => Problem::too_large(limit),
        JsonPayloadError::ContentType => {
            Problem::bad_request("the body must be JSON, sent as 'Content-Type: application/json'")
        }
        other => Problem::bad_request(format!("the body cannot be used: {other}")),
    })
}

fn refuse_part(part: &str, error: &dyn std::error::Error) -> actix_web::Error {
    refuse(Problem::bad_request(format!("the {part} cannot be used: {error}")))
}
