//! Streams of upstreams, and what clients get of them.

use serde_json::{Value, value::RawValue};

use super::{ANSWERS, assemble, events, fixture, json as parsed, replay, with_shown};
use crate::{
    domain::{
        chat::{
            Answer, CallKind, Content, Delta, Dialect, Json, Part, ReasoningSignature, StopReason,
            Usage,
        },
        failure::FailureClass,
    },
    gateway::translate::{
        ClientSide, ErrorView, EventOutcome, UpstreamSide, WriteStream,
        gemini::{Cloudcode, Gemini, GeminiArray, stream_in},
    },
};

const OVERLOAD: ErrorView<'_> =
    ErrorView { status: 503, message: "busy", kind: "server_error", param: None, code: None };

fn writer(client: &dyn ClientSide) -> Box<dyn WriteStream> {
    with_shown(|shown| client.stream_writer(shown))
}

/// What a client gets of deltas and the end.
fn stream(client: &dyn ClientSide, deltas: Vec<Delta<'_>>) -> String {
    let mut writer = writer(client);
    let mut out = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut out);
    }
    writer.finish(Usage::default(), &mut out);
    String::from_utf8(out).unwrap()
}

fn text(text: &str) -> Delta<'_> {
    Delta::Text { choice: 0, text: text.into() }
}

fn thought(text: &str) -> Delta<'_> {
    Delta::Reasoning { choice: 0, text: text.into(), is_summary: false }
}

fn begin(number: u32, kind: CallKind) -> Delta<'static> {
    let (id, name) = ("".into(), "f".into());
    Delta::CallBegin { choice: 0, number, id, name, kind, signature: None }
}

fn input(number: u32, text: &str) -> Delta<'_> {
    Delta::CallInput { choice: 0, number, text: text.into() }
}

/// The parts of each chunk's first candidate.
fn parts(stream: &str) -> Vec<String> {
    let chunks = events(stream.as_bytes()).into_iter().map(|event| parsed(event.as_bytes()));
    chunks.map(|chunk| chunk["candidates"][0]["content"]["parts"].to_string()).collect()
}

/// Calls without ids have got them on the way, and refusals have become text.
fn as_a_client_has_it(mut answer: Answer) -> Answer {
    for choice in &mut answer.choices {
        let mut calls = 0;
        for part in &mut choice.parts {
            match &mut part.content {
                Content::ToolCall(call) => {
                    if call.id.is_empty() {
                        call.id = format!("call_r1_{calls}");
                    }
                    calls += 1;
                }
                Content::Refusal(text) => *part = Part::text(std::mem::take(text)),
                _ => (),
            }
        }
    }
    answer
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    for case in ANSWERS {
        let bytes = fixture(&format!("streams/{case}.sse"));
        let (streamed, said) = assemble(&mut stream_in::Reader::default(), &events(&bytes));
        let whole = Gemini.read_answer(&fixture(&format!("answers/{case}.json"))).unwrap();
        assert_eq!(streamed, whole, "{case}");
        assert!(said.iter().all(|said| *said == EventOutcome::More), "{case}");
    }
}

#[test]
fn what_a_client_gets_says_the_same_again() {
    for case in ANSWERS {
        let bytes = fixture(&format!("streams/{case}.sse"));
        let (expected, _) = assemble(&mut stream_in::Reader::default(), &events(&bytes));
        let clients: [&dyn ClientSide; 2] = [&Gemini, &GeminiArray];
        for client in clients {
            let mut writer = writer(client);
            let mut out = Vec::new();
            replay(&mut stream_in::Reader::default(), &events(&bytes), &mut |delta| {
                writer.write(delta, &mut out);
            });
            writer.finish(expected.usage.unwrap(), &mut out);
            let list: Vec<&RawValue>;
            let chunks = if client.stream_type() == "application/json" {
                list = serde_json::from_slice(&out).expect(case);
                list.iter().map(|chunk| chunk.get()).collect()
            } else {
                events(&out)
            };
            let (again, _) = assemble(&mut stream_in::Reader::default(), &chunks);
            assert_eq!(again, as_a_client_has_it(expected.clone()), "{case}");
        }
    }
}

