//! What upstreams get and send, in exact forms.

use serde_json::json as value;

use super::*;
use crate::domain::{
    chat::{
        CacheHint, CallKind, Dialect, Document, Effort, FunctionTool, ImageDetail, Json,
        OutputFormat, ReasoningSignature, Role, Source, StopReason, Thinking, ThinkingMode, Tool,
        ToolChoice, ToolResult, Turn,
    },
    failure::FailureClass,
};

fn ask(role: Role, parts: Vec<Part>) -> Request {
    Request::new(model("m"), vec![Turn::new(role, parts)])
}

fn hello() -> Request {
    ask(Role::User, vec![Part::text("hello")])
}

fn function(name: &str) -> Tool {
    Tool::Function(FunctionTool {
        name: name.into(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    })
}

fn source(media_type: &str, base64: &str) -> Source {
    Source::Data { media_type: media_type.into(), base64: base64.into() }
}

#[test]
fn a_request_is_written_exactly() {
    let written = write_chat(&hello());
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"stream":false}"#;
    assert_eq!(String::from_utf8(written.body).unwrap(), body);
    assert!(written.losses.is_empty());
}

#[test]
fn the_name_is_the_upstreams() {
    let target =
        Target { model: &model("qwen3:8b"), max_output_tokens: None, asks_stream_usage: true };
    assert_eq!(json(&OllamaChat.write_request(&hello(), &target).body)["model"], "qwen3:8b");
}

#[test]
fn what_the_dialect_has_no_words_for_is_lost_and_told() {
    let mut request = hello();
    request.choices = Some(2);
    request.parallel_tool_calls = Some(false);
    request.metadata.insert("a".into(), "b".into());
    request.user = Some("u".into());
    request.service_tier = Some("flex".into());
    request.store = Some(true);
    request.cache_key = Some("k".into());
    request.verbosity = Some("low".into());
    request.tool_choice = Some(ToolChoice::Required);
    request.turns[0].name = Some("n".into());
    request.turns[0].parts[0].cache = Some(CacheHint::OneHour);
    request.losses.note("logit_bias");
    assert_eq!(
        write_chat(&request).losses.to_string(),
        "cache_control, logit_bias, messages.name, metadata, n, parallel_tool_calls, \
         prompt_cache_key, service_tier, store, tool_choice, user, verbosity"
    );
}

#[test]
fn defaults_that_are_said_are_no_loss() {
    let mut request = hello();
    request.choices = Some(1);
    request.parallel_tool_calls = Some(true);
    request.store = Some(false);
    request.service_tier = Some("auto".into());
    request.verbosity = Some("medium".into());
    request.tool_choice = Some(ToolChoice::Auto);
    assert!(write_chat(&request).losses.is_empty());
}

#[test]
fn content_of_other_kinds_is_lost_or_made_text() {
    let document = Document {
        source: source("text/plain", "aGkgdGhlcmU="),
        title: Some("notes.txt".into()),
        context: None,
        citations: None,
    };
    let pdf = Document { source: source("application/pdf", "JVBERi0="), ..document.clone() };
    let picture = |source| Content::Image { source, detail: Some(ImageDetail::High) }.into();
    let request = ask(
        Role::User,
        vec![
            Part::text("look"),
            Content::Document(document).into(),
            Content::Document(pdf).into(),
            picture(source("image/png", "AAAA")),
            picture(Source::Url("https://x.test/a.png".into())),
            picture(Source::File { by: Dialect::Responses, id: "file_1".into() }),
            Content::Audio(source("audio/wav", "AAAA")).into(),
            Content::Video(source("video/mp4", "AAAA")).into(),
            Content::Opaque {
                by: Dialect::Messages,
                kind: "server_tool_use".into(),
                json: Json::parse("{}").unwrap(),
            }
            .into(),
        ],
    );
    let written = write_chat(&request);
    assert_eq!(
        written.losses.to_string(),
        "audio, content.server_tool_use, document, file, image.detail, image.url, video"
    );
    assert_eq!(
        json(&written.body)["messages"],
        value!([{"role": "user", "content": "look\nnotes.txt\nhi there", "images": ["AAAA"]}])
    );
}

