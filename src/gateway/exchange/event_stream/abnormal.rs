//! Finish reasons that say an answer has failed: it fails for every client, streamed or whole, passed on or
//! translated, before its first word and after it, and what was used is known all the same.

use serde_json::{Value, json};

use super::{
    odd::CLIENTS,
    resumed::upstream::{Words, events},
    wholes::said_in,
    *,
};
use crate::{
    domain::{failure::FailureClass::*, provider::ApiFormat, usage::UsedTokens},
    gateway::exchange::{
        ClientApi,
        passed_log::TextKind::Text,
        testing::{conversion, feed},
    },
};

const CHAT: [(&str, FailureClass); 10] = [
    ("error", Server),
    ("network_error", Server),
    ("insufficient_system_resource", Overload),
    ("abort", Server),
    ("timeout", Server),
    ("cancelled", Server),
    ("malformed_function_call", Server),
    ("function_call_filter: MALFORMED_FUNCTION_CALL", Server),
    ("function_call_filter: UNEXPECTED_TOOL_CALL", Server),
    ("function_call_filter: TOO_MANY_TOOL_CALLS", Server),
];

const GEMINI: [(&str, FailureClass); 8] = [
    ("OTHER", Server),
    ("IMAGE_OTHER", Server),
    ("NO_IMAGE", Server),
    ("MALFORMED_FUNCTION_CALL", Server),
    ("MALFORMED_RESPONSE", Server),
    ("MISSING_THOUGHT_SIGNATURE", Server),
    ("TOO_MANY_TOOL_CALLS", Server),
    ("UNEXPECTED_TOOL_CALL", Server),
];

const FORMATS: [(ApiFormat, &[(&str, FailureClass)]); 4] = [
    (ApiFormat::Openai, &CHAT),
    (ApiFormat::Copilot, &CHAT),
    (ApiFormat::Google, &GEMINI),
    (ApiFormat::Cloudcode, &GEMINI),
];

