//! The common form becomes an upstream's request.

use super::{
    super::{Target, Written},
    blocks_out::BlockWriter,
    thinking_out::{Hindrances, ThinkingPlan},
    tools_out,
    turns_out::Conversation,
};
use crate::{
    domain::{
        chat::{Content, Losses, OutputFormat, Part, Request, Tool},
        model_rules::ClaudeRules,
    },
    gateway::dialect::messages::{Format, Metadata, OutputConfig, ToolChoice, WireRequest},
};

pub(super) fn write(request: &Request, target: &Target<'_>) -> Written {
    let mut writer = BlockWriter::new(request.losses.clone(), breakpoints(request));
    let tools = tools_out::write_tools(request, &mut writer);
    let claude = ClaudeRules::of(target.model.as_str());
    let mut conversation = Conversation::write(&request.turns, &mut writer);
    if !claude.takes_prefill {
        conversation.end_with_user(&mut writer.losses);
    }
    let mut losses = writer.losses;
    let tool_choice =
        if tools.is_empty() { None } else { tools_out::write_choice(request, &mut losses) };
    let is_tool_forced =
        matches!(tool_choice, Some(ToolChoice::Any { .. } | ToolChoice::Tool { .. }));
    let hindrances = Hindrances {
        is_forced: is_tool_forced || conversation.is_prefilled(),
        is_within_thoughtless_tool_use: conversation.is_within_thoughtless_tool_use(),
    };
    let plan = ThinkingPlan::make(request, target, claude, hindrances, &mut losses);
    let sampling = Draw::of(request, claude, plan.thinks(), &mut losses);
    let wire = WireRequest {
        model: target.model.as_str(),
        max_tokens: plan.max_tokens,
        system: conversation.system,
        messages: conversation.messages,
        tools,
        tool_choice,
        thinking: plan.config,
        output_config: output_config(request, plan.effort, &mut losses),
        stop_sequences: stop_sequences(request, &mut losses),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        metadata: request.user.as_deref().map(|user_id| Metadata { user_id }),
        service_tier: service_tier(request, &mut losses),
        stream: request.stream,
    };
    note_unsayable(request, &mut losses);
    let body = serde_json::to_vec(&wire).expect("every field is JSON");
    Written { body, losses }
}

fn breakpoints(request: &Request) -> usize {
    let of_part = |part: &Part| {
        let inner = match &part.content {
            Content::ToolResult(result) => {
                result.parts.iter().filter(|part| part.cache.is_some()).count()
            }
            _ => 0,
        };
        inner + usize::from(part.cache.is_some())
    };
    let of_tool = |tool: &Tool| matches!(tool, Tool::Function(tool) if tool.cache.is_some());
    request.parts().map(of_part).sum::<usize>()
        + request.tools.iter().filter(|tool| of_tool(tool)).count()
}

/// How the next token is drawn, as far as it can be said.
struct Draw {
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u64>,
}

impl Draw {
    /// Thinking leaves no choice but a `top_p` from 0.95 to 1. Temperatures end at 1.
    ///
    /// Source: <https://platform.claude.com/docs/en/build-with-claude/extended-thinking> (2026-11).
    fn of(request: &Request, claude: ClaudeRules, thinks: bool, losses: &mut Losses) -> Self {
        let sampling = &request.sampling;
        let temperature = sampling.temperature.and_then(|wanted| {
            let said = claude.samples && (!thinks || is_usual(wanted, 1.0));
            losses.note_if(!said || wanted > 1.0, "temperature");
            said.then_some(wanted.min(1.0))
        });
        let top_p = sampling.top_p.filter(|wanted| {
            let said = claude.samples
                && (claude.samples_both_ways || temperature.is_none())
                && (!thinks || *wanted >= 0.95);
            losses.note_if(!said, "top_p");
            said
        });
        let top_k = sampling.top_k.filter(|_| claude.samples && !thinks);
        losses.note_if(top_k.is_none() && sampling.top_k.is_some(), "top_k");
        Self { temperature, top_p, top_k }
    }
}

fn output_config<'a>(
    request: &'a Request,
    effort: Option<&'static str>,
    losses: &mut Losses,
) -> Option<OutputConfig<'a>> {
    let format = match &request.output {
        OutputFormat::Text => None,
        OutputFormat::Json => {
            losses.note("response_format");
            None
        }
        OutputFormat::Schema { schema, strict, .. } => {
            losses.note_if(*strict == Some(false), "response_format.strict");
            Some(Format::JsonSchema { schema })
        }
    };
    (effort.is_some() || format.is_some()).then_some(OutputConfig { effort, format })
}

/// Blank ones are refused.
fn stop_sequences<'a>(request: &'a Request, losses: &mut Losses) -> Vec<&'a str> {
    let fit: Vec<&str> =
        request.stop.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
    losses.note_if(fit.len() < request.stop.len(), "stop");
    fit
}

fn service_tier(request: &Request, losses: &mut Losses) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "standard_only" | "default" | "standard" => Some("standard_only"),
        _ => {
            losses.note("service_tier");
            None
        }
    }
}

fn is_usual(value: f64, usual: f64) -> bool {
    (value - usual).abs() < f64::EPSILON
}

/// Notes what has no place in this dialect, unless it says what is so anyway.
fn note_unsayable(request: &Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    let is_set =
        |value: Option<f64>, usual: f64| value.is_some_and(|value| !is_usual(value, usual));
    for (is_lost, name) in [
        (is_set(sampling.min_p, 0.0), "min_p"),
        (is_set(sampling.frequency_penalty, 0.0), "frequency_penalty"),
        (is_set(sampling.presence_penalty, 0.0), "presence_penalty"),
        (is_set(sampling.repeat_penalty, 1.0), "repeat_penalty"),
        (sampling.seed.is_some(), "seed"),
        (request.logprobs.is_some(), "logprobs"),
        (request.choices.is_some_and(|choices| choices > 1), "n"),
        (!request.metadata.is_empty(), "metadata"),
        (request.store == Some(true), "store"),
        (request.cache_key.is_some(), "prompt_cache_key"),
        (request.verbosity.as_deref().is_some_and(|word| word != "medium"), "verbosity"),
    ] {
        losses.note_if(is_lost, name);
    }
}
