//! Google's `:embedContent` and `:batchEmbedContents`.
//!
//! Source: <https://ai.google.dev/api/embeddings>, and for the names of usage
//! <https://github.com/googleapis/python-genai/blob/main/google/genai/types.py> (2026-11).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{model_of, only_input, openai::read_dimensions, text_of, to_json, usage_of};
use crate::{
    domain::{
        chat::{Losses, Usage},
        embedding::{EmbeddingAnswer, EmbeddingInput, EmbeddingRequest},
        id::ModelName,
    },
    gateway::translate::{InvalidRequest, PathParams, Written, fields::Fields},
};

/// Begins the names of models on this wire.
const PREFIX: &str = "models/";

/// One input with its own settings.
struct ReadOne {
    model: Option<ModelName>,
    input: EmbeddingInput,
    dimensions: Option<u64>,
}

pub(super) fn read_one(
    body: &[u8],
    addressed: &PathParams,
) -> Result<EmbeddingRequest, InvalidRequest> {
    let mut losses = Losses::default();
    let one = read_fields(Fields::of_body(body)?, "", &mut losses)?;
    let model = model_of(addressed.model.clone().or(one.model), addressed)?;
    let mut request = EmbeddingRequest::new(model, vec![one.input]);
    request.dimensions = one.dimensions;
    request.losses = losses;
    Ok(request)
}

pub(super) fn read_batch(
    body: &[u8],
    addressed: &PathParams,
) -> Result<EmbeddingRequest, InvalidRequest> {
    let mut fields = Fields::of_body(body)?;
    let mut losses = Losses::default();
    let list = fields.list("requests")?;
    let mut read = Vec::new();
    for (n, raw) in list.into_iter().enumerate() {
        let fields = Fields::at(format!("requests[{n}]"), raw)?;
        read.push(read_fields(fields, "requests", &mut losses)?);
    }
    let Some(first) = read.first() else {
        return Err(InvalidRequest::about("requests", "requests must hold at least one request"));
    };
    // All other APIs know one size for all vectors of a request.
    let dimensions = first.dimensions;
    losses.note_if(
        read.iter().any(|one| one.dimensions != dimensions),
        "requests.outputDimensionality",
    );
    let model = model_of(addressed.model.clone().or_else(|| first.model.clone()), addressed)?;
    let inputs = read.into_iter().map(|one| one.input).collect();
    fields.note_rest("", &mut losses);
    let mut request = EmbeddingRequest::new(model, inputs);
    request.dimensions = dimensions;
    request.losses = losses;
    Ok(request)
}

fn read_fields(
    mut fields: Fields<'_>,
    prefix: &str,
    losses: &mut Losses,
) -> Result<ReadOne, InvalidRequest> {
    let model = read_model(&mut fields)?;
    let Some(content) = fields.object("content")? else {
        let path = fields.path_of("content");
        return Err(InvalidRequest::about(path.clone(), format!("{path} is missing")));
    };
    let text = read_content(content, losses)?;
    let mut one = ReadOne { model, input: EmbeddingInput::text(text), dimensions: None };
    read_settings(&mut fields, &mut one)?;
    for name in ["embedContentConfig", "embed_content_config"] {
        if let Some(mut config) = fields.object(name)? {
            read_settings(&mut config, &mut one)?;
            config.note_rest(name, losses);
        }
    }
    fields.note_rest(prefix, losses);
    Ok(one)
}

fn read_model(fields: &mut Fields<'_>) -> Result<Option<ModelName>, InvalidRequest> {
    let Some(name) = fields.text("model")? else { return Ok(None) };
    ModelName::parse(name.strip_prefix(PREFIX).unwrap_or(&name))
        .map(Some)
        .map_err(|error| InvalidRequest::about(fields.path_of("model"), error.to_string()))
}

/// The server takes the names of fields in both ways of writing.
fn read_settings(fields: &mut Fields<'_>, one: &mut ReadOne) -> Result<(), InvalidRequest> {
    for name in ["taskType", "task_type"] {
        one.input.task = fields.text(name)?.or(one.input.task.take());
    }
    one.input.task = one.input.task.take().filter(|task| task != "TASK_TYPE_UNSPECIFIED");
    one.input.title = fields.text("title")?.or(one.input.title.take());
    for name in ["outputDimensionality", "output_dimensionality"] {
        one.dimensions = read_dimensions(fields, name)?.or(one.dimensions);
    }
    Ok(())
}

