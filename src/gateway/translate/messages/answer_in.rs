//! A whole answer of an upstream becomes the common form.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    blocks_in::{Place, read_block},
    stop,
};
use crate::{
    domain::{
        chat::{Answer, Choice, Content, Losses, Part, StopReason},
        failure::{Failure, FailureClass},
    },
    gateway::{
        dialect::{
            messages::{ReadBlock, UsageCounts},
            openai_chat::ErrorObject,
            unread::{self, Unread},
        },
        failure::classify,
    },
};

/// Whatever is of another type than it should be is as good as absent, except the content.
#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_sequence: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_details: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    container: Option<&'a RawValue>,
}

pub(super) fn read(body: &[u8]) -> Result<Answer, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| unusable("the answer is not UTF-8"))?;
    let (wire, unread) = unread::from_str::<WireAnswer<'_>>(text)
        .map_err(|_| unusable("the answer is not a JSON object of the expected shape"))?;
    if wire.error.is_some() {
        return Err(classify(200, ErrorObject::parse(body)));
    }
    let Some(content) = wire.content else {
        return Err(match ErrorObject::parse(body) {
            Some(error) => classify(200, Some(error)),
            None => unusable("the answer has no content"),
        });
    };
    let mut losses = Losses::default();
    losses.note_if(wire.container.is_some(), "container");
    let (mut parts, unread_parts) = read_parts(content, &mut losses);
    let has_unread = unread.or(unread_parts).is_text(&mut losses);
    let has_calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let stop = match text_of(wire.stop_reason) {
        Some(word) => stop::read(&word, text_of(wire.stop_sequence).as_deref()),
        None if has_calls => StopReason::ToolCalls,
        None => StopReason::Finished,
    };
    if let Some(explanation) = wire.stop_details.and_then(stop::explanation) {
        parts.push(Content::Refusal(explanation).into());
    }
    Ok(Answer {
        id: text_of(wire.id),
        model: text_of(wire.model),
        choices: vec![Choice { parts, stop, logprobs: None }],
        usage: wire.usage.and_then(read_counts).and_then(|counts| counts.usage()),
        service_tier: wire.usage.and_then(read_tier),
        losses,
        has_unread,
    })
}

fn unusable(what: &str) -> Failure {
    Failure { status: Some(200), ..Failure::new(FailureClass::Server, what) }
}

/// A block that cannot be read is dropped, and that is told.
fn read_parts<'a>(content: Vec<&'a RawValue>, losses: &mut Losses) -> (Vec<Part>, Unread<'a>) {
    let mut parts = Vec::with_capacity(content.len());
    let mut unread = Unread::default();
    for block in content {
        if read_block(String::new(), block, Place::Message, &mut parts, losses).is_err() {
            losses.note("content.unreadable");
            unread = unread.or(Unread::in_part(block.get()));
        } else if let Ok((known, rest)) = unread::from_str::<ReadBlock<'a>>(block.get())
            && known.is_read()
        {
            unread = unread.or(rest);
        }
    }
    (parts, unread)
}

pub(super) fn text_of(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

pub(super) fn read_counts(raw: &RawValue) -> Option<UsageCounts> {
    serde_json::from_str(raw.get()).ok()
}

pub(super) fn read_tier(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Tier {
        service_tier: Option<String>,
    }

    serde_json::from_str::<Tier>(raw.get()).ok()?.service_tier
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(body: &str) -> FailureClass {
        read(body.as_bytes()).expect_err(body).class
    }

    #[test]
    fn a_200_with_an_error_is_the_failure_it_stands_for() {
        let error =
            |kind: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
        assert_eq!(class(&error("overloaded_error")), FailureClass::Overload);
        assert_eq!(class(&error("rate_limit_error")), FailureClass::RateLimit);
        assert_eq!(class(&error("invalid_request_error")), FailureClass::ClientFault);
        assert_eq!(class(&error("billing_error")), FailureClass::Payment);
        assert_eq!(class(&error("api_error")), FailureClass::Server);
    }

    #[test]
    fn what_is_no_answer_is_the_servers_failure() {
        for body in ["", "{", "[]", "7", "{}", r#"{"content":{}}"#, r#"{"content":"x"}"#, "<html>"]
        {
            assert_eq!(class(body), FailureClass::Server, "{body}");
        }
        assert!(read(b"{\"content\":[\"\xff\"]}").is_err());
    }

    #[test]
    fn odd_fields_and_blocks_are_passed_over() {
        let body = r#"{"id":7,"model":null,"usage":"x","stop_reason":null,"container":null,
            "content":[7,{"type":"text"},{"type":"text","text":"a","citations":null},
            {"type":"tool_use","id":"t","name":"f","input":null}]}"#;
        let answer = read(body.as_bytes()).unwrap();
        assert_eq!(answer.choices[0].parts.len(), 2);
        assert_eq!(answer.choices[0].stop, StopReason::ToolCalls);
        assert_eq!((answer.id, answer.usage), (None, None));
        assert_eq!(answer.losses.to_string(), "content.unreadable");
    }

    #[test]
    fn an_explained_refusal_is_said_and_a_tier_kept() {
        let body = r#"{"content":[],"stop_reason":"refusal",
            "stop_details":{"type":"refusal","category":"cyber","explanation":"No."},
            "usage":{"input_tokens":1,"output_tokens":2,"service_tier":"priority"}}"#;
        let answer = read(body.as_bytes()).unwrap();
        assert_eq!(answer.choices[0].parts, [Content::Refusal("No.".into()).into()]);
        assert_eq!(answer.choices[0].stop, StopReason::Refused);
        assert_eq!(answer.service_tier.as_deref(), Some("priority"));
    }
}
