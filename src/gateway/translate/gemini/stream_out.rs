//! A stream, written for a client: each chunk is a whole response that holds the next part.
//!
//! A chat session of the SDKs takes a chunk without a part, and before their version 2 one with an empty
//! text, for a broken answer, and forgets the turn. So the last chunk, which has the reason why the
//! answer ends, must say something too: the last character of a text, or the last part of another
//! kind, waits for what follows it.
//!
//! Source: `send_message_stream` in <https://github.com/googleapis/python-genai> `chats.py`, versions
//! 1 and 3 (read 2026-11).

use std::collections::BTreeMap;

use super::{
    citations_out::{self, OriginalMetadata},
    error, logprobs, parts_out, stops, usage,
};
use crate::{
    domain::chat::{Content, Delta, Dialect, Json, Losses, ReasoningSignature, ToolCall, Usage},
    gateway::{
        dialect::gemini::{WrittenAnswer, WrittenCandidate, WrittenContent, WrittenPart},
        translate::{ErrorView, ResponseContext, WriteStream, tier},
    },
};

mod choice;

use choice::{ChoiceState, Held};

/// Most answers of one request that are told apart.
const MAX_CHOICES: usize = 128;

/// How the chunks stand in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As server-sent events.
    Events,
    /// As the elements of one JSON list.
    List,
}

impl Form {
    fn begin(self, is_first: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(match self {
            Self::Events => b"data: ",
            Self::List if is_first => b"[",
            Self::List => b",\r\n",
        });
    }

    fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self {
            Self::Events => b"\n\n",
            Self::List => b"\n",
        });
    }

    fn close(self, out: &mut Vec<u8>) {
        if self == Self::List {
            out.push(b']');
        }
    }
}

/// The bytes of a stream that is an error and nothing else.
pub(super) fn error_alone(form: Form, error: &ErrorView<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_error(form, true, error, &mut out);
    out
}

fn write_error(form: Form, is_first: bool, error: &ErrorView<'_>, out: &mut Vec<u8>) {
    form.begin(is_first, out);
    error::write(error, out);
    form.end(out);
    form.close(out);
}

pub(super) struct Writer {
    form: Form,
    /// Makes the ids of calls that have none.
    call_id: String,
    response_id: String,
    model: String,
    has_written: bool,
    /// Where pieces of text are put together.
    piece: String,
    choices: BTreeMap<u32, ChoiceState>,
    losses: Losses,
}

impl Writer {
    pub fn new(form: Form, shown: &ResponseContext<'_>) -> Self {
        Self {
            form,
            call_id: shown.id.to_owned(),
            response_id: shown.id.to_owned(),
            model: shown.model.as_str().to_owned(),
            has_written: false,
            piece: String::new(),
            choices: BTreeMap::new(),
            losses: Losses::default(),
        }
    }

    /// The state of a choice. `None`, and a loss, past the bound.
    fn choice(&mut self, choice: u32) -> Option<&mut ChoiceState> {
        if !self.choices.contains_key(&choice) && self.choices.len() == MAX_CHOICES {
            self.losses.note("n");
            return None;
        }
        Some(self.choices.entry(choice).or_default())
    }

    /// Says a piece of a text, all but its last character.
    fn say(&mut self, choice: u32, text: &str, is_thought: bool, out: &mut Vec<u8>) {
        let Some((at, last)) = text.char_indices().next_back() else { return };
        self.write_calls(choice, false, out);
        let Some(state) = self.choice(choice) else { return };
        if !is_thought {
            state.text.add(text);
        }
        let now = &text[..at];
        match state.held.replace(Held::Text { last, is_thought }) {
            Some(Held::Text { last: before, is_thought: was_thought })
                if was_thought == is_thought =>
            {
                let mut piece = std::mem::take(&mut self.piece);
                piece.clear();
                piece.push(before);
                piece.push_str(now);
                self.write_text(choice, &piece, is_thought, out);
                self.piece = piece;
            }
            before => {
                if let Some(before) = before {
                    self.write_held(choice, &before, out);
                }
                if !now.is_empty() {
                    self.write_text(choice, now, is_thought, out);
                }
            }
        }
    }

