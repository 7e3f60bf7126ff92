use std::borrow::Cow;

use super::support::{Assembly, model, read_stream, shown, shown_for};
use crate::{
    domain::{
        chat::{
            CallKind, Content, Delta, Dialect, Part, Reasoning, ReasoningSignature, Request,
            StopReason, Thinking, Usage,
        },
        failure::FailureClass,
        usage::TokenUsage,
    },
    gateway::translate::{ClientSide, ErrorView, EventOutcome, UpstreamSide, chat::Chat},
};

fn text(text: &str) -> Delta<'_> {
    Delta::Text { choice: 0, text: text.into() }
}

fn thought(text: &str) -> Delta<'_> {
    Delta::Reasoning { choice: 0, text: text.into(), is_summary: false }
}

fn call<'a>(number: u32, id: &'a str, name: &'a str) -> Delta<'a> {
    let (id, name) = (Cow::Borrowed(id), Cow::Borrowed(name));
    Delta::CallBegin { choice: 0, number, id, name, kind: CallKind::Function, signature: None }
}

fn input(number: u32, text: &str) -> Delta<'_> {
    Delta::CallInput { choice: 0, number, text: text.into() }
}

fn stop(reason: StopReason) -> Delta<'static> {
    Delta::Stop { choice: 0, reason }
}

fn written(request: &Request, deltas: Vec<Delta<'_>>) -> (String, String) {
    let mut writer = Chat.stream_writer(&shown_for(request));
    let mut out = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut out);
    }
    let tokens = TokenUsage { input: 1, output: 2, ..TokenUsage::default() };
    writer.finish(Usage { tokens, ..Usage::default() }, &mut out);
    (String::from_utf8(out).unwrap(), writer.losses().to_string())
}

fn any() -> Request {
    Request::new(model("m"), Vec::new())
}

/// The choices of each event, and of the last ones what they are.
fn choices(stream: &str) -> Vec<&str> {
    let head = r#"data: {"id":"chatcmpl-01","object":"chat.completion.chunk","created":1763776800,"model":"asked","choices":["#;
    let events = stream.split_terminator("\n\n");
    events
        .map(|event| match event.strip_prefix(head) {
            Some(choice) => choice.strip_suffix("]}").expect(event),
            None => event.strip_prefix("data: ").expect(event),
        })
        .collect()
}

#[test]
fn a_stream_is_written_exactly() {
    let deltas = vec![
        text("Hel"),
        text("lo\n"),
        call(0, "", "now"),
        call(1, "b", "f"),
        input(1, "{}"),
        stop(StopReason::ToolCalls),
    ];
    let (stream, losses) = written(&any(), deltas);
    let expected = [
        r#"{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{"content":"Hel"},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{"content":"lo\n"},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_01_0","type":"function","function":{"name":"now","arguments":""}}]},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"f","arguments":""}}]},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}"#,
        "[DONE]",
    ];
    assert_eq!(choices(&stream), expected);
    assert_eq!(losses, "lossless");
}

