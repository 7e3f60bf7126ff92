//! The events of an upstream's stream become deltas.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    super::{EventOutcome, ReadStream, Unparsable, said_text::SaidText},
    answer_in::{read_counts, read_tier, text_of},
    citations,
    own_block::OwnBlock,
    stop,
};
use crate::{
    domain::chat::{CallKind, Citation, Delta, Dialect, Losses, ReasoningSignature, StopReason},
    gateway::{
        dialect::{
            messages::{Event, EventDelta, ReadBlock, Text, UsageCounts},
            openai_chat::ErrorObject,
            unread::{self, Unread},
        },
        failure::classify,
    },
};

/// Most citations of one block that are kept until it is complete.
const MAX_CITATIONS: usize = 1_024;

type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

/// Blocks come one after another, and each is told when it begins and when it is complete.
#[derive(Debug, Default)]
pub(super) struct StreamReader {
    open: Option<Open>,
    /// How many calls have begun.
    calls: u32,
    counts: UsageCounts,
    has_stopped: bool,
    /// How many bytes are kept of the input of calls that began with some.
    kept: usize,
    /// Whether a block had something in the beginning that it has not in the end.
    has_unread: bool,
    losses: Losses,
}

/// The block that is growing.
#[derive(Debug)]
enum Open {
    /// Its sources are told once its text is complete: they may come before it.
    Text {
        citations: Vec<Citation>,
    },
    /// The last signature that was said, if any was.
    Thinking {
        signature: String,
    },
    /// The input that it began with, and what has come since where that was any.
    Call {
        number: u32,
        begun: String,
        is_said: bool,
        said: SaidText,
    },
    Opaque(OwnBlock),
}

