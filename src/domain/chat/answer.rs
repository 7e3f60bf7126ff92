//! What a model answers.

use super::{CallKind, Json, Losses, Part, ToolCall};
use crate::domain::usage::{TokenUsage, UsedTokens};

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// What the upstream calls it.
    pub id: Option<String>,
    /// The model that the upstream says has answered.
    pub model: Option<String>,
    /// One unless the client asked for more; by their index.
    pub choices: Vec<Choice>,
    /// Absent when the upstream told none that can be read.
    pub usage: Option<Usage>,
    pub service_tier: Option<String>,
    /// What the reader met and could not put into this form.
    pub losses: Losses,
    /// Whether text or a call may be among it. Such an answer is not to be translated.
    pub has_unread: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    pub parts: Vec<Part>,
    pub stop: StopReason,
    pub logprobs: Option<Vec<TokenLogprob>>,
}

/// Why an answer ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StopReason {
    /// It was complete.
    #[default]
    Finished,
    /// One of the client's stop texts came: which one, where that is told.
    StopText(Option<String>),
    /// The limit on output was reached.
    MaxTokens,
    /// The model's window was full.
    WindowFull,
    ToolCalls,
    /// The provider held it back: content filter, policy.
    Filtered,
    /// The model refused.
    Refused,
    /// A turn of tools that the maker carries out is to be gone on with.
    Paused,
    /// The upstream's own word for something else.
    Other(String),
}

impl StopReason {
    /// Whether a call with which an answer ends for this reason is whole. Where the answer was cut, an input
    /// that is not yet an object is a part of one; of free text nobody can tell.
    pub fn completes(&self, call: &ToolCall) -> bool {
        let is_cut =
            matches!(self, Self::MaxTokens | Self::WindowFull | Self::Filtered | Self::Refused);
        let is_object = || Json::parse(call.input.trim()).is_some_and(|input| input.is_object());
        !is_cut || call.kind == CallKind::Custom || is_object()
    }
}

/// What was used. `tokens` are in disjoint classes; the other counts are shares of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub tokens: TokenUsage,
    /// Of the output: spent on thoughts. Absent where it is not told.
    pub reasoning: Option<u64>,
    /// Whether the pool has counted by itself, because the upstream told nothing.
    pub is_estimated: bool,
}

impl From<Usage> for UsedTokens {
    fn from(usage: Usage) -> Self {
        Self { tokens: usage.tokens, is_estimated: usage.is_estimated }
    }
}

impl Usage {
    /// All of the prompt: uncached, read from and written to a cache.
    pub fn prompt(&self) -> u64 {
        let tokens = &self.tokens;
        [tokens.cache_read, tokens.cache_write_5m, tokens.cache_write_1h]
            .into_iter()
            .fold(tokens.input, u64::saturating_add)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f64,
    pub bytes: Option<Vec<u8>>,
    pub top: Vec<TopLogprob>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TopLogprob {
    pub token: String,
    pub logprob: f64,
    pub bytes: Option<Vec<u8>>,
}
