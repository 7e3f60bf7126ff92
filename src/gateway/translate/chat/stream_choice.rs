//! One choice of a stream as a client gets it: what was said of it up to now, and what comes next.

use std::borrow::Cow;

use super::{
    answer_out::{annotation, call_id, function_begin, image},
    chunks_out::Chunks,
    details, finish,
    parts_out::{BETWEEN_TEXTS, note},
};
use crate::{
    domain::chat::{
        CallKind, Citation, Content, Dialect, Losses, Part, Reasoning, ReasoningSignature,
        StopReason, TokenLogprob,
    },
    gateway::{
        dialect::openai_chat::wire::{
            request_out::{CallOut, CustomOut, ExtraOut, FunctionOut},
            response_out::{ChunkChoice, ChunkDelta, ShownLogprobs, ThoughtFields},
        },
        translate::OutputKinds,
    },
};

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

/// What all choices of a stream have in common.
#[derive(Debug)]
pub(super) struct Sharing {
    pub chunks: Chunks,
    /// See [`ResponseContext::id`](crate::gateway::translate::Shown::id).
    pub id: String,
    pub wants_function_call: bool,
    pub thought_fields: ThoughtFields,
    /// See [`WriteStream::resumed`](crate::gateway::translate::WriteStream::resumed).
    pub is_resumed: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Fresh,
    Begun,
    Over,
}

/// What was said of a choice.
#[derive(Debug, Default)]
pub(super) struct Choice {
    index: u32,
    stage: Stage,
    has_refusal: bool,
    growing: Growing,
    /// How many characters of text were written, and with how many of them the part began.
    written: u64,
    part_begin: u64,
    annotations: u32,
    images: u32,
    has_thoughts: bool,
    /// The id of thoughts that have begun without words.
    thought_id: Option<String>,
    /// Thoughts whose entries were not written: none of them is signed.
    unsigned: Vec<Reasoning>,
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

impl Choice {
    pub fn new(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    pub fn index(&self) -> u32 {
        self.index
    }

    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Its role has been told.
    pub fn is_begun(&mut self) {
        self.stage = Stage::Begun;
    }
}

/// Where what one delta says is written to.
pub(super) struct To<'w> {
    pub choice: &'w mut Choice,
    pub sharing: &'w Sharing,
    pub losses: &'w mut Losses,
    pub out: &'w mut Vec<u8>,
}

impl To<'_> {
    /// Begins the choice, where nothing has come of it.
    fn begin(&mut self, has_text: bool) {
        if self.choice.stage == Stage::Fresh {
            self.choice.stage = Stage::Begun;
            self.delta(ChunkDelta::Role { has_text });
        }
    }

    fn delta(&mut self, delta: ChunkDelta<'_>) {
        self.sharing.chunks.write_delta(self.choice.index, delta, self.out);
    }

    /// What comes now is of this kind: when it is another than before, a part has ended.
    fn grow(&mut self, growing: Growing) {
        if self.choice.growing != growing || growing == Growing::Nothing {
            self.choice.part_begin = self.choice.written;
            self.choice.growing = growing;
        }
    }

    pub fn end_part(&mut self) {
        self.grow(Growing::Nothing);
    }