impl ReadStream for StreamReader {
    fn read(&mut self, data: &[u8], sink: Sink<'_>) -> Result<EventOutcome, Unparsable> {
        let text = std::str::from_utf8(data).map_err(|_| Unparsable)?;
        let (event, unread) = unread::from_str::<Event<'_>>(text).map_err(|_| Unparsable)?;
        let kind = event.kind.as_ref().map(|kind| &*kind.0);
        if event.error.is_some() || kind == Some("error") {
            return Ok(EventOutcome::Failed(Box::new(classify(200, ErrorObject::parse(data)))));
        }
        let kind = kind.ok_or(Unparsable)?;
        let mut unread = unread;
        for (name, raw, of) in [
            ("message", event.message, "message_start"),
            ("content", event.content_block, "content_block_start"),
        ] {
            if let Some(raw) = raw.filter(|_| kind != of) {
                unread = unread.or(Unread::in_field(name, raw.get()));
            }
        }
        if let Some(delta) = event.delta.as_ref().filter(|_| !kind.ends_with("_delta")) {
            unread = unread.or(left(&[&delta.text, &delta.thinking, &delta.partial_json]));
        }
        match kind {
            "content_block_delta" => self.grow(event.delta.ok_or(Unparsable)?, sink)?,
            "content_block_start" => {
                self.close(sink);
                self.begin_block(event.content_block.ok_or(Unparsable)?, sink)?;
            }
            "content_block_stop" => self.close(sink),
            "message_start" => self.begin(event.message.ok_or(Unparsable)?, sink)?,
            "message_delta" => {
                self.close(sink);
                if let Some(delta) = event.delta {
                    self.stop(&delta, sink);
                    unread = unread.or(left(&[&delta.text, &delta.thinking, &delta.partial_json]));
                }
                self.count(event.usage, sink);
            }
            "message_stop" => {
                self.close(sink);
                if !self.has_stopped {
                    self.say_stop(self.usual_stop(), sink);
                }
                let is_all = self.pass_over(unread).is_ok();
                return Ok(if is_all { EventOutcome::Done } else { EventOutcome::DoneInPart });
            }
            "ping" => return self.pass_over(unread).map(|()| EventOutcome::Idle),
            _ => return Ok(EventOutcome::Foreign),
        }
        self.pass_over(unread)?;
        Ok(EventOutcome::More)
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl StreamReader {
    fn begin(&mut self, message: &RawValue, sink: Sink<'_>) -> Result<(), Unparsable> {
        #[derive(Deserialize)]
        struct Message<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            model: Option<&'a RawValue>,
            #[serde(borrow)]
            usage: Option<&'a RawValue>,
        }

        let (message, unread) =
            unread::from_str::<Message<'_>>(message.get()).map_err(|_| Unparsable)?;
        let id = text_of(message.id).map(Cow::Owned);
        let model = text_of(message.model).map(Cow::Owned);
        sink(Delta::Begin { id, model });
        if let Some(tier) = message.usage.and_then(read_tier) {
            sink(Delta::Tier(tier.into()));
        }
        self.count(message.usage, sink);
        self.pass_over(unread)
    }

    /// Takes note of what was not read. What is of a block that is kept as it is is no part of the answer.
    fn pass_over(&mut self, unread: Unread<'_>) -> Result<(), Unparsable> {
        let is_own = matches!(self.open, Some(Open::Opaque(_)));
        let is_lost = unread.is_text(&mut self.losses);
        self.losses.note_if(is_lost && is_own, "content.delta");
        let has_unread = std::mem::take(&mut self.has_unread);
        if (is_lost && !is_own) || has_unread { Err(Unparsable) } else { Ok(()) }
    }

    fn begin_block(&mut self, block: &RawValue, sink: Sink<'_>) -> Result<(), Unparsable> {
        let (mut begun, unread) =
            unread::from_str::<ReadBlock<'_>>(block.get()).map_err(|_| Unparsable)?;
        match &*begun.kind.0 {
            "text" => {
                let cited = begun.citations.and_then(|raw| serde_json::from_str(raw.get()).ok());
                let cited: Vec<&RawValue> = cited.unwrap_or_default();
                let citations = cited.into_iter().take(MAX_CITATIONS).filter_map(citations::read);
                self.open = Some(Open::Text { citations: citations.collect() });
                say_text(begun.text.take(), sink);
            }
            "thinking" => {
                self.open = Some(Open::Thinking { signature: String::new() });
                say_thought(begun.thinking.take(), sink);
                self.sign(begun.signature.take().map(|text| text.0).unwrap_or_default(), sink);
            }
            "redacted_thinking" => {
                let signature = ReasoningSignature::from_wire(
                    Dialect::Messages,
                    &text_of(begun.data).unwrap_or_default(),
                );
                sink(Delta::ReasoningSignature { choice: 0, signature, is_redacted: true });
                sink(Delta::Break { choice: 0 });
            }
            "tool_use" => {
                let number = self.calls;
                self.calls = self.calls.saturating_add(1);
                sink(Delta::CallBegin {
                    choice: 0,
                    number,
                    id: text_of(begun.id).unwrap_or_default().into(),
                    name: text_of(begun.name).unwrap_or_default().into(),
                    kind: CallKind::Function,
                    signature: None,
                });
                let begun = begun.input.map_or("{}", RawValue::get).to_owned();
                let said = SaidText::default();
                self.open = Some(Open::Call { number, begun, is_said: false, said });
            }
            kind => {
                self.open = Some(Open::Opaque(OwnBlock::new(kind, block)));
                return Ok(());
            }
        }
        self.pass_over(unread.or(left(&[&begun.text, &begun.thinking])))
    }

    /// Adds to the block that is growing. Texts and thoughts are taken even where none has begun.
    fn grow(&mut self, mut delta: EventDelta<'_>, sink: Sink<'_>) -> Result<(), Unparsable> {
        match &*delta.kind.as_ref().ok_or(Unparsable)?.0 {
            "text_delta" => say_text(delta.text.take(), sink),
            "thinking_delta" => say_thought(delta.thinking.take(), sink),
            "input_json_delta" => {
                let piece = delta.partial_json.take().filter(|piece| !piece.0.is_empty());
                piece.map_or(Ok(()), |piece| self.add_input(piece.0, sink))?;
            }
            "signature_delta" => {
                let text = delta.signature.take().ok_or(Unparsable)?.0;
                if !matches!(self.open, Some(Open::Thinking { .. })) {
                    self.close(sink);
                    self.open = Some(Open::Thinking { signature: String::new() });
                }
                self.sign(text, sink);
            }
            "citations_delta" => {
                let read = delta.citation.and_then(citations::read);
                match (&mut self.open, read) {
                    (Some(Open::Text { citations }), Some(citation))
                        if citations.len() < MAX_CITATIONS =>
                    {
                        citations.push(citation);
                    }
                    _ => self.losses.note("citations"),
                }
            }
            _ => self.losses.note("content.delta"),
        }
        self.pass_over(left(&[&delta.text, &delta.thinking, &delta.partial_json]))
    }

    /// Says at once what signs the thoughts: once a client has seen it, nobody else can go on. Some
    /// servers repeat it.
    fn sign(&mut self, text: Cow<'_, str>, sink: Sink<'_>) {
        if let Some(Open::Thinking { signature: told }) = &mut self.open
            && !text.is_empty()
            && *told != text
        {
            let signature = ReasoningSignature::from_wire(Dialect::Messages, &text);
            *told = text.into_owned();
            sink(Delta::ReasoningSignature { choice: 0, signature, is_redacted: false });
        }
    }

    /// A piece that no block takes may be of a call.
    fn add_input(&mut self, piece: Cow<'_, str>, sink: Sink<'_>) -> Result<(), Unparsable> {
        match &mut self.open {
            Some(Open::Call { number, begun, is_said, said }) => {
                *is_said = true;
                if !is_blank(begun) {
                    said.push(&piece, &mut self.kept);
                }
                sink(Delta::CallInput { choice: 0, number: *number, text: piece });
            }
            Some(Open::Opaque(block)) => {
                let fits = block.add_input(&piece);
                self.losses.note_if(!fits, "tool_call.input");
            }
            _ => return Err(Unparsable),
        }
        Ok(())
    }

    fn close(&mut self, sink: Sink<'_>) {
        match self.open.take() {
            Some(Open::Text { citations }) => {
                for citation in citations {
                    sink(Delta::Citation { choice: 0, citation: Box::new(citation) });
                }
                sink(Delta::Break { choice: 0 });
            }
            Some(Open::Thinking { .. }) => sink(Delta::Break { choice: 0 }),
            Some(Open::Call { number, begun, is_said: false, .. }) => {
                sink(Delta::CallInput { choice: 0, number, text: begun.into() });
            }
            Some(Open::Call { begun, said, .. }) => {
                self.has_unread |= !is_blank(&begun) && !has_all_of(said.as_str(), &begun);
            }
            Some(Open::Opaque(block)) => {
                sink(Delta::Whole { choice: 0, part: Box::new(block.into_part()) });
            }
            None => (),
        }
    }

    fn stop(&mut self, delta: &EventDelta<'_>, sink: Sink<'_>) {
        let Some(word) = &delta.stop_reason else { return };
        if self.has_stopped {
            return;
        }
        if let Some(text) = delta.stop_details.and_then(stop::explanation) {
            sink(Delta::Refusal { choice: 0, text: text.into() });
        }
        let sequence = delta.stop_sequence.as_deref();
        self.say_stop(stop::read(word, sequence), sink);
    }

    fn say_stop(&mut self, reason: StopReason, sink: Sink<'_>) {
        self.has_stopped = true;
        sink(Delta::Stop { choice: 0, reason });
    }

    fn usual_stop(&self) -> StopReason {
        if self.calls > 0 { StopReason::ToolCalls } else { StopReason::Finished }
    }

    fn count(&mut self, usage: Option<&RawValue>, sink: Sink<'_>) {
        let Some(counts) = usage.and_then(read_counts) else { return };
        self.counts.merge(counts);
        if let Some(usage) = self.counts.usage() {
            sink(Delta::Usage(usage));
        }
    }
}

fn is_blank(input: &str) -> bool {
    matches!(input, "{}" | "[]" | "\"\"")
}

/// Whether the fields of one object are in another one, with the same values.
fn has_all_of(whole: &str, begun: &str) -> bool {
    type Fields = Map<String, Value>;
    let read = |json| serde_json::from_str::<Fields>(json).ok();
    read(whole).zip(read(begun)).is_some_and(|(whole, begun)| {
        begun.iter().all(|(name, value)| whole.get(name) == Some(value))
    })
}

/// What is left of the texts of a block or a delta when those of its kind were taken.
fn left(texts: &[&Option<Text<'_>>]) -> Unread<'static> {
    let is_said = |text: &Text<'_>| !text.0.is_empty();
    let mut texts = texts.iter().filter_map(|text| text.as_ref());
    if texts.any(is_said) { Unread::Text } else { Unread::Nothing }
}

fn say_text(text: Option<Text<'_>>, sink: Sink<'_>) {
    if let Some(Text(text)) = text.filter(|text| !text.0.is_empty()) {
        sink(Delta::Text { choice: 0, text });
    }
}

fn say_thought(text: Option<Text<'_>>, sink: Sink<'_>) {
    if let Some(Text(text)) = text.filter(|text| !text.0.is_empty()) {
        sink(Delta::Reasoning { choice: 0, text, is_summary: false });
    }
}
