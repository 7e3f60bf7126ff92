use serde_json::{Value, json};

use super::support::{fixture, fixtures};
use crate::{
    domain::chat::{
        CacheHint, CallKind, Content, Dialect, Document, Effort, FunctionTool, ImageDetail, Losses,
        OutputFormat, Part, Reasoning, ReasoningSignature, Request, Role, Source, Thinking,
        ThinkingMode, Tool, ToolCall, ToolChoice, ToolResult, Turn,
    },
    gateway::translate::{
        ClientSide as _, InvalidRequest, PathParams, Target, UpstreamSide as _,
        responses::Responses,
    },
};

fn read(body: &[u8]) -> Result<Request, InvalidRequest> {
    Responses.read_request(body, &PathParams::default())
}

fn of(case: &str) -> Request {
    read(&fixture("requests", case)).unwrap()
}

fn written(request: &Request) -> (Value, Losses) {
    let model = &request.model;
    let target = Target { model, max_output_tokens: None, asks_stream_usage: false };
    let written = Responses.write_request(request, &target);
    (serde_json::from_slice(&written.body).unwrap(), written.losses)
}

/// The same request with everything said that is meant where nothing is said.
fn spelt_out(mut body: Value) -> Value {
    let model = body["model"].as_str().unwrap().to_owned();
    let fields = body.as_object_mut().unwrap();
    fields.entry("store").or_insert(json!(false));
    fields.entry("stream").or_insert(json!(false));
    if let Some(text) = fields["input"].as_str() {
        let part = json!({"type": "input_text", "text": text});
        fields["input"] = json!([{"type": "message", "role": "user", "content": [part]}]);
    }
    for item in fields["input"].as_array_mut().unwrap() {
        if item["role"] != "assistant" {
            continue;
        }
        let text = item["content"][0]["text"].clone();
        *item = json!({"type": "message", "role": "assistant", "content": text});
    }
    // These models think, so that their thoughts are asked for.
    if model.starts_with("gpt-5") {
        fields.entry("include").or_insert(json!(["reasoning.encrypted_content"]));
    }
    if let Some(text) = fields.get_mut("text").and_then(Value::as_object_mut) {
        text.entry("format").or_insert(json!({"type": "text"}));
    }
    body
}

#[test]
fn every_request_comes_back_as_it_was() {
    for (case, body) in fixtures("requests") {
        let request = read(&body).unwrap();
        let (back, losses) = written(&request);
        if case == "codex" {
            assert_eq!(losses.to_string(), "messages.phase, tools.namespace");
            continue;
        }
        assert_eq!(losses.to_string(), "lossless", "{case}");
        let expected = spelt_out(serde_json::from_slice(&body).unwrap());
        assert_eq!(back, expected, "{case}");
    }
}

#[test]
fn a_text_alone_is_what_the_user_says() {
    let request = of("plain");
    assert_eq!(request.turns, [Turn::new(Role::User, vec![Part::text("Say hello.")])]);
    assert!(!request.stream && request.losses.is_empty());
}

#[test]
fn instructions_come_first_and_developers_keep_their_role() {
    let request = of("system");
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::System, Role::Developer, Role::User]);
    assert!(request.stream);
}

#[test]
fn a_result_is_written_as_its_call_was_made_whatever_becomes_of_the_id() {
    let id = "x".repeat(65);
    let call = ToolCall {
        id: id.clone(),
        name: "patch".into(),
        kind: CallKind::Custom,
        input: "text".into(),
        signature: None,
    };
    let result = ToolResult {
        call_id: id,
        name: None,
        kind: CallKind::Function,
        parts: vec![Part::text("done")],
        is_error: false,
    };
    let turns = vec![
        Turn::new(Role::Assistant, vec![Content::ToolCall(call).into()]),
        Turn::new(Role::Tool, vec![Content::ToolResult(result).into()]),
    ];
    let (body, _) = written(&Request::new(of("plain").model, turns));
    let [call, result] = &body["input"].as_array().unwrap()[..] else { panic!("{body}") };
    assert_eq!(result["type"], "custom_tool_call_output");
    assert_eq!(result["call_id"], call["call_id"]);
    assert!(call["call_id"].as_str().is_some_and(|id| id.len() <= 64));
}