#[test]
fn a_conversation_of_another_dialect_is_written() {
    let signature = Some(ReasoningSignature::new(Dialect::Messages, "sig"));
    let thoughts = |text: &str, is_redacted| {
        let text = text.into();
        let signature = signature.clone();
        Content::Reasoning(Reasoning { text, signature, is_redacted, ..Reasoning::default() })
            .into()
    };
    let call = |id: &str, name: &str, input: &str| {
        let (id, name, input) = (id.into(), name.into(), input.into());
        let kind = CallKind::Function;
        Content::ToolCall(ToolCall { id, name, kind, input, signature: None }).into()
    };
    let result = |call_id: &str, is_error, parts| {
        let (call_id, name, kind) = (call_id.into(), None, CallKind::Function);
        Content::ToolResult(ToolResult { call_id, name, kind, parts, is_error }).into()
    };
    let picture = Content::Image { source: source("image/png", "AAAA"), detail: None }.into();
    let turns = vec![
        Turn::new(Role::Developer, vec![Part::text("be brief"), Part::text("be kind")]),
        Turn::new(Role::User, vec![Part::text("go")]),
        Turn::new(
            Role::Assistant,
            vec![
                thoughts("hm", false),
                thoughts("", true),
                Part::text("I "),
                Part::text("call."),
                call("t1", "shot", ""),
                call("t2", "sum", "[1]"),
            ],
        ),
        Turn::new(
            Role::Tool,
            vec![
                result("t2", true, vec![Part::text("bad")]),
                result("t1", false, vec![Part::text("done"), picture]),
            ],
        ),
        Turn::new(Role::User, vec![Part::text("thanks")]),
    ];
    let written = write_chat(&Request::new(model("m"), turns));
    assert_eq!(
        written.losses.to_string(),
        "reasoning, reasoning.signature, tool_call.input, tool_result.is_error"
    );
    assert_eq!(
        json(&written.body)["messages"],
        value!([
            {"role": "system", "content": "be brief\nbe kind"},
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "I call.", "thinking": "hm", "tool_calls": [
                {"id": "t1", "function": {"name": "shot", "arguments": {}}},
                {"id": "t2", "function": {"name": "sum", "arguments": {"input": "[1]"}}},
            ]},
            {"role": "tool", "content": "bad", "tool_name": "sum", "tool_call_id": "t2"},
            {"role": "tool", "content": "done", "images": ["AAAA"], "tool_name": "shot",
                "tool_call_id": "t1"},
            {"role": "user", "content": "thanks"},
        ])
    );
}

