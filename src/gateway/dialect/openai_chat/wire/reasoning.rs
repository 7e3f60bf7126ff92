//! `reasoning_details`: thoughts with what proves or holds them, as OpenRouter has published them.
//!
//! Source: <https://openrouter.ai/docs/use-cases/reasoning-tokens#reasoning_details-array-structure>
//! (read 2026-11).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub const TEXT: &str = "reasoning.text";
pub const SUMMARY: &str = "reasoning.summary";
pub const ENCRYPTED: &str = "reasoning.encrypted";

/// One entry, or in a stream a piece of one: pieces of one index belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail<'a> {
    #[serde(rename = "type", default)]
    pub kind: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    /// Whose way of writing it is, such as `anthropic-claude-v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}
