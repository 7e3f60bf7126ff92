//! Whole answers of upstreams, and what clients get of them.

use serde_json::json;

use super::{ANSWERS, fixture, json as parsed, with_shown};
use crate::{
    domain::{
        chat::{
            Answer, CallKind, Choice, Citation, Content, Dialect, Losses, Part, Place, Reasoning,
            ReasoningSignature, StopReason, ToolCall, Usage,
        },
        failure::FailureClass,
        usage::TokenUsage,
    },
    gateway::translate::{
        ClientSide, UpstreamSide,
        gemini::{Cloudcode, Gemini},
    },
};

fn read(case: &str) -> Answer {
    Gemini.read_answer(&fixture(&format!("answers/{case}.json"))).expect(case)
}

fn write(answer: &Answer) -> (serde_json::Value, String) {
    let mut losses = Losses::default();
    let body = with_shown(|shown| Gemini.write_answer(answer, shown, &mut losses));
    (parsed(&body), losses.to_string())
}

#[test]
fn every_answer_is_the_same_after_both_ways() {
    for case in ANSWERS {
        let mut answer = read(case);
        let mut losses = Losses::default();
        let body = with_shown(|shown| Gemini.write_answer(&answer, shown, &mut losses));
        let again = Gemini.read_answer(&body).expect(case);
        for choice in &mut answer.choices {
            for (n, part) in choice.parts.iter_mut().enumerate() {
                match &mut part.content {
                    Content::ToolCall(call) if call.id.is_empty() => {
                        call.id = format!("call_r1_{n}");
                    }
                    Content::Refusal(text) => *part = Part::text(std::mem::take(text)),
                    _ => (),
                }
            }
        }
        assert_eq!(again, answer, "{case}");
        let expected = if case == "refusal" { "refusal" } else { "lossless" };
        assert_eq!(losses.to_string(), expected, "{case}");
    }
}

#[test]
fn thoughts_calls_and_their_signs_are_read() {
    let answer = read("thinking_tools");
    let choice = &answer.choices[0];
    assert_eq!(choice.stop, StopReason::ToolCalls);
    let Content::Reasoning(thoughts) = &choice.parts[0].content else { panic!() };
    assert_eq!((&*thoughts.text, &thoughts.signature), ("I need the weather first.", &None));
    let Content::ToolCall(call) = &choice.parts[1].content else { panic!() };
    assert_eq!(call.signature.as_ref().map(|signature| signature.by), Some(Dialect::Gemini));
    let expected = TokenUsage { input: 70, output: 89, ..TokenUsage::default() };
    let usage = answer.usage.unwrap();
    assert_eq!((usage.tokens, usage.reasoning), (expected, Some(64)));
}

#[test]
fn usage_with_a_cache_and_tools_is_told_by_class() {
    let usage = read("cached_usage").usage.unwrap();
    let expected = TokenUsage { input: 119, cache_read: 4096, output: 32, ..TokenUsage::default() };
    assert_eq!(usage.tokens, expected);
}

#[test]
fn a_blocked_prompt_is_an_answer_that_was_held_back() {
    let answer = read("refusal");
    let parts = vec![Content::Refusal("The prompt is blocked.".into()).into()];
    let expected = Choice { parts, stop: StopReason::Filtered, logprobs: None };
    assert_eq!(answer.choices, [expected]);
}

#[test]
fn sources_have_places_in_characters() {
    let answer = read("grounding");
    let Content::Text { citations, .. } = &answer.choices[0].parts[0].content else { panic!() };
    let told: Vec<_> = citations
        .iter()
        .map(|citation| (citation.title.as_deref().unwrap(), citation.place.unwrap()))
        .collect();
    let (first, second) = (Place { start: 0, end: 10 }, Place { start: 11, end: 31 });
    assert_eq!(told, [("a.com", first), ("a.com", second), ("b.com", second)]);
    let (body, _) = write(&answer);
    let metadata =
        &parsed(&fixture("answers/grounding.json"))["candidates"][0]["groundingMetadata"];
    assert_eq!(&body["candidates"][0]["groundingMetadata"], metadata);
}

