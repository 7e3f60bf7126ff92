//! OpenAI's `/v1/embeddings`, and what speaks like it.
//!
//! Source: <https://platform.openai.com/docs/api-reference/embeddings/create> (2026-11).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{model_of, note_purpose, to_json, usage_of, vector::WireVector};
use crate::{
    domain::{
        embedding::{
            EmbeddingAnswer, EmbeddingContent, EmbeddingInput, EmbeddingRequest, Encoding,
        },
        id::ModelName,
    },
    gateway::translate::{InvalidRequest, PathParams, Written, fields::Fields},
};

/// One text or many, the tokens of one or of many.
#[derive(Deserialize)]
#[serde(untagged)]
enum ReadInput {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

pub(super) fn read_request(
    body: &[u8],
    addressed: &PathParams,
) -> Result<EmbeddingRequest, InvalidRequest> {
    let mut fields = Fields::of_body(body)?;
    let model = model_of(fields.model()?, addressed)?;
    let expected = "a text, a list of texts, or tokens";
    let Some(input) = fields.read::<ReadInput>("input", expected)? else {
        return Err(InvalidRequest::about("input", "input is missing"));
    };
    let tokens = |tokens| EmbeddingInput {
        content: EmbeddingContent::Tokens(tokens),
        task: None,
        title: None,
    };
    let inputs: Vec<EmbeddingInput> = match input {
        ReadInput::Text(text) => vec![EmbeddingInput::text(text)],
        ReadInput::Texts(texts) => texts.into_iter().map(EmbeddingInput::text).collect(),
        ReadInput::Tokens(list) => vec![tokens(list)],
        ReadInput::ManyTokens(lists) => lists.into_iter().map(tokens).collect(),
    };
    if inputs.is_empty() || inputs.iter().any(is_empty) {
        return Err(InvalidRequest::about("input", "input must not be empty"));
    }
    let mut request = EmbeddingRequest::new(model, inputs);
    request.dimensions = read_dimensions(&mut fields, "dimensions")?;
    request.encoding = match fields.text("encoding_format")?.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(_) => return Err(fields.wrong("encoding_format", "float or base64")),
    };
    request.user = fields.text("user")?;
    fields.note_rest("", &mut request.losses);
    Ok(request)
}

fn is_empty(input: &EmbeddingInput) -> bool {
    match &input.content {
        EmbeddingContent::Text(text) => text.is_empty(),
        EmbeddingContent::Tokens(tokens) => tokens.is_empty(),
    }
}

pub(super) fn read_dimensions(
    fields: &mut Fields<'_>,
    name: &str,
) -> Result<Option<u64>, InvalidRequest> {
    let Some(number) = fields.whole(name)? else { return Ok(None) };
    match u64::try_from(number) {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(fields.wrong(name, "at least 1")),
    }
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    input: WrittenInput<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenInput<'a> {
    One(Content<'a>),
    Many(Vec<Content<'a>>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Tokens(&'a [u32]),
}

/// Errors: [`InvalidRequest`] when texts and tokens are mixed, which no API lets a client do.
pub(super) fn write_request(
    request: &EmbeddingRequest,
    model: &ModelName,
) -> Result<Written, InvalidRequest> {
    let mut losses = request.losses.clone();
    note_purpose(request, &mut losses);
    let is_text = |input: &EmbeddingInput| matches!(input.content, EmbeddingContent::Text(_));
    let texts = request.inputs.iter().filter(|input| is_text(input)).count();
    if texts != 0 && texts != request.inputs.len() {
        let message = "input must be all text or all tokens";
        return Err(InvalidRequest::about("input", message));
    }
    let input = match request.inputs.as_slice() {
        [only] => WrittenInput::One(write_content(only)),
        many => WrittenInput::Many(many.iter().map(write_content).collect()),
    };
    let body = WireRequest {
        model: model.as_str(),
        input,
        dimensions: request.dimensions,
        // Numbers are what every compatible server can send.
        encoding_format: (request.encoding == Encoding::Base64).then_some("base64"),
        user: request.user.as_deref(),
    };
    Ok(Written { body: to_json(&body), losses })
}

fn write_content(input: &EmbeddingInput) -> Content<'_> {
    match &input.content {
        EmbeddingContent::Text(text) => Content::Text(text),
        EmbeddingContent::Tokens(tokens) => Content::Tokens(tokens),
    }
}

