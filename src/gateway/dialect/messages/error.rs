//! Errors as clients are shown them: the body of a response, or the last event of a stream.

use serde::Serialize;

/// The type of error that goes with a status.
///
/// Source: <https://platform.claude.com/docs/en/api/errors> (read 2026-11). Every 4xx that has no
/// type of its own is an `invalid_request_error` there.
pub fn error_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

/// The body of an error response.
pub fn error_body(status: u16, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write(status, message, &mut out);
    out
}

/// The event that ends a stream with an error.
pub fn error_event(status: u16, message: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: error\ndata: ");
    write(status, message, out);
    out.extend_from_slice(b"\n\n");
}

fn write(status: u16, message: &str, out: &mut Vec<u8>) {
    let error = ErrorObject { kind: error_kind(status), message };
    serde_json::to_writer(out, &Envelope { kind: "error", error })
        .expect("texts are always JSON, and a vector takes any bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_type_of_the_published_table() {
        let table = [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (402, "billing_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (409, "conflict_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
            (200, "api_error"),
        ];
        for (status, kind) in table {
            assert_eq!(error_kind(status), kind, "{status}");
        }
    }

    #[test]
    fn errors_have_the_published_shape() {
        let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"a \"b\"\n"}}"#;
        assert_eq!(error_body(429, "a \"b\"\n"), body.as_bytes());
        let mut event = Vec::new();
        error_event(429, "a \"b\"\n", &mut event);
        assert_eq!(event, format!("event: error\ndata: {body}\n\n").as_bytes());
    }
}
