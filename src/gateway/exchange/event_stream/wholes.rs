//! Words that come in parts and then, or before, as a whole: in a translation what the whole says beyond the
//! parts goes on, and a whole that says something else is a cut. Between equal dialects both pass.

use serde_json::{Value, json};

use super::{odd::CLIENTS, *};
use crate::{
    domain::{chat::Delta, provider::ApiFormat},
    gateway::{
        exchange::{
            api::upstream_side,
            testing::{conversion, feed},
        },
        stream::{lines, sse},
        translate::EventOutcome,
    },
};

/// What a stream says of one kind of words: in deltas, and as a whole.
const WORDS: [(&str, &str, Option<&str>); 7] = [
    // The deltas, the whole, and all that a client is to get; none: a cut.
    ("alpha", "alpha", Some("alpha")),
    ("alpha", "alpha omega", Some("alpha omega")),
    ("", "alpha omega", Some("alpha omega")),
    ("alpha omega", "alpha", Some("alpha omega")),
    ("alpha", "", Some("alpha")),
    ("alpha", "omega", None),
    ("alpha omega", "alpha other words", None),
];

/// The same as the input of a call.
const INPUTS: [(&str, &str, Option<&str>); 4] = [
    (r#"{"a":"alpha"}"#, r#"{"a":"alpha"}"#, Some(r#"{"a":"alpha"}"#)),
    (r#"{"a":"#, r#"{"a":"alpha"}"#, Some(r#"{"a":"alpha"}"#)),
    ("", r#"{"a":"alpha"}"#, Some(r#"{"a":"alpha"}"#)),
    (r#"{"a":"alpha"}"#, r#"{"a":"other"}"#, None),
];

/// Words of a reader's deltas.
fn words_of(delta: &Delta<'_>) -> String {
    match delta {
        Delta::Text { text, .. }
        | Delta::Refusal { text, .. }
        | Delta::Reasoning { text, .. }
        | Delta::CallInput { text, .. } => text.to_string(),
        _ => String::new(),
    }
}

/// All words in a stream that a client was sent.
pub(super) fn said_in(format: ApiFormat, sent: Vec<u8>) -> String {
    let mut said = String::new();
    read_sent(format, sent, &mut |delta| said.push_str(&words_of(&delta)));
    said
}

/// Reads a stream that a client was sent.
pub(super) fn read_sent(format: ApiFormat, sent: Vec<u8>, sink: &mut dyn FnMut(Delta<'_>)) {
    let side = upstream_side(format);
    let mut reader = side.stream_reader();
    let mut read = |data: &[u8]| {
        let meant = reader.read(data, sink);
        assert!(meant.is_ok(), "{format:?}: {}", String::from_utf8_lossy(data));
    };
    let sent = Bytes::from(sent);
    match side.framing() {
        Framing::Sse => {
            let mut framer = sse::Framer::new(sse::MAX_EVENT_BYTES);
            framer.feed(sent.clone()).for_each(|event| read(event.unwrap().data(&sent)));
        }
        Framing::Lines => {
            let mut framer = lines::Framer::new(sse::MAX_EVENT_BYTES);
            framer.feed(sent.clone()).for_each(|event| read(event.unwrap().data(&sent)));
        }
    }
}

/// Sends the stream to each client in pieces of several sizes.
fn check(format: ApiFormat, events: &[Value], expected: Option<&str>) {
    let end = if format == ApiFormat::Ollama { "\n" } else { "\n\n" };
    let start = if format == ApiFormat::Ollama { "" } else { "data: " };
    let whole =
        events.iter().map(|event| [start, &event.to_string(), end].concat()).collect::<String>();
    for (api, spoken) in CLIENTS {
        for piece in [1, 7, whole.len()] {
            let what = format!("{api:?} by {piece} of {format:?}: {whole}");
            let mut stream = conversion(api, format, false).stream(true);
            let (mut sent, ending) = feed(&mut stream, whole.as_bytes(), piece);
            let last = match ending {
                Some(Ending::Done(last)) => Some(last),
                None => stream.end(),
                Some(Ending::Failed(failure)) if spoken != format => {
                    assert_eq!((failure.class, expected), (FailureClass::Cut, None), "{what}");
                    continue;
                }
                other => panic!("{what}: {other:?}"),
            };
            sent.extend_from_slice(&last.expect(&what));
            if spoken == format {
                assert!(String::from_utf8(sent).unwrap().starts_with(&whole), "{what}");
                continue;
            }
            let said = said_in(spoken, sent);
            let squeezed = |text: &str| text.replace(char::is_whitespace, "");
            assert_eq!(Some(squeezed(&said)), expected.map(squeezed), "{what}");
        }
    }
}

/// A kind of words in Responses: its item, its part, and the events that say it.
struct Kind {
    item: fn(&str) -> Value,
    part: fn(&str) -> Option<Value>,
    /// The beginning of the events' names, the field of the whole, and the name of the place.
    event: &'static str,
    field: &'static str,
    place: &'static str,
    words: &'static [(&'static str, &'static str, Option<&'static str>)],
}

const KINDS: [Kind; 6] = [
    Kind {
        item: |text| json!({"type": "message", "content": [{"type": "output_text", "text": text}]}),
        part: |text| Some(json!({"type": "output_text", "text": text})),
        event: "response.output_text",
        field: "text",
        place: "content_index",
        words: &WORDS,
    },
    Kind {
        item: |text| json!({"type": "message", "content": [{"type": "refusal", "refusal": text}]}),
        part: |text| Some(json!({"type": "refusal", "refusal": text})),
        event: "response.refusal",
        field: "refusal",
        place: "content_index",
        words: &WORDS,
    },
    Kind {
        item: |text| json!({"type": "reasoning", "content": [{"type": "reasoning_text", "text": text}]}),
        part: |text| Some(json!({"type": "reasoning_text", "text": text})),
        event: "response.reasoning_text",
        field: "text",
        place: "content_index",
        words: &WORDS,
    },
    Kind {
        item: |text| json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}),
        part: |text| Some(json!({"type": "summary_text", "text": text})),
        event: "response.reasoning_summary_text",
        field: "text",
        place: "summary_index",
        words: &WORDS,
    },
    Kind {
        item: |text| json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": text}),
        part: |_| None,
        event: "response.function_call_arguments",
        field: "arguments",
        place: "none",
        words: &INPUTS,
    },
    Kind {
        item: |text| json!({"type": "custom_tool_call", "call_id": "c", "name": "f", "input": text}),
        part: |_| None,
        event: "response.custom_tool_call_input",
        field: "input",
        place: "none",
        words: &[],
    },
];

fn added(item: &Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": 0, "item": item})
}

fn completed(output: &[Value]) -> Value {
    json!({"type": "response.completed", "response": {"status": "completed", "output": output}})
}

/// Streams of Responses whose deltas say one thing, and each of the events that tell a whole another.
fn streams_of(kind: &Kind, said: &str, whole: &str) -> Vec<Vec<Value>> {
    let about = |name: String| json!({"type": name, "output_index": 0, kind.place: 0});
    let mut begun = vec![added(&(kind.item)(""))];
    if !said.is_empty() {
        let mut delta = about(format!("{}.delta", kind.event));
        delta["delta"] = said.into();
        begun.push(delta);
    }
    let mut done = about(format!("{}.done", kind.event));
    done[kind.field] = whole.into();
    let item = (kind.item)(whole);
    let item_done = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let mut ends = vec![
        vec![done.clone(), completed(&[])],
        vec![item_done.clone(), completed(&[])],
        vec![completed(std::slice::from_ref(&item))],
        vec![done.clone(), item_done.clone(), completed(&[item])],
    ];
    if let Some(part) = (kind.part)(whole) {
        let is_summary = kind.place == "summary_index";
        let name = if is_summary { "reasoning_summary_part" } else { "content_part" };
        let mut part_done = about(format!("response.{name}.done"));
        part_done["part"] = part;
        ends.push(vec![part_done.clone(), completed(&[])]);
        ends.push(vec![done, part_done, item_done, completed(&[])]);
    }
    ends.into_iter().map(|end| [begun.clone(), end].concat()).collect()
}

#[test]
fn what_the_end_of_a_response_says_beyond_its_parts_goes_on() {
    for kind in &KINDS {
        for (said, whole, expected) in kind.words {
            for events in streams_of(kind, said, whole) {
                check(ApiFormat::Responses, &events, *expected);
            }
        }
    }
}

/// Not every dialect has tools that take any text.
#[test]
fn what_the_end_says_of_a_call_with_a_text_goes_on() {
    for (said, whole, expected) in WORDS {
        for events in streams_of(&KINDS[5], said, whole) {
            let mut reader = upstream_side(ApiFormat::Responses).stream_reader();
            let mut all = String::new();
            let mut read = |event: &Value| {
                reader.read(event.to_string().as_bytes(), &mut |delta| {
                    all.push_str(&words_of(&delta));
                })
            };
            let is_read = |event| !matches!(read(event), Ok(EventOutcome::DoneInPart) | Err(_));
            let is_all = events.iter().all(is_read);
            assert_eq!(is_all.then_some(&*all), expected, "{events:#?}");
        }
    }
}

#[test]
fn what_comes_for_an_item_of_another_kind_is_a_cut_unless_it_is_said_in_the_end() {
    let message = || (KINDS[0].item)("alpha");
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "delta": "alpha"});
    let input = json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{\"a\":1}"});
    let done = |item| json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let begun = [added(&(KINDS[0].item)("")), delta];
    let of_message = [&begun[..], &[input.clone(), done(message()), completed(&[])]].concat();
    check(ApiFormat::Responses, &of_message, None);
    let never_done = [&begun[..], &[input.clone(), completed(&[])]].concat();
    check(ApiFormat::Responses, &never_done, None);
    let unnamed = [added(&json!({"type": "function_call"})), input];
    let call = (KINDS[4].item)("{\"a\":1}");
    check(
        ApiFormat::Responses,
        &[&unnamed[..], &[done(call.clone()), completed(&[call])]].concat(),
        Some("{\"a\":1}"),
    );
}

