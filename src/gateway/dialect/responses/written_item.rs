//! Items and their parts, as requests and answers have them.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::logprob::WrittenLogprob;

/// One of ours, or one that is handed on as it is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Piece<'a, T> {
    Ours(T),
    Raw(&'a RawValue),
}

/// An item. Of a request it has neither an id nor a status, except where these mean something.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WrittenItem<'a> {
    Message {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'a str>,
        role: &'a str,
        content: TextOrParts<'a>,
    },
    FunctionCall {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'a str>,
        call_id: Cow<'a, str>,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        arguments: Cow<'a, str>,
    },
    CustomToolCall {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'a str>,
        call_id: Cow<'a, str>,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        input: Cow<'a, str>,
    },
    FunctionCallOutput {
        call_id: Cow<'a, str>,
        output: TextOrParts<'a>,
    },
    CustomToolCallOutput {
        call_id: Cow<'a, str>,
        output: TextOrParts<'a>,
    },
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'a str>,
        summary: Vec<SummaryText<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<ReasoningText<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<Cow<'a, str>>,
    },
    ImageGenerationCall {
        id: &'a str,
        status: &'a str,
        result: &'a str,
        output_format: &'a str,
    },
}

/// What a message says, or what a tool has given.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum TextOrParts<'a> {
    Text(&'a str),
    Parts(Vec<Piece<'a, WrittenContent<'a>>>),
}

/// A part of the summary of what was thought.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary_text")]
pub struct SummaryText<'a> {
    pub text: &'a str,
}

/// A part of what was thought.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "reasoning_text")]
pub struct ReasoningText<'a> {
    pub text: &'a str,
}

/// A part of a message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WrittenContent<'a> {
    InputText {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_breakpoint: Option<PromptCacheBreakpoint>,
    },
    InputImage {
        detail: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_breakpoint: Option<PromptCacheBreakpoint>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_breakpoint: Option<PromptCacheBreakpoint>,
    },
    InputAudio {
        input_audio: InputAudio<'a>,
    },
    OutputText(OutputText<'a>),
    Refusal {
        refusal: &'a str,
    },
    ReasoningText {
        text: &'a str,
    },
    SummaryText {
        text: &'a str,
    },
}

/// A text of the model's.
#[derive(Debug, Default, Serialize)]
pub struct OutputText<'a> {
    pub text: &'a str,
    pub annotations: Vec<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<WrittenLogprob<'a>>>,
}

#[derive(Debug, Serialize)]
pub struct InputAudio<'a> {
    pub data: &'a str,
    pub format: &'a str,
}

/// Up to here, the prompt is to be cached.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PromptCacheBreakpoint {
    pub mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<&'static str>,
}