    fn write_text(&mut self, choice: u32, text: &str, is_thought: bool, out: &mut Vec<u8>) {
        let part =
            if is_thought { parts_out::thought(text, None) } else { WrittenPart::text(text) };
        self.write_part(choice, part, out);
    }

    fn write_held(&mut self, choice: u32, held: &Held, out: &mut Vec<u8>) {
        self.write_part(choice, held.part(), out);
    }

    /// Lets a whole part wait in the place of the one before it.
    fn hold(&mut self, choice: u32, part: &WrittenPart<'_>, out: &mut Vec<u8>) {
        let json = serde_json::to_string(part).expect("texts and parsed JSON are always JSON");
        let json = Json::parse(json).expect("it was just written");
        let Some(state) = self.choice(choice) else { return };
        state.text.end_part();
        if let Some(before) = state.held.replace(Held::Part(json)) {
            self.write_held(choice, &before, out);
        }
    }

    /// A signature goes with the last of the thoughts it completes, where they are still held.
    fn sign(
        &mut self,
        choice: u32,
        signature: &ReasoningSignature,
        is_redacted: bool,
        out: &mut Vec<u8>,
    ) {
        let Some(state) = self.choice(choice) else { return };
        match state.held.take() {
            Some(Held::Text { last, is_thought: true }) if !is_redacted => {
                let signature = Some(super::signatures::to_client(signature));
                self.hold(choice, &parts_out::thought(last.to_string(), signature), out);
            }
            held => {
                state.held = held;
                let is_thought = !is_redacted && signature.by != Dialect::Gemini;
                self.hold(choice, &parts_out::signature_part(signature, is_thought), out);
            }
        }
    }

    /// Writes calls that were gathered: all, or those whose input is complete.
    fn write_calls(&mut self, choice: u32, all: bool, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(&choice) else { return };
        for (number, call) in state.take_calls(all) {
            let content = Content::ToolCall(call);
            let part = parts_out::write(&content, &self.call_id, number, &mut self.losses);
            if let Some(part) = part {
                self.hold(choice, &part, out);
            }
        }
    }

    fn gather(&mut self, choice: u32, number: u32, text: &str) {
        let call = self.choices.get_mut(&choice).and_then(|state| state.growing_call(number));
        if let Some(call) = call {
            call.input.push_str(text);
        }
    }

    fn write_part(&mut self, choice: u32, part: WrittenPart<'_>, out: &mut Vec<u8>) {
        let tokens = self.choices.get_mut(&choice).map(|state| std::mem::take(&mut state.logprobs));
        let tokens = tokens.unwrap_or_default();
        let candidate = WrittenCandidate {
            content: Some(WrittenContent { role: Some("model"), parts: vec![part] }),
            index: choice,
            logprobs_result: (!tokens.is_empty()).then(|| logprobs::write(&tokens)),
            ..WrittenCandidate::default()
        };
        self.write_chunk(vec![candidate], None, out);
    }

