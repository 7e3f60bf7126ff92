//! Tools a model may call.

use super::{CacheHint, Dialect, Json};

/// How a call's input is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallKind {
    /// JSON that fits the tool's schema.
    #[default]
    Function,
    /// Free text (Responses' and Chat's custom tools).
    Custom,
}

/// A function the client carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionTool {
    pub name: String,
    pub description: Option<String>,
    /// A JSON schema. Absent: no parameters.
    pub parameters: Option<Json>,
    /// Whether calls must fit the schema exactly.
    pub strict: Option<bool>,
    pub cache: Option<CacheHint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    Function(FunctionTool),
    /// Called with free text; `format` is a grammar, as OpenAI writes it.
    Custom {
        name: String,
        description: Option<String>,
        format: Option<Json>,
    },
    /// One that the maker of a dialect carries out itself (web search, code execution), as it stands
    /// in that dialect. Whoever speaks another one drops it and says so.
    Opaque {
        by: Dialect,
        kind: String,
        json: Json,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    /// None may be called.
    None,
    /// One must be called, whichever.
    Required,
    /// This one must be called.
    Named(String),
    /// Only these may be called; `must`: one of them has to be.
    Among {
        names: Vec<String>,
        must: bool,
    },
}

/// Where a function stands in a dialect that keeps functions in namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaced {
    pub namespace: String,
    /// What it is called there.
    pub name: String,
}
