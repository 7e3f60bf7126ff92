//! What holds of any bytes whatever. Shared with `fuzz/`: each function panics where its law is broken.

use std::collections::BTreeMap;

use providerpool::{
    domain::chat::{Answer, Losses, Request},
    gateway::translate::Framing,
};
use serde_json::value::RawValue;

use crate::{
    dialects::{ALL, Spoken, asking, model, shown, target},
    streaming::{Ending, error_view, events, hear, tell},
};

/// What holds of bytes that may be of a dialect.
pub type Law = fn(&Spoken, &[u8]);

/// The name of a law and the law, as fuzz targets and folders of `fuzz/corpus` are named: the name,
/// and after an underscore the dialect where it is one's own.
pub const OF_A_DIALECT: [(&str, Law); 4] = [
    ("request", request),
    ("answer", answer),
    ("stream", stream),
    ("there_and_back", there_and_back),
];

/// A request is refused, or can be written for every upstream.
pub fn request(dialect: &Spoken, data: &[u8]) {
    let Ok(request) = dialect.read_request(data) else { return };
    for other in &ALL {
        let written = other.upstream.write_request(&request, &target(&model()));
        assert_object(&written.body, "a request");
    }
}

/// The body of a 200 is a failure, or can be shown to every client.
pub fn answer(dialect: &Spoken, data: &[u8]) {
    let request = asking();
    let shown = shown(&request);
    match dialect.upstream.read_answer(data) {
        Ok(answer) => {
            for other in &ALL {
                let body = other.client.write_answer(&answer, &shown, &mut Losses::default());
                assert_object(&body, "an answer");
            }
        }
        Err(failure) => {
            for other in &ALL {
                let body = other.client.error_body(&error_view(&failure));
                assert_object(&body, "an error");
                assert!(!other.client.error_event(&error_view(&failure)).is_empty());
            }
        }
    }
}

/// A stream says the same in pieces, and what is told of it to any client can be heard.
pub fn stream(dialect: &Spoken, data: &[u8]) {
    let framing = dialect.upstream.framing();
    let whole = events(framing, [data]);
    let (half, rest) = data.split_at(data.len() / 2);
    assert_eq!(whole, events(framing, [half, rest]), "a stream in two halves says something else");
    let Ok(events) = whole else { return };
    let heard = hear(dialect.upstream, &events);
    let request = asking();
    for other in &ALL {
        let (told, _) = tell(other.client, &shown(&request), &heard);
        assert_heard(other, &told, heard.answer().is_some());
    }
}

/// What a client of this dialect is sent ends as it has to.
fn assert_heard(dialect: &Spoken, told: &[u8], is_whole: bool) {
    let framing = dialect.upstream.framing();
    let events = events(framing, [told]).expect("no event is too long");
    let heard = hear(dialect.upstream, &events);
    let told_as = told.escape_ascii();
    assert_eq!(heard.dropped, 0, "an event is not of its own dialect: {told_as}");
    match heard.ending {
        Ending::Failed(_) => (),
        Ending::Done | Ending::Open => {
            assert!(heard.answer().is_some(), "an open end: {}", told.escape_ascii());
        }
    }
    if is_whole && !matches!(heard.ending, Ending::Failed(_)) {
        assert!(heard.answer().is_some(), "a whole answer is told in part");
    }
}

/// What was read and written twice has found its form: it is written alike ever after.
pub fn there_and_back(dialect: &Spoken, data: &[u8]) {
    let rewritten = |body: &[u8]| {
        let request = dialect.read_request(body).ok()?;
        Some(written_request(dialect, &request))
    };
    if let Some(second) = rewritten(data).and_then(|first| rewritten(&first)) {
        let third = rewritten(&second).expect("what we write can be read");
        assert_same(&second, &third, "a request");
    }
    if let Ok(answer) = dialect.upstream.read_answer(data) {
        let again = |body: &[u8]| {
            let answer = dialect.upstream.read_answer(body).expect("what we write is an answer");
            written_answer(dialect, &answer)
        };
        let second = again(&written_answer(dialect, &answer));
        assert_same(&second, &again(&second), "an answer");
    }
}

fn written_request(dialect: &Spoken, request: &Request) -> Vec<u8> {
    dialect.upstream.write_request(request, &target(&model())).body
}

fn written_answer(dialect: &Spoken, answer: &Answer) -> Vec<u8> {
    let request = asking();
    dialect.client.write_answer(answer, &shown(&request), &mut Losses::default())
}

/// Any bytes make the same events, however they are cut.
pub fn framing(framing: Framing, data: &[u8]) {
    let whole = events(framing, [data]);
    assert_eq!(whole, events(framing, data.chunks(1)), "byte by byte");
    assert_eq!(whole, events(framing, data.chunks(7)), "in pieces of seven");
}

/// JSON by its grammar, which lets half of a character stand as an escape: what a client has written so
/// within something that is passed on as it is, is the upstream's to read.
fn assert_object(body: &[u8], what: &str) {
    let value: &RawValue = serde_json::from_slice(body)
        .unwrap_or_else(|error| panic!("{what} is not JSON: {error}: {}", body.escape_ascii()));
    assert!(value.get().starts_with('{'), "{what} is no object");
}

/// Usage does not count: what one server means by its counts is told from their sums, which stop at
/// the largest number.
///
/// Fields are compared as they are written: what is passed on as it is may be a number that is none of
/// Rust's, or half of a character.
fn assert_same(first: &[u8], second: &[u8], what: &str) {
    let [first, second] = [first, second].map(|body| {
        let mut fields: BTreeMap<&str, &RawValue> =
            serde_json::from_slice(body).expect("it is an object");
        for usage in ["usage", "usageMetadata", "prompt_eval_count", "eval_count"] {
            fields.remove(usage);
        }
        fields.into_iter().map(|(name, value)| (name, value.get())).collect::<Vec<_>>()
    });
    assert_eq!(first, second, "{what} changes again");
}
