use serde_json::Value;

use super::support::{asking, fixture, fixtures, laid_out, shown, stop_of};
use crate::{
    domain::{
        chat::{
            Answer, CallKind, Choice, Content, Dialect, Losses, Namespaced, Part, Reasoning,
            ReasoningSignature, StopReason, ToolCall, Usage,
        },
        failure::FailureClass,
        usage::TokenUsage,
    },
    gateway::translate::{ClientSide as _, ErrorView, UpstreamSide as _, responses::Responses},
};

fn of(case: &str) -> Answer {
    Responses.read_answer(&fixture("answers", case)).expect(case)
}

fn written(answer: &Answer) -> (Value, String) {
    let request = asking();
    let mut losses = Losses::default();
    let body = Responses.write_answer(answer, &shown(&request), &mut losses);
    (serde_json::from_slice(&body).unwrap(), losses.to_string())
}

#[test]
fn every_answer_comes_back_as_it_was() {
    for (case, body) in fixtures("answers") {
        let Ok(answer) = Responses.read_answer(&body) else {
            assert!(matches!(&*case, "error" | "failed"), "{case}");
            continue;
        };
        assert!(answer.losses.is_empty(), "{case}");
        let (json, losses) = written(&answer);
        assert_eq!(losses, "lossless", "{case}");
        let sent: Value = serde_json::from_slice(&body).unwrap();
        for field in ["status", "incomplete_details", "usage", "model", "error", "service_tier"] {
            assert_eq!(json[field], sent[field], "{case}.{field}");
        }
        let keys = |json: &Value| -> Vec<String> {
            json.as_object().unwrap().keys().filter(|k| *k != "completed_at").cloned().collect()
        };
        assert_eq!(keys(&json), keys(&sent), "{case}");
        let again = Responses.read_answer(json.to_string().as_bytes()).unwrap();
        let ids_aside = |answer: Answer| laid_out(Answer { id: None, ..answer });
        assert_eq!(ids_aside(again), ids_aside(answer), "{case}");
    }
}

#[test]
fn parts_stops_and_usage_are_read() {
    let thinking = of("thinking");
    assert_eq!(thinking.choices[0].parts.len(), 3);
    let thought = Reasoning {
        text: "**Adding**\n\n51 more.".into(),
        is_summary: true,
        signature: Some(ReasoningSignature::new(
            Dialect::Responses,
            "gAAAAABoISQ24OyVRYbkYfukdJoqdzWT",
        )),
        is_redacted: false,
        id: Some("rs_6876cf02e0bc8192b74af0fb64b715fa".into()),
    };
    assert_eq!(thinking.choices[0].parts[1].content, Content::Reasoning(thought));
    for (case, stop) in [
        ("plain", StopReason::Finished),
        ("tools", StopReason::ToolCalls),
        ("custom_tool", StopReason::ToolCalls),
        ("refusal", StopReason::Refused),
        ("max_tokens", StopReason::MaxTokens),
        ("filtered", StopReason::Filtered),
    ] {
        assert_eq!(*stop_of(&of(case)), stop, "{case}");
    }
    let tokens = TokenUsage {
        input: 86,
        cache_read: 1408,
        cache_write_5m: 512,
        cache_write_1h: 0,
        output: 30,
    };
    let usage = Usage { tokens, reasoning: Some(0), is_estimated: false };
    assert_eq!(of("cached_usage").usage, Some(usage));
}

#[test]
fn errors_in_an_answer_are_failures() {
    let failed = Responses.read_answer(&fixture("answers", "error")).unwrap_err();
    assert_eq!(failed.class, FailureClass::RateLimit);
    assert_eq!(failed.retry_after.unwrap().as_millis(), 1_500);
    let failed = Responses.read_answer(&fixture("answers", "failed")).unwrap_err();
    assert_eq!(failed.class, FailureClass::Server);
    for odd in [
        "",
        "[]",
        "{}",
        "7",
        "<html>",
        r#"{"output":null}"#,
        r#"{"output":"x"}"#,
        r#"{"status":"in_progress","output":[]}"#,
        r#"{"status":"cancelled","output":[]}"#,
    ] {
        let failure = Responses.read_answer(odd.as_bytes()).expect_err(odd);
        assert_eq!(failure.class, FailureClass::Server, "{odd}");
    }
    assert!(Responses.read_answer(b"\xff").is_err());
}

