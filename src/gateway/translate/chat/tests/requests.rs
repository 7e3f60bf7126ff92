use serde_json::{Value, json};

use super::support::{cases, fixture, meaning, read_request, write_request};
use crate::domain::chat::{
    CacheHint, CallKind, Content, Dialect, Document, Effort, ImageDetail, OutputFormat, Part,
    Reasoning, ReasoningSignature, Role, Source, ThinkingMode, Tool, ToolCall, ToolChoice,
    ToolResult, Turn,
};

fn request(name: &str) -> crate::domain::chat::Request {
    read_request(&fixture(&format!("requests/{name}.json")))
}

fn call(id: &str, name: &str, input: &str) -> ToolCall {
    ToolCall {
        id: id.into(),
        name: name.into(),
        kind: CallKind::Function,
        input: input.into(),
        signature: None,
    }
}

fn result(call_id: &str, name: &str, parts: Vec<Part>) -> Part {
    Content::ToolResult(ToolResult {
        call_id: call_id.into(),
        name: Some(name.into()),
        kind: CallKind::Function,
        parts,
        is_error: false,
    })
    .into()
}

#[test]
fn every_request_comes_back_as_it_was() {
    for name in cases("requests").iter().filter(|name| *name != "functions") {
        let body = fixture(&format!("requests/{name}.json"));
        let request = read_request(&body);
        let written = write_request(&request);
        assert!(written.losses.is_empty(), "{name}: {}", written.losses);
        let before: Value = serde_json::from_slice(&body).unwrap();
        let after: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!(meaning(after, &[]), meaning(before, &[]), "{name}");
        assert_eq!(read_request(&written.body), request, "{name}");
    }
}

#[test]
fn every_role_has_its_turn() {
    use Role::{Assistant, System, User};

    let turns = request("multi_turn").turns;
    let roles: Vec<_> = turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [System, User, Assistant, User, Assistant, User]);
    assert_eq!(turns[1].name.as_deref(), Some("ann"));
    assert_eq!(turns[4].parts, [Part::from(Content::Refusal("I can't say.".into()))]);
    assert_eq!(request("system").turns[1].role, Role::Developer);
}

