//! Streams that pass as they came and break off, in every dialect, and others that go on with them.

mod chat;
mod client;
pub(super) mod upstream;

use proptest::prelude::*;

use self::{
    client::{Received, received},
    upstream::{FORMATS, Words, events, in_pieces},
};
use super::*;
use crate::{
    domain::provider::ApiFormat,
    gateway::exchange::{
        ClientApi,
        passed_log::TextKind::{self, Reasoning, Text},
        testing::{conversion, feed},
    },
};

/// Each client, and who speaks its dialect.
pub(super) const PASSED: [(ClientApi, ApiFormat); 6] = [
    (ClientApi::Chat, ApiFormat::Openai),
    (ClientApi::Responses, ApiFormat::Responses),
    (ClientApi::Messages, ApiFormat::Anthropic),
    (ClientApi::Gemini, ApiFormat::Google),
    (ClientApi::Gemini, ApiFormat::Cloudcode),
    (ClientApi::OllamaChat, ApiFormat::Ollama),
];

const ANSWERS: [&[Words<'static>]; 4] = [
    &[(Text, "The "), (Text, "answer is"), (Text, " 42.")],
    &[(Text, "na\u{ef}ve "), (Text, "日本語"), (Text, "👩‍💻\"\\\n"), (Text, "é")],
    &[(Reasoning, "hm, "), (Reasoning, "so"), (Text, "yes"), (Text, "!")],
    &[(Reasoning, "hm, so it is")],
];

/// A stream that breaks off after so many bytes: what it sent, and where it stands.
fn cut(api: ClientApi, format: ApiFormat, first: &str, at: usize) -> (Vec<u8>, Box<EventStream>) {
    let mut stream = conversion(api, format, false).stream(true);
    let (sent, ending) = feed(&mut stream, &first.as_bytes()[..at], at);
    assert!(ending.is_none(), "it has ended: {ending:?}");
    (sent, stream)
}

/// What a stream sends that goes on with another one, up to its end. `None`: it says something else.
fn go_on(
    api: ClientApi,
    format: ApiFormat,
    transcript: &Transcript,
    second: &str,
    piece: usize,
) -> Option<Vec<u8>> {
    let mut stream =
        conversion(api, format, false).resuming(transcript).expect("it can be resumed");
    let (mut sent, ending) = feed(&mut stream, second.as_bytes(), piece);
    let last = match ending {
        Some(Ending::Done(last)) => last,
        Some(Ending::Mismatch) => {
            assert_eq!((sent.len(), stream.is_proved()), (0, false), "nothing is given out");
            return None;
        }
        Some(Ending::Failed(failure)) => panic!("it fails: {failure:?}"),
        None => stream.end().expect("it is whole"),
    };
    assert!(stream.is_proved());
    sent.extend_from_slice(&last);
    Some(sent)
}

fn text_of(said: &[Words<'_>], wanted: TextKind) -> String {
    said.iter().filter(|(kind, _)| *kind == wanted).map(|(_, words)| *words).collect()
}

/// Every place at which a stream can break off and its client can tell.
fn cuts(api: ClientApi, format: ApiFormat, first: &[String]) -> Vec<(Vec<u8>, Box<EventStream>)> {
    let mut ends = Vec::new();
    let mut end = 0;
    for event in &first[..first.len() - 1] {
        end += event.len();
        ends.push(end);
    }
    let whole = first.concat();
    ends.into_iter().map(|at| cut(api, format, &whole, at)).collect()
}

#[test]
fn wherever_a_stream_is_cut_any_other_completes_its_text() {
    for (api, format) in PASSED {
        for said in ANSWERS {
            let first = events(format, "first", said);
            for (number, (sent, stream)) in cuts(api, format, &first).into_iter().enumerate() {
                let Some(transcript) = stream.transcript() else {
                    assert!(stream.is_finished(), "{api:?} {said:?} is lost after {number}");
                    continue;
                };
                for other in FORMATS {
                    for size in [1, 4, 100] {
                        let pieces = in_pieces(said, size);
                        let pieces: Vec<Words<'_>> =
                            pieces.iter().map(|(kind, words)| (*kind, &**words)).collect();
                        let second = events(other, "second", &pieces).concat();
                        let rest = go_on(api, other, &transcript, &second, second.len())
                            .unwrap_or_else(|| panic!("{api:?} {other:?} {number}: differs"));
                        let all = [sent.clone(), rest].concat();
                        let expected = Received {
                            text: text_of(said, Text),
                            thoughts: text_of(said, Reasoning),
                        };
                        let way = format!(
                            "{api:?} after {number} events, then {other:?} by {size}:\n{}",
                            String::from_utf8_lossy(&all)
                        );
                        assert_eq!(received(api, &all, &way), expected, "{way}");
                    }
                }
            }
        }
    }
}

#[test]
fn however_the_second_stream_comes_it_gives_the_same() {
    for (api, format) in PASSED {
        for said in ANSWERS {
            let first = events(format, "first", said);
            for (_, stream) in cuts(api, format, &first) {
                let Some(transcript) = stream.transcript() else { continue };
                let second = events(format, "second", said).concat();
                let run = |piece| go_on(api, format, &transcript, &second, piece);
                let at_once = run(second.len());
                assert!(run(1) == at_once && run(7) == at_once, "{api:?} {said:?}");
            }
        }
    }
}

#[test]
fn wherever_bytes_are_cut_the_same_is_kept() {
    for (api, format) in PASSED {
        let first = events(format, "first", ANSWERS[2]);
        let whole = first[..first.len() - 1].concat();
        let second = events(format, "second", ANSWERS[2]).concat();
        let ends: Vec<usize> = first
            .iter()
            .scan(0, |end, event| {
                *end += event.len();
                Some(*end)
            })
            .collect();
        for at in 0..whole.len() {
            let (sent, stream) = cut(api, format, &whole, at);
            let end = ends.iter().rev().find(|end| **end <= at).copied().unwrap_or(0);
            let (same, known) = cut(api, format, &whole, end);
            assert_eq!(sent, same, "{api:?} at {at}");
            let rest = |stream: &EventStream| {
                Some(go_on(api, format, &stream.transcript()?, &second, second.len()))
            };
            assert!(rest(&stream) == rest(&known), "{api:?} at {at}");
        }
    }
}

#[test]
fn nothing_of_another_answer_is_given_out() {
    let said: &[Words<'_>] = &[(Reasoning, "hm"), (Text, "The ans"), (Text, "wer")];
    let others: [&[Words<'_>]; 7] = [
        &[(Reasoning, "hm"), (Text, "The Answer is 42")],
        &[(Reasoning, "hm"), (Text, "The answes")],
        &[(Reasoning, "hm"), (Text, "The ans"), (Text, "Wer is 42")],
        &[(Reasoning, "hm"), (Text, "The answe")],
        &[(Reasoning, "h"), (Text, "The answer is 42")],
        &[(Reasoning, "hm."), (Text, "The answer is 42")],
        &[(Text, "The answer is 42")],
    ];
    for (api, format) in PASSED {
        let first = events(format, "first", said);
        // All that was said, and no end of it.
        let mut kept = cuts(api, format, &first).into_iter().rev();
        let transcript = kept.find_map(|(_, stream)| stream.transcript()).unwrap();
        for (other, piece) in others.iter().flat_map(|other| [(other, 1), (other, 10_000)]) {
            for second in FORMATS {
                let events = events(second, "second", other).concat();
                let rest = go_on(api, second, &transcript, &events, piece);
                assert_eq!(rest, None, "{api:?}, {second:?} {other:?}");
            }
        }
    }
}

#[test]
fn an_answer_can_be_resumed_more_than_once() {
    let said: &[Words<'_>] = &[(Text, "one "), (Text, "two "), (Text, "three"), (Text, ".")];
    for (api, format) in PASSED {
        for (second, third) in FORMATS.iter().flat_map(|a| FORMATS.map(|b| (*a, b))) {
            let first = events(format, "first", said);
            let at = first.iter().position(|event| event.contains("two")).unwrap();
            let (mut sent, stream) = cut(api, format, &first.concat(), first[..at].concat().len());
            let transcript = stream.transcript().unwrap();

            let events_of_second = events(second, "second", said);
            let at = events_of_second.iter().position(|event| event.contains("three")).unwrap();
            let begun = events_of_second[..at].concat();
            let mut resumed = conversion(api, second, false).resuming(&transcript).unwrap();
            let (more, ending) = feed(&mut resumed, begun.as_bytes(), 5);
            assert_eq!(ending, None);
            sent.extend(more);

            // One that breaks off while it repeats changes nothing.
            let transcript = resumed.transcript().unwrap();
            let mut behind = conversion(api, second, false).resuming(&transcript).unwrap();
            let at = events_of_second.iter().position(|event| event.contains("two")).unwrap();
            let less = events_of_second[..at].concat();
            assert_eq!(feed(&mut behind, less.as_bytes(), 5), (vec![], None));

            let transcript = behind.transcript().unwrap();
            let whole = events(third, "third", &[(Text, "one two three.")]).concat();
            sent.extend(go_on(api, third, &transcript, &whole, 9).unwrap());
            let way = format!("{api:?}, {second:?}, {third:?}");
            assert_eq!(received(api, &sent, &way).text, "one two three.", "{way}");
        }
    }
}

/// The maker alone could go on with what it has signed.
#[test]
fn thoughts_are_not_resumed_once_their_signature_was_sent() {
    let mut first = events(ApiFormat::Anthropic, "first", &[(Reasoning, "hm"), (Text, "Hi")]);
    let at = first.iter().position(|event| event.contains("content_block_stop")).unwrap();
    let signed = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}"#;
    first.insert(at, format!("{signed}\n\n"));
    for (sent, is_resumable) in [(at, true), (at + 1, false), (at + 2, false)] {
        let first = first[..sent].concat();
        let (_, stream) = cut(ClientApi::Messages, ApiFormat::Anthropic, &first, first.len());
        assert_eq!(stream.transcript().is_some(), is_resumable, "{first}");
    }
}

/// None begins with an empty line: to Chat, one between two thoughts is what parts them.
fn words() -> impl Strategy<Value = Vec<(TextKind, String)>> {
    let kind = prop::sample::select(&[Text, Reasoning][..]);
    prop::collection::vec((kind, "([ab\"\\\\é日👩]\n?){1,4}"), 1..8)
}

proptest! {
    #[test]
    fn any_answer_cut_anywhere_is_completed_or_refused(
        said in words(), other in words(), cut_at in any::<prop::sample::Index>(),
        size in 1_usize..9, piece in 1_usize..400,
        passed in prop::sample::select(&PASSED[..]), second in prop::sample::select(&FORMATS[..]),
    ) {
        let (api, format) = passed;
        let of = |said: &[(TextKind, String)], format, id| {
            let said: Vec<Words<'_>> = said.iter().map(|(kind, words)| (*kind, &**words)).collect();
            events(format, id, &said)
        };
        let first = of(&said, format, "first");
        let open = first[..first.len() - 1].concat();
        let (sent, stream) = cut(api, format, &open, cut_at.index(open.len()));
        let Some(transcript) = stream.transcript() else { return Ok(()) };
        prop_assume!(!sent.is_empty());

        let pieces: Vec<Words<'_>> = said.iter().map(|(kind, words)| (*kind, &**words)).collect();
        let again = of(&in_pieces(&pieces, size), second, "second").concat();
        let rest = go_on(api, second, &transcript, &again, piece);
        prop_assert!(rest.is_some(), "it differs");
        let all = [sent.clone(), rest.unwrap()].concat();
        let expected = Received { text: text_of(&pieces, Text), thoughts: text_of(&pieces, Reasoning) };
        prop_assert_eq!(received(api, &all, "again").without_breaks(), expected.without_breaks());

        // Another answer is refused without a trace, unless it begins with all that was sent.
        let stranger = of(&other, second, "second").concat();
        if let Some(rest) = go_on(api, second, &transcript, &stranger, piece) {
            let all = received(api, &[sent, rest].concat(), "another").without_breaks();
            let other: Vec<Words<'_>> = other.iter().map(|(kind, words)| (*kind, &**words)).collect();
            let theirs = Received { text: text_of(&other, Text), thoughts: text_of(&other, Reasoning) };
            prop_assert_eq!(all, theirs.without_breaks());
        }
    }
}
