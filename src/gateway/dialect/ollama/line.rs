//! What a client is shown: a whole answer, or one line of a stream. Both have one shape.

use serde::Serialize;

use super::{Logprob, ToolCall};

/// A line of `/api/chat`.
#[derive(Debug, Serialize)]
pub struct ChatLine<'a> {
    pub model: &'a str,
    /// RFC 3339.
    pub created_at: &'a str,
    pub message: Message<'a>,
    pub done: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub logprobs: &'a [Logprob],
    #[serde(flatten)]
    pub end: Option<End<'a>>,
}

#[derive(Debug, Serialize)]
pub struct Message<'a> {
    pub role: &'static str,
    pub content: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub thinking: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub images: &'a [&'a str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub tool_calls: &'a [ToolCall<'a>],
}

/// A line of `/api/generate`.
#[derive(Debug, Serialize)]
pub struct GenerateLine<'a> {
    pub model: &'a str,
    /// RFC 3339.
    pub created_at: &'a str,
    pub response: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub thinking: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub tool_calls: &'a [ToolCall<'a>],
    pub done: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub logprobs: &'a [Logprob],
    #[serde(flatten)]
    pub end: Option<End<'a>>,
}

/// What only the last line tells. Durations are in nanoseconds; 0 where they are not known.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct End<'a> {
    pub done_reason: &'a str,
    pub total_duration: u64,
    pub load_duration: u64,
    pub prompt_eval_count: u64,
    pub prompt_eval_duration: u64,
    pub eval_count: u64,
    pub eval_duration: u64,
    /// Ours: the counts are the pool's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub usage_estimated: bool,
}

/// An error, as a body of its own or as the last line of a stream.
#[derive(Debug, Serialize)]
pub struct ErrorLine<'a> {
    pub error: &'a str,
}
