//! Pieces of tool calls in a stream, and which call each of them belongs to.
//!
//! OpenAI numbers the calls of a choice, and gives id and name with the first piece of each. Others
//! leave out the numbers, give all calls the same one, repeat the id, or send a call at once.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    domain::chat::{CallKind, Delta, Dialect, Losses, MAX_CALLS, ReasoningSignature},
    gateway::{
        dialect::openai_chat::{
            text_of,
            wire::response_in::{WireCall, WireExtra, WireFunction},
        },
        translate::said_text::SaidText,
    },
};

/// Most input that is held back for a call whose name has not come yet, in bytes.
const MAX_HELD: usize = 64 * 1024;

/// The input of a call. Some servers put the JSON itself where a text that holds it belongs.
pub(super) fn input_of(raw: Option<&RawValue>) -> Cow<'_, str> {
    match raw.map(RawValue::get) {
        None => Cow::Borrowed(""),
        Some(written) if written.starts_with('"') => text_of(written).unwrap_or_default(),
        Some(json) => Cow::Borrowed(json),
    }
}

/// The calls of one choice up to now.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// How many bytes are kept of their input.
    kept: usize,
}

#[derive(Debug)]
struct Call {
    /// The number that the upstream gives it.
    index: Option<u64>,
    /// Whether it is a `function_call`, which has neither number nor id.
    is_legacy: bool,
    id: String,
    /// What has come of it before its name.
    held: Option<String>,
    kind: CallKind,
    input: SaidText,
}

/// What one piece tells.
struct Piece<'a> {
    index: Option<u64>,
    is_legacy: bool,
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    input: Cow<'a, str>,
    kind: CallKind,
    signature: Option<Cow<'a, str>>,
}

impl<'a> Piece<'a> {
    fn of(wire: WireCall<'a>) -> Self {
        let (name, input, kind) = match (wire.function, wire.custom) {
            (None, Some(called)) => {
                (called.name, called.input.filled().unwrap_or_default(), CallKind::Custom)
            }
            (called, _) => {
                let called = called.unwrap_or_default();
                (called.name, input_of(called.arguments), CallKind::Function)
            }
        };
        Self {
            index: wire.index.0,
            is_legacy: false,
            id: wire.id.filled().unwrap_or_default(),
            name: name.filled().unwrap_or_default(),
            input,
            kind,
            signature: wire.extra_content.and_then(WireExtra::thought_signature),
        }
    }
}

