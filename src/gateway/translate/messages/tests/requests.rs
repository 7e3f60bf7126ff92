//! Requests of clients, and what upstreams are sent.

use serde_json::{Value, json};

use super::{super::super::UpstreamSide, *};
use crate::domain::chat::{
    CacheHint, CallKind, Citation, Content, Dialect, Document, Effort, Json, OutputFormat, Part,
    Reasoning, ReasoningSignature, Role, Source, Thinking, ThinkingMode, Tool, ToolCall,
    ToolChoice, ToolResult, Turn,
};

fn written(request: &Request) -> (Value, String) {
    let written = Messages.write_request(request, &target(&request.model));
    (json_of(&written.body), written.losses.to_string())
}

fn json_of(bytes: &[u8]) -> Value {
    super::json(bytes)
}

fn with_turns(turns: Vec<Turn>) -> Request {
    Request::new(model("up"), turns)
}

fn user(text: &str) -> Turn {
    Turn::new(Role::User, vec![Part::text(text)])
}

/// Writes texts as the blocks they stand for, and leaves out what says the default.
fn normal(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            if fields.get("ttl").is_some_and(|ttl| ttl == "5m") {
                fields.remove("ttl");
            }
            for name in ["content", "system"] {
                if let Some(Value::String(text)) = fields.get(name) {
                    let blocks = json!([{"type": "text", "text": text}]);
                    fields.insert(name.into(), blocks);
                }
            }
            for field in fields.values_mut() {
                *field = normal(field.take());
            }
        }
        Value::Array(values) => {
            for value in values {
                *value = normal(value.take());
            }
        }
        _ => (),
    }
    value
}

#[test]
fn every_request_comes_back_whole() {
    for (name, body) in fixtures("requests") {
        let request = read(&body);
        let (again, losses) = written(&request);
        assert_eq!(losses, "lossless", "{name}");
        assert_eq!(normal(again), normal(json_of(&body)), "{name}");
    }
}

#[test]
fn results_of_tools_become_a_turn_of_their_own_and_know_their_tool() {
    let request = read(fixture("requests", "tool_result"));
    let roles: Vec<_> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::User]);
    let Content::ToolResult(result) = &request.turns[2].parts[1].content else { panic!() };
    assert_eq!(result.call_id, "toolu_01B19q90qw90lq917835lq8");
    assert_eq!(result.name.as_deref(), Some("get_weather"));
    assert!(result.is_error);
    assert_eq!(result.parts.len(), 2);
    let Content::ToolCall(call) = &request.turns[1].parts[1].content else { panic!() };
    assert_eq!(call.input, r#"{"city":"Paris"}"#);
}

#[test]
fn thoughts_are_read_with_their_signs() {
    let request = read(fixture("requests", "thinking_tools"));
    let mode = Some(ThinkingMode::Budget(4096));
    assert_eq!(request.thinking, Some(Thinking { mode, ..Thinking::default() }));
    let Content::Reasoning(shown) = &request.turns[1].parts[0].content else { panic!() };
    assert_eq!(shown.signature.as_ref().unwrap().by, Dialect::Messages);
    assert!(!shown.is_redacted && !shown.is_summary);
    let Content::Reasoning(hidden) = &request.turns[1].parts[1].content else { panic!() };
    assert!(hidden.is_redacted && hidden.text.is_empty());
}

