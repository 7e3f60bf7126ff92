//! Events of unknown types and shapes: between equal dialects they pass byte for byte; in a translation what
//! can be read goes on, and nothing that may be text or a call is left out in silence.

use super::*;
use crate::{
    domain::provider::ApiFormat,
    gateway::exchange::{
        ClientApi,
        event_stream::resumed::upstream::events,
        passed_log::TextKind::Text,
        testing::{feed, pair},
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

const CASES: [(ApiFormat, Odd, &str); 27] = [
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
];

const CLIENTS: [(ClientApi, ApiFormat); 5] = [
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
        let mut stream = pair(api, format, false).stream(true);
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
            let mut stream = pair(api, format, false).stream(true);
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