impl Calls {
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds a piece of one of the `tool_calls`. `false`: there is no room for it.
    pub fn add(
        &mut self,
        choice: u32,
        wire: WireCall<'_>,
        losses: &mut Losses,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> bool {
        self.add_piece(choice, Piece::of(wire), losses, sink)
    }

    /// The same of a legacy `function_call`, of which there is one.
    pub fn add_function(
        &mut self,
        choice: u32,
        called: WireFunction<'_>,
        losses: &mut Losses,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> bool {
        let wire = WireCall { function: Some(called), ..WireCall::default() };
        let piece = Piece { is_legacy: true, ..Piece::of(wire) };
        self.add_piece(choice, piece, losses, sink)
    }

    /// Adds what the whole of a call says beyond its pieces: of the call in this place, or the legacy one.
    /// `false`: it says something else, or there is no room for it.
    pub fn add_whole(
        &mut self,
        choice: u32,
        place: Option<usize>,
        wire: WireCall<'_>,
        losses: &mut Losses,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> bool {
        let is_legacy = place.is_none();
        let mut piece = Piece { is_legacy, ..Piece::of(wire) };
        let mut known = (0..self.calls.len()).filter(|at| self.calls[*at].is_legacy == is_legacy);
        let Some(number) = known.nth(place.unwrap_or(0)) else {
            return self.add_piece(choice, piece, losses, sink);
        };
        let call = &self.calls[number];
        let Some(rest) = call.input.rest_of(&piece.input).map(str::to_owned) else { return false };
        if !piece.id.is_empty() && !call.id.is_empty() && *call.id != *piece.id {
            return false;
        }
        (piece.input, piece.signature) = (rest.into(), None);
        self.grow(choice, number, piece, losses, sink)
    }

    fn add_piece(
        &mut self,
        choice: u32,
        piece: Piece<'_>,
        losses: &mut Losses,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> bool {
        let number = match self.find(&piece) {
            Some(number) => number,
            None if self.calls.len() == MAX_CALLS => return false,
            None => {
                self.calls.push(Call {
                    index: piece.index,
                    is_legacy: piece.is_legacy,
                    id: piece.id.clone().into_owned(),
                    held: Some(String::new()),
                    kind: piece.kind,
                    input: SaidText::default(),
                });
                self.calls.len() - 1
            }
        };
        self.grow(choice, number, piece, losses, sink)
    }

    fn grow(
        &mut self,
        choice: u32,
        number: usize,
        piece: Piece<'_>,
        losses: &mut Losses,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> bool {
        let call = &mut self.calls[number];
        let number = u32::try_from(number).expect("there are at most MAX_CALLS");
        call.input.push(&piece.input, &mut self.kept);
        if let Some(held) = &mut call.held {
            if call.id.is_empty() {
                call.id = piece.id.into_owned();
            }
            if piece.name.is_empty() {
                held.push_str(&piece.input);
                return held.len() <= MAX_HELD;
            }
            sink(Delta::CallBegin {
                choice,
                number,
                id: Cow::Borrowed(&call.id),
                name: piece.name,
                kind: call.kind,
                signature: piece
                    .signature
                    .map(|text| ReasoningSignature::from_wire(Dialect::Gemini, &text)),
            });
            let held = call.held.take().unwrap_or_default();
            if !held.is_empty() {
                sink(Delta::CallInput { choice, number, text: held.into() });
            }
        } else {
            losses.note_if(piece.signature.is_some(), "reasoning.signature");
        }
        if !piece.input.is_empty() {
            sink(Delta::CallInput { choice, number, text: piece.input });
        }
        true
    }

    /// The call that a piece goes on with. `None`: it begins one.
    fn find(&self, piece: &Piece<'_>) -> Option<usize> {
        let last = |is: &dyn Fn(&Call) -> bool| {
            self.calls.iter().rposition(|call| call.is_legacy == piece.is_legacy && is(call))
        };
        if piece.index.is_some() {
            // The last one of a number: where all have the same, another id begins another call.
            let at = last(&|call| call.index == piece.index)?;
            let id = &self.calls[at].id;
            let is_other = !piece.id.is_empty() && !id.is_empty() && **id != *piece.id;
            return (!is_other || piece.name.is_empty()).then_some(at);
        }
        if !piece.id.is_empty() {
            return last(&|call| *call.id == *piece.id);
        }
        let at = last(&|_| true)?;
        // A name begins a call, unless the one before still waits for its own.
        let begins = !piece.name.is_empty() && self.calls[at].held.is_none();
        (!begins).then_some(at)
    }

    /// Whether there are calls whose name has not come. One of which nothing at all has come is none.
    pub fn lack_names(&self) -> bool {
        let is_held = |held: &String, id: &str| !held.is_empty() || !id.is_empty();
        self.calls.iter().any(|call| call.held.as_ref().is_some_and(|it| is_held(it, &call.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads lists of pieces, a list each event, and tells what they say.
    fn read(events: &[&str]) -> Vec<String> {
        let mut calls = Calls::default();
        let mut said = Vec::new();
        let mut losses = Losses::default();
        for event in events {
            let pieces: Vec<WireCall<'_>> = serde_json::from_str(event).expect(event);
            for piece in pieces {
                calls.add(0, piece, &mut losses, &mut |delta| match delta {
                    Delta::CallBegin { number, id, name, .. } => {
                        said.push(format!("{number} {name} {id}"));
                    }
                    Delta::CallInput { number, text, .. } => said.push(format!("{number}+{text}")),
                    other => panic!("{other:?}"),
                });
            }
        }
        said
    }

    #[test]
    fn calls_are_told_apart_however_they_are_numbered() {
        let as_openai = [
            r#"[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]"#,
            r#"[{"index":0,"function":{"arguments":"{"}}]"#,
            r#"[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]"#,
            r#"[{"index":0,"function":{"arguments":"}"}},{"index":1,"function":{"arguments":"{}"}}]"#,
        ];
        assert_eq!(read(&as_openai), ["0 f a", "0+{", "1 g b", "0+}", "1+{}"]);
        let all_numbered_zero = [
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]"#,
            r#"[{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}]"#,
        ];
        assert_eq!(read(&all_numbered_zero), ["0 f a", "0+{}", "1 f b", "1+{}"]);
        let without_numbers = [
            r#"[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"1"}}]"#,
            r#"[{"function":{"arguments":"2"}}]"#,
        ];
        assert_eq!(read(&without_numbers), ["0 f a", "0+{}", "1 g b", "1+1", "1+2"]);
        let without_anything = [
            r#"[{"function":{"name":"f","arguments":{"x":1}}}]"#,
            r#"[{"function":{"name":"f","arguments":{"x":2}}}]"#,
        ];
        assert_eq!(read(&without_anything), ["0 f ", r#"0+{"x":1}"#, "1 f ", r#"1+{"x":2}"#]);
    }

    #[test]
    fn what_is_repeated_begins_nothing_and_a_late_name_is_waited_for() {
        let repeated = [
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]"#,
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}]"#,
            r#"[{"index":0,"id":"","function":{"name":null,"arguments":" "}}]"#,
        ];
        assert_eq!(read(&repeated), ["0 f a", "0+{", "0+}", "0+ "]);
        let late = [
            r#"[{"index":0,"id":"a"}]"#,
            r#"[{"index":0,"function":{"arguments":"{"}}]"#,
            r#"[{"index":0,"function":{"name":"f","arguments":"}"}}]"#,
        ];
        assert_eq!(read(&late), ["0 f a", "0+{", "0+}"]);
    }

    #[test]
    fn no_stream_can_make_more_calls_than_the_limit() {
        let mut calls = Calls::default();
        let mut begun = 0;
        for n in 0..2 * MAX_CALLS {
            let json = format!(r#"{{"index":{n},"id":"c{n}","function":{{"name":"f"}}}}"#);
            let piece = serde_json::from_str(&json).unwrap();
            let has_room = calls.add(0, piece, &mut Losses::default(), &mut |_| begun += 1);
            assert_eq!(has_room, n < MAX_CALLS);
        }
        assert_eq!(begun, MAX_CALLS);
    }
}
