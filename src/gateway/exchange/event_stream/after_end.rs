//! What comes after the reason to end: an answer that is here is complete, whatever comes in the place of the
//! end of its stream. More of its words is another matter.

use super::{
    resumed::upstream::{Words, events},
    *,
};
use crate::{
    domain::provider::ApiFormat,
    gateway::exchange::{
        ClientApi,
        passed_log::TextKind::Text,
        testing::{conversion, feed},
    },
};

const SAID: [Words<'static>; 2] = [(Text, "α"), (Text, "β")];

/// Every client, and who passes to it as it comes.
const CLIENTS: [ClientApi; 8] = ClientApi::ALL;

/// Who gives a reason to end before the end of the stream, and an error of theirs.
const FORMATS: [(ApiFormat, &str); 4] = [
    (ApiFormat::Openai, r#"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#),
    (ApiFormat::Anthropic, r#"{"type":"error","error":{"type":"rate_limit_error","message":"m"}}"#),
    (ApiFormat::Google, r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m"}}"#),
    (ApiFormat::Cloudcode, r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m"}}"#),
];

/// An answer up to its reason to end.
fn finished(format: ApiFormat) -> String {
    let mut events = events(format, "first", &SAID);
    if matches!(format, ApiFormat::Openai | ApiFormat::Anthropic) {
        events.pop();
    }
    events.concat()
}

fn said_in(sent: &[u8]) -> String {
    let sent = std::str::from_utf8(sent).unwrap();
    let texts = ["α", "β", "γ"].into_iter();
    texts.filter(|text| sent.contains(text)).collect()
}

#[test]
fn an_answer_that_is_here_is_complete_whatever_comes_then() {
    for (format, error) in FORMATS {
        let garbage = "<html>502 Bad Gateway</html>";
        for (after, receipt) in [(error, "stream.error.rate_limit"), (garbage, "stream.event")] {
            for api in CLIENTS {
                for piece in [7, 100_000] {
                    let way = format!("{api:?} of {format:?} by {piece}: {after}");
                    let all = format!("{}data: {after}\n\n", finished(format));
                    let mut stream = conversion(api, format, false).stream(true);
                    let (mut sent, ending) = feed(&mut stream, all.as_bytes(), piece);
                    let Some(Ending::Done(last)) = ending else { panic!("{way}: {ending:?}") };
                    sent.extend_from_slice(&last);

                    // A clean end gives the same.
                    let mut clean = conversion(api, format, false).stream(true);
                    let (mut expected, _) = feed(&mut clean, finished(format).as_bytes(), piece);
                    expected.extend_from_slice(&clean.end().expect("it is whole"));
                    assert_eq!(
                        String::from_utf8_lossy(&sent),
                        String::from_utf8_lossy(&expected),
                        "{way}"
                    );
                    assert_eq!(said_in(&sent), "αβ", "{way}");
                    assert!(stream.losses().iter().any(|name| name == receipt), "{way}");
                    assert_eq!(stream.dropped(), 1, "{way}");
                }
            }
        }
    }
}

#[test]
fn a_connection_that_breaks_then_changes_nothing() {
    for (format, _) in FORMATS {
        for api in CLIENTS {
            let mut stream = conversion(api, format, false).stream(true);
            feed(&mut stream, finished(format).as_bytes(), 100);
            let failure = Failure::new(FailureClass::Cut, "reset");
            assert!(matches!(stream.break_off(failure), Ending::Done(_)), "{api:?} of {format:?}");
        }
    }
}

#[test]
fn in_responses_only_the_last_event_ends_an_answer() {
    let mut events = events(ApiFormat::Responses, "first", &SAID);
    events.pop();
    let error = "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\"}\n\n";
    for (after, api) in [error, "data: nonsense\n\n"]
        .into_iter()
        .flat_map(|after| CLIENTS.into_iter().map(move |api| (after, api)))
    {
        let mut stream = conversion(api, ApiFormat::Responses, false).stream(true);
        let (_, ending) = feed(&mut stream, (events.concat() + after).as_bytes(), 100_000);
        assert!(matches!(ending, Some(Ending::Failed(_))), "{api:?} {after}: {ending:?}");
    }
}

#[test]
fn what_says_more_after_its_end_is_passed_on_and_has_not_ended() {
    for (format, error) in FORMATS {
        let again = events(format, "first", &[(Text, "γ")]);
        let more = again.into_iter().find(|event| event.contains("γ")).unwrap();
        for api in CLIENTS {
            let way = format!("{api:?} of {format:?}");
            let begun = finished(format) + &more;
            let mut stream = conversion(api, format, false).stream(true);
            let (mut sent, ending) = feed(&mut stream, begun.as_bytes(), 100);
            assert_eq!(ending, None, "{way}");
            assert!(!stream.may_be_ended() && !stream.is_complete(), "{way}");
            let broken = Failure::new(FailureClass::Cut, "reset");
            assert_eq!(stream.break_off(broken.clone()), Ending::Failed(broken), "{way}");
            sent.extend_from_slice(&stream.end().expect("a clean end ends it"));
            assert_eq!(said_in(&sent), "αβγ", "{way}");

            let mut stream = conversion(api, format, false).stream(true);
            let all = format!("{begun}data: {error}\n\n");
            let (_, ending) = feed(&mut stream, all.as_bytes(), 100);
            let Some(Ending::Failed(failure)) = ending else { panic!("{way}: {ending:?}") };
            assert_eq!(failure.class, FailureClass::RateLimit, "{way}");
        }
    }
}

#[test]
fn what_may_hold_text_and_cannot_be_read_is_a_cut_also_then() {
    let all = finished(ApiFormat::Openai) + "data: {\"choices\":{\"0\":{\"delta\":\"x\"}}}\n\n";
    let mut stream = conversion(ClientApi::Messages, ApiFormat::Openai, false).stream(true);
    let (_, ending) = feed(&mut stream, all.as_bytes(), 100_000);
    let Some(Ending::Failed(failure)) = ending else { panic!("{ending:?}") };
    assert_eq!(failure.class, FailureClass::Cut);
}

/// Answers of Gemini in these chunks, each with its reason to end, if it has one.
fn gemini(chunks: &[(&str, bool)]) -> Vec<String> {
    let chunk = |(text, ends): &(&str, bool)| {
        let end = if *ends { r#","finishReason":"STOP""# } else { "" };
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}]}}{end}}}],\
             \"usageMetadata\":{{\"promptTokenCount\":1}}}}\n\n"
        )
    };
    chunks.iter().map(chunk).collect()
}

