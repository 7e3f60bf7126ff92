//! What clients send and get, in exact forms.

use std::borrow::Cow;

use serde_json::json as value;

use super::*;
use crate::domain::{
    chat::{
        CallKind, Citation, Dialect, Effort, Losses, OutputFormat, ReasoningSignature, Role,
        Source, StopReason, Thinking, ThinkingMode, Tool, ToolResult, Turn,
    },
    usage::TokenUsage,
};

fn usage(input: u64, output: u64) -> Usage {
    let tokens = TokenUsage { input, output, ..TokenUsage::default() };
    Usage { tokens, ..Usage::default() }
}

fn call(id: &str, name: &str, input: &str) -> Part {
    let (id, name, input) = (id.into(), name.into(), input.into());
    Content::ToolCall(ToolCall { id, name, kind: CallKind::Function, input, signature: None })
        .into()
}

fn result(call_id: &str, name: &str, text: &str) -> Part {
    Content::ToolResult(ToolResult {
        call_id: call_id.into(),
        name: Some(name.into()),
        kind: CallKind::Function,
        parts: vec![Part::text(text)],
        is_error: false,
    })
    .into()
}

fn thoughts(text: &str) -> Part {
    Content::Reasoning(Reasoning { text: text.into(), ..Reasoning::default() }).into()
}

fn refused(body: &str) -> Option<String> {
    let error = OllamaChat.read_request(body.as_bytes(), &PathParams::default()).expect_err(body);
    error.param.map(Cow::into_owned)
}

#[test]
fn a_conversation_with_tools_and_thoughts_is_read() {
    let request = read_chat_fixture("thinking_tools");
    assert_eq!(
        request.turns,
        [
            Turn::new(Role::User, vec![Part::text("What is the weather in Paris?")]),
            Turn::new(
                Role::Assistant,
                vec![
                    thoughts("The user wants the weather. I should call the tool."),
                    call(
                        "call_9x8y7z6w",
                        "get_weather",
                        "{\n          \"city\": \"Paris\"\n        }"
                    ),
                ]
            )
            .indented_like(&request.turns[1]),
            Turn::new(
                Role::Tool,
                vec![result("call_9x8y7z6w", "get_weather", "11 degrees, cloudy")]
            ),
        ]
    );
    let Tool::Function(tool) = &request.tools[0] else { panic!("{:?}", request.tools) };
    assert_eq!((tool.name.as_str(), tool.strict), ("get_weather", None));
    let thinking =
        Thinking { mode: Some(ThinkingMode::Adaptive), is_shown: Some(true), summary: None };
    assert_eq!(request.thinking, Some(thinking));
    assert!(request.stream && request.wants_stream_usage);
}

trait Indented {
    fn indented_like(self, other: &Self) -> Self;
}

impl Indented for Turn {
    /// Takes over how the inputs of calls are indented in a fixture.
    fn indented_like(mut self, other: &Self) -> Self {
        for (part, other) in self.parts.iter_mut().zip(&other.parts) {
            if let (Content::ToolCall(call), Content::ToolCall(other)) =
                (&mut part.content, &other.content)
            {
                assert_eq!(json(call.input.as_bytes()), json(other.input.as_bytes()));
                call.input.clone_from(&other.input);
            }
        }
        self
    }
}

#[test]
fn neighbouring_results_are_one_turn_and_find_their_calls_without_ids() {
    let request = read_chat(
        br#"{"model":"m","messages":[
            {"role":"user","content":"go"},
            {"role":"Assistant","tool_calls":[
                {"function":{"name":"a","arguments":{"x":1}}},
                {"function":{"name":"b","arguments":"{\"y\":2}","index":1}}]},
            {"role":"tool","tool_name":"b","content":"B"},
            {"role":"tool","content":"A"}]}"#,
    );
    assert_eq!(
        request.turns[1..],
        [
            Turn::new(
                Role::Assistant,
                vec![call("call_0", "a", "{\"x\":1}"), call("call_1", "b", "{\"y\":2}")]
            ),
            Turn::new(Role::Tool, vec![result("call_1", "b", "B"), result("call_0", "a", "A")]),
        ]
    );
    assert!(request.losses.is_empty(), "{}", request.losses);
}

