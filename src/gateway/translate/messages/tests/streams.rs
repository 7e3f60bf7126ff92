//! Streams of upstreams, and what clients are shown of them.

use super::{
    super::super::{ErrorView, EventOutcome, Framing, UpstreamSide},
    fold::Fold,
    *,
};
use crate::domain::{
    chat::{
        Answer, CallKind, Citation, Content, Delta, Dialect, Part, Place, ReasoningSignature,
        StopReason, Usage,
    },
    failure::FailureClass,
    usage::TokenUsage,
};

/// The data of each event.
pub(super) fn events(stream: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(stream).unwrap();
    let data_of =
        |event: &str| event.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
    text.split("\n\n").filter_map(data_of).collect()
}

/// Hands on the deltas of a stream, and tells how it ends.
fn read_stream(stream: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> EventOutcome {
    let mut reader = Messages.stream_reader();
    let mut last = EventOutcome::More;
    for event in events(stream) {
        assert!(
            matches!(last, EventOutcome::More | EventOutcome::Idle | EventOutcome::Foreign),
            "nothing follows the end"
        );
        last = reader.read(event.as_bytes(), sink).expect(&event);
    }
    lossless(reader.losses());
    last
}

fn folded(stream: &[u8]) -> Answer {
    let mut fold = Fold::default();
    assert_eq!(read_stream(stream, &mut |delta| fold.add(delta)), EventOutcome::Done);
    fold.finish()
}

/// Writes deltas as a client is shown them, and what was lost on the way.
fn write_all(deltas: Vec<Delta<'_>>, usage: Usage) -> (String, String) {
    let request = a_request();
    let mut writer = Messages.stream_writer(&shown(&request));
    let mut out = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut out);
    }
    writer.finish(usage, &mut out);
    (String::from_utf8(out).unwrap(), writer.losses().to_string())
}

fn begin<'a>(number: u32, kind: CallKind) -> Delta<'a> {
    let (id, name) = ("".into(), "f".into());
    Delta::CallBegin { choice: 0, number, id, name, kind, signature: None }
}

fn input(number: u32, text: &str) -> Delta<'_> {
    Delta::CallInput { choice: 0, number, text: text.into() }
}

#[test]
fn every_stream_is_its_answer_in_pieces() {
    assert_eq!(Messages.framing(), Framing::Sse);
    for (name, stream) in fixtures("streams") {
        if name == "error" {
            continue;
        }
        let whole = Messages.read_answer(&fixture("answers", &name)).unwrap();
        assert_eq!(folded(&stream), whole, "{name}");
    }
}

#[test]
fn every_stream_that_is_shown_reads_back_as_what_it_was() {
    for (name, stream) in fixtures("streams") {
        if name == "error" {
            continue;
        }
        let request = a_request();
        let mut writer = Messages.stream_writer(&shown(&request));
        let (mut shown, mut usage) = (Vec::new(), Usage::default());
        read_stream(&stream, &mut |delta| {
            if let Delta::Usage(told) = &delta {
                usage = *told;
            }
            writer.write(delta, &mut shown);
        });
        writer.finish(usage, &mut shown);
        lossless(writer.losses());
        let mut expected = folded(&stream);
        expected.id = Some("msg_42".into());
        for part in &mut expected.choices[0].parts {
            // The words of a refusal are shown as the text of an answer that is refused.
            if let Content::Refusal(text) = &part.content {
                *part = Part::text(text.clone());
            }
        }
        assert_eq!(folded(&shown), expected, "{name}");
    }
}

#[test]
fn an_error_in_a_stream_is_a_failure() {
    let mut fold = Fold::default();
    let said = read_stream(&fixture("streams", "error"), &mut |delta| fold.add(delta));
    let EventOutcome::Failed(failure) = said else { panic!("{said:?}") };
    assert_eq!((failure.class, failure.status), (FailureClass::Overload, Some(200)));
    assert_eq!(fold.finish().choices[0].parts.len(), 1);
}

#[test]
fn streams_that_are_not_quite_right_are_read_as_far_as_they_go() {
    let stream = br#"
data: {"type":"message_start","message":{"id":null,"usage":{"input_tokens":0}}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"be"}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"gun"}}

data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"a":1}}}

data: {"type":"something_new","index":7}

data: {"type":"message_delta","delta":{"stop_reason":null},"usage":{"input_tokens":"9"}}

data: {"type":"message_delta","delta":{},"usage":{"output_tokens":3}}

data: {"type":"message_stop"}
"#;
    let answer = folded(stream);
    let choice = &answer.choices[0];
    assert_eq!(choice.parts[0], Part::text("begun"));
    assert!(
        matches!(&choice.parts[1].content, Content::ToolCall(call) if call.input == r#"{"a":1}"#)
    );
    assert_eq!(choice.stop, StopReason::ToolCalls);
    assert_eq!(answer.usage.unwrap().tokens.total(), 12);
}

#[test]
fn the_events_of_a_stream_are_those_that_sdks_read() {
    let tokens = TokenUsage { input: 7, cache_read: 2, output: 5, ..TokenUsage::default() };
    let (shown, losses) = write_all(
        vec![
            Delta::Begin { id: Some("x".into()), model: Some("real".into()) },
            Delta::Reasoning { choice: 0, text: "hm".into(), is_summary: false },
            Delta::ReasoningSignature {
                choice: 0,
                signature: ReasoningSignature::new(Dialect::Chat, "s"),
                is_redacted: false,
            },
            Delta::Text { choice: 0, text: "a\n".into() },
            begin(0, CallKind::Function),
            input(0, "{}"),
            Delta::Stop { choice: 0, reason: StopReason::ToolCalls },
        ],
        Usage { tokens, reasoning: Some(1), is_estimated: false },
    );
    let expected = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_42","type":"message","role":"assistant","model":"real","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"pp1.chat.s"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a\n"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_42_0","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":5,"output_tokens_details":{"thinking_tokens":1}}}

