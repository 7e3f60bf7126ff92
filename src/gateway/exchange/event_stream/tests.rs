//! Streams of Chat Completions that pass as they came.

use bytes::BytesMut;

use super::*;
use crate::{
    domain::provider::ApiFormat,
    gateway::exchange::{ClientApi, testing::conversion},
};

const ROLE: &str = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
const HELLO: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}"#;
const CALL: &str = r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]}"#;
const STOP: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
const ERROR: &str = r#"data: {"error":{"message":"m","code":"rate_limit_exceeded"}}"#;
const DONE: &str = "data: [DONE]";

fn bytes(events: &[&str]) -> Bytes {
    events.iter().flat_map(|event| [event, "\n\n"]).collect::<String>().into()
}

/// What is known of a stream in the end.
#[derive(Debug, PartialEq)]
struct Known {
    ending: Option<Ending>,
    is_proved: bool,
    may_resume: bool,
    /// All tokens told.
    used: Option<u64>,
    dropped: u64,
    /// What a clean end adds. `None`: the answer is not whole.
    rest: Option<Bytes>,
}

fn chat_stream(strips_usage: bool, keeps_transcript: bool) -> Box<EventStream> {
    conversion(ClientApi::Chat, ApiFormat::Openai, strips_usage).stream(keeps_transcript)
}

/// All output for a stream fed in the given pieces, and where it stands then.
fn run<'a>(strips_usage: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Bytes, Known) {
    let mut stream = chat_stream(strips_usage, false);
    let mut keeping = chat_stream(strips_usage, true);
    let mut forward = BytesMut::new();
    let mut ending = None;
    for piece in pieces {
        let output = stream.feed(Bytes::copy_from_slice(piece));
        let kept = keeping.feed(Bytes::copy_from_slice(piece));
        assert_eq!(kept, output, "a transcript changes nothing");
        assert!(ending.is_none() || output == Output::default(), "output after the end");
        forward.extend_from_slice(&output.forward);
        ending = ending.or(output.ending);
    }
    let known = Known {
        ending,
        is_proved: stream.is_proved(),
        may_resume: keeping.transcript().is_some(),
        used: stream.usage().map(|used| used.tokens.total()),
        dropped: stream.dropped(),
        rest: stream.end(),
    };
    (forward.freeze(), known)
}

fn whole(events: &[&str]) -> (Bytes, Known) {
    run(true, [&bytes(events)[..]])
}

#[test]
fn wherever_a_stream_is_cut_it_amounts_to_the_same() {
    let streams: [&[&str]; 4] = [
        &[ROLE, HELLO, STOP, USAGE, DONE],
        &[": hi", ROLE, "data: nonsense", CALL, ": hi", STOP, DONE, HELLO],
        &[ROLE, HELLO, ERROR, HELLO],
        &[HELLO, "data: {\"choices\":\ndata: []}", USAGE, STOP],
    ];
    for events in streams {
        let input = bytes(events);
        for strip_usage in [false, true] {
            let expected = run(strip_usage, [&input[..]]);
            assert_eq!(run(strip_usage, input.chunks(1)), expected, "byte by byte");
            for at in 0..input.len() {
                let cut = run(strip_usage, [&input[..at], &input[at..]]);
                assert_eq!(cut, expected, "cut at {at}");
            }
        }
    }
}

#[test]
fn the_terminal_event_is_given_by_itself() {
    let (forward, known) = whole(&[ROLE, HELLO, STOP, DONE]);
    assert_eq!(forward, bytes(&[ROLE, HELLO, STOP]));
    assert_eq!((known.ending, known.dropped), (Some(Ending::Done(bytes(&[DONE]))), 0));
}

#[test]
fn events_that_touch_are_forwarded_without_a_copy() {
    let input = bytes(&[ROLE, HELLO, STOP, USAGE, DONE]);
    let output = chat_stream(true, true).feed(input.clone());
    assert_eq!(output.forward.as_ptr(), input.as_ptr());
    assert_eq!(output.forward, bytes(&[ROLE, HELLO, STOP]));
}

#[test]
fn a_finish_reason_and_a_clean_end_are_complete_and_less_is_cut() {
    assert_eq!(whole(&[HELLO, STOP]).1.rest, Some(bytes(&[DONE])));
    assert_eq!(whole(&[HELLO]).1.rest, None);
    assert_eq!(whole(&[]).1.rest, None);
    let second = r#"data: {"choices":[{"index":1,"delta":{"content":"x"}}]}"#;
    assert_eq!(whole(&[HELLO, second, STOP]).1.rest, None, "one choice of two");
    let cut_inside = bytes(&[HELLO, STOP]);
    assert_eq!(run(true, [&cut_inside[..cut_inside.len() - 1]]).1.rest, None);
}

#[test]
fn an_event_that_is_no_json_is_a_cut() {
    for broken in ["data: {\"choices\":[{", "data: hello", "data: {\"a\":1}}"] {
        let (forward, known) = whole(&[HELLO, broken, STOP, DONE]);
        assert_eq!((forward, known.rest), (bytes(&[HELLO]), None));
        let Some(Ending::Failed(failure)) = known.ending else { panic!("{broken}: it goes on") };
        assert_eq!(failure.class, FailureClass::Cut);
    }
}