#[test]
fn servers_that_leave_things_out_are_read() {
    let bare = br#"{"id":null,"usage":{"input_tokens":"3","output_tokens":4.0},"output":[7,null,
        {"type":"message","content":"hi"},
        {"type":"function_call","id":"fc_1","name":"f","arguments":{"a":1}},
        {"type":"message","content":[{"type":"output_text"},{"type":"sound"},5]}]}"#;
    let answer = Responses.read_answer(bare).unwrap();
    let parts = &answer.choices[0].parts;
    assert_eq!(parts[0], Part::text("hi"));
    assert!(matches!(&parts[1].content, Content::ToolCall(call)
        if call.id == "fc_1" && call.input == r#"{"a":1}"#));
    assert_eq!(answer.losses.to_string(), "content.sound");
    assert_eq!(answer.usage.unwrap().tokens.total(), 7);
}

#[test]
fn calls_are_shown_with_ids_signs_and_namespaces() {
    let call = |id: &str, name: &str, signature| {
        let (id, name, input) = (id.into(), name.into(), String::new());
        Content::ToolCall(ToolCall { id, name, kind: CallKind::Function, input, signature }).into()
    };
    let signature = ReasoningSignature::new(Dialect::Gemini, "AbC");
    let parts = vec![call("", "ns__f", Some(signature)), call("call_x", "g", None)];
    let choice = Choice { parts, stop: StopReason::ToolCalls, logprobs: None };
    let answer = Answer { choices: vec![choice], ..Answer::default() };
    let mut request = asking();
    let there = Namespaced { namespace: "ns".into(), name: "f".into() };
    request.namespaces.insert("ns__f".into(), there);
    let mut losses = Losses::default();
    let body = Responses.write_answer(&answer, &shown(&request), &mut losses);
    let json: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["output"][0]["type"], "reasoning");
    assert_eq!(json["output"][0]["encrypted_content"], "pp1.gemini.AbC");
    let first = &json["output"][1];
    assert_eq!((&first["call_id"], &first["id"]), (&"call_abc_0".into(), &"fc_abc_1".into()));
    assert_eq!((&first["name"], &first["namespace"]), (&"f".into(), &"ns".into()));
    assert_eq!(first["arguments"], "{}");
    assert_eq!(json["output"][2]["call_id"], "call_x");
}

#[test]
fn what_was_cut_says_so() {
    let call = ToolCall {
        id: "c".into(),
        name: "f".into(),
        kind: CallKind::Function,
        input: "{\"a".into(),
        signature: None,
    };
    let parts = vec![Part::text("hi"), Content::ToolCall(call).into()];
    let choice = Choice { parts, stop: StopReason::MaxTokens, logprobs: None };
    let (json, _) = written(&Answer { choices: vec![choice], ..Answer::default() });
    assert_eq!(json["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(json["output"][0]["status"], "completed");
    assert_eq!(json["output"][1]["status"], "incomplete");
}

#[test]
fn what_cannot_be_shown_is_told() {
    let own = Content::Opaque {
        by: Dialect::Messages,
        kind: "server_tool_use".into(),
        json: crate::domain::chat::Json::parse("{}").unwrap(),
    };
    let parts = vec![Part::text("hi"), own.into()];
    let stop = StopReason::StopText(Some("x".into()));
    let choice = Choice { parts, stop, logprobs: None };
    let answer = Answer { choices: vec![choice.clone(), choice], ..Answer::default() };
    let (json, losses) = written(&answer);
    assert_eq!(losses, "content.server_tool_use, n, stop_reason");
    assert_eq!((&json["status"], &json["id"]), (&"completed".into(), &"resp_abc".into()));
    assert_eq!(json["created_at"], 1_795_622_400);
}

#[test]
fn errors_have_the_object_of_openai() {
    let view = ErrorView { status: 429, message: "m", kind: "k", param: None, code: Some("c") };
    let body = r#"{"error":{"message":"m","type":"k","param":null,"code":"c"}}"#;
    assert_eq!(Responses.error_body(&view), body.as_bytes());
    let event = String::from_utf8(Responses.error_event(&view)).unwrap();
    assert_eq!(
        event,
        concat!(
            "event: error\n",
            r#"data: {"type":"error","sequence_number":0,"code":"c","message":"m","param":null,"#,
            r#""error":{"message":"m","type":"k","param":null,"code":"c"}}"#,
            "\n\n"
        )
    );
}
