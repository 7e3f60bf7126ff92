//! What clients send. A request and its messages are taken field by field, so that each fault has
//! the path of its field, and nothing unknown is passed over in silence.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gateway::dialect::object::Borrowed;

/// A part of a message's content. `video_url` and `cache_control` are OpenRouter's.
#[derive(Debug, Deserialize)]
pub struct AskedPart<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub text: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub refusal: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub image_url: Option<AskedUrl<'a>>,
    #[serde(borrow)]
    pub video_url: Option<AskedUrl<'a>>,
    #[serde(borrow)]
    pub input_audio: Option<AskedAudio<'a>>,
    #[serde(borrow)]
    pub file: Option<AskedFile<'a>>,
    #[serde(borrow)]
    pub cache_control: Option<AskedCache<'a>>,
    #[serde(borrow)]
    pub prompt_cache_breakpoint: Option<AskedCache<'a>>,
}

/// An address in an object, as it is documented, or bare, as some clients send it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum AskedUrl<'a> {
    Bare(#[serde(borrow)] Cow<'a, str>),
    Within {
        #[serde(borrow)]
        url: Cow<'a, str>,
        #[serde(borrow)]
        detail: Option<Cow<'a, str>>,
    },
}

#[derive(Debug, Deserialize)]
pub struct AskedAudio<'a> {
    #[serde(borrow)]
    pub data: Cow<'a, str>,
    #[serde(borrow)]
    pub format: Option<Borrowed<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedFile<'a> {
    #[serde(borrow)]
    pub file_data: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub file_id: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub filename: Option<Borrowed<'a>>,
}

/// `ttl`: `5m` or `1h` of `cache_control`, `30m` or `12h` of OpenAI's breakpoints.
#[derive(Debug, Deserialize)]
pub struct AskedCache<'a> {
    #[serde(borrow)]
    pub ttl: Option<Borrowed<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedCall<'a> {
    #[serde(borrow)]
    pub id: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub function: Option<AskedFunctionCall<'a>>,
    #[serde(borrow)]
    pub custom: Option<AskedCustomCall<'a>>,
    #[serde(borrow)]
    pub extra_content: Option<super::response_in::WireExtra<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedFunctionCall<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub arguments: Option<Borrowed<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedCustomCall<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub input: Option<Borrowed<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedTool<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub function: Option<AskedFunction<'a>>,
    #[serde(borrow)]
    pub custom: Option<AskedCustom<'a>>,
    #[serde(borrow)]
    pub cache_control: Option<AskedCache<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedFunction<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub description: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub parameters: Option<&'a RawValue>,
    pub strict: Option<bool>,
    #[serde(borrow)]
    pub cache_control: Option<AskedCache<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedCustom<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub description: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub format: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub struct AskedToolChoice<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub function: Option<AskedName<'a>>,
    #[serde(borrow)]
    pub custom: Option<AskedName<'a>>,
    #[serde(borrow)]
    pub allowed_tools: Option<AskedAllowed<'a>>,
    /// Of a legacy `function_call`, where it stands alone.
    #[serde(borrow)]
    pub name: Option<Borrowed<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedName<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub struct AskedAllowed<'a> {
    #[serde(borrow)]
    pub mode: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub tools: Vec<AskedToolChoice<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedFormat<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub json_schema: Option<AskedSchema<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct AskedSchema<'a> {
    #[serde(borrow)]
    pub name: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub description: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub schema: Option<&'a RawValue>,
    pub strict: Option<bool>,
}

/// `reasoning`. Source: <https://openrouter.ai/docs/use-cases/reasoning-tokens> (2026-11).
#[derive(Debug, Default, Deserialize)]
pub struct AskedReasoning<'a> {
    #[serde(borrow)]
    pub effort: Option<Borrowed<'a>>,
    pub max_tokens: Option<u64>,
    pub exclude: Option<bool>,
    pub enabled: Option<bool>,
    #[serde(borrow)]
    pub summary: Option<Borrowed<'a>>,
}

/// `thinking`, with Anthropic's budget where a proxy takes it.
///
/// Sources, read 2026-11: <https://api-docs.deepseek.com/guides/thinking_mode>,
/// <https://docs.z.ai/guides/capabilities/thinking>.
#[derive(Debug, Deserialize)]
pub struct AskedThinking<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    pub budget_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub struct AskedStreamOptions {
    pub include_usage: Option<bool>,
}