#[test]
fn hints_settings_and_formats_are_read() {
    let cache = read(fixture("requests", "cache"));
    assert_eq!(cache.turns[0].parts[0].cache, Some(CacheHint::OneHour));
    assert_eq!(cache.turns[1].parts[0].cache, Some(CacheHint::FiveMinutes));
    assert!(matches!(&cache.tools[0], Tool::Function(tool) if tool.cache.is_some()));
    let sampling = read(fixture("requests", "sampling"));
    assert!(sampling.stream && sampling.wants_stream_usage);
    assert_eq!(sampling.user.as_deref(), Some("13803d75-b4b5-4c3e-b2a2-6f21399b021b"));
    assert_eq!((sampling.sampling.temperature, sampling.sampling.top_k), (Some(0.7), Some(40)));
    let schema = read(fixture("requests", "schema"));
    assert!(matches!(schema.output, OutputFormat::Schema { strict: Some(true), .. }));
    let parallel = read(fixture("requests", "parallel_tools"));
    assert_eq!(parallel.tool_choice, Some(ToolChoice::Required));
    assert_eq!(parallel.parallel_tool_calls, Some(false));
    let tools = read(fixture("requests", "tools"));
    let own =
        |tool: &Tool| matches!(tool, Tool::Opaque { kind, .. } if kind == "web_search_20250305");
    assert!(own(&tools.tools[2]));
    let effort = read(fixture("requests", "effort")).thinking.unwrap();
    assert_eq!(effort.mode, Some(ThinkingMode::Effort(Effort::High)));
    assert_eq!(effort.is_shown, Some(true));
    let old = read(
        br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],
            "output_format":{"type":"json_schema","schema":{"type":"object"}}}"#,
    );
    assert!(matches!(old.output, OutputFormat::Schema { .. }));
}

#[test]
fn what_nobody_knows_is_lost_by_its_name() {
    let request = read(
        br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"},
              {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{},
                "caller":{"type":"direct"},"odd":1}]}],
            "mcp_servers":[],"context_management":{"edits":[]},"container":null,
            "metadata":{"user_id":"u","team":"t"},"thinking":{"type":"between_tools"},
            "tools":[{"name":"f","input_schema":{},"defer_loading":true,"eager_input_streaming":true}]}"#,
    );
    let lost = "content.odd, context_management, mcp_servers, metadata.team, thinking, tools.defer_loading";
    assert_eq!(request.losses.to_string(), lost);
}

#[test]
fn a_hint_for_the_whole_request_is_one_on_its_last_part() {
    let request = read(
        br#"{"model":"m","max_tokens":1,"cache_control":{"type":"ephemeral","ttl":"1h"},
            "messages":[{"role":"user","content":"x"},{"role":"user","content":"y"}]}"#,
    );
    assert_eq!(request.turns[0].parts[0].cache, None);
    assert_eq!(request.turns[1].parts[0].cache, Some(CacheHint::OneHour));
}

#[test]
fn a_document_made_of_blocks_becomes_text_and_pictures() {
    let request = read(
        br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"document",
            "source":{"type":"content","content":[{"type":"text","text":"a"},
              {"type":"image","source":{"type":"url","url":"https://a.example/i.png"}},
              {"type":"text","text":"b"}]}}]}]}"#,
    );
    let parts = &request.turns[0].parts;
    assert!(
        matches!(&parts[0].content, Content::Document(Document { source: Source::Text(text), .. })
        if text == "a\n\nb")
    );
    assert!(matches!(&parts[1].content, Content::Image { .. }));
    assert_eq!(request.losses.to_string(), "document, document.citations");
}

#[test]
fn a_signature_of_gemini_before_a_call_goes_back_onto_it() {
    let request = read(
        br#"{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[
            {"type":"thinking","thinking":"","signature":"pp1.gemini.abc"},
            {"type":"tool_use","id":"t","name":"f","input":{}},
            {"type":"thinking","thinking":"hm","signature":"pp1.responses.xyz"}]}]}"#,
    );
    let parts = &request.turns[0].parts;
    assert_eq!(parts.len(), 2);
    let Content::ToolCall(call) = &parts[0].content else { panic!() };
    assert_eq!(call.signature, Some(ReasoningSignature::new(Dialect::Gemini, "abc")));
    let Content::Reasoning(reasoning) = &parts[1].content else { panic!() };
    assert!(reasoning.is_summary);
    assert_eq!(reasoning.signature, Some(ReasoningSignature::new(Dialect::Responses, "xyz")));
}

