//! The fields of a client's request: taken apart, and those read that Chat Completions and the legacy
//! Completions have in common.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    domain::{chat::Request, id::ModelName},
    gateway::{
        dialect::{
            object::{Borrowed, Fields},
            openai_chat::wire::request_in::AskedStreamOptions,
            strict,
        },
        translate::{InvalidRequest, PathParams},
    },
};

/// Most answers that are asked for at once: OpenAI's own limit.
const MAX_CHOICES: u32 = 128;

type Invalid<T> = Result<T, InvalidRequest>;

/// Takes a body apart.
pub(in crate::gateway::translate) fn split(body: &[u8]) -> Invalid<Fields<'_>> {
    let text = std::str::from_utf8(body)
        .map_err(|_| InvalidRequest::new("the body is not valid UTF-8"))?;
    serde_json::from_str(text).map_err(|error| {
        InvalidRequest::new(format!("the body is not a valid JSON object: {error}"))
    })
}

/// The model that is asked for, in the body or else by the path.
pub(in crate::gateway::translate) fn model(
    fields: &Fields<'_>,
    addressed: &PathParams,
) -> Invalid<ModelName> {
    let Some(raw) = fields.find("model") else {
        let missing = || InvalidRequest::about("model", "model is missing");
        return addressed.model.clone().ok_or_else(missing);
    };
    let name = text("model", raw)?;
    ModelName::parse(&name).map_err(|error| InvalidRequest::about("model", error.to_string()))
}

/// Reads a value of a known type. `what` says in the error what it must be.
pub(in crate::gateway::translate) fn value<'a, T: Deserialize<'a>>(
    path: &str,
    raw: &'a RawValue,
    what: &str,
) -> Invalid<T> {
    strict::from_str(raw.get()).map_err(|_| must_be(path, what))
}

pub(in crate::gateway::translate) fn must_be(path: &str, what: &str) -> InvalidRequest {
    InvalidRequest::about(path.to_owned(), format!("{path} must be {what}"))
}

pub(in crate::gateway::translate) fn text<'a>(
    path: &str,
    raw: &'a RawValue,
) -> Invalid<Cow<'a, str>> {
    value::<Borrowed<'a>>(path, raw, "a text").map(|text| text.0)
}

fn number(path: &str, raw: &RawValue) -> Invalid<Option<f64>> {
    value(path, raw, "a number")
}

pub(in crate::gateway::translate) fn count(path: &str, raw: &RawValue) -> Invalid<Option<u64>> {
    value(path, raw, "a whole number that is not negative")
}

pub(in crate::gateway::translate) fn flag(path: &str, raw: &RawValue) -> Invalid<bool> {
    value(path, raw, "true or false")
}

/// Reads a field that both APIs have. Tells whether it was one.
pub(in crate::gateway::translate) fn shared(
    request: &mut Request,
    name: &str,
    raw: &RawValue,
) -> Invalid<bool> {
    let sampling = &mut request.sampling;
    match name {
        "stream" => request.stream = flag(name, raw)?,
        "stream_options" => {
            let options: AskedStreamOptions =
                value(name, raw, "an object whose include_usage is true or false")?;
            request.wants_stream_usage = options.include_usage == Some(true);
        }
        "temperature" => sampling.temperature = number(name, raw)?,
        "top_p" => sampling.top_p = number(name, raw)?,
        "top_k" => sampling.top_k = top_k(name, raw)?,
        "min_p" => sampling.min_p = number(name, raw)?,
        "frequency_penalty" => sampling.frequency_penalty = number(name, raw)?,
        "presence_penalty" => sampling.presence_penalty = number(name, raw)?,
        // OpenRouter's and vLLM's word.
        "repetition_penalty" => sampling.repeat_penalty = number(name, raw)?,
        "seed" => sampling.seed = Some(value(name, raw, "a whole number")?),
        "stop" => request.stop = stop(name, raw)?,
        "n" => {
            let n: u32 = value(name, raw, "a whole number")?;
            if !(1..=MAX_CHOICES).contains(&n) {
                return Err(must_be(name, "1 to 128"));
            }
            request.choices = Some(n);
        }
        "user" | "safety_identifier" => {
            let user = text(name, raw)?.into_owned();
            // The newer word counts, where both are said.
            let is_other = request.user.as_ref().is_some_and(|known| *known != user);
            request.losses.note_if(is_other, "user");
            if request.user.is_none() || name == "safety_identifier" {
                request.user = Some(user);
            }
        }
        "metadata" => metadata(request, raw)?,
        "service_tier" => request.service_tier = Some(text(name, raw)?.into_owned()),
        "store" => request.store = Some(flag(name, raw)?),
        "prompt_cache_key" => request.cache_key = Some(text(name, raw)?.into_owned()),
        "logit_bias" => request.losses.note_if(raw.get() != "{}", "logit_bias"),
        _ => return Ok(false),
    }
    Ok(true)
}

/// −1 and 0 switch it off at vLLM and OpenRouter.
fn top_k(path: &str, raw: &RawValue) -> Invalid<Option<u64>> {
    let k: i64 = value(path, raw, "a whole number")?;
    Ok(u64::try_from(k).ok().filter(|k| *k > 0))
}

fn stop(path: &str, raw: &RawValue) -> Invalid<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stop {
        One(String),
        Many(Vec<String>),
    }

    Ok(match value(path, raw, "a text or a list of texts")? {
        Stop::One(text) => vec![text],
        Stop::Many(texts) => texts,
    })
}

/// Notes of a client's own. What is no text in them cannot be carried.
fn metadata(request: &mut Request, raw: &RawValue) -> Invalid<()> {
    let notes: BTreeMap<String, &RawValue> = value("metadata", raw, "an object of texts")?;
    for (name, note) in notes {
        match serde_json::from_str::<String>(note.get()) {
            Ok(text) => {
                request.metadata.insert(name, text);
            }
            Err(_) => request.losses.note("metadata"),
        }
    }
    Ok(())
}
