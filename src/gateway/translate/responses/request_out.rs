//! A request in the common form, written for an upstream.

use std::{borrow::Cow, collections::BTreeMap};

use super::{items_out, thinking, tools_out};
use crate::{
    domain::{
        chat::{Content, Losses, OutputFormat, Request, Role, Turn},
        model_rules::ModelRules,
    },
    gateway::{
        dialect::responses::RequestBody,
        translate::{Target, Written},
    },
};

/// Fewest tokens that OpenAI takes as a limit. Source: its refusal `integer_below_min_value` for
/// `max_output_tokens` (2026-11).
const MIN_OUTPUT_TOKENS: u64 = 16;

/// Longest identifier of a user, in characters, and longest key of a cache.
const MAX_IDENTIFIER: usize = 64;

/// Metadata: most pairs, longest key and longest value, in characters.
///
/// Source: <https://developers.openai.com/api/reference/resources/responses> (2026-11).
const MAX_METADATA: (usize, usize, usize) = (16, 64, 512);

pub(super) fn write(request: &Request, target: &Target<'_>) -> Written {
    let mut losses = request.losses.clone();
    let rules = ModelRules::of(target.model);
    let losing = &mut losses;
    note_what_has_no_place(request, losing);
    let is_thinking = thinking::is_on(request.thinking.as_ref(), &rules);
    let has_sampling = !(rules.reasons() && is_thinking);
    let sampled = |value: Option<f64>, name, losses: &mut Losses| {
        losses.note_if(value.is_some() && !has_sampling, name);
        value.filter(|_| has_sampling)
    };
    let logprobs = request.logprobs.filter(|_| has_sampling);
    losing.note_if(request.logprobs != logprobs, "logprobs");
    let (instructions, turns) = split_instructions(&request.turns, &rules);
    let body = RequestBody {
        model: target.model.as_str(),
        instructions,
        input: items_out::write(turns, &rules, losing),
        tools: tools_out::tools(&request.tools, losing),
        tool_choice: request
            .tool_choice
            .as_ref()
            .map(|choice| tools_out::choice(choice, &request.tools)),
        parallel_tool_calls: request.parallel_tool_calls,
        reasoning: thinking::write(request.thinking.as_ref(), &rules, losing),
        text: (request.output != OutputFormat::Text || request.verbosity.is_some())
            .then(|| tools_out::text(request)),
        max_output_tokens: request.max_output_tokens.map(|most| {
            losing.note_if(most < MIN_OUTPUT_TOKENS, "max_output_tokens");
            most.max(MIN_OUTPUT_TOKENS)
        }),
        temperature: sampled(request.sampling.temperature, "temperature", losing),
        top_p: sampled(request.sampling.top_p, "top_p", losing),
        top_logprobs: logprobs.filter(|top| *top > 0),
        include: include(logprobs.is_some(), is_thinking),
        metadata: metadata(request, losing),
        safety_identifier: short(request.user.as_deref(), "user", losing),
        service_tier: service_tier(request.service_tier.as_deref(), losing),
        prompt_cache_key: short(request.cache_key.as_deref(), "prompt_cache_key", losing),
        store: request.store.unwrap_or(false),
        stream: request.stream,
    };
    let body = serde_json::to_vec(&body).expect("texts, numbers and raw values are always JSON");
    Written { body, losses }
}

fn note_what_has_no_place(request: &Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    losses.note_if(sampling.top_k.is_some(), "top_k");
    losses.note_if(sampling.min_p.is_some(), "min_p");
    losses.note_if(sampling.frequency_penalty.is_some_and(|p| p != 0.0), "frequency_penalty");
    losses.note_if(sampling.presence_penalty.is_some_and(|p| p != 0.0), "presence_penalty");
    losses.note_if(sampling.repeat_penalty.is_some(), "repeat_penalty");
    losses.note_if(sampling.seed.is_some(), "seed");
    losses.note_if(!request.stop.is_empty(), "stop");
    losses.note_if(request.choices.is_some_and(|choices| choices != 1), "n");
}

/// The leading turns of the system are the instructions, as far as they are nothing but text. Some
/// servers take no other place for them.
fn split_instructions<'a>(
    turns: &'a [Turn],
    rules: &ModelRules,
) -> (Option<Cow<'a, str>>, &'a [Turn]) {
    let is_plain = |turn: &&Turn| {
        turn.role == Role::System
            && turn.name.is_none()
            && turn.parts.iter().all(|part| {
                let marks_cache = part.cache.is_some() && rules.has_breakpoints();
                matches!(part.content, Content::Text { .. }) && !marks_cache
            })
    };
    let leading = turns.iter().take_while(is_plain).count();
    let texts: Vec<&str> = turns[..leading]
        .iter()
        .flat_map(|turn| &turn.parts)
        .filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(&**text),
            _ => None,
        })
        .collect();
    let instructions = match *texts {
        [] => None,
        [text] => Some(Cow::Borrowed(text)),
        _ => Some(Cow::Owned(texts.join("\n\n"))),
    };
    (instructions, &turns[leading..])
}

