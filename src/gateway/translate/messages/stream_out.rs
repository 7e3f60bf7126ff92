//! Deltas become the events of a client's stream.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    super::{ErrorView, ResponseContext, WriteStream, input_scan::InputScan, tier},
    answer_out::{call_id, name_of_lost, own_block, wire_signature},
    citations, stop,
};
use crate::{
    domain::chat::{
        CallKind, Citation, Delta, Json, Losses, Part, ReasoningSignature, StopReason, Usage,
    },
    gateway::dialect::messages::{
        Block, BlockDelta, Event, MessageDelta, ShownEvent, Text, WireBlock, WireMessage,
        WireUsage, error_event, write_event,
    },
};

/// Writes one block at a time, as this dialect's streams do.
#[derive(Debug)]
pub(super) struct StreamWriter {
    id: String,
    model: String,
    has_begun: bool,
    /// The number of the next block.
    next: u32,
    open: Option<Open>,
    has_calls: bool,
    has_refusal: bool,
    stop: Option<StopReason>,
    /// The tier of service, in this dialect's word.
    tier: Option<&'static str>,
    /// What was told up to now.
    usage: Usage,
    losses: Losses,
}

#[derive(Debug)]
enum Open {
    Text,
    Thinking,
    Call { number: u32, kind: CallKind, scan: InputScan },
}

#[derive(Debug)]
struct Call {
    number: u32,
    id: String,
    name: String,
    kind: CallKind,
    signature: Option<ReasoningSignature>,
}

