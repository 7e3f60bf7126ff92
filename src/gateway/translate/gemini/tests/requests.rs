//! Requests of clients, and what upstreams get of them.

use serde_json::{Value, json};

use super::{fixture, json as parsed, model, read_request, target};
use crate::{
    domain::chat::{
        CacheHint, CallKind, Content, Dialect, Document, FunctionTool, Json, Losses, OutputFormat,
        Part, Reasoning, ReasoningSignature, Request, Role, Source, Tool, ToolCall, ToolChoice,
        ToolResult, Turn,
    },
    gateway::translate::{
        UpstreamSide,
        gemini::{Cloudcode, Gemini},
    },
};

fn written(request: &Request, name: &str) -> (Value, String) {
    let model = model(name);
    let written = Gemini.write_request(request, &target(&model));
    (parsed(&written.body), written.losses.to_string())
}

fn call(id: &str, name: &str, input: &str) -> ToolCall {
    let (id, name, input) = (id.into(), name.into(), input.into());
    ToolCall { id, name, kind: CallKind::Function, input, signature: None }
}

fn result(call_id: &str, text: &str) -> ToolResult {
    ToolResult {
        call_id: call_id.into(),
        name: None,
        kind: CallKind::Function,
        parts: vec![Part::text(text)],
        is_error: false,
    }
}

fn user(text: &str) -> Turn {
    Turn::new(Role::User, vec![Part::text(text)])
}

#[test]
fn every_request_is_the_same_after_both_ways() {
    for (case, name) in [
        ("plain", "gemini-2.5-flash"),
        ("system", "gemini-2.5-flash"),
        ("image", "gemini-2.5-flash"),
        ("tools", "gemini-2.5-flash"),
        ("parallel_tools", "gemini-3-pro-preview"),
        ("tool_result", "gemini-2.5-flash"),
        ("thinking", "gemini-2.5-flash"),
        ("thinking_tools", "gemini-3-pro-preview"),
        ("schema", "gemini-2.5-flash"),
        ("json_mode", "gemini-2.5-flash"),
        ("max_tokens", "gemini-2.5-flash"),
        ("stop", "gemini-2.5-flash"),
        ("sampling", "gemini-2.5-flash"),
        ("multi_turn", "gemini-2.5-flash"),
        ("document", "gemini-2.5-flash"),
        ("audio", "gemini-2.5-flash"),
        ("own_parts", "gemini-2.5-flash"),
    ] {
        let body = fixture(&format!("requests/{case}.json"));
        let (again, losses) = written(&read_request(&body), name);
        assert_eq!(again, parsed(&body), "{case}");
        assert_eq!(losses, "lossless", "{case}");
    }
}

#[test]
fn what_is_written_is_read_as_the_same_request() {
    for case in ["snake_case", "no_ids", "tools", "thinking", "parallel_tools"] {
        let request = read_request(&fixture(&format!("requests/{case}.json")));
        let model = model("gemini-2.5-flash");
        let again = Gemini.write_request(&request, &target(&model));
        assert_eq!(read_request(&again.body), request, "{case}");
    }
}

#[test]
fn snake_case_and_geminis_own_schema_are_read() {
    let request = read_request(&fixture("requests/snake_case.json"));
    assert!(request.losses.is_empty(), "{}", request.losses);
    assert_eq!(request.turns[0], Turn::new(Role::System, vec![Part::text("Be brief.")]));
    let Content::Image { source: Source::Data { media_type, base64 }, .. } =
        &request.turns[1].parts[0].content
    else {
        panic!("{:?}", request.turns[1])
    };
    assert_eq!((&**media_type, &base64[base64.len() - 4..]), ("image/png", "gg=="));
    assert!(!base64.contains(['-', '_']));
    assert_eq!((request.max_output_tokens, request.sampling.top_k), (Some(64), Some(40)));
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    let parameters = r#"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":["integer","null"]}},"required":["city"]}"#;
    let Tool::Function(function) = &request.tools[0] else { panic!("{:?}", request.tools) };
    assert_eq!(function.parameters.as_ref().map(Json::as_str), Some(parameters));
    let own = Json::parse(r#"{"googleSearch":{}}"#).unwrap();
    let kind = "googleSearch".to_owned();
    assert_eq!(request.tools[1], Tool::Opaque { by: Dialect::Gemini, kind, json: own });
}

#[test]
fn calls_without_ids_get_them_by_their_place() {
    let request = read_request(&fixture("requests/no_ids.json"));
    let ids: Vec<&str> = request
        .parts()
        .filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some(&*call.id),
            Content::ToolResult(result) => Some(&*result.call_id),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["call_0", "call_1", "call_0", "call_1"]);
    assert_eq!(request.turns[2].role, Role::Tool);
}

