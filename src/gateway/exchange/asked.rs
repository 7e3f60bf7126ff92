//! What a client asks for, and in which API.

use super::{address::Operation, api::ClientApi};
use crate::gateway::translate::embeddings::EmbeddingApi;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// An answer, whole or as a stream.
    Answer(ClientApi),
    /// How many tokens a prompt has.
    TokenCount(ClientApi),
    /// The vectors of texts.
    Embeddings(EmbeddingApi),
}

impl Asked {
    /// The API whose errors the client reads.
    pub fn api(self) -> ClientApi {
        match self {
            Self::Answer(api) | Self::TokenCount(api) => api,
            Self::Embeddings(EmbeddingApi::OpenAi) => ClientApi::Chat,
            Self::Embeddings(EmbeddingApi::GeminiOne | EmbeddingApi::GeminiBatch) => {
                ClientApi::Gemini
            }
            Self::Embeddings(EmbeddingApi::Ollama | EmbeddingApi::OllamaLegacy) => {
                ClientApi::OllamaChat
            }
        }
    }

    pub fn operation(self) -> Operation {
        match self {
            Self::Answer(_) => Operation::Generate,
            Self::TokenCount(_) => Operation::CountTokens,
            Self::Embeddings(_) => Operation::Embed,
        }
    }
}
