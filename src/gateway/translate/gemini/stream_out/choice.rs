//! What is kept of one choice while its stream is written.

use crate::{
    domain::chat::{Citation, Json, StopReason, TokenLogprob, ToolCall},
    gateway::{
        dialect::gemini::WrittenPart,
        translate::gemini::{citations_out::Cited, parts_out},
    },
};

/// Most sources of one answer that are told.
const MAX_CITATIONS: usize = 1024;

#[derive(Default)]
pub(super) struct ChoiceState {
    /// What waits for what follows it.
    pub held: Option<Held>,
    /// Calls whose input is being gathered, by their number.
    pub calls: Vec<(u32, ToolCall)>,
    /// Whether one of them has got more input since it was looked at.
    has_grown: bool,
    pub stop: StopReason,
    /// Those of tokens that no chunk has told yet.
    pub logprobs: Vec<TokenLogprob>,
    pub cited: Vec<Cited>,
    pub text: Length,
}

impl ChoiceState {
    pub fn begin_call(&mut self, number: u32, call: ToolCall) {
        self.calls.push((number, call));
    }

    /// The call that gets more of its input.
    pub fn growing_call(&mut self, number: u32) -> Option<&mut ToolCall> {
        self.has_grown = true;
        self.calls.iter_mut().rev().find(|(known, _)| *known == number).map(|(_, call)| call)
    }

    /// Takes out all calls, or those whose input is complete, in the order in which they began.
    pub fn take_calls(&mut self, all: bool) -> Vec<(u32, ToolCall)> {
        // What has not grown is as incomplete as it was.
        if !all && !std::mem::take(&mut self.has_grown) {
            return Vec::new();
        }
        let is_complete = |input: &str| input.ends_with('}') && Json::parse(input).is_some();
        let (ready, waiting) = std::mem::take(&mut self.calls)
            .into_iter()
            .partition(|(_, call)| all || is_complete(&call.input));
        self.calls = waiting;
        ready
    }

    /// Drops the calls that an end for this reason leaves incomplete. Whether there are any such calls.
    pub fn drop_cut_calls(&mut self, reason: &StopReason) -> bool {
        self.calls.extract_if(.., |(_, call)| !reason.completes(call)).count() > 0
    }

    /// Keeps a source for the end. `false`: there are too many.
    pub fn cite(&mut self, citation: Citation) -> bool {
        if self.cited.len() == MAX_CITATIONS {
            return false;
        }
        let place = citation.place;
        // Bytes are counted on the wire, and characters only known where each is one byte.
        let bytes = place.filter(|_| self.text.is_ascii()).map(|place| {
            let begin = self.text.part_begin;
            begin.saturating_add(place.start)..begin.saturating_add(place.end)
        });
        self.cited.push(Cited { citation, bytes });
        true
    }
}

pub(super) enum Held {
    /// The last character of a text or of thoughts.
    Text {
        last: char,
        is_thought: bool,
    },
    Part(Json),
}

impl Held {
    pub fn part(&self) -> WrittenPart<'_> {
        match self {
            Self::Text { last, is_thought } => {
                let text = last.to_string();
                if *is_thought { parts_out::thought(text, None) } else { WrittenPart::text(text) }
            }
            Self::Part(json) => WrittenPart::Opaque(json),
        }
    }
}

/// How much text there is.
#[derive(Default)]
pub(super) struct Length {
    bytes: u64,
    is_wide: bool,
    /// Where the text that is growing has begun.
    part_begin: u64,
    has_ended: bool,
}

impl Length {
    pub fn add(&mut self, text: &str) {
        if std::mem::take(&mut self.has_ended) {
            self.part_begin = self.bytes;
        }
        self.bytes += text.len() as u64;
        self.is_wide |= !text.is_ascii();
    }

    /// What follows belongs to another part.
    pub fn end_part(&mut self) {
        self.has_ended = true;
    }

    fn is_ascii(&self) -> bool {
        !self.is_wide
    }
}
