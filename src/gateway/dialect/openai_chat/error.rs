//! Errors: reading an upstream's, in all the shapes compatible servers send, and writing our own.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::domain::failure::{MAX_REASON_CHARS, Reason};

/// Longest kind, code or parameter kept of an upstream's error, in characters.
const MAX_WORD_CHARS: usize = 128;

/// An upstream's error object, bounded.
///
/// Sources, read 2026-11: `code`, `type`, `param` as OpenAI sends them; a status as `code`, and
/// moderation, <https://openrouter.ai/docs/errors>; `status` and `details` as Google sends them,
/// <https://github.com/googleapis/python-genai/issues/1875>.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorObject {
    pub reason: Reason,
    /// An HTTP status that stands in the object as its code.
    pub status: Option<u16>,
    /// Google's word for the class, such as `RESOURCE_EXHAUSTED`.
    pub google_status: Option<String>,
    /// Google's word for the cause, such as `API_KEY_INVALID`.
    pub google_reason: Option<String>,
    /// Google's `RetryInfo`.
    pub retry_delay: Option<Duration>,
    /// Whether Google's `QuotaFailure` names a quota of the day.
    pub is_daily_quota: bool,
    /// Whether moderation has flagged the request: OpenRouter says so beside a bare 403.
    pub is_flagged: bool,
}

impl ErrorObject {
    /// Finds the error in a body: under `error` as an object or a text, bare, under `detail`, or
    /// first in a list. `None` when the body is nothing of the kind.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let body = match &body {
            Value::Array(list) => list.first()?,
            other => other,
        };
        match body.get("error") {
            Some(object @ Value::Object(_)) => return Some(Self::from_object(object)),
            Some(Value::String(message)) => {
                // The other fields may stand beside it.
                return Some(Self::from_object(body).with_message(message));
            }
            _ => (),
        }
        if body.get("object").is_some_and(|word| word == "error")
            || body.get("message").is_some_and(Value::is_string)
        {
            return Some(Self::from_object(body));
        }
        match body.get("detail")? {
            Value::String(message) => Some(Self::default().with_message(message)),
            Value::Null => None,
            detail => Some(Self::default().with_message(&detail.to_string())),
        }
    }

    fn with_message(mut self, message: &str) -> Self {
        self.reason.message = bounded(message, MAX_REASON_CHARS);
        self
    }

    fn from_object(object: &Value) -> Self {
        let word = |name: &str| match object.get(name)? {
            Value::String(text) if !text.is_empty() => Some(bounded(text, MAX_WORD_CHARS)),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let message = object.get("message").and_then(Value::as_str).unwrap_or_default();
        let code = word("code");
        let details = || object.get("details").and_then(Value::as_array).into_iter().flatten();
        let detail = |name| details().find_map(|detail| detail.get(name)?.as_str());
        let mut violations = details()
            .filter_map(|detail| detail.get("violations")?.as_array())
            .flatten()
            .filter_map(|violation| violation.get("quotaId")?.as_str());
        Self {
            status: code
                .as_deref()
                .and_then(|code| code.parse().ok())
                .filter(|status| (400..600).contains(status)),
            reason: Reason { kind: word("type"), code, param: word("param"), ..Reason::default() },
            google_status: word("status"),
            google_reason: detail("reason").map(|reason| bounded(reason, MAX_WORD_CHARS)),
            retry_delay: detail("retryDelay").and_then(parse_delay),
            // An identifier such as `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
            is_daily_quota: violations.any(|quota| quota.contains("PerDay")),
            is_flagged: object.pointer("/metadata/flagged_input").is_some(),
        }
        .with_message(message)
    }

    /// Every typed word in it that may name the cause, the most exact first.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let reason = &self.reason;
        [&self.google_reason, &reason.code, &reason.kind, &self.google_status]
            .into_iter()
            .filter_map(|word| word.as_deref())
    }
}

