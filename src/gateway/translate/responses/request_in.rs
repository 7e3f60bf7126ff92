//! A client's request, read into the common form.

use super::{items_in, thinking, tools_in};
use crate::{
    domain::chat::{Json, OutputFormat, Part, Request, Role, Turn},
    gateway::translate::{InvalidRequest, PathParams, fields::Fields},
};

/// Most other tokens whose log probabilities are told.
const MAX_TOP_LOGPROBS: u8 = 20;

pub(super) fn read(body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
    let mut fields = Fields::of_body(body)?;
    let model = match (&addressed.model, fields.model()?) {
        (Some(model), _) => model.clone(),
        (None, Some(model)) => model,
        (None, None) => return Err(fields.wrong("model", "a text that is not empty")),
    };
    refuse_what_is_kept_elsewhere(&mut fields)?;
    let mut request = Request::new(model, Vec::new());
    request.stream = fields.flag("stream")?.or(addressed.stream).unwrap_or_default();
    // The terminal event of a stream tells it always.
    request.wants_stream_usage = true;
    let tools = fields.list("tools")?;
    tools_in::read(tools, &mut request)?;
    read_turns(&mut fields, &mut request)?;
    if let Some(raw) = fields.take("tool_choice") {
        request.tool_choice = tools_in::read_choice(raw, &request.namespaces, &mut request.losses)?;
    }
    if let Some(reasoning) = fields.object("reasoning")? {
        request.thinking = thinking::read(reasoning, &mut request.losses)?;
    }
    read_text(&mut fields, &mut request)?;
    read_logprobs(&mut fields, &mut request)?;
    read_settings(&mut fields, &mut request)?;
    fields.note_rest("", &mut request.losses);
    Ok(request)
}

/// What a request stands on that only its maker has, or that only its maker can do later. To go on
/// without it would be an answer to something else.
fn refuse_what_is_kept_elsewhere(fields: &mut Fields<'_>) -> Result<(), InvalidRequest> {
    if fields.flag("background")? == Some(true) {
        let message = "background must be false: an answer is given at once or not at all";
        return Err(InvalidRequest::about("background", message));
    }
    for name in ["previous_response_id", "conversation", "prompt"] {
        if fields.take(name).is_some() {
            let message = format!("what {name} stands for is not known here: send it as input");
            return Err(InvalidRequest::about(name, message));
        }
    }
    Ok(())
}

fn read_turns(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), InvalidRequest> {
    if let Some(text) = fields.text("instructions")?.filter(|text| !text.is_empty()) {
        request.turns.push(Turn::new(Role::System, vec![Part::text(text)]));
    }
    let Some(input) = fields.take("input") else {
        return Err(fields.wrong("input", "a text or a list of items"));
    };
    let before = request.turns.len();
    items_in::read(input, &mut request.turns, &mut request.losses)?;
    if request.turns.len() == before {
        return Err(fields.wrong("input", "a text or a list of at least one item"));
    }
    Ok(())
}

fn read_text(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), InvalidRequest> {
    let Some(mut text) = fields.object("text")? else { return Ok(()) };
    request.verbosity = text.text("verbosity")?;
    if let Some(mut format) = text.object("format")? {
        request.output = match format.text("type")?.as_deref() {
            Some("text") => OutputFormat::Text,
            Some("json_object") => OutputFormat::Json,
            Some("json_schema") => {
                let schema = format.take("schema").map(Json::from).filter(Json::is_object);
                let Some(schema) = schema else {
                    return Err(format.wrong("schema", "an object: a JSON schema"));
                };
                OutputFormat::Schema {
                    name: format.text("name")?,
                    description: format.text("description")?,
                    schema,
                    strict: format.flag("strict")?,
                }
            }
            Some(_) => {
                request.losses.note("response_format");
                return Ok(());
            }
            None => return Err(format.wrong("type", "a text")),
        };
        format.note_rest("text.format", &mut request.losses);
    }
    text.note_rest("text", &mut request.losses);
    Ok(())
}

fn read_logprobs(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), InvalidRequest> {
    const RANGE: &str = "a whole number from 0 to 20";
    if let Some(top) = fields.whole("top_logprobs")? {
        let top = u8::try_from(top).ok().filter(|top| *top <= MAX_TOP_LOGPROBS);
        let top = top.ok_or_else(|| fields.wrong("top_logprobs", RANGE))?;
        // None of them is what an answer has without asking.
        request.logprobs = Some(top).filter(|top| *top > 0);
    }
    let include: Vec<String> = fields.read("include", "a list of texts")?.unwrap_or_default();
    for wanted in include {
        match wanted.as_str() {
            "message.output_text.logprobs" => {
                request.logprobs.get_or_insert(0);
            }
            // An answer always has it.
            "reasoning.encrypted_content" => (),
            _ => request.losses.note("include"),
        }
    }
    Ok(())
}

fn read_settings(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), InvalidRequest> {
    request.parallel_tool_calls = fields.flag("parallel_tool_calls")?;
    if let Some(most) = fields.whole("max_output_tokens")? {
        let most = u64::try_from(most).ok().filter(|most| *most > 0);
        let most = most.ok_or_else(|| fields.wrong("max_output_tokens", "at least 1"))?;
        request.max_output_tokens = Some(most);
    }
    request.sampling.temperature = fields.number("temperature")?;
    request.sampling.top_p = fields.number("top_p")?;
    request.metadata = fields.read("metadata", "an object of texts")?.unwrap_or_default();
    request.service_tier = fields.text("service_tier")?;
    request.store = fields.flag("store")?;
    request.cache_key = fields.text("prompt_cache_key")?;
    // `user` is the older word for it.
    let (identifier, user) = (fields.text("safety_identifier")?, fields.text("user")?);
    request.losses.note_if(identifier.is_some() && user.is_some() && identifier != user, "user");
    request.user = identifier.or(user);
    fields.drop_default("truncation", "\"disabled\"");
    // All it can say is whether events are padded.
    fields.take("stream_options");
    Ok(())
}
