//! Errors: reading an upstream's, in all the shapes compatible servers send, and writing our own.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::{
    domain::{
        failure::{MAX_REASON_CHARS, MAX_WORD_CHARS, Reason},
        time::Timestamp,
    },
    gateway::{mended::mended, times},
};

/// An upstream's error object, bounded.
///
/// Sources, read 2026-11: `code`, `type`, `param` as OpenAI sends them; a status as `code`, and
/// moderation, <https://openrouter.ai/docs/errors>; `status` and `details` as Google sends them,
/// <https://github.com/googleapis/python-genai/issues/1875>, and its `quotaResetDelay`,
/// <https://github.com/google-gemini/gemini-cli/issues/29425>; `resets_at` and `resets_in_seconds` as
/// ChatGPT sends them, <https://github.com/router-for-me/CLIProxyAPI/issues/1666>; a reset among
/// headers in the object, <https://github.com/Gitlawb/openclaude/issues/936>; an error that is one
/// word, RFC 6749 §5.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorObject {
    pub reason: Reason,
    /// An HTTP status that stands in the object, as its code or under a name of its own.
    pub status: Option<u16>,
    /// Google's word for the class, such as `RESOURCE_EXHAUSTED`.
    pub google_status: Option<String>,
    /// Google's word for the cause, such as `API_KEY_INVALID`.
    pub google_reason: Option<String>,
    /// How long it says to wait.
    pub wait: Option<Duration>,
    /// When it says a limit is open again. [`seen_at`](Self::seen_at) makes a wait of it.
    pub resets_at: Option<Timestamp>,
    /// Whether Google's `QuotaFailure` names a quota of the day.
    pub is_daily_quota: bool,
    /// Whether moderation has flagged the request: OpenRouter says so beside a bare 403.
    pub is_flagged: bool,
}

impl ErrorObject {
    /// Finds the error in a body: under `error` as an object or a text, under `response`, bare,
    /// under `detail`, or first in a list. `None` when the body is nothing of the kind.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let body = match serde_json::from_slice(body) {
            Ok(body) => body,
            // It may quote what was cut somewhere.
            Err(_) => serde_json::from_slice::<Value>(&mended(body)?).ok()?,
        };
        let body = match &body {
            Value::Array(list) => list.first()?,
            other => other,
        };
        match body.get("error").or_else(|| body.pointer("/response/error")) {
            Some(object @ Value::Object(_)) => {
                let error = Self::from_object(object);
                let status = error.status.or_else(|| status_in(body));
                return Some(Self { status, ..error });
            }
            // The other fields may stand beside it.
            Some(Value::String(text)) => return Some(Self::from_text(text, body)),
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

    /// The same error with the instant of its reset turned into a wait. It counts above a span,
    /// which may have been on its way for a while.
    pub fn seen_at(mut self, now: Timestamp) -> Self {
        let wait = self.resets_at.map(|at| at.since(now)).filter(|wait| !wait.is_zero());
        self.wait = wait.or(self.wait);
        self
    }

    /// OAuth's errors are a word, with a description beside it.
    fn from_text(text: &str, body: &Value) -> Self {
        let mut error = Self::from_object(body);
        let is_word = !text.is_empty()
            && text.len() <= MAX_WORD_CHARS
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if is_word && error.reason.code.is_none() {
            error.reason.code = Some(text.to_owned());
        }
        let description = body.get("error_description").and_then(Value::as_str);
        error.with_message(description.unwrap_or(text))
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
        let metadata =
            |name: &str| details().find_map(|detail| detail.get("metadata")?.get(name)?.as_str());
        let delays = [detail("retryDelay"), metadata("quotaResetDelay")];
        let delay = delays.into_iter().flatten().filter_map(times::span).max();
        let resets_in = || times::seconds(&text_of(object.get("resets_in_seconds")?)?);
        let resets_at = object
            .get("resets_at")
            .or_else(|| object.pointer("/metadata/headers/X-RateLimit-Reset"))
            .and_then(text_of);
        let resets_at = resets_at.as_deref().or_else(|| metadata("quotaResetTimeStamp"));
        Self {
            status: code
                .as_deref()
                .and_then(|code| code.parse().ok())
                .filter(|status| (400..600).contains(status))
                .or_else(|| status_in(object)),
            reason: Reason { kind: word("type"), code, param: word("param"), ..Reason::default() },
            google_status: word("status"),
            google_reason: detail("reason").map(|reason| bounded(reason, MAX_WORD_CHARS)),
            wait: delay.or_else(resets_in),
            resets_at: resets_at.and_then(times::instant),
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

/// A status that stands in an error, or beside it, under a name of its own.
fn status_in(object: &Value) -> Option<u16> {
    let status = |name| u16::try_from(object.get(name)?.as_u64()?).ok();
    ["status", "status_code"].into_iter().find_map(status).filter(|it| (400..600).contains(it))
}

/// A time as it stands in JSON, a number or a text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(bounded(text, MAX_WORD_CHARS)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
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
        assert_eq!(google.wait, Some(Duration::from_millis(34_500)));
        let words: Vec<_> = google.words().collect();
        assert_eq!(words, ["RATE_LIMIT_EXCEEDED", "429", "RESOURCE_EXHAUSTED"]);
    }

    #[test]
    fn an_error_that_is_one_word_is_a_code() {
        let oauth = parse(r#"{"error":"invalid_grant","error_description":"Token expired"}"#);
        assert_eq!(oauth.reason.code.as_deref(), Some("invalid_grant"));
        assert_eq!(oauth.reason.message, "Token expired");
        let sentence = parse(r#"{"error":"the model is gone","code":"gone"}"#);
        assert_eq!(sentence.reason.code.as_deref(), Some("gone"));
        assert_eq!(parse(r#"{"error":"not a word"}"#).reason.code, None);
    }

    #[test]
    fn the_error_of_a_failed_response_is_found() {
        let body = r#"{"type":"response.failed","response":{"error":{"code":"invalid_prompt"}}}"#;
        assert_eq!(parse(body).reason.code.as_deref(), Some("invalid_prompt"));
    }

    #[test]
    fn waits_and_resets_are_read_in_every_place() {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let wait = |fields: &str| {
            let error = parse(&format!(r#"{{"error":{{"message":"m",{fields}}}}}"#));
            error.seen_at(now).wait.map(|wait| wait.as_millis())
        };
        assert_eq!(wait(r#""resets_in_seconds":13872"#), Some(13_872_000));
        assert_eq!(wait(r#""resets_at":1767225660,"resets_in_seconds":61"#), Some(60_000));
        assert_eq!(wait(r#""resets_at":1767225000,"resets_in_seconds":61"#), Some(61_000));
        assert_eq!(wait(r#""resets_at":"2026-01-01T00:01:00Z""#), Some(60_000));
        let info = r#""details":[{"metadata":{"quotaResetDelay":"1m0.5s"}},{"retryDelay":"3s"}]"#;
        assert_eq!(wait(info), Some(60_500));
        let stamp = r#""details":[{"metadata":{"quotaResetTimeStamp":"2026-01-01T00:00:09Z"}}]"#;
        assert_eq!(wait(stamp), Some(9_000));
        let headers = r#""metadata":{"headers":{"X-RateLimit-Reset":"1767225607000"}}"#;
        assert_eq!(wait(headers), Some(7_000));
        for nonsense in [r#""resets_at":7"#, r#""resets_at":{}"#, r#""resets_in_seconds":-5"#] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
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
