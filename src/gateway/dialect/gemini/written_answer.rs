//! An answer, as it is written to a client: whole, or one chunk of a stream.
//!
//! Source: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse> (read 2026-11).

use serde::Serialize;

use super::WrittenContent;
use crate::domain::chat::Json;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenAnswer<'a> {
    pub candidates: Vec<WrittenCandidate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_metadata: Option<WrittenUsage>,
    pub model_version: &'a str,
    pub response_id: &'a str,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenCandidate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<WrittenContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<&'a str>,
    pub index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citation_metadata: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grounding_metadata: Option<WrittenGrounding<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_result: Option<WrittenLogprobs<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum WrittenGrounding<'a> {
    /// As it came.
    Opaque(&'a Json),
    #[serde(rename_all = "camelCase")]
    Made {
        grounding_chunks: Vec<WrittenGroundingChunk<'a>>,
        grounding_supports: Vec<WrittenSupport>,
    },
}

#[derive(Debug, Serialize)]
pub struct WrittenGroundingChunk<'a> {
    pub web: WrittenWeb<'a>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct WrittenWeb<'a> {
    pub uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenSupport {
    pub segment: WrittenSegment,
    pub grounding_chunk_indices: [usize; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenSegment {
    pub start_index: u64,
    pub end_index: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenLogprobs<'a> {
    pub chosen_candidates: Vec<WrittenLogprob<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top_candidates: Vec<WrittenTop<'a>>,
}

#[derive(Debug, Serialize)]
pub struct WrittenTop<'a> {
    pub candidates: Vec<WrittenLogprob<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenLogprob<'a> {
    pub token: &'a str,
    pub log_probability: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenUsage {
    pub prompt_token_count: u64,
    pub candidates_token_count: u64,
    pub total_token_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_content_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thoughts_token_count: Option<u64>,
    /// Whether the pool has counted by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}
