//! A whole answer for a client, and what a stream has in common with it.

use std::borrow::Cow;

use super::{
    OllamaApi, arguments,
    lines::{Lines, Says},
};
use crate::{
    domain::chat::{
        Answer, CallKind, Choice, Content, Losses, Part, Source, StopReason, TokenLogprob,
        ToolCall as Call, Usage,
    },
    gateway::{
        dialect::ollama::{CalledFunction, End, Logprob, TokenLogprob as TopLogprob, ToolCall},
        translate::{ResponseContext, tier},
    },
};

pub(super) fn write(
    api: OllamaApi,
    answer: &Answer,
    shown: &ResponseContext<'_>,
    losses: &mut Losses,
) -> Vec<u8> {
    losses.absorb(&answer.losses);
    losses.note_if(answer.choices.len() > 1, "n");
    tier::note_lost(answer.service_tier.as_deref(), losses);
    let none = Choice::default();
    let choice = answer.choices.first().unwrap_or(&none);
    let mut collected = Collected::default();
    for part in &choice.parts {
        if let Content::ToolCall(call) = &part.content
            && !choice.stop.completes(call)
        {
            losses.note("tool_calls");
            continue;
        }
        collected.add(part, api, shown.id, losses);
    }
    let logprobs = choice.logprobs.as_deref().map(write_logprobs).unwrap_or_default();
    let told = answer.model.as_deref().filter(|model| !model.is_empty());
    let model = told.unwrap_or(shown.model.as_str());
    let end = end_of(&choice.stop, answer.usage.unwrap_or_default(), losses);
    let says = Says {
        text: &collected.text,
        thinking: &collected.thinking,
        images: &collected.images,
        calls: &collected.calls,
        logprobs: &logprobs,
    };
    Lines::new(api, model, shown.created).one(&says, Some(end))
}

/// The parts of an answer, each kind in one place.
#[derive(Default)]
struct Collected<'a> {
    text: Cow<'a, str>,
    thinking: Cow<'a, str>,
    images: Vec<&'a str>,
    calls: Vec<ToolCall<'a>>,
}

impl<'a> Collected<'a> {
    fn add(&mut self, part: &'a Part, api: OllamaApi, id: &str, losses: &mut Losses) {
        match &part.content {
            Content::Text { text, citations } => {
                losses.note_if(!citations.is_empty(), "citations");
                append(&mut self.text, text, "");
            }
            Content::Refusal(text) => {
                losses.note("refusal");
                append(&mut self.text, text, "");
            }
            Content::Reasoning(reasoning) => {
                losses.note_if(reasoning.is_redacted, "reasoning");
                losses.note_if(reasoning.signature.is_some(), "reasoning.signature");
                append(&mut self.thinking, &reasoning.text, "\n\n");
            }
            Content::ToolCall(call) => {
                let number = self.calls.len();
                self.calls.push(write_call(call, number, id, losses));
            }
            other => {
                if let Some(base64) = picture(other, api, losses) {
                    self.images.push(base64);
                }
            }
        }
    }
}

/// The bytes of a part that is a picture and can be shown; all else is lost.
pub(super) fn picture<'a>(
    content: &'a Content,
    api: OllamaApi,
    losses: &mut Losses,
) -> Option<&'a str> {
    match content {
        Content::Image { source: Source::Data { base64, .. }, .. } if api == OllamaApi::Chat => {
            return Some(base64);
        }
        Content::Image { source: Source::Url(_), .. } => losses.note("image.url"),
        Content::Image { .. } => losses.note("image"),
        Content::Document(_) => losses.note("document"),
        Content::Audio(_) => losses.note("audio"),
        Content::Video(_) => losses.note("video"),
        Content::Opaque { kind, .. } => losses.note(format!("content.{kind}")),
        _ => losses.note("content"),
    }
    None
}

/// `number` counts the calls of the answer from 0; `id` is that of the answer, for a call without one.
pub(super) fn write_call<'a>(
    call: &'a Call,
    number: usize,
    id: &str,
    losses: &mut Losses,
) -> ToolCall<'a> {
    losses.note_if(call.kind == CallKind::Custom, "tools.custom");
    losses.note_if(call.signature.is_some(), "reasoning.signature");
    let id = if call.id.is_empty() {
        Cow::Owned(format!("call_{id}_{number}"))
    } else {
        Cow::Borrowed(call.id.as_str())
    };
    ToolCall {
        id: Some(id),
        function: CalledFunction {
            index: Some(number),
            name: Cow::Borrowed(&call.name),
            arguments: arguments::of_input(&call.input, losses),
        },
    }
}

/// What the last line tells.
pub(super) fn end_of<'a>(stop: &'a StopReason, usage: Usage, losses: &mut Losses) -> End<'a> {
    losses.note_if(usage.reasoning.is_some_and(|count| count > 0), "usage.reasoning");
    End {
        done_reason: done_reason(stop, losses),
        prompt_eval_count: usage.prompt(),
        eval_count: usage.tokens.output,
        usage_estimated: usage.is_estimated,
        ..End::default()
    }
}

fn done_reason<'a>(stop: &'a StopReason, losses: &mut Losses) -> &'a str {
    match stop {
        StopReason::Finished | StopReason::ToolCalls | StopReason::StopText(None) => "stop",
        StopReason::MaxTokens | StopReason::WindowFull => "length",
        // The server has no word of its own for it: the one that is usual elsewhere.
        StopReason::Filtered | StopReason::Refused => "content_filter",
        StopReason::Other(word) if matches!(word.as_str(), "load" | "unload") => word,
        StopReason::StopText(Some(_)) | StopReason::Paused | StopReason::Other(_) => {
            losses.note("stop_reason");
            "stop"
        }
    }
}

pub(super) fn write_logprobs(tokens: &[TokenLogprob]) -> Vec<Logprob> {
    let top = |token: &TokenLogprob| {
        let list = token.top.iter().map(|top| TopLogprob {
            token: top.token.clone(),
            logprob: Some(top.logprob),
            bytes: top.bytes.clone(),
        });
        (!token.top.is_empty()).then(|| list.collect())
    };
    tokens
        .iter()
        .map(|token| Logprob {
            token: token.token.clone(),
            logprob: Some(token.logprob),
            bytes: token.bytes.clone(),
            top_logprobs: top(token),
        })
        .collect()
}

fn append<'a>(whole: &mut Cow<'a, str>, text: &'a str, between: &str) {
    if whole.is_empty() {
        *whole = Cow::Borrowed(text);
    } else if !text.is_empty() {
        let whole = whole.to_mut();
        whole.push_str(between);
        whole.push_str(text);
    }
}
