//! A whole answer of an upstream, read into the common form.

use std::borrow::Cow;

use super::{output_in::Output, stop};
use crate::{
    domain::{
        chat::{Answer, Choice, Content, Losses, Part},
        failure::{Failure, FailureClass},
    },
    gateway::{
        dialect::{
            openai_chat::ErrorObject,
            responses::{RawResponse, parse_usage, text_in},
            unread,
        },
        failure::classify,
        translate::OutputKinds,
    },
};

fn unusable(what: &str) -> Failure {
    Failure { status: Some(200), ..Failure::new(FailureClass::Server, what) }
}

pub(super) fn read(body: &[u8]) -> Result<Answer, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| unusable("the answer is not UTF-8"))?;
    let (response, unread) = unread::from_str::<RawResponse<'_>>(text)
        .map_err(|_| unusable("the answer is not a JSON object of the expected shape"))?;
    if response.error.is_some_and(|error| !matches!(error.get(), "null" | "false" | "{}" | "\"\""))
    {
        return Err(classify(200, ErrorObject::parse(body)));
    }
    let status = text_in(response.status).unwrap_or_default();
    match &*status {
        "failed" | "cancelled" => return Err(unusable("the response has failed or was cancelled")),
        "queued" | "in_progress" => return Err(unusable("the response is not complete")),
        _ => (),
    }
    if response.output.is_none_or(|output| !output.get().starts_with('[')) {
        // Some servers send their error objects bare.
        return Err(match ErrorObject::parse(body) {
            Some(error) => classify(200, Some(error)),
            None => unusable("the answer has no output"),
        });
    }
    let mut losses = Losses::default();
    let has_unread = unread.is_text(&mut losses);
    let Output { parts, logprobs, has_unread: is_partial } =
        Output::of_response(&response, &mut losses);
    let reason = (status == "incomplete").then(|| response.incomplete_reason().unwrap_or_default());
    let owned = |raw| text_in(raw).filter(|text| !text.is_empty()).map(Cow::into_owned);
    let choice = Choice {
        stop: stop::read(reason.as_deref(), said_in(&parts)),
        parts,
        logprobs: (!logprobs.is_empty()).then_some(logprobs),
    };
    Ok(Answer {
        id: owned(response.id),
        model: owned(response.model),
        choices: vec![choice],
        usage: response.usage.and_then(parse_usage),
        service_tier: owned(response.service_tier),
        losses,
        has_unread: has_unread || is_partial,
    })
}

pub(super) fn said_in(parts: &[Part]) -> OutputKinds {
    let has = |is: fn(&Content) -> bool| parts.iter().any(|part| is(&part.content));
    OutputKinds {
        calls: has(|content| matches!(content, Content::ToolCall(_))),
        refusal: has(|content| matches!(content, Content::Refusal(_))),
    }
}
