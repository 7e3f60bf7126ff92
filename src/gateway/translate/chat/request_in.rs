//! A client's request, read into the common form.

use serde_json::value::RawValue;

use super::{
    fields_in::{count, flag, model, must_be, shared, split, text, value},
    messages_in,
    thinking::AskedWords,
    tools_in,
};
use crate::{
    domain::chat::{Json, OutputFormat, Request},
    gateway::{
        dialect::openai_chat::{is_blank, wire::request_in::AskedFormat},
        translate::{InvalidRequest, PathParams},
    },
};

/// Most other tokens whose log probabilities are told.
const MAX_TOP_LOGPROBS: u8 = 20;

pub(super) fn read(body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
    let fields = split(body)?;
    let model = model(&fields, addressed)?;
    let messages = fields
        .find("messages")
        .ok_or_else(|| InvalidRequest::about("messages", "messages is missing"))?;
    let mut request = Request::new(model, Vec::new());
    request.stream = addressed.stream.unwrap_or_default();
    request.turns = messages_in::read(messages, &mut request.losses)?;
    let mut words = AskedWords::default();
    for (name, raw) in fields.said() {
        let is_known = shared(&mut request, name, raw)?
            || said_of_thinking(&mut words, name, raw)?
            || said_of_tools(&mut request, name, raw)?
            || said_of_the_answer(&mut request, name, raw)?;
        if !is_known && !matches!(name, "model" | "messages") && !is_blank(raw) {
            request.losses.note(name.to_owned());
        }
    }
    request.thinking = words.into_thinking(&mut request.losses);
    Ok(request)
}

fn said_of_thinking<'a>(
    words: &mut AskedWords<'a>,
    name: &str,
    raw: &'a RawValue,
) -> Result<bool, InvalidRequest> {
    match name {
        "reasoning_effort" => words.effort = Some(text(name, raw)?),
        "reasoning" => {
            words.reasoning = Some(value(name, raw, "an object with an effort or max_tokens")?);
        }
        "thinking" => words.thinking = Some(value(name, raw, "an object with a type")?),
        "enable_thinking" => words.enable_thinking = Some(flag(name, raw)?),
        "thinking_budget" => words.thinking_budget = count(name, raw)?,
        "include_reasoning" => words.include_reasoning = Some(flag(name, raw)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn said_of_tools(
    request: &mut Request,
    name: &str,
    raw: &RawValue,
) -> Result<bool, InvalidRequest> {
    match name {
        "tools" => request.tools.extend(tools_in::read_tools(raw)?),
        "functions" => {
            request.tools.extend(tools_in::read_functions(raw)?);
            request.wants_function_call = true;
        }
        "tool_choice" | "function_call" => {
            request.tool_choice = tools_in::read_choice(name, raw, &mut request.losses)?;
        }
        "parallel_tool_calls" => request.parallel_tool_calls = Some(flag(name, raw)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn said_of_the_answer(
    request: &mut Request,
    name: &str,
    raw: &RawValue,
) -> Result<bool, InvalidRequest> {
    match name {
        "max_tokens" => {
            let limit = count(name, raw)?;
            request.max_output_tokens = request.max_output_tokens.or(limit);
        }
        // The newer word of the two: it counts wherever it stands.
        "max_completion_tokens" => request.max_output_tokens = count(name, raw)?,
        "response_format" => request.output = read_format(name, raw, request)?,
        "logprobs" => {
            if flag(name, raw)? {
                request.logprobs.get_or_insert(0);
            }
        }
        "top_logprobs" => {
            let top: u8 = value(name, raw, "a whole number from 0 to 20")?;
            if top > MAX_TOP_LOGPROBS {
                return Err(must_be(name, "a whole number from 0 to 20"));
            }
            request.logprobs = Some(top);
        }
        "verbosity" => request.verbosity = Some(text(name, raw)?.into_owned()),
        "modalities" => {
            let kinds: Vec<String> = value(name, raw, "a list of texts")?;
            request.losses.note_if(kinds.iter().any(|kind| kind != "text"), "modalities");
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn read_format(
    path: &str,
    raw: &RawValue,
    request: &mut Request,
) -> Result<OutputFormat, InvalidRequest> {
    let format: AskedFormat<'_> = value(path, raw, "an object with a type")?;
    match (&*format.kind, format.json_schema) {
        ("text", _) => Ok(OutputFormat::Text),
        ("json_object", _) => Ok(OutputFormat::Json),
        ("json_schema", Some(asked)) => {
            let schema = asked.schema.map(Json::from).filter(Json::is_object).ok_or_else(|| {
                must_be("response_format.json_schema.schema", "an object: a JSON schema")
            })?;
            Ok(OutputFormat::Schema {
                name: asked.name.map(|name| name.0.into_owned()),
                description: asked.description.map(|text| text.0.into_owned()),
                schema,
                strict: asked.strict,
            })
        }
        ("json_schema", None) => Err(must_be("response_format.json_schema", "an object")),
        _ => {
            request.losses.note("response_format");
            Ok(OutputFormat::Text)
        }
    }
}