#[test]
fn pictures_come_before_the_text() {
    let request = read_chat_fixture("image");
    let [picture, text] = request.turns[0].parts.as_slice() else { panic!("{request:?}") };
    let Content::Image { source: Source::Data { media_type, .. }, detail: None } = &picture.content
    else {
        panic!("{picture:?}")
    };
    assert_eq!(media_type, "image/png");
    assert_eq!(*text, Part::text("What is in this picture?"));
}

#[test]
fn settings_are_read() {
    let request = read_chat_fixture("sampling");
    let sampling = request.sampling;
    assert_eq!(
        (sampling.temperature, sampling.top_k, sampling.seed),
        (Some(0.8), Some(20), Some(42))
    );
    assert_eq!((sampling.min_p, sampling.repeat_penalty), (Some(0.05), Some(1.2)));
    assert_eq!((request.max_output_tokens, request.logprobs), (Some(100), Some(2)));
    assert_eq!(read_chat_fixture("stop").stop, ["\n", "5"]);
    assert_eq!(read_chat_fixture("json_mode").output, OutputFormat::Json);
    let OutputFormat::Schema { name: None, strict: None, .. } = read_chat_fixture("schema").output
    else {
        panic!("no schema")
    };
}

#[test]
fn what_says_no_more_than_nothing_is_no_limit_and_no_loss() {
    let request = read_chat(
        br#"{"model":"m","messages":[{"role":"user","content":"x"}],"format":"","think":null,
            "options":{"num_predict":-1,"seed":-1,"top_k":-1,"stop":"x"},"truncate":true}"#,
    );
    assert_eq!((request.max_output_tokens, request.sampling.seed), (None, None));
    assert_eq!((&request.output, request.thinking.as_ref()), (&OutputFormat::Text, None));
    assert_eq!(request.stop, ["x"]);
    assert!(request.losses.is_empty(), "{}", request.losses);
}

#[test]
fn how_to_think_is_a_switch_or_a_level() {
    let mode = |think: &str| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"think":{think}}}"#
        );
        read_chat(body.as_bytes()).thinking.unwrap().mode.unwrap()
    };
    assert_eq!(mode("true"), ThinkingMode::Adaptive);
    assert_eq!(mode("false"), ThinkingMode::Off);
    assert_eq!(mode("\"low\""), ThinkingMode::Effort(Effort::Low));
    assert_eq!(mode("\"max\""), ThinkingMode::Effort(Effort::Max));
}

