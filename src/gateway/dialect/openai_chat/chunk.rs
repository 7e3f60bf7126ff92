//! One chunk of a stream, looked at and not taken apart: its bytes go to the client as they came.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{ErrorObject, answer::parse_usage, is_blank};
use crate::domain::usage::TokenUsage;

/// The data of an event is no chunk and no error either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the event is not a chunk of a chat completion")]
pub struct Unparsable;

/// What one chunk adds to a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Whether it carries anything of the answer: text, reasoning, a refusal, a tool call, audio.
    pub has_content: bool,
    /// Whether it carries a part of a tool call.
    pub has_tool_call: bool,
    /// Choices it is about, one bit for each index (the last bit for all past 127).
    pub choices: u128,
    /// Choices it gives a finish reason for.
    pub finished: u128,
    /// Whether it has no choices and only reports usage.
    pub is_usage_only: bool,
    pub usage: Option<TokenUsage>,
    /// The error it carries instead.
    pub error: Option<Box<ErrorObject>>,
}

#[derive(Deserialize)]
struct WireChunk<'a> {
    choices: Option<Choices>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u64>,
    delta: Option<Delta>,
    finish_reason: Option<IgnoredAny>,
}

impl Chunk {
    /// Reads the data of one event, all of it.
    ///
    /// Errors: [`Unparsable`] when it is not UTF-8, not JSON, or not an object of this shape.
    pub fn parse(data: &[u8]) -> Result<Self, Unparsable> {
        let text = std::str::from_utf8(data).map_err(|_| Unparsable)?;
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Unparsable);
        }
        let wire: WireChunk<'_> = serde_json::from_str(text).map_err(|_| Unparsable)?;
        let is_bare = wire.choices.is_none() && wire.usage.is_none();
        if is_bare || wire.error.is_some_and(|error| !is_blank(error)) {
            // Some servers send their error objects bare. Any other object without choices is
            // something of the vendor's own, which the client may know.
            let error = ErrorObject::parse(data).map(Box::new);
            return Ok(Self { error, ..Self::default() });
        }
        let choices = wire.choices.unwrap_or_default();
        Ok(Self {
            has_content: choices.has_content,
            has_tool_call: choices.has_tool_call,
            choices: choices.seen,
            finished: choices.finished,
            is_usage_only: choices.seen == 0 && wire.usage.is_some(),
            usage: wire.usage.and_then(parse_usage),
            error: None,
        })
    }
}

/// All choices of a chunk, folded while they are read.
#[derive(Default)]
struct Choices {
    has_content: bool,
    has_tool_call: bool,
    seen: u128,
    finished: u128,
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fold;

        impl<'de> Visitor<'de> for Fold {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices, A::Error> {
                let mut all = Choices::default();
                while let Some(choice) = list.next_element::<Choice>()? {
                    let bit = 1 << choice.index.unwrap_or(0).min(127);
                    all.seen |= bit;
                    if choice.finish_reason.is_some() {
                        all.finished |= bit;
                    }
                    if let Some(delta) = choice.delta {
                        all.has_content |= delta.has_content;
                        all.has_tool_call |= delta.has_tool_call;
                    }
                }
                Ok(all)
            }
        }

        deserializer.deserialize_seq(Fold)
    }
}

/// What a delta says, whatever its fields are called: vendors add their own for reasoning.
struct Delta {
    has_content: bool,
    has_tool_call: bool,
}

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;

        impl<'de> Visitor<'de> for Look {
            type Value = Delta;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a delta")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Delta, A::Error> {
                let mut delta = Delta { has_content: false, has_tool_call: false };
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    let says_something = !is_blank(map.next_value::<&RawValue>()?);
                    delta.has_content |= says_something && key.0 != "role";
                    delta.has_tool_call |=
                        says_something && matches!(&*key.0, "tool_calls" | "function_call");
                }
                Ok(delta)
            }
        }

        deserializer.deserialize_map(Look)
    }
}

/// A key, borrowed unless it holds an escape. (Inside a map, a plain `Cow` is always copied.)
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Chunk {
        Chunk::parse(json.as_bytes()).expect(json)
    }

    fn delta(json: &str) -> Chunk {
        chunk(&format!(r#"{{"choices":[{{"index":0,"delta":{json},"finish_reason":null}}]}}"#))
    }

    #[test]
    fn content_is_anything_but_a_role_and_blanks() {
        for content in [
            r#"{"content":"a"}"#,
            r#"{"content":" "}"#,
            r#"{"role":"assistant","content":"a"}"#,
            r#"{"refusal":"no"}"#,
            r#"{"reasoning_content":"hm"}"#,
            r#"{"reasoning":"hm","content":""}"#,
            r#"{"audio":{"id":"x"}}"#,
            r#"{"c\u006fntent":"a"}"#,
        ] {
            let chunk = delta(content);
            assert!(chunk.has_content && !chunk.has_tool_call, "{content}");
        }
        for blank in [
            "{}",
            "null",
            r#"{"role":"assistant"}"#,
            r#"{"role":"assistant","content":""}"#,
            r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":[]}"#,
        ] {
            assert!(!delta(blank).has_content, "{blank}");
        }
    }

    #[test]
    fn a_tool_call_is_content_and_more() {
        for call in [r#"{"tool_calls":[{"index":0}]}"#, r#"{"function_call":{"name":"f"}}"#] {
            let chunk = delta(call);
            assert!(chunk.has_content && chunk.has_tool_call, "{call}");
        }
    }

    #[test]
    fn each_choice_finishes_by_itself() {
        let chunk = chunk(
            r#"{"choices":[{"index":0,"delta":{}},{"index":2,"finish_reason":"stop","delta":{}}]}"#,
        );
        assert_eq!((chunk.choices, chunk.finished), (0b101, 0b100));
    }

    #[test]
    fn usage_is_read_with_and_without_choices() {
        let only = chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
        assert!(only.is_usage_only);
        assert_eq!(only.usage.unwrap().total(), 7);
        let last = chunk(
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],
                "usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        );
        assert!(!last.is_usage_only && last.usage.is_some());
        assert!(!chunk(r#"{"choices":[],"usage":null}"#).is_usage_only);
    }

    #[test]
    fn an_error_is_told_apart_from_a_chunk_in_all_its_shapes() {
        for error in [
            r#"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#,
            r#"{"error":"m"}"#,
            r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"m"}}"#,
            r#"{"object":"error","message":"m","code":400}"#,
        ] {
            assert!(chunk(error).error.is_some(), "{error}");
        }
        for fine in [r#"{"choices":[],"error":null}"#, r#"{"type":"ping"}"#, r#"{"id":"x"}"#] {
            assert_eq!(chunk(fine).error, None, "{fine}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_unparsable() {
        for bad in [
            "",
            "x",
            "7",
            "[]",
            "null",
            "{",
            r#"{"choices":{}}"#,
            r#"{"choices":[7]}"#,
            r#"{"choices":[]} x"#,
        ] {
            assert_eq!(Chunk::parse(bad.as_bytes()), Err(Unparsable), "{bad}");
        }
        assert_eq!(Chunk::parse(b"{\"x\":\"\xff\"}"), Err(Unparsable));
    }
}