    pub fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.begin(true);
        self.grow(Growing::Text);
        self.choice.written += text.chars().count() as u64;
        self.delta(ChunkDelta::Content(text));
    }

    pub fn thought_begin(&mut self, id: String) {
        self.grow(Growing::Nothing);
        self.choice.thought_id = Some(id);
    }

    pub fn thought(&mut self, text: &str, is_summary: bool) {
        if text.is_empty() {
            return;
        }
        self.begin(true);
        let fields = self.sharing.thought_fields;
        let is_summary = match self.choice.growing {
            // A thought goes on as what it has begun.
            Growing::Thought { is_summary: was } if self.sharing.is_resumed => was,
            _ => is_summary,
        };
        let growing = Growing::Thought { is_summary };
        if self.choice.growing != growing {
            let id = self.choice.thought_id.take();
            self.choice.unsigned.push(Reasoning { is_summary, id, ..Reasoning::default() });
            if std::mem::replace(&mut self.choice.has_thoughts, true) {
                self.delta(ChunkDelta::Reasoning(BETWEEN_TEXTS, fields));
            }
        }
        self.grow(growing);
        if let Some(thought) = self.choice.unsigned.last_mut() {
            thought.text.push_str(text);
        }
        self.delta(ChunkDelta::Reasoning(text, fields));
    }

    /// Writes the thought that is signed, and those before it, as entries.
    pub fn sign(&mut self, signature: ReasoningSignature, is_redacted: bool) {
        self.begin(true);
        match self.choice.unsigned.last_mut() {
            Some(thought) if !is_redacted => thought.signature = Some(signature),
            _ => {
                let (signature, id) = (Some(signature), self.choice.thought_id.take());
                let thought = Reasoning { signature, is_redacted, id, ..Reasoning::default() };
                self.choice.unsigned.push(thought);
            }
        }
        self.entries();
        self.grow(Growing::Nothing);
    }

    fn entries(&mut self) {
        for thought in std::mem::take(&mut self.choice.unsigned) {
            let entries = details::write(&thought, self.choice.entries);
            self.choice.entries += entries.len() as u64;
            self.delta(ChunkDelta::Details(&entries));
        }
    }

    pub fn refusal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.begin(false);
        self.grow(Growing::Other);
        self.choice.has_refusal = true;
        self.delta(ChunkDelta::Refusal(text));
    }

    pub fn call_begin(
        &mut self,
        number: u32,
        kind: CallKind,
        id: &str,
        name: &str,
        signature: Option<&ReasoningSignature>,
    ) {
        self.begin(false);
        self.grow(Growing::Other);
        if self.is_legacy(kind) {
            self.function_begin(number, name, signature.is_some());
            return;
        }
        let id = if id.is_empty() {
            let choice = self.choice.index as usize;
            call_id(&self.sharing.id, choice, number as usize).into()
        } else {
            Cow::Borrowed(id)
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
            extra_content: signature
                .map(|signature| ExtraOut::signature(signature.to_wire(Dialect::Gemini))),
        }));
    }

    /// Whether the client knows calls only as they were before there were tools.
    fn is_legacy(&self, kind: CallKind) -> bool {
        self.sharing.wants_function_call && kind == CallKind::Function
    }

    /// There is room for one, and for nothing that signs it.
    fn function_begin(&mut self, number: u32, name: &str, is_signed: bool) {
        let is_shown = self.choice.calls.is_empty();
        let kind = CallKind::Function;
        self.choice.calls.push(Call { number, kind, has_input: false, is_shown });
        self.losses.note_if(!is_shown, "parallel_tool_calls");
        self.losses.note_if(is_signed, "reasoning.signature");
        if is_shown {
            self.delta(ChunkDelta::FunctionCall(function_begin(name)));
        }
    }

    pub fn call_input(&mut self, number: u32, text: &str) {
        let call = self.choice.calls.iter_mut().rev().find(|call| call.number == number);
        let Some(call) = call.filter(|call| call.is_shown && !text.is_empty()) else { return };
        call.has_input |= !text.trim().is_empty();
        let kind = call.kind;
        self.input(number, kind, text);
    }

    fn input(&mut self, number: u32, kind: CallKind, text: &str) {
        let (function, custom) = match kind {
            CallKind::Function => (Some(FunctionOut { name: None, arguments: text }), None),
            CallKind::Custom => (None, Some(CustomOut { name: None, input: text })),
        };
        self.delta(match function {
            Some(function) if self.is_legacy(kind) => ChunkDelta::FunctionCall(function),
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

    pub fn citation(&mut self, citation: &Citation) {
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

    pub fn whole(&mut self, part: &Part) {
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

    pub fn logprobs(&mut self, tokens: &[TokenLogprob]) {
        self.begin(true);
        let choice = ChunkChoice {
            index: self.choice.index,
            delta: ChunkDelta::Nothing,
            logprobs: Some(ShownLogprobs::from(tokens)),
            finish_reason: None,
            stop_reason: None,
        };
        self.sharing.chunks.write(&choice, self.out);
    }

    pub fn stop(&mut self, reason: &StopReason) {
        self.begin(true);
        self.choice.stage = Stage::Over;
        if self.choice.entries > 0 {
            self.entries();
        }
        // A function that is called with nothing: clients parse what they get.
        let calls = std::mem::take(&mut self.choice.calls);
        for call in &calls {
            if call.is_shown && !call.has_input && call.kind == CallKind::Function {
                self.input(call.number, call.kind, "{}");
            }
        }
        let said = OutputKinds { calls: !calls.is_empty(), refusal: self.choice.has_refusal };
        let (word, stop_text) = finish::write(reason, said, self.losses);
        let is_legacy = self.sharing.wants_function_call && word == "tool_calls";
        let choice = ChunkChoice {
            index: self.choice.index,
            delta: ChunkDelta::Nothing,
            logprobs: None,
            finish_reason: Some(if is_legacy { "function_call" } else { word }),
            stop_reason: stop_text.as_deref(),
        };
        self.sharing.chunks.write(&choice, self.out);
    }
}
