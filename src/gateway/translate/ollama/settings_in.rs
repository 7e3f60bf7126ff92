//! What both APIs let a client say beside the conversation.

use serde_json::value::RawValue;

use crate::{
    domain::chat::{Effort, Json, Losses, OutputFormat, Request, Thinking, ThinkingMode},
    gateway::translate::{InvalidRequest, PathParams, fields::Fields},
};

/// Most other tokens whose log probabilities can be asked for.
const MAX_TOP_LOGPROBS: u8 = 20;

/// Takes the model and whether to stream, which the server does unless told otherwise.
pub(super) fn begin(
    fields: &mut Fields<'_>,
    addressed: &PathParams,
) -> Result<Request, InvalidRequest> {
    let model = fields.model()?.or_else(|| addressed.model.clone());
    let model = model.ok_or_else(|| InvalidRequest::about("model", "model is missing"))?;
    let stream = fields.flag("stream")?.or(addressed.stream).unwrap_or(true);
    let mut request = Request::new(model, Vec::new());
    request.stream = stream;
    request.wants_stream_usage = true;
    Ok(request)
}

/// Takes all settings, and notes what is left of the body as lost.
pub(super) fn finish(
    mut fields: Fields<'_>,
    request: &mut Request,
    mut losses: Losses,
) -> Result<(), InvalidRequest> {
    request.output = read_format(&mut fields)?;
    request.thinking = read_think(&mut fields)?;
    request.logprobs = read_logprobs(&mut fields)?;
    if let Some(options) = fields.object("options")? {
        read_options(options, request, &mut losses)?;
    }
    fields.drop_default("truncate", "true");
    fields.drop_default("shift", "true");
    fields.note_rest("", &mut losses);
    request.losses = losses;
    Ok(())
}

fn read_format(fields: &mut Fields<'_>) -> Result<OutputFormat, InvalidRequest> {
    match fields.take("format").map(|raw| (raw, raw.get())) {
        None | Some((_, "\"\"")) => Ok(OutputFormat::Text),
        Some((_, "\"json\"")) => Ok(OutputFormat::Json),
        Some((raw, text)) if text.starts_with('{') => Ok(OutputFormat::Schema {
            name: None,
            description: None,
            schema: Json::from(raw),
            strict: None,
        }),
        Some(_) => Err(fields.wrong("format", "\"json\" or a JSON schema")),
    }
}

/// Thoughts are a field of the answer, so that who asks for them is also shown them.
fn read_think(fields: &mut Fields<'_>) -> Result<Option<Thinking>, InvalidRequest> {
    let wrong = "true, false, \"low\", \"medium\" or \"high\"";
    let Some(raw) = fields.take("think") else { return Ok(None) };
    let mode = match raw.get() {
        "true" => ThinkingMode::Adaptive,
        "false" => ThinkingMode::Off,
        text => text
            .strip_prefix('"')
            .and_then(|text| Effort::parse(text.strip_suffix('"')?))
            .map(ThinkingMode::Effort)
            .ok_or_else(|| fields.wrong("think", wrong))?,
    };
    let is_shown = (mode != ThinkingMode::Off).then_some(true);
    Ok(Some(Thinking { mode: Some(mode), is_shown, summary: None }))
}

fn read_logprobs(fields: &mut Fields<'_>) -> Result<Option<u8>, InvalidRequest> {
    let is_asked = fields.flag("logprobs")?.unwrap_or(false);
    let top = fields.whole("top_logprobs")?.unwrap_or(0);
    let top = u8::try_from(top).ok().filter(|top| *top <= MAX_TOP_LOGPROBS);
    let top = top.ok_or_else(|| fields.wrong("top_logprobs", "0 to 20"))?;
    Ok(is_asked.then_some(top))
}

fn read_options(
    mut options: Fields<'_>,
    request: &mut Request,
    losses: &mut Losses,
) -> Result<(), InvalidRequest> {
    let sampling = &mut request.sampling;
    sampling.temperature = options.number("temperature")?;
    sampling.top_p = options.number("top_p")?;
    sampling.min_p = options.number("min_p")?;
    sampling.frequency_penalty = options.number("frequency_penalty")?;
    sampling.presence_penalty = options.number("presence_penalty")?;
    sampling.repeat_penalty = options.number("repeat_penalty")?;
    // Below zero is the server's own way to say: as usual.
    sampling.top_k = options.whole("top_k")?.and_then(|top_k| u64::try_from(top_k).ok());
    sampling.seed = options.whole("seed")?.filter(|seed| *seed >= 0);
    // -1 is no limit, -2 the window, and 0 counts as no limit too.
    request.max_output_tokens = options
        .whole("num_predict")?
        .and_then(|limit| u64::try_from(limit).ok())
        .filter(|limit| *limit > 0);
    request.stop = read_stop(&mut options)?;
    options.note_rest("options", losses);
    Ok(())
}

/// A list; some clients send the only one bare.
fn read_stop(options: &mut Fields<'_>) -> Result<Vec<String>, InvalidRequest> {
    let Some(raw) = options.take("stop") else { return Ok(Vec::new()) };
    let parsed = if raw.get().starts_with('"') { parse_one(raw) } else { parse_all(raw) };
    parsed.ok_or_else(|| options.wrong("stop", "a list of texts"))
}

fn parse_one(raw: &RawValue) -> Option<Vec<String>> {
    serde_json::from_str(raw.get()).ok().map(|text| vec![text])
}

fn parse_all(raw: &RawValue) -> Option<Vec<String>> {
    serde_json::from_str(raw.get()).ok()
}