/// A protobuf duration in JSON, such as `34s` or `0.5s`.
fn parse_delay(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

fn bounded(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// An error of ours, as a client is shown it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ErrorView<'a> {
    pub message: &'a str,
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub param: Option<&'a str>,
    pub code: Option<&'a str>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: ErrorView<'a>,
}

/// The body of an error response.
pub fn error_body(error: ErrorView<'_>) -> Bytes {
    write(b"", error, b"")
}

/// The event that ends a stream with an error. Nothing may follow it.
pub fn error_event(error: ErrorView<'_>) -> Bytes {
    write(b"data: ", error, b"\n\n")
}

fn write(before: &[u8], error: ErrorView<'_>, after: &[u8]) -> Bytes {
    let mut bytes = before.to_vec();
    serde_json::to_writer(&mut bytes, &Envelope { error })
        .expect("texts are always JSON, and a vector takes any bytes");
    bytes.extend_from_slice(after);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> ErrorObject {
        ErrorObject::parse(body.as_bytes()).expect(body)
    }

    #[test]
    fn the_shape_of_openai_is_read() {
        let error = parse(
            r#"{"error":{"message":"m","type":"t","param":"model","code":"model_not_found"}}"#,
        );
        let expected = Reason {
            message: "m".into(),
            kind: Some("t".into()),
            code: Some("model_not_found".into()),
            param: Some("model".into()),
        };
        assert_eq!(error, ErrorObject { reason: expected, ..ErrorObject::default() });
    }

    #[test]
    fn the_shapes_of_others_are_read_too() {
        assert_eq!(parse(r#"{"error":"m"}"#).reason.message, "m");
        assert_eq!(parse(r#"{"message":"m","code":"c"}"#).reason.code.as_deref(), Some("c"));
        assert_eq!(parse(r#"{"detail":"m"}"#).reason.message, "m");
        assert_eq!(parse(r#"{"detail":[{"msg":"m"}]}"#).reason.message, r#"[{"msg":"m"}]"#);
        let vllm = parse(r#"{"object":"error","message":"m","type":"NotFoundError","code":404}"#);
        assert_eq!((vllm.reason.kind.as_deref(), vllm.status), (Some("NotFoundError"), Some(404)));
        let google = parse(
            r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
                {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED"},
                {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}]"#,
        );
        assert_eq!(google.status, Some(429));
        assert_eq!(google.retry_delay, Some(Duration::from_millis(34_500)));
        let words: Vec<_> = google.words().collect();
        assert_eq!(words, ["RATE_LIMIT_EXCEEDED", "429", "RESOURCE_EXHAUSTED"]);
    }

    #[test]
    fn a_quota_of_the_day_and_a_flag_of_moderation_are_seen() {
        let quota = |id: &str| {
            parse(&format!(
                r#"{{"error":{{"code":429,"details":[{{"violations":[{{"quotaId":"{id}"}}]}}]}}}}"#
            ))
        };
        assert!(quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier").is_daily_quota);
        assert!(!quota("GenerateRequestsPerMinutePerProjectPerModel").is_daily_quota);
        let flagged = r#"{"error":{"code":403,"metadata":{"reasons":["x"],"flagged_input":"y"}}}"#;
        assert!(parse(flagged).is_flagged);
    }

    #[test]
    fn what_is_no_error_is_none() {
        for body in ["", "x", "<html>", "{}", "[]", "7", r#"{"error":null}"#, r#"{"choices":[]}"#] {
            assert_eq!(ErrorObject::parse(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn everything_kept_is_bounded_on_characters() {
        let long = "é".repeat(10_000);
        let error = parse(&format!(r#"{{"error":{{"message":"{long}","code":"{long}"}}}}"#));
        assert_eq!(error.reason.message.chars().count(), MAX_REASON_CHARS);
        assert_eq!(error.reason.code.unwrap().chars().count(), MAX_WORD_CHARS);
    }

    #[test]
    fn our_own_errors_have_the_shape_of_openai() {
        let view = ErrorView { message: "a \"b\"\n", kind: "t", param: None, code: Some("c") };
        let body = r#"{"error":{"message":"a \"b\"\n","type":"t","param":null,"code":"c"}}"#;
        assert_eq!(error_body(view), body);
        assert_eq!(error_event(view), format!("data: {body}\n\n"));
    }
}
