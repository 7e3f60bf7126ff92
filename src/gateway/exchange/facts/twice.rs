//! The law of what stands twice: a field that is read stands once in its object, however it is written;
//! one that is not may stand there as often as its client likes.

use std::fmt::Write as _;

use proptest::{prelude::*, sample::Index};

use super::{field_names::Shape, *};
use crate::gateway::exchange::ClientApi;

/// Deepest object that is looked at: texts of Gemini's results are read however deep they stand.
const DEEPEST: usize = 6;

fn asked() -> impl Iterator<Item = ClientCall> {
    let counts = [ClientApi::Messages, ClientApi::Gemini].map(ClientCall::TokenCount);
    ClientApi::ALL.map(ClientCall::Generate).into_iter().chain(counts)
}

/// All fields below such an object: the names on the way to each.
fn fields(shape: Shape, way: &mut Vec<&'static str>, all: &mut Vec<Vec<&'static str>>) {
    for (name, is) in shape.iter().filter(|(name, _)| !name.is_empty()) {
        way.push(name);
        all.push(way.clone());
        if way.len() < DEEPEST {
            fields(is.shape(), way, all);
        }
        way.pop();
    }
}

/// A body with an object in it, the way to which is made of objects and lists of one object.
fn body(way: &[&str], object: String, in_lists: &[bool]) -> String {
    let steps = way.iter().zip(in_lists).rev();
    steps.fold(object, |inner, (name, in_list)| {
        if *in_list {
            format!("{{\"{name}\":[{inner}]}}")
        } else {
            format!("{{\"{name}\":{inner}}}")
        }
    })
}

/// The name in another case, in parts or as a whole, with escapes, or for Google's API in snake_case.
fn rewritten(name: &str, has_twins: bool, ways: &[u8]) -> String {
    let mut written = String::new();
    for (letter, way) in name.chars().zip(ways) {
        if has_twins && letter.is_ascii_uppercase() && way & 4 == 0 {
            written.push('_');
        }
        let letter = if way & 1 == 0 { letter } else { letter.to_ascii_uppercase() };
        if way & 2 == 0 {
            written.push(letter);
        } else {
            write!(written, "\\u{:04x}", u32::from(letter)).unwrap();
        }
    }
    written
}

proptest! {
    #[test]
    fn what_is_read_stands_once_and_what_is_not_as_often_as_it_likes(
        which in any::<Index>(),
        field in any::<Index>(),
        ways in prop::collection::vec(any::<u8>(), 32),
        in_lists in prop::collection::vec(any::<bool>(), DEEPEST),
    ) {
        let asked = *which.get(&asked().collect::<Vec<_>>());
        let words = Words::of(asked);
        let mut all = Vec::new();
        fields(words.body, &mut Vec::new(), &mut all);
        let (name, way) = field.get(&all).split_last().unwrap();
        let is_setting = way.iter().any(|name| words.settings.contains(name));
        // What is a setting is no list.
        let in_lists: Vec<bool> = in_lists.iter().map(|it| *it && !is_setting).collect();
        let checked = |object: String| {
            let body = body(way, object, &in_lists);
            (check(asked, body.as_bytes(), &PathParams::default()), body)
        };
        let other = rewritten(name, words.has_twins, &ways);
        let (twice, sent) = checked(format!("{{\"{name}\":\"x\",\"y\":1,\"{other}\":\"z\"}}"));
        prop_assert!(twice.is_err(), "{asked:?} {sent}");
        let (once, sent) = checked(format!("{{\"y\":1,\"{other}\":\"x\"}}"));
        prop_assert!(once.is_ok(), "{asked:?} {sent}");
        if !way.is_empty() && !is_setting {
            let (unread, sent) = checked(format!("{{\"{name}\":\"x\",\"y\":1,\"Y\":1,\"y\":2}}"));
            prop_assert!(unread.is_ok(), "{asked:?} {sent}");
        }
    }
}

/// What each dialect reads within its body, one of each kind.
#[test]
fn what_decides_within_a_body_stands_there_once() {
    let answer = ClientCall::Generate;
    for (asked, body) in [
        (ClientApi::Chat, r#"{"messages":[{"role":"user","Role":"system","content":"x"}]}"#),
        (ClientApi::Chat, r#"{"messages":[{"role":"user","content":"x","cont\u0065nt":"y"}]}"#),
        (ClientApi::Chat, r#"{"messages":[{"content":[{"type":"text","TYPE":"image_url"}]}]}"#),
        (ClientApi::Chat, r#"{"tools":[{"type":"x","type":"function"}]}"#),
        (ClientApi::Chat, r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#),
        (ClientApi::Chat, r#"{"response_format":{"type":"text","type":"json_object"}}"#),
        (ClientApi::Chat, r#"{"metadata":{"session_id":"a","session_id":"b"}}"#),
        (ClientApi::Responses, r#"{"input":[{"role":"user","role":"assistant"}]}"#),
        (ClientApi::Responses, r#"{"reasoning":{"effort":"low","Effort":"high"}}"#),
        (ClientApi::Responses, r#"{"text":{"format":{"type":"text","type":"json_schema"}}}"#),
        (ClientApi::Messages, r#"{"messages":[{"role":"user","content":"x","Content":[]}]}"#),
        (ClientApi::Messages, r#"{"metadata":{"user_id":"a","user_id":"b"}}"#),
        (ClientApi::Messages, r#"{"tools":[{"type":"custom","input_schema":{},"type":"x"}]}"#),
        (ClientApi::Gemini, r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}"#),
        (ClientApi::Gemini, r#"{"contents":[{"role":"user","role":"model"}]}"#),
        (ClientApi::Gemini, r#"{"contents":[{"parts":[{"inlineData":{},"inline_data":{}}]}]}"#),
        (ClientApi::OllamaChat, r#"{"messages":[{"role":"user","images":[],"Images":["x"]}]}"#),
        (ClientApi::OllamaChat, r#"{"options":{"num_predict":1,"NUM_PREDICT":2}}"#),
    ] {
        let checked = check(answer(asked), body.as_bytes(), &PathParams::default());
        checked.expect_err(body);
    }
}