#[test]
fn results_and_words_beside_them_are_two_turns() {
    let request = read_request(&fixture("requests/tool_result.json"));
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::User]);
    let Content::ToolResult(result) = &request.turns[2].parts[0].content else { panic!() };
    assert!(result.is_error);
    assert_eq!(result.parts, [Part::text("no such city")]);
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("get_weather".into())));
}

#[test]
fn the_chunks_a_client_sends_back_are_one_turn_again() {
    let signature = ReasoningSignature::new(Dialect::Messages, "abc");
    let shown = super::super::signatures::to_client(&signature);
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "I th", "thought": true}]},
        {"role": "model", "parts": [{"text": "ink", "thought": true, "thoughtSignature": shown}]},
        {"role": "model", "parts": [{"text": "Hel"}]},
        {"role": "model", "parts": [{"text": "lo"}]},
        {"role": "model", "parts": [{"thoughtSignature": shown}]},
    ]});
    let request = read_request(body.to_string().as_bytes());
    assert_eq!(request.turns.len(), 2);
    let thoughts = Reasoning {
        text: "I think".into(),
        is_summary: true,
        signature: Some(signature.clone()),
        ..Reasoning::default()
    };
    let hidden = Reasoning {
        is_summary: true,
        signature: Some(signature),
        is_redacted: true,
        ..Reasoning::default()
    };
    let expected: [Part; 3] = [
        Content::Reasoning(thoughts).into(),
        Part::text("Hello"),
        Content::Reasoning(hidden).into(),
    ];
    assert_eq!(request.turns[1].parts, expected);
}

#[test]
fn fields_that_have_no_place_are_losses() {
    let body = json!({
        "contents": [{"parts": [{"text": "x", "videoMetadata": {"fps": 1}}]}],
        "cachedContent": "cachedContents/a", "safetySettings": [], "novel": 1,
        "labels": {"team": "a"}, "serviceTier": "SERVICE_TIER_FLEX",
        "tools": [{"functionDeclarations": [{"name": "f", "behavior": "NON_BLOCKING",
            "response": {"type": "STRING"}}]}],
        "generationConfig": {"speechConfig": {}, "responseModalities": ["TEXT", "IMAGE"]},
    });
    let request = read_request(body.to_string().as_bytes());
    assert_eq!(
        request.losses.to_string(),
        "cachedContent, contents.parts.videoMetadata, generationConfig.responseModalities, \
         generationConfig.speechConfig, novel, tools.behavior, tools.response"
    );
    assert_eq!(request.metadata["team"], "a");
    assert_eq!(request.service_tier.as_deref(), Some("flex"));
}

#[test]
fn strict_functions_are_validated() {
    let function = |strict| {
        Tool::Function(FunctionTool {
            name: "f".into(),
            description: None,
            parameters: None,
            strict,
            cache: None,
        })
    };
    let mut request = Request::new(model("m"), vec![user("x")]);
    request.tools = vec![function(Some(true))];
    let (body, losses) = written(&request, "gemini-2.5-flash");
    assert_eq!(body["toolConfig"], json!({"functionCallingConfig": {"mode": "VALIDATED"}}));
    assert_eq!(losses, "lossless");
    let again = read_request(body.to_string().as_bytes());
    assert_eq!((again.tools, again.tool_choice), (request.tools.clone(), Some(ToolChoice::Auto)));

    request.tools.push(function(None));
    let (body, losses) = written(&request, "gemini-2.5-flash");
    assert_eq!((&body["toolConfig"], &*losses), (&Value::Null, "tools.strict"));

    request.tools.truncate(1);
    request.tool_choice = Some(ToolChoice::Among { names: vec!["f".into()], must: false });
    let (body, _) = written(&request, "gemini-2.5-flash");
    let calling = &body["toolConfig"]["functionCallingConfig"];
    assert_eq!(calling, &json!({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}));
}

