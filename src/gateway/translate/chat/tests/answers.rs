use serde_json::{Value, json};

use super::support::{
    answer_of, cases, each_delta, fixture, meaning, model, read_stream, shown, shown_for,
    write_answer,
};
use crate::{
    domain::{
        chat::{
            Answer, CallKind, Citation, Content, Dialect, Part, Place, Reasoning,
            ReasoningSignature, Request, Source, StopReason, Thinking, ToolCall, Usage,
        },
        failure::FailureClass,
        usage::TokenUsage,
    },
    gateway::translate::{ClientSide, UpstreamSide, chat::Chat},
};

fn answer(name: &str) -> Answer {
    Chat.read_answer(&fixture(&format!("answers/{name}.json"))).expect(name)
}

fn good_cases() -> Vec<String> {
    cases("answers").into_iter().filter(|name| name != "error").collect()
}

#[test]
fn every_stream_says_the_same_as_its_answer_however_it_is_cut() {
    for name in good_cases() {
        let stream = fixture(&format!("streams/{name}.sse"));
        let whole = answer(&name);
        for piece in [1, 7, 100, stream.len()] {
            assert_eq!(read_stream(&stream, piece).unwrap(), whole, "{name}");
        }
    }
}

#[test]
fn every_answer_comes_back_as_it_was() {
    // Ids and times are ours; prices and other counts are between a provider and its customer.
    let ours = [
        "id",
        "object",
        "created",
        "system_fingerprint",
        "obfuscation",
        "native_finish_reason",
        "provider",
        "cost",
        "audio_tokens",
        "prompt_cache_miss_tokens",
    ];
    for name in good_cases() {
        let read = answer(&name);
        let (written, losses) = write_answer(&read, &shown());
        assert!(losses.is_empty(), "{name}: {losses}");
        let bytes = written.to_string();
        let again = Chat.read_answer(bytes.as_bytes()).unwrap();
        let expected = Answer { id: again.id.clone(), ..read };
        // Mistral's thoughts stand among its words, OpenRouter's twice: ours stand in one place.
        assert_eq!(again.choices, expected.choices, "{name}");
        assert_eq!(again.service_tier, expected.service_tier, "{name}");
        assert_eq!(again.usage.map(|usage| usage.tokens), expected.usage.map(|usage| usage.tokens));
        if !matches!(&*name, "mistral_thinking" | "thinking_tools") {
            let before = fixture(&format!("answers/{name}.json"));
            let before: Value = serde_json::from_slice(&before).unwrap();
            assert_eq!(meaning(written, &ours), meaning(before, &ours), "{name}");
        }
    }
}

#[test]
fn every_written_stream_says_the_same_as_the_one_that_was_read() {
    for name in good_cases() {
        let request = Request { wants_stream_usage: true, ..Request::new(model("m"), Vec::new()) };
        let mut writer = Chat.stream_writer(&shown_for(&request));
        let mut out = Vec::new();
        let mut usage = Usage::default();
        each_delta(&fixture(&format!("streams/{name}.sse")), &mut |delta| {
            if let crate::domain::chat::Delta::Usage(told) = &delta {
                usage = *told;
            }
            writer.write(delta, &mut out);
        });
        writer.finish(usage, &mut out);
        assert!(writer.losses().is_empty(), "{name}: {}", writer.losses());
        let again = read_stream(&out, out.len()).unwrap();
        let expected = answer(&name);
        assert_eq!(again.choices, expected.choices, "{name}");
        assert_eq!(again.usage.map(|usage| usage.tokens), expected.usage.map(|usage| usage.tokens));
    }
}

#[test]
fn answers_have_their_exact_common_form() {
    let plain = answer("plain");
    assert_eq!(plain.id.as_deref(), Some("chatcmpl-plain"));
    assert_eq!(plain.model.as_deref(), Some("gpt-4o-2024-08-06"));
    let said = vec![Part::text("Hello! How can I help?")];
    assert_eq!(plain.choices, answer_of(said, StopReason::Finished).choices);
    let tokens = TokenUsage { input: 9, output: 7, ..TokenUsage::default() };
    let usage = Usage { tokens, reasoning: Some(0), is_estimated: false };
    assert_eq!(plain.usage, Some(usage));
    let called = ToolCall {
        id: "call_abc".into(),
        name: "get_weather".into(),
        kind: CallKind::Function,
        input: r#"{"city":"Paris"}"#.into(),
        signature: None,
    };
    let parts = vec![Content::ToolCall(called.clone()).into()];
    assert_eq!(answer("tools").choices, answer_of(parts, StopReason::ToolCalls).choices);
    let parts = vec![Content::Refusal("I'm sorry, I can't help with that.".into()).into()];
    assert_eq!(answer("refusal").choices, answer_of(parts, StopReason::Refused).choices);
    for (name, stop) in [
        ("max_tokens", StopReason::MaxTokens),
        ("filtered", StopReason::Filtered),
        ("stop_text", StopReason::StopText(Some("5".into()))),
    ] {
        assert_eq!(answer(name).choices[0].stop, stop, "{name}");
    }
    let cached = answer("cached_usage").usage.unwrap().tokens;
    assert_eq!((cached.input, cached.cache_read), (86, 1920));
    let written = answer("thinking_tools").usage.unwrap().tokens;
    assert_eq!((written.input, written.cache_write_5m), (100, 300));
    let google = &answer("google_signature").choices[0].parts[0].content;
    let Content::ToolCall(google) = google else { panic!("{google:?}") };
    assert_eq!(google.signature, Some(ReasoningSignature::new(Dialect::Gemini, "CiQBcsjafF0=")));
}

