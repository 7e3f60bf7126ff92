//! Nothing that anyone sends may panic.

use serde::de::IgnoredAny;

use super::*;
use crate::gateway::translate::Unparsable;

/// Each body cut at every byte, and with every value replaced by others.
fn spoilt(body: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = (0..body.len()).map(|end| body[..end].to_vec()).collect();
    let text = String::from_utf8(body.to_vec()).unwrap();
    for (place, _) in text.match_indices(':') {
        for other in ["null", "7", "-1e400", "\"\\ud83d\"", "[]", "{}", "[[null]]", "{\"a\":{}}"] {
            let end = text[place..].find([',', '}']).map_or(text.len(), |end| place + end);
            all.push(format!("{}:{other}{}", &text[..place], &text[end..]).into_bytes());
        }
    }
    all
}

/// Numbers may be larger than any type: nobody looks into a call's input.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[test]
fn a_spoilt_request_is_read_or_refused() {
    for (_, body) in fixtures("requests").into_iter().chain(fixtures("generate")) {
        for body in spoilt(&body) {
            if let Ok(request) = OllamaChat.read_request(&body, &PathParams::default()) {
                write_chat(&request);
            }
            let _ = OllamaGenerate.read_request(&body, &PathParams::default());
        }
    }
}

#[test]
fn a_spoilt_answer_is_read_or_a_failure() {
    for (_, body) in fixtures("answers") {
        for body in spoilt(&body) {
            if let Ok(answer) = OllamaChat.read_answer(&body) {
                let request = any_request();
                let mut losses = answer.losses.clone();
                let written = OllamaChat.write_answer(&answer, &shown(&request), &mut losses);
                assert!(is_json(&written));
            }
        }
    }
}

#[test]
fn a_spoilt_line_is_read_or_dropped() {
    for (_, stream) in fixtures("streams") {
        for line in stream.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            for line in spoilt(line) {
                let request = any_request();
                let mut writer = OllamaChat.stream_writer(&shown(&request));
                let mut out = Vec::new();
                let read = OllamaChat
                    .stream_reader()
                    .read(&line, &mut |delta| writer.write(delta, &mut out));
                writer.finish(Usage::default(), &mut out);
                let lines = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                lines.for_each(|line| assert!(is_json(line)));
                drop(read);
            }
        }
    }
}

#[test]
fn what_is_no_line_is_dropped() {
    let read = OllamaChat.stream_reader().read(b"{}", &mut |_| panic!("nothing is said"));
    assert_eq!(read, Ok(EventOutcome::Foreign));
    for line in [&b""[..], b" ", b"7", b"[]", b"null", b"{", b"\xff", b"data: {}"] {
        let read = OllamaChat.stream_reader().read(line, &mut |_| panic!("nothing is said"));
        assert_eq!(read, Err(Unparsable), "{line:?}");
    }
}

#[test]
fn depth_has_no_effect_on_the_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"format":{{"a":{deep}}},"x":{deep}}}"#
    );
    if let Ok(request) = OllamaChat.read_request(body.as_bytes(), &PathParams::default()) {
        write_chat(&request);
    }
    let body = format!(
        r#"{{"message":{{"tool_calls":[{{"function":{{"name":"f","arguments":{{"a":{deep}}}}}}}]}}}}"#
    );
    let _ = OllamaChat.read_answer(body.as_bytes());
    let _ = OllamaChat.stream_reader().read(body.as_bytes(), &mut |_| ());
}

#[test]
fn all_calls_are_read_however_many_there_are() {
    let calls = vec![r#"{"function":{"name":"f","arguments":{}}}"#; 2_000].join(",");
    let body = format!(r#"{{"message":{{"tool_calls":[{calls}]}},"done":true}}"#);
    let answer = OllamaChat.read_answer(body.as_bytes()).unwrap();
    assert_eq!((answer.choices[0].parts.len(), answer.losses.is_empty()), (2_000, true));
    let mut begun = 0;
    let read = OllamaChat.stream_reader().read(body.as_bytes(), &mut |delta| {
        begun += usize::from(matches!(delta, Delta::CallBegin { .. }));
    });
    assert_eq!((read, begun), (Ok(EventOutcome::Done), 2_000));
}
