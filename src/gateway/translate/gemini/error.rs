//! Errors in Google's shape.
//!
//! Sources, read 2026-11: <https://cloud.google.com/apis/design/errors>,
//! <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>.

use serde::Serialize;

use crate::gateway::translate::ErrorView;

#[derive(Serialize)]
struct Envelope<'a> {
    error: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    message: &'a str,
    #[serde(rename = "status")]
    word: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum Detail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo { reason: &'a str, domain: &'static str },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest", rename_all = "camelCase")]
    BadRequest { field_violations: [Violation<'a>; 1] },
}

#[derive(Serialize)]
struct Violation<'a> {
    field: &'a str,
    description: &'a str,
}

/// Appends the object to `out`.
pub(super) fn write(error: &ErrorView<'_>, out: &mut Vec<u8>) {
    let reason = error.code.map(|reason| Detail::ErrorInfo { reason, domain: "providerpool" });
    let violation = error.param.map(|field| Detail::BadRequest {
        field_violations: [Violation { field, description: error.message }],
    });
    let status = Status {
        code: error.status,
        message: error.message,
        word: word(error.status),
        details: reason.into_iter().chain(violation).collect(),
    };
    serde_json::to_writer(out, &Envelope { error: status })
        .expect("texts are always JSON, and a vector takes any bytes");
}

/// The word of google.rpc for a status of HTTP.
fn word(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 | 412 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        416 => "OUT_OF_RANGE",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        502 | 503 | 529 => "UNAVAILABLE",
        400..500 => "INVALID_ARGUMENT",
        500..600 => "INTERNAL",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::failure::FailureClass,
        gateway::{dialect::openai_chat::ErrorObject, failure::classify},
    };

    fn written(status: u16, param: Option<&str>, code: Option<&str>) -> String {
        let kind = "invalid_request_error";
        let mut out = Vec::new();
        write(&ErrorView { status, message: "no \"x\"", kind, param, code }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_error_has_googles_shape() {
        assert_eq!(
            written(503, None, None),
            r#"{"error":{"code":503,"message":"no \"x\"","status":"UNAVAILABLE"}}"#
        );
        assert_eq!(
            written(400, Some("contents"), Some("bad_field")),
            r#"{"error":{"code":400,"message":"no \"x\"","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"bad_field","domain":"providerpool"},{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents","description":"no \"x\""}]}]}}"#
        );
    }

    #[test]
    fn our_errors_keep_their_class_when_another_pool_reads_them() {
        for (status, code, class) in [
            (429, None, FailureClass::RateLimit),
            (401, None, FailureClass::Auth),
            (503, None, FailureClass::Overload),
            (400, Some("context_length_exceeded"), FailureClass::ContextTooLong),
            (404, Some("model_not_found"), FailureClass::ModelMissing),
        ] {
            let body = written(status, None, code);
            assert_eq!(classify(status, ErrorObject::parse(body.as_bytes())).class, class);
        }
    }
}