/// Parts of text are one input. Of others nobody else can make a vector.
fn read_content(mut content: Fields<'_>, losses: &mut Losses) -> Result<String, InvalidRequest> {
    let mut text: Option<String> = None;
    let parts: Vec<&RawValue> = content.list("parts")?;
    for (n, raw) in parts.into_iter().enumerate() {
        let mut part = Fields::at(content.path_of(&format!("parts[{n}]")), raw)?;
        if let Some(more) = part.text("text")? {
            match &mut text {
                Some(text) => {
                    text.push('\n');
                    text.push_str(&more);
                }
                None => text = Some(more),
            }
        }
        part.note_rest("content.parts", losses);
    }
    content.take("role");
    text.filter(|text| !text.is_empty())
        .ok_or_else(|| content.wrong("parts", "parts of which one holds text"))
}

#[derive(Serialize)]
struct WireBatch<'a> {
    requests: Vec<WireRequest<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    model: Cow<'a, str>,
    content: WireContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct WireContent<'a> {
    parts: [WirePart<'a>; 1],
}

#[derive(Serialize)]
struct WirePart<'a> {
    text: &'a str,
}

pub(super) fn write_one(
    request: &EmbeddingRequest,
    model: &ModelName,
) -> Result<Written, InvalidRequest> {
    let body = write_input(only_input(request)?, request, model)?;
    Ok(Written { body: to_json(&body), losses: losses_of(request) })
}

pub(super) fn write_batch(
    request: &EmbeddingRequest,
    model: &ModelName,
) -> Result<Written, InvalidRequest> {
    let inputs = request.inputs.iter();
    let requests = inputs.map(|input| write_input(input, request, model));
    let body = WireBatch { requests: requests.collect::<Result<_, _>>()? };
    Ok(Written { body: to_json(&body), losses: losses_of(request) })
}

fn write_input<'a>(
    input: &'a EmbeddingInput,
    request: &EmbeddingRequest,
    model: &'a ModelName,
) -> Result<WireRequest<'a>, InvalidRequest> {
    let name = model.as_str();
    let is_full = name.starts_with(PREFIX) || name.starts_with("tunedModels/");
    Ok(WireRequest {
        model: if is_full { name.into() } else { format!("{PREFIX}{name}").into() },
        content: WireContent { parts: [WirePart { text: text_of(input)? }] },
        task_type: input.task.as_deref(),
        title: input.title.as_deref(),
        output_dimensionality: request.dimensions,
    })
}

fn losses_of(request: &EmbeddingRequest) -> Losses {
    let mut losses = request.losses.clone();
    losses.note_if(request.user.is_some(), "user");
    losses
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadAnswer {
    embedding: Option<ReadVector>,
    embeddings: Option<Vec<ReadVector>>,
    usage_metadata: Option<ReadUsage>,
}

#[derive(Deserialize)]
struct ReadVector {
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadUsage {
    prompt_token_count: Option<u64>,
    total_token_count: Option<u64>,
}

/// `None` when it is no answer. Both forms are taken for both APIs.
pub(super) fn read_answer(body: &[u8]) -> Option<EmbeddingAnswer> {
    let wire: ReadAnswer = serde_json::from_slice(body).ok()?;
    let vectors = match (wire.embeddings, wire.embedding) {
        (Some(many), _) => many.into_iter().map(|vector| vector.values).collect(),
        (None, Some(one)) => vec![one.values],
        (None, None) => return None,
    };
    let usage = wire.usage_metadata.and_then(|usage| {
        let count = usage.prompt_token_count.or(usage.total_token_count);
        count.map(usage_of)
    });
    Some(EmbeddingAnswer { model: None, vectors, usage })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<WireVector<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<WireVector<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<WireUsage>,
}

#[derive(Serialize)]
struct WireVector<'a> {
    values: &'a [f32],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireUsage {
    prompt_token_count: u64,
    total_token_count: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

/// There is a place for one vector.
pub(super) fn write_one_answer(answer: &EmbeddingAnswer, losses: &mut Losses) -> Vec<u8> {
    losses.note_if(answer.vectors.len() > 1, "embeddings");
    let values = answer.vectors.first().map(Vec::as_slice).unwrap_or_default();
    to_json(&WireAnswer {
        embedding: Some(WireVector { values }),
        embeddings: None,
        usage_metadata: answer.usage.map(write_usage),
    })
}

pub(super) fn write_batch_answer(answer: &EmbeddingAnswer) -> Vec<u8> {
    let vectors = answer.vectors.iter().map(|values| WireVector { values });
    to_json(&WireAnswer {
        embedding: None,
        embeddings: Some(vectors.collect()),
        usage_metadata: answer.usage.map(write_usage),
    })
}

fn write_usage(usage: Usage) -> WireUsage {
    WireUsage {
        prompt_token_count: usage.prompt(),
        total_token_count: usage.prompt(),
        estimated: usage.is_estimated,
    }
}