#[test]
fn the_path_addresses_before_the_body_does() {
    let body = br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#;
    let addressed = PathParams { model: Some(model("other")), stream: Some(true) };
    let request = Messages.read_request(body, &addressed).unwrap();
    assert_eq!((request.model.as_str(), request.stream), ("other", true));
}

#[test]
fn sides_alternate_the_user_begins_and_results_come_first() {
    let call = ToolCall {
        id: "call:1".into(),
        name: "f".into(),
        kind: CallKind::Function,
        input: String::new(),
        signature: Some(ReasoningSignature::new(Dialect::Gemini, "s")),
    };
    let result = ToolResult {
        call_id: "call:1".into(),
        name: None,
        kind: CallKind::Function,
        parts: vec![Part::text("r")],
        is_error: false,
    };
    let request = with_turns(vec![
        Turn::new(Role::System, vec![Part::text("s")]),
        Turn::new(Role::Developer, vec![Part::text("d")]),
        Turn::new(Role::Assistant, vec![Part::text("a"), Part::text(" ")]),
        Turn::new(Role::Assistant, vec![Content::ToolCall(call).into()]),
        Turn { name: Some("bob".into()), ..user("u") },
        Turn::new(Role::Tool, vec![Content::ToolResult(result).into()]),
        Turn::new(Role::System, vec![Part::text("late")]),
    ]);
    let (body, losses) = written(&request);
    let expected = json!({
        "model": "up",
        "max_tokens": 8192,
        "system": [{"type": "text", "text": "s"}, {"type": "text", "text": "d"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "."}]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "a"},
                {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "r"}]},
                {"type": "text", "text": "u"},
                {"type": "text", "text": "late"},
            ]},
        ],
    });
    assert_eq!(body, expected);
    assert_eq!(losses, "messages.name, messages.role, reasoning.signature");
}

#[test]
fn a_beginning_of_the_answer_is_kept_and_does_not_end_in_blanks() {
    let turns = vec![user("x"), Turn::new(Role::Assistant, vec![Part::text("It is \n")])];
    let (body, losses) = written(&with_turns(turns));
    assert_eq!(body["messages"][1]["content"][0]["text"], "It is");
    assert_eq!(losses, "lossless");
    let (only_instructions, _) =
        written(&with_turns(vec![Turn::new(Role::System, vec![Part::text("s")])]));
    assert_eq!(only_instructions["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn models_that_refuse_to_go_on_with_an_answer_are_asked_for_another() {
    let turns = vec![user("x"), Turn::new(Role::Assistant, vec![Part::text("It is")])];
    for (name, said, lost) in [
        ("claude-opus-4-5", 2, "lossless"),
        ("claude-opus-4-6", 3, "prefill"),
        ("claude-sonnet-5", 3, "prefill"),
        ("another", 2, "lossless"),
    ] {
        let (body, losses) = written(&Request::new(model(name), turns.clone()));
        let messages = body["messages"].as_array().unwrap();
        assert_eq!((messages.len(), losses.as_str()), (said, lost), "{name}");
        assert_eq!(messages[1]["content"][0]["text"], "It is", "{name}");
    }
}

#[test]
fn what_is_not_of_this_dialect_is_dropped_and_told() {
    let own = Json::parse(r#"{"type":"x"}"#).unwrap();
    let foreign = ReasoningSignature::new(Dialect::Chat, "s");
    let thoughts = Reasoning { text: "t".into(), signature: Some(foreign), ..Reasoning::default() };
    let cited = Citation { url: Some("https://a.example".into()), ..Citation::default() };
    let file = |media_type: &str, base64: &str| Document {
        source: Source::Data { media_type: media_type.into(), base64: base64.into() },
        title: None,
        context: None,
        citations: None,
    };
    let wav = Source::Data { media_type: "audio/wav".into(), base64: "AAAA".into() };
    let mut request = with_turns(vec![
        Turn::new(
            Role::User,
            vec![
                Content::Audio(wav).into(),
                Content::Document(file("text/csv", "YSxi")).into(),
                Content::Document(file("application/zip", "//8=")).into(),
                Content::Opaque {
                    by: Dialect::Gemini,
                    kind: "executable_code".into(),
                    json: own.clone(),
                }
                .into(),
            ],
        ),
        Turn::new(
            Role::Assistant,
            vec![
                Content::Reasoning(thoughts).into(),
                Content::Text { text: "a".into(), citations: vec![cited] }.into(),
            ],
        ),
        user("u"),
    ]);
    request.tools = vec![
        Tool::Opaque { by: Dialect::Responses, kind: "file_search".into(), json: own },
        Tool::Custom { name: "patch".into(), description: None, format: None },
    ];
    request.tool_choice = Some(ToolChoice::Named("patch".into()));
    request.output = OutputFormat::Json;
    request.stop = vec!["\n".into(), "END".into()];
    request.sampling.temperature = Some(1.7);
    request.sampling.seed = Some(7);
    request.sampling.presence_penalty = Some(0.0);
    request.choices = Some(1);
    request.store = Some(false);
    request.service_tier = Some("flex".into());
    request.verbosity = Some("low".into());
    let (body, losses) = written(&request);
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}}])
    );
    assert_eq!(body["messages"][1]["content"], json!([{"type": "text", "text": "a"}]));
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "patch"}));
    assert_eq!(body["tools"][0]["input_schema"]["required"], json!(["input"]));
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(body["temperature"], json!(1.0));
    assert_eq!(
        losses,
        "audio, citations, content.executable_code, document, reasoning, response_format, seed, \
         service_tier, stop, temperature, tools.custom, tools.file_search, verbosity"
    );
}

