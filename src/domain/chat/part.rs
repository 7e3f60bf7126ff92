//! Who says what: turns and their parts.

use super::{CallKind, Citation, Dialect, Json, ReasoningSignature};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    System,
    /// Instructions of whoever built the client; where a dialect has no such role it is `System`.
    Developer,
    User,
    Assistant,
    /// Results of tools. A dialect that has them among a user's parts makes a turn of its own of them.
    Tool,
}

/// What one side says in a row. Neighbours of one role are as good as one turn: a dialect that needs
/// turns to alternate joins them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub role: Role,
    /// Who of several speakers, where the client told.
    pub name: Option<String>,
    pub parts: Vec<Part>,
}

impl Turn {
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, name: None, parts }
    }
}

/// Up to here, the prompt is worth caching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheHint {
    #[default]
    FiveMinutes,
    OneHour,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub content: Content,
    pub cache: Option<CacheHint>,
}

impl Part {
    pub fn text(text: impl Into<String>) -> Self {
        Content::Text { text: text.into(), citations: Vec::new() }.into()
    }
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, cache: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Text {
        text: String,
        citations: Vec<Citation>,
    },
    Image {
        source: Source,
        detail: Option<ImageDetail>,
    },
    Document(Document),
    /// Sound; the media type tells the format (`audio/wav`, `audio/mp3`).
    Audio(Source),
    Video(Source),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    Reasoning(Reasoning),
    /// What the model says instead of an answer it does not want to give.
    Refusal(String),
    /// What only one dialect knows (calls and results of tools its maker carries out, compaction), as
    /// it stands there. Whoever speaks another one drops it and says so.
    Opaque {
        by: Dialect,
        kind: String,
        json: Json,
    },
}

/// Where the bytes of a picture, a sound or a document are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Url(String),
    /// Base64 of the standard alphabet, padded.
    Data {
        media_type: String,
        base64: String,
    },
    /// Plain text in the place of a file.
    Text(String),
    /// The id of a file uploaded to the maker of a dialect.
    File {
        by: Dialect,
        id: String,
    },
}

/// How closely to look at a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageDetail {
    Auto,
    Low,
    High,
    Original,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub source: Source,
    /// Its title or file name.
    pub title: Option<String>,
    /// What is to be known of it and not cited.
    pub context: Option<String>,
    /// Whether answers are to cite it.
    pub citations: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Empty where a dialect has no ids; whoever needs one makes it from the place of the call.
    pub id: String,
    pub name: String,
    pub kind: CallKind,
    /// As the model wrote it: JSON for a function (not checked), free text for a custom tool.
    pub input: String,
    /// What its maker wants back with it (Gemini's thought signature).
    pub signature: Option<ReasoningSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The id of the call. Empty where the dialect has none: then the order tells.
    pub call_id: String,
    /// The name of the tool, where it is known.
    pub name: Option<String>,
    pub kind: CallKind,
    pub parts: Vec<Part>,
    pub is_error: bool,
}

/// What a model thought before it answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// Its thoughts. Empty where only the signature is there.
    pub text: String,
    /// Whether `text` is a summary, and not the thoughts themselves.
    pub is_summary: bool,
    /// What proves or holds the thoughts.
    pub signature: Option<ReasoningSignature>,
    /// Whether the thoughts are only in the signature, because their maker hides them.
    pub is_redacted: bool,
    /// The id of the item, where a dialect gives it one.
    pub id: Option<String>,
}