#[test]
fn a_conversation_of_other_models_is_signed_and_named_for_gemini_3() {
    let mut foreign = call("toolu_1", "f", r#"{"a":1}"#);
    foreign.signature = Some(ReasoningSignature::new(Dialect::Messages, "x"));
    let thoughts = Reasoning {
        text: "hm".into(),
        signature: Some(ReasoningSignature::new(Dialect::Messages, "y")),
        ..Reasoning::default()
    };
    let turns = vec![
        Turn::new(Role::Developer, vec![Part::text("Be brief.")]),
        user("hi"),
        Turn::new(
            Role::Assistant,
            vec![
                Content::Reasoning(thoughts).into(),
                Content::ToolCall(foreign).into(),
                Content::ToolCall(call("toolu_2", "g", "")).into(),
            ],
        ),
        Turn::new(
            Role::Tool,
            vec![
                Content::ToolResult(result("toolu_1", "one")).into(),
                Content::ToolResult(result("toolu_2", r#"{"two":2}"#)).into(),
            ],
        ),
        Turn::new(Role::System, vec![Part::text("Hurry.")]),
    ];
    let request = Request::new(model("m"), turns);
    let (body, losses) = written(&request, "gemini-3-flash-preview");
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "toolu_1", "name": "f", "args": {"a": 1}},
                 "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"id": "toolu_2", "name": "g", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "toolu_1", "name": "f", "response": {"result": "one"}}},
                {"functionResponse": {"id": "toolu_2", "name": "g", "response": {"two": 2}}},
                {"text": "Hurry."},
            ]},
        ],
    });
    assert_eq!(body, expected);
    assert_eq!(losses, "messages.role, reasoning, reasoning.signature");
    let (body, _) = written(&request, "gemini-2.5-pro");
    assert_eq!(body["contents"][1]["parts"][0].get("thoughtSignature"), None);
}

#[test]
fn pictures_in_results_stand_where_the_model_takes_them() {
    let source = Source::Data { media_type: "image/png".into(), base64: "AAAA".into() };
    let mut shot = result("c", "done");
    shot.parts.push(Content::Image { source, detail: None }.into());
    let calls = vec![Content::ToolCall(call("c", "f", "{}")).into()];
    let results =
        vec![Content::ToolResult(shot).into(), Content::ToolResult(result("d", "after")).into()];
    let turns = vec![user("x"), Turn::new(Role::Assistant, calls), Turn::new(Role::Tool, results)];
    let request = Request::new(model("m"), turns);
    let blob = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let (body, losses) = written(&request, "gemini-3-flash-preview");
    let parts = &body["contents"][2]["parts"];
    assert_eq!(parts[0]["functionResponse"]["parts"], json!([blob]));
    assert_eq!(parts[1]["functionResponse"]["name"], "unknown_function");
    assert_eq!(losses, "lossless");

    let (body, losses) = written(&request, "gemini-2.5-flash");
    let parts = &body["contents"][2]["parts"];
    assert_eq!(parts[1]["functionResponse"]["response"], json!({"result": "after"}));
    assert_eq!((&parts[2], &*losses), (&blob, "tool_result.image"));
}

