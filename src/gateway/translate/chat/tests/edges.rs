//! What is refused, and what becomes of what an upstream cannot be told.

use serde_json::{Value, json};

use super::support::{cases, fixture, model, shown, write_answer, write_request};
use crate::{
    domain::{
        chat::{
            CacheHint, CallKind, Content, Dialect, Document, FunctionTool, Json, OutputFormat,
            Part, Reasoning, ReasoningSignature, Request, Role, Source, Tool, ToolCall, ToolChoice,
            ToolResult, Turn, Usage,
        },
        id::ModelName,
    },
    gateway::translate::{ClientSide, PathParams, UpstreamSide, chat::Chat},
};

fn refused(body: &str) -> String {
    let error = Chat.read_request(body.as_bytes(), &PathParams::default()).expect_err(body);
    error.param.map(Into::into).unwrap_or_default()
}

#[test]
fn what_would_be_wrong_everywhere_is_refused_with_its_path() {
    let with = |fields: &str| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{fields}}}"#)
    };
    let saying = |messages: &str| format!(r#"{{"model":"m","messages":[{messages}]}}"#);
    for (body, param) in [
        (String::new(), ""),
        ("[]".into(), ""),
        ("{".into(), ""),
        ("{}".into(), "model"),
        (r#"{"model":"","messages":[]}"#.into(), "model"),
        (r#"{"model":7}"#.into(), "model"),
        (r#"{"model":"m"}"#.into(), "messages"),
        (saying(""), "messages"),
        (r#"{"model":"m","messages":{}}"#.into(), "messages"),
        (saying("7"), "messages[0]"),
        (saying("{}"), "messages[0].role"),
        (saying(r#"{"role":"king","content":"x"}"#), "messages[0].role"),
        (saying(r#"{"role":"user"}"#), "messages[0].content"),
        (saying(r#"{"role":"user","content":7}"#), "messages[0].content"),
        (saying(r#"{"role":"user","content":[7]}"#), "messages[0].content[0]"),
        (saying(r#"{"role":"user","content":[{}]}"#), "messages[0].content[0].type"),
        (saying(r#"{"role":"user","content":[{"type":"text"}]}"#), "messages[0].content[0].text"),
        (
            saying(
                r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}"#,
            ),
            "messages[0].content[0].image_url.url",
        ),
        (
            saying(r#"{"role":"user","content":[{"type":"file","file":{}}]}"#),
            "messages[0].content[0].file",
        ),
        (saying(r#"{"role":"tool","content":"x"}"#), "messages[0].tool_call_id"),
        (saying(r#"{"role":"function","content":"x"}"#), "messages[0].name"),
        (saying(r#"{"role":"assistant","tool_calls":[{}]}"#), "messages[0].tool_calls[0]"),
        (saying(r#"{"role":"assistant","tool_calls":7}"#), "messages[0].tool_calls"),
        (with(r#""temperature":"hot""#), "temperature"),
        (with(r#""n":0"#), "n"),
        (with(r#""n":129"#), "n"),
        (with(r#""stream":1"#), "stream"),
        (with(r#""stream_options":7"#), "stream_options"),
        (with(r#""stop":7"#), "stop"),
        (with(r#""top_logprobs":21"#), "top_logprobs"),
        (with(r#""max_tokens":-1"#), "max_tokens"),
        (with(r#""tools":{}"#), "tools"),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].function"),
        (with(r#""tools":[{"type":"function","function":{"name":""}}]"#), "tools[0].function.name"),
        (
            with(r#""tools":[{"type":"function","function":{"name":"f","parameters":7}}]"#),
            "tools[0].function.parameters",
        ),
        (with(r#""tool_choice":"maybe""#), "tool_choice"),
        (with(r#""response_format":{"type":"json_schema"}"#), "response_format.json_schema"),
        (
            with(r#""response_format":{"type":"json_schema","json_schema":{"name":"x"}}"#),
            "response_format.json_schema.schema",
        ),
        (with(r#""metadata":[]"#), "metadata"),
    ] {
        assert_eq!(refused(&body), param, "{body}");
    }
}

#[test]
fn the_path_may_name_the_model() {
    let addressed = PathParams { model: Some(model("m")), stream: Some(true) };
    let body = br#"{"messages":[{"role":"user","content":"x"}]}"#;
    let request = Chat.read_request(body, &addressed).unwrap();
    assert_eq!((request.model, request.stream), (model("m"), true));
}

fn asked(name: &str, turns: Vec<Turn>) -> Request {
    Request::new(ModelName::parse(name).unwrap(), turns)
}

fn sent(request: &Request) -> (Value, String) {
    let written = write_request(request);
    (serde_json::from_slice(&written.body).unwrap(), written.losses.to_string())
}

fn user(parts: Vec<Part>) -> Turn {
    Turn::new(Role::User, parts)
}

fn call(id: &str) -> Part {
    Content::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        kind: CallKind::Function,
        input: "{}".into(),
        signature: Some(ReasoningSignature::new(Dialect::Gemini, "sig")),
    })
    .into()
}

fn result(call_id: &str, parts: Vec<Part>, is_error: bool) -> Part {
    Content::ToolResult(ToolResult {
        call_id: call_id.into(),
        name: None,
        kind: CallKind::Function,
        parts,
        is_error,
    })
    .into()
}

fn image() -> Part {
    let source = Source::Data { media_type: "image/png".into(), base64: "AAAA".into() };
    Content::Image { source, detail: None }.into()
}

#[test]
fn an_assistants_turns_become_one_message_and_results_follow_it() {
    let turns = vec![
        Turn::new(Role::Assistant, vec![Part::text("One.")]),
        Turn::new(Role::Assistant, vec![Part::text("Two."), call("a")]),
        Turn::new(Role::Assistant, vec![call("b")]),
        user(vec![Part::text("And?"), result("a", vec![Part::text("x")], false)]),
        Turn::new(Role::Tool, vec![result("b", vec![Part::text("y"), image()], true)]),
    ];
    let (body, losses) = sent(&asked("gpt-4o", turns));
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["assistant", "tool", "user", "tool"]);
    assert_eq!(messages[0]["content"], "One.\n\nTwo.");
    assert_eq!(messages[0]["tool_calls"].as_array().unwrap().len(), 2);
    let placeholder = messages[3]["content"][1]["text"].as_str().unwrap();
    assert!(placeholder.contains("an image"), "{placeholder}");
    assert_eq!(losses, "reasoning.signature, tool_result.image, tool_result.is_error");
    let (body, losses) =
        sent(&asked("gemini-3-pro", vec![Turn::new(Role::Assistant, vec![call("a")])]));
    let extra = &body["messages"][0]["tool_calls"][0]["extra_content"];
    assert_eq!(
        (extra["google"]["thought_signature"].as_str(), &*losses),
        (Some("sig"), "lossless")
    );
}

#[test]
fn thoughts_go_only_to_those_who_take_them() {
    let thought = |signature| {
        let text = "hm".into();
        let thought = Reasoning { text, signature, ..Reasoning::default() };
        vec![Turn::new(
            Role::Assistant,
            vec![Content::Reasoning(thought).into(), Part::text("So.")],
        )]
    };
    let foreign = Some(ReasoningSignature::new(Dialect::Messages, "s"));
    let own = Some(ReasoningSignature::new(Dialect::Chat, "s"));
    let (body, losses) = sent(&asked("deepseek-v4", thought(None)));
    assert_eq!((&body["messages"][0]["reasoning_content"], &*losses), (&json!("hm"), "lossless"));
    let (body, losses) = sent(&asked("openai/gpt-oss-120b", thought(None)));
    assert_eq!((&body["messages"][0]["reasoning"], &*losses), (&json!("hm"), "lossless"));
    for (name, signature) in [("gpt-5", None), ("mistral-large", None), ("deepseek-v4", foreign)] {
        let (body, losses) = sent(&asked(name, thought(signature)));
        assert_eq!(body["messages"][0], json!({"role": "assistant", "content": "So."}), "{name}");
        assert_eq!(losses, "reasoning");
    }
    let (body, losses) = sent(&asked("x-ai/grok-5", thought(own)));
    let entries = json!([{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}]);
    assert_eq!((&body["messages"][0]["reasoning_details"], &*losses), (&entries, "lossless"));
}

#[test]
fn what_a_thinking_model_of_openai_refuses_is_left_out() {
    let mut request = asked("o3", vec![user(vec![Part::text("x")])]);
    request.sampling.temperature = Some(0.5);
    request.sampling.top_p = Some(1.0);
    request.stop = vec!["END".into()];
    request.max_output_tokens = Some(9);
    request.parallel_tool_calls = Some(false);
    request.tools = vec![Tool::Function(FunctionTool {
        name: "f".into(),
        description: None,
        parameters: None,
        strict: Some(false),
        cache: Some(CacheHint::FiveMinutes),
    })];
    let (body, losses) = sent(&request);
    let expected = json!({
        "model": "o3", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "f"}}], "max_completion_tokens": 9,
    });
    assert_eq!(body, expected);
    assert_eq!(losses, "cache_control, parallel_tool_calls, stop, temperature");
}

#[test]
fn what_only_openai_has_is_not_sent_to_others() {
    let mut request = asked("llama-4", vec![user(vec![Part::text("a"), Part::text("b")])]);
    request.store = Some(true);
    request.cache_key = Some("k".into());
    request.verbosity = Some("low".into());
    request.service_tier = Some("flex".into());
    request.metadata.insert("a".into(), "b".into());
    request.sampling.top_k = Some(5);
    request.tools = vec![
        Tool::Custom { name: "c".into(), description: None, format: None },
        Tool::Opaque {
            by: Dialect::Messages,
            kind: "web_search".into(),
            json: Json::parse("{}").unwrap(),
        },
    ];
    request.tool_choice = Some(ToolChoice::Required);
    let (body, losses) = sent(&request);
    assert_eq!(
        body,
        json!({"model": "llama-4", "messages": [{"role": "user", "content": "a\n\nb"}]})
    );
    let expected = "metadata, prompt_cache_key, service_tier, store, tool_choice, tools.custom, \
                    tools.web_search, top_k, verbosity";
    assert_eq!(losses, expected);
}

#[test]
fn a_choice_among_tools_is_made_by_showing_only_those() {
    let tool = |name: &str| {
        Tool::Function(FunctionTool {
            name: name.into(),
            description: None,
            parameters: None,
            strict: None,
            cache: None,
        })
    };
    let mut request = asked("llama-4", vec![user(vec![Part::text("a")])]);
    request.tools = vec![tool("f"), tool("g")];
    request.tool_choice = Some(ToolChoice::Among { names: vec!["g".into()], must: true });
    let (body, losses) = sent(&request);
    assert_eq!(body["tools"], json!([{"type": "function", "function": {"name": "g"}}]));
    assert_eq!((&body["tool_choice"], &*losses), (&json!("required"), "lossless"));
}

#[test]
fn documents_are_sent_as_near_as_can_be() {
    let document = |source, title: Option<&str>| {
        let title = title.map(Into::into);
        let document = Document { source, title, context: None, citations: Some(true) };
        Part::from(Content::Document(document))
    };
    let pdf = || Source::Data { media_type: "application/pdf".into(), base64: "JVBE".into() };
    let url = || Source::Url("https://example.com/a.pdf".into());
    let parts = vec![
        document(Source::Text("words".into()), Some("Title")),
        document(pdf(), None),
        document(url(), None),
    ];
    let (body, losses) = sent(&asked("gpt-4o", vec![user(parts.clone())]));
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0], json!({"type": "text", "text": "Title\n\nwords"}));
    let file = json!({"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"});
    assert_eq!(content[1], json!({"type": "file", "file": file}));
    assert_eq!((content.as_array().unwrap().len(), &*losses), (2, "document, document.citations"));
    let (body, losses) = sent(&asked("x/y", vec![user(parts)]));
    assert_eq!(body["messages"][0]["content"][2]["file"]["file_data"], "https://example.com/a.pdf");
    assert_eq!(losses, "document.citations");
}

#[test]
fn a_schema_gets_a_name_that_is_taken() {
    let schema = |name: Option<&str>| OutputFormat::Schema {
        name: name.map(Into::into),
        description: None,
        schema: Json::parse("{}").unwrap(),
        strict: None,
    };
    for (name, expected) in [(None, "answer"), (Some("a b/ü"), "a_b__"), (Some("ok-1"), "ok-1")] {
        let mut request = asked("gpt-4o", vec![user(vec![Part::text("x")])]);
        request.output = schema(name);
        let (body, _) = sent(&request);
        let format = json!({"name": expected, "schema": {}});
        assert_eq!(body["response_format"]["json_schema"], format);
    }
}

#[test]
fn no_damage_to_what_comes_in_makes_a_reader_panic() {
    for kind in ["requests", "answers", "streams"] {
        for name in cases(kind) {
            let ending = if kind == "streams" { "sse" } else { "json" };
            let whole = fixture(&format!("{kind}/{name}.{ending}"));
            for at in (0..whole.len()).step_by(11) {
                for byte in [b'"', b'{', b'7', b'\\', b' ', 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] = byte;
                    read_anything(kind, &damaged);
                }
                read_anything(kind, &whole[..at]);
            }
        }
    }
}

fn read_anything(kind: &str, bytes: &[u8]) {
    match kind {
        "requests" => {
            if let Ok(request) = Chat.read_request(bytes, &PathParams::default()) {
                write_request(&request);
            }
        }
        "answers" => {
            if let Ok(answer) = Chat.read_answer(bytes) {
                write_answer(&answer, &shown());
            }
        }
        _ => {
            let mut reader = Chat.stream_reader();
            let mut writer = Chat.stream_writer(&shown());
            let mut out = Vec::new();
            for event in bytes.split(|byte| *byte == b'\n') {
                let data = event.strip_prefix(b"data: ").unwrap_or(event);
                let _ = reader.read(data, &mut |delta| writer.write(delta, &mut out));
            }
            writer.finish(Usage::default(), &mut out);
        }
    }
}