#[test]
fn a_wrong_request_is_refused_with_the_path_of_what_is_wrong() {
    let with = |field: &str| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{field}}}"#)
    };
    let message = |message: &str| format!(r#"{{"model":"m","messages":[{message}]}}"#);
    let table = [
        (r#"{"messages":[{}]}"#.to_owned(), "model"),
        (r#"{"model":"","messages":[{}]}"#.to_owned(), "model"),
        (r#"{"model":7,"messages":[{}]}"#.to_owned(), "model"),
        (r#"{"model":"m"}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":[]}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":"x"}"#.to_owned(), "messages"),
        (message("7"), "messages[0]"),
        (message(r#"{"content":"x"}"#), "messages[0].role"),
        (message(r#"{"role":"robot"}"#), "messages[0].role"),
        (message(r#"{"role":"user","content":[]}"#), "messages[0].content"),
        (message(r#"{"role":"user","images":["!"]}"#), "messages[0].images[0]"),
        (
            message(r#"{"role":"assistant","tool_calls":[{"function":{"name":""}}]}"#),
            "messages[0].tool_calls[0].function.name",
        ),
        (
            message(
                r#"{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":[]}}]}"#,
            ),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (with(r#""stream":"yes""#), "stream"),
        (with(r#""tools":{}"#), "tools"),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].function"),
        (with(r#""tools":[{"function":{}}]"#), "tools[0].function.name"),
        (
            with(r#""tools":[{"function":{"name":"f","parameters":[]}}]"#),
            "tools[0].function.parameters",
        ),
        (with(r#""format":"xml""#), "format"),
        (with(r#""think":"hard""#), "think"),
        (with(r#""top_logprobs":21"#), "top_logprobs"),
        (with(r#""options":[]"#), "options"),
        (with(r#""options":{"temperature":"hot"}"#), "options.temperature"),
        (with(r#""options":{"stop":[1]}"#), "options.stop"),
    ];
    for (body, param) in table {
        assert_eq!(refused(&body).as_deref(), Some(param), "{body}");
    }
    let many = vec![r#"{"function":{"name":"f"}}"#; 1_025].join(",");
    let body = message(&format!(r#"{{"role":"assistant","tool_calls":[{many}]}}"#));
    assert_eq!(refused(&body).as_deref(), Some("messages[0].tool_calls"));
}

#[test]
fn fields_that_nobody_knows_are_lost_by_their_name() {
    let request = read_chat(
        br#"{"model":"m","messages":[{"role":"user","content":"x","name":"n","thinking":"t"}],
            "tools":[{"type":"web_search"}],"tool_choice":"auto","keep_alive":0}"#,
    );
    assert_eq!(
        request.losses.to_string(),
        "keep_alive, messages.name, messages.thinking, tool_choice, tools.web_search"
    );
}

#[test]
fn a_prompt_is_a_conversation_of_one_turn() {
    let body = fixture("generate", "full");
    let request = OllamaGenerate.read_request(&body, &PathParams::default()).unwrap();
    assert_eq!(request.turns[0], Turn::new(Role::System, vec![Part::text("You are brief.")]));
    assert_eq!(request.turns[1].role, Role::User);
    assert_eq!(request.turns[1].parts[1], Part::text("What is in this picture?"));
    assert_eq!((request.stream, &request.output), (true, &OutputFormat::Json));
    assert_eq!(request.losses.to_string(), "context, keep_alive");
}

#[test]
fn a_prompt_that_no_chat_can_answer_is_refused() {
    for (field, param) in [
        (r#""prompt":"x","suffix":"y""#, "suffix"),
        (r#""prompt":"x","raw":true"#, "raw"),
        (r#""prompt":"""#, "prompt"),
        (r#""system":"x""#, "prompt"),
    ] {
        let body = format!(r#"{{"model":"m",{field}}}"#);
        let error =
            OllamaGenerate.read_request(body.as_bytes(), &PathParams::default()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{field}");
    }
}

#[test]
fn an_answer_is_written_in_both_shapes() {
    let request = any_request();
    let parts = vec![thoughts("hm"), Part::text("a "), Part::text("b")];
    let choice = Choice { parts, stop: StopReason::MaxTokens, logprobs: None };
    let answer = Answer { choices: vec![choice], usage: Some(usage(3, 4)), ..Answer::default() };
    let mut losses = Losses::default();
    let end = r#""done":true,"done_reason":"length","total_duration":0,"load_duration":0,"prompt_eval_count":3,"prompt_eval_duration":0,"eval_count":4,"eval_duration":0}"#;
    let begin = r#"{"model":"asked-for","created_at":"2026-01-01T00:00:00.000Z","#;
    let chat = OllamaChat.write_answer(&answer, &shown(&request), &mut losses);
    assert_eq!(
        String::from_utf8(chat).unwrap(),
        format!(r#"{begin}"message":{{"role":"assistant","content":"a b","thinking":"hm"}},{end}"#)
    );
    let generate = OllamaGenerate.write_answer(&answer, &shown(&request), &mut losses);
    assert_eq!(
        String::from_utf8(generate).unwrap(),
        format!(r#"{begin}"response":"a b","thinking":"hm",{end}"#)
    );
    assert!(losses.is_empty());
}

#[test]
fn what_an_answer_cannot_say_is_lost() {
    let request = any_request();
    let signature = Some(ReasoningSignature::new(Dialect::Messages, "sig"));
    let parts = vec![
        Content::Reasoning(Reasoning { text: "hm".into(), signature, ..Reasoning::default() })
            .into(),
        Content::Reasoning(Reasoning { is_redacted: true, ..Reasoning::default() }).into(),
        Content::Text { text: "a".into(), citations: vec![Citation::default()] }.into(),
        Content::Refusal("no".into()).into(),
        Content::Image { source: Source::Url("https://x.test".into()), detail: None }.into(),
        call("", "f", "not JSON"),
    ];
    let choice = Choice { parts, stop: StopReason::Paused, logprobs: None };
    let told = Usage { reasoning: Some(2), is_estimated: true, ..usage(3, 4) };
    let answer =
        Answer { choices: vec![choice, Choice::default()], usage: Some(told), ..Answer::default() };
    let mut losses = Losses::default();
    let written = json(&OllamaChat.write_answer(&answer, &shown(&request), &mut losses));
    assert_eq!(
        losses.to_string(),
        "citations, image.url, n, reasoning, reasoning.signature, refusal, stop_reason, \
         tool_call.input, usage.reasoning"
    );
    assert_eq!(written["message"]["content"], "ano");
    assert_eq!(written["usage_estimated"], true);
    assert_eq!(
        written["message"]["tool_calls"],
        value!([{"id": "call_abc123_0",
            "function": {"index": 0, "name": "f", "arguments": {"input": "not JSON"}}}])
    );
}

fn written(api: &dyn ClientSide, deltas: Vec<Delta<'_>>) -> (String, String) {
    let request = any_request();
    let mut writer = api.stream_writer(&shown(&request));
    let mut out = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut out);
    }
    writer.finish(usage(3, 4), &mut out);
    let text = String::from_utf8(out).unwrap();
    (text.replace("2026-01-01T00:00:00.000Z", "T"), writer.losses().to_string())
}

const END: &str = r#""done":true,"done_reason":"stop","total_duration":0,"load_duration":0,"prompt_eval_count":3,"prompt_eval_duration":0,"eval_count":4,"eval_duration":0}
"#;

#[test]
fn a_stream_is_written_line_by_line() {
    let text = |text| Delta::Text { choice: 0, text: Cow::Borrowed(text) };
    let think = |text| Delta::Reasoning { choice: 0, text: Cow::Borrowed(text), is_summary: false };
    let stream = || {
        vec![
            Delta::Begin { id: Some("x".into()), model: Some("m".into()) },
            think("hm"),
            Delta::Break { choice: 0 },
            think("so"),
            text("Hé\n"),
            Delta::Stop { choice: 0, reason: StopReason::Finished },
        ]
    };
    let begin = r#"{"model":"m","created_at":"T","#;
    let (chat, losses) = written(&OllamaChat, stream());
    let says = |fields: &str| {
        format!(r#"{begin}"message":{{"role":"assistant","content":{fields}}},"done":false}}"#)
            + "\n"
    };
    let expected = [
        says(r#""","thinking":"hm""#),
        says(r#""","thinking":"\n\n""#),
        says(r#""","thinking":"so""#),
        says(r#""Hé\n""#),
        format!(r#"{begin}"message":{{"role":"assistant","content":""}},{END}"#),
    ];
    assert_eq!(chat, expected.concat());
    assert_eq!(losses, "lossless");
    let (generate, _) = written(&OllamaGenerate, stream());
    assert!(generate.contains(r#"{"model":"m","created_at":"T","response":"Hé\n","done":false}"#));
    assert!(generate.ends_with(&format!(r#"{begin}"response":"",{END}"#)));
}

#[test]
fn calls_are_held_until_they_are_whole() {
    let begin = |number, id: &'static str| Delta::CallBegin {
        choice: 0,
        number,
        id: id.into(),
        name: "f".into(),
        kind: CallKind::Function,
        signature: None,
    };
    let input =
        |number, text: &'static str| Delta::CallInput { choice: 0, number, text: text.into() };
    let (stream, losses) = written(
        &OllamaChat,
        vec![
            begin(0, "a"),
            input(0, "{\"x\":\n"),
            begin(1, ""),
            input(1, ""),
            input(0, "1}"),
            input(7, "of no call"),
            Delta::Text { choice: 0, text: "then".into() },
            begin(2, "c"),
            input(2, "{}"),
            Delta::Text { choice: 1, text: "another answer".into() },
            Delta::Stop { choice: 0, reason: StopReason::ToolCalls },
        ],
    );
    let lines: Vec<Value> = stream.lines().map(|line| json(line.as_bytes())).collect();
    assert_eq!(
        lines[0]["message"]["tool_calls"],
        value!([
            {"id": "a", "function": {"index": 0, "name": "f", "arguments": {"x": 1}}},
            {"id": "call_abc123_1", "function": {"index": 1, "name": "f", "arguments": {}}},
        ])
    );
    assert_eq!(lines[1]["message"]["content"], "then");
    assert_eq!(
        lines[2]["message"]["tool_calls"],
        value!([{"id": "c", "function": {"index": 2, "name": "f", "arguments": {}}}])
    );
    assert_eq!((lines.len(), &lines[3]["done_reason"]), (4, &value!("stop")));
    assert_eq!(losses, "n");
}

#[test]
fn an_error_is_one_text_in_every_place() {
    let view = ErrorView {
        status: 404,
        message: "model \"m\" not found",
        kind: "invalid_request_error",
        param: None,
        code: None,
    };
    let body = br#"{"error":"model \"m\" not found"}"#;
    assert_eq!(OllamaChat.error_body(&view), body);
    let line = [&body[..], b"\n"].concat();
    assert_eq!(OllamaGenerate.error_event(&view), line);
    let request = any_request();
    let mut out = Vec::new();
    OllamaChat.stream_writer(&shown(&request)).fail(&view, &mut out);
    assert_eq!(out, line);
}

/// A tool would be carried out with half of its input.
#[test]
fn a_call_in_which_an_answer_is_cut_is_not_told() {
    for (reason, is_told) in [
        (StopReason::MaxTokens, false),
        (StopReason::Filtered, false),
        (StopReason::ToolCalls, true),
    ] {
        let request = any_request();
        let mut writer = OllamaChat.stream_writer(&shown(&request));
        let mut streamed = Vec::new();
        for (number, input) in [(0, r#"{"a":1}"#), (1, r#"{"a":"b"#)] {
            let (id, name, kind) = ("".into(), "f".into(), CallKind::Function);
            let begin = Delta::CallBegin { choice: 0, number, id, name, kind, signature: None };
            writer.write(begin, &mut streamed);
            let input = Delta::CallInput { choice: 0, number, text: input.into() };
            writer.write(input, &mut streamed);
        }
        writer.write(Delta::Stop { choice: 0, reason: reason.clone() }, &mut streamed);
        writer.finish(Usage::default(), &mut streamed);

        let parts = vec![call("", "f", r#"{"a":1}"#), call("", "f", r#"{"a":"b"#)];
        let choice = Choice { parts, stop: reason, ..Choice::default() };
        let answer = Answer { choices: vec![choice], ..Answer::default() };
        let mut losses = Losses::default();
        let whole = OllamaChat.write_answer(&answer, &shown(&request), &mut losses);
        for (out, losses) in [(streamed, writer.losses()), (whole, &losses)] {
            let out = String::from_utf8(out).unwrap();
            assert!(out.contains(r#""arguments":{"a":1}"#), "{out}");
            assert_eq!(out.matches("arguments").count() == 2, is_told, "{out}");
            assert_eq!(losses.iter().any(|it| it == "tool_calls"), !is_told, "{losses}");
        }
    }
}

#[test]
fn what_was_held_back_is_not_told_as_finished() {
    for reason in [StopReason::Filtered, StopReason::Refused] {
        let request = any_request();
        let mut writer = OllamaChat.stream_writer(&shown(&request));
        let mut out = Vec::new();
        writer.write(Delta::Stop { choice: 0, reason }, &mut out);
        writer.finish(Usage::default(), &mut out);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(r#""done_reason":"content_filter""#), "{out}");
    }
}
