//! What a client asks for, and in which API.

use super::{address::Operation, api::ClientApi};
use crate::gateway::translate::embeddings::EmbeddingApi;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCall {
    /// An answer, whole or as a stream.
    Generate(ClientApi),
    /// How many tokens a prompt has.
    TokenCount(ClientApi),
    /// The vectors of texts.
    Embeddings(EmbeddingApi),
}

impl ClientCall {
    /// The API whose errors the client reads.
    pub fn api(self) -> ClientApi {
        match self {
            Self::Generate(api) | Self::TokenCount(api) => api,
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
            Self::Generate(_) => Operation::Generate,
            Self::TokenCount(_) => Operation::CountTokens,
            Self::Embeddings(_) => Operation::Embed,
        }
    }
}
