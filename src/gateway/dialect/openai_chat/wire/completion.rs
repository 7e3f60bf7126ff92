//! Answers of the legacy Completions, whole and in chunks: both have one shape.
//!
//! Source: <https://platform.openai.com/docs/api-reference/completions> and the types of
//! openai-python 3.57 (2026-11).

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;

use crate::gateway::dialect::openai_chat::ShownUsage;

#[derive(Debug, Serialize)]
pub struct ShownCompletion<'a> {
    pub id: &'a str,
    pub object: &'static str,
    /// Seconds.
    pub created: i64,
    pub model: &'a str,
    pub choices: &'a [TextChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ShownUsage>,
}

#[derive(Debug, Serialize)]
pub struct TextChoice<'a> {
    pub text: Cow<'a, str>,
    pub index: usize,
    pub logprobs: Option<TextLogprobs<'a>>,
    pub finish_reason: Option<&'static str>,
    /// The stop text that came, where vLLM has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
pub struct TextLogprobs<'a> {
    pub tokens: Vec<&'a str>,
    pub token_logprobs: Vec<f64>,
    pub top_logprobs: Option<Vec<BTreeMap<&'a str, f64>>>,
    /// Where each token begins in the text, in characters.
    pub text_offset: Vec<u64>,
}