#[test]
fn no_chunk_is_one_that_a_chat_session_takes_for_broken() {
    for case in ANSWERS {
        let bytes = fixture(&format!("streams/{case}.sse"));
        let mut writer = writer(&Gemini);
        let mut out = Vec::new();
        replay(&mut stream_in::Reader::default(), &events(&bytes), &mut |delta| {
            writer.write(delta, &mut out);
        });
        writer.finish(Usage::default(), &mut out);
        let chunks: Vec<Value> =
            events(&out).iter().map(|event| parsed(event.as_bytes())).collect();
        let (last, before) = chunks.split_last().unwrap();
        for chunk in &chunks {
            for candidate in chunk["candidates"].as_array().unwrap() {
                let parts = candidate["content"]["parts"].as_array().expect(case);
                assert!(!parts.is_empty() && parts.iter().all(|part| part["text"] != ""), "{case}");
            }
            assert!(chunk["responseId"].is_string() && chunk["modelVersion"].is_string());
        }
        assert!(last["candidates"][0]["finishReason"].is_string(), "{case}");
        assert!(last["usageMetadata"].is_object(), "{case}");
        assert!(before.iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()));
    }
}

#[test]
fn only_the_last_character_waits() {
    let out = stream(&Gemini, vec![text("Hi"), text(" "), text("dü")]);
    let ends = r#""modelVersion":"pool/gemini","responseId":"r1"}"#;
    let chunk = |text: &str| {
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"role\":\"model\",\"parts\":[{{\"text\":\"{text}\"}}]}},\"index\":0}}],{ends}\n\n"
        )
    };
    let last = format!(
        "data: {{\"candidates\":[{{\"content\":{{\"role\":\"model\",\"parts\":[{{\"text\":\"ü\"}}]}},\"finishReason\":\"STOP\",\"index\":0}}],\"usageMetadata\":{{\"promptTokenCount\":0,\"candidatesTokenCount\":0,\"totalTokenCount\":0}},{ends}\n\n"
    );
    assert_eq!(out, [chunk("H"), chunk("i"), chunk(" d"), last].concat());
}

