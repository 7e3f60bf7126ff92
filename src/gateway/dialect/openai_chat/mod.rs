//! OpenAI Chat Completions: the request, the whole answer, the chunks of a stream, and errors.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat> (read 2026-11).

mod answer;
mod chunk;
mod error;
mod usage;
pub mod wire;

pub use answer::WholeAnswer;
pub use chunk::{Chunk, Unparsable, text_of};
pub use error::{ErrorObject, ErrorView, error_body, error_event};
pub use usage::{ShownUsage, parse_usage};

/// What the data of the last event of a stream is.
pub const DONE: &[u8] = b"[DONE]";

/// The last event of a stream.
pub const DONE_EVENT: &[u8] = b"data: [DONE]\n\n";

/// Whether a JSON value says nothing: `null`, `false`, or an empty text, list or object.
pub fn is_blank(raw: &serde_json::value::RawValue) -> bool {
    matches!(raw.get(), "null" | "false" | "\"\"" | "[]" | "{}")
}
