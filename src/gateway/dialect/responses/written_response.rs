//! A response object, as a client gets it.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::value::RawValue;

use super::usage::WrittenUsage;

/// A response object. It repeats what was asked for.
#[derive(Debug, Serialize)]
pub struct ResponseObject<'a> {
    pub id: &'a str,
    pub object: &'static str,
    /// Seconds since 1970.
    pub created_at: i64,
    pub status: &'static str,
    pub background: bool,
    pub error: Option<ResponseError<'a>>,
    pub incomplete_details: Option<IncompleteDetails>,
    pub instructions: Option<&'a str>,
    pub max_output_tokens: Option<u64>,
    pub max_tool_calls: Option<u64>,
    pub model: &'a str,
    pub output: Vec<&'a RawValue>,
    pub parallel_tool_calls: bool,
    pub previous_response_id: Option<&'a str>,
    pub prompt_cache_key: Option<&'a str>,
    pub reasoning: &'a RawValue,
    pub safety_identifier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
    pub store: bool,
    pub temperature: Option<f64>,
    pub text: &'a RawValue,
    pub tool_choice: &'a RawValue,
    pub tools: &'a RawValue,
    pub top_logprobs: u8,
    pub top_p: Option<f64>,
    pub truncation: &'static str,
    pub usage: Option<WrittenUsage>,
    pub user: Option<&'a str>,
    pub metadata: &'a BTreeMap<String, String>,
}

/// Why there is no answer.
#[derive(Debug, Serialize)]
pub struct ResponseError<'a> {
    pub code: Cow<'a, str>,
    pub message: &'a str,
}

/// Why an answer is not complete: `max_output_tokens` or `content_filter`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct IncompleteDetails {
    pub reason: &'static str,
}
