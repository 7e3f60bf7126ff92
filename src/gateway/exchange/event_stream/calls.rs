//! Calls of a stream whose pieces are mixed with other things, come late, or belong to nothing: in a
//! translation all that was sent of texts and calls is told, or the stream is a cut.

use std::slice::from_ref;

use serde_json::{Value, json};

use super::{
    odd::CLIENTS,
    wholes::{read_sent, said_in},
    *,
};
use crate::{
    domain::{
        chat::{Answer, Assembly, Content},
        provider::ApiFormat,
    },
    gateway::exchange::testing::{conversion, feed},
};

/// What a stream tells: its words, and the name and input of each call. None: it is a cut.
type Told = Option<Said>;

type Said = (&'static str, Vec<(&'static str, Value)>);

fn one_call(words: &'static str) -> Said {
    (words, vec![("f", json!({"a": "v"}))])
}

fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn piece(index: usize, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"tool_calls": [{"index": index, "id": id, "function": function}]})
}

/// Chunks of these deltas, and the reason to end before the last `late` of them.
fn chat(deltas: &[Value], late: usize) -> Vec<Value> {
    let mut chunks: Vec<_> = deltas.iter().map(|delta| chunk(delta, None)).collect();
    chunks.insert(deltas.len() - late, chunk(&json!({}), Some("tool_calls")));
    chunks
}

