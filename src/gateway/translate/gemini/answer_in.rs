//! A whole answer of an upstream: read as a stream of one event, and put together.

use super::{
    stops,
    stream_in::{Reader, parse},
};
use crate::{
    domain::{
        chat::{Answer, Choice, Content, Delta, Part, Reasoning, ToolCall},
        failure::{Failure, FailureClass},
    },
    gateway::{dialect::openai_chat::ErrorObject, failure::classify, translate::ReadStream},
};

/// Errors: the failure that an error object or a finish reason stands for, [`FailureClass::Cut`] when it has
/// no end, or [`FailureClass::Server`] when the body is no answer.
pub(super) fn read(body: &[u8]) -> Result<Answer, Failure> {
    let failed = |class, what: &str| Failure { status: Some(200), ..Failure::new(class, what) };
    let unusable = |what| failed(FailureClass::Server, what);
    let (response, unread) = match parse(body) {
        Some((response, unread)) if response.error.is_none() => (response, unread),
        parsed => {
            return Err(match (parsed, ErrorObject::parse(body)) {
                (None, None) => unusable("the answer is not a JSON object of the expected shape"),
                (_, error) => classify(200, error),
            });
        }
    };
    let mut candidates = response.candidates.iter().flatten();
    if candidates.any(|it| it.finish_reason.as_deref() == Some(stops::UNSPECIFIED)) {
        return Err(failed(FailureClass::Cut, "the answer ended without a finish reason"));
    }
    let mut reader = Reader::default();
    let mut answer = Answer::default();
    reader.add(response, &mut |delta| add(&mut answer, delta));
    if let Some(finish) = reader.abnormal() {
        return Err(finish.failure());
    }
    if answer.choices.is_empty() {
        return Err(unusable("the answer has no candidates"));
    }
    answer.losses.absorb(reader.losses());
    answer.has_unread = unread.is_text(&mut answer.losses);
    Ok(answer)
}

/// Adds to an answer what a delta of [`Reader`] says.
pub(super) fn add(answer: &mut Answer, delta: Delta<'_>) {
    match delta {
        Delta::Begin { id, model } => {
            answer.id = id.map(Into::into);
            answer.model = model.map(Into::into);
        }
        Delta::Usage(usage) => answer.usage = Some(usage),
        Delta::Tier(tier) => answer.service_tier = Some(tier.into_owned()),
        Delta::Text { choice, text } => match last(answer, choice) {
            Some(Content::Text { text: before, .. }) => before.push_str(&text),
            _ => push(answer, choice, Part::text(text)),
        },
        Delta::Reasoning { choice, text, is_summary } => match last(answer, choice) {
            Some(Content::Reasoning(before)) if before.signature.is_none() => {
                before.text.push_str(&text);
            }
            _ => {
                let text = text.into_owned();
                let reasoning = Reasoning { text, is_summary, ..Reasoning::default() };
                push(answer, choice, Content::Reasoning(reasoning).into());
            }
        },
        Delta::ReasoningSignature { choice, signature, is_redacted } => {
            match last(answer, choice) {
                Some(Content::Reasoning(before)) if before.signature.is_none() && !is_redacted => {
                    before.signature = Some(signature);
                }
                _ => {
                    let signature = Some(signature);
                    let reasoning = Reasoning {
                        signature,
                        is_redacted,
                        is_summary: true,
                        ..Reasoning::default()
                    };
                    push(answer, choice, Content::Reasoning(reasoning).into());
                }
            }
        }
        Delta::Refusal { choice, text } => {
            push(answer, choice, Content::Refusal(text.into()).into());
        }
        Delta::CallBegin { choice, id, name, kind, signature, .. } => {
            let (id, name) = (id.into_owned(), name.into_owned());
            let call = ToolCall { id, name, kind, input: String::new(), signature };
            push(answer, choice, Content::ToolCall(call).into());
        }
        Delta::CallInput { choice, text, .. } => {
            if let Some(Content::ToolCall(call)) = last(answer, choice) {
                call.input.push_str(&text);
            }
        }
        Delta::Citation { choice, citation } => {
            let texts = choice_of(answer, choice).parts.iter_mut().rev();
            let citations = texts.filter_map(|part| match &mut part.content {
                Content::Text { citations, .. } => Some(citations),
                _ => None,
            });
            if let Some(citations) = citations.take(1).next() {
                citations.push(*citation);
            }
        }
        Delta::Whole { choice, part } => push(answer, choice, *part),
        Delta::Logprobs { choice, tokens } => {
            choice_of(answer, choice).logprobs.get_or_insert_default().extend(tokens);
        }
        Delta::Stop { choice, reason } => choice_of(answer, choice).stop = reason,
        // There are no ids of thoughts in this dialect.
        Delta::ReasoningBegin { .. } | Delta::Break { .. } => (),
    }
}

/// The reader has bounded how many there are.
fn choice_of(answer: &mut Answer, choice: u32) -> &mut Choice {
    let place = choice as usize;
    while answer.choices.len() <= place {
        answer.choices.push(Choice::default());
    }
    &mut answer.choices[place]
}

fn last(answer: &mut Answer, choice: u32) -> Option<&mut Content> {
    choice_of(answer, choice).parts.last_mut().map(|part| &mut part.content)
}

fn push(answer: &mut Answer, choice: u32, part: Part) {
    choice_of(answer, choice).parts.push(part);
}
