//! The common form of embeddings: what to turn into vectors, and the vectors.

use super::{
    chat::{Losses, Usage},
    id::ModelName,
};

/// A request for one vector per input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingRequest {
    pub model: ModelName,
    /// At least one.
    pub inputs: Vec<EmbeddingInput>,
    /// How many numbers a vector is to have. Absent: as many as the model makes.
    pub dimensions: Option<u64>,
    /// How the client wants the numbers written.
    pub encoding: Encoding,
    /// Who it is for, as an opaque name.
    pub user: Option<String>,
    /// What the reader met and could not put into this form.
    pub losses: Losses,
}

impl EmbeddingRequest {
    /// A request that says nothing but this.
    pub fn new(model: ModelName, inputs: Vec<EmbeddingInput>) -> Self {
        Self {
            model,
            inputs,
            dimensions: None,
            encoding: Encoding::default(),
            user: None,
            losses: Losses::default(),
        }
    }
}

/// What becomes one vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingInput {
    pub content: EmbeddingContent,
    /// What the vector is for, in Google's words (`RETRIEVAL_QUERY`, `CLUSTERING`).
    pub task: Option<String>,
    /// The title of a document.
    pub title: Option<String>,
}

impl EmbeddingInput {
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: EmbeddingContent::Text(text.into()), task: None, title: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingContent {
    Text(String),
    /// Tokens of the model's own vocabulary. Only who has it can make text of them.
    Tokens(Vec<u32>),
}

/// How the numbers of a vector are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As a list of numbers.
    #[default]
    Float,
    /// As Base64 of their bytes: IEEE 754 of 32 bits, little end first.
    Base64,
}

/// The vectors, in the order of the inputs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmbeddingAnswer {
    /// The model that the upstream says has answered.
    pub model: Option<String>,
    /// All numbers are finite.
    pub vectors: Vec<Vec<f32>>,
    /// Absent when the upstream told none that can be read.
    pub usage: Option<Usage>,
}
