//! A message of the assistant, as clients are shown it.

use serde::Serialize;

use super::{WireBlock, WireUsage};

/// A whole answer, or the beginning of a streamed one.
#[derive(Debug, Serialize)]
pub struct WireMessage<'a> {
    pub id: &'a str,
    /// Always `message`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Always `assistant`.
    pub role: &'static str,
    pub model: &'a str,
    pub content: Vec<WireBlock<'a>>,
    #[serde(flatten)]
    pub end: MessageDelta<'a>,
    pub usage: WireUsage<'a>,
}

/// Why a message ends; `null` while it has not.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct MessageDelta<'a> {
    pub stop_reason: Option<&'a str>,
    pub stop_sequence: Option<&'a str>,
}
