//! Characters that are cut in two by an upstream: half of a surrogate pair at the end of one event's text,
//! and the other half at the beginning of the next one's.
//!
//! A text of ours cannot hold a half. While an event is read, those at the edge of a text stand in it as
//! three noncharacters, which nobody may send; then they are joined, or replaced.

use std::borrow::Cow;

use crate::{
    domain::chat::Delta,
    gateway::mended::{REPLACEMENT, is_first, replaced},
};

/// The fields of all dialects that hold a text which grows from event to event.
const TEXTS: [&str; 11] = [
    "arguments",
    "content",
    "delta",
    "partial_json",
    "reasoning",
    "reasoning_content",
    "refusal",
    "response",
    "summary",
    "text",
    "thinking",
];

/// The first of the 32 noncharacters of the Basic Multilingual Plane.
const FIRST_MARK: u32 = 0xFDD0;

/// How long a mark is in UTF-8.
const MARK_BYTES: usize = 9;

/// Stands for half a character that nobody has completed.
const NO_CHARACTER: char = '\u{FFFD}';

/// The halves of a stream.
#[derive(Debug, Default)]
pub struct Halves {
    /// First halves at the end of what was read, at most one for each choice.
    open: Vec<(Place, u16)>,
    /// Whether the event that is being read holds marks.
    has_marks: bool,
}

/// A text that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    choice: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning { is_summary: bool },
    Refusal,
    Input { number: u32 },
}

impl Halves {
    /// The data of an event as it is to be read. `None`: as it is.
    pub fn mark(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        self.has_marks = false;
        replaced(data, |out, half| {
            let is_at_edge = if is_first(half.unit) {
                data.get(half.place.end) == Some(&b'"')
            } else {
                out.last() == Some(&b'"')
            };
            if is_at_edge && is_of_text(data, half.place.start) {
                self.has_marks = true;
                out.extend_from_slice(mark_of(half.unit).as_bytes());
            } else {
                out.extend_from_slice(REPLACEMENT.as_bytes());
            }
        })
    }

    /// Whether there is nothing to join.
    pub fn is_idle(&self) -> bool {
        !self.has_marks && self.open.is_empty()
    }

    /// Hands on what a delta adds, with what was half before it completed.
    pub fn join<'d>(&mut self, delta: Delta<'d>, sink: &mut dyn FnMut(Delta<'d>)) {
        let Some(place) = place_of(&delta) else {
            // What is told beside a text does not end it.
            if !matches!(
                delta,
                Delta::Begin { .. }
                    | Delta::Tier(_)
                    | Delta::Usage(_)
                    | Delta::Logprobs { .. }
                    | Delta::Citation { .. }
            ) {
                self.give_up(delta.choice(), sink);
            }
            return sink(delta);
        };
        let text = text_of(&delta);
        if text.is_empty() {
            return sink(delta);
        }
        let mut open = None;
        if let Some(at) = self.open.iter().position(|(open, _)| open.choice == place.choice) {
            if self.open[at].0 == place {
                open = Some(self.open.swap_remove(at).1);
            } else {
                self.give_up(place.choice, sink);
            }
        }
        if open.is_none() && !self.has_marks {
            return sink(delta);
        }
        let (joined, left) = joined(open, text);
        self.open.extend(left.map(|unit| (place, unit)));
        if !joined.is_empty() {
            sink(place.delta(joined.into()));
        }
    }

    /// The answer is complete: what is still half stays so.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Delta<'static>)) {
        for (place, _) in self.open.drain(..) {
            sink(place.delta(NO_CHARACTER.to_string().into()));
        }
    }

    /// The text of a choice that was growing is complete.
    fn give_up<'d>(&mut self, choice: u32, sink: &mut dyn FnMut(Delta<'d>)) {
        if let Some(at) = self.open.iter().position(|(open, _)| open.choice == choice) {
            let (place, _) = self.open.swap_remove(at);
            sink(place.delta(NO_CHARACTER.to_string().into()));
        }
    }
}