#[test]
fn json_of_an_unknown_shape_passes() {
    for odd in ["data: [1]", "data: {\"choices\":7}", "data: {\"choices\":[{\"delta\":[]}]}"] {
        let (forward, known) = whole(&[HELLO, odd, STOP, DONE]);
        assert_eq!(forward, bytes(&[HELLO, odd, STOP]), "{odd}");
        assert!(matches!(known.ending, Some(Ending::Done(_))));
        assert_eq!(known.dropped, 0);
    }
}

#[test]
fn comments_and_empty_events_of_the_upstream_are_not_forwarded_and_not_counted() {
    let (forward, known) = whole(&[": wait", "data:", HELLO, ": wait", STOP, DONE]);
    assert_eq!((forward, known.dropped), (bytes(&[HELLO, STOP]), 0));
}

#[test]
fn usage_is_always_noted_and_forwarded_only_to_a_client_that_asked() {
    let input = bytes(&[HELLO, STOP, USAGE, DONE]);
    let (hidden, known) = run(true, [&input[..]]);
    assert_eq!((hidden, known.used), (bytes(&[HELLO, STOP]), Some(9)));
    let (shown, known) = run(false, [&input[..]]);
    assert_eq!((shown, known.used), (bytes(&[HELLO, STOP, USAGE]), Some(9)));
}

#[test]
fn usage_on_a_chunk_with_choices_is_noted_and_the_chunk_forwarded() {
    let last =
        r#"data: {"choices":[{"index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#;
    let (forward, known) = whole(&[HELLO, last, DONE]);
    assert_eq!((forward, known.used), (bytes(&[HELLO, last]), Some(1)));
}

#[test]
fn content_or_a_finish_reason_proves_a_candidate_and_a_role_does_not() {
    assert!(!whole(&[ROLE]).1.is_proved);
    assert!(whole(&[ROLE, HELLO]).1.is_proved);
    assert!(whole(&[ROLE, STOP]).1.is_proved);
}

#[test]
fn what_is_more_than_text_of_one_choice_cannot_be_resumed() {
    for fine in [
        ROLE,
        HELLO,
        USAGE,
        r#"data: {"choices":[],"prompt_filter_results":[],"id":""}"#,
        r#"data: {"choices":[{"delta":{"reasoning":"h\u006d","content":null}}]}"#,
        r#"data: {"choices":[{"delta":{"content":"\n\"\u00e9\ud83d\ude00"}}]}"#,
    ] {
        assert!(whole(&[HELLO, fine, HELLO]).1.may_resume, "{fine}");
    }
    for odd in [
        CALL,
        STOP,
        "data: [1]",
        r#"data: {"choices":[{"delta":{"function_call":{"name":"f"}}}]}"#,
        r#"data: {"choices":[{"delta":{"audio":{"id":"x"}}}]}"#,
        r#"data: {"choices":[{"delta":{"content":[{"type":"text"}]}}]}"#,
        r#"data: {"choices":[{"delta":{"content":"x"},"logprobs":{"content":[]}}]}"#,
        r#"data: {"choices":[{"index":1,"delta":{"content":"x"}}]}"#,
    ] {
        assert!(!whole(&[HELLO, odd, HELLO]).1.may_resume, "{odd}");
    }
}

#[test]
fn a_text_longer_than_the_bound_cannot_be_resumed() {
    let text = "x".repeat(100_000);
    let long = format!(r#"data: {{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
    assert!(whole(&[HELLO, &long, &long]).1.may_resume);
    assert!(!whole(&[HELLO, &long, &long, &long]).1.may_resume);
}

#[test]
fn an_error_event_ends_the_stream_and_is_not_forwarded() {
    for (before, is_proved) in [(ROLE, false), (HELLO, true)] {
        let (forward, known) = whole(&[before, ERROR, HELLO, DONE]);
        assert_eq!(forward, bytes(&[before]));
        let Some(Ending::Failed(failure)) = known.ending else { panic!("it goes on") };
        assert_eq!(failure.class, FailureClass::RateLimit);
        assert_eq!((known.is_proved, known.rest), (is_proved, None));
    }
}

#[test]
fn an_endless_event_ends_the_stream() {
    let mut stream = chat_stream(false, false);
    let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
    let ending = (0..20).find_map(|_| stream.feed(piece.clone()).ending);
    let Some(Ending::Failed(failure)) = ending else { panic!("it never ended") };
    assert_eq!(failure.class, FailureClass::Cut);
}

// Whoever sends no more than these has stopped, however often it does.
#[test]
fn comments_and_empty_lines_are_no_news() {
    for format in [ApiFormat::Openai, ApiFormat::Ollama] {
        let mut stream = conversion(ClientApi::Chat, format, false).stream(true);
        let mut is_news = |piece: &'static str| stream.feed(Bytes::from(piece)).is_news;
        assert!(!is_news("\n") && !is_news(" \n\n"), "{format:?}");
        let (begins, event) = match format {
            ApiFormat::Ollama => ("{\"done\":", "false}\n"),
            _ => ("data: {\"choi", "ces\":[]}\n\n"),
        };
        assert!(is_news(begins) && is_news(event), "{format:?}");
        assert!(!is_news("\n"), "{format:?}");
        if format == ApiFormat::Openai {
            for comment in [": x", "\n\n", ":\n\n: y\n\n", "data: \n\n", "retry: 3\n\n"] {
                assert!(!is_news(comment), "{comment:?}");
            }
            assert!(is_news(": x\n\ndata: {\"choices\":[]}\n\n: x"));
        }
    }
}
