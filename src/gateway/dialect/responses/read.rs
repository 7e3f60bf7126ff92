//! What upstreams send: answers, their items, and the events of a stream.
//!
//! Every field is kept as it was written and looked at when it is needed: compatible servers leave
//! out much and put `null`, numbers and objects where OpenAI has texts, and none of that is worth an
//! answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gateway::dialect::openai_chat::text_of;

/// A field that may hold anything.
type Any<'a> = Option<&'a RawValue>;

/// A response object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawResponse<'a> {
    #[serde(borrow)]
    pub id: Any<'a>,
    #[serde(borrow)]
    pub model: Any<'a>,
    #[serde(borrow)]
    pub status: Any<'a>,
    #[serde(borrow)]
    pub error: Any<'a>,
    #[serde(borrow)]
    pub incomplete_details: Any<'a>,
    #[serde(borrow)]
    pub output: Any<'a>,
    /// All text of the output, as SDKs put it together: some servers send it.
    #[serde(borrow)]
    pub output_text: Any<'a>,
    #[serde(borrow)]
    pub usage: Any<'a>,
    #[serde(borrow)]
    pub service_tier: Any<'a>,
    /// What follows repeats the request.
    #[serde(borrow)]
    pub text: Any<'a>,
    #[serde(borrow)]
    pub reasoning: Any<'a>,
    #[serde(borrow)]
    pub input: Any<'a>,
    #[serde(borrow)]
    pub instructions: Any<'a>,
    #[serde(borrow)]
    pub tools: Any<'a>,
    #[serde(borrow)]
    pub prompt: Any<'a>,
    #[serde(borrow)]
    pub metadata: Any<'a>,
    #[serde(borrow)]
    pub user: Any<'a>,
    #[serde(borrow)]
    pub safety_identifier: Any<'a>,
    #[serde(borrow)]
    pub prompt_cache_key: Any<'a>,
}

impl RawResponse<'_> {
    /// Why it is incomplete, where it says so.
    pub fn incomplete_reason(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Details<'a> {
            #[serde(borrow)]
            reason: Any<'a>,
        }
        let details: Details<'_> = serde_json::from_str(self.incomplete_details?.get()).ok()?;
        text_in(details.reason).map(Cow::into_owned)
    }
}

/// An item of an answer. Which fields it has, its kind decides.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawItem<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Any<'a>,
    #[serde(borrow)]
    pub id: Any<'a>,
    #[serde(borrow)]
    pub content: Any<'a>,
    #[serde(borrow)]
    pub name: Any<'a>,
    #[serde(borrow)]
    pub call_id: Any<'a>,
    #[serde(borrow)]
    pub arguments: Any<'a>,
    #[serde(borrow)]
    pub input: Any<'a>,
    #[serde(borrow)]
    pub summary: Any<'a>,
    #[serde(borrow)]
    pub encrypted_content: Any<'a>,
}

impl<'a> RawItem<'a> {
    /// The id by which a result refers to a call.
    pub fn call_id(&self) -> Option<Cow<'a, str>> {
        let filled = |raw| text_in(raw).filter(|text| !text.is_empty());
        filled(self.call_id).or_else(|| filled(self.id))
    }
}

/// A part of a message, or of what was thought.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawPart<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Any<'a>,
    #[serde(borrow)]
    pub text: Any<'a>,
    #[serde(borrow)]
    pub refusal: Any<'a>,
    #[serde(borrow)]
    pub annotations: Any<'a>,
    #[serde(borrow)]
    pub logprobs: Any<'a>,
}

/// An event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Any<'a>,
    #[serde(borrow)]
    pub sequence_number: Any<'a>,
    #[serde(borrow)]
    pub response: Any<'a>,
    #[serde(borrow)]
    pub output_index: Any<'a>,
    #[serde(borrow)]
    pub content_index: Any<'a>,
    #[serde(borrow)]
    pub summary_index: Any<'a>,
    #[serde(borrow)]
    pub item_id: Any<'a>,
    #[serde(borrow)]
    pub item: Any<'a>,
    #[serde(borrow)]
    pub part: Any<'a>,
    #[serde(borrow)]
    pub delta: Any<'a>,
    #[serde(borrow)]
    pub text: Any<'a>,
    #[serde(borrow)]
    pub refusal: Any<'a>,
    #[serde(borrow)]
    pub arguments: Any<'a>,
    #[serde(borrow)]
    pub input: Any<'a>,
    #[serde(borrow)]
    pub annotation: Any<'a>,
    #[serde(borrow)]
    pub logprobs: Any<'a>,
    #[serde(borrow)]
    pub error: Any<'a>,
}

impl<'a> RawEvent<'a> {
    /// What may be said in it, by name.
    pub fn texts(&self) -> [(&'static str, Any<'a>); 7] {
        [
            ("delta", self.delta),
            ("text", self.text),
            ("refusal", self.refusal),
            ("arguments", self.arguments),
            ("input", self.input),
            ("part", self.part),
            ("response", self.response),
        ]
    }
}

/// The text that a field holds, borrowed where it stands without escapes.
pub fn text_in(raw: Any<'_>) -> Option<Cow<'_, str>> {
    text_of(raw?.get())
}

/// The count that a field holds, as a number or as the text of one.
pub fn count_of(raw: Any<'_>) -> Option<u64> {
    let digits = raw?.get().trim_matches('"');
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    if decimals.bytes().any(|byte| byte != b'0') {
        return None;
    }
    whole.parse().ok()
}

/// The elements of a field that holds a list; none when it is anything else.
pub fn elements_of(raw: Any<'_>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(json: &str) -> RawItem<'_> {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn fields_of_any_type_spoil_nothing() {
        let odd = item(r#"{"type":7,"name":null,"call_id":"","id":"fc_1","content":{"a":[1]}}"#);
        assert_eq!(text_in(odd.kind), None);
        assert_eq!(text_in(odd.name), None);
        assert_eq!(odd.call_id().as_deref(), Some("fc_1"));
        assert!(elements_of(odd.content).is_empty());
    }

    #[test]
    fn counts_are_read_in_every_spelling() {
        let event = |json: &'static str| {
            let event: RawEvent<'static> = serde_json::from_str(json).expect(json);
            count_of(event.output_index)
        };
        assert_eq!(event(r#"{"output_index":3}"#), Some(3));
        assert_eq!(event(r#"{"output_index":"3"}"#), Some(3));
        assert_eq!(event(r#"{"output_index":3.0}"#), Some(3));
        for odd in [r#"{"output_index":-1}"#, r#"{"output_index":1.5}"#, r#"{"output_index":[]}"#] {
            assert_eq!(event(odd), None, "{odd}");
        }
    }
}
