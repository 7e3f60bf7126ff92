//! The parts of a stream, one after another.
//!
//! An upstream may say other things while a call still grows, and go on with it then, or after it has said
//! why it ends. No dialect but Gemini's could be told so. What comes while a call grows waits until it is
//! complete, and the reasons to end come last.

use std::collections::{BTreeMap, VecDeque};

use super::input_scan::InputScan;
use crate::domain::chat::{CallKind, Delta, MAX_CALLS, memory_size};

/// Most bytes of calls, and of what waits for them, in one stream.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Puts the deltas of a stream in order.
#[derive(Debug, Default)]
pub struct PartOrder {
    /// The choices that have calls, by their number.
    choices: BTreeMap<u32, Calls>,
    ends: Vec<Delta<'static>>,
    bytes: usize,
    lost: Option<&'static str>,
}

/// The calls of one choice.
#[derive(Debug, Default)]
struct Calls {
    begun: usize,
    /// The one that grows: what it says is handed on at once.
    open: Option<Open>,
    /// What comes after it. Each call is followed by its input.
    waiting: VecDeque<Delta<'static>>,
    /// Where the inputs of calls that wait are, counted with what has been taken out.
    inputs: BTreeMap<u32, usize>,
    taken: usize,
}

#[derive(Debug)]
struct Open {
    number: u32,
    kind: CallKind,
    scan: InputScan,
}

impl Open {
    /// Whether it has all that it needs. Free text may always go on.
    fn is_complete(&self) -> bool {
        self.kind == CallKind::Function && self.scan.is_complete()
    }
}

impl PartOrder {
    /// Hands on a delta, or keeps it until its turn comes.
    pub fn pass(&mut self, delta: Delta<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        match delta {
            Delta::Stop { choice, .. } => {
                self.ends.retain(|end| end.choice() != choice);
                self.ends.push(delta.into_owned());
            }
            Delta::CallBegin { ref name, .. } if name.is_empty() => {
                self.lost = Some("a call of the stream has no name");
            }
            Delta::CallBegin { choice, .. } => self.begin(choice, delta, sink),
            Delta::CallInput { choice, number, ref text } => {
                if !text.is_empty() {
                    self.input(choice, number, delta, sink);
                }
            }
            Delta::Begin { .. } | Delta::Tier(_) | Delta::Usage(_) | Delta::Logprobs { .. } => {
                sink(delta);
            }
            _ if self.choices.is_empty() => sink(delta),
            _ => self.other(delta, sink),
        }
    }

    /// Hands on all that is left of a stream that is complete.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Delta<'_>)) {
        for (choice, mut calls) in std::mem::take(&mut self.choices) {
            while calls.open.is_some() {
                calls.close(choice, sink);
                calls.advance(choice, sink);
            }
        }
        self.ends.drain(..).for_each(sink);
    }

    /// Whether a choice has been given a reason to end.
    pub fn has_ends(&self) -> bool {
        !self.ends.is_empty()
    }

    /// What is lost of the stream, in words, if anything is: then it cannot become whole.
    pub fn lost(&self) -> Option<&'static str> {
        self.lost
    }

    /// `false`: there is no room for so much.
    fn takes(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        let fits = self.bytes <= MAX_BYTES;
        if !fits {
            self.lost = Some("the calls of the stream are too large");
        }
        fits
    }

    fn begin(&mut self, choice: u32, delta: Delta<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        if !self.takes(size_of_val(&delta) + memory_size(&delta)) {
            return;
        }
        let calls = self.choices.entry(choice).or_default();
        if calls.begun == MAX_CALLS {
            self.lost = Some("the stream has too many calls");
            return;
        }
        calls.begun += 1;
        calls.add(choice, delta, sink);
    }

    fn input(
        &mut self,
        choice: u32,
        number: u32,
        delta: Delta<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        if self.takes(memory_size(&delta)) {
            let calls = self.choices.entry(choice).or_default();
            if !calls.grow(choice, number, delta, sink) {
                self.lost = Some("a call of the stream goes on after its end");
            }
        }
    }

    fn other(&mut self, delta: Delta<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let choice = delta.choice();
        match self.choices.get_mut(&choice) {
            Some(calls) if !calls.may_advance() => {
                if self.takes(size_of_val(&delta) + memory_size(&delta))
                    && let Some(calls) = self.choices.get_mut(&choice)
                {
                    calls.waiting.push_back(delta.into_owned());
                }
            }
            Some(calls) => calls.hand_on(choice, delta, sink),
            None => sink(delta),
        }
    }
}