#[test]
fn results_that_follow_each_other_are_one_turn_and_know_what_was_called() {
    let turns = request("parallel_tools").turns;
    let said = vec![
        Part::text("I shall look."),
        Content::ToolCall(call("call_a1", "get_weather", r#"{"city":"Paris"}"#)).into(),
        Content::ToolCall(call("call_b2", "get_time", r#"{"city":"Rome"}"#)).into(),
    ];
    assert_eq!(turns[1], Turn::new(Role::Assistant, said));
    let results = vec![
        result("call_a1", "get_weather", vec![Part::text("18 degrees, sunny")]),
        result("call_b2", "get_time", vec![Part::text("12:30")]),
    ];
    assert_eq!(turns[2], Turn::new(Role::Tool, results));
    assert_eq!(turns.len(), 3);
}

#[test]
fn pictures_sounds_and_files_are_read() {
    let image = |source, detail| Part::from(Content::Image { source, detail });
    let parts = &request("image").turns[0].parts;
    let url = Source::Url("https://example.com/cat.png".into());
    assert_eq!(parts[1], image(url, Some(ImageDetail::Low)));
    let Content::Image { source: Source::Data { media_type, base64 }, detail: None } =
        &parts[2].content
    else {
        panic!("{:?}", parts[2]);
    };
    assert_eq!((media_type.as_str(), base64.len()), ("image/png", 96));
    let parts = &request("document").turns[0].parts;
    let document = |source, title: Option<&str>| {
        let title = title.map(Into::into);
        Part::from(Content::Document(Document { source, title, context: None, citations: None }))
    };
    let pdf = Source::Data { media_type: "application/pdf".into(), base64: "JVBERi0xLjcK".into() };
    assert_eq!(parts[0], document(pdf, Some("a.pdf")));
    let file = Source::File { by: Dialect::Chat, id: "file-abc123".into() };
    assert_eq!(parts[1], document(file, None));
    let wav = Source::Data { media_type: "audio/wav".into(), base64: "UklGRiQAAABXQVZF".into() };
    assert_eq!(request("audio").turns[0].parts[1], Part::from(Content::Audio(wav)));
}

#[test]
fn thoughts_are_read_with_what_signs_them() {
    let parts = request("thinking_tools").turns.swap_remove(1).parts;
    let thought = Reasoning { text: "I need the tool.".into(), ..Reasoning::default() };
    assert_eq!(parts[0], Part::from(Content::Reasoning(thought)));
    let parts = request("thinking_details").turns.swap_remove(1).parts;
    let Content::Reasoning(signed) = &parts[0].content else { panic!("{:?}", parts[0]) };
    assert_eq!(signed.text, "I need the tool.");
    let entry = r#"{"type":"reasoning.text","signature":"EqoBCkgIBRAB","format":"anthropic-claude-v1","index":0}"#;
    assert_eq!(signed.signature, Some(ReasoningSignature::new(Dialect::Chat, entry)));
    let Content::Reasoning(hidden) = &parts[1].content else { panic!("{:?}", parts[1]) };
    assert!(hidden.is_redacted && hidden.text.is_empty());
}

#[test]
fn what_is_to_be_cached_is_marked() {
    let turns = request("cache").turns;
    assert_eq!(turns[0].parts[0].cache, None);
    assert_eq!(turns[0].parts[1].cache, Some(CacheHint::OneHour));
    assert_eq!(turns[1].parts[0].cache, Some(CacheHint::FiveMinutes));
}

#[test]
fn tools_and_choices_among_them_are_read() {
    let asked = request("tools");
    let Tool::Function(weather) = &asked.tools[0] else { panic!("{:?}", asked.tools) };
    assert_eq!((weather.name.as_str(), weather.strict), ("get_weather", Some(true)));
    assert_eq!(asked.tool_choice, Some(ToolChoice::Named("get_weather".into())));
    assert_eq!(asked.parallel_tool_calls, Some(false));
    let asked = request("custom_tools");
    let Tool::Custom { format: Some(format), .. } = &asked.tools[0] else {
        panic!("{:?}", asked.tools)
    };
    let flat = r#"{"type":"grammar","syntax":"regex","definition":"^[a-z -]+$"}"#;
    assert_eq!(format.as_str(), flat);
    let names = vec!["shell".into(), "get_weather".into()];
    assert_eq!(asked.tool_choice, Some(ToolChoice::Among { names, must: true }));
}

#[test]
fn legacy_functions_are_tools_and_their_calls_have_no_ids() {
    let asked = request("functions");
    assert!(asked.wants_function_call && asked.losses.is_empty());
    assert_eq!(asked.tools.len(), 1);
    assert_eq!(asked.tool_choice, Some(ToolChoice::Auto));
    let called = Content::ToolCall(call("", "get_weather", r#"{"city":"Paris"}"#));
    assert_eq!(asked.turns[1].parts, [Part::from(called)]);
    let given = result("", "get_weather", vec![Part::text("18 degrees")]);
    assert_eq!(asked.turns[2].parts, [given]);
    let written: Value = serde_json::from_slice(&write_request(&asked).body).unwrap();
    assert_eq!(written["messages"][1]["tool_calls"][0]["id"], "call_0");
    assert_eq!(written["messages"][2]["tool_call_id"], "call_0");
    assert_eq!(written["messages"][2]["role"], "tool");
}

#[test]
fn all_that_shapes_an_answer_is_read() {
    let asked = request("sampling");
    let sampling = asked.sampling;
    assert_eq!((sampling.temperature, sampling.top_p), (Some(0.7), Some(0.9)));
    assert_eq!((sampling.seed, asked.choices, asked.logprobs), (Some(42), Some(2), Some(2)));
    assert!(asked.stream && asked.wants_stream_usage);
    assert_eq!(asked.metadata["run"], "7");
    assert_eq!(request("stop").stop, ["5", "six"]);
    assert_eq!(request("max_tokens").max_output_tokens, Some(5));
    assert_eq!(request("json_mode").output, OutputFormat::Json);
    let OutputFormat::Schema { name, strict, .. } = request("schema").output else { panic!() };
    assert_eq!((name.as_deref(), strict), (Some("person"), Some(true)));
    let mode = request("thinking").thinking.unwrap().mode;
    assert_eq!(mode, Some(ThinkingMode::Effort(Effort::High)));
}

/// Reads a request with these fields beside its model and its message.
fn with(fields: &Value) -> crate::domain::chat::Request {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    read_request(body.to_string().as_bytes())
}

#[test]
fn all_words_for_thinking_are_understood() {
    let mode = |fields| with(&fields).thinking.and_then(|thinking| thinking.mode);
    let effort = |effort| Some(ThinkingMode::Effort(effort));
    assert_eq!(mode(json!({"reasoning_effort": "none"})), Some(ThinkingMode::Off));
    assert_eq!(mode(json!({"reasoning_effort": "xhigh"})), effort(Effort::XHigh));
    assert_eq!(mode(json!({"reasoning": {"effort": "low"}})), effort(Effort::Low));
    assert_eq!(mode(json!({"reasoning": {"max_tokens": 9}})), Some(ThinkingMode::Budget(9)));
    assert_eq!(mode(json!({"reasoning": {"enabled": true}})), Some(ThinkingMode::Adaptive));
    assert_eq!(mode(json!({"reasoning": {"enabled": false}})), Some(ThinkingMode::Off));
    assert_eq!(mode(json!({"thinking": {"type": "disabled"}})), Some(ThinkingMode::Off));
    let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 7}});
    assert_eq!(mode(budget), Some(ThinkingMode::Budget(7)));
    let both = json!({"thinking": {"type": "enabled"}, "reasoning_effort": "max"});
    assert_eq!(mode(both), effort(Effort::Max));
    assert_eq!(mode(json!({"enable_thinking": false})), Some(ThinkingMode::Off));
    let shown = with(&json!({"reasoning": {"exclude": true}})).thinking.unwrap().is_shown;
    assert_eq!(shown, Some(false));
    let odd = with(&json!({"reasoning_effort": "enormous"}));
    assert_eq!((odd.thinking, odd.losses.to_string()), (None, "thinking".to_owned()));
}

#[test]
fn what_nobody_knows_is_lost_by_its_name_and_what_says_nothing_is_not() {
    let asked = with(&json!({
        "logit_bias": {"1": 2}, "modalities": ["text", "audio"], "audio": {"voice": "x"},
        "prediction": {"type": "content"}, "web_search_options": {"x": 1}, "top_a": 0.5,
        "metadata": {"a": "b", "c": 1},
    }));
    let expected = "audio, logit_bias, metadata, modalities, prediction, top_a, web_search_options";
    assert_eq!(asked.losses.to_string(), expected);
    assert_eq!(asked.metadata.len(), 1);
    let usual = with(&json!({
        "logit_bias": {}, "modalities": ["text"], "audio": null, "n": 1, "store": false,
        "parallel_tool_calls": true, "service_tier": "auto", "tool_choice": "auto", "x": [],
    }));
    assert!(write_request(&usual).losses.is_empty(), "{}", write_request(&usual).losses);
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "hi", "prefix": true},
        {"role": "user", "content": [{"type": "hologram", "x": 1}]},
    ]});
    let asked = read_request(body.to_string().as_bytes());
    assert_eq!(asked.losses.to_string(), "messages.prefix");
    let Content::Opaque { kind, .. } = &asked.turns[1].parts[0].content else { panic!() };
    assert_eq!(kind, "hologram");
}