    fn write_chunk(
        &mut self,
        candidates: Vec<WrittenCandidate<'_>>,
        usage: Option<Usage>,
        out: &mut Vec<u8>,
    ) {
        let chunk = WrittenAnswer {
            candidates,
            usage_metadata: usage.as_ref().map(usage::write),
            model_version: &self.model,
            response_id: &self.response_id,
        };
        self.form.begin(!self.has_written, out);
        self.has_written = true;
        let begin = out.len();
        serde_json::to_writer(&mut *out, &chunk)
            .expect("texts are always JSON, and a vector takes any bytes");
        // Within JSON that is carried as it came, a line may end between two tokens; within an event
        // none may.
        for byte in out[begin..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        self.form.end(out);
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Begin { id, model } => {
                if let Some(id) = id.filter(|id| !id.is_empty()) {
                    self.response_id = id.into_owned();
                }
                if let Some(model) = model.filter(|model| !model.is_empty()) {
                    self.model = model.into_owned();
                }
            }
            Delta::Tier(tier) => tier::note_lost(Some(&tier), &mut self.losses),
            Delta::Text { choice, text } => self.say(choice, &text, false, out),
            Delta::Reasoning { choice, text, .. } => self.say(choice, &text, true, out),
            Delta::ReasoningSignature { choice, signature, is_redacted } => {
                self.sign(choice, &signature, is_redacted, out);
            }
            Delta::Refusal { choice, text } => {
                self.losses.note("refusal");
                self.say(choice, &text, false, out);
            }
            Delta::CallBegin { choice, number, id, name, kind, signature } => {
                let Some(state) = self.choice(choice) else { return };
                let (id, name) = (id.into_owned(), name.into_owned());
                let call = ToolCall { id, name, kind, input: String::new(), signature };
                state.begin_call(number, call);
            }
            Delta::CallInput { choice, number, text } => self.gather(choice, number, &text),
            Delta::Citation { choice, citation } => {
                let is_kept = self.choice(choice).is_some_and(|state| state.cite(*citation));
                self.losses.note_if(!is_kept, "citations");
            }
            Delta::Whole { choice, part } => {
                self.write_calls(choice, false, out);
                let written = parts_out::write(&part.content, &self.call_id, 0, &mut self.losses);
                if let Some(written) = written {
                    self.hold(choice, &written, out);
                }
            }
            Delta::Logprobs { choice, tokens } => {
                if let Some(state) = self.choice(choice) {
                    state.logprobs.extend(tokens);
                }
            }
            Delta::Break { choice } => {
                if let Some(state) = self.choices.get_mut(&choice) {
                    state.text.end_part();
                }
            }
            Delta::Stop { choice, reason } => {
                if let Some(state) = self.choices.get_mut(&choice) {
                    self.losses.note_if(state.drop_cut_calls(&reason), "tool_calls");
                }
                self.write_calls(choice, true, out);
                if let Some(state) = self.choice(choice) {
                    state.stop = reason;
                }
            }
            // There are no ids of thoughts here, and usage is told once, at the end.
            Delta::ReasoningBegin { .. } | Delta::Usage(_) => (),
        }
    }

    fn finish(&mut self, usage: Usage, out: &mut Vec<u8>) {
        if self.choices.is_empty() {
            self.choices.insert(0, ChoiceState::default());
        }
        let choices: Vec<u32> = self.choices.keys().copied().collect();
        for choice in choices {
            self.write_calls(choice, true, out);
        }
        let choices = std::mem::take(&mut self.choices);
        let own: Vec<OriginalMetadata> =
            choices.values().map(|state| OriginalMetadata::of(&state.cited)).collect();
        let losses = &mut self.losses;
        let candidates = choices.iter().zip(&own).map(|((index, state), own)| {
            let parts = state.held.iter().map(Held::part).collect();
            let mut candidate = WrittenCandidate {
                content: Some(WrittenContent { role: Some("model"), parts }),
                finish_reason: Some(stops::write(&state.stop, losses)),
                index: *index,
                logprobs_result: (!state.logprobs.is_empty())
                    .then(|| logprobs::write(&state.logprobs)),
                ..WrittenCandidate::default()
            };
            citations_out::write(&state.cited, own, &mut candidate, losses);
            candidate
        });
        let candidates = candidates.collect();
        self.write_chunk(candidates, Some(usage), out);
        self.form.close(out);
    }

    fn adopt(&mut self, _: &[u8]) -> bool {
        self.has_written = true;
        true
    }

    fn adopted(&mut self, _: u64) {
        // What passed as it came waited for nothing.
        self.choices.values_mut().for_each(|state| state.held = None);
    }

    fn fail(&mut self, error: &ErrorView<'_>, out: &mut Vec<u8>) {
        for (choice, state) in std::mem::take(&mut self.choices) {
            if let Some(held) = state.held {
                self.write_held(choice, &held, out);
            }
        }
        write_error(self.form, !self.has_written, error, out);
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