#[test]
fn what_gemini_cannot_say_is_lost_with_its_name() {
    let image = |url: &str| Content::Image { source: Source::Url(url.into()), detail: None }.into();
    let mut cached = Part::text("x");
    cached.cache = Some(CacheHint::OneHour);
    let document = Content::Document(Document {
        source: Source::Text("words".into()),
        title: Some("t".into()),
        context: None,
        citations: Some(true),
    });
    let foreign = Content::Opaque {
        by: Dialect::Messages,
        kind: "compaction".into(),
        json: Json::parse("{}").unwrap(),
    };
    let parts = vec![
        image("https://example.com/a.png"),
        image("https://generativelanguage.googleapis.com/v1beta/files/a"),
        cached,
        document.into(),
        foreign.into(),
    ];
    let mut request = Request::new(model("m"), vec![Turn::new(Role::User, parts)]);
    request.turns[0].name = Some("ada".into());
    request.sampling.min_p = Some(0.1);
    request.sampling.repeat_penalty = Some(1.1);
    request.parallel_tool_calls = Some(false);
    request.metadata.insert("a".into(), "b".into());
    request.user = Some("u".into());
    request.store = Some(true);
    request.cache_key = Some("k".into());
    request.verbosity = Some("low".into());
    request.service_tier = Some("scale".into());
    request.stop = (0..6).map(|n| n.to_string()).collect();
    request.tool_choice = Some(ToolChoice::Required);
    let by = Dialect::Responses;
    let own = Json::parse("{}").unwrap();
    request.tools = vec![Tool::Opaque { by, kind: "web_search".into(), json: own }];
    let (body, losses) = written(&request, "gemini-2.5-flash");
    assert_eq!(
        body["contents"][0]["parts"],
        json!([
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}},
            {"text": "x"},
            {"text": "words"},
        ])
    );
    assert_eq!(body["generationConfig"]["stopSequences"].as_array().unwrap().len(), 5);
    assert_eq!(
        losses,
        "cache_control, content.compaction, document.citations, document.title, image.url, \
         messages.name, metadata, min_p, parallel_tool_calls, prompt_cache_key, repeat_penalty, \
         service_tier, stop, store, tool_choice, tools.web_search, user, verbosity"
    );
}

#[test]
fn instructions_alone_become_what_is_to_be_answered() {
    let turns = vec![Turn::new(Role::System, vec![Part::text("Say hi.")])];
    let (body, losses) = written(&Request::new(model("m"), turns), "gemini-2.5-flash");
    let expected = json!({"contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]});
    assert_eq!((body, &*losses), (expected, "messages.role"));
}

#[test]
fn a_custom_tool_is_a_function_with_one_text() {
    let mut custom = call("c", "patch", "*** Begin");
    custom.kind = CallKind::Custom;
    let calls = vec![Content::ToolCall(custom).into()];
    let mut request =
        Request::new(model("m"), vec![user("x"), Turn::new(Role::Assistant, calls), user("y")]);
    request.tools = vec![Tool::Custom { name: "patch".into(), description: None, format: None }];
    let (body, losses) = written(&request, "gemini-2.5-flash");
    let function = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(function["parametersJsonSchema"]["required"], json!(["input"]));
    let args = &body["contents"][1]["parts"][0]["functionCall"]["args"];
    assert_eq!(args, &json!({"input": "*** Begin"}));
    assert_eq!(losses, "tool_call.input, tools.custom");
}

#[test]
fn a_schema_passes_unharmed() {
    let request = read_request(&fixture("requests/schema.json"));
    let OutputFormat::Schema { schema, .. } = &request.output else { panic!() };
    assert!(schema.as_str().contains("additionalProperties") && schema.as_str().contains("$ref"));
}

#[test]
fn cloud_code_has_an_envelope_around_it() {
    let model = model("gemini-2.5-pro");
    let cloud = Cloudcode { project: Some("p-1") };
    let mut request = read_request(&fixture("requests/plain.json"));
    request.service_tier = Some("flex".into());
    let written = cloud.write_request(&request, &target(&model));
    let plain = parsed(&fixture("requests/plain.json"));
    let expected = json!({"model": "gemini-2.5-pro", "project": "p-1", "request": plain});
    assert_eq!(
        (parsed(&written.body), &*written.losses.to_string()),
        (expected.clone(), "service_tier")
    );
    let wrapped = cloud.wrap(&fixture("requests/plain.json"), &model).unwrap();
    assert_eq!(parsed(&wrapped), expected);
    assert_eq!(cloud.wrap(b"{", &model), None);
    let homeless = Cloudcode { project: None }.wrap(b"{}", &model).unwrap();
    assert_eq!(homeless, br#"{"model":"gemini-2.5-pro","request":{}}"#);
}

#[test]
fn losses_of_the_reader_come_with_those_of_the_writer() {
    let mut request = Request::new(model("m"), vec![user("x")]);
    request.losses = Losses::default();
    request.losses.note("novel");
    assert_eq!(written(&request, "gemini-2.5-flash").1, "novel");
}
