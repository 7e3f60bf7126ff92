//! Whole answers of upstreams, and what clients are shown.

use serde_json::{Value, json};

use super::{super::super::UpstreamSide, *};
use crate::domain::{
    chat::{
        Answer, CallKind, Choice, Citation, Content, Dialect, Part, Reasoning, ReasoningSignature,
        StopReason, ToolCall, Usage,
    },
    failure::FailureClass,
    usage::TokenUsage,
};

fn written(answer: &Answer) -> (Value, String) {
    let request = a_request();
    let mut losses = Losses::default();
    let body = Messages.write_answer(answer, &shown(&request), &mut losses);
    (super::json(body), losses.to_string())
}

fn with_parts(parts: Vec<Part>) -> Answer {
    let choices = vec![Choice { parts, ..Choice::default() }];
    Answer { choices, usage: Some(Usage::default()), ..Answer::default() }
}

/// Leaves out what is shown in another way or not at all.
fn normal(mut answer: Value) -> Value {
    let fields = answer.as_object_mut().expect("an answer is an object");
    fields.insert("id".into(), "msg_42".into());
    for name in ["container", "stop_details"] {
        fields.remove(name);
    }
    let usage = fields["usage"].as_object_mut().expect("usage is an object");
    for name in ["inference_geo", "server_tool_use"] {
        usage.remove(name);
    }
    if usage["cache_creation_input_tokens"] == 0 {
        usage.remove("cache_creation");
    }
    for block in fields["content"].as_array_mut().expect("content is a list") {
        block.as_object_mut().expect("blocks are objects").remove("caller");
    }
    answer
}

#[test]
fn every_answer_comes_back_whole() {
    for (name, body) in fixtures("answers") {
        if name == "error" {
            continue;
        }
        let answer = Messages.read_answer(&body).expect(&name);
        lossless(&answer.losses);
        let (again, losses) = written(&answer);
        assert_eq!(losses, "lossless", "{name}");
        let mut expected = normal(super::json(&body));
        if name == "refusal" {
            expected["content"] =
                json!([{"type": "text", "text": "This request could enable cyber harm."}]);
        }
        assert_eq!(again, expected, "{name}");
    }
}

#[test]
fn an_error_in_the_place_of_an_answer_is_a_failure() {
    let failure = Messages.read_answer(&fixture("answers", "error")).unwrap_err();
    assert_eq!((failure.class, failure.status), (FailureClass::Overload, Some(200)));
}

#[test]
fn usage_and_reasons_are_read() {
    let cached = Messages.read_answer(&fixture("answers", "cached_usage")).unwrap();
    let tokens = TokenUsage {
        input: 21,
        cache_read: 188_086,
        cache_write_5m: 400,
        cache_write_1h: 56,
        output: 8,
    };
    assert_eq!(cached.usage.unwrap().tokens, tokens);
    let stopped = Messages.read_answer(&fixture("answers", "stop_text")).unwrap();
    assert_eq!(stopped.choices[0].stop, StopReason::StopText(Some("END".into())));
    let refused = Messages.read_answer(&fixture("answers", "refusal")).unwrap();
    assert_eq!(refused.choices[0].stop, StopReason::Refused);
    assert!(matches!(refused.choices[0].parts[0].content, Content::Refusal(_)));
    let thought = Messages.read_answer(&fixture("answers", "thinking")).unwrap();
    assert_eq!(thought.usage.unwrap().reasoning, Some(290));
    assert!(matches!(&thought.choices[0].parts[0].content,
        Content::Reasoning(Reasoning { signature: Some(signature), .. }) if signature.by == Dialect::Messages));
}

#[test]
fn an_answer_from_elsewhere_is_shown_as_a_message() {
    let cited = Citation {
        url: Some("https://a.example".into()),
        title: Some("A".into()),
        ..Citation::default()
    };
    let thoughts = Reasoning {
        text: "hm".into(),
        signature: Some(ReasoningSignature::new(Dialect::Responses, "enc")),
        is_summary: true,
        ..Reasoning::default()
    };
    let call = |id: &str, kind, input: &str, signature| {
        let (id, input) = (id.to_owned(), input.to_owned());
        Part::from(Content::ToolCall(ToolCall { id, name: "f".into(), kind, input, signature }))
    };
    let mut answer = with_parts(vec![
        Content::Reasoning(thoughts).into(),
        Content::Reasoning(Reasoning::default()).into(),
        Content::Text { text: "a".into(), citations: vec![cited, Citation::default()] }.into(),
        call("", CallKind::Function, "", Some(ReasoningSignature::new(Dialect::Gemini, "sig"))),
        call("call_x", CallKind::Custom, "*** patch", None),
    ]);
    answer.usage = Some(Usage { is_estimated: true, ..Usage::default() });
    let (body, losses) = written(&answer);
    let expected = json!({
        "id": "msg_42",
        "type": "message",
        "role": "assistant",
        "model": "asked",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "pp1.responses.enc"},
            {"type": "text", "text": "a", "citations": [{
                "type": "web_search_result_location", "cited_text": "", "encrypted_index": "",
                "title": "A", "url": "https://a.example",
            }]},
            {"type": "thinking", "thinking": "", "signature": "pp1.gemini.sig"},
            {"type": "tool_use", "id": "toolu_42_0", "name": "f", "input": {}},
            {"type": "tool_use", "id": "call_x", "name": "f", "input": {"input": "*** patch"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": null,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
            "estimated": true,
        },
    });
    assert_eq!(body, expected);
    assert_eq!(losses, "citations, tool_call.input, tools.custom");
}

#[test]
fn an_answer_of_nothing_is_still_a_message() {
    let (body, _) = written(&Answer::default());
    assert_eq!((&body["content"], &body["stop_reason"]), (&json!([]), &json!("end_turn")));
}
