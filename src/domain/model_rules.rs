//! What a model takes that others refuse, or want in other words. No upstream tells it, so it is told
//! by the name: one table for each maker, so that a new model is a new line.
//!
//! How a dialect says what a model takes is no matter of this folder.

mod claude;
mod gemini;
mod open_models;
mod openai;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use self::{
    claude::{ClaudeRules, is_claude},
    gemini::{GeminiRules, ThinkingControl},
    open_models::{CallIdRule, ThinkingWords, ThoughtField},
    openai::answers_in_responses_alone,
};
use self::{open_models::OpenModelRules, openai::OpenAiRules};
use super::id::ModelName;

/// Longest id of a call that OpenAI's models take in Chat Completions, in characters.
const MAX_CALL_ID: usize = 40;

/// What a model takes in the dialects that many makers share, OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelRules {
    /// `None`: others have made it, or it is OpenAI's and anyone may serve it.
    openai: Option<OpenAiRules>,
    open: OpenModelRules,
    /// Whether parts may carry `cache_control`.
    pub has_cache_control: bool,
    /// Whether calls may carry Google's thought signatures.
    pub has_google_signatures: bool,
}

impl ModelRules {
    /// The rules for a model of this name. What stands before the last `/` is who resells it.
    ///
    /// Sources, read 2026-11: `cache_control` <https://openrouter.ai/docs/features/prompt-caching>,
    /// `thought_signature` <https://ai.google.dev/gemini-api/docs/thought-signatures>.
    pub fn of(model: &ModelName) -> Self {
        let name = lower(model.as_str());
        let (reseller, name) = match name.rsplit_once('/') {
            Some((before, name)) => (Some(before), name),
            None => (None, &*name),
        };
        let name = name.strip_prefix("ft:").unwrap_or(name);
        Self {
            openai: OpenAiRules::of(name),
            open: OpenModelRules::of(name, reseller.is_some()),
            has_cache_control: name.contains("claude"),
            has_google_signatures: name.contains("gemini"),
        }
    }

    /// Whether OpenAI has made it and does not give it away: what only its API has can be said.
    pub fn is_openai(&self) -> bool {
        self.openai.is_some()
    }

    /// Whether it is one of OpenAI's reasoning models: it has `developer` in the place of `system`,
    /// `max_completion_tokens` in the place of `max_tokens`, and while it thinks it refuses to have
    /// its sampling, its stop texts and its log probabilities chosen.
    pub fn reasons(&self) -> bool {
        self.openai.is_some_and(|rules| rules.reasons)
    }

    /// Whether it is one of OpenAI's that cannot think, and refuses to be told how much.
    pub fn never_reasons(&self) -> bool {
        self.openai.is_some_and(|rules| !rules.reasons)
    }

    /// Whether it refuses `parallel_tool_calls`.
    pub fn calls_in_turn(&self) -> bool {
        self.openai.is_some_and(|rules| rules.calls_in_turn)
    }

    /// The efforts it takes, in order. Empty: not known, so any.
    pub fn efforts(&self) -> &'static [&'static str] {
        self.openai.map_or(&[], |rules| rules.efforts)
    }

    /// Whether parts may say that the prompt is to be cached up to them.
    pub fn has_breakpoints(&self) -> bool {
        self.openai.is_some_and(|rules| rules.has_breakpoints)
    }

    pub fn call_ids(&self) -> CallIdRule {
        if self.is_openai() { CallIdRule::UpTo(MAX_CALL_ID) } else { self.open.call_ids }
    }

    /// How it is told how much to think.
    pub fn thinking(&self) -> ThinkingWords {
        self.open.thinking
    }

    /// Where it takes its earlier thoughts back. `None`: thoughts that are not sealed are not sent.
    /// Servers that do not know the field refuse the request.
    pub fn thoughts(&self) -> Option<ThoughtField> {
        self.open.thoughts
    }
}

/// In lower case, as it is in nearly every case already.
fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// The name in lower case, without who resells it.
fn own_name(name: &str) -> Cow<'_, str> {
    lower(name.trim().rsplit('/').next().unwrap_or_default())
}
