//! What is known of a stream so far, whatever becomes of its events.

use std::borrow::Cow;

use crate::{
    domain::chat::{Delta, Losses, Usage},
    gateway::{
        dialect::openai_chat::Chunk,
        tokens::{PartialUsage, TextLength},
    },
};

/// What is known of a stream so far.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Whether a first content event was seen, or a finish reason: an empty answer is an answer.
    pub proved: bool,
    /// Events that could not be read and were dropped.
    pub dropped: u64,
    /// What they were.
    pub unread: Losses,
    /// What the upstream reported last. Some report running totals with every event.
    pub usage: Option<Usage>,
    /// Whether the event that is being read has told usage.
    is_told: bool,
    said: TextLength,
    /// What of it was said by the end of the event that told usage.
    said_then: TextLength,
    /// Choices seen, and those that have ended: one bit each, and the last one for all past 127.
    choices: u128,
    finished: u128,
    /// Whether a choice has said more after it had ended: what gives a reason to end does not mean it.
    goes_on: bool,
    /// Whether anything has come of the answer before the event that is being read.
    is_begun: bool,
    /// Whether all of the answer stood in the event that ended it first.
    is_at_once: bool,
}

impl Seen {
    /// Whether every choice that was begun has ended.
    pub fn is_finished(&self) -> bool {
        self.finished != 0 && self.finished == self.choices
    }

    /// Whether it is so for good: what comes now is no part of the answer, unless it says more of it.
    pub fn is_complete(&self) -> bool {
        self.is_finished() && !self.goes_on
    }

    /// Whether it is so although no event has come yet that did not end the answer.
    pub fn is_at_once(&self) -> bool {
        self.is_at_once
    }

    /// An event was left out that holds nothing of the answer.
    pub fn leave_out(&mut self, name: impl Into<Cow<'static, str>>) {
        self.unread.note(name);
        self.dropped += 1;
    }

    /// What was used if nothing more comes.
    pub fn partial_usage(&self) -> PartialUsage {
        let told = self.usage.map(Into::into);
        PartialUsage { told, said: self.said, said_then: self.said_then }
    }

    /// What an event tells includes what it says itself, in whichever order.
    pub fn end_of_event(&mut self) {
        if std::mem::take(&mut self.is_told) {
            self.said_then = self.said;
        }
        self.is_begun = self.proved;
    }

    pub fn note(&mut self, delta: &Delta<'_>) {
        self.proved |= delta.is_content();
        self.said.add_delta(delta);
        match delta {
            Delta::Usage(usage) => (self.usage, self.is_told) = (Some(*usage), true),
            Delta::Stop { choice, .. } => {
                let bit = 1_u128 << (*choice).min(127);
                self.is_at_once |= self.finished == 0 && self.proved && !self.is_begun;
                self.choices |= bit;
                self.finished |= bit;
                self.proved = true;
            }
            Delta::Text { choice, .. }
            | Delta::Reasoning { choice, .. }
            | Delta::Refusal { choice, .. }
            | Delta::CallBegin { choice, .. } => {
                let bit = 1_u128 << (*choice).min(127);
                self.choices |= bit;
                self.goes_on |= self.finished & bit != 0 && delta.is_content();
            }
            Delta::CallInput { choice, text, .. } => {
                let bit = 1_u128 << (*choice).min(127);
                self.goes_on |= self.finished & bit != 0 && !text.is_empty();
            }
            _ => {}
        }
    }

    /// The same of a whole chunk that passes as it came.
    pub fn note_chunk(&mut self, chunk: &Chunk<'_>) {
        self.proved |= chunk.has_content || chunk.finished != 0;
        self.said.add_all(chunk.said);
        self.goes_on |= self.finished & chunk.choices != 0 && chunk.has_content;
        self.choices |= chunk.choices;
        self.finished |= chunk.finished;
        if chunk.usage.is_some() {
            (self.usage, self.is_told) = (chunk.usage, true);
        }
    }
}
