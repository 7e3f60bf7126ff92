//! A stream for a client.
//!
//! Text and thoughts go out as they come. A call goes out whole, as the server sends it, so that it is
//! held until something else begins.

use super::{
    OllamaApi,
    answer_out::{end_of, picture, write_call, write_logprobs},
    error,
    lines::{Lines, Says},
};
use crate::{
    domain::chat::{Content, Delta, Losses, Part, StopReason, ToolCall, Usage},
    gateway::translate::{ErrorView, ResponseContext, WriteStream, tier},
};

pub(super) struct Writer {
    api: OllamaApi,
    lines: Lines,
    id: String,
    calls: HeldCalls,
    thoughts: Thoughts,
    stop: StopReason,
    losses: Losses,
}

/// Calls that are growing, by their number.
#[derive(Default)]
struct HeldCalls {
    growing: Vec<(u32, ToolCall)>,
    /// How many have been sent.
    sent: usize,
}

/// Where the thoughts are: those of several parts are put apart by an empty line, as in a whole answer.
#[derive(Default, PartialEq)]
enum Thoughts {
    #[default]
    None,
    Growing,
    Complete,
}

impl Writer {
    pub fn new(api: OllamaApi, shown: &ResponseContext<'_>) -> Self {
        Self {
            api,
            lines: Lines::new(api, shown.model.as_str(), shown.created),
            id: shown.id.to_owned(),
            calls: HeldCalls::default(),
            thoughts: Thoughts::None,
            stop: StopReason::Finished,
            losses: Losses::default(),
        }
    }

    fn say(&self, says: &Says<'_>, out: &mut Vec<u8>) {
        self.lines.add(says, None, out);
    }

    fn say_text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.begin_other(out);
        self.complete_thoughts();
        if !text.is_empty() {
            self.say(&Says { text, ..Says::default() }, out);
        }
    }

    fn think(&mut self, text: &str, out: &mut Vec<u8>) {
        self.begin_other(out);
        if text.is_empty() {
            return;
        }
        if self.thoughts == Thoughts::Complete {
            self.say(&Says { thinking: "\n\n", ..Says::default() }, out);
        }
        self.thoughts = Thoughts::Growing;
        self.say(&Says { thinking: text, ..Says::default() }, out);
    }

    fn complete_thoughts(&mut self) {
        if self.thoughts == Thoughts::Growing {
            self.thoughts = Thoughts::Complete;
        }
    }

    fn begin_call(&mut self, number: u32, call: ToolCall) {
        self.complete_thoughts();
        self.calls.growing.push((number, call));
    }

    fn grow_call(&mut self, number: u32, text: &str) {
        let mut growing = self.calls.growing.iter_mut().rev();
        if let Some((_, call)) = growing.find(|(growing, _)| *growing == number) {
            call.input.push_str(text);
        }
    }

    /// Something that is no call begins: those that were growing are complete.
    fn begin_other(&mut self, out: &mut Vec<u8>) {
        if self.calls.growing.is_empty() {
            return;
        }
        let complete = std::mem::take(&mut self.calls.growing);
        let mut calls = Vec::with_capacity(complete.len());
        for (_, call) in &complete {
            calls.push(write_call(call, self.calls.sent, &self.id, &mut self.losses));
            self.calls.sent += 1;
        }
        self.say(&Says { calls: &calls, ..Says::default() }, out);
    }

    fn show(&mut self, part: &Part, out: &mut Vec<u8>) {
        self.begin_other(out);
        self.complete_thoughts();
        match &part.content {
            Content::Text { text, citations } => {
                self.losses.note_if(!citations.is_empty(), "citations");
                self.say_text(text, out);
            }
            other => {
                if let Some(base64) = picture(other, self.api, &mut self.losses) {
                    self.say(&Says { images: &[base64], ..Says::default() }, out);
                }
            }
        }
    }

    fn write_first_choice(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Begin { model, .. } => {
                if let Some(model) = model.filter(|model| !model.is_empty()) {
                    self.lines.set_model(&model);
                }
            }
            Delta::Text { text, .. } => self.say_text(&text, out),
            Delta::Refusal { text, .. } => {
                self.losses.note("refusal");
                self.say_text(&text, out);
            }
            Delta::Reasoning { text, .. } => self.think(&text, out),
            Delta::ReasoningSignature { is_redacted, .. } => {
                self.losses.note("reasoning.signature");
                self.losses.note_if(is_redacted, "reasoning");
                self.complete_thoughts();
            }
            Delta::CallBegin { number, id, name, kind, signature, .. } => {
                let (id, name) = (id.into_owned(), name.into_owned());
                self.begin_call(
                    number,
                    ToolCall { id, name, kind, input: String::new(), signature },
                );
            }
            Delta::CallInput { number, text, .. } => self.grow_call(number, &text),
            Delta::Citation { .. } => self.losses.note("citations"),
            Delta::Whole { part, .. } => self.show(&part, out),
            Delta::Logprobs { tokens, .. } => {
                let logprobs = write_logprobs(&tokens);
                self.say(&Says { logprobs: &logprobs, ..Says::default() }, out);
            }
            Delta::Break { .. } => self.complete_thoughts(),
            Delta::Stop { reason, .. } => {
                self.calls.growing.retain(|(_, call)| {
                    let is_whole = reason.completes(call);
                    self.losses.note_if(!is_whole, "tool_calls");
                    is_whole
                });
                self.begin_other(out);
                self.stop = reason;
            }
            Delta::Tier(tier) => tier::note_lost(Some(&tier), &mut self.losses),
            Delta::ReasoningBegin { .. } | Delta::Usage(_) => (),
        }
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        if delta.choice() == 0 {
            self.write_first_choice(delta, out);
        } else {
            self.losses.note("n");
        }
    }

    fn finish(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.begin_other(out);
        let end = end_of(&self.stop, usage, &mut self.losses);
        self.lines.add(&Says::default(), Some(end), out);
    }

    fn adopt(&mut self, _: &[u8]) -> bool {
        true
    }

    fn fail(&mut self, error: &ErrorView<'_>, out: &mut Vec<u8>) {
        out.extend(error::event(error));
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