#[test]
fn thoughts_stand_before_the_words_whatever_field_they_came_in() {
    for (name, text) in [
        ("thinking", "Compare 9.11 and 9.80.\nThe latter is more."),
        ("mistral_thinking", "Let me see."),
    ] {
        let thought = Reasoning { text: text.into(), ..Reasoning::default() };
        let parts = answer(name).choices.swap_remove(0).parts;
        assert_eq!(parts[0], Part::from(Content::Reasoning(thought)), "{name}");
        assert!(matches!(parts[1].content, Content::Text { .. }), "{name}");
    }
}

#[test]
fn an_error_in_a_200_is_the_failure_it_stands_for() {
    let failure = Chat.read_answer(&fixture("answers/error.json")).unwrap_err();
    assert_eq!(failure.class, FailureClass::RateLimit);
    let failure = read_stream(&fixture("streams/error.sse"), 64).unwrap_err();
    assert_eq!(failure.class, FailureClass::Server);
    for body in ["", "[]", "{}", "<html>", r#"{"choices":[]}"#, r#"{"choices":null}"#, "\u{feff}{"]
    {
        let failure = Chat.read_answer(body.as_bytes()).unwrap_err();
        assert_eq!(failure.class, FailureClass::Server, "{body}");
    }
}

fn thought(text: &str, signature: Option<ReasoningSignature>) -> Part {
    Content::Reasoning(Reasoning { text: text.into(), signature, ..Reasoning::default() }).into()
}

#[test]
fn a_whole_answer_is_written_exactly() {
    let call = ToolCall {
        id: String::new(),
        name: "now".into(),
        kind: CallKind::Function,
        input: String::new(),
        signature: Some(ReasoningSignature::new(Dialect::Gemini, "sig")),
    };
    let citation = Citation {
        url: Some("https://example.com".into()),
        place: Some(Place { start: 0, end: 2 }),
        ..Citation::default()
    };
    let parts = vec![
        thought("Hm.", Some(ReasoningSignature::new(Dialect::Messages, "Eq=="))),
        Part::text("é "),
        Content::Text { text: "so".into(), citations: vec![citation] }.into(),
        Content::ToolCall(call).into(),
    ];
    let tokens = TokenUsage { input: 3, output: 4, cache_read: 2, ..TokenUsage::default() };
    let usage = Some(Usage { tokens, reasoning: Some(1), is_estimated: true });
    let answer = Answer { usage, ..answer_of(parts, StopReason::ToolCalls) };
    let mut losses = crate::domain::chat::Losses::default();
    let bytes = Chat.write_answer(&answer, &shown(), &mut losses);
    let expected = concat!(
        r#"{"id":"chatcmpl-01","object":"chat.completion","created":1763776800,"model":"asked","#,
        r#""choices":[{"index":0,"message":{"role":"assistant","content":"é so","refusal":null,"#,
        r#""reasoning_content":"Hm.","reasoning_details":[{"type":"reasoning.text","text":"Hm.","#,
        r#""signature":"pp1.messages.Eq==","index":0}],"tool_calls":[{"id":"call_01_0","#,
        r#""type":"function","function":{"name":"now","arguments":"{}"},"extra_content":"#,
        r#"{"google":{"thought_signature":"sig"}}}],"annotations":[{"type":"url_citation","#,
        r#""url_citation":{"url":"https://example.com","title":"","start_index":2,"end_index":4}}]},"#,
        r#""logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"#,
        r#""completion_tokens":4,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":2},"#,
        r#""completion_tokens_details":{"reasoning_tokens":1},"estimated":true}}"#,
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    assert!(losses.is_empty());
}

#[test]
fn a_legacy_client_gets_its_call_where_it_looks_for_it() {
    let call = |id: &str| {
        Part::from(Content::ToolCall(ToolCall {
            id: id.into(),
            name: "now".into(),
            kind: CallKind::Function,
            input: "{}".into(),
            signature: None,
        }))
    };
    let request = Request { wants_function_call: true, ..Request::new(model("m"), Vec::new()) };
    let answer = answer_of(vec![call("a"), call("b")], StopReason::ToolCalls);
    let (written, losses) = write_answer(&answer, &shown_for(&request));
    let choice = &written["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call");
    assert_eq!(choice["message"]["function_call"], json!({"name": "now", "arguments": "{}"}));
    assert_eq!(choice["message"].get("tool_calls"), None);
    assert_eq!(losses.to_string(), "parallel_tool_calls");
}

#[test]
fn what_cannot_be_shown_is_told_and_what_was_not_wanted_is_left_out() {
    let parts = vec![
        thought("Hm.", None),
        Content::Video(Source::Url("https://example.com".into())).into(),
        Content::Text { text: "so".into(), citations: vec![Citation::default()] }.into(),
    ];
    let answer = answer_of(parts, StopReason::Paused);
    let (written, losses) = write_answer(&answer, &shown());
    assert_eq!(losses.to_string(), "citations, stop_reason, video");
    assert_eq!(written["choices"][0]["message"]["reasoning_content"], "Hm.");
    let thinking = Some(Thinking { is_shown: Some(false), ..Thinking::default() });
    let request = Request { thinking, ..Request::new(model("m"), Vec::new()) };
    let (written, _) = write_answer(&answer, &shown_for(&request));
    assert_eq!(written["choices"][0]["message"].get("reasoning_content"), None);
}
