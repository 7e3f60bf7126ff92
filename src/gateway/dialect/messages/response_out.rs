//! The events of a stream, as clients are shown them.

use std::borrow::Cow;

use serde::Serialize;

use super::{MessageDelta, WireBlock, WireMessage, WireUsage};
use crate::domain::chat::Json;

/// An event. It is named after its type, in the frame and in its data.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ShownEvent<'a> {
    MessageStart { message: WireMessage<'a> },
    ContentBlockStart { index: u32, content_block: WireBlock<'a> },
    ContentBlockDelta { index: u32, delta: BlockDelta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: MessageDelta<'a>, usage: WireUsage<'a> },
    MessageStop,
}

impl ShownEvent<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }
}

/// What a block is added.
#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub enum BlockDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: Cow<'a, str> },
    #[serde(rename = "citations_delta")]
    Citations { citation: Cow<'a, Json> },
}

pub fn write_event(event: &ShownEvent<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.name().as_bytes());
    out.extend_from_slice(b"\ndata: ");
    serde_json::to_writer(&mut *out, event)
        .expect("every field is JSON, and a vector takes any bytes");
    out.extend_from_slice(b"\n\n");
}
