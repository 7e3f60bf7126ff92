//! A stream as a client gets it.
//!
//! Each choice begins with a chunk that names its role and ends with one that gives its finish
//! reason; then comes the usage, where the client has asked for it, and `[DONE]`.

use std::borrow::Cow;

use super::{
    answer_out::{annotation, answer_id, call_id, function_begin, image, shows_thoughts},
    details, error,
    finish::{self, Said},
    parts_out::{BETWEEN_TEXTS, note},
};
use crate::{
    domain::chat::{
        CallKind, Citation, Content, Delta, Dialect, Losses, Part, Reasoning, Seal, StopReason,
        TokenLogprob, Usage,
    },
    gateway::{
        dialect::openai_chat::{
            DONE_EVENT, ShownUsage,
            wire::{
                sent::{CallOut, CustomOut, ExtraOut, FunctionOut},
                shown::{ChunkChoice, ChunkDelta, ShownLogprobs},
            },
        },
        translate::{ErrorView, Shown, WriteStream},
    },
};

/// Most choices of one stream that are written.
const MAX_CHOICES: usize = 128;

/// See [`WriteStream`].
#[derive(Debug)]
pub(super) struct Writer {
    chunks: Chunks,
    id: String,
    shows_thoughts: bool,
    wants_function_call: bool,
    choices: Vec<Choice>,
    losses: Losses,
}

/// What all chunks have in common.
#[derive(Debug)]
struct Chunks {
    /// From `data:` to the opening of the list of choices.
    head: Vec<u8>,
    wants_usage: bool,
    created: i64,
    id: String,
}

impl Chunks {
    fn name_model(&mut self, model: &str) {
        self.head.clear();
        self.head.extend_from_slice(b"data: {\"id\":");
        append_json(&mut self.head, &self.id);
        self.head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        append_json(&mut self.head, &self.created);
        self.head.extend_from_slice(b",\"model\":");
        append_json(&mut self.head, model);
        self.head.extend_from_slice(b",\"choices\":[");
    }

    fn write(&self, choice: &ChunkChoice<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        append_json(out, choice);
        // Whoever asks for usage gets it in each chunk, as `null` in all but the last.
        out.extend_from_slice(if self.wants_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" });
    }

    fn write_delta(&self, index: u32, delta: ChunkDelta<'_>, out: &mut Vec<u8>) {
        let choice =
            ChunkChoice { index, delta, logprobs: None, finish_reason: None, stop_reason: None };
        self.write(&choice, out);
    }

    fn write_usage(&self, usage: &Usage, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"],\"usage\":");
        append_json(out, &ShownUsage::from(usage));
        out.extend_from_slice(b"}\n\n");
    }
}

fn append_json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value)
        .expect("texts and finite numbers are always JSON, and a vector takes any bytes");
}

/// What grows at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Growing {
    #[default]
    Nothing,
    Text,
    Thought {
        is_summary: bool,
    },
    Other,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    has_begun: bool,
    is_over: bool,
    has_refusal: bool,
    growing: Growing,
    /// How many characters of text were written, and with how many of them the part began.
    written: u64,
    part_begin: u64,
    annotations: u32,
    images: u32,
    has_thoughts: bool,
    /// Thoughts whose entries were not written: none of them is sealed.
    unsealed: Vec<Reasoning>,
    /// How many entries were written.
    entries: u64,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    number: u32,
    kind: CallKind,
    has_input: bool,
    /// Whether the client has been told of it.
    is_shown: bool,
}

impl Writer {
    pub fn new(shown: &Shown<'_>) -> Self {
        let mut chunks = Chunks {
            head: Vec::new(),
            wants_usage: shown.request.wants_stream_usage,
            created: shown.created.as_millis() / 1000,
            id: answer_id(shown.id),
        };
        chunks.name_model(shown.model.as_str());
        Self {
            chunks,
            id: shown.id.to_owned(),
            shows_thoughts: shows_thoughts(shown.request),
            wants_function_call: shown.request.wants_function_call,
            choices: Vec::new(),
            losses: Losses::default(),
        }
    }

