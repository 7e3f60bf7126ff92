//! A whole answer of an upstream, read into the common form.

use serde_json::value::RawValue;

use super::{
    calls_in::input_of,
    details, finish,
    media::source_of_url,
    messages_in::{add_citations, citation_of},
};
use crate::{
    domain::{
        chat::{
            Answer, CallKind, Choice, Citation, Content, Dialect, Json, Losses, Part, Reasoning,
            ReasoningSignature, TokenLogprob, ToolCall, TopLogprob,
        },
        failure::{Failure, FailureClass},
    },
    gateway::{
        dialect::{
            openai_chat::{
                ErrorObject, is_blank, parse_usage,
                wire::{
                    lenient::{Items, Text},
                    response_in::{
                        Spoken, WireAnswer, WireCall, WireChoice, WireExtra, WireLogprobs,
                        WireMessage, WirePart, WireToken,
                    },
                },
            },
            unread,
        },
        failure::{AbnormalFinish, classify},
        translate::OutputKinds,
        translate::said_text::SaidText,
    },
};

/// Most choices of one answer that are kept.
pub(super) const MAX_CHOICES: usize = 128;

fn unusable(what: &str) -> Failure {
    Failure { status: Some(200), ..Failure::new(FailureClass::Server, what) }
}

pub(super) fn read(body: &[u8]) -> Result<Answer, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| unusable("the answer is not UTF-8"))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(match ErrorObject::parse(body) {
            Some(error) => classify(200, Some(error)),
            None => unusable("the answer is not a JSON object"),
        });
    }
    let (wire, unread) = unread::from_str::<WireAnswer<'_>>(text)
        .map_err(|_| unusable("the answer is not a JSON object of the expected shape"))?;
    if wire.error.is_some_and(|error| !is_blank(error)) {
        return Err(classify(200, ErrorObject::parse(body)));
    }
    let Some(Items(choices)) = wire.choices else {
        // Some servers send their error objects bare.
        return Err(match ErrorObject::parse(body) {
            Some(error) => classify(200, Some(error)),
            None => unusable("the answer has no choices"),
        });
    };
    if choices.is_empty() {
        return Err(unusable("the answer has no choices"));
    }
    let mut answer = Answer {
        id: wire.id.owned(),
        model: wire.model.owned(),
        usage: wire.usage.map(RawValue::get).and_then(parse_usage),
        service_tier: wire.service_tier.owned(),
        ..Answer::default()
    };
    answer.has_unread = unread.is_text(&mut answer.losses);
    let mut words = choices.iter().map(|choice| choice.finish_reason.as_str());
    if let Some(finish) = words.find_map(AbnormalFinish::of_chat) {
        return Err(finish.failure());
    }
    let mut choices = choices;
    choices.sort_by_key(|choice| choice.index.0.unwrap_or(0));
    answer.losses.note_if(choices.len() > MAX_CHOICES, "n");
    choices.truncate(MAX_CHOICES);
    let Answer { losses, has_unread, .. } = &mut answer;
    answer.choices =
        choices.into_iter().map(|choice| read_choice(choice, losses, has_unread)).collect();
    if let [choice] = &mut *answer.choices {
        add_addresses(choice, wire.citations);
    }
    Ok(answer)
}

/// Sources that stand beside the choices: only where the message cites none itself.
fn add_addresses(choice: &mut Choice, addresses: Items<Text<'_>>) {
    let has_own = choice.parts.iter().any(
        |part| matches!(&part.content, Content::Text { citations, .. } if !citations.is_empty()),
    );
    if !has_own {
        add_citations(&mut choice.parts, addresses_cited(addresses).collect());
    }
}

pub(super) fn addresses_cited(addresses: Items<Text<'_>>) -> impl Iterator<Item = Citation> {
    let urls = addresses.0.into_iter().filter_map(Text::owned);
    urls.map(|url| Citation { url: Some(url), ..Citation::default() })
}

fn read_choice(choice: WireChoice<'_>, losses: &mut Losses, has_unread: &mut bool) -> Choice {
    let mut read = |message: Option<WireMessage<'_>>| match message {
        Some(message) => read_message(message, losses, has_unread),
        None => Vec::new(),
    };
    // Perplexity has both, and one of them is empty.
    let (mut parts, delta) = (read(choice.message), read(choice.delta));
    if parts.is_empty() {
        parts = delta;
    } else {
        *has_unread |= !delta.is_empty();
    }
    let said = OutputKinds {
        calls: parts.iter().any(|part| matches!(part.content, Content::ToolCall(_))),
        refusal: parts.iter().any(|part| matches!(part.content, Content::Refusal(_))),
    };
    let stop_texts = [choice.stop_reason, choice.matched_stop];
    let stop = finish::read(choice.finish_reason.as_str(), said, stop_texts);
    Choice { parts, stop, logprobs: choice.logprobs.and_then(read_logprobs) }
}