fn of_chat() -> Vec<(Vec<Value>, Told)> {
    let begin = piece(0, Some("x"), Some("f"), r#"{"a":"#);
    let rest = piece(0, None, None, r#""v"}"#);
    let text = |text: &str| json!({"content": text});
    let thought = json!({"reasoning_content": "hm"});
    let mut both = rest.clone();
    both["content"] = json!("hey");
    let other = piece(1, Some("y"), Some("g"), "{}");
    let two = Some(("", vec![("f", json!({"a": "v"})), ("g", json!({}))]));
    let legacy = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    let legacy = [
        legacy(r#"{"function_call":{"name":"f","arguments":"{\"a\":"}}"#),
        text("hey"),
        legacy(r#"{"function_call":{"arguments":"\"v\"}"}}"#),
    ];
    let whole = piece(0, Some("x"), Some("f"), r#"{"a":"v"}"#);
    let nameless = piece(0, Some("x"), None, r#"{"a":"v"}"#);
    let large = piece(0, Some("x"), None, &format!(r#"{{"b":"{}","#, "z".repeat(70_000)));
    let named = piece(0, None, Some("f"), r#""a":"v"}"#);
    let many = |number: usize| piece(number, Some(&format!("c{number}")), Some("f"), "{}");
    let all: Vec<Value> = (0..1025).map(many).collect();
    let at_once: Vec<_> = all.iter().map(|delta| delta["tool_calls"][0].clone()).collect();
    vec![
        (chat(&[begin.clone(), text("hey"), rest.clone()], 0), Some(one_call("hey"))),
        (chat(&[begin.clone(), text("\n"), rest.clone()], 0), Some(one_call("\n"))),
        (
            chat(&[text("a"), begin.clone(), thought, rest.clone(), text("b")], 0),
            Some(one_call("ahmb")),
        ),
        (chat(&[begin.clone(), both], 0), Some(one_call("hey"))),
        (chat(&[begin.clone(), other.clone(), rest.clone()], 0), two.clone()),
        (chat(&[begin.clone(), rest.clone()], 1), Some(one_call(""))),
        (chat(&[begin.clone(), text("hey"), rest.clone()], 2), Some(one_call("hey"))),
        (chat(&[begin.clone(), other, text("hey"), rest.clone()], 1), two.map(|it| ("hey", it.1))),
        (chat(&legacy, 0), Some(one_call("hey"))),
        (
            chat(&[whole.clone(), text("hey"), piece(0, None, None, " \n")], 0),
            Some(one_call("hey")),
        ),
        (chat(&[whole, text("hey"), rest.clone()], 0), None),
        (chat(from_ref(&nameless), 0), None),
        (chat(from_ref(&nameless), 1), None),
        (chat(&[text("hey"), nameless.clone()], 1), None),
        (vec![chunk(&nameless, None)], None),
        (chat(&[large, named], 0), None),
        (chat(&all, 0), None),
        (chat(&[json!({"tool_calls": at_once})], 0), None),
    ]
}

fn of_responses() -> Vec<(Vec<Value>, Told)> {
    let item = |id: &str, name: &str, arguments: &str| json!({"type": "function_call", "id": id, "call_id": id, "name": name, "arguments": arguments});
    let message = |text: &str| json!({"type": "message", "id": "m", "content": [{"type": "output_text", "text": text}]});
    let added = |at: u32, item: Value| json!({"type": "response.output_item.added", "output_index": at, "item": item});
    let done = |at: u32, item: Value| json!({"type": "response.output_item.done", "output_index": at, "item": item});
    let input = |at: u32, delta: &str| json!({"type": "response.function_call_arguments.delta", "output_index": at, "delta": delta});
    let text = |at: u32, delta: &str| json!({"type": "response.output_text.delta", "output_index": at, "delta": delta});
    let end = json!({"type": "response.completed", "response": {"status": "completed"}});
    let whole = r#"{"a":"v"}"#;
    let begun = [added(0, item("x", "f", "")), input(0, r#"{"a":"#)];
    let beside_text = [
        added(1, json!({"type": "message", "id": "m"})),
        text(1, "he"),
        input(0, r#""v"}"#),
        text(1, "y"),
        done(0, item("x", "f", whole)),
        done(1, message("hey")),
        end.clone(),
    ];
    let told_in_the_end = [
        added(1, json!({"type": "message", "id": "m"})),
        text(1, "hey"),
        done(1, message("hey")),
        done(0, item("x", "f", whole)),
        end.clone(),
    ];
    let beside_another = [
        added(1, item("y", "g", "")),
        input(1, "{"),
        input(0, r#""v"}"#),
        done(0, item("x", "f", whole)),
        input(1, "}"),
        done(1, item("y", "g", "{}")),
        end,
    ];
    let after = |events: &[Value]| [&begun[..], events].concat();
    let two = Some(("", vec![("f", json!({"a": "v"})), ("g", json!({}))]));
    vec![
        (after(&beside_text), Some(one_call("hey"))),
        (after(&told_in_the_end), Some(one_call("hey"))),
        (after(&beside_another), two),
    ]
}

fn of_messages() -> Vec<(Vec<Value>, Told)> {
    let start = |at: usize, block: Value| json!({"type": "content_block_start", "index": at, "content_block": block});
    let call = || json!({"type": "tool_use", "id": "x", "name": "f", "input": {}});
    let input = |json: &str| {
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": json}})
    };
    let text = json!({"type": "content_block_delta", "index": 1,
        "delta": {"type": "text_delta", "text": "hey"}});
    let stop = |at: usize| json!({"type": "content_block_stop", "index": at});
    let end = [
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ];
    let mixed = [
        start(0, call()),
        input(r#"{"a":"#),
        start(1, json!({"type": "text", "text": ""})),
        text,
        input(r#""v"}"#),
        stop(0),
        stop(1),
    ];
    let many = (0..1025).flat_map(|at| [start(at, call()), stop(at)]);
    vec![([&mixed[..], &end].concat(), None), (many.chain(end).collect(), None)]
}

fn of_gemini() -> Vec<(Vec<Value>, Told)> {
    let chunk = |parts: Value, finish: Option<&str>| json!({"candidates": [{"index": 0, "content": {"parts": parts}, "finishReason": finish}]});
    let call = json!({"functionCall": {"name": "f", "args": {"a": "v"}}});
    let text = json!([{"text": "hey"}]);
    let many = Value::from(vec![call.clone(); 1025]);
    let nameless = json!([{"functionCall": {"args": {"a": "v"}}}]);
    vec![
        (vec![chunk(nameless, Some("STOP"))], None),
        (
            vec![chunk(json!([call]), Some("STOP")), chunk(text, Some("STOP"))],
            Some(one_call("hey")),
        ),
        (vec![chunk(many, Some("STOP"))], None),
    ]
}

fn of_ollama() -> Vec<(Vec<Value>, Told)> {
    let line = |message: Value, done: bool| json!({"message": message, "done": done});
    let call = json!({"function": {"name": "f", "arguments": {"a": "v"}}});
    let called = |calls: usize| json!({"content": "", "tool_calls": vec![call.clone(); calls]});
    let text = line(json!({"content": "hey"}), false);
    let end = line(json!({"content": ""}), true);
    vec![
        (vec![line(called(1), false), text, end.clone()], Some(one_call("hey"))),
        (vec![line(called(1025), false), end], None),
    ]
}

/// The words and calls of an answer, without the space around them.
fn told(answer: &Answer) -> (String, Vec<(String, Value)>) {
    let (mut words, mut calls) = (String::new(), Vec::new());
    for part in &answer.choices[0].parts {
        match &part.content {
            Content::Text { text, .. } => words.push_str(text),
            Content::Reasoning(thought) => words.push_str(&thought.text),
            Content::ToolCall(call) => {
                calls.push((call.name.clone(), serde_json::from_str(&call.input).unwrap()));
            }
            other => panic!("{other:?}"),
        }
    }
    (words.trim().to_owned(), calls)
}

#[test]
fn calls_are_told_whole_or_the_stream_is_a_cut() {
    for (format, cases) in [
        (ApiFormat::Openai, of_chat()),
        (ApiFormat::Responses, of_responses()),
        (ApiFormat::Anthropic, of_messages()),
        (ApiFormat::Google, of_gemini()),
        (ApiFormat::Ollama, of_ollama()),
    ] {
        for (events, expected) in cases {
            let lines = events.iter().map(|event| match format {
                ApiFormat::Ollama => format!("{event}\n"),
                _ => format!("data: {event}\n\n"),
            });
            let mut whole: String = lines.collect();
            if format == ApiFormat::Openai {
                whole += "data: [DONE]\n\n";
            }
            for (api, spoken) in CLIENTS.into_iter().filter(|(_, spoken)| *spoken != format) {
                for size in [7, whole.len()] {
                    let what = format!("{api:?} of {format:?} by {size}: {whole:.400}");
                    let mut stream = conversion(api, format, false).stream(true);
                    let (mut sent, ending) = feed(&mut stream, whole.as_bytes(), size);
                    let last = match ending {
                        Some(Ending::Done(last)) => last,
                        Some(Ending::Failed(failure)) => {
                            assert_eq!(failure.class, FailureClass::Cut, "{what}");
                            assert_eq!(expected, None, "{what}: {failure:?}");
                            continue;
                        }
                        other => stream.end().unwrap_or_else(|| panic!("{what}: {other:?}")),
                    };
                    sent.extend_from_slice(&last);
                    let mut assembly = Assembly::new(1 << 20);
                    read_sent(spoken, sent, &mut |delta| assembly.add(delta).unwrap());
                    let told = told(&assembly.finish().expect(&what));
                    let (words, calls) = expected.as_ref().unwrap_or_else(|| panic!("{what}"));
                    let calls = calls.iter().map(|(name, input)| ((*name).into(), input.clone()));
                    // Some put all thoughts before all texts, and space around texts says nothing.
                    assert_eq!(told, (words.trim().into(), calls.collect()), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_whole_answer_with_a_call_that_cannot_be_told_is_a_failure() {
    let call = |id: &str, name: &str| json!({"id": id, "function": {"name": name, "arguments": if id.is_empty() { "" } else { "{}" }}});
    for (calls, is_told) in [
        (vec![call("x", "f")], true),
        (vec![call("x", "f"), call("", "")], true),
        (vec![call("x", "f"), call("y", "")], false),
        (vec![call("x", "f"); 1025], false),
    ] {
        let body = json!({"choices": [{"message": {"content": "one", "tool_calls": calls}}]});
        for (api, spoken) in CLIENTS {
            let whole = conversion(api, ApiFormat::Openai, false)
                .whole(body.to_string().into())
                .map(|_| ());
            let is_passed = spoken == ApiFormat::Openai;
            assert_eq!(whole.is_ok(), is_told || is_passed, "{api:?}: {body:.200}");
        }
    }
}

/// A reason to end, as each format writes it.
const ENDS: [(ApiFormat, &str, &str); 5] = [
    (ApiFormat::Openai, "finish_reason", "stop"),
    (ApiFormat::Responses, "status", "completed"),
    (ApiFormat::Anthropic, "stop_reason", "end_turn"),
    (ApiFormat::Google, "finishReason", "STOP"),
    (ApiFormat::Ollama, "done_reason", "stop"),
];

#[test]
fn a_reason_to_end_of_an_odd_shape_is_one_that_nobody_knows() {
    use super::resumed::upstream::events;
    use crate::gateway::exchange::passed_log::TextKind::Text;

    for (format, name, word) in ENDS {
        for odd in ["17", "{}", "true", "[\"stop\"]", "null", "\"weird\""] {
            let known = format!("\"{name}\":\"{word}\"");
            let whole = events(format, "first", &[(Text, "one"), (Text, " two")]).concat();
            let at = whole.rfind(&known).expect(&known);
            let mut whole = whole;
            whole.replace_range(at..at + known.len(), &format!("\"{name}\":{odd}"));
            // A candidate of Gemini's and a choice of Chat's go on where no reason is told.
            let goes_on = match format {
                ApiFormat::Google => odd == "null",
                _ => false,
            };
            for (api, spoken) in CLIENTS {
                let what = format!("{api:?} of {format:?}: {odd}");
                let mut stream = conversion(api, format, false).stream(true);
                let (mut sent, ending) = feed(&mut stream, whole.as_bytes(), 100);
                match ending {
                    Some(Ending::Done(last)) => sent.extend_from_slice(&last),
                    None if goes_on => {
                        assert_eq!(stream.end(), None, "{what}");
                        continue;
                    }
                    None => sent.extend_from_slice(&stream.end().expect(&what)),
                    other => panic!("{what}: {other:?}"),
                }
                if spoken == format {
                    assert_eq!(String::from_utf8(sent).unwrap(), whole, "{what}");
                } else {
                    assert_eq!(said_in(spoken, sent), "one two", "{what}");
                }
            }
        }
    }
}

#[test]
fn words_on_a_line_of_no_known_field_are_a_cut() {
    use super::resumed::upstream::events;
    use crate::gateway::exchange::passed_log::TextKind::Text;

    let odd = [
        " data: ",
        "DATA: ",
        "data : ",
        "data=",
        "\u{feff}data: ",
        "Internal Server Errordata: ",
        "",
    ];
    let formats = ENDS.map(|(format, ..)| format).into_iter();
    for format in formats.filter(|format| *format != ApiFormat::Ollama) {
        for start in odd {
            let mut events = events(format, "first", &[(Text, "one"), (Text, " two")]);
            let event = events.iter_mut().find(|event| event.contains("\" two\"")).unwrap();
            *event = event.replace("data: ", start);
            let whole = events.concat();
            for (api, spoken) in CLIENTS {
                let what = format!("{api:?} of {format:?}: {start:?}");
                let mut stream = conversion(api, format, false).stream(true);
                let (mut sent, ending) = feed(&mut stream, whole.as_bytes(), 100);
                match ending {
                    Some(Ending::Failed(failure)) => assert_eq!(failure.class, FailureClass::Cut),
                    // JSON on a line of its own is read.
                    _ if start.is_empty() => {
                        let last = match ending {
                            Some(Ending::Done(last)) => last,
                            _ => stream.end().expect(&what),
                        };
                        sent.extend_from_slice(&last);
                        assert!(spoken == format || said_in(spoken, sent) == "one two", "{what}");
                    }
                    other => panic!("{what}: {other:?}"),
                }
            }
        }
    }
}
