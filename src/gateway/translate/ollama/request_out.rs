//! A request for an upstream's `/api/chat`.

use std::sync::LazyLock;

use super::messages_out::Messages;
use crate::{
    domain::chat::{
        Effort, Json, Losses, OutputFormat, Request, Thinking, ThinkingMode, Tool as Offered,
        ToolChoice,
    },
    gateway::{
        dialect::ollama::{ChatRequest, Format, Function, Options, Think, Tool},
        translate::{Target, Written},
    },
};

/// Most other tokens whose log probabilities can be asked for.
const MAX_TOP_LOGPROBS: u8 = 20;

/// Stands for no schema, which the server's templates expect.
static NO_PARAMETERS: LazyLock<Json> = LazyLock::new(|| {
    Json::parse(r#"{"type":"object","properties":{}}"#).expect("it is one JSON value")
});

pub(super) fn write(request: &Request, target: &Target<'_>) -> Written {
    let mut losses = request.losses.clone();
    note_what_has_no_place(request, &mut losses);
    let messages = Messages::write(&request.turns, &mut losses);
    let sampling = &request.sampling;
    let top_logprobs = request.logprobs.map(|top| top.min(MAX_TOP_LOGPROBS));
    let body = ChatRequest {
        model: target.model.as_str(),
        messages,
        stream: request.stream,
        tools: write_tools(request, &mut losses),
        format: write_format(&request.output, &mut losses),
        think: request.thinking.as_ref().and_then(|wish| write_think(wish, &mut losses)),
        logprobs: request.logprobs.is_some(),
        top_logprobs: top_logprobs.filter(|top| *top > 0),
        options: Options {
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            seed: sampling.seed,
            stop: &request.stop,
            num_predict: request.max_output_tokens,
            repeat_penalty: sampling.repeat_penalty,
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
        },
    };
    let body = serde_json::to_vec(&body).expect("its keys are texts, and its numbers are finite");
    Written { body, losses }
}

fn note_what_has_no_place(request: &Request, losses: &mut Losses) {
    let is_said =
        |word: &Option<String>, default: &str| word.as_deref().is_some_and(|word| word != default);
    losses.note_if(request.choices.is_some_and(|count| count > 1), "n");
    losses.note_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    losses.note_if(!request.metadata.is_empty(), "metadata");
    losses.note_if(request.user.is_some(), "user");
    losses.note_if(is_said(&request.service_tier, "auto"), "service_tier");
    losses.note_if(request.store == Some(true), "store");
    losses.note_if(request.cache_key.is_some(), "prompt_cache_key");
    losses.note_if(is_said(&request.verbosity, "medium"), "verbosity");
}

/// The tools, or those of them that may be called: that much of a choice can be said.
fn write_tools<'a>(request: &'a Request, losses: &mut Losses) -> Vec<Tool<'a>> {
    let choice = request.tool_choice.as_ref();
    let must = match choice {
        Some(ToolChoice::None) => return Vec::new(),
        Some(ToolChoice::Required | ToolChoice::Named(_)) => true,
        Some(ToolChoice::Among { must, .. }) => *must,
        Some(ToolChoice::Auto) | None => false,
    };
    losses.note_if(must, "tool_choice");
    let may_be_called = |name: &String| match choice {
        Some(ToolChoice::Named(only)) => name == only,
        Some(ToolChoice::Among { names, .. }) => names.contains(name),
        _ => true,
    };
    let mut tools = Vec::new();
    for tool in &request.tools {
        match tool {
            Offered::Function(function) => {
                losses.note_if(function.strict == Some(true), "tools.strict");
                losses.note_if(function.cache.is_some(), "cache_control");
                if !may_be_called(&function.name) {
                    continue;
                }
                let parameters = function.parameters.as_ref().unwrap_or(&NO_PARAMETERS);
                let description = function.description.as_deref();
                let function = Function { name: &function.name, description, parameters };
                tools.push(Tool { kind: "function", function });
            }
            Offered::Custom { .. } => losses.note("tools.custom"),
            Offered::Opaque { kind, .. } => losses.note(format!("tools.{kind}")),
        }
    }
    tools
}

/// A schema is always kept to, so that `strict` adds nothing; its name and description have no place.
fn write_format<'a>(output: &'a OutputFormat, losses: &mut Losses) -> Option<Format<'a>> {
    match output {
        OutputFormat::Text => None,
        OutputFormat::Json => Some(Format::Word("json")),
        OutputFormat::Schema { description, schema, .. } => {
            losses.note_if(description.is_some(), "response_format");
            Some(Format::Schema(schema))
        }
    }
}

/// The nearest of off, on and three levels. Thoughts are always shown.
fn write_think(wish: &Thinking, losses: &mut Losses) -> Option<Think> {
    let is_summary_special =
        wish.summary.as_deref().is_some_and(|summary| summary != "auto" && summary != "none");
    losses.note_if(is_summary_special, "thinking");
    let think = match wish.mode? {
        ThinkingMode::Off | ThinkingMode::Budget(0) => return Some(Think::Flag(false)),
        ThinkingMode::Adaptive => Think::Flag(true),
        ThinkingMode::Effort(effort) => {
            let (level, is_exact) = level(effort);
            losses.note_if(!is_exact, "thinking");
            Think::Level(level)
        }
        ThinkingMode::Budget(tokens) => {
            losses.note("thinking");
            Think::Level(level(Effort::of_budget(tokens)).0)
        }
    };
    losses.note_if(wish.is_shown == Some(false), "thinking");
    Some(think)
}

/// The level for an effort, and whether it means the same.
fn level(effort: Effort) -> (&'static str, bool) {
    match effort {
        Effort::Minimal => ("low", false),
        Effort::Low => ("low", true),
        Effort::Medium => ("medium", true),
        Effort::High => ("high", true),
        Effort::XHigh | Effort::Max => ("high", false),
    }
}