impl Calls {
    /// Whether what follows the call that grows may be handed on.
    fn may_advance(&self) -> bool {
        self.open.as_ref().is_none_or(Open::is_complete)
    }

    /// Adds a call.
    fn add(&mut self, choice: u32, delta: Delta<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        if self.may_advance() {
            return self.hand_on(choice, delta, sink);
        }
        let Delta::CallBegin { number, .. } = delta else { return };
        self.waiting.push_back(delta.into_owned());
        self.inputs.insert(number, self.taken + self.waiting.len());
        self.waiting.push_back(Delta::CallInput { choice, number, text: "".into() });
    }

    /// Adds to the input of a call. `false`: it has ended, or never begun.
    fn grow(
        &mut self,
        choice: u32,
        number: u32,
        delta: Delta<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> bool {
        let Delta::CallInput { text, .. } = &delta else { return false };
        if let Some(open) = self.open.as_mut().filter(|open| open.number == number) {
            open.scan.add(text);
            sink(delta);
            self.advance(choice, sink);
            return true;
        }
        let place = self.inputs.get(&number).map(|place| place - self.taken);
        let waiting = place.and_then(|place| self.waiting.get_mut(place));
        if let Some(Delta::CallInput { text: before, .. }) = waiting {
            before.to_mut().push_str(text);
            return true;
        }
        // Space after an object says nothing.
        text.trim_ascii().is_empty()
    }

    /// Hands on what waits, as far as the calls before it are complete.
    fn advance(&mut self, choice: u32, sink: &mut dyn FnMut(Delta<'_>)) {
        while self.may_advance()
            && let Some(delta) = self.waiting.pop_front()
        {
            self.taken += 1;
            self.hand_on(choice, delta, sink);
        }
    }

    fn hand_on(&mut self, choice: u32, delta: Delta<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        self.close(choice, sink);
        let Delta::CallBegin { number, kind, .. } = delta else { return sink(delta) };
        sink(delta);
        let mut open = Open { number, kind, scan: InputScan::default() };
        if self.inputs.remove(&number).is_some()
            && let Some(input) = self.waiting.pop_front()
        {
            self.taken += 1;
            if let Delta::CallInput { text, .. } = &input
                && !text.is_empty()
            {
                open.scan.add(text);
                sink(input);
            }
        }
        self.open = Some(open);
    }

    /// Completes the call that grows, if one does.
    fn close(&mut self, choice: u32, sink: &mut dyn FnMut(Delta<'_>)) {
        if self.open.take().is_some() {
            sink(Delta::Break { choice });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chat::StopReason;

    fn begin(number: u32, kind: CallKind) -> Delta<'static> {
        let (id, name) = ("c".into(), "f".into());
        Delta::CallBegin { choice: 0, number, id, name, kind, signature: None }
    }

    fn input(number: u32, text: &str) -> Delta<'_> {
        Delta::CallInput { choice: 0, number, text: text.into() }
    }

    fn text(text: &str) -> Delta<'_> {
        Delta::Text { choice: 0, text: text.into() }
    }

    fn stop() -> Delta<'static> {
        Delta::Stop { choice: 0, reason: StopReason::ToolCalls }
    }

    /// What becomes of the deltas, and what is lost.
    fn ordered<'d>(
        deltas: impl IntoIterator<Item = Delta<'d>>,
    ) -> (Vec<String>, Option<&'static str>) {
        let (mut order, mut told) = (PartOrder::default(), Vec::new());
        let mut tell = |delta: Delta<'_>| {
            told.push(match delta {
                Delta::CallBegin { number, .. } => format!("call {number}"),
                Delta::CallInput { number, text, .. } => format!("{number}+{text}"),
                Delta::Text { text, .. } => text.into_owned(),
                Delta::Break { .. } => "|".to_owned(),
                Delta::Stop { .. } => "end".to_owned(),
                other => panic!("{other:?}"),
            });
        };
        for delta in deltas {
            order.pass(delta, &mut tell);
        }
        order.finish(&mut tell);
        (told, order.lost())
    }

    fn function(number: u32) -> Delta<'static> {
        begin(number, CallKind::Function)
    }

    #[test]
    fn what_comes_while_a_call_grows_comes_after_it() {
        let (told, lost) = ordered([
            text("a"),
            function(0),
            input(0, "{\"x\":"),
            text("b"),
            function(1),
            function(2),
            input(2, "{"),
            input(1, "[]"),
            text("c"),
            input(0, "1}"),
            input(2, "}"),
            text("d"),
            stop(),
        ]);
        let expected = [
            "a",
            "call 0",
            "0+{\"x\":",
            "0+1}",
            "|",
            "b",
            "call 1",
            "1+[]",
            "|",
            "call 2",
            "2+{",
            "2+}",
            "|",
            "c",
            "d",
            "end",
        ];
        assert_eq!((told, lost), (expected.map(str::to_owned).into(), None));
    }

    #[test]
    fn a_call_may_go_on_after_the_reason_to_end() {
        let (told, lost) = ordered([function(0), input(0, "{"), stop(), input(0, "}"), stop()]);
        assert_eq!((told.concat(), lost), ("call 00+{0+}|end".to_owned(), None));
    }

    #[test]
    fn one_that_is_never_complete_holds_the_rest_until_the_end() {
        for kind in [CallKind::Custom, CallKind::Function] {
            let (told, lost) = ordered([begin(0, kind), input(0, "{"), text("a"), begin(1, kind)]);
            assert_eq!((told.concat(), lost), ("call 00+{|acall 1|".to_owned(), None));
        }
    }

    #[test]
    fn what_cannot_be_told_any_more_is_lost() {
        for (late, is_lost) in [("{}", true), (" \n", false), ("", false)] {
            let said = [function(0), input(0, "{}"), text("a"), input(0, late)];
            assert_eq!(ordered(said).1.is_some(), is_lost, "{late:?}");
        }
        let (id, name) = ("c".into(), "".into());
        let kind = CallKind::Function;
        let nameless = Delta::CallBegin { choice: 0, number: 0, id, name, kind, signature: None };
        assert_eq!(ordered([nameless]).1, Some("a call of the stream has no name"));
        let unknown = ordered([input(7, "{}")]);
        assert_eq!(unknown, (Vec::new(), Some("a call of the stream goes on after its end")));
    }

    #[test]
    fn there_is_a_limit_to_calls_and_to_what_waits() {
        let number_of = |calls: usize| (0..calls).map(|n| function(u32::try_from(n).unwrap()));
        assert_eq!(ordered(number_of(MAX_CALLS)).1, None);
        assert!(ordered(number_of(MAX_CALLS + 1)).1.is_some());
        let piece = "x".repeat(1 << 20);
        for (pieces, is_lost) in [(7, false), (8, true)] {
            for said in [input(0, &piece), text(&piece)] {
                let said = std::iter::repeat_n(said, pieces);
                let deltas = [function(0)].into_iter().chain(said);
                assert_eq!(ordered(deltas).1.is_some(), is_lost, "{pieces}");
            }
        }
    }
}