    /// The state of a choice. `None`: it is over, or one too many.
    fn choice(&mut self, index: u32) -> Option<usize> {
        if let Some(at) = self.choices.iter().position(|choice| choice.index == index) {
            return (!self.choices[at].is_over).then_some(at);
        }
        if self.choices.len() == MAX_CHOICES {
            self.losses.note("n");
            return None;
        }
        self.choices.push(Choice { index, ..Choice::default() });
        Some(self.choices.len() - 1)
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        let index = match &delta {
            Delta::Begin { model, .. } => {
                if let Some(model) = model {
                    self.chunks.name_model(model);
                }
                return;
            }
            Delta::Usage(_) => return,
            Delta::Text { choice, .. }
            | Delta::Reasoning { choice, .. }
            | Delta::ReasoningSeal { choice, .. }
            | Delta::Refusal { choice, .. }
            | Delta::CallBegin { choice, .. }
            | Delta::CallInput { choice, .. }
            | Delta::Citation { choice, .. }
            | Delta::Whole { choice, .. }
            | Delta::Logprobs { choice, .. }
            | Delta::Break { choice }
            | Delta::Stop { choice, .. } => *choice,
        };
        let Some(at) = self.choice(index) else { return };
        let Self { chunks, id, shows_thoughts, wants_function_call, choices, losses } = self;
        let (id, wants_function_call) = (&**id, *wants_function_call);
        let mut to = To { choice: &mut choices[at], chunks, losses, out };
        match delta {
            Delta::Text { text, .. } => to.text(&text),
            Delta::Reasoning { text, is_summary, .. } => {
                if *shows_thoughts {
                    to.thought(&text, is_summary);
                }
            }
            Delta::ReasoningSeal { seal, is_redacted, .. } => {
                if *shows_thoughts {
                    to.seal(seal, is_redacted);
                }
            }
            Delta::Refusal { text, .. } => to.refusal(&text),
            Delta::CallBegin { number, id: own, name, kind, seal, .. } => {
                if wants_function_call && kind == CallKind::Function {
                    to.function_begin(number, &name, seal.is_some());
                } else {
                    to.call_begin(number, kind, &own, id, &name, seal.as_ref());
                }
            }
            Delta::CallInput { number, text, .. } => {
                to.call_input(number, &text, wants_function_call);
            }
            Delta::Citation { citation, .. } => to.citation(&citation),
            Delta::Whole { part, .. } => to.whole(&part),
            Delta::Logprobs { tokens, .. } => to.logprobs(&tokens),
            Delta::Break { .. } => to.grow(Growing::Nothing),
            Delta::Stop { reason, .. } => to.stop(&reason, wants_function_call),
            Delta::Begin { .. } | Delta::Usage(_) => (),
        }
    }

    fn finish(&mut self, usage: Usage, out: &mut Vec<u8>) {
        if self.choices.is_empty() {
            self.choices.push(Choice::default());
        }
        for at in 0..self.choices.len() {
            let Self { chunks, choices, losses, wants_function_call, .. } = self;
            let choice = &mut choices[at];
            if !choice.is_over {
                let mut to = To { choice, chunks, losses, out };
                to.stop(&StopReason::Finished, *wants_function_call);
            }
        }
        if self.chunks.wants_usage {
            self.chunks.write_usage(&usage, out);
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

/// Where what one delta says is written to.
struct To<'w> {
    choice: &'w mut Choice,
    chunks: &'w Chunks,
    losses: &'w mut Losses,
    out: &'w mut Vec<u8>,
}

impl To<'_> {
    /// Begins the choice, where nothing has come of it.
    fn begin(&mut self, has_text: bool) {
        if !std::mem::replace(&mut self.choice.has_begun, true) {
            self.delta(ChunkDelta::Role { has_text });
        }
    }

    fn delta(&mut self, delta: ChunkDelta<'_>) {
        self.chunks.write_delta(self.choice.index, delta, self.out);
    }

    /// What comes now is of this kind: when it is another than before, a part has ended.
    fn grow(&mut self, growing: Growing) {
        if self.choice.growing != growing || growing == Growing::Nothing {
            self.choice.part_begin = self.choice.written;
            self.choice.growing = growing;
        }
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.begin(true);
        self.grow(Growing::Text);
        self.choice.written += text.chars().count() as u64;
        self.delta(ChunkDelta::Content(text));
    }

    fn thought(&mut self, text: &str, is_summary: bool) {
        if text.is_empty() {
            return;
        }
        self.begin(true);
        let growing = Growing::Thought { is_summary };
        if self.choice.growing != growing {
            let thought = Reasoning { is_summary, ..Reasoning::default() };
            self.choice.unsealed.push(thought);
            if std::mem::replace(&mut self.choice.has_thoughts, true) {
                self.delta(ChunkDelta::Reasoning(BETWEEN_TEXTS));
            }
        }
        self.grow(growing);
        if let Some(thought) = self.choice.unsealed.last_mut() {
            thought.text.push_str(text);
        }
        self.delta(ChunkDelta::Reasoning(text));
    }

    /// Writes the thought that is sealed, and those before it, as entries.
    fn seal(&mut self, seal: Seal, is_redacted: bool) {
        self.begin(true);
        match self.choice.unsealed.last_mut() {
            Some(thought) if !is_redacted => thought.seal = Some(seal),
            _ => self.choice.unsealed.push(Reasoning {
                seal: Some(seal),
                is_redacted,
                ..Reasoning::default()
            }),
        }
        self.entries();
        self.grow(Growing::Nothing);
    }

    fn entries(&mut self) {
        for thought in std::mem::take(&mut self.choice.unsealed) {
            let entries = details::write(&thought, self.choice.entries);
            self.choice.entries += entries.len() as u64;
            self.delta(ChunkDelta::Details(&entries));
        }
    }

    fn refusal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.begin(false);
        self.grow(Growing::Other);
        self.choice.has_refusal = true;
        self.delta(ChunkDelta::Refusal(text));
    }

