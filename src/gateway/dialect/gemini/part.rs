//! The parts of a content, as an upstream sends them.
//!
//! Google's JSON mapping takes names in camelCase and in snake_case.
//!
//! Source: <https://ai.google.dev/api/caching#Part> (read 2026-11).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A text, borrowed unless it holds an escape. (Inside an option, a plain `Cow` is always copied.)
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// One part. Of its kinds of data one is there, and there may be a signature beside it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part<'a> {
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    /// Whether the text is a summary of thoughts.
    pub thought: Option<bool>,
    #[serde(borrow, alias = "thought_signature")]
    pub thought_signature: Option<Text<'a>>,
    #[serde(borrow, alias = "inline_data")]
    pub inline_data: Option<Blob<'a>>,
    #[serde(borrow, alias = "file_data")]
    pub file_data: Option<FileData<'a>>,
    #[serde(borrow, alias = "function_call")]
    pub function_call: Option<FunctionCall<'a>>,
    #[serde(borrow, alias = "executable_code")]
    pub executable_code: Option<&'a RawValue>,
    #[serde(borrow, alias = "code_execution_result")]
    pub code_execution_result: Option<&'a RawValue>,
    /// A call of a tool that Google carries out.
    #[serde(borrow, alias = "tool_call")]
    pub tool_call: Option<&'a RawValue>,
    /// What came of such a call.
    #[serde(borrow, alias = "tool_response")]
    pub tool_response: Option<&'a RawValue>,
}

impl Part<'_> {
    /// Whether it holds nothing that is known.
    pub fn is_unknown(&self) -> bool {
        let own =
            [self.executable_code, self.code_execution_result, self.tool_call, self.tool_response];
        self.text.is_none()
            && self.thought.is_none()
            && self.thought_signature.is_none()
            && self.inline_data.is_none()
            && self.file_data.is_none()
            && self.function_call.is_none()
            && own.iter().all(Option::is_none)
    }
}

/// Bytes. The SDK for Python writes them in the alphabet of Base64 for addresses, Google in the
/// standard one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blob<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub mime_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub data: Option<Text<'a>>,
    #[serde(borrow, alias = "display_name")]
    pub display_name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileData<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub mime_type: Option<Text<'a>>,
    #[serde(borrow, alias = "file_uri")]
    pub file_uri: Option<Text<'a>>,
    #[serde(borrow, alias = "display_name")]
    pub display_name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionCall<'a> {
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// An object.
    #[serde(borrow)]
    pub args: Option<&'a RawValue>,
}
