//! A client's request, read into the common form.
//!
//! Source: <https://ai.google.dev/api/generate-content#request-body> (read 2026-11).

use serde_json::value::RawValue;

use super::{
    fields::{self, Fields, wrong},
    schema::json_schema,
    thinking, tools_in, turns_in,
};
use crate::{
    domain::{
        chat::{Json, Losses, OutputFormat, Request},
        id::ModelName,
    },
    gateway::translate::{InvalidRequest, PathParams},
};

/// Most answers that can be asked for.
const MAX_CHOICES: u64 = 128;

/// Fields of the request that say what no other dialect has a place for.
const OWN_FIELDS: [&str; 2] = ["safetySettings", "cachedContent"];

pub(super) fn read(body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
    read_fields(fields::of_body(body)?, addressed)
}

pub(super) fn read_fields(
    mut fields: Fields<'_>,
    addressed: &PathParams,
) -> Result<Request, InvalidRequest> {
    let model = read_model(&mut fields, addressed)?;
    let mut losses = Losses::default();
    let mut turns = Vec::new();
    if let Some(instruction) = fields.take("systemInstruction") {
        let path = fields.path_of("systemInstruction");
        turns.extend(turns_in::read_instruction(instruction, path, &mut losses)?);
    }
    let contents = fields::placed(&mut fields, "contents")?;
    if contents.is_empty() {
        let path = fields.path_of("contents");
        return Err(InvalidRequest::about(path.clone(), format!("{path} must not be empty")));
    }
    let instructions = turns.len();
    turns_in::read_contents(contents, &mut turns, &mut losses)?;
    if turns.len() == instructions {
        let path = fields.path_of("contents");
        return Err(InvalidRequest::about(path.clone(), format!("{path} must have parts")));
    }

    let mut request = Request::new(model, turns);
    request.stream = addressed.stream.unwrap_or(false);
    request.wants_stream_usage = true;
    let strictness = tools_in::read_choice(&mut fields, &mut request, &mut losses)?;
    request.tools =
        tools_in::read_tools(fields::placed(&mut fields, "tools")?, strictness, &mut losses)?;
    if let Some(config) = fields.object("generationConfig")? {
        read_config(config, &mut request, &mut losses)?;
    }
    request.metadata = fields.read("labels", "an object of strings")?.unwrap_or_default();
    request.store = fields.flag("store")?;
    request.service_tier = fields.text("serviceTier")?.and_then(|tier| tier_word(&tier));
    for name in OWN_FIELDS {
        losses.note_if(fields.take(name).is_some_and(says_something), name);
    }
    fields::note_rest(fields, &mut losses);
    request.losses = losses;
    Ok(request)
}

fn read_model(
    fields: &mut Fields<'_>,
    addressed: &PathParams,
) -> Result<ModelName, InvalidRequest> {
    let named = fields.text("model")?;
    if let Some(model) = &addressed.model {
        return Ok(model.clone());
    }
    let named = named.ok_or_else(|| InvalidRequest::about("model", "model is missing"))?;
    let name = named.strip_prefix("models/").unwrap_or(&named);
    ModelName::parse(name).map_err(|error| InvalidRequest::about("model", error.to_string()))
}

fn read_config(
    mut config: Fields<'_>,
    request: &mut Request,
    losses: &mut Losses,
) -> Result<(), InvalidRequest> {
    let sampling = &mut request.sampling;
    sampling.temperature = config.number("temperature")?;
    sampling.top_p = config.number("topP")?;
    sampling.top_k = config.count("topK")?;
    sampling.seed = config.whole("seed")?;
    sampling.presence_penalty = config.number("presencePenalty")?;
    sampling.frequency_penalty = config.number("frequencyPenalty")?;
    request.max_output_tokens = config.count("maxOutputTokens")?;
    request.stop = config.read("stopSequences", "a list of strings")?.unwrap_or_default();
    request.choices = match config.count("candidateCount")? {
        Some(count @ 1..=MAX_CHOICES) => u32::try_from(count).ok(),
        Some(_) => {
            let expected = format!("a whole number from 1 to {MAX_CHOICES}");
            return Err(wrong(config.path_of("candidateCount"), &expected));
        }
        None => None,
    };
    let shows_logprobs = config.flag("responseLogprobs")?;
    let others = config.count("logprobs")?;
    if shows_logprobs == Some(true) {
        let others = others.unwrap_or(0);
        let others = u8::try_from(others).ok().filter(|others| *others <= 20);
        request.logprobs = Some(
            others
                .ok_or_else(|| wrong(config.path_of("logprobs"), "a whole number from 0 to 20"))?,
        );
    }
    request.output = read_output(&mut config, losses)?;
    if let Some(fields) = config.object("thinkingConfig")? {
        request.thinking = thinking::read(fields, losses)?;
    }
    let modalities: Vec<String> =
        config.read("responseModalities", "a list of strings")?.unwrap_or_default();
    let is_more_than_text = modalities.iter().any(|kind| !kind.eq_ignore_ascii_case("TEXT"));
    losses.note_if(is_more_than_text, "generationConfig.responseModalities");
    fields::note_rest(config, losses);
    Ok(())
}

fn read_output(
    config: &mut Fields<'_>,
    losses: &mut Losses,
) -> Result<OutputFormat, InvalidRequest> {
    let media_type = config.text("responseMimeType")?;
    let own = config.take("responseSchema");
    // The older name of it has an underscore before it.
    let json = config.take("responseJsonSchema").or_else(|| config.take("_responseJsonSchema"));
    let schema = match (json, own) {
        (Some(json), _) => Some(Json::from(json)),
        (None, Some(own)) => Some(json_schema(own, &config.path_of("responseSchema"))?),
        (None, None) => None,
    };
    Ok(match (media_type.as_deref(), schema) {
        (None | Some("" | "text/plain"), None) => OutputFormat::Text,
        (Some("application/json"), None) => OutputFormat::Json,
        (None | Some("application/json"), Some(schema)) if schema.is_object() => {
            OutputFormat::Schema { name: None, description: None, schema, strict: None }
        }
        (None | Some("application/json"), Some(_)) => {
            return Err(wrong(config.path_of("responseJsonSchema"), "an object"));
        }
        // One of several words, and no JSON.
        _ => {
            losses.note("response_format");
            OutputFormat::Text
        }
    })
}

/// The word others have for a tier. Google's enum stands with and without its prefix.
fn tier_word(tier: &str) -> Option<String> {
    let tier = tier.to_ascii_lowercase();
    match tier.strip_prefix("service_tier_").unwrap_or(&tier) {
        "" | "unspecified" => None,
        "standard" => Some("default".to_owned()),
        other => Some(other.to_owned()),
    }
}

fn says_something(raw: &RawValue) -> bool {
    !matches!(raw.get(), "[]" | "{}" | "\"\"" | "false")
}
