//! A stream as a client gets it: pieces of text, each in the shape of a whole answer.

use super::{
    answer_out::{completion_id, finish_word},
    logprobs,
};
use crate::{
    domain::chat::{Delta, Losses, StopReason, TokenLogprob, Usage},
    gateway::{
        dialect::openai_chat::{
            DONE_EVENT, ShownUsage,
            wire::completion::{ShownCompletion, TextChoice},
        },
        translate::{
            ErrorView, OutputKinds, ResponseContext, WriteStream,
            chat::{error, finish, note_content},
            tier,
        },
    },
};

/// Most choices of one stream that are written.
const MAX_CHOICES: usize = 128;

/// See [`WriteStream`].
#[derive(Debug)]
pub(super) struct Writer {
    id: String,
    model: String,
    created: i64,
    wants_usage: bool,
    choices: Vec<Choice>,
    losses: Losses,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    is_over: bool,
    /// Where the next token begins, in characters.
    offset: u64,
}

impl Writer {
    pub fn new(shown: &ResponseContext<'_>) -> Self {
        Self {
            id: completion_id(shown.id),
            model: shown.model.as_str().to_owned(),
            created: shown.created.as_millis() / 1000,
            wants_usage: shown.request.wants_stream_usage,
            choices: Vec::new(),
            losses: Losses::default(),
        }
    }

    /// The state of a choice. `None`: it is one too many.
    fn choice(&mut self, index: u32) -> Option<usize> {
        if let Some(at) = self.choices.iter().position(|choice| choice.index == index) {
            return Some(at);
        }
        if self.choices.len() == MAX_CHOICES {
            self.losses.note("n");
            return None;
        }
        self.choices.push(Choice { index, ..Choice::default() });
        Some(self.choices.len() - 1)
    }

    fn event(&self, choices: &[TextChoice<'_>], usage: Option<&Usage>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        let completion = ShownCompletion {
            id: &self.id,
            object: "text_completion",
            created: self.created,
            model: &self.model,
            choices,
            usage: usage.map(ShownUsage::from),
        };
        serde_json::to_writer(&mut *out, &completion)
            .expect("texts and finite numbers are always JSON, and a vector takes any bytes");
        out.extend_from_slice(b"\n\n");
    }

    fn text(&mut self, index: u32, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() && self.choice(index).is_some() {
            self.event(&[piece(index, text)], None, out);
        }
    }

    fn logprobs(&mut self, index: u32, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        let Some(at) = self.choice(index) else { return };
        let shown = logprobs::write(tokens, &mut self.choices[at].offset);
        let piece = TextChoice { logprobs: Some(shown), ..piece(index, "") };
        self.event(&[piece], None, out);
    }

    fn stop(&mut self, index: u32, reason: &StopReason, out: &mut Vec<u8>) {
        let Some(at) = self.choice(index) else { return };
        // A server that goes on after the end of a choice is passed on so, but it ends once.
        if std::mem::replace(&mut self.choices[at].is_over, true) {
            return;
        }
        let (word, stop_text) = finish::write(reason, OutputKinds::default(), &mut self.losses);
        let last = TextChoice {
            finish_reason: Some(finish_word(word)),
            stop_reason: stop_text.as_deref(),
            ..piece(index, "")
        };
        self.event(&[last], None, out);
    }
}

fn piece(index: u32, text: &str) -> TextChoice<'_> {
    TextChoice {
        text: text.into(),
        index: index as usize,
        logprobs: None,
        finish_reason: None,
        stop_reason: None,
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Begin { model: Some(model), .. } => self.model = model.into_owned(),
            Delta::Text { choice, text } => self.text(choice, &text, out),
            Delta::Logprobs { choice, tokens } => self.logprobs(choice, &tokens, out),
            Delta::Stop { choice, reason } => self.stop(choice, &reason, out),
            Delta::Reasoning { .. } | Delta::ReasoningSignature { .. } => {
                self.losses.note("reasoning");
            }
            Delta::Refusal { .. } => self.losses.note("refusal"),
            Delta::CallBegin { .. } => self.losses.note("content.tool_call"),
            Delta::Citation { .. } => self.losses.note("citations"),
            Delta::Whole { part, .. } => note_content(&part.content, &mut self.losses),
            Delta::Tier(tier) => tier::note_lost(Some(&tier), &mut self.losses),
            Delta::Begin { .. }
            | Delta::ReasoningBegin { .. }
            | Delta::CallInput { .. }
            | Delta::Break { .. }
            | Delta::Usage(_) => (),
        }
    }

    fn finish(&mut self, usage: Usage, out: &mut Vec<u8>) {
        let open: Vec<u32> = self
            .choices
            .iter()
            .filter(|choice| !choice.is_over)
            .map(|choice| choice.index)
            .collect();
        for index in open {
            self.stop(index, &StopReason::Finished, out);
        }
        if self.choices.is_empty() {
            self.stop(0, &StopReason::Finished, out);
        }
        if self.wants_usage {
            self.event(&[], Some(&usage), out);
        }
        out.extend_from_slice(DONE_EVENT);
    }

    fn fail(&mut self, error: &ErrorView<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(error));
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