#[test]
fn sources_of_others_are_grounding_too() {
    let citation = Citation {
        url: Some("https://example.com".into()),
        title: Some("E".into()),
        place: Some(Place { start: 1, end: 2 }),
        ..Citation::default()
    };
    let text = |text: &str, citations| Content::Text { text: text.into(), citations }.into();
    let parts = vec![text("ä", vec![]), text("öß!", vec![citation.clone(), Citation::default()])];
    let answer =
        Answer { choices: vec![Choice { parts, ..Choice::default() }], ..Answer::default() };
    let (body, losses) = write(&answer);
    assert_eq!(
        body["candidates"][0]["groundingMetadata"],
        json!({"groundingChunks": [{"web": {"uri": "https://example.com", "title": "E"}}],
            "groundingSupports": [{"segment": {"startIndex": 4, "endIndex": 6},
                "groundingChunkIndices": [0]}]})
    );
    assert_eq!(losses, "citations");
}

#[test]
fn an_answer_of_another_maker_has_geminis_shape() {
    let reasoning = |text: &str, is_redacted| {
        let signature = Some(ReasoningSignature::new(Dialect::Messages, "s"));
        let text = text.to_owned();
        Content::Reasoning(Reasoning { text, signature, is_redacted, ..Reasoning::default() })
            .into()
    };
    let call = |input: &str| {
        let (id, name, input) = (String::new(), "f".into(), input.to_owned());
        let call = ToolCall { id, name, kind: CallKind::Function, input, signature: None };
        Content::ToolCall(call).into()
    };
    let parts = vec![
        reasoning("hm", false),
        reasoning("", true),
        Part::text("Hi."),
        call(r#"{"a":1}"#),
        call("oops"),
    ];
    let stop = StopReason::ToolCalls;
    let usage = Usage {
        tokens: TokenUsage { input: 3, cache_write_5m: 4, output: 9, ..TokenUsage::default() },
        reasoning: Some(2),
        is_estimated: true,
    };
    let answer = Answer {
        choices: vec![Choice { parts, stop, logprobs: None }],
        usage: Some(usage),
        ..Answer::default()
    };
    let (body, losses) = write(&answer);
    let signature = "cHAxLm1lc3NhZ2VzLnM=";
    assert_eq!(
        body,
        json!({
            "candidates": [{"content": {"role": "model", "parts": [
                {"text": "hm", "thought": true, "thoughtSignature": signature},
                {"thoughtSignature": signature},
                {"text": "Hi."},
                {"functionCall": {"id": "call_r1_0", "name": "f", "args": {"a": 1}}},
                {"functionCall": {"id": "call_r1_1", "name": "f", "args": {"input": "oops"}}},
            ]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 7,
                "totalTokenCount": 16, "thoughtsTokenCount": 2, "estimated": true},
            "modelVersion": "pool/gemini", "responseId": "r1",
        })
    );
    assert_eq!(losses, "tool_call.input");
}

#[test]
fn an_error_in_a_200_is_the_failure_it_stands_for() {
    let failure = Gemini.read_answer(&fixture("answers/error.json")).unwrap_err();
    assert_eq!(failure.class, FailureClass::Overload);
    for cloud in [r#"[{"error":{"code":429,"message":"m"}}]"#, r#"{"error":{"code":429}}"#] {
        let failure = Cloudcode { project: None }.read_answer(cloud.as_bytes()).unwrap_err();
        assert_eq!(failure.class, FailureClass::RateLimit, "{cloud}");
    }
}

#[test]
fn cloud_codes_answers_stand_in_an_envelope() {
    let plain = parsed(&fixture("answers/plain.json"));
    let mut nameless = plain.clone();
    nameless.as_object_mut().unwrap().remove("responseId");
    let cloud = Cloudcode { project: None };
    for (response, id) in [(plain, "plain00AAAA"), (nameless, "trace-1")] {
        let body = json!({"response": response, "traceId": "trace-1"}).to_string();
        let answer = cloud.read_answer(body.as_bytes()).unwrap();
        assert_eq!(answer.choices, read("plain").choices);
        assert_eq!(answer.id.as_deref(), Some(id));
    }
}