#[test]
fn thoughts_are_signed_where_they_end() {
    let signature = |by, is_redacted| Delta::ReasoningSignature {
        choice: 0,
        signature: ReasoningSignature::new(by, "s"),
        is_redacted,
    };
    let out = stream(
        &Gemini,
        vec![
            thought("abc"),
            signature(Dialect::Messages, false),
            signature(Dialect::Messages, true),
            text("x"),
            signature(Dialect::Gemini, false),
        ],
    );
    let signature = "cHAxLm1lc3NhZ2VzLnM=";
    assert_eq!(
        parts(&out),
        [
            r#"[{"text":"ab","thought":true}]"#.to_owned(),
            format!(r#"[{{"text":"c","thought":true,"thoughtSignature":"{signature}"}}]"#),
            format!(r#"[{{"thoughtSignature":"{signature}"}}]"#),
            r#"[{"text":"x"}]"#.to_owned(),
            r#"[{"thoughtSignature":"s"}]"#.to_owned(),
        ]
    );
}

#[test]
fn calls_are_gathered_and_come_whole_and_in_order() {
    let stop = Delta::Stop { choice: 0, reason: StopReason::ToolCalls };
    let out = stream(
        &Gemini,
        vec![
            begin(0, CallKind::Function),
            begin(1, CallKind::Function),
            input(1, r#"{"b""#),
            input(0, r#"{"a":1}"#),
            input(1, ":2}"),
            text("hm"),
            begin(2, CallKind::Custom),
            input(2, "free"),
            begin(3, CallKind::Function),
            stop,
        ],
    );
    assert_eq!(
        parts(&out),
        [
            r#"[{"functionCall":{"args":{"a":1},"id":"call_r1_0","name":"f"}}]"#,
            r#"[{"functionCall":{"args":{"b":2},"id":"call_r1_1","name":"f"}}]"#,
            r#"[{"text":"h"}]"#,
            r#"[{"text":"m"}]"#,
            r#"[{"functionCall":{"args":{"input":"free"},"id":"call_r1_2","name":"f"}}]"#,
            r#"[{"functionCall":{"args":{},"id":"call_r1_3","name":"f"}}]"#,
        ]
    );
    let last = parsed(events(out.as_bytes()).last().unwrap().as_bytes());
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
}

/// A tool would be carried out with half of its input.
#[test]
fn a_call_in_which_an_answer_is_cut_is_not_told() {
    for (reason, is_told) in [(StopReason::MaxTokens, false), (StopReason::ToolCalls, true)] {
        for cut in ["", r#"{"a":"b"#] {
            let deltas = vec![
                begin(0, CallKind::Function),
                input(0, r#"{"a":1}"#),
                begin(1, CallKind::Function),
                input(1, cut),
                Delta::Stop { choice: 0, reason: reason.clone() },
            ];
            let out = stream(&Gemini, deltas);
            assert!(out.contains(r#""args":{"a":1}"#), "{out}");
            assert_eq!(out.matches("functionCall").count() == 2, is_told, "{out}");
        }
    }
}

#[test]
fn an_event_is_one_line_whatever_it_carries() {
    let json = Json::parse("{\n\"executableCode\": {}\r\n}").unwrap();
    let kind = "executableCode".to_owned();
    let part = Box::new(Content::Opaque { by: Dialect::Gemini, kind, json }.into());
    let out = stream(&Gemini, vec![Delta::Whole { choice: 0, part }]);
    assert_eq!(parts(&out), [r#"[{"executableCode":{}}]"#]);
}

#[test]
fn an_error_ends_a_stream_in_both_forms() {
    let error = r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    let fail = |client: &dyn ClientSide| {
        let mut writer = writer(client);
        let mut out = Vec::new();
        writer.write(text("Hi"), &mut out);
        writer.fail(&OVERLOAD, &mut out);
        String::from_utf8(out).unwrap()
    };
    let out = fail(&Gemini);
    assert_eq!(parts(&out)[..2], [r#"[{"text":"H"}]"#, r#"[{"text":"i"}]"#]);
    assert!(out.ends_with(&format!("data: {error}\n\n")), "{out}");
    let list: Vec<Value> = serde_json::from_str(&fail(&GeminiArray)).unwrap();
    assert_eq!((list.len(), list[2].to_string()), (3, error.to_owned()));

    assert_eq!(Gemini.error_event(&OVERLOAD), format!("data: {error}\n\n").as_bytes());
    assert_eq!(GeminiArray.error_event(&OVERLOAD), format!("[{error}\n]").as_bytes());
    assert_eq!(Gemini.error_body(&OVERLOAD), error.as_bytes());
    assert_eq!(GeminiArray.error_body(&OVERLOAD), error.as_bytes());
}

#[test]
fn a_list_stays_one_whatever_keeps_it_open() {
    let mut writer = writer(&GeminiArray);
    let mut out = GeminiArray.keep_alive().to_vec();
    for word in ["Hi ", "you"] {
        writer.write(text(word), &mut out);
        out.extend_from_slice(GeminiArray.keep_alive());
    }
    writer.finish(Usage::default(), &mut out);
    let list: Vec<Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(list.len(), 3);
    let empty: Vec<Value> = serde_json::from_str(&stream(&GeminiArray, vec![])).unwrap();
    assert_eq!(empty[0]["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn an_error_event_of_an_upstream_is_the_failure_it_stands_for() {
    let bytes = fixture("streams/error.sse");
    let envelope = |event: &str| format!(r#"{{"response":{event}}}"#);
    let events = events(&bytes);
    for reader in [Gemini.stream_reader(), Cloudcode { project: None }.stream_reader()] {
        let mut reader = reader;
        let (answer, said) = assemble(&mut *reader, &events);
        assert_eq!(answer.choices[0].parts, [Part::text("Blue light")]);
        let Some(EventOutcome::Failed(failure)) = said.last() else { panic!("{said:?}") };
        assert_eq!(failure.class, FailureClass::Overload);
    }
    let wrapped = envelope(events[0]);
    let mut reader = Cloudcode { project: None }.stream_reader();
    let (answer, _) = assemble(&mut *reader, &[&*wrapped]);
    assert_eq!(answer.choices[0].parts, [Part::text("Blue light")]);
}

#[test]
fn a_reason_that_each_event_repeats_ends_the_answer_once() {
    let chunk = |text: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"finishReason":"STOP"}}]}}"#
        )
    };
    let (first, second) = (chunk("a"), chunk("b"));
    let mut stops = 0;
    replay(&mut stream_in::Reader::default(), &[&*first, &*second], &mut |delta| {
        stops += i32::from(matches!(delta, Delta::Stop { .. }));
    });
    assert_eq!(stops, 1);
}
