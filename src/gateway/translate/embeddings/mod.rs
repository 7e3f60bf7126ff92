//! Between the embedding APIs and the common form of [`domain::embedding`](crate::domain::embedding).
//!
//! One file a maker. Each API is spoken on both sides: it reads what clients send and writes what
//! upstreams get, reads what those answer and writes what clients get.

mod gemini;
mod ollama;
mod openai;
#[cfg(test)]
mod tests;
mod vector;

use super::{InvalidRequest, PathParams, Written};
use crate::{
    domain::{
        chat::{Dialect, Losses, Usage},
        embedding::{
            EmbeddingAnswer, EmbeddingContent, EmbeddingInput, EmbeddingRequest, Encoding,
        },
        failure::{Failure, FailureClass},
        id::ModelName,
        usage::TokenUsage,
    },
    gateway::{dialect::openai_chat::ErrorObject, failure::classify},
};

/// A way to ask for embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingApi {
    /// `/v1/embeddings`.
    OpenAi,
    /// `:embedContent`: one input.
    GeminiOne,
    /// `:batchEmbedContents`.
    GeminiBatch,
    /// `/api/embed`.
    Ollama,
    /// `/api/embeddings`: one input, and nothing but its vector in the answer.
    OllamaLegacy,
}

impl EmbeddingApi {
    /// What to ask an upstream of `dialect` with. `None`: its maker has no embeddings.
    pub fn of_upstream(dialect: Dialect) -> Option<Self> {
        match dialect {
            Dialect::Chat | Dialect::Responses => Some(Self::OpenAi),
            Dialect::Gemini => Some(Self::GeminiBatch),
            Dialect::Ollama => Some(Self::Ollama),
            Dialect::Messages => None,
        }
    }

    /// Reads a client's request.
    ///
    /// Errors: [`InvalidRequest`] with the parameter at fault.
    pub fn read_request(
        self,
        body: &[u8],
        addressed: &PathParams,
    ) -> Result<EmbeddingRequest, InvalidRequest> {
        match self {
            Self::OpenAi => openai::read_request(body, addressed),
            Self::GeminiOne => gemini::read_one(body, addressed),
            Self::GeminiBatch => gemini::read_batch(body, addressed),
            Self::Ollama => ollama::read_request(body, addressed),
            Self::OllamaLegacy => ollama::read_legacy_request(body, addressed),
        }
    }

    /// Writes a request for an upstream; `model` is its name there.
    ///
    /// Errors: [`InvalidRequest`] when this API cannot be asked for it at all: tokens where only text
    /// is taken, several inputs where only one is.
    pub fn write_request(
        self,
        request: &EmbeddingRequest,
        model: &ModelName,
    ) -> Result<Written, InvalidRequest> {
        match self {
            Self::OpenAi => openai::write_request(request, model),
            Self::GeminiOne => gemini::write_one(request, model),
            Self::GeminiBatch => gemini::write_batch(request, model),
            Self::Ollama => ollama::write_request(request, model),
            Self::OllamaLegacy => ollama::write_legacy_request(request, model),
        }
    }

    /// Reads the body of a 200, all of it.
    ///
    /// Errors: the failure that an error object stands for, or one of the server's when there is not
    /// one vector for each of the `inputs`.
    pub fn read_answer(self, body: &[u8], inputs: usize) -> Result<EmbeddingAnswer, Failure> {
        let answer = match self {
            Self::OpenAi => openai::read_answer(body),
            Self::GeminiOne | Self::GeminiBatch => gemini::read_answer(body),
            Self::Ollama => ollama::read_answer(body),
            Self::OllamaLegacy => ollama::read_legacy_answer(body),
        };
        let answer = answer.ok_or_else(|| match ErrorObject::parse(body) {
            Some(error) => classify(200, Some(error)),
            None => unusable("the answer holds no vectors of the expected shape"),
        })?;
        if answer.vectors.len() != inputs {
            return Err(unusable("the answer has not one vector for each input"));
        }
        let is_whole = |vector: &Vec<f32>| {
            !vector.is_empty() && vector.iter().all(|number| number.is_finite())
        };
        if !answer.vectors.iter().all(is_whole) {
            return Err(unusable("a vector of the answer is empty or not finite"));
        }
        Ok(answer)
    }

    /// Writes an answer for a client. What cannot be said is added to `losses`.
    pub fn write_answer(
        self,
        answer: &EmbeddingAnswer,
        request: &EmbeddingRequest,
        losses: &mut Losses,
    ) -> Vec<u8> {
        let model = answer.model.as_deref().unwrap_or(request.model.as_str());
        match self {
            Self::OpenAi => openai::write_answer(answer, model, request.encoding),
            Self::GeminiOne => gemini::write_one_answer(answer, losses),
            Self::GeminiBatch => gemini::write_batch_answer(answer),
            Self::Ollama => ollama::write_answer(answer, model),
            Self::OllamaLegacy => ollama::write_legacy_answer(answer, losses),
        }
    }

    /// An upstream's answer for a client of the same API that has asked for `encoding`. `None`: it is
    /// as the client wants it.
    pub fn recoded(self, body: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
        match self {
            Self::OpenAi => openai::recoded(body, encoding),
            Self::GeminiOne | Self::GeminiBatch | Self::Ollama | Self::OllamaLegacy => None,
        }
    }
}

fn unusable(what: &str) -> Failure {
    Failure { status: Some(200), ..Failure::new(FailureClass::Server, what) }
}

/// The model of the body, or that of the path.
fn model_of(body: Option<ModelName>, addressed: &PathParams) -> Result<ModelName, InvalidRequest> {
    body.or_else(|| addressed.model.clone())
        .ok_or_else(|| InvalidRequest::about("model", "model is missing"))
}

/// The text of an input.
///
/// Errors: [`InvalidRequest`] when it is tokens.
fn text_of(input: &EmbeddingInput) -> Result<&str, InvalidRequest> {
    match &input.content {
        EmbeddingContent::Text(text) => Ok(text),
        EmbeddingContent::Tokens(_) => {
            let message = "input must be text: this model's provider takes no tokens";
            Err(InvalidRequest::about("input", message))
        }
    }
}

/// The only input.
///
/// Errors: [`InvalidRequest`] when there are several.
fn only_input(request: &EmbeddingRequest) -> Result<&EmbeddingInput, InvalidRequest> {
    match request.inputs.as_slice() {
        [only] => Ok(only),
        _ => Err(InvalidRequest::about("input", "this model's provider takes one input at a time")),
    }
}

/// Notes what only Google's models can be told of an input.
fn note_purpose(request: &EmbeddingRequest, losses: &mut Losses) {
    losses.note_if(request.inputs.iter().any(|input| input.task.is_some()), "task_type");
    losses.note_if(request.inputs.iter().any(|input| input.title.is_some()), "title");
}

fn usage_of(prompt_tokens: u64) -> Usage {
    let tokens = TokenUsage { input: prompt_tokens, ..TokenUsage::default() };
    Usage { tokens, ..Usage::default() }
}

fn to_json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("its keys are texts, and its numbers are finite")
}
