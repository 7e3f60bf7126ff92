//! A request, as it is written to an upstream. The model stands in the path.
//!
//! Schemas are written as JSON schemas: `parametersJsonSchema` and `responseJsonSchema` take what
//! Gemini's own schema cannot say (`$ref`, `additionalProperties`).
//!
//! Sources, read 2026-11: <https://ai.google.dev/api/generate-content#request-body>,
//! <https://ai.google.dev/gemini-api/docs/structured-output>,
//! <https://ai.google.dev/gemini-api/docs/thinking>,
//! <https://ai.google.dev/gemini-api/docs/flex-inference> (`serviceTier`).

use serde::Serialize;

use super::WrittenContent;
use crate::domain::chat::Json;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<WrittenContent<'a>>,
    pub contents: Vec<WrittenContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<WrittenTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<WrittenToolConfig<'a>>,
    #[serde(skip_serializing_if = "WrittenConfig::is_empty")]
    pub generation_config: WrittenConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum WrittenTool<'a> {
    #[serde(rename_all = "camelCase")]
    Functions { function_declarations: Vec<WrittenFunction<'a>> },
    /// A tool that Google carries out, as it came.
    Opaque(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenFunction<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_json_schema: Option<Json>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenToolConfig<'a> {
    pub function_calling_config: WrittenCalling<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenCalling<'a> {
    pub mode: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_function_names: Vec<&'a str>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_json_schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub response_logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_config: Option<WrittenThinking>,
}

impl WrittenConfig<'_> {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Budget and level exclude each other.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenThinking {
    /// In tokens; -1 is as the model sees fit, 0 is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_thoughts: Option<bool>,
}
