//! Anthropic Messages: blocks and requests as they are sent, events of a stream as they are read and
//! as they are shown, usage, and errors.
//!
//! Source: <https://platform.claude.com/docs/en/api/messages> and the types of anthropic-sdk-python
//! 2.14 (both read 2026-11).

mod block;
mod error;
mod event;
mod message;
mod request;
mod response_out;
mod usage;

pub use block::{Block, CacheControl, CitationsConfig, FileSource, WireBlock};
pub use error::{error_body, error_event, error_kind};
pub use event::{Event, EventDelta, ReadBlock, Text};
pub use message::{MessageDelta, WireMessage};
pub use request::{
    Format, Metadata, OutputConfig, RequestMessage, ThinkingConfig, ToolChoice, WireRequest,
    WireTool,
};
pub use response_out::{BlockDelta, ShownEvent, write_event};
pub use usage::{UsageCounts, WireUsage};

/// What keeps a silent stream open.
///
/// Source: <https://platform.claude.com/docs/en/build-with-claude/streaming> (read 2026-11).
pub const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";