#[test]
fn items_that_only_the_end_has_go_on() {
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "delta": "alpha"});
    let items = [(KINDS[0].item)("alpha"), (KINDS[4].item)("{\"a\":1}"), (KINDS[0].item)("omega")];
    check(ApiFormat::Responses, &[delta, completed(&items)], Some("alpha{\"a\":1}omega"));
}

fn chunk(choice: &Value) -> Value {
    let mut all = json!({"index": 0});
    all.as_object_mut().unwrap().extend(choice.as_object().unwrap().clone());
    json!({"choices": [all]})
}

#[test]
fn what_a_whole_message_of_chat_says_beyond_its_deltas_goes_on() {
    for field in ["content", "refusal", "reasoning_content", "reasoning"] {
        for (said, whole, expected) in WORDS {
            for has_delta in [true, false] {
                let mut last = json!({"message": {field: whole}, "finish_reason": "stop"});
                if has_delta {
                    last["delta"] = json!({"role": "assistant"});
                }
                let events = [chunk(&json!({"delta": {field: said}})), chunk(&last)];
                check(ApiFormat::Openai, &events, expected);
            }
        }
    }
    for (said, whole, expected) in INPUTS {
        let of = |name: &str, input: &str| json!({"function": {"name": name, "arguments": input}});
        let call = |name: &str, input: &str| {
            let mut call = of(name, input);
            (call["index"], call["id"]) = (0.into(), "c".into());
            json!({"tool_calls": [call]})
        };
        let legacy =
            |name: &str, input: &str| json!({"function_call": of(name, input)["function"]});
        for message in [&call as &dyn Fn(&str, &str) -> Value, &legacy] {
            let events = [
                chunk(&json!({"delta": message("f", said)})),
                chunk(&json!({"message": message("f", whole), "finish_reason": "tool_calls"})),
            ];
            check(ApiFormat::Openai, &events, expected);
        }
    }
}