#[test]
fn calls_in_a_row_are_one_turn_and_so_are_their_results() {
    let request = of("parallel_tools");
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool]);
    let call = ToolCall {
        id: "call_w1".into(),
        name: "get_weather".into(),
        kind: CallKind::Function,
        input: r#"{"city":"Paris"}"#.into(),
        signature: None,
    };
    assert_eq!(request.turns[1].parts[0], Content::ToolCall(call).into());
    let result = ToolResult {
        call_id: "call_t1".into(),
        name: None,
        kind: CallKind::Function,
        parts: vec![Part::text("12:00")],
        is_error: false,
    };
    assert_eq!(request.turns[2].parts[1], Content::ToolResult(result).into());
    assert_eq!(request.parallel_tool_calls, Some(true));
}

#[test]
fn thoughts_keep_their_signature_on_the_last_of_them() {
    let request = of("thinking_tools");
    let id = Some("rs_68af4030592c81938ec0a5fbab4a3e9f".to_owned());
    let signature =
        ReasoningSignature::new(Dialect::Responses, "gAAAAABoISQ24OyVRYbkYfukdJoqdzWT-3uiErKInHDC");
    let thought = |text: &str, signature| Reasoning {
        text: text.into(),
        is_summary: true,
        signature,
        is_redacted: false,
        id: id.clone(),
    };
    let expected: Vec<Part> = [
        thought("**Looking it up**\n\nThe tool knows.", None),
        thought("**Calling it**", Some(signature)),
    ]
    .map(|thought| Content::Reasoning(thought).into())
    .to_vec();
    assert_eq!(request.turns[1].parts[..2], expected);
    let asked = Thinking {
        mode: Some(ThinkingMode::Effort(Effort::Medium)),
        is_shown: Some(true),
        summary: Some("auto".into()),
    };
    assert_eq!(request.thinking, Some(asked));
}

#[test]
fn pictures_files_sound_and_marks_are_read() {
    let image = of("image").turns.remove(0).parts;
    assert!(matches!(
        &image[1].content,
        Content::Image { source: Source::Data { media_type, .. }, detail: Some(ImageDetail::Low) }
            if media_type == "image/png"
    ));
    let file = Source::File { by: Dialect::Responses, id: "file-abc123".into() };
    let detail = Some(ImageDetail::High);
    assert_eq!(image[3].content, Content::Image { source: file, detail });
    let documents = of("document").turns.remove(0).parts;
    let text = Document {
        source: Source::Text("hello".into()),
        title: Some("c.txt".into()),
        context: None,
        citations: None,
    };
    assert_eq!(documents[3].content, Content::Document(text));
    let audio = &of("audio").turns[0].parts[0].content;
    assert!(
        matches!(audio, Content::Audio(Source::Data { media_type, .. }) if media_type == "audio/wav")
    );
    let marks: Vec<_> = of("cache").turns[0].parts.iter().map(|part| part.cache).collect();
    assert_eq!(marks, [Some(CacheHint::FiveMinutes), Some(CacheHint::OneHour), None]);
}

#[test]
fn tools_and_settings_are_read() {
    let request = of("tools");
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("get_weather".into())));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert!(matches!(
        &request.tools[1],
        Tool::Function(FunctionTool { name, strict: Some(true), .. }) if name == "get_time"
    ));
    let custom = of("custom_tools");
    let names = vec!["apply_patch".to_owned(), "get_weather".to_owned()];
    assert_eq!(custom.tool_choice, Some(ToolChoice::Among { names, must: true }));
    let sampled = of("sampling");
    assert_eq!((sampled.sampling.temperature, sampled.logprobs), (Some(0.5), Some(2)));
    assert_eq!((sampled.user.as_deref(), sampled.store), (Some("user-5"), Some(true)));
    assert!(matches!(of("schema").output, OutputFormat::Schema { strict: Some(true), .. }));
    assert_eq!(of("schema").verbosity.as_deref(), Some("low"));
}

#[test]
fn what_only_this_dialect_knows_is_kept_as_it_is() {
    let request = of("built_in_tools");
    let kinds: Vec<&str> = request
        .parts()
        .filter_map(|part| match &part.content {
            Content::Opaque { by: Dialect::Responses, kind, .. } => Some(kind.as_str()),
            _ => None,
        })
        .collect();
    let expected =
        ["web_search_call", "local_shell_call", "local_shell_call_output", "item_reference"];
    assert_eq!(kinds, expected);
    assert!(matches!(&request.tools[0], Tool::Opaque { kind, .. } if kind == "web_search"));
}

