//! Answers as clients get them, whole and in chunks.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::{
    reasoning::Detail,
    request_out::{CallOut, FunctionOut, ImageUrl},
};
use crate::{domain::chat::TokenLogprob, gateway::dialect::openai_chat::ShownUsage};

#[derive(Debug, Serialize)]
pub struct ShownAnswer<'a> {
    pub id: &'a str,
    pub object: &'static str,
    /// Seconds.
    pub created: i64,
    pub model: &'a str,
    pub choices: Vec<ShownChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ShownUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub struct ShownChoice<'a> {
    pub index: usize,
    pub message: ShownMessage<'a>,
    pub logprobs: Option<ShownLogprobs<'a>>,
    pub finish_reason: &'static str,
    /// The stop text that came, where vLLM has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
pub struct ShownMessage<'a> {
    pub role: &'static str,
    pub content: Option<Cow<'a, str>>,
    pub refusal: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasoning_details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ShownImage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<&'a crate::domain::chat::Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<CallOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionOut<'a>>,
    pub annotations: Vec<ShownAnnotation<'a>>,
}

/// A picture that the model has made, as OpenRouter shows it.
///
/// Source: <https://openrouter.ai/docs/features/multimodal/image-generation> (2026-11).
#[derive(Debug, Serialize)]
pub struct ShownImage<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub image_url: ImageUrl<'a>,
    /// Its place in the list. openai-python puts lists of a stream together by it.
    pub index: u32,
}

#[derive(Debug, Serialize)]
pub struct ShownAnnotation<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub url_citation: ShownUrlCitation<'a>,
    /// In chunks: see [`ShownImage::index`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

#[derive(Debug, Serialize)]
pub struct ShownUrlCitation<'a> {
    pub url: &'a str,
    pub title: &'a str,
    pub start_index: u64,
    pub end_index: u64,
    /// The words of the source, where OpenRouter has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
}

/// The choice of one chunk.
#[derive(Debug, Serialize)]
pub struct ChunkChoice<'a> {
    pub index: u32,
    pub delta: ChunkDelta<'a>,
    pub logprobs: Option<ShownLogprobs<'a>>,
    pub finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<&'a str>,
}

/// In which fields of a delta thoughts stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ThoughtFields {
    #[default]
    ReasoningContent,
    Reasoning,
    /// The same in both, for clients of either.
    Both,
}

impl ThoughtFields {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::ReasoningContent => &["reasoning_content"],
            Self::Reasoning => &["reasoning"],
            Self::Both => &["reasoning_content", "reasoning"],
        }
    }
}

/// What a chunk adds. Exactly one of it, or nothing.
#[derive(Debug, Default)]
pub enum ChunkDelta<'a> {
    #[default]
    Nothing,
    /// The first one of a choice; `has_text`: text comes next.
    Role {
        has_text: bool,
    },
    Content(&'a str),
    Reasoning(&'a str, ThoughtFields),
    Details(&'a [Detail<'a>]),
    Refusal(&'a str),
    Call(CallOut<'a>),
    FunctionCall(FunctionOut<'a>),
    Annotation(ShownAnnotation<'a>),
    Image(ShownImage<'a>),
}

impl Serialize for ChunkDelta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.collect_map::<&str, (), _>([]),
            Self::Role { has_text } => {
                let content = if *has_text { Some("") } else { None };
                serializer.collect_map([
                    ("role", Some("assistant")),
                    ("content", content),
                    ("refusal", None),
                ])
            }
            Self::Content(text) => serializer.collect_map([("content", text)]),
            Self::Reasoning(text, fields) => {
                serializer.collect_map(fields.names().iter().map(|name| (*name, text)))
            }
            Self::Details(details) => serializer.collect_map([("reasoning_details", details)]),
            Self::Refusal(text) => serializer.collect_map([("refusal", text)]),
            Self::Call(call) => serializer.collect_map([("tool_calls", [call])]),
            Self::FunctionCall(call) => serializer.collect_map([("function_call", call)]),
            Self::Annotation(annotation) => serializer.collect_map([("annotations", [annotation])]),
            Self::Image(image) => serializer.collect_map([("images", [image])]),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct ShownLogprobs<'a> {
    content: Vec<ShownToken<'a>>,
    refusal: Option<()>,
}

#[derive(Debug, Serialize)]
struct ShownToken<'a> {
    token: &'a str,
    logprob: f64,
    bytes: Option<&'a [u8]>,
    top_logprobs: Vec<ShownTop<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownTop<'a> {
    token: &'a str,
    logprob: f64,
    bytes: Option<&'a [u8]>,
}

impl<'a> From<&'a [TokenLogprob]> for ShownLogprobs<'a> {
    fn from(tokens: &'a [TokenLogprob]) -> Self {
        let top = |token: &'a TokenLogprob| {
            let shown = token.top.iter().map(|top| ShownTop {
                token: &top.token,
                logprob: top.logprob,
                bytes: top.bytes.as_deref(),
            });
            shown.collect()
        };
        let content = tokens.iter().map(|token| ShownToken {
            token: &token.token,
            logprob: token.logprob,
            bytes: token.bytes.as_deref(),
            top_logprobs: top(token),
        });
        Self { content: content.collect(), refusal: None }
    }
}
