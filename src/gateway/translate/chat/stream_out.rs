//! A stream as a client gets it.
//!
//! Each choice begins with a chunk that names its role and ends with one that gives its finish
//! reason; then comes the usage, where the client has asked for it, and `[DONE]`.

use super::{
    answer_out::shows_thoughts,
    chunks_out::Chunks,
    error,
    stream_choice::{Choice, Sharing, To},
};
use crate::{
    domain::chat::{Delta, Losses, StopReason, Usage},
    gateway::{
        dialect::openai_chat::{Chunk, DONE_EVENT, wire::response_out::ThoughtFields},
        translate::{ErrorView, ResponseContext, WriteStream, tier},
    },
};

/// Most choices of one stream that are written.
const MAX_CHOICES: usize = 128;

/// See [`WriteStream`].
#[derive(Debug)]
pub(super) struct Writer {
    sharing: Sharing,
    shows_thoughts: bool,
    /// Whether it goes on with what has passed as it came.
    is_adopted: bool,
    choices: Vec<Choice>,
    losses: Losses,
}

impl Writer {
    pub fn new(shown: &ResponseContext<'_>) -> Self {
        let sharing = Sharing {
            chunks: Chunks::new(shown),
            id: shown.id.to_owned(),
            wants_function_call: shown.request.wants_function_call,
            thought_fields: ThoughtFields::default(),
            is_resumed: false,
        };
        Self {
            sharing,
            shows_thoughts: shows_thoughts(shown.request),
            is_adopted: false,
            choices: Vec::new(),
            losses: Losses::default(),
        }
    }

    /// The state of a choice. `None`: it is one too many.
    fn choice(&mut self, index: u32) -> Option<usize> {
        if let Some(at) = self.choices.iter().position(|choice| choice.index() == index) {
            return Some(at);
        }
        if self.choices.len() == MAX_CHOICES {
            self.losses.note("n");
            return None;
        }
        self.choices.push(Choice::new(index));
        Some(self.choices.len() - 1)
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match &delta {
            Delta::Begin { model, .. } => {
                if let Some(model) = model {
                    self.sharing.chunks.name_model(model);
                }
                return;
            }
            Delta::Tier(tier) => {
                if let Some(tier) = tier::for_openai(tier, &mut self.losses) {
                    self.sharing.chunks.name_tier(tier);
                }
                return;
            }
            Delta::Usage(_) => return,
            _ => (),
        }
        let Some(at) = self.choice(delta.choice()) else { return };
        let Self { sharing, shows_thoughts, is_adopted, choices, losses } = self;
        let mut to = To { choice: &mut choices[at], sharing, losses, out };
        match delta {
            Delta::Text { text, .. } => to.text(&text),
            Delta::ReasoningBegin { id, .. } => to.thought_begin(id.into_owned()),
            Delta::Reasoning { text, is_summary, .. } => {
                if *shows_thoughts {
                    // Those before them came plain, and were not told apart.
                    to.thought(&text, is_summary && !*is_adopted);
                }
            }
            Delta::ReasoningSignature { signature, is_redacted, .. } => {
                if *shows_thoughts {
                    to.sign(signature, is_redacted);
                }
            }
            Delta::Refusal { text, .. } => to.refusal(&text),
            Delta::CallBegin { number, id, name, kind, signature, .. } => {
                to.call_begin(number, kind, &id, &name, signature.as_ref());
            }
            Delta::CallInput { number, text, .. } => to.call_input(number, &text),
            Delta::Citation { citation, .. } => to.citation(&citation),
            Delta::Whole { part, .. } => to.whole(&part),
            Delta::Logprobs { tokens, .. } => to.logprobs(&tokens),
            Delta::Break { .. } => to.end_part(),
            // A server that goes on after the end of a choice is passed on so, but it ends once.
            Delta::Stop { reason, .. } if !to.choice.is_over() => to.stop(&reason),
            Delta::Stop { .. } | Delta::Begin { .. } | Delta::Tier(_) | Delta::Usage(_) => (),
        }
    }

    fn finish(&mut self, usage: Usage, out: &mut Vec<u8>) {
        if self.choices.is_empty() {
            self.choices.push(Choice::new(0));
        }
        let Self { sharing, choices, losses, .. } = self;
        for choice in choices.iter_mut().filter(|choice| !choice.is_over()) {
            To { choice, sharing, losses, out }.stop(&StopReason::Finished);
        }
        sharing.chunks.write_usage(&usage, out);
        out.extend_from_slice(DONE_EVENT);
    }

    fn adopt(&mut self, data: &[u8]) -> bool {
        // The first one is of the stream like all others.
        if !self.is_adopted && !self.sharing.chunks.adopt(data) {
            return false;
        }
        self.is_adopted = true;
        // What passed as it came was not asked whether it may be shown.
        self.shows_thoughts = true;
        let Ok(chunk) = Chunk::parse(data) else { return false };
        if let Some(fields) = chunk.thought_fields() {
            self.sharing.thought_fields = fields;
        }
        if chunk.words.has_role
            && let Some(first) = self.choice(0)
        {
            self.choices[first].is_begun();
        }
        true
    }

    fn resumed(&mut self) {
        self.sharing.is_resumed = true;
    }

    fn fail(&mut self, error: &ErrorView<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(error));
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
