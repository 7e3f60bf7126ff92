//! A request in the common form, written for an upstream.

use std::borrow::Cow;

use super::{
    messages_out, thinking,
    tools_out::{write_choice, write_tools},
};
use crate::{
    domain::{
        chat::{Losses, OutputFormat, Request},
        model_rules::ModelRules,
    },
    gateway::{
        dialect::openai_chat::wire::request_out::{
            SentFormat, SentRequest, SentSchema, SentStreamOptions,
        },
        translate::{Target, Written},
    },
};

/// Most stop texts that OpenAI takes.
const MAX_STOP_TEXTS: usize = 4;

/// Longest name of a schema.
const MAX_SCHEMA_NAME: usize = 64;

/// OpenAI's words for the tiers of service.
const SERVICE_TIERS: [&str; 6] = ["auto", "default", "flex", "scale", "priority", "fast"];

pub(super) fn write(request: &Request, target: &Target<'_>) -> Written {
    let rules = ModelRules::of(target.model);
    let mut losses = request.losses.clone();
    let mut sent = SentRequest {
        model: target.model.as_str(),
        messages: messages_out::write(&request.turns, &rules, &mut losses),
        tools: write_tools(request, &rules, &mut losses),
        response_format: write_format(&request.output),
        n: request.choices.filter(|n| *n > 1),
        thinking: thinking::write(request.thinking.as_ref(), &rules, &mut losses),
        stream: request.stream,
        stream_options: (request.stream && target.asks_stream_usage)
            .then_some(SentStreamOptions { include_usage: true }),
        ..SentRequest::default()
    };
    sent.tool_choice = write_choice(request, &sent.tools, &rules, &mut losses);
    sent.parallel_tool_calls = request.parallel_tool_calls.filter(|is_allowed| {
        let is_said = !sent.tools.is_empty() && !rules.calls_in_turn();
        losses.note_if(!is_said && !sent.tools.is_empty() && !is_allowed, "parallel_tool_calls");
        is_said
    });
    if rules.reasons() {
        sent.max_completion_tokens = request.max_output_tokens;
    } else {
        sent.max_tokens = request.max_output_tokens;
    }
    write_sampling(&mut sent, request, &rules, &mut losses);
    write_account(&mut sent, request, &rules, &mut losses);
    let body = serde_json::to_vec(&sent)
        .expect("texts, finite numbers and JSON that was checked are always JSON");
    Written { body, losses }
}

fn write_format(output: &OutputFormat) -> Option<SentFormat<'_>> {
    match output {
        OutputFormat::Text => None,
        OutputFormat::Json => Some(SentFormat::JsonObject),
        OutputFormat::Schema { name, description, schema, strict } => {
            let json_schema = SentSchema {
                name: schema_name(name.as_deref()),
                description: description.as_deref(),
                schema,
                strict: *strict,
            };
            Some(SentFormat::JsonSchema { json_schema })
        }
    }
}

/// A schema must have a name here, of letters, digits, `_` and `-`.
fn schema_name(name: Option<&str>) -> Cow<'_, str> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match name.filter(|name| !name.is_empty()) {
        None => Cow::Borrowed("answer"),
        Some(name) if name.len() <= MAX_SCHEMA_NAME && name.chars().all(is_fit) => name.into(),
        Some(name) => {
            let fit = name.chars().map(|c| if is_fit(c) { c } else { '_' });
            fit.take(MAX_SCHEMA_NAME).collect::<String>().into()
        }
    }
}

/// How tokens are drawn and counted, and where the answer ends.
fn write_sampling<'a>(
    sent: &mut SentRequest<'a>,
    request: &'a Request,
    rules: &ModelRules,
    losses: &mut Losses,
) {
    let sampling = &request.sampling;
    losses.note_if(sampling.top_k.is_some(), "top_k");
    losses.note_if(differs(sampling.min_p, 0.0), "min_p");
    losses.note_if(differs(sampling.repeat_penalty, 1.0), "repeat_penalty");
    sent.seed = sampling.seed;
    if thinking::is_on(request.thinking.as_ref(), rules) {
        // A model that thinks refuses a request with any of these that is not as usual.
        losses.note_if(differs(sampling.temperature, 1.0), "temperature");
        losses.note_if(differs(sampling.top_p, 1.0), "top_p");
        losses.note_if(differs(sampling.frequency_penalty, 0.0), "frequency_penalty");
        losses.note_if(differs(sampling.presence_penalty, 0.0), "presence_penalty");
        losses.note_if(!request.stop.is_empty(), "stop");
        losses.note_if(request.logprobs.is_some(), "logprobs");
        return;
    }
    sent.temperature = sampling.temperature;
    sent.top_p = sampling.top_p;
    sent.frequency_penalty = sampling.frequency_penalty;
    sent.presence_penalty = sampling.presence_penalty;
    sent.logprobs = request.logprobs.map(|_| true);
    sent.top_logprobs = request.logprobs.filter(|top| *top > 0);
    sent.stop = &request.stop;
    if rules.is_openai() && request.stop.len() > MAX_STOP_TEXTS {
        losses.note("stop");
        sent.stop = &request.stop[..MAX_STOP_TEXTS];
    }
}

/// Whether something other than what is usual is asked for.
fn differs(asked: Option<f64>, usual: f64) -> bool {
    asked.is_some_and(|value| (value - usual).abs() > f64::EPSILON)
}

/// What is between a client and OpenAI, and which others have no use for or refuse.
fn write_account<'a>(
    sent: &mut SentRequest<'a>,
    request: &'a Request,
    rules: &ModelRules,
    losses: &mut Losses,
) {
    sent.user = request.user.as_deref();
    let tier = request.service_tier.as_deref().filter(|tier| *tier != "auto");
    if !rules.is_openai() {
        losses.note_if(!request.metadata.is_empty(), "metadata");
        losses.note_if(request.store == Some(true), "store");
        losses.note_if(request.cache_key.is_some(), "prompt_cache_key");
        losses.note_if(request.verbosity.is_some(), "verbosity");
        losses.note_if(tier.is_some(), "service_tier");
        return;
    }
    sent.service_tier = tier.filter(|tier| {
        let is_known = SERVICE_TIERS.contains(tier);
        losses.note_if(!is_known, "service_tier");
        is_known
    });
    sent.store = request.store;
    sent.prompt_cache_key = request.cache_key.as_deref();
    sent.verbosity = request.verbosity.as_deref();
    if !request.metadata.is_empty() {
        // Notes are only taken with what is kept.
        losses.note_if(request.store != Some(true), "metadata");
        sent.metadata = (request.store == Some(true)).then_some(&request.metadata);
    }
}