fn read_message(
    mut message: WireMessage<'_>,
    losses: &mut Losses,
    has_unread: &mut bool,
) -> Vec<Part> {
    let (entries, is_unread) = details::entries(&message.reasoning_details.0, losses);
    let (words, are_all) = message.thoughts();
    let mut said = SaidText::default();
    for entry in &entries {
        said.push(&entry.text, &mut 0);
    }
    let rest = said.rest_of(words.as_deref().unwrap_or_default());
    *has_unread |= is_unread || !are_all || rest.is_none();
    let thoughts = details::thoughts(entries).into_iter().map(Content::Reasoning);
    let mut parts: Vec<Part> = thoughts.map(Part::from).collect();
    parts.extend(rest.filter(|rest| !rest.is_empty()).map(thought));
    read_spoken(message.content, &mut parts, losses);
    let citations = message.annotations.0.into_iter().filter_map(citation_of).collect();
    add_citations(&mut parts, citations);
    if let Some(text) = message.refusal.filled() {
        parts.push(Content::Refusal(text.into_owned()).into());
    }
    for image in message.images.0 {
        parts.extend(read_image(image, losses));
    }
    if let Some(audio) = message.audio {
        parts.push(own("audio", audio).into());
    }
    let is_signed = message.extra_content.and_then(WireExtra::thought_signature).is_some();
    losses.note_if(is_signed, "reasoning.signature");
    let called = message
        .function_call
        .map(|called| WireCall { function: Some(called), ..WireCall::default() });
    for call in message.tool_calls.0.into_iter().chain(called) {
        let is_blank = call.is_blank();
        let call = read_call(call);
        *has_unread |= call.is_none() && !is_blank;
        parts.extend(call);
    }
    parts
}

fn own(kind: &str, raw: &RawValue) -> Content {
    Content::Opaque { by: Dialect::Chat, kind: kind.to_owned(), json: Json::from(raw) }
}

fn thought(text: &str) -> Part {
    Content::Reasoning(Reasoning { text: text.to_owned(), ..Reasoning::default() }).into()
}

fn read_spoken(spoken: Spoken<'_>, parts: &mut Vec<Part>, losses: &mut Losses) {
    match spoken {
        Spoken::Nothing => (),
        Spoken::Text(text) if text.is_empty() => (),
        Spoken::Text(text) => parts.push(Part::text(text)),
        Spoken::Parts(list) => {
            for part in list {
                read_spoken_part(part, parts, losses);
            }
        }
    }
}

fn read_spoken_part(part: WirePart<'_>, parts: &mut Vec<Part>, losses: &mut Losses) {
    let words = part.thinking.into_text();
    if !words.is_empty() {
        parts.push(thought(&words));
    }
    if let Some(text) = part.text.filled() {
        parts.push(Part::text(text));
    }
    if let Some(text) = part.refusal.filled() {
        parts.push(Content::Refusal(text.into_owned()).into());
    }
    if part.image_url.is_some() {
        let image = WirePart { image_url: part.image_url, ..WirePart::default() };
        parts.extend(read_image(image, losses));
    }
}

pub(super) fn read_image(image: WirePart<'_>, losses: &mut Losses) -> Option<Part> {
    let url = image.image_url.and_then(|image| image.url.filled());
    let source = url.and_then(|url| source_of_url(&url));
    losses.note_if(source.is_none(), "image");
    Some(Content::Image { source: source?, detail: None }.into())
}

/// `None`: it names no tool.
fn read_call(call: WireCall<'_>) -> Option<Part> {
    let signature = call.extra_content.and_then(WireExtra::thought_signature);
    let (name, kind, input) = match (call.function, call.custom) {
        (Some(called), _) => {
            (called.name, CallKind::Function, input_of(called.arguments).into_owned())
        }
        (None, Some(called)) => {
            (called.name, CallKind::Custom, called.input.owned().unwrap_or_default())
        }
        (None, None) => return None,
    };
    let call = ToolCall {
        id: call.id.owned().unwrap_or_default(),
        name: name.owned()?,
        kind,
        input,
        signature: signature.map(|text| ReasoningSignature::from_wire(Dialect::Gemini, &text)),
    };
    Some(Content::ToolCall(call).into())
}

/// `None`: none are told.
pub(super) fn read_logprobs(wire: WireLogprobs<'_>) -> Option<Vec<TokenLogprob>> {
    let tokens: Vec<_> = wire.content.0.into_iter().chain(wire.refusal.0).map(read_token).collect();
    (!tokens.is_empty()).then_some(tokens)
}

fn read_token(wire: WireToken<'_>) -> TokenLogprob {
    let top = wire.top_logprobs.0.into_iter().map(|top| TopLogprob {
        token: top.token.owned().unwrap_or_default(),
        logprob: top.logprob.0.unwrap_or(0.0),
        bytes: top.bytes,
    });
    TokenLogprob {
        top: top.collect(),
        token: wire.token.owned().unwrap_or_default(),
        logprob: wire.logprob.0.unwrap_or(0.0),
        bytes: wire.bytes,
    }
}