impl Place {
    fn delta(self, text: Cow<'_, str>) -> Delta<'_> {
        let choice = self.choice;
        match self.kind {
            Kind::Text => Delta::Text { choice, text },
            Kind::Reasoning { is_summary } => Delta::Reasoning { choice, text, is_summary },
            Kind::Refusal => Delta::Refusal { choice, text },
            Kind::Input { number } => Delta::CallInput { choice, number, text },
        }
    }
}

fn place_of(delta: &Delta<'_>) -> Option<Place> {
    let kind = match delta {
        Delta::Text { .. } => Kind::Text,
        Delta::Reasoning { is_summary, .. } => Kind::Reasoning { is_summary: *is_summary },
        Delta::Refusal { .. } => Kind::Refusal,
        Delta::CallInput { number, .. } => Kind::Input { number: *number },
        _ => return None,
    };
    Some(Place { choice: delta.choice(), kind })
}

fn text_of<'d>(delta: &'d Delta<'_>) -> &'d str {
    match delta {
        Delta::Text { text, .. }
        | Delta::Reasoning { text, .. }
        | Delta::Refusal { text, .. }
        | Delta::CallInput { text, .. } => text,
        _ => "",
    }
}

/// A text with its marks gone, and the half that it ends with. `open`: the half before it.
fn joined(open: Option<u16>, text: &str) -> (String, Option<u16>) {
    let mut out = String::with_capacity(text.len());
    let mut open = open;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let marked = unit_of(rest);
        let first = open.take();
        let whole = first.zip(marked).and_then(|(first, second)| {
            char::decode_utf16([first, second]).next().and_then(Result::ok)
        });
        if first.is_some() && whole.is_none() {
            out.push(NO_CHARACTER);
        }
        match (whole, marked) {
            (Some(whole), _) => out.push(whole),
            (None, Some(unit)) if is_first(unit) => open = Some(unit),
            (None, Some(_)) => out.push(NO_CHARACTER),
            (None, None) => out.push(next),
        }
        rest = &rest[if marked.is_some() { MARK_BYTES } else { next.len_utf8() }..];
    }
    (out, open)
}

/// The characters that stand for a half.
fn mark_of(unit: u16) -> String {
    let unit = u32::from(unit);
    let mark = |part: u32| char::from_u32(FIRST_MARK + part).unwrap_or(NO_CHARACTER);
    [mark(unit >> 10 & 1), mark(unit >> 5 & 31), mark(unit & 31)].into_iter().collect()
}

/// The half that the characters stand for with which a text begins.
fn unit_of(text: &str) -> Option<u16> {
    let mut marks = text.chars();
    let mut part = |most: u16| {
        let part = u32::from(marks.next()?).checked_sub(FIRST_MARK)?;
        u16::try_from(part).ok().filter(|part| *part <= most)
    };
    Some(0xD800 | part(1)? << 10 | part(31)? << 5 | part(31)?)
}

/// Whether the string that holds this place is the value of a field that grows.
fn is_of_text(data: &[u8], at: usize) -> bool {
    let Some(start) = opening_quote(data, at) else { return false };
    let before = data[..start].trim_ascii_end();
    let Some(key) = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end) else { return false };
    let Some(key) = key.strip_suffix(b"\"") else { return false };
    TEXTS
        .iter()
        .any(|name| key.strip_suffix(name.as_bytes()).is_some_and(|rest| rest.ends_with(b"\"")))
}