event: message_stop
data: {"type":"message_stop"}

"#;
    assert_eq!(shown, expected);
    assert_eq!(losses, "lossless");
}

#[test]
fn calls_are_shown_one_after_another() {
    let deltas = vec![
        begin(0, CallKind::Function),
        input(0, r#"{"a":"#),
        input(0, "1}"),
        begin(1, CallKind::Function),
        input(1, r#"{"b":2"#),
        input(1, "}"),
        begin(2, CallKind::Custom),
        input(2, "say \"hi\"\n"),
        Delta::Text { choice: 0, text: "after".into() },
    ];
    let (shown, losses) = write_all(deltas, Usage::default());
    let answer = folded(shown.as_bytes());
    let inputs: Vec<_> = answer.choices[0]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some((call.id.as_str(), call.input.as_str())),
            _ => None,
        })
        .collect();
    let expected = [
        ("toolu_42_0", r#"{"a":1}"#),
        ("toolu_42_1", r#"{"b":2}"#),
        ("toolu_42_2", r#"{"input":"say \"hi\"\n"}"#),
    ];
    assert_eq!(inputs, expected);
    assert_eq!(answer.choices[0].stop, StopReason::ToolCalls);
    assert_eq!(losses, "tool_call.input, tools.custom");
}

#[test]
fn what_a_stream_cannot_say_is_told_as_of_a_whole_answer() {
    let text = || Delta::Text { choice: 0, text: "a".into() };
    let source = Citation {
        url: Some("https://a.example".into()),
        place: Some(Place { start: 0, end: 1 }),
        ..Citation::default()
    };
    for (deltas, expected) in [
        (vec![Delta::Tier("priority".into()), text()], "lossless"),
        (vec![text(), Delta::Tier("default".into())], "lossless"),
        (vec![text(), Delta::Tier("priority".into())], "service_tier"),
        (vec![Delta::Tier("flex".into()), text()], "service_tier"),
        (vec![text(), Delta::Citation { choice: 0, citation: source.into() }], "citations.place"),
        (vec![begin(0, CallKind::Function), input(0, "[1]")], "tool_call.input"),
        (vec![begin(0, CallKind::Function), input(0, "{")], "tool_call.input"),
        (vec![begin(0, CallKind::Function)], "lossless"),
    ] {
        let (_, losses) = write_all(deltas.clone(), Usage::default());
        assert_eq!(losses, expected, "{deltas:?}");
    }
}

#[test]
fn signatures_without_thoughts_stand_in_blocks_of_their_own() {
    let signature = |data: &str| ReasoningSignature::new(Dialect::Gemini, data);
    let signed = Delta::CallBegin {
        choice: 0,
        number: 0,
        id: "c".into(),
        name: "f".into(),
        kind: CallKind::Function,
        signature: Some(signature("of call")),
    };
    let deltas = vec![
        Delta::ReasoningSignature { choice: 0, signature: signature("hidden"), is_redacted: true },
        Delta::ReasoningSignature { choice: 0, signature: signature("bare"), is_redacted: false },
        signed,
    ];
    let (shown, losses) = write_all(deltas, Usage::default());
    let signatures: Vec<_> = folded(shown.as_bytes())
        .choices
        .remove(0)
        .parts
        .into_iter()
        .filter_map(|part| match part.content {
            Content::Reasoning(reasoning) => {
                Some((reasoning.signature.unwrap(), reasoning.is_redacted))
            }
            _ => None,
        })
        .collect();
    let expected =
        [(signature("hidden"), true), (signature("bare"), false), (signature("of call"), false)];
    assert_eq!(signatures, expected);
    assert_eq!(losses, "lossless");
}

#[test]
fn what_a_message_cannot_hold_is_lost_and_told() {
    let source = |url: &str| Citation { url: Some(url.into()), ..Citation::default() };
    let cite = |citation| Delta::Citation { choice: 0, citation: Box::new(citation) };
    let deltas = vec![
        cite(source("https://early.example")),
        Delta::Text { choice: 0, text: "a".into() },
        cite(source("https://a.example")),
        Delta::Text { choice: 1, text: "b".into() },
        Delta::Logprobs { choice: 0, tokens: Vec::new() },
        Delta::Whole {
            choice: 0,
            part: Box::new(Content::Audio(crate::domain::chat::Source::Url("u".into())).into()),
        },
        Delta::Stop { choice: 0, reason: StopReason::Other("odd".into()) },
    ];
    let (shown, losses) = write_all(deltas, Usage::default());
    let answer = folded(shown.as_bytes());
    let Content::Text { text, citations } = &answer.choices[0].parts[0].content else { panic!() };
    assert_eq!((text.as_str(), citations.len()), ("a", 1));
    assert_eq!(losses, "audio, citations, logprobs, n, stop_reason");
}

#[test]
fn an_empty_answer_is_a_message_and_a_failure_its_last_event() {
    let (shown, _) = write_all(Vec::new(), Usage::default());
    assert!(folded(shown.as_bytes()).choices[0].parts.is_empty());
    let error = ErrorView { status: 529, message: "m", kind: "k", param: None, code: None };
    let request = a_request();
    let mut writer = Messages.stream_writer(&super::shown(&request));
    let mut out = Vec::new();
    writer.fail(&error, &mut out);
    assert_eq!(out, Messages.error_event(&error));
    let body = Messages.error_body(&error);
    assert_eq!(out, [b"event: error\ndata: ".as_slice(), &body, b"\n\n"].concat());
    assert_eq!(Messages.keep_alive(), b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
    assert_eq!(Messages.stream_type(), "text/event-stream");
}