#[test]
fn usage_is_told_in_a_chunk_of_its_own_to_those_who_ask() {
    let request = Request { wants_stream_usage: true, ..any() };
    let begin = Delta::Begin { id: None, model: Some("other".into()) };
    let (stream, _) = written(&request, vec![begin, text("a"), stop(StopReason::Finished)]);
    let events: Vec<_> = stream.split_terminator("\n\n").collect();
    assert!(events[0].contains(r#""model":"other""#));
    assert!(events[..3].iter().all(|event| event.ends_with(r#"],"usage":null}"#)));
    assert!(events[3].contains(
        r#""choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"#
    ));
    assert_eq!(events[4..], ["data: [DONE]"]);
}

#[test]
fn an_answer_that_says_nothing_is_still_an_answer() {
    let (stream, _) = written(&any(), Vec::new());
    let choices = choices(&stream);
    assert_eq!(choices.len(), 3);
    assert!(choices[1].ends_with(r#""finish_reason":"stop"}"#));
}

#[test]
fn thoughts_of_another_maker_come_back_with_their_signs() {
    let signature = |data: &str| ReasoningSignature::new(Dialect::Messages, data);
    let signed = |data, is_redacted| Delta::ReasoningSignature {
        choice: 0,
        signature: signature(data),
        is_redacted,
    };
    let deltas = vec![
        thought("First"),
        thought(" one."),
        signed("s1", false),
        signed("s2", true),
        text("So."),
        thought("Second."),
        signed("s3", false),
        call(0, "a", "f"),
        stop(StopReason::ToolCalls),
    ];
    let mut expected = Assembly::default();
    deltas.iter().cloned().for_each(|delta| expected.add(delta));
    let (stream, losses) = written(&any(), deltas);
    assert_eq!(losses, "lossless");
    let again = read_stream(stream.as_bytes(), stream.len()).unwrap();
    let thoughts = |parts: &[Part]| -> Vec<Reasoning> {
        let thoughts = parts.iter().filter_map(|part| match &part.content {
            Content::Reasoning(thought) if thought.signature.is_some() => Some(thought.clone()),
            _ => None,
        });
        thoughts.collect()
    };
    let expected = thoughts(&expected.answer.choices[0].parts);
    assert_eq!(expected.len(), 3);
    assert_eq!(thoughts(&again.choices[0].parts), expected);
}

#[test]
fn thoughts_that_are_not_wanted_are_not_shown() {
    let thinking = Some(Thinking { is_shown: Some(false), ..Thinking::default() });
    let request = Request { thinking, ..any() };
    let signature = ReasoningSignature::new(Dialect::Messages, "s");
    let signed = Delta::ReasoningSignature { choice: 0, signature, is_redacted: false };
    let deltas = vec![thought("Hm."), signed, text("So."), stop(StopReason::Finished)];
    let (stream, _) = written(&request, deltas);
    assert!(!stream.contains("reasoning"), "{stream}");
}

#[test]
fn a_legacy_client_gets_pieces_of_one_function_call() {
    let request = Request { wants_function_call: true, ..any() };
    let deltas = vec![
        call(0, "a", "f"),
        input(0, "{\"x\":1}"),
        call(1, "b", "g"),
        input(1, "{}"),
        stop(StopReason::ToolCalls),
    ];
    let (stream, losses) = written(&request, deltas);
    let events = choices(&stream);
    assert!(events[1].contains(r#""delta":{"function_call":{"name":"f","arguments":""}}"#));
    assert!(events[2].contains(r#""delta":{"function_call":{"arguments":"{\"x\":1}"}}"#));
    assert!(events[3].contains(r#""finish_reason":"function_call""#));
    assert_eq!((events.len(), losses.as_str()), (5, "parallel_tool_calls"));
}

#[test]
fn an_error_ends_a_stream_in_openais_words() {
    let view = ErrorView {
        status: 502,
        message: "gone",
        kind: "api_error",
        param: None,
        code: Some("upstream"),
    };
    let mut out = Vec::new();
    Chat.stream_writer(&shown()).fail(&view, &mut out);
    let body = r#"{"error":{"message":"gone","type":"api_error","param":null,"code":"upstream"}}"#;
    assert_eq!(String::from_utf8(out).unwrap(), format!("data: {body}\n\n"));
    assert_eq!(Chat.error_body(&view), body.as_bytes());
    assert_eq!(Chat.error_event(&view), format!("data: {body}\n\n").as_bytes());
    assert_eq!(Chat.keep_alive(), b": keep-alive\n\n");
    assert_eq!(Chat.stream_type(), "text/event-stream");
}

#[test]
fn no_event_makes_a_reader_panic() {
    let mut reader = Chat.stream_reader();
    let mut read = |data: &[u8]| reader.read(data, &mut |_| ());
    for unparsable in ["", "x", "[]", "7", "null", "{", r#"{"choices":[7]}"#, "[DONE"] {
        assert!(read(unparsable.as_bytes()).is_err(), "{unparsable}");
    }
    assert!(read(b"{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}").is_err());
    for odd in [
        r#"{"choices":[]}"#,
        r#"{"choices":{}}"#,
        r#"{"type":"ping"}"#,
        r#"{"choices":[{}]}"#,
        r#"{"choices":[{"index":99999999999,"delta":{"content":"a"}}]}"#,
        r#"{"choices":[{"index":-1,"delta":{"content":7,"tool_calls":7,"reasoning_details":"x"}}]}"#,
        r#"{"choices":[{"delta":{"content":[7,{"text":7}]}}],"usage":7}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{}]},"finish_reason":"tool_calls"}]}"#,
        r#"{"choices":[{"delta":{"content":"after the end"},"finish_reason":"stop"}]}"#,
    ] {
        let said = read(odd.as_bytes());
        let is_fine = matches!(said, Ok(EventOutcome::More | EventOutcome::Foreign) | Err(_));
        assert!(is_fine, "{odd}: {said:?}");
    }
    let error = read(br#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#);
    let Ok(EventOutcome::Failed(failure)) = error else { panic!("{error:?}") };
    assert_eq!(failure.class, FailureClass::RateLimit);
    assert_eq!(read(b" [DONE] "), Ok(EventOutcome::Done));
}

#[test]
fn nothing_is_lost_after_the_end_of_a_choice_and_usage_may_come_with_every_chunk() {
    let events = [
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}"#,
    ];
    let mut reader = Chat.stream_reader();
    let mut said = Vec::new();
    for event in events {
        let mut note = |delta: Delta<'_>| {
            said.push(match delta {
                Delta::Begin { .. } => "begin".to_owned(),
                Delta::Text { text, .. } => text.into_owned(),
                Delta::Usage(usage) => usage.tokens.output.to_string(),
                Delta::Stop { reason, .. } => format!("{reason:?}"),
                other => panic!("{other:?}"),
            });
        };
        reader.read(event.as_bytes(), &mut note).unwrap();
    }
    assert_eq!(said, ["begin", "a", "1", "Finished", "2", "b", "Finished"]);
}

/// As a server that ends a choice with each chunk has it, and passed on without a translation.
#[test]
fn what_comes_after_the_end_of_a_choice_is_written_and_the_end_only_once() {
    let end = || stop(StopReason::Finished);
    let (out, losses) = written(&any(), vec![text("a"), end(), text("b"), end()]);
    let ended = r#""finish_reason":"stop""#;
    assert!(out.contains(r#""content":"a""#) && out.contains(r#""content":"b""#), "{out}");
    assert_eq!((out.matches(ended).count(), &*losses), (1, "lossless"), "{out}");
}

#[test]
fn thoughts_that_another_stream_goes_on_with_are_not_put_apart() {
    let summary =
        |text: &'static str| Delta::Reasoning { choice: 0, text: text.into(), is_summary: true };
    for [first, second, third] in
        [[thought("a"), summary("b"), summary("c")], [summary("a"), thought("b"), thought("c")]]
    {
        let request = any();
        let mut writer = Chat.stream_writer(&shown_for(&request));
        let mut out = Vec::new();
        writer.write(first, &mut out);
        writer.resumed();
        writer.write(second, &mut out);
        writer.write(third, &mut out);
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains(r"\n"), "{out}");
    }
}