#[test]
fn thinking_leaves_no_choice_of_drawing() {
    let mut request = with_turns(vec![user("x")]);
    request.thinking =
        Some(Thinking { mode: Some(ThinkingMode::Budget(2_000)), ..Thinking::default() });
    request.max_output_tokens = Some(1_000);
    request.sampling.temperature = Some(0.5);
    request.sampling.top_k = Some(5);
    request.sampling.top_p = Some(0.97);
    let (body, losses) = written(&request);
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 1024}));
    assert_eq!(body["max_tokens"], 2_024);
    assert_eq!((&body["temperature"], &body["top_k"]), (&Value::Null, &Value::Null));
    assert_eq!(body["top_p"], json!(0.97));
    assert_eq!(losses, "temperature, thinking, top_k");
}

#[test]
fn newer_models_are_sent_nothing_that_they_refuse() {
    let mut request = Request::new(model("claude-opus-4-8"), vec![user("x")]);
    request.sampling.temperature = Some(0.5);
    request.sampling.top_p = Some(0.5);
    let (body, losses) = written(&request);
    assert_eq!((&body["temperature"], &body["top_p"]), (&Value::Null, &Value::Null));
    assert_eq!(losses, "temperature, top_p");
    request.model = model("claude-sonnet-4-5");
    let (body, losses) = written(&request);
    assert_eq!((&body["temperature"], &body["top_p"]), (&json!(0.5), &Value::Null));
    assert_eq!(losses, "top_p");
}

#[test]
fn a_choice_among_some_tools_shows_no_others() {
    let tool = |name: &str| Tool::Custom { name: name.into(), description: None, format: None };
    let mut request = with_turns(vec![user("x")]);
    request.tools = vec![tool("a"), tool("b"), tool("c")];
    let names = vec!["a".into(), "c".into()];
    request.tool_choice = Some(ToolChoice::Among { names, must: true });
    let (body, _) = written(&request);
    assert_eq!(body["tools"].as_array().unwrap().len(), 2);
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
    request.tool_choice = Some(ToolChoice::Named("web_search".into()));
    let (body, losses) = written(&request);
    assert_eq!((&body["tool_choice"], &*losses), (&Value::Null, "tool_choice, tools.custom"));
    request.tools.clear();
    let (body, losses) = written(&request);
    assert_eq!((&body["tool_choice"], &*losses), (&Value::Null, "lossless"));
}
