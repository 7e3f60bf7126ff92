//! A whole answer as a client gets it.

use std::borrow::Cow;

use super::{
    details, finish,
    media::data_url,
    messages_out::call_out,
    parts_out::{BETWEEN_TEXTS, note},
};
use crate::{
    domain::chat::{
        Answer, CallKind, Choice, Citation, Content, Dialect, Losses, Reasoning, Request, Source,
        ToolCall,
    },
    gateway::{
        dialect::openai_chat::{
            ShownUsage,
            wire::{
                request_out::{CallOut, ExtraOut, FunctionOut, ImageUrl},
                response_out::{
                    ShownAnnotation, ShownAnswer, ShownChoice, ShownImage, ShownLogprobs,
                    ShownMessage, ShownUrlCitation,
                },
            },
        },
        translate::{OutputKinds, ResponseContext, tier},
    },
};

pub(super) fn write(answer: &Answer, shown: &ResponseContext<'_>, losses: &mut Losses) -> Vec<u8> {
    let stops: Vec<_> = answer.choices.iter().map(|choice| stop_of(choice, losses)).collect();
    let mut choices = Vec::with_capacity(answer.choices.len());
    for (index, (choice, stop)) in answer.choices.iter().zip(&stops).enumerate() {
        let message = write_message(choice, index, shown, losses);
        let finish_reason = match stop.0 {
            "tool_calls" if message.function_call.is_some() => "function_call",
            word => word,
        };
        choices.push(ShownChoice {
            index,
            message,
            logprobs: choice.logprobs.as_deref().map(ShownLogprobs::from),
            finish_reason,
            stop_reason: stop.1.as_deref(),
        });
    }
    let tier = answer.service_tier.as_deref();
    let tier = tier.and_then(|tier| tier::for_openai(tier, losses));
    let answer = ShownAnswer {
        id: &answer_id(shown.id),
        object: "chat.completion",
        created: shown.created.as_millis() / 1000,
        model: answer.model.as_deref().unwrap_or(shown.model.as_str()),
        choices,
        usage: answer.usage.as_ref().map(ShownUsage::from),
        service_tier: tier,
    };
    serde_json::to_vec(&answer).expect("texts and finite numbers are always JSON")
}

pub(super) fn answer_id(id: &str) -> String {
    format!("chatcmpl-{id}")
}

/// The id of a call that has none: the same each time for the same call.
pub(super) fn call_id(id: &str, choice: usize, number: usize) -> String {
    if choice == 0 { format!("call_{id}_{number}") } else { format!("call_{id}_{choice}_{number}") }
}

/// Whether the client wants to see thoughts.
pub(super) fn shows_thoughts(request: &Request) -> bool {
    request.thinking.as_ref().is_none_or(|thinking| thinking.is_shown != Some(false))
}

fn stop_of<'a>(choice: &'a Choice, losses: &mut Losses) -> (&'static str, Option<Cow<'a, str>>) {
    let is_said = |test: fn(&Content) -> bool| choice.parts.iter().any(|part| test(&part.content));
    let said = OutputKinds {
        calls: is_said(|content| matches!(content, Content::ToolCall(_))),
        refusal: is_said(|content| matches!(content, Content::Refusal(_))),
    };
    finish::write(&choice.stop, said, losses)
}

fn write_message<'a>(
    choice: &'a Choice,
    index: usize,
    shown: &ResponseContext<'_>,
    losses: &mut Losses,
) -> ShownMessage<'a> {
    let mut message = ShownMessage { role: "assistant", ..ShownMessage::default() };
    let mut thoughts: Vec<&Reasoning> = Vec::new();
    // Where the text that is being added begins in the whole, in characters.
    let mut begin = 0;
    for part in &choice.parts {
        match &part.content {
            Content::Text { text, citations } => {
                let end = begin + text.chars().count() as u64;
                append(&mut message.content, text);
                let cited = citations.iter().filter_map(|citation| {
                    let shown = annotation(citation, begin, end, None);
                    losses.note_if(shown.is_none(), "citations");
                    shown
                });
                message.annotations.extend(cited);
                begin = end;
            }
            Content::Refusal(text) => append(&mut message.refusal, text),
            Content::Reasoning(thought) => thoughts.push(thought),
            Content::ToolCall(call) => {
                add_call(&mut message, call, index, shown, losses);
            }
            Content::Image { source, .. } => {
                let number = message.images.len();
                match u32::try_from(number).ok().and_then(|number| image(source, number)) {
                    Some(image) => message.images.push(image),
                    None => losses.note("image"),
                }
            }
            Content::Opaque { by: Dialect::Chat, kind, json } if kind == "audio" => {
                message.audio = Some(json);
            }
            other => note(other, losses),
        }
    }
    if shows_thoughts(shown.request) {
        add_thoughts(&mut message, &thoughts);
    }
    message
}