#[test]
fn functions_of_a_namespace_have_one_name() {
    let request = of("codex");
    assert!(matches!(
        &request.tools[0],
        Tool::Function(FunctionTool { name, .. }) if name == "mcp__github__list_issues"
    ));
    let there = &request.namespaces["mcp__github__list_issues"];
    assert_eq!((&*there.namespace, &*there.name), ("mcp__github", "list_issues"));
    let call = request.parts().find_map(|part| match &part.content {
        Content::ToolCall(call) => Some(call.name.as_str()),
        _ => None,
    });
    assert_eq!(call, Some("mcp__github__list_issues"));
}

#[test]
fn a_signature_of_gemini_before_a_call_is_that_of_the_call() {
    let body = json!({"model": "m", "input": [
        {"type": "reasoning", "summary": [], "encrypted_content": "pp1.gemini.AbC"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "summary": [], "encrypted_content": "pp1.messages.AbC.redacted"},
        {"type": "function_call", "call_id": "d", "name": "f", "arguments": "{}"},
    ]});
    let request = read(&serde_json::to_vec(&body).unwrap()).unwrap();
    let parts = &request.turns[0].parts;
    assert_eq!(parts.len(), 3);
    assert!(matches!(&parts[0].content, Content::ToolCall(call)
        if call.signature == Some(ReasoningSignature::new(Dialect::Gemini, "AbC"))));
    let redacted = Reasoning {
        signature: Some(ReasoningSignature::new(Dialect::Messages, "AbC")),
        is_redacted: true,
        ..Reasoning::default()
    };
    assert_eq!(parts[1].content, Content::Reasoning(redacted));
    let (_, losses) = written(&request);
    assert_eq!(losses.to_string(), "reasoning, reasoning.signature");
}

#[test]
fn fields_that_nobody_knows_are_told() {
    let body = json!({"model": "gpt-4o", "input": "hi", "moderation": {"model": "m"}, "top_k": 4,
        "truncation": "auto", "max_tool_calls": 3, "include": ["web_search_call.results"],
        "stream_options": {"include_obfuscation": false}, "background": false, "store": false});
    let request = read(&serde_json::to_vec(&body).unwrap()).unwrap();
    let expected = "include, max_tool_calls, moderation, top_k, truncation";
    assert_eq!(request.losses.to_string(), expected);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let param = |body: Value| {
        let error = read(&serde_json::to_vec(&body).unwrap()).expect_err(&body.to_string());
        error.param.unwrap_or_default().into_owned()
    };
    let item = |item: Value| param(json!({"model": "m", "input": [item]}));
    for (body, expected) in [
        (json!({"input": "hi"}), "model"),
        (json!({"model": "", "input": "hi"}), "model"),
        (json!({"model": "m"}), "input"),
        (json!({"model": "m", "input": []}), "input"),
        (json!({"model": "m", "input": 7}), "input"),
        (json!({"model": "m", "input": "hi", "background": true}), "background"),
        (json!({"model": "m", "input": "hi", "previous_response_id": "r"}), "previous_response_id"),
        (json!({"model": "m", "input": "hi", "conversation": "c"}), "conversation"),
        (json!({"model": "m", "input": "hi", "temperature": "x"}), "temperature"),
        (json!({"model": "m", "input": "hi", "max_output_tokens": 0}), "max_output_tokens"),
        (json!({"model": "m", "input": "hi", "top_logprobs": 21}), "top_logprobs"),
        (json!({"model": "m", "input": "hi", "tools": {}}), "tools"),
        (json!({"model": "m", "input": "hi", "tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"model": "m", "input": "hi", "tool_choice": "any"}), "tool_choice"),
        (
            json!({"model": "m", "input": "hi", "text": {"format": {"type": "json_schema"}}}),
            "text.format.schema",
        ),
    ] {
        assert_eq!(param(body), expected);
    }
    assert_eq!(item(json!(7)), "input[0]");
    assert_eq!(item(json!({"role": "nobody", "content": ""})), "input[0].role");
    assert_eq!(item(json!({"role": "user"})), "input[0].content");
    assert_eq!(item(json!({"role": "user", "content": [{}]})), "input[0].content[0].type");
    assert_eq!(item(json!({"type": "function_call"})), "input[0].name");
    assert_eq!(item(json!({"type": "function_call_output"})), "input[0].output");
    let image = json!({"role": "user", "content": [{"type": "input_image"}]});
    assert_eq!(item(image), "input[0].content[0].image_url");
    for bad in [&b""[..], b"[]", b"{", b"\xff"] {
        assert!(read(bad).is_err());
    }
}
