//! Ollama's `/api/embed`, and `/api/embeddings`, which came before it.
//!
//! Sources, read 2026-11: <https://docs.ollama.com/api/embed>,
//! <https://github.com/ollama/ollama/blob/main/api/types.go>.

use serde::{Deserialize, Serialize};

use super::{
    model_of, note_purpose, only_input, openai::read_dimensions, text_of, to_json, usage_of,
};
use crate::{
    domain::{
        chat::Losses,
        embedding::{EmbeddingAnswer, EmbeddingInput, EmbeddingRequest},
        id::ModelName,
    },
    gateway::translate::{InvalidRequest, PathParams, Written, fields::Fields},
};

#[derive(Deserialize)]
#[serde(untagged)]
enum ReadInput {
    One(String),
    Many(Vec<String>),
}

/// Errors: [`InvalidRequest`], also without input: that asks only to load the model.
pub(super) fn read_request(
    body: &[u8],
    addressed: &PathParams,
) -> Result<EmbeddingRequest, InvalidRequest> {
    let mut fields = Fields::of_body(body)?;
    let model = model_of(fields.model()?, addressed)?;
    let inputs: Vec<EmbeddingInput> = match fields.read("input", "a text or a list of texts")? {
        Some(ReadInput::One(text)) if text.is_empty() => Vec::new(),
        Some(ReadInput::One(text)) => vec![EmbeddingInput::text(text)],
        Some(ReadInput::Many(texts)) => texts.into_iter().map(EmbeddingInput::text).collect(),
        None => Vec::new(),
    };
    if inputs.is_empty() {
        return Err(InvalidRequest::about("input", "input must not be empty"));
    }
    let mut request = EmbeddingRequest::new(model, inputs);
    fields.drop_default("dimensions", "0");
    request.dimensions = read_dimensions(&mut fields, "dimensions")?;
    finish(fields, &mut request)?;
    Ok(request)
}

/// Errors: [`InvalidRequest`], also without a prompt: that asks only to load the model.
pub(super) fn read_legacy_request(
    body: &[u8],
    addressed: &PathParams,
) -> Result<EmbeddingRequest, InvalidRequest> {
    let mut fields = Fields::of_body(body)?;
    let model = model_of(fields.model()?, addressed)?;
    let prompt = fields.text("prompt")?.filter(|prompt| !prompt.is_empty());
    let prompt =
        prompt.ok_or_else(|| InvalidRequest::about("prompt", "prompt must not be empty"))?;
    let mut request = EmbeddingRequest::new(model, vec![EmbeddingInput::text(prompt)]);
    finish(fields, &mut request)?;
    Ok(request)
}

/// Notes what is left as lost: how to run a model is nobody else's to say.
fn finish(mut fields: Fields<'_>, request: &mut EmbeddingRequest) -> Result<(), InvalidRequest> {
    fields.drop_default("truncate", "true");
    if let Some(options) = fields.object("options")? {
        options.note_rest("options", &mut request.losses);
    }
    fields.note_rest("", &mut request.losses);
    Ok(())
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
}

pub(super) fn write_request(
    request: &EmbeddingRequest,
    model: &ModelName,
) -> Result<Written, InvalidRequest> {
    let input = request.inputs.iter().map(text_of).collect::<Result<_, _>>()?;
    let body = WireRequest { model: model.as_str(), input, dimensions: request.dimensions };
    Ok(Written { body: to_json(&body), losses: losses_of(request) })
}

#[derive(Serialize)]
struct WireLegacyRequest<'a> {
    model: &'a str,
    prompt: &'a str,
}

pub(super) fn write_legacy_request(
    request: &EmbeddingRequest,
    model: &ModelName,
) -> Result<Written, InvalidRequest> {
    let prompt = text_of(only_input(request)?)?;
    let mut losses = losses_of(request);
    losses.note_if(request.dimensions.is_some(), "dimensions");
    let body = WireLegacyRequest { model: model.as_str(), prompt };
    Ok(Written { body: to_json(&body), losses })
}

fn losses_of(request: &EmbeddingRequest) -> Losses {
    let mut losses = request.losses.clone();
    note_purpose(request, &mut losses);
    losses.note_if(request.user.is_some(), "user");
    losses
}

#[derive(Deserialize)]
struct ReadAnswer {
    model: Option<String>,
    embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<u64>,
}

/// `None` when it is no answer.
pub(super) fn read_answer(body: &[u8]) -> Option<EmbeddingAnswer> {
    let wire: ReadAnswer = serde_json::from_slice(body).ok()?;
    Some(EmbeddingAnswer {
        model: wire.model,
        vectors: wire.embeddings,
        usage: wire.prompt_eval_count.map(usage_of),
    })
}

#[derive(Deserialize)]
struct ReadLegacyAnswer {
    embedding: Vec<f32>,
}

/// `None` when it is no answer.
pub(super) fn read_legacy_answer(body: &[u8]) -> Option<EmbeddingAnswer> {
    let wire: ReadLegacyAnswer = serde_json::from_slice(body).ok()?;
    Some(EmbeddingAnswer { model: None, vectors: vec![wire.embedding], usage: None })
}

/// Durations are in nanoseconds; 0 because they are not known.
#[derive(Serialize)]
struct WireAnswer<'a> {
    model: &'a str,
    embeddings: &'a [Vec<f32>],
    total_duration: u64,
    load_duration: u64,
    prompt_eval_count: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    usage_estimated: bool,
}

pub(super) fn write_answer(answer: &EmbeddingAnswer, model: &str) -> Vec<u8> {
    let usage = answer.usage.unwrap_or_default();
    to_json(&WireAnswer {
        model,
        embeddings: &answer.vectors,
        total_duration: 0,
        load_duration: 0,
        prompt_eval_count: usage.prompt(),
        usage_estimated: usage.is_estimated || answer.usage.is_none(),
    })
}

#[derive(Serialize)]
struct WireLegacyAnswer<'a> {
    embedding: &'a [f32],
}

/// There is a place for one vector.
pub(super) fn write_legacy_answer(answer: &EmbeddingAnswer, losses: &mut Losses) -> Vec<u8> {
    losses.note_if(answer.vectors.len() > 1, "embeddings");
    let embedding = answer.vectors.first().map(Vec::as_slice).unwrap_or_default();
    to_json(&WireLegacyAnswer { embedding })
}
