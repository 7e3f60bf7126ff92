//! What only chunks of Chat Completions have.

use serde_json::{Value, json};

use super::*;

fn chunk(id: &str, delta: &Value) -> String {
    let chunk = json!({"id": id, "object": "chat.completion.chunk", "created": 7,
        "model": format!("of {id}"), "choices": [{"index": 0, "delta": delta}]});
    format!("data: {chunk}\n\n")
}

fn says(id: &str, field: &str, words: &str) -> String {
    chunk(id, &json!({field: words}))
}

const STOP: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn transcript(first: &str) -> Transcript {
    cut(ClientApi::Chat, ApiFormat::Openai, first, first.len()).1.transcript().unwrap()
}

/// What is sent of a stream that goes on, how it ends, and where it stands.
fn resume(first: &str, second: &str) -> (String, Option<Ending>, Box<EventStream>) {
    let conversion = conversion(ClientApi::Chat, ApiFormat::Openai, true);
    let mut stream = conversion.resuming(&transcript(first)).unwrap();
    let (sent, ending) = feed(&mut stream, second.as_bytes(), 10_000);
    (String::from_utf8(sent).unwrap(), ending, stream)
}

fn deltas(sent: &str) -> Vec<Value> {
    let data = sent.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap());
    data.map(|data| serde_json::from_str::<Value>(data).unwrap()["choices"][0]["delta"].clone())
        .collect()
}

#[test]
fn thoughts_go_on_in_the_fields_that_they_have_begun_in() {
    let both = chunk("a", &json!({"reasoning": "hm", "reasoning_content": "hm"}));
    for (first, fields) in [
        (says("a", "reasoning", "hm"), json!({"reasoning": "?"})),
        (says("a", "reasoning_content", "hm"), json!({"reasoning_content": "?"})),
        (both, json!({"reasoning": "?", "reasoning_content": "?"})),
    ] {
        for other in ["reasoning", "reasoning_content"] {
            let (sent, ..) = resume(&first, &says("b", other, "hm?"));
            assert_eq!(deltas(&sent), std::slice::from_ref(&fields), "{other}");
        }
    }
}

#[test]
fn a_role_is_sent_once() {
    let second: String = ["ab", "cd", "", "e"]
        .map(|words| chunk("b", &json!({"role": "assistant", "content": words})))
        .concat();
    for first in [
        says("a", "content", "abc"),
        chunk("a", &json!({"role": "assistant", "content": ""})) + &says("a", "content", "abc"),
        chunk("a", &json!({"role": "assistant", "content": "abc"})),
    ] {
        let (sent, ..) = resume(&first, &second);
        assert_eq!(deltas(&sent), [json!({"content": "d"}), json!({"content": "e"})]);
    }
}

#[test]
fn a_call_is_handed_on_once_all_is_repeated_and_not_before() {
    let call = chunk(
        "b",
        &json!({"tool_calls": [
        {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
    );
    let first = says("a", "content", "abc");
    let (sent, ending, _) = resume(&first, &(says("b", "content", "ab") + &call));
    assert_eq!((&*sent, ending), ("", Some(Ending::Mismatch)));

    let second = [says("b", "content", "abc"), call, STOP.into(), DONE.into()].concat();
    let (sent, ending, _) = resume(&first, &second);
    assert!(sent.contains(r#""name":"f""#) && sent.contains("tool_calls"), "{sent}");
    assert!(matches!(ending, Some(Ending::Done(_))));
}

#[test]
fn another_choice_is_another_answer() {
    let second = r#"data: {"choices":[{"index":1,"delta":{"content":"abc"}}]}"#;
    let (sent, ending, _) = resume(&says("a", "content", "abc"), &format!("{second}\n\n"));
    assert_eq!((&*sent, ending), ("", Some(Ending::Mismatch)));
}

#[test]
fn one_that_ends_before_it_has_repeated_all_is_no_continuation() {
    let (first, begun) = (says("a", "content", "abc"), says("b", "content", "ab"));
    for end in [STOP, DONE] {
        let (sent, ending, _) = resume(&first, &format!("{begun}{end}"));
        assert_eq!((&*sent, ending), ("", Some(Ending::Mismatch)));
    }
    let (sent, ending, mut stream) = resume(&first, &begun);
    assert_eq!((&*sent, ending), ("", None));
    assert!(!stream.is_proved() && stream.end().is_none());
}

#[test]
fn an_exact_repetition_proves_a_stream_before_it_says_more() {
    let first = says("a", "content", "abc");
    let (sent, ending, stream) = resume(&first, &first);
    assert_eq!((&*sent, ending, stream.is_proved()), ("", None, true));
}

#[test]
fn an_error_of_the_second_stream_is_its_failure() {
    let (sent, ending, _) =
        resume(&says("a", "content", "abc"), "data: {\"error\":{\"message\":\"m\"}}\n\n");
    assert!(sent.is_empty() && matches!(ending, Some(Ending::Failed(_))));
}

#[test]
fn usage_is_noted_also_while_text_is_repeated_and_hidden_from_who_did_not_ask() {
    let second =
        [says("b", "content", "ab"), says("b", "content", "cd"), STOP.into(), USAGE.into()]
            .concat();
    let (sent, _, mut stream) = resume(&says("a", "content", "abc"), &second);
    assert_eq!(stream.usage().unwrap().tokens.input, 5);
    assert!(!sent.contains("usage"), "{sent}");
    assert!(stream.end().unwrap().ends_with(DONE.as_bytes()));
}

#[test]
fn what_the_chunks_of_a_stream_share_is_kept_as_it_was_written() {
    let first = r#"data: {"id":"\u0061","created":1.0,"model":"m","system_fingerprint":"f","choices":[{"delta":{"content":"a"}}]}"#;
    let (sent, ..) = resume(&format!("{first}\n\n"), &says("b", "content", "ab"));
    for shared in
        [r#""id":"\u0061""#, r#""created":1.0"#, r#""model":"m""#, r#""system_fingerprint":"f""#]
    {
        assert!(sent.contains(shared), "{shared}: {sent}");
    }
}
