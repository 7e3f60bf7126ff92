//! Blocks of content, as they are written: in requests and in answers alike.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::domain::chat::{CacheHint, Json};

/// A block, or one that is handed on as it stands.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum WireBlock<'a> {
    Known(Block<'a>),
    Opaque(&'a Json),
}

impl WireBlock<'_> {
    pub fn is_tool_result(&self) -> bool {
        matches!(self, Self::Known(Block::ToolResult { .. }))
    }

    pub fn is_tool_use(&self) -> bool {
        matches!(self, Self::Known(Block::ToolUse { .. }))
    }

    pub fn is_thinking(&self) -> bool {
        matches!(self, Self::Known(Block::Thinking { .. } | Block::RedactedThinking { .. }))
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Cow<'a, Json>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Image {
        source: FileSource<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Document {
        source: FileSource<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        citations: Option<CitationsConfig>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<WireBlock<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Thinking {
        thinking: &'a str,
        signature: Cow<'a, str>,
    },
    RedactedThinking {
        data: Cow<'a, str>,
    },
}

/// Where the bytes of a picture or a document are.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FileSource<'a> {
    Base64 {
        media_type: &'a str,
        data: &'a str,
    },
    Url {
        url: &'a str,
    },
    File {
        file_id: &'a str,
    },
    /// Plain text; `media_type` is always `text/plain`.
    Text {
        media_type: &'static str,
        data: Cow<'a, str>,
    },
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct CitationsConfig {
    pub enabled: bool,
}

/// A breakpoint of the prompt cache. It lives five minutes unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheControl(pub CacheHint);

impl Serialize for CacheControl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_long = self.0 == CacheHint::OneHour;
        let mut object = serializer.serialize_struct("cache_control", 1 + usize::from(is_long))?;
        object.serialize_field("type", "ephemeral")?;
        if is_long {
            object.serialize_field("ttl", "1h")?;
        }
        object.end()
    }
}