const SAID: [&[Words<'static>]; 2] = [&[], &[(Text, "one"), (Text, " two")]];

/// Every client and upstream with every word, and of which class it is.
fn cases() -> impl Iterator<Item = (ClientApi, ApiFormat, &'static str, FailureClass)> {
    FORMATS.into_iter().flat_map(|(format, words)| {
        let clients = ClientApi::ALL.into_iter();
        clients.flat_map(move |api| {
            words.iter().map(move |(word, class)| (api, format, *word, *class))
        })
    })
}

/// A whole answer, or a chunk of a stream, that says this and ends so.
fn ended(format: ApiFormat, said: &str, word: &str) -> Value {
    match format {
        ApiFormat::Openai | ApiFormat::Copilot => json!({
            "id": "first", "model": "m",
            "choices": [{"index": 0, "delta": {"content": said}, "finish_reason": word}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 9},
        }),
        ApiFormat::Cloudcode => json!({"response": ended(ApiFormat::Google, said, word)}),
        _ => json!({
            "responseId": "first",
            "candidates": [
                {"index": 0, "content": {"parts": [{"text": said}]}, "finishReason": word},
            ],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 9},
        }),
    }
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// The events of an answer up to its reason to end.
fn begun(format: ApiFormat, said: &[Words<'_>]) -> String {
    let mut events = events(format, "first", said);
    let left = if matches!(format, ApiFormat::Openai | ApiFormat::Copilot) { 2 } else { 1 };
    events.truncate(events.len() - left);
    events.concat()
}

fn whole(format: ApiFormat, said: &str, word: &str) -> Bytes {
    ended(format, said, word).to_string().replace("\"delta\"", "\"message\"").into()
}

fn check(failure: &Failure, class: FailureClass, word: &str, way: &str) {
    assert_eq!((failure.class, failure.status), (class, Some(200)), "{way}");
    // Those of Google stand behind others in its Chat Completions.
    let word = word.rsplit(": ").next().unwrap();
    assert_eq!(failure.detail, format!("the answer ended with finish_reason {word:?}"), "{way}");
}

#[test]
fn a_stream_that_ends_with_such_a_word_has_failed() {
    for (api, format, word, class) in cases() {
        for (said, last) in
            SAID.into_iter().flat_map(|said| ["", " three"].map(|last| (said, last)))
        {
            let begun = begun(format, said);
            let all = begun.clone() + &event(&ended(format, last, word)) + "data: [DONE]\n\n";
            for piece in [7, all.len()] {
                let way = format!("{api:?} of {format:?} by {piece}: {all}");
                let mut stream = conversion(api, format, false).stream(true);
                let (sent, ending) = feed(&mut stream, all.as_bytes(), piece);
                let Some(Ending::Failed(failure)) = ending else { panic!("{way}: {ending:?}") };
                check(&failure, class, word, &way);
                assert!(!stream.is_finished() && stream.complete().is_none(), "{way}");
                let sent = String::from_utf8(sent).unwrap();
                // Some hold back the last letter.
                assert_eq!(sent.contains(":\"on"), !said.is_empty(), "{way}: {sent}");
                for end in [word, "stop", "end_turn", "completed", "STOP"] {
                    assert!(!sent.contains(&format!(":\"{end}\"")), "{way}: {sent}");
                }
                let told =
                    stream.usage().map(|UsedTokens { tokens, .. }| (tokens.input, tokens.output));
                assert_eq!(told, Some((5, 9)), "{way}");
                assert_eq!(stream.is_proved(), !(said.is_empty() && last.is_empty()), "{way}");
            }
        }
    }
}

#[test]
fn a_stream_that_has_failed_so_is_gone_on_with() {
    for (api, format, word, _) in cases() {
        // The streams of the others have no reader here.
        let Some((_, spoken)) = CLIENTS.into_iter().find(|(client, _)| *client == api) else {
            continue;
        };
        for last in ["", " three"] {
            let way = format!("{api:?} of {format:?}, {word} after {last:?}");
            let all = begun(format, SAID[1]) + &event(&ended(format, last, word));
            let mut stream = conversion(api, format, false).stream(true);
            let (mut sent, _) = feed(&mut stream, all.as_bytes(), 100);
            let transcript = stream.transcript().expect(&way);
            let again = [(Text, "one two three four")];
            let second = events(ApiFormat::Openai, "second", &again).concat();
            let mut resumed =
                conversion(api, ApiFormat::Openai, false).resuming(&transcript).expect(&way);
            let (more, ending) = feed(&mut resumed, second.as_bytes(), 100);
            let Some(Ending::Done(end)) = ending else { panic!("{way}: {ending:?}") };
            sent.extend(more);
            sent.extend_from_slice(&end);
            assert_eq!(said_in(spoken, sent), again[0].1, "{way}");
        }
    }
}

#[test]
fn a_whole_answer_that_ends_with_such_a_word_has_failed() {
    for (api, format, word, class) in cases() {
        for said in ["", "one two"] {
            let way = format!("{api:?} of {format:?}: {word} after {said:?}");
            let answer = conversion(api, format, false).whole(whole(format, said, word));
            let Err(failure) = answer else { panic!("{way}: it is good") };
            check(&failure, class, word, &way);
        }
    }
}

#[test]
fn one_choice_of_several_that_has_failed_is_a_failure() {
    let several = |last: &str| {
        json!({"choices": [
            {"index": 0, "delta": {"content": "one"}, "finish_reason": "stop"},
            {"index": 1, "delta": {"content": "two"}, "finish_reason": last},
        ]})
    };
    for api in [ClientApi::Chat, ClientApi::Gemini] {
        for (last, is_failed) in [("stop", false), ("error", true)] {
            let mut stream = conversion(api, ApiFormat::Openai, false).stream(true);
            let all = event(&several(last)) + "data: [DONE]\n\n";
            let (_, ending) = feed(&mut stream, all.as_bytes(), 100);
            assert_eq!(matches!(ending, Some(Ending::Failed(_))), is_failed, "{api:?}: {ending:?}");
            let whole = several(last).to_string().replace("\"delta\"", "\"message\"");
            let answer = conversion(api, ApiFormat::Openai, false).whole(whole.into());
            assert_eq!(answer.is_err(), is_failed, "{api:?}");
        }
    }
}

/// Older models of Google give a reason to end with each event.
#[test]
fn words_that_come_after_an_end_and_fail_are_not_the_end() {
    for api in ClientApi::ALL {
        let all = ["STOP", "OTHER"].map(|word| event(&ended(ApiFormat::Google, "one", word)));
        let mut stream = conversion(api, ApiFormat::Google, false).stream(true);
        let (_, ending) = feed(&mut stream, all.concat().as_bytes(), 100);
        assert!(matches!(ending, Some(Ending::Failed(_))), "{api:?}: {ending:?}");
    }
}

#[test]
fn the_words_of_chat_are_read_however_they_are_written() {
    let body =
        r#"{"choices":[{"MESSAGE":{"content":"one"},"finish_reason":"network_\u0065rror"}]}"#;
    for api in ClientApi::ALL {
        let mut stream = conversion(api, ApiFormat::Openai, false).stream(true);
        let event = format!("data: {}\n\n", body.replace("MESSAGE", "delta"));
        let (_, ending) = feed(&mut stream, event.as_bytes(), 100);
        assert!(matches!(ending, Some(Ending::Failed(_))), "{api:?}: {ending:?}");
        let whole = body.replace("MESSAGE", "message");
        assert!(conversion(api, ApiFormat::Openai, false).whole(whole.into()).is_err(), "{api:?}");
    }
}

#[test]
fn words_that_say_something_else_end_an_answer_as_ever() {
    for (format, words) in [
        (ApiFormat::Openai, ["stop", "length", "content_filter", "repetition", "weird"]),
        (ApiFormat::Google, ["STOP", "MAX_TOKENS", "SAFETY", "WEIRD", "IMAGE_SAFETY"]),
    ] {
        for (api, word) in ClientApi::ALL.into_iter().flat_map(|api| words.map(|word| (api, word)))
        {
            let way = format!("{api:?} of {format:?}: {word}");
            let mut stream = conversion(api, format, false).stream(true);
            let all = begun(format, SAID[1]) + &event(&ended(format, "", word));
            let (_, ending) = feed(&mut stream, all.as_bytes(), 100);
            assert!(ending.is_none() && stream.end().is_some(), "{way}: {ending:?}");
            assert!(
                conversion(api, format, false).whole(whole(format, "one", word)).is_ok(),
                "{way}"
            );
        }
    }
}

#[test]
fn a_whole_answer_of_google_without_an_end_is_a_cut_as_its_stream_is() {
    const NO_END: &str = "FINISH_REASON_UNSPECIFIED";
    for format in [ApiFormat::Google, ApiFormat::Cloudcode] {
        for api in ClientApi::ALL {
            let answer = conversion(api, format, false).whole(whole(format, "one", NO_END));
            assert_eq!(answer.err().map(|failure| failure.class), Some(Cut), "{api:?}");
            let mut stream = conversion(api, format, false).stream(true);
            feed(&mut stream, event(&ended(format, "one", NO_END)).as_bytes(), 100);
            assert!(stream.end().is_none(), "{api:?}");
        }
    }
}