    fn call_begin(
        &mut self,
        number: u32,
        kind: CallKind,
        own_id: &str,
        answer_id: &str,
        name: &str,
        seal: Option<&Seal>,
    ) {
        self.begin(false);
        self.grow(Growing::Other);
        let id = if own_id.is_empty() {
            call_id(answer_id, self.choice.index as usize, number as usize).into()
        } else {
            Cow::Borrowed(own_id)
        };
        let name = Some(name);
        let (word, function, custom) = match kind {
            CallKind::Function => ("function", Some(FunctionOut { name, arguments: "" }), None),
            CallKind::Custom => ("custom", None, Some(CustomOut { name, input: "" })),
        };
        self.choice.calls.push(Call { number, kind, has_input: false, is_shown: true });
        self.delta(ChunkDelta::Call(CallOut {
            index: Some(number),
            id: Some(id),
            kind: Some(word),
            function,
            custom,
            extra_content: seal.map(|seal| ExtraOut::signature(seal.to_wire(Dialect::Gemini))),
        }));
    }

    /// There is room for one, and for nothing that seals it.
    fn function_begin(&mut self, number: u32, name: &str, is_sealed: bool) {
        self.begin(false);
        self.grow(Growing::Other);
        let is_shown = self.choice.calls.is_empty();
        let kind = CallKind::Function;
        self.choice.calls.push(Call { number, kind, has_input: false, is_shown });
        self.losses.note_if(!is_shown, "parallel_tool_calls");
        self.losses.note_if(is_sealed, "reasoning.signature");
        if is_shown {
            self.delta(ChunkDelta::FunctionCall(function_begin(name)));
        }
    }

    fn call_input(&mut self, number: u32, text: &str, wants_function_call: bool) {
        let call = self.choice.calls.iter_mut().rev().find(|call| call.number == number);
        let Some(call) = call.filter(|call| call.is_shown && !text.is_empty()) else { return };
        call.has_input |= !text.trim().is_empty();
        let kind = call.kind;
        self.input(number, kind, text, wants_function_call);
    }

    fn input(&mut self, number: u32, kind: CallKind, text: &str, wants_function_call: bool) {
        let (function, custom) = match kind {
            CallKind::Function => (Some(FunctionOut { name: None, arguments: text }), None),
            CallKind::Custom => (None, Some(CustomOut { name: None, input: text })),
        };
        self.delta(match function {
            Some(function) if wants_function_call => ChunkDelta::FunctionCall(function),
            function => ChunkDelta::Call(CallOut {
                index: Some(number),
                id: None,
                kind: None,
                function,
                custom,
                extra_content: None,
            }),
        });
    }

    fn citation(&mut self, citation: &Citation) {
        let Choice { part_begin, written, annotations, .. } = *self.choice;
        match annotation(citation, part_begin, written, Some(annotations)) {
            Some(annotation) => {
                self.begin(true);
                self.choice.annotations += 1;
                self.delta(ChunkDelta::Annotation(annotation));
            }
            None => self.losses.note("citations"),
        }
    }

    fn whole(&mut self, part: &Part) {
        match &part.content {
            Content::Image { source, .. } => match image(source, self.choice.images) {
                Some(image) => {
                    self.begin(false);
                    self.grow(Growing::Other);
                    self.choice.images += 1;
                    self.delta(ChunkDelta::Image(image));
                }
                None => self.losses.note("image"),
            },
            other => note(other, self.losses),
        }
    }

    fn logprobs(&mut self, tokens: &[TokenLogprob]) {
        self.begin(true);
        let choice = ChunkChoice {
            index: self.choice.index,
            delta: ChunkDelta::Nothing,
            logprobs: Some(ShownLogprobs::from(tokens)),
            finish_reason: None,
            stop_reason: None,
        };
        self.chunks.write(&choice, self.out);
    }

    fn stop(&mut self, reason: &StopReason, wants_function_call: bool) {
        self.begin(true);
        self.choice.is_over = true;
        if self.choice.entries > 0 {
            self.entries();
        }
        // A function that is called with nothing: clients parse what they get.
        let calls = std::mem::take(&mut self.choice.calls);
        for call in &calls {
            if call.is_shown && !call.has_input && call.kind == CallKind::Function {
                self.input(call.number, call.kind, "{}", wants_function_call);
            }
        }
        let said = Said { calls: !calls.is_empty(), refusal: self.choice.has_refusal };
        let (word, stop_text) = finish::write(reason, said, self.losses);
        let is_legacy = wants_function_call && word == "tool_calls";
        let choice = ChunkChoice {
            index: self.choice.index,
            delta: ChunkDelta::Nothing,
            logprobs: None,
            finish_reason: Some(if is_legacy { "function_call" } else { word }),
            stop_reason: stop_text.as_deref(),
        };
        self.chunks.write(&choice, self.out);
    }
}