#[test]
fn a_choice_of_tools_is_said_as_far_as_it_can_be() {
    let tools = |choice: Option<ToolChoice>| {
        let mut request = hello();
        request.tools = vec![function("a"), function("b")];
        request.tool_choice = choice;
        let written = write_chat(&request);
        let body = json(&written.body);
        let list = body["tools"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> =
            list.iter().map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
        (names.concat(), written.losses.to_string())
    };
    let among = |must| ToolChoice::Among { names: vec!["b".into()], must };
    let lossless = "lossless".to_owned();
    let lost = "tool_choice".to_owned();
    assert_eq!(tools(None), ("ab".into(), lossless.clone()));
    assert_eq!(tools(Some(ToolChoice::None)), (String::new(), lossless.clone()));
    assert_eq!(tools(Some(ToolChoice::Required)), ("ab".into(), lost.clone()));
    assert_eq!(tools(Some(ToolChoice::Named("a".into()))), ("a".into(), lost.clone()));
    assert_eq!(tools(Some(among(false))), ("b".into(), lossless));
    assert_eq!(tools(Some(among(true))), ("b".into(), lost));
}

#[test]
fn tools_of_other_kinds_are_lost() {
    let mut request = hello();
    let Tool::Function(mut strict) = function("a") else { unreachable!() };
    strict.strict = Some(true);
    request.tools = vec![
        Tool::Function(strict),
        Tool::Custom { name: "c".into(), description: None, format: None },
        Tool::Opaque {
            by: Dialect::Responses,
            kind: "web_search".into(),
            json: Json::parse("{}").unwrap(),
        },
    ];
    let written = write_chat(&request);
    assert_eq!(written.losses.to_string(), "tools.custom, tools.strict, tools.web_search");
    assert_eq!(
        json(&written.body)["tools"],
        value!([{"type": "function", "function": {
            "name": "a", "parameters": {"type": "object", "properties": {}}}}])
    );
}

#[test]
fn every_way_to_think_becomes_the_nearest() {
    use ThinkingMode::{Adaptive, Budget, Off};

    let think = |mode, is_shown| {
        let mut request = hello();
        request.thinking = Some(Thinking { mode, is_shown, summary: None });
        let written = write_chat(&request);
        (json(&written.body)["think"].clone(), !written.losses.is_empty())
    };
    let effort = |effort| Some(ThinkingMode::Effort(effort));
    assert_eq!(think(None, Some(true)), (Value::Null, false));
    assert_eq!(think(Some(Off), Some(false)), (value!(false), false));
    assert_eq!(think(Some(Budget(0)), None), (value!(false), false));
    assert_eq!(think(Some(Adaptive), None), (value!(true), false));
    assert_eq!(think(Some(Adaptive), Some(false)), (value!(true), true));
    assert_eq!(think(effort(Effort::Minimal), None), (value!("low"), true));
    assert_eq!(think(effort(Effort::Medium), None), (value!("medium"), false));
    assert_eq!(think(effort(Effort::Max), None), (value!("high"), true));
    assert_eq!(think(Some(Budget(4_000)), None), (value!("medium"), true));
}

#[test]
fn a_schema_is_the_format() {
    let mut request = hello();
    request.output = OutputFormat::Schema {
        name: Some("n".into()),
        description: None,
        schema: Json::parse(r#"{"type":"object"}"#).unwrap(),
        strict: Some(true),
    };
    let written = write_chat(&request);
    assert_eq!(json(&written.body)["format"], value!({"type": "object"}));
    assert!(written.losses.is_empty());
}

#[test]
fn calls_are_why_an_answer_with_calls_ends() {
    let answer = OllamaChat.read_answer(&fixture("answers", "tools")).unwrap();
    let choice = &answer.choices[0];
    assert_eq!(choice.stop, StopReason::ToolCalls);
    let [part] = choice.parts.as_slice() else { panic!("{choice:?}") };
    let Content::ToolCall(call) = &part.content else { panic!("{part:?}") };
    assert_eq!(
        (call.id.as_str(), call.name.as_str(), call.input.as_str()),
        ("call_2b9k1m4q", "get_weather", r#"{"city":"Paris","unit":"celsius"}"#)
    );
    let usage = answer.usage.unwrap();
    assert_eq!((usage.tokens.input, usage.tokens.output, usage.reasoning), (169, 21, None));
}

#[test]
fn an_answer_of_a_loose_server_is_read() {
    let answer = OllamaChat
        .read_answer(
            br#"{"model":null,"message":{"role":"assistant","content":null,"images":["AAAA","!"],
            "tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}},{"function":{"name":"g"}},{}]},
            "done_reason":"weird","eval_count":"7"}"#,
        )
        .unwrap();
    let choice = &answer.choices[0];
    assert_eq!(choice.stop, StopReason::Other("weird".into()));
    let inputs: Vec<_> = choice
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some(call.input.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(inputs, [r#"{"a":1}"#, "{}", "{}"]);
    assert_eq!(answer.usage.unwrap().tokens.output, 7);
    assert_eq!(answer.losses.to_string(), "image");
    let untold = OllamaChat.read_answer(br#"{"message":{"content":"x"}}"#).unwrap();
    assert_eq!((untold.usage, &untold.choices[0].stop), (None, &StopReason::Finished));
}

#[test]
fn a_200_that_is_no_answer_is_a_failure() {
    let class = |body: &[u8]| OllamaChat.read_answer(body).unwrap_err().class;
    assert_eq!(class(&fixture("answers", "error")), FailureClass::Server);
    let limited = br#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
    assert_eq!(class(limited), FailureClass::RateLimit);
    for body in [&b""[..], b"{}", b"[]", b"\xff", br#"{"message":{"content":"x"},"done":false}"#] {
        assert_eq!(class(body), FailureClass::Server);
    }
}

#[test]
fn a_stream_tells_its_deltas_in_order() {
    assert_eq!(
        deltas(&fixture("streams", "tools")),
        [
            r#"Begin { id: None, model: Some("llama3.2") }"#,
            r#"CallBegin { choice: 0, number: 0, id: "call_2b9k1m4q", name: "get_weather", kind: Function, signature: None }"#,
            r#"CallInput { choice: 0, number: 0, text: "{\"city\":\"Paris\",\"unit\":\"celsius\"}" }"#,
            "Stop { choice: 0, reason: ToolCalls }",
            "Usage(Usage { tokens: TokenUsage { input: 169, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 21 }, reasoning: None, is_estimated: false })",
        ]
    );
}

#[test]
fn an_error_ends_a_stream() {
    let stream = fixture("streams", "error");
    let mut texts = 0;
    let said = feed(&mut *OllamaChat.stream_reader(), &stream, &mut |delta| {
        texts += u32::from(matches!(delta, Delta::Text { .. }));
    });
    let Some(EventOutcome::Failed(failure)) = said else { panic!("{said:?}") };
    assert_eq!((failure.class, texts), (FailureClass::Server, 2));
    assert!(failure.reason.unwrap().message.starts_with("model runner has unexpectedly stopped"));
}
