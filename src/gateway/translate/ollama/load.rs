//! Calls that ask for no answer: they load a model or let it go.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    OllamaApi,
    lines::{Lines, Says},
};
use crate::{
    domain::{id::ModelName, time::Timestamp},
    gateway::dialect::ollama::End,
};

/// A request without messages or without a prompt. The server answers it at once, without
/// generating, and clients such as `ollama run` begin with it. A pool has nothing to load: whoever
/// receives such a call looks for it before reading the request, and answers with
/// [`answer`](Self::answer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadCall {
    pub model: ModelName,
    api: OllamaApi,
    /// Whether it asks to let the model go: `keep_alive` of no time.
    unloads: bool,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    model: String,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    keep_alive: Option<&'a RawValue>,
}

impl LoadCall {
    /// `None` when it asks for an answer, or is wrong in a way that reading it tells better.
    pub fn find(api: OllamaApi, body: &[u8]) -> Option<Self> {
        let wire: WireCall<'_> = serde_json::from_slice(body).ok()?;
        let is_empty = match api {
            OllamaApi::Chat => wire.messages.is_none_or(|list| is_empty_list(list.get())),
            OllamaApi::Generate => wire.prompt.is_none_or(|text| text.get() == "\"\""),
        };
        let model = ModelName::parse(&wire.model).ok()?;
        let unloads = wire.keep_alive.is_some_and(|time| is_no_time(time.get()));
        is_empty.then_some(Self { model, api, unloads })
    }

    /// What the server answers, whether asked to stream or not: one object.
    pub fn answer(&self, now: Timestamp) -> Vec<u8> {
        let done_reason = if self.unloads { "unload" } else { "load" };
        let lines = Lines::new(self.api, self.model.as_str(), now);
        lines.one(&Says::default(), Some(End { done_reason, ..End::default() }))
    }
}

fn is_empty_list(json: &str) -> bool {
    json.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inside| inside.trim().is_empty())
}

/// `0`, `"0"`, `"0s"` and the like.
fn is_no_time(json: &str) -> bool {
    let text = json.trim_matches('"');
    text.starts_with('0') && text.bytes().all(|b| matches!(b, b'0' | b'.' | b's' | b'm' | b'h'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn answer(api: OllamaApi, body: &str) -> Option<String> {
        let call = LoadCall::find(api, body.as_bytes())?;
        Some(String::from_utf8(call.answer(NOW)).unwrap())
    }

    #[test]
    fn a_call_that_asks_for_nothing_is_answered_at_once() {
        let chat = answer(OllamaApi::Chat, r#"{"model":"m","messages":[ ]}"#).unwrap();
        assert_eq!(
            chat,
            r#"{"model":"m","created_at":"2026-01-01T00:00:00.000Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"load","total_duration":0,"load_duration":0,"prompt_eval_count":0,"prompt_eval_duration":0,"eval_count":0,"eval_duration":0}"#
        );
        let body = r#"{"model":"m","prompt":"","keep_alive":"0s"}"#;
        let generate = answer(OllamaApi::Generate, body).unwrap();
        assert!(generate.contains(r#""response":"","done":true,"done_reason":"unload""#));
    }

    #[test]
    fn all_else_is_a_request() {
        for body in [
            r#"{"model":"m","messages":[{}]}"#,
            r#"{"model":"","messages":[]}"#,
            r#"{"messages":[]}"#,
            r#"{"model":"m","messages":{}}"#,
            "",
        ] {
            assert_eq!(answer(OllamaApi::Chat, body), None, "{body}");
        }
        assert_eq!(answer(OllamaApi::Generate, r#"{"model":"m","prompt":"x"}"#), None);
        let kept = LoadCall::find(OllamaApi::Chat, br#"{"model":"m","keep_alive":-1}"#).unwrap();
        assert!(!kept.unloads);
    }
}