#[test]
fn calls_of_both_kinds_grow_each_by_itself() {
    let events = [
        json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}),
        json!({"function_call": {"name": "g", "arguments": "{\"b\":"}}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\":1}"}}]}),
        json!({"function_call": {"arguments": "2}"}}),
    ];
    let mut reader = upstream_side(ApiFormat::Openai).stream_reader();
    let mut inputs = [String::new(), String::new()];
    for delta in events {
        let event = chunk(&json!({"delta": delta})).to_string();
        let mut note = |delta: Delta<'_>| {
            if let Delta::CallInput { number, text, .. } = delta {
                inputs[number as usize].push_str(&text);
            }
        };
        reader.read(event.as_bytes(), &mut note).unwrap();
    }
    assert_eq!(inputs, ["{\"a\":1}", "{\"b\":2}"]);
}

#[test]
fn thoughts_that_stand_in_several_fields_are_the_same_or_a_cut() {
    let text = |text: &str| json!([{"type": "reasoning.text", "text": text}]);
    for (message, expected) in [
        (json!({"reasoning": "alpha", "reasoning_content": "alpha"}), Some("alpha")),
        (json!({"reasoning": "alpha", "reasoning_content": "omega"}), None),
        (json!({"reasoning": "alpha", "reasoning_details": text("alpha")}), Some("alpha")),
        (json!({"reasoning": "alpha", "reasoning_details": text("")}), Some("alpha")),
        (
            json!({"reasoning": "alpha omega", "reasoning_details": text("alpha")}),
            Some("alpha omega"),
        ),
        (json!({"reasoning": "alpha", "reasoning_details": text("omega")}), None),
        (json!({"reasoning_details": ["alpha omega"]}), None),
        (json!({"reasoning_details": [{"type": "reasoning.text", "content": "alpha"}]}), None),
        (json!({"reasoning_details": [{"text": "alpha", "summary": "omega"}]}), None),
    ] {
        let end = chunk(&json!({"delta": {}, "finish_reason": "stop"}));
        check(ApiFormat::Openai, &[chunk(&json!({"delta": message})), end], expected);
        let whole = chunk(&json!({"message": message, "finish_reason": "stop"})).to_string();
        for (api, _) in CLIENTS.into_iter().filter(|(_, spoken)| *spoken != ApiFormat::Openai) {
            let whole = conversion(api, ApiFormat::Openai, false).whole(Bytes::from(whole.clone()));
            assert_eq!(whole.is_ok(), expected.is_some(), "{api:?}: {message}");
        }
    }
    let plain = chunk(&json!({"delta": {"reasoning": "alpha"}}));
    for (entry, expected) in
        [("alpha", Some("alpha")), ("alpha omega", Some("alpha omega")), ("omega", None)]
    {
        let entries = json!({"delta": {"reasoning_details": text(entry)}, "finish_reason": "stop"});
        check(ApiFormat::Openai, &[plain.clone(), chunk(&entries)], expected);
    }
}