/// Where the string begins that holds this place.
fn opening_quote(data: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        let quote = memchr::memrchr(b'"', &data[..end])?;
        let escapes = data[..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(quote);
        }
        end = quote;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What a stream of events with these values of `content` says in the end.
    fn said(values: &[&str]) -> String {
        let (mut halves, mut said) = (Halves::default(), String::new());
        for value in values {
            let data = format!(r#"{{"content": "{value}","token":"{value}"}}"#);
            let marked = halves.mark(data.as_bytes());
            let read = marked.as_deref().unwrap_or(data.as_bytes());
            let json: Value = serde_json::from_slice(read).unwrap();
            let text = json["content"].as_str().unwrap();
            halves.join(Delta::Text { choice: 0, text: text.into() }, &mut |delta| {
                said.push_str(text_of(&delta));
            });
            assert_eq!(
                json["token"].as_str().unwrap().contains('\u{fdd0}'),
                value.contains('\u{fdd0}')
            );
        }
        halves.finish(&mut |delta| said.push_str(text_of(&delta)));
        assert!(halves.open.is_empty());
        said
    }

    #[test]
    fn halves_of_two_events_are_joined() {
        assert_eq!(said(&[r"Hi \ud83d", r"\ude00 there"]), "Hi 😀 there");
        assert_eq!(said(&[r"\ud83d", r"\ude00\ud83d", r"\ude01"]), "😀😁");
        assert_eq!(said(&[r"\ud83d", "", r"\ude00"]), "😀");
    }

    #[test]
    fn a_half_alone_is_replaced_and_nothing_else_is_lost() {
        assert_eq!(said(&[r"a\ud83d", "b"]), "a\u{fffd}b");
        assert_eq!(said(&[r"a\ud83d"]), "a\u{fffd}");
        assert_eq!(said(&[r"\ude00b"]), "\u{fffd}b");
        assert_eq!(said(&[r"a\ud83d", r"\ud83d", r"\ude00"]), "a\u{fffd}😀");
        assert_eq!(said(&[r"a\ud83db", r"c\ude00"]), "a\u{fffd}bc\u{fffd}");
        assert_eq!(said(&[r"\\\ud83d", r"\ude00\\"]), "\\😀\\");
        assert_eq!(
            said(&["plain", "é", "\u{fdd0}\u{fdd1}\u{fdd2}"]),
            "plainé\u{fdd0}\u{fdd1}\u{fdd2}"
        );
    }

    #[test]
    fn what_is_of_another_choice_or_kind_completes_nothing() {
        let mut halves = Halves::default();
        let mut feed = |delta: Delta<'static>| {
            halves.has_marks = true;
            let mut told = Vec::new();
            halves.join(delta, &mut |delta| told.push(delta));
            told
        };
        let text = |choice, text: String| Delta::Text { choice, text: text.into() };
        let (first, second) = (mark_of(0xD83D), mark_of(0xDE00));
        assert_eq!(feed(text(0, first.clone())), []);
        assert_eq!(feed(text(1, first.clone())), []);
        assert_eq!(feed(text(1, second.clone())), [text(1, "😀".into())]);
        assert_eq!(feed(Delta::Tier("x".into())), [Delta::Tier("x".into())]);
        let thought = Delta::Reasoning { choice: 0, text: "hm".into(), is_summary: false };
        assert_eq!(feed(thought.clone()), [text(0, "\u{fffd}".into()), thought]);
        assert_eq!(feed(text(0, first)), []);
        let end = Delta::Break { choice: 0 };
        assert_eq!(feed(end.clone()), [text(0, "\u{fffd}".into()), end]);
        assert_eq!(feed(text(0, second)), [text(0, "\u{fffd}".into())]);
    }

    proptest! {
        #[test]
        fn however_a_text_is_cut_it_is_the_same(
            text in "[a\\\\😀é\u{10000}\u{10FFFF}]{0,8}", cuts in prop::collection::vec(any::<bool>(), 32),
        ) {
            let mut values = vec![String::new()];
            for (unit, cut) in text.encode_utf16().zip(cuts) {
                write!(values.last_mut().unwrap(), "\\u{unit:04x}").unwrap();
                if cut {
                    values.push(String::new());
                }
            }
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            prop_assert_eq!(said(&values), text);
        }

        #[test]
        fn a_mark_stands_for_its_half(unit in 0xD800..0xE000_u16) {
            let mark = mark_of(unit);
            prop_assert_eq!(mark.len(), MARK_BYTES);
            prop_assert_eq!(unit_of(&format!("{mark}x")), Some(unit));
        }
    }
}
