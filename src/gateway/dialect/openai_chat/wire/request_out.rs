//! A request as upstreams get it.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::value::RawValue;

use super::reasoning::Detail;
use crate::domain::chat::Json;

#[derive(Debug, Default, Serialize)]
pub struct SentRequest<'a> {
    pub model: &'a str,
    pub messages: Vec<SentMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<SentTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<SentToolChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<SentFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    #[serde(flatten)]
    pub thinking: SentThinking,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<SentStreamOptions>,
}

/// How much to think, in the words of whoever made the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SentThinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<SentSwitch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_thinking: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SentSwitch {
    Enabled,
    Disabled,
}

#[derive(Debug, Serialize)]
pub struct SentStreamOptions {
    pub include_usage: bool,
}

#[derive(Debug, Default, Serialize)]
pub struct SentMessage<'a> {
    pub role: &'static str,
    /// `null` only where an assistant says nothing but calls.
    pub content: Option<SentContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasoning_details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<SentId<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<CallOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub struct SentId<'a> {
    pub id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum SentContent<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<SentPart<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum SentPart<'a> {
    Known(KnownPart<'a>),
    Opaque(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum KnownPart<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<SentCache>,
    },
    ImageUrl {
        image_url: ImageUrl<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<SentCache>,
    },
    InputAudio {
        input_audio: SentAudio<'a>,
    },
    VideoUrl {
        video_url: ImageUrl<'a>,
    },
    File {
        file: SentFile<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<SentCache>,
    },
}

/// A place the prompt is to be cached up to.
///
/// Source: <https://openrouter.ai/docs/features/prompt-caching> (2026-11).
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SentCache {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<&'static str>,
}

/// An address, or the bytes themselves as a `data:` URL.
#[derive(Debug, Serialize)]
pub struct ImageUrl<'a> {
    pub url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub struct SentAudio<'a> {
    pub data: &'a str,
    pub format: &'a str,
}

#[derive(Debug, Default, Serialize)]
pub struct SentFile<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum SentTool<'a> {
    Known {
        #[serde(flatten)]
        tool: KnownTool<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<SentCache>,
    },
    Opaque(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum KnownTool<'a> {
    Function { function: SentFunction<'a> },
    Custom { custom: SentCustom<'a> },
}

#[derive(Debug, Serialize)]
pub struct SentFunction<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

#[derive(Debug, Serialize)]
pub struct SentCustom<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum SentToolChoice<'a> {
    Word(&'static str),
    Named(NamedTool<'a>),
    Among {
        #[serde(rename = "type")]
        kind: &'static str,
        allowed_tools: AllowedTools<'a>,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NamedTool<'a> {
    Function { function: ToolName<'a> },
    Custom { custom: ToolName<'a> },
}

#[derive(Debug, Serialize)]
pub struct ToolName<'a> {
    pub name: &'a str,
}

#[derive(Debug, Serialize)]
pub struct AllowedTools<'a> {
    pub mode: &'static str,
    pub tools: Vec<NamedTool<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SentFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: SentSchema<'a> },
}

#[derive(Debug, Serialize)]
pub struct SentSchema<'a> {
    pub name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    pub schema: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A call of a tool: the same in requests, answers and, with an index, in chunks.
#[derive(Debug, Serialize)]
pub struct CallOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<ExtraOut<'a>>,
}

#[derive(Debug, Serialize)]
pub struct FunctionOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    pub arguments: &'a str,
}

#[derive(Debug, Serialize)]
pub struct CustomOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    pub input: &'a str,
}

#[derive(Debug, Serialize)]
pub struct ExtraOut<'a> {
    pub google: GoogleOut<'a>,
}

#[derive(Debug, Serialize)]
pub struct GoogleOut<'a> {
    pub thought_signature: Cow<'a, str>,
}

impl<'a> ExtraOut<'a> {
    pub fn signature(text: impl Into<Cow<'a, str>>) -> Self {
        Self { google: GoogleOut { thought_signature: text.into() } }
    }
}