fn append<'a>(whole: &mut Option<Cow<'a, str>>, more: &'a str) {
    match whole {
        Some(text) => text.to_mut().push_str(more),
        None => *whole = Some(Cow::Borrowed(more)),
    }
}

/// The words of all thoughts, and as entries of their own when any of them is signed: a client that
/// sends the message back then sends back what signs them.
fn add_thoughts<'a>(message: &mut ShownMessage<'a>, thoughts: &[&'a Reasoning]) {
    let words: Vec<_> = thoughts.iter().map(|thought| &*thought.text).collect();
    let mut words = words.into_iter().filter(|text| !text.is_empty());
    message.reasoning_content = words
        .next()
        .map(|first| words.fold(Cow::Borrowed(first), |all, text| all + BETWEEN_TEXTS + text));
    if thoughts.iter().any(|thought| thought.signature.is_some()) {
        for thought in thoughts {
            let index = message.reasoning_details.len() as u64;
            message.reasoning_details.extend(details::write(thought, index));
        }
    }
}

fn add_call<'a>(
    message: &mut ShownMessage<'a>,
    call: &'a ToolCall,
    choice: usize,
    shown: &ResponseContext<'_>,
    losses: &mut Losses,
) {
    if shown.request.wants_function_call && call.kind == CallKind::Function {
        // There is room for one, and for nothing that signs it.
        let is_first = message.function_call.is_none();
        losses.note_if(!is_first, "parallel_tool_calls");
        losses.note_if(call.signature.is_some(), "reasoning.signature");
        if is_first {
            let function = call_out(call, Cow::Borrowed("")).function;
            message.function_call = function;
        }
        return;
    }
    let id = if call.id.is_empty() {
        call_id(shown.id, choice, message.tool_calls.len()).into()
    } else {
        Cow::Borrowed(&*call.id)
    };
    let written = call_out(call, id);
    let extra_content = call
        .signature
        .as_ref()
        .map(|signature| ExtraOut::signature(signature.to_wire(Dialect::Gemini)));
    message.tool_calls.push(CallOut { extra_content, ..written });
}

/// `None`: it names no page. `begin` and `end`: of the citing text within the whole, in characters.
pub(super) fn annotation(
    citation: &Citation,
    begin: u64,
    end: u64,
    index: Option<u32>,
) -> Option<ShownAnnotation<'_>> {
    let (start_index, end_index) = match citation.place {
        Some(place) => (begin.saturating_add(place.start), begin.saturating_add(place.end)),
        // Where it is not told, the text up to its end is what cites.
        None => (begin, end),
    };
    let url_citation = ShownUrlCitation {
        url: citation.url.as_deref()?,
        title: citation.title.as_deref().unwrap_or_default(),
        start_index,
        end_index,
        content: citation.cited_text.as_deref(),
    };
    Some(ShownAnnotation { kind: "url_citation", url_citation, index })
}

pub(super) fn image(source: &Source, index: u32) -> Option<ShownImage<'_>> {
    let url = match source {
        Source::Url(url) => Cow::Borrowed(&**url),
        Source::Data { media_type, base64 } => data_url(media_type, base64).into(),
        Source::Text(_) | Source::File { .. } => return None,
    };
    Some(ShownImage { kind: "image_url", image_url: ImageUrl { url, detail: None }, index })
}

/// A legacy call with its name only.
pub(super) fn function_begin(name: &str) -> FunctionOut<'_> {
    FunctionOut { name: Some(name), arguments: "" }
}
