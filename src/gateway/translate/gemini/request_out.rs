//! The common form, written as a request to an upstream.

use super::{thinking, tools_out, turns_out};
use crate::{
    domain::{
        chat::{CallKind, Content, Losses, OutputFormat, Request},
        model_rules::GeminiRules,
    },
    gateway::{
        dialect::gemini::{WrittenConfig, WrittenRequest},
        translate::{Target, Written},
    },
};

/// Most texts that may end an answer.
///
/// Source: <https://ai.google.dev/api/generate-content#generationconfig> (read 2026-11).
const MAX_STOP_TEXTS: usize = 5;

pub(super) fn write(request: &Request, target: &Target<'_>) -> Written {
    let (body, losses) = with(request, target, |written, _| {
        serde_json::to_vec(written).expect("texts and parsed JSON values are always JSON")
    });
    Written { body, losses }
}

/// Makes the request and hands it on, with what it loses told beside the result.
pub(super) fn with<T>(
    request: &Request,
    target: &Target<'_>,
    use_it: impl FnOnce(&mut WrittenRequest<'_>, &mut Losses) -> T,
) -> (T, Losses) {
    let mut losses = request.losses.clone();
    let model = GeminiRules::of(target.model.as_str());
    let (system_instruction, contents) = turns_out::write(&request.turns, &model, &mut losses);
    let (tools, tool_config) = tools_out::write(request, &mut losses);
    let mut written = WrittenRequest {
        system_instruction,
        contents,
        tools,
        tool_config,
        generation_config: config(request, &model, &mut losses),
        service_tier: service_tier(request, &mut losses),
    };
    note_unsaid(request, &mut losses);
    let used = use_it(&mut written, &mut losses);
    (used, losses)
}

fn config<'a>(request: &'a Request, model: &GeminiRules, losses: &mut Losses) -> WrittenConfig<'a> {
    let sampling = &request.sampling;
    losses.note_if(request.stop.len() > MAX_STOP_TEXTS, "stop");
    let (response_mime_type, response_json_schema) = match &request.output {
        OutputFormat::Text => (None, None),
        OutputFormat::Json => (Some("application/json"), None),
        OutputFormat::Schema { description, schema, .. } => {
            losses.note_if(description.is_some(), "response_format");
            (Some("application/json"), Some(schema))
        }
    };
    WrittenConfig {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        max_output_tokens: request.max_output_tokens,
        stop_sequences: &request.stop[..request.stop.len().min(MAX_STOP_TEXTS)],
        candidate_count: request.choices.filter(|choices| *choices > 1),
        seed: sampling.seed,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        response_mime_type,
        response_json_schema,
        response_logprobs: request.logprobs.is_some(),
        logprobs: request.logprobs.filter(|others| *others > 0),
        thinking_config: request
            .thinking
            .as_ref()
            .and_then(|thinking| thinking::write(thinking, model, losses)),
    }
}

fn service_tier(request: &Request, losses: &mut Losses) -> Option<&'static str> {
    match request.service_tier.as_deref() {
        None | Some("auto") => None,
        Some("default" | "standard") => Some("standard"),
        Some("flex") => Some("flex"),
        Some("priority") => Some("priority"),
        Some(_) => {
            losses.note("service_tier");
            None
        }
    }
}

/// Notes what the request says and Gemini has no word for.
fn note_unsaid(request: &Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    losses.note_if(sampling.min_p.is_some(), "min_p");
    losses.note_if(sampling.repeat_penalty.is_some(), "repeat_penalty");
    losses.note_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    losses.note_if(!request.metadata.is_empty(), "metadata");
    losses.note_if(request.user.is_some(), "user");
    losses.note_if(request.store == Some(true), "store");
    losses.note_if(request.cache_key.is_some(), "prompt_cache_key");
    losses.note_if(
        request.verbosity.as_deref().is_some_and(|verbosity| verbosity != "medium"),
        "verbosity",
    );
    losses.note_if(request.turns.iter().any(|turn| turn.name.is_some()), "messages.name");
    losses.note_if(request.parts().any(|part| part.cache.is_some()), "cache_control");
    let has_custom_call = request.parts().any(|part| match &part.content {
        Content::ToolCall(call) => call.kind == CallKind::Custom,
        _ => false,
    });
    losses.note_if(has_custom_call, "tools.custom");
}
