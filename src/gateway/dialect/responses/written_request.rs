//! A request, as an upstream gets it.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;

use super::written_item::{Piece, WrittenItem};
use crate::domain::chat::Json;

/// The body of a request.
#[derive(Debug, Serialize)]
pub struct RequestBody<'a> {
    pub model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<Cow<'a, str>>,
    pub input: Vec<Piece<'a, WrittenItem<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<WrittenTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<WrittenChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<WrittenReasoning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<WrittenText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<&'a str>,
    pub store: bool,
    pub stream: bool,
}

/// A tool.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum WrittenTool<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        parameters: Cow<'a, Json>,
        strict: bool,
    },
    Custom {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<&'a Json>,
    },
    Opaque(&'a Json),
}

/// Which tool is to be called.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum WrittenChoice<'a> {
    Word(&'static str),
    One(AllowedTool<'a>),
    Among {
        #[serde(rename = "type")]
        kind: &'static str,
        mode: &'static str,
        tools: Vec<AllowedTool<'a>>,
    },
}

#[derive(Debug, Serialize)]
pub struct AllowedTool<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: &'a str,
}

#[derive(Debug, Serialize)]
pub struct WrittenReasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub struct WrittenText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<WrittenFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<&'a str>,
}

/// What the answer must look like.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WrittenFormat<'a> {
    Text,
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}