#[test]
fn who_may_end_each_event_is_not_cut_short() {
    for api in CLIENTS {
        let mut stream = conversion(api, ApiFormat::Google, false).stream(true);
        let mut sent = Vec::new();
        for event in gemini(&[("α", true), ("β", true), ("γ", true)]) {
            let (more, ending) = feed(&mut stream, event.as_bytes(), 100);
            assert!(ending.is_none() && !stream.may_be_ended(), "{api:?}: more may come");
            sent.extend(more);
        }
        let end = stream.end().expect("a clean end ends it");
        let last_text = sent.len();
        sent.extend_from_slice(&end);
        assert_eq!(said_in(&sent), "αβγ", "{api:?}");
        // A client that stops reading at the reason to end has all of it.
        if api != ClientApi::Gemini {
            let all = String::from_utf8(sent).unwrap();
            for word in [
                "finish_reason\":\"stop\"",
                "finishReason\":\"STOP\"",
                "stop_reason\":\"end_turn\"",
            ] {
                assert!(all.find(word).is_none_or(|at| at >= last_text), "{api:?}: {all}");
            }
        }
    }
}

#[test]
fn an_end_is_waited_for_no_longer_once_it_is_told_from_what_came_before() {
    for (chunks, may_be_ended) in [
        (&[("α", false), ("β", true)][..], true),
        (&[("α", false), ("", true)], true),
        (&[("α", true), ("", true)], false),
        (&[("α", true)], false),
        (&[("", true)], true),
        (&[("α", false), ("β", true), ("γ", true)], false),
    ] {
        for api in [ClientApi::Gemini, ClientApi::Chat] {
            let mut stream = conversion(api, ApiFormat::Google, false).stream(true);
            feed(&mut stream, gemini(chunks).concat().as_bytes(), 100);
            assert_eq!(stream.may_be_ended(), may_be_ended, "{api:?} {chunks:?}");
            assert!(stream.is_finished(), "{api:?} {chunks:?}");
        }
    }
    // Who never does that is taken at its word.
    let once = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n";
    for api in [ClientApi::Chat, ClientApi::Messages] {
        let mut stream = conversion(api, ApiFormat::Openai, false).stream(true);
        feed(&mut stream, once.as_bytes(), 100);
        assert!(stream.may_be_ended(), "{api:?}");
    }
}
