//! The parts of a content, as they are written: to an upstream and to a client.

use std::borrow::Cow;

use serde::Serialize;

use crate::domain::chat::Json;

#[derive(Debug, Serialize)]
pub struct WrittenContent<'a> {
    /// `user` or `model`. Absent for instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<WrittenPart<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum WrittenPart<'a> {
    Data(Box<WrittenData<'a>>),
    /// What only Gemini knows, as it came.
    Opaque(&'a Json),
}

/// What stands in a part: one kind of data, and perhaps a signature.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline_data: Option<WrittenBlob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<WrittenFile<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<WrittenCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_response: Option<WrittenResult<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<Cow<'a, str>>,
}

impl<'a> From<WrittenData<'a>> for WrittenPart<'a> {
    fn from(data: WrittenData<'a>) -> Self {
        Self::Data(Box::new(data))
    }
}

impl<'a> WrittenPart<'a> {
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        WrittenData { text: Some(text.into()), ..WrittenData::default() }.into()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenBlob<'a> {
    pub mime_type: &'a str,
    pub data: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenFile<'a> {
    pub file_uri: &'a str,
}

#[derive(Debug, Serialize)]
pub struct WrittenCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    pub name: Cow<'a, str>,
    /// An object.
    pub args: Json,
}

#[derive(Debug, Serialize)]
pub struct WrittenResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    pub name: &'a str,
    /// An object.
    pub response: Json,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<WrittenResultPart<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenResultPart<'a> {
    pub inline_data: WrittenBlob<'a>,
}