fn include(logprobs: bool, thinks: bool) -> Vec<&'static str> {
    let mut include = Vec::new();
    if thinks {
        include.push("reasoning.encrypted_content");
    }
    if logprobs {
        include.push("message.output_text.logprobs");
    }
    include
}

fn metadata<'a>(request: &'a Request, losses: &mut Losses) -> BTreeMap<&'a str, &'a str> {
    let (most, longest_key, longest_value) = MAX_METADATA;
    let fits = |(key, value): &(&String, &String)| {
        key.chars().count() <= longest_key && value.chars().count() <= longest_value
    };
    let kept = request.metadata.iter().filter(fits).take(most);
    let kept: BTreeMap<_, _> = kept.map(|(key, value)| (&**key, &**value)).collect();
    losses.note_if(kept.len() < request.metadata.len(), "metadata");
    kept
}

fn short<'a>(text: Option<&'a str>, name: &'static str, losses: &mut Losses) -> Option<&'a str> {
    let short = text.filter(|text| text.chars().count() <= MAX_IDENTIFIER);
    losses.note_if(short.is_none() && text.is_some(), name);
    short
}

/// The tiers of OpenAI, and what those of others mean here.
fn service_tier<'a>(tier: Option<&'a str>, losses: &mut Losses) -> Option<&'a str> {
    match tier? {
        tier @ ("auto" | "default" | "flex" | "scale" | "priority" | "fast" | "ultrafast") => {
            Some(tier)
        }
        "standard_only" | "standard" => Some("default"),
        _ => {
            losses.note("service_tier");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        chat::{CacheHint, Part},
        id::ModelName,
    };

    fn written(request: &Request, model: &str) -> (serde_json::Value, String) {
        let model = ModelName::parse(model).unwrap();
        let target = Target { model: &model, max_output_tokens: None, asks_stream_usage: false };
        let Written { body, losses } = write(request, &target);
        (serde_json::from_slice(&body).unwrap(), losses.to_string())
    }

    fn asking(turns: Vec<Turn>) -> Request {
        Request::new(ModelName::parse("m").unwrap(), turns)
    }

    #[test]
    fn leading_words_of_the_system_are_instructions() {
        let text = |text: &str| vec![Part::text(text)];
        let request = asking(vec![
            Turn::new(Role::System, text("a")),
            Turn::new(Role::System, text("b")),
            Turn::new(Role::User, text("hi")),
            Turn::new(Role::System, text("c")),
        ]);
        let (body, losses) = written(&request, "gpt-5");
        assert_eq!(body["instructions"], "a\n\nb");
        assert_eq!(body["input"][1]["role"], "system");
        assert_eq!(losses, "lossless");
        assert_eq!(body["store"], false);
        assert_eq!(body["include"], serde_json::json!(["reasoning.encrypted_content"]));
    }

    #[test]
    fn a_mark_for_the_cache_is_said_where_the_model_takes_it() {
        let marked = Part { cache: Some(CacheHint::OneHour), ..Part::text("a") };
        let request = asking(vec![
            Turn::new(Role::System, vec![marked]),
            Turn::new(Role::User, vec![Part::text("hi")]),
        ]);
        let (body, losses) = written(&request, "gpt-5.6");
        assert!(body.get("instructions").is_none());
        let mark = &body["input"][0]["content"][0]["prompt_cache_breakpoint"];
        assert_eq!(*mark, serde_json::json!({"mode": "explicit", "ttl": "12h"}));
        assert_eq!(losses, "lossless");
    }

    #[test]
    fn what_a_thinking_model_refuses_is_left_out_and_told() {
        let mut request = asking(vec![Turn::new(Role::User, vec![Part::text("hi")])]);
        request.sampling.temperature = Some(0.5);
        request.sampling.top_k = Some(4);
        request.logprobs = Some(2);
        request.max_output_tokens = Some(1);
        request.user = Some("u".repeat(65));
        request.stop.push("x".to_owned());
        let (body, losses) = written(&request, "gpt-5");
        assert!(body.get("temperature").is_none() && body.get("safety_identifier").is_none());
        assert_eq!(body["max_output_tokens"], 16);
        assert_eq!(losses, "logprobs, max_output_tokens, stop, temperature, top_k, user");
        let (body, losses) = written(&request, "gpt-4o");
        assert_eq!((&body["temperature"], &body["top_logprobs"]), (&0.5.into(), &2.into()));
        assert_eq!(losses, "max_output_tokens, stop, top_k, user");
    }
}