impl WriteStream for StreamWriter {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Begin { model, .. } => {
                if let Some(model) = model.filter(|model| !model.is_empty()) {
                    self.model = model.into_owned();
                }
            }
            Delta::Usage(usage) => self.usage = usage,
            Delta::Tier(tier) => self.tier(&tier),
            // There are no ids of thoughts in this dialect.
            Delta::ReasoningBegin { choice: 0, .. } => {
                if matches!(self.open, Some(Open::Thinking)) {
                    self.close(out);
                }
            }
            Delta::Text { choice: 0, text } => self.text(&text, out),
            Delta::Refusal { choice: 0, text } => {
                self.has_refusal = true;
                self.text(&text, out);
            }
            Delta::Reasoning { choice: 0, text, .. } => self.thought(&text, out),
            Delta::ReasoningSignature { choice: 0, signature, is_redacted } => {
                self.sign(&signature, is_redacted, out);
            }
            Delta::CallBegin { choice: 0, number, id, name, kind, signature } => {
                let (id, name) = (id.into_owned(), name.into_owned());
                self.call(&Call { number, id, name, kind, signature }, out);
            }
            Delta::CallInput { choice: 0, number, text } => self.input(number, &text, out),
            Delta::Citation { choice: 0, citation } => self.citation(&citation, out),
            Delta::Whole { choice: 0, part } => self.whole(&part, out),
            Delta::Break { choice: 0 } => {
                if matches!(self.open, Some(Open::Text | Open::Thinking)) {
                    self.close(out);
                }
            }
            Delta::Stop { choice: 0, reason } => self.stop = Some(reason),
            Delta::Logprobs { .. } => self.losses.note("logprobs"),
            // There is one choice in this dialect.
            _ => self.losses.note("n"),
        }
    }

    fn finish(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.usage = usage;
        self.begin(out);
        self.close(out);
        let reason = self.stop.take().unwrap_or_default();
        let delta = stop::write(&reason, self.has_calls, self.has_refusal, &mut self.losses);
        let usage = WireUsage::new(&self.usage, None);
        write_event(&ShownEvent::MessageDelta { delta, usage }, out);
        write_event(&ShownEvent::MessageStop, out);
    }

    fn adopt(&mut self, data: &[u8]) -> bool {
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { return false };
        self.has_begun = true;
        let index = event.index.and_then(|raw| raw.get().parse::<u32>().ok());
        match event.kind.as_ref().map(|kind| &*kind.0) {
            Some("content_block_start") => {
                self.next = index.unwrap_or(self.next);
                let kind = event.content_block.and_then(kind_of);
                self.open = match kind.as_deref() {
                    Some("text") => Some(Open::Text),
                    Some("thinking") => Some(Open::Thinking),
                    _ => return false,
                };
            }
            Some("content_block_delta") => self.next = index.unwrap_or(self.next),
            Some("content_block_stop") => {
                self.open = None;
                self.next = index.map_or(self.next, |index| index.saturating_add(1));
            }
            _ => {}
        }
        true
    }

    fn fail(&mut self, error: &ErrorView<'_>, out: &mut Vec<u8>) {
        error_event(error.status, error.message, out);
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl StreamWriter {
    pub fn new(shown: &ResponseContext<'_>) -> Self {
        Self {
            id: shown.id.to_owned(),
            model: shown.model.as_str().to_owned(),
            has_begun: false,
            next: 0,
            open: None,
            has_calls: false,
            has_refusal: false,
            stop: None,
            tier: None,
            usage: Usage::default(),
            losses: Losses::default(),
        }
    }

    /// The message begins with its first content, so that what is known of it by then can be told.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.has_begun {
            return;
        }
        self.has_begun = true;
        let message = WireMessage {
            id: &format!("msg_{}", self.id),
            kind: "message",
            role: "assistant",
            model: &self.model,
            content: Vec::new(),
            end: MessageDelta::default(),
            usage: WireUsage::new(&self.usage, self.tier),
        };
        write_event(&ShownEvent::MessageStart { message }, out);
    }

    /// There is room for it where the message begins.
    fn tier(&mut self, tier: &str) {
        if self.has_begun {
            tier::note_lost(Some(tier), &mut self.losses);
        } else {
            self.tier = tier::for_anthropic(tier, &mut self.losses);
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open, Some(Open::Text)) {
            self.close(out);
            self.start(empty_text(), out);
            self.open = Some(Open::Text);
        }
        self.grow(BlockDelta::Text { text }, out);
    }

    fn thought(&mut self, thinking: &str, out: &mut Vec<u8>) {
        if thinking.is_empty() {
            return;
        }
        if !matches!(self.open, Some(Open::Thinking)) {
            self.start_thinking(out);
        }
        self.grow(BlockDelta::Thinking { thinking }, out);
    }

    fn start_thinking(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        self.start(Block::Thinking { thinking: "", signature: Cow::Borrowed("") }, out);
        self.open = Some(Open::Thinking);
    }

    /// A signature completes the block; one without thoughts before it stands in a block of its own.
    fn sign(&mut self, signature: &ReasoningSignature, is_redacted: bool, out: &mut Vec<u8>) {
        if is_redacted {
            self.close(out);
            self.start(Block::RedactedThinking { data: wire_signature(signature) }, out);
            self.stop_block(out);
            return;
        }
        if !matches!(self.open, Some(Open::Thinking)) {
            self.start_thinking(out);
        }
        self.grow(BlockDelta::Signature { signature: wire_signature(signature) }, out);
        self.open = None;
        self.stop_block(out);
    }

    fn call(&mut self, call: &Call, out: &mut Vec<u8>) {
        self.has_calls = true;
        // Its text becomes a field of an object.
        let is_custom = call.kind == CallKind::Custom;
        self.losses.note_if(is_custom, "tools.custom");
        self.losses.note_if(is_custom, "tool_call.input");
        self.close(out);
        if let Some(signature) = &call.signature {
            self.start_thinking(out);
            self.sign(signature, false, out);
        }
        let id = call_id(&call.id, &self.id, call.number).into_owned();
        let input = Json::parse("{}").expect("it is an object");
        let block = Block::ToolUse { id: id.into(), name: &call.name, input, cache_control: None };
        self.start(block, out);
        let Call { number, kind, .. } = *call;
        self.open = Some(Open::Call { number, kind, scan: InputScan::default() });
        if kind == CallKind::Custom {
            self.grow(BlockDelta::InputJson { partial_json: r#"{"input":""# }, out);
        }
    }

    fn input(&mut self, number: u32, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if let Some(Open::Call { number: open, kind, .. }) = self.open
            && open == number
        {
            self.add_input(kind, text, out);
        }
    }

    /// Free text is put into the object that it has to be, piece by piece.
    fn add_input(&mut self, kind: CallKind, text: &str, out: &mut Vec<u8>) {
        if kind == CallKind::Custom {
            let quoted = serde_json::to_string(text).expect("texts are always JSON");
            let partial_json = &quoted[1..quoted.len() - 1];
            self.grow(BlockDelta::InputJson { partial_json }, out);
            return;
        }
        if let Some(Open::Call { scan, .. }) = &mut self.open {
            scan.add(text);
        }
        self.grow(BlockDelta::InputJson { partial_json: text }, out);
    }

    fn citation(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        self.losses.note_if(citations::loses_place(citation), "citations.place");
        match citations::for_client(citation) {
            Some(citation) if matches!(self.open, Some(Open::Text)) => {
                self.grow(BlockDelta::Citations { citation }, out);
            }
            _ => self.losses.note("citations"),
        }
    }

    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        let Some(json) = own_block(part) else {
            self.losses.note(name_of_lost(&part.content));
            return;
        };
        self.close(out);
        self.start_block(WireBlock::Opaque(json), out);
        self.stop_block(out);
    }

    fn start(&mut self, block: Block<'_>, out: &mut Vec<u8>) {
        self.start_block(WireBlock::Known(block), out);
    }

    fn start_block(&mut self, content_block: WireBlock<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        write_event(&ShownEvent::ContentBlockStart { index: self.next, content_block }, out);
    }

    fn grow(&self, delta: BlockDelta<'_>, out: &mut Vec<u8>) {
        write_event(&ShownEvent::ContentBlockDelta { index: self.next, delta }, out);
    }

    fn stop_block(&mut self, out: &mut Vec<u8>) {
        write_event(&ShownEvent::ContentBlockStop { index: self.next }, out);
        self.next = self.next.saturating_add(1);
    }

    /// Completes the block that is open, if one is.
    fn close(&mut self, out: &mut Vec<u8>) {
        match self.open.take() {
            None => return,
            // Some clients keep only thoughts that have a signature, be it an empty one.
            Some(Open::Thinking) => {
                self.grow(BlockDelta::Signature { signature: Cow::Borrowed("") }, out);
            }
            Some(Open::Call { kind: CallKind::Custom, .. }) => {
                self.grow(BlockDelta::InputJson { partial_json: r#""}"# }, out);
            }
            Some(Open::Call { kind: CallKind::Function, scan, .. }) => {
                self.losses.note_if(!scan.is_object(), "tool_call.input");
            }
            Some(Open::Text) => {}
        }
        self.stop_block(out);
    }
}

/// The kind of a block that begins.
fn kind_of(block: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Begun<'a> {
        #[serde(rename = "type", borrow)]
        kind: Text<'a>,
    }
    serde_json::from_str::<Begun<'_>>(block.get()).ok().map(|begun| begun.kind.0)
}

fn empty_text() -> Block<'static> {
    Block::Text { text: Cow::Borrowed(""), citations: Vec::new(), cache_control: None }
}
