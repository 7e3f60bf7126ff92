//! A client's request becomes the common form.

use super::{
    super::{InvalidRequest, PathParams, fields::Fields},
    blocks_in::{cache_hint, missing, object, required_text},
    tools_in, turns_in,
};
use crate::domain::chat::{
    Effort, Losses, OutputFormat, Request, Sampling, Thinking, ThinkingMode,
};

pub(super) fn read(body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
    let mut body = Fields::of_body(body)?;
    let mut losses = Losses::default();
    let named = body.model()?;
    let Some(model) = addressed.model.clone().or(named) else {
        return Err(missing(&body, "model"));
    };
    let mut turns = turns_in::read(&mut body, &mut losses)?;
    if let Some(hint) = cache_hint(&mut body, &mut losses)? {
        turns_in::cache_last(&mut turns, hint);
    }
    let mut request = Request::new(model, turns);
    let Some(max_tokens) = body.whole("max_tokens")? else {
        return Err(missing(&body, "max_tokens"));
    };
    let Ok(max_tokens) = u64::try_from(max_tokens) else {
        return Err(body.wrong("max_tokens", "at least 1"));
    };
    request.max_output_tokens = Some(max_tokens);
    request.stream = addressed.stream.or(body.flag("stream")?).unwrap_or(false);
    request.wants_stream_usage = true;
    request.tools = tools_in::read_tools(&mut body, &mut losses)?;
    (request.tool_choice, request.parallel_tool_calls) =
        tools_in::read_choice(&mut body, &mut losses)?;
    request.stop = body.read("stop_sequences", "a list of texts")?.unwrap_or_default();
    request.sampling = Sampling {
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.read("top_k", "a whole number")?,
        ..Sampling::default()
    };
    read_metadata(&mut body, &mut request, &mut losses)?;
    request.service_tier = body.text("service_tier")?;
    read_output(&mut body, &mut request, &mut losses)?;
    body.note_rest("", &mut losses);
    request.losses = losses;
    Ok(request)
}

/// The only field of `metadata` that is published says who a request is for.
fn read_metadata(
    body: &mut Fields<'_>,
    request: &mut Request,
    losses: &mut Losses,
) -> Result<(), InvalidRequest> {
    let Some(mut metadata) = body.object("metadata")? else { return Ok(()) };
    request.user = metadata.text("user_id")?;
    metadata.note_rest("metadata", losses);
    Ok(())
}

/// `thinking`, `output_config`, and the `output_format` that came before it.
fn read_output(
    body: &mut Fields<'_>,
    request: &mut Request,
    losses: &mut Losses,
) -> Result<(), InvalidRequest> {
    let mut effort = None;
    if let Some(mut config) = body.object("output_config")? {
        effort = match config.text("effort")? {
            Some(word) => {
                let known = Effort::parse(&word);
                losses.note_if(known.is_none(), "output_config.effort");
                known
            }
            None => None,
        };
        if let Some(format) = config.object("format")? {
            request.output = read_format(format, losses)?;
        }
        config.note_rest("output_config", losses);
    }
    if let Some(format) = body.object("output_format")? {
        request.output = read_format(format, losses)?;
    }
    request.thinking = read_thinking(body, effort, losses)?;
    Ok(())
}

/// Output of this dialect always fits its schema.
fn read_format(
    mut format: Fields<'_>,
    losses: &mut Losses,
) -> Result<OutputFormat, InvalidRequest> {
    if required_text(&mut format, "type")? != "json_schema" {
        return Err(format.wrong("type", "json_schema"));
    }
    let Some(schema) = format.take("schema") else { return Err(missing(&format, "schema")) };
    let Some(schema) = object(schema.get()) else {
        return Err(format.wrong("schema", "an object"));
    };
    let name = format.text("name")?;
    format.note_rest("response_format", losses);
    Ok(OutputFormat::Schema { name, description: None, schema, strict: Some(true) })
}

/// Thinking as the model sees fit and an effort are one thing; a budget says more than an effort.
fn read_thinking(
    body: &mut Fields<'_>,
    effort: Option<Effort>,
    losses: &mut Losses,
) -> Result<Option<Thinking>, InvalidRequest> {
    let Some(mut fields) = body.object("thinking")? else {
        return Ok(effort.map(|effort| Thinking {
            mode: Some(ThinkingMode::Effort(effort)),
            ..Thinking::default()
        }));
    };
    let kind = required_text(&mut fields, "type")?;
    let mode = match &*kind {
        "enabled" => match fields.read("budget_tokens", "a whole number")? {
            Some(tokens) => Some(ThinkingMode::Budget(tokens)),
            None => return Err(missing(&fields, "budget_tokens")),
        },
        "disabled" => Some(ThinkingMode::Off),
        "adaptive" => Some(effort.map_or(ThinkingMode::Adaptive, ThinkingMode::Effort)),
        _ => {
            losses.note("thinking");
            effort.map(ThinkingMode::Effort)
        }
    };
    let is_effort_lost = effort.is_some() && !matches!(mode, Some(ThinkingMode::Effort(_)));
    losses.note_if(is_effort_lost, "output_config.effort");
    let is_shown = match fields.text("display")?.as_deref() {
        Some("summarized") => Some(true),
        Some("omitted") => Some(false),
        Some(_) => {
            losses.note("thinking");
            None
        }
        None => None,
    };
    fields.note_rest("thinking", losses);
    Ok(Some(Thinking { mode, is_shown, summary: None }))
}