#[test]
fn what_a_block_of_messages_begins_with_goes_on_or_is_a_cut() {
    let begin =
        |block: Value| json!({"type": "content_block_start", "index": 0, "content_block": block});
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let call =
        |input: Value| begin(json!({"type": "tool_use", "id": "c", "name": "f", "input": input}));
    let piece = |json: &str| delta(json!({"type": "input_json_delta", "partial_json": json}));
    let text = delta(json!({"type": "text_delta", "text": " omega"}));
    let thought = delta(json!({"type": "thinking_delta", "thinking": " omega"}));
    let one = || json!({"a": 1});
    for (events, expected) in [
        (vec![begin(json!({"type": "text", "text": "alpha"})), text], Some("alpha omega")),
        (
            vec![begin(json!({"type": "thinking", "thinking": "alpha"})), thought],
            Some("alpha omega"),
        ),
        (vec![call(json!({})), piece("{\"a\":"), piece("1}")], Some("{\"a\":1}")),
        (vec![call(json!("")), piece("{\"a\":1}")], Some("{\"a\":1}")),
        (vec![call(one())], Some("{\"a\":1}")),
        (vec![call(one()), piece("{\"a\":1}")], Some("{\"a\":1}")),
        (vec![call(one()), piece("{\"b\":2,"), piece("\"a\":1}")], Some("{\"b\":2,\"a\":1}")),
        (vec![call(one()), piece("{\"b\":2}")], None),
        (vec![call(one()), piece("{\"a\":2}")], None),
    ] {
        for has_stop in [true, false] {
            let mut events = events.clone();
            if has_stop {
                events.push(json!({"type": "content_block_stop", "index": 0}));
            }
            events.push(json!({"type": "message_stop"}));
            check(ApiFormat::Anthropic, &events, expected);
        }
    }
}

#[test]
fn what_gemini_says_of_a_call_in_pieces_is_a_cut_and_parts_of_several_kinds_are_read() {
    let event = |part: Value| json!({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]});
    let pieces = json!({"name": "f", "partialArgs": [{"jsonPath": "$.a", "numberValue": 1}]});
    check(ApiFormat::Google, &[event(json!({"functionCall": pieces}))], None);
    let both = json!({"text": "alpha", "functionCall": {"name": "f", "args": {"a": 1}}});
    check(ApiFormat::Google, &[event(both)], Some("alpha{\"a\":1}"));
}

#[test]
fn the_last_line_of_ollama_says_more() {
    let line = |text: &str, done: bool| json!({"message": {"content": text}, "done": done});
    let lines = [line("alpha", false), line(" omega", true)];
    check(ApiFormat::Ollama, &lines, Some("alpha omega"));
}
