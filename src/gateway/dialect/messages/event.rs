//! The events of a stream, as they are read. They borrow from the bytes they came with.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gateway::dialect::word;

/// A text, borrowed unless it holds an escape. (Inside an `Option`, a plain `Cow` is always copied.)
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A block of an answer, or the beginning of one: which of its fields are there depends on its `type`.
#[derive(Debug, Deserialize)]
pub struct ReadBlock<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    #[serde(borrow)]
    pub thinking: Option<Text<'a>>,
    #[serde(borrow)]
    pub signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub citations: Option<&'a RawValue>,
}

impl ReadBlock<'_> {
    /// Whether what it says is read. All others are kept as they are.
    pub fn is_read(&self) -> bool {
        matches!(&*self.kind.0, "text" | "thinking" | "redacted_thinking" | "tool_use")
    }
}

/// Any event: which of its fields are there depends on its `type`.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Option<Text<'a>>,
    /// Which block of the message it is about.
    #[serde(borrow)]
    pub index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    pub delta: Option<EventDelta<'a>>,
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

/// What a block, or the message itself, is added.
#[derive(Debug, Deserialize)]
pub struct EventDelta<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    #[serde(borrow)]
    pub partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    pub thinking: Option<Text<'a>>,
    #[serde(borrow)]
    pub signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub citation: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "word::lenient")]
    pub stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "word::lenient")]
    pub stop_sequence: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub stop_details: Option<&'a RawValue>,
}
