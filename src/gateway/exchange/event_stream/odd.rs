//! Events of unknown types and shapes: between equal dialects they pass byte for byte; in a translation what
//! can be read goes on, and nothing that may be text or a call is left out in silence.

use serde_json::{Value, json};

use super::*;
use crate::{
    domain::provider::ApiFormat,
    gateway::exchange::{
        ClientApi,
        event_stream::resumed::upstream::{FORMATS, events},
        passed_log::TextKind::{Reasoning, Text},
        testing::{conversion, feed},
    },
};

/// What becomes of an odd event in a translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    /// What else it says is read.
    Read,
    /// It is passed over with a receipt.
    Told,
    /// The stream is cut.
    Cut,
}

use Odd::{Cut, Read, Told};

const CASES: [(ApiFormat, Odd, &str); 48] = [
    (ApiFormat::Openai, Cut, r#"{"choices":[{"index":0,"delta":{"content":{"text":"x"}}}]}"#),
    (ApiFormat::Openai, Cut, r#"{"choices":[{"index":0,"delta":{"reasoning":["x"]}}]}"#),
    (
        ApiFormat::Openai,
        Cut,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":{"0":{"id":"c"}}}}]}"#,
    ),
    (ApiFormat::Openai, Cut, r#"{"choices":{"0":{"delta":{"content":"x"}}}}"#),
    (ApiFormat::Openai, Cut, r#""x""#),
    (ApiFormat::Openai, Read, r#"{"choices":[],"usage":{"prompt_tokens":"many"}}"#),
    (
        ApiFormat::Openai,
        Read,
        r#"{"choices":[{"index":"0","delta":{"content":"","token_ids":[1]}}]}"#,
    ),
    (ApiFormat::Openai, Told, r#"{"type":"ping"}"#),
    (ApiFormat::Openai, Cut, r#"{"content":"x","stop":false}"#),
    (ApiFormat::Openai, Cut, r#"{"output_text":"x"}"#),
    (ApiFormat::Openai, Cut, r#"{"choices":[{"index":0,"message":{"content":"ono"}}]}"#),
    (ApiFormat::Openai, Cut, r#"{"choices":[{"index":0,"delta":{},"message":{"content":"x"}}]}"#),
    (ApiFormat::Openai, Told, "7"),
    (
        ApiFormat::Responses,
        Cut,
        r#"{"type":"response.output_text.delta","output_index":0,"delta":{"text":"x"}}"#,
    ),
    (ApiFormat::Responses, Cut, r#"{"type":"response.reasoning_text.delta","delta":["x"]}"#),
    (
        ApiFormat::Responses,
        Cut,
        r#"{"type":"response.function_call_arguments.delta","delta":{"a":1}}"#,
    ),
    (
        ApiFormat::Responses,
        Read,
        r#"{"type":"response.output_text.delta","output_index":{},"item_id":7,"delta":""}"#,
    ),
    (ApiFormat::Responses, Told, r#"{"type":"vendor.notice","text":"x"}"#),
    (
        ApiFormat::Anthropic,
        Cut,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":{"a":1}}}"#,
    ),
    (ApiFormat::Anthropic, Cut, r#"{"type":"content_block_delta","index":0,"delta":"x"}"#),
    (
        ApiFormat::Anthropic,
        Read,
        r#"{"type":"content_block_delta","index":"0","delta":{"type":"text_delta","text":""}}"#,
    ),
    (
        ApiFormat::Anthropic,
        Read,
        r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":"many"}}"#,
    ),
    (ApiFormat::Anthropic, Told, r#"{"type":"vendor_notice","text":"x"}"#),
    (ApiFormat::Google, Cut, r#"{"candidates":[{"content":{"parts":[{"text":{"a":1}}]}}]}"#),
    (ApiFormat::Google, Cut, r#"{"candidates":{"content":{"parts":[{"text":"x"}]}}}"#),
    (
        ApiFormat::Google,
        Read,
        r#"{"candidates":[{"index":"x","content":{"parts":[{"text":""}]}}],"usageMetadata":7}"#,
    ),
    (ApiFormat::Google, Told, r#"{"notice":"x"}"#),
    (ApiFormat::Ollama, Cut, r#"{"message":{"content":{"text":"x"}},"done":false}"#),
    (
        ApiFormat::Ollama,
        Read,
        r#"{"message":{"content":""},"done":false,"logprobs":7,"eval_count":"many"}"#,
    ),
    (ApiFormat::Ollama, Told, r#"{"notice":"x"}"#),
    (ApiFormat::Ollama, Cut, r#"["x"]"#),
    (ApiFormat::Ollama, Cut, r#"{"message":{"content":""},"response":"x","done":false}"#),
    (ApiFormat::Openai, Cut, r#"{"choices":[],"usage":{"prompt_tokens":1},"content":"x"}"#),
    (ApiFormat::Openai, Cut, r#"{"choices":[{"index":0,"delta":{"content":"y"},"text":"x"}]}"#),
    (ApiFormat::Openai, Cut, r#"{"choices":[{"index":0,"delta":{"Content":"x"}}]}"#),
    (
        ApiFormat::Openai,
        Cut,
        r#"{"choices":[{"index":0,"delta":{"content":"y","tool_calls":{"0":{"id":"c"}}}}]}"#,
    ),
    (
        ApiFormat::Openai,
        Read,
        r#"{"choices":[{"index":0,"delta":{"content":""},"message":{"content":"one"}}]}"#,
    ),
    (
        ApiFormat::Openai,
        Read,
        r#"{"choices":[{"index":0,"delta":{"content":""},"message":{"content":"one more"}}]}"#,
    ),
    (ApiFormat::Responses, Cut, r#"{"type":"response.vendor.delta","delta":"x"}"#),
    (
        ApiFormat::Responses,
        Cut,
        r#"{"type":"response.output_text.delta","output_index":0,"text":"x"}"#,
    ),
    (
        ApiFormat::Responses,
        Cut,
        r#"{"type":"response.custom_tool_call_input.delta","output_index":7,"delta":"x"}"#,
    ),
    (
        ApiFormat::Responses,
        Cut,
        r#"{"type":"response.content_part.added","output_index":0,"content_index":1,"part":{"type":"output_text","text":"never said in the end"}}"#,
    ),
    (
        ApiFormat::Responses,
        Cut,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"message","content":[{"type":"output_text","text":"x"}]}}"#,
    ),
    (
        ApiFormat::Anthropic,
        Cut,
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","thinking":"x"}}"#,
    ),
    (
        ApiFormat::Anthropic,
        Cut,
        r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"x"}}"#,
    ),
    (
        ApiFormat::Anthropic,
        Cut,
        r#"{"type":"content_block_delta","delta":{"type":"foo_delta","text":"x"}}"#,
    ),
    (ApiFormat::Google, Cut, r#"{"candidates":[{"output":"x"}]}"#),
    (ApiFormat::Google, Cut, r#"{"candidates":[{"content":{"text":"x","parts":[{"text":"y"}]}}]}"#),
];

/// Whole answers of odd shapes.
const WHOLE: [(ApiFormat, Odd, &str); 29] = [
    (ApiFormat::Openai, Cut, r#"{"choices":[{"message":{"content":{"text":"x"}}}]}"#),
    (ApiFormat::Openai, Cut, r#"{"choices":[{"message":{"content":"y"},"text":"x"}]}"#),
    (
        ApiFormat::Openai,
        Cut,
        r#"{"choices":[{"message":{"content":"y","reasoning":{"text":"x"}}}]}"#,
    ),
    (
        ApiFormat::Openai,
        Cut,
        r#"{"choices":[{"message":{"content":"y","tool_calls":{"0":{"id":"c"}}}}]}"#,
    ),
    (ApiFormat::Openai, Cut, r#"{"choices":[{"message":{"Content":"x"}}]}"#),
    (
        ApiFormat::Openai,
        Cut,
        r#"{"choices":[{"message":{"content":"y"},"delta":{"content":"x"}}]}"#,
    ),
    (
        ApiFormat::Openai,
        Read,
        r#"{"choices":[{"message":{"content":"x"},"delta":{"content":""}}]}"#,
    ),
    (ApiFormat::Openai, Told, r#"{"choices":[{"message":{"content":"x"}}],"message":"success"}"#),
    (
        ApiFormat::Openai,
        Told,
        r#"{"choices":[{"message":{"content":"x","tools_run":[{"output":"y"}]}}]}"#,
    ),
    (
        ApiFormat::Responses,
        Cut,
        r#"{"output":[{"type":"message","content":[{"type":"output_text","text":["x"]}]}]}"#,
    ),
    (ApiFormat::Responses, Cut, r#"{"output":[{"type":"message","content":{"text":"x"}}]}"#),
    (ApiFormat::Responses, Cut, r#"{"output":[{"content":[{"type":"output_text","text":"x"}]}]}"#),
    (ApiFormat::Responses, Cut, r#"{"output":[{"type":"message","content":["x"]}]}"#),
    (ApiFormat::Responses, Cut, r#"{"output":[{"type":"message","content":[]}],"text":"x"}"#),
    (
        ApiFormat::Responses,
        Read,
        r#"{"output":[],"output_text":"x","text":{"format":{"type":"text"}}}"#,
    ),
    (
        ApiFormat::Responses,
        Read,
        r#"{"output":[{"type":"message","content":"x"}],"output_text":"x","tools":[{"text":"y"}]}"#,
    ),
    (ApiFormat::Anthropic, Cut, r#"{"content":[{"text":"x"}]}"#),
    (ApiFormat::Anthropic, Cut, r#"{"content":[{"type":"text","text":["x"]}]}"#),
    (ApiFormat::Anthropic, Cut, r#"{"content":[{"type":"text","text":"y","content":"x"}]}"#),
    (
        ApiFormat::Anthropic,
        Cut,
        r#"{"content":[{"type":"tool_use","id":7,"name":"f","input":{"a":1}}]}"#,
    ),
    (ApiFormat::Anthropic, Told, r#"{"content":[{"type":"text"},{"type":"text","text":"x"}]}"#),
    (ApiFormat::Google, Cut, r#"{"candidates":[{"output":"x"}]}"#),
    (ApiFormat::Google, Cut, r#"{"candidates":[{"content":{"parts":[{"text":"y","Text":"x"}]}}]}"#),
    (
        ApiFormat::Google,
        Read,
        r#"{"candidates":[{"content":{"parts":[{"text":"x","functionCall":{"name":"f"}}]}}]}"#,
    ),
    (ApiFormat::Ollama, Cut, r#"{"message":{"content":"y"},"response":"x","done":true}"#),
    (ApiFormat::Ollama, Cut, r#"{"message":{"content":"","reasoning":"x"},"done":true}"#),
    (ApiFormat::Ollama, Cut, r#"{"message":{"content":["x"]},"done":true}"#),
    (ApiFormat::Ollama, Read, r#"{"message":{"content":"x"},"done":true,"eval_count":"many"}"#),
    (ApiFormat::Ollama, Told, r#"{"message":{"content":"x"},"done":true,"notes":{"text":"y"}}"#),
];

pub(super) const CLIENTS: [(ClientApi, ApiFormat); 5] = [
    (ClientApi::Chat, ApiFormat::Openai),
    (ClientApi::Responses, ApiFormat::Responses),
    (ClientApi::Messages, ApiFormat::Anthropic),
    (ClientApi::Gemini, ApiFormat::Google),
    (ClientApi::OllamaChat, ApiFormat::Ollama),
];

/// A stream with the odd event among its words.
fn stream_with(format: ApiFormat, odd: &str) -> String {
    let mut events = events(format, "first", &[(Text, "one"), (Text, " two")]);
    let at = events.iter().position(|event| event.contains("\"one\"")).unwrap();
    let odd = match format {
        ApiFormat::Ollama => format!("{odd}\n"),
        _ => format!("data: {odd}\n\n"),
    };
    events.insert(at + 1, odd);
    events.concat()
}

#[test]
fn between_equal_dialects_every_json_passes_byte_for_byte() {
    for (format, _, odd) in CASES {
        let (api, _) = CLIENTS.into_iter().find(|(_, spoken)| *spoken == format).unwrap();
        let whole = stream_with(format, odd);
        let mut stream = conversion(api, format, false).stream(true);
        let (mut sent, ending) = feed(&mut stream, whole.as_bytes(), 11);
        match ending {
            Some(Ending::Done(last)) => sent.extend_from_slice(&last),
            None => assert!(stream.end().is_some_and(|last| last.is_empty()), "{format:?} {odd}"),
            other => panic!("{format:?} {odd}: {other:?}"),
        }
        assert_eq!(String::from_utf8(sent).unwrap(), whole, "{format:?} {odd}");
        assert!(stream.losses().is_empty());
    }
}

#[test]
fn in_a_translation_nothing_is_left_out_in_silence() {
    for (format, expected, odd) in CASES {
        for (api, _) in CLIENTS.into_iter().filter(|(_, spoken)| *spoken != format) {
            let whole = stream_with(format, odd);
            let mut stream = conversion(api, format, false).stream(true);
            let (_, ending) = feed(&mut stream, whole.as_bytes(), whole.len());
            let is_told = stream.losses().iter().any(|name| name == "stream.event");
            let became = match ending {
                Some(Ending::Failed(failure)) => {
                    assert_eq!(failure.class, FailureClass::Cut, "{format:?} {odd}: {failure:?}");
                    Cut
                }
                None if stream.end().is_none() => panic!("{format:?} {odd}: it has no end"),
                _ if is_told => Told,
                _ => Read,
            };
            assert_eq!(became, expected, "{api:?} of {format:?}: {odd}");
        }
    }
}

#[test]
fn nothing_of_a_whole_answer_is_left_out_in_silence() {
    for (format, expected, body) in WHOLE {
        for (api, spoken) in CLIENTS {
            let body = Bytes::from(body);
            let whole = conversion(api, format, false).whole(body.clone());
            let what = format!("{api:?} of {format:?}: {body:?}");
            match whole {
                // One of another JSON type than it is read as is no answer of the dialect at all.
                Err(failure) => {
                    assert_eq!(failure.class, FailureClass::Server, "{what}");
                    assert_eq!(expected, Cut, "{what}");
                }
                Ok(whole) if spoken == format => assert_eq!(whole.body, body, "{what}"),
                Ok(whole) => {
                    assert!(String::from_utf8_lossy(&whole.body).contains('x'), "{what}");
                    let is_told = !whole.losses.is_empty();
                    assert_eq!(if is_told { Told } else { Read }, expected, "{what}");
                }
            }
        }
    }
}

/// Names under which words may stand.
const NAMES: [&str; 15] = [
    "text",
    "content",
    "output",
    "output_text",
    "message",
    "response",
    "delta",
    "reasoning",
    "thinking",
    "arguments",
    "refusal",
    "Content",
    "TEXT",
    "parts",
    "tool_calls",
];

/// Other names, under which nobody looks for words of the answer.
const OTHERS: [&str; 6] = ["thoughts", "transcript", "analysis", "summary", "value", "x"];

/// Where the objects within a value are.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            let read = fields.iter().filter(|(name, _)| !name.starts_with("usage"));
            read.map(|(name, inner)| (name.clone(), inner)).collect()
        }
        Value::Array(values) => {
            values.iter().enumerate().map(|(n, inner)| (n.to_string(), inner)).collect()
        }
        _ => Vec::new(),
    };
    for (name, inner) in inner {
        objects(inner, &format!("{at}/{name}"), found);
    }
}

/// The value with a field more, or another value in its place, in each of its objects.
fn all_variants(json: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(json).unwrap();
    let mut places = Vec::new();
    objects(&json, "", &mut places);
    let odds = [
        json!("zebra"),
        json!(["zebra"]),
        json!({"text": "zebra"}),
        json!([{"type": "text", "text": "zebra"}]),
    ];
    let others = [json!("a zebra"), json!(["zébra"]), json!({"x": [{"y": "zebra,\n"}]})];
    let named = NAMES.into_iter().flat_map(|name| odds.iter().map(move |odd| (name, odd)));
    let other = OTHERS.into_iter().flat_map(|name| others.iter().map(move |odd| (name, odd)));
    let variant = |(at, (name, odd)): (&String, (&str, &Value))| {
        let mut json = json.clone();
        json.pointer_mut(at).unwrap()[name] = odd.clone();
        json.to_string()
    };
    let all: Vec<_> = named.chain(other).collect();
    places.iter().flat_map(|at| all.iter().map(move |odd| (at, *odd))).map(variant).collect()
}

#[test]
fn wherever_words_stand_in_a_whole_answer_they_arrive_or_are_told() {
    let bodies = [
        (
            ApiFormat::Openai,
            r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        ),
        (
            ApiFormat::Responses,
            r#"{"status":"completed","output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"Hi"}]}]}"#,
        ),
        (
            ApiFormat::Anthropic,
            r#"{"type":"message","content":[{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"Hi"}]}"#,
        ),
        (
            ApiFormat::Google,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"},{"functionCall":{"name":"f"}}]}}]}"#,
        ),
        (
            ApiFormat::Ollama,
            r#"{"message":{"role":"assistant","content":"Hi","tool_calls":[{"function":{"name":"f"}}]},"done":true}"#,
        ),
    ];
    let mut silent = Vec::new();
    for (format, body) in bodies {
        for variant in all_variants(body) {
            for (api, _) in CLIENTS.into_iter().filter(|(_, spoken)| *spoken != format) {
                let Ok(whole) = conversion(api, format, false).whole(Bytes::from(variant.clone()))
                else {
                    continue;
                };
                if !arrives(&whole.body) && whole.losses.is_empty() {
                    silent.push(format!("{api:?} of {format:?}: {variant}"));
                }
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Those of Responses that begin repeat what was asked.
#[test]
fn wherever_words_stand_in_an_event_they_arrive_or_are_told() {
    let mut silent = Vec::new();
    for format in FORMATS {
        let said = [(Reasoning, "hm"), (Text, "one"), (Text, " two")];
        let events = events(format, "first", &said);
        let is_read = |event: &String| event.contains('{') && !event.contains("in_progress\"");
        for at in (0..events.len()).filter(|at| is_read(&events[*at])) {
            let event = &events[at];
            let json = &event[event.find('{').unwrap()..=event.rfind('}').unwrap()];
            let others = CLIENTS.into_iter().filter(|(_, spoken)| *spoken != format);
            // What is read of an event is the same for all.
            let clients: Vec<_> = others.take(if json.contains("two") { 4 } else { 1 }).collect();
            for variant in all_variants(json) {
                let mut events = events.clone();
                events[at] = event.replace(json, &variant);
                for (api, _) in &clients {
                    let mut stream = conversion(*api, format, false).stream(true);
                    if !is_honest(&mut stream, &events.concat()) {
                        silent.push(format!("{api:?} of {format:?}: {variant}"));
                    }
                }
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Whether the word `zebra` is in what was sent. Gemini's writer holds its last character back.
fn arrives(sent: &[u8]) -> bool {
    let sent = String::from_utf8_lossy(sent);
    sent.contains("zebr") || sent.contains("zébr")
}

/// Whether the word `zebra` in a stream arrives, or it is told that something does not.
fn is_honest(stream: &mut EventStream, whole: &str) -> bool {
    let (mut sent, ending) = feed(stream, whole.as_bytes(), whole.len());
    match ending {
        Some(Ending::Done(last)) => sent.extend_from_slice(&last),
        Some(_) => return true,
        None => match stream.end() {
            Some(last) => sent.extend_from_slice(&last),
            None => return true,
        },
    }
    arrives(&sent) || !stream.losses().is_empty()
}

#[test]
fn words_after_the_end_of_a_choice_arrive_or_are_told() {
    let late = [
        (ApiFormat::Openai, r#"{"choices":[{"index":0,"delta":{"content":"zebra"}}]}"#),
        (
            ApiFormat::Anthropic,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"zebra"}}"#,
        ),
        (ApiFormat::Google, r#"{"candidates":[{"content":{"parts":[{"text":"zebra"}]}}]}"#),
    ];
    for (format, late) in late {
        for (api, _) in CLIENTS.into_iter().filter(|(_, spoken)| *spoken != format) {
            let mut events = events(format, "first", &[(Text, "one")]);
            let at = events.len() - usize::from(format != ApiFormat::Google);
            events.insert(at, format!("data: {late}\n\n"));
            let mut stream = conversion(api, format, false).stream(true);
            assert!(is_honest(&mut stream, &events.concat()), "{api:?} of {format:?}");
        }
    }
}

#[test]
fn objects_without_the_name_of_their_field_are_read_or_are_a_cut() {
    for (api, spoken) in CLIENTS {
        for end in ["\n", "\n\n"] {
            let events = events(ApiFormat::Openai, "first", &[(Text, "zebra")]);
            let lines = events.iter().map(|event| event.trim().trim_start_matches("data: "));
            let whole: String = lines.map(|line| [line, end].concat()).collect();
            let mut stream = conversion(api, ApiFormat::Openai, false).stream(true);
            assert!(is_honest(&mut stream, &whole), "{api:?} {spoken:?} {end:?}");
        }
    }
}