#[derive(Deserialize)]
struct ReadAnswer<'a> {
    #[serde(borrow)]
    data: Vec<ReadItem<'a>>,
    model: Option<String>,
    usage: Option<ReadUsage>,
}

#[derive(Deserialize)]
struct ReadItem<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    embedding: WireVector<'a>,
}

#[derive(Deserialize)]
struct ReadUsage {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// `None` when it is no answer.
pub(super) fn read_answer(body: &[u8]) -> Option<EmbeddingAnswer> {
    let mut wire: ReadAnswer<'_> = serde_json::from_slice(body).ok()?;
    if wire.data.iter().all(|item| item.index.is_some()) {
        wire.data.sort_by_key(|item| item.index);
        let is_counted = wire.data.iter().zip(0..).all(|(item, place)| item.index == Some(place));
        if !is_counted {
            return None;
        }
    }
    let vectors = wire.data.into_iter().map(|item| item.embedding.into_numbers());
    let vectors = vectors.collect::<Option<_>>()?;
    let usage = wire.usage.and_then(|usage| usage.prompt_tokens.or(usage.total_tokens));
    Some(EmbeddingAnswer { model: wire.model, vectors, usage: usage.map(usage_of) })
}

/// An answer with its vectors in this encoding, byte for byte as it was but for them. `None`: they are
/// so already, or it is no answer.
///
/// Servers that speak like OpenAI may not know one of the two encodings and send the other unasked:
/// Ollama has numbers for whoever asks for Base64, as OpenAI's own client for Node does by default.
pub(super) fn recoded(body: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        data: Vec<Item<'a>>,
    }
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        embedding: &'a RawValue,
    }

    let Answer { data } = serde_json::from_slice(body).ok()?;
    let mut out = Vec::new();
    let mut copied = 0;
    for Item { embedding } in data {
        let written = embedding.get();
        if written.starts_with('"') == (encoding == Encoding::Base64) {
            continue;
        }
        let numbers = serde_json::from_str::<WireVector<'_>>(written).ok()?.into_numbers()?;
        let begin = written.as_ptr() as usize - body.as_ptr() as usize;
        out.extend_from_slice(&body[copied..begin]);
        out.extend_from_slice(&to_json(&WireVector::new(&numbers, encoding)));
        copied = begin + written.len();
    }
    out.extend_from_slice(&body[copied..]);
    (copied > 0).then_some(out)
}

#[derive(Serialize)]
struct WireAnswer<'a> {
    object: &'static str,
    data: Vec<WireItem<'a>>,
    model: &'a str,
    usage: WireUsage,
}

#[derive(Serialize)]
struct WireItem<'a> {
    object: &'static str,
    index: usize,
    embedding: WireVector<'a>,
}

#[derive(Serialize)]
struct WireUsage {
    prompt_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

/// Stock clients do not read an answer without usage: where none is known, it is an estimate of none.
pub(super) fn write_answer(answer: &EmbeddingAnswer, model: &str, encoding: Encoding) -> Vec<u8> {
    let item = |(index, vector)| WireItem {
        object: "embedding",
        index,
        embedding: WireVector::new(vector, encoding),
    };
    let usage = answer.usage.unwrap_or_default();
    let vectors = answer.vectors.iter().map(Vec::as_slice);
    to_json(&WireAnswer {
        object: "list",
        data: vectors.enumerate().map(item).collect(),
        model,
        usage: WireUsage {
            prompt_tokens: usage.prompt(),
            total_tokens: usage.prompt(),
            estimated: usage.is_estimated || answer.usage.is_none(),
        },
    })
}
