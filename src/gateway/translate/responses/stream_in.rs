//! A stream of an upstream's events, read into deltas.
//!
//! Servers that leave events out are read too: what an item has when it is done, and what the answer
//! has in the end, counts as far as no event before has said it.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use super::{
    answer_in::said_in,
    citations,
    deltas::say,
    output_in::{Output, input_of},
    seals,
    stop::{self, Said},
};
use crate::{
    domain::{
        chat::{CallKind, Delta, Losses},
        failure::{Failure, FailureClass},
    },
    gateway::{
        dialect::{
            openai_chat::ErrorObject,
            responses::{
                ReadEvent, ReadItem, ReadResponse, count_of, parse_logprobs, parse_usage, text_in,
            },
        },
        failure::classify,
        translate::{ReadStream, Said as Meant, Unparsable},
    },
};

/// Most items that may be open at once.
const MAX_OPEN: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The number of the event that was read last.
    number: Option<u64>,
    is_begun: bool,
    /// Whether any item has been seen.
    has_items: bool,
    /// The items that are open, by their place in the output.
    open: BTreeMap<u64, OpenItem>,
    calls: u32,
    said: Said,
    losses: Losses,
}

/// An item that still grows.
#[derive(Debug, Default)]
struct OpenItem {
    id: Option<String>,
    /// Of a call that has begun: its number.
    call: Option<u32>,
    /// Whether any of its words have been handed on.
    is_said: bool,
    /// Whether any words of the part that grows have been handed on.
    is_part_said: bool,
    has_logprobs: bool,
}

impl ReadStream for Reader {
    fn read(&mut self, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<Meant, Unparsable> {
        if data == b"[DONE]" {
            return Ok(Meant::Idle);
        }
        let event: ReadEvent<'_> = serde_json::from_slice(data).map_err(|_| Unparsable)?;
        self.number = count_of(event.sequence_number);
        let Some(kind) = text_in(event.kind) else {
            let error = ErrorObject::parse(data).ok_or(Unparsable)?;
            return Ok(Meant::Failed(Box::new(classify(200, Some(error)))));
        };
        if is_unread(&kind, event.delta) {
            return Err(Unparsable);
        }
        match &*kind {
            "response.output_text.delta" => self.text(&event, sink),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.call_input(&event, text_in(event.delta).unwrap_or_default(), sink);
            }
            "response.reasoning_summary_text.delta" => self.reasoning(&event, true, sink),
            "response.reasoning_text.delta" => self.reasoning(&event, false, sink),
            "response.refusal.delta" => self.refusal(&event, text_in(event.delta), sink),
            "response.created" | "response.in_progress" | "response.queued" => {
                if self.is_begun {
                    return Ok(Meant::Idle);
                }
                self.begin(&event, sink);
            }
            "response.output_item.added" => self.item_added(&event, sink),
            "response.output_item.done" => self.item_done(&event, sink),
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                self.part_added(&event, sink);
            }
            "response.output_text.done" => self.text_done(&event, sink),
            "response.reasoning_summary_text.done" | "response.reasoning_text.done" => {
                self.reasoning_done(&event, kind.contains("summary"), sink);
            }
            "response.refusal.done" => {
                let is_said = self.item(&event).is_part_said;
                self.refusal(&event, text_in(event.refusal).filter(|_| !is_said), sink);
            }
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                self.call_done(&event, sink);
            }
            "response.output_text.annotation.added" => {
                if let Some(citation) = event.annotation.and_then(citations::read) {
                    sink(Delta::Citation { choice: 0, citation: Box::new(citation) });
                }
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                return Ok(self.end(&event, data, sink));
            }
            "response.failed" | "response.cancelled" | "response.error" | "error" => {
                return Ok(Meant::Failed(Box::new(failure(data))));
            }
            "response.audio.delta" => self.losses.note("audio"),
            // Ours to pass over: what keeps a stream open, and how built-in tools get on.
            "keepalive" => return Ok(Meant::Idle),
            other if other.starts_with("response.") => (),
            _ => return Ok(Meant::Foreign),
        }
        Ok(Meant::More)
    }

    fn number(&self) -> Option<u64> {
        self.number
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// Whether an event adds to the answer, and what it adds is no text.
fn is_unread(kind: &str, delta: Option<&RawValue>) -> bool {
    let is_known = matches!(
        kind,
        "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary_text.delta"
            | "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta"
    );
    is_known && delta.is_some_and(|raw| raw.get() != "null" && text_in(Some(raw)).is_none())
}

fn failure(data: &[u8]) -> Failure {
    match ErrorObject::parse(data) {
        Some(error) => classify(200, Some(error)),
        None => Failure {
            status: Some(200),
            ..Failure::new(FailureClass::Server, "the response has failed or was cancelled")
        },
    }
}

impl Reader {
    fn begin(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        if self.is_begun {
            return;
        }
        self.is_begun = true;
        let Some(raw) = event.response else { return };
        let Ok(response) = serde_json::from_str::<ReadResponse<'_>>(raw.get()) else { return };
        let filled = |raw| text_in(raw).filter(|text| !text.is_empty());
        sink(Delta::Begin { id: filled(response.id), model: filled(response.model) });
    }

    /// The item that an event is about: at its place, of its id, or the last one. One that has not
    /// been announced is taken as well.
    fn item(&mut self, event: &ReadEvent<'_>) -> &mut OpenItem {
        let place = count_of(event.output_index);
        let id = text_in(event.item_id);
        let by_id = || {
            let id = id.as_deref()?;
            let mut items = self.open.iter();
            items.find(|(_, item)| item.id.as_deref() == Some(id)).map(|(place, _)| *place)
        };
        let last = || self.open.keys().next_back().copied();
        let place = place.or_else(by_id).or_else(last).unwrap_or(0);
        self.has_items = true;
        self.open_at(place)
    }

    fn open_at(&mut self, place: u64) -> &mut OpenItem {
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&place) {
            self.open.pop_first();
        }
        self.open.entry(place).or_default()
    }

    fn item_added(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let Some(raw) = event.item else { return };
        let Ok(item) = serde_json::from_str::<ReadItem<'_>>(raw.get()) else { return };
        let next = self.open.keys().next_back().map_or(0, |place| place.saturating_add(1));
        let place = count_of(event.output_index).unwrap_or(next);
        self.has_items = true;
        let mut open =
            OpenItem { id: text_in(item.id).map(Cow::into_owned), ..OpenItem::default() };
        let kind = match text_in(item.kind).as_deref() {
            Some("function_call") => Some(CallKind::Function),
            Some("custom_tool_call") => Some(CallKind::Custom),
            _ => None,
        };
        let name = text_in(item.name).filter(|name| !name.is_empty());
        // One that is announced without its name is said when it is done.
        if let (Some(kind), Some(name)) = (kind, name) {
            let number = self.calls;
            self.calls = self.calls.saturating_add(1);
            self.said.calls = true;
            open.call = Some(number);
            let id = item.call_id().unwrap_or_default();
            sink(Delta::CallBegin { choice: 0, number, id, name, kind, seal: None });
        }
        *self.open_at(place) = open;
    }

    fn part_added(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let item = self.item(event);
        item.is_part_said = false;
        item.has_logprobs = false;
        if item.is_said {
            sink(Delta::Break { choice: 0 });
        }
    }

    fn text(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let text = text_in(event.delta).unwrap_or_default();
        let tokens = parse_logprobs(event.logprobs);
        let item = self.item(event);
        item.is_said |= !text.is_empty();
        item.is_part_said |= !text.is_empty();
        item.has_logprobs |= !tokens.is_empty();
        if !text.is_empty() {
            sink(Delta::Text { choice: 0, text });
        }
        if !tokens.is_empty() {
            sink(Delta::Logprobs { choice: 0, tokens });
        }
    }

    fn text_done(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let item = self.item(event);
        let (is_said, has_logprobs) = (item.is_part_said, item.has_logprobs);
        if let Some(text) = text_in(event.text).filter(|text| !is_said && !text.is_empty()) {
            item.is_said = true;
            item.is_part_said = true;
            sink(Delta::Text { choice: 0, text });
        }
        let tokens = parse_logprobs(event.logprobs);
        if !has_logprobs && !tokens.is_empty() {
            item.has_logprobs = true;
            sink(Delta::Logprobs { choice: 0, tokens });
        }
    }

    fn refusal(
        &mut self,
        event: &ReadEvent<'_>,
        text: Option<Cow<'_, str>>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        let item = self.item(event);
        item.is_said = true;
        item.is_part_said = true;
        self.said.refusal = true;
        sink(Delta::Refusal { choice: 0, text });
    }

    fn reasoning(
        &mut self,
        event: &ReadEvent<'_>,
        is_summary: bool,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        let text = text_in(event.delta).unwrap_or_default();
        self.think(event, text, is_summary, sink);
    }

    fn reasoning_done(
        &mut self,
        event: &ReadEvent<'_>,
        is_summary: bool,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        if !self.item(event).is_part_said {
            let text = text_in(event.text).unwrap_or_default();
            self.think(event, text, is_summary, sink);
        }
    }

    fn think(
        &mut self,
        event: &ReadEvent<'_>,
        text: Cow<'_, str>,
        is_summary: bool,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        if text.is_empty() {
            return;
        }
        let item = self.item(event);
        item.is_said = true;
        if !std::mem::replace(&mut item.is_part_said, true)
            && let Some(id) = item.id.as_deref()
        {
            sink(Delta::ReasoningBegin { choice: 0, id: id.into() });
        }
        sink(Delta::Reasoning { choice: 0, text, is_summary });
    }

    fn call_input(
        &mut self,
        event: &ReadEvent<'_>,
        text: Cow<'_, str>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        let item = self.item(event);
        if let Some(number) = item.call.filter(|_| !text.is_empty()) {
            item.is_said = true;
            sink(Delta::CallInput { choice: 0, number, text });
        }
    }

    fn call_done(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        if !self.item(event).is_said {
            self.call_input(event, input_of(event.arguments.or(event.input)), sink);
        }
    }

    fn item_done(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let Some(raw) = event.item else { return };
        let Ok(item) = serde_json::from_str::<ReadItem<'_>>(raw.get()) else { return };
        self.has_items = true;
        let place = count_of(event.output_index).or_else(|| self.place_of(&item));
        let open = place.and_then(|place| self.open.remove(&place)).unwrap_or_default();
        match (text_in(item.kind).as_deref(), open.call) {
            (Some("function_call" | "custom_tool_call"), Some(number)) => {
                let text = input_of(item.arguments.or(item.input));
                if !open.is_said && !text.is_empty() {
                    sink(Delta::CallInput { choice: 0, number, text });
                }
                sink(Delta::Break { choice: 0 });
            }
            (Some("reasoning"), _) if open.is_said => {
                if let Some(text) = text_in(item.encrypted_content).filter(|t| !t.is_empty()) {
                    let (seal, is_redacted) = seals::read(&text, true);
                    sink(Delta::ReasoningSeal { choice: 0, seal, is_redacted });
                }
                sink(Delta::Break { choice: 0 });
            }
            (Some("message"), _) if open.is_said => sink(Delta::Break { choice: 0 }),
            _ => self.say_whole(raw, sink),
        }
    }

    fn place_of(&self, item: &ReadItem<'_>) -> Option<u64> {
        let id = text_in(item.id);
        let id = id.as_deref();
        let mut items = self.open.iter();
        items.find(|(_, open)| id.is_some() && open.id.as_deref() == id).map(|(place, _)| *place)
    }

    fn say_whole(&mut self, raw: &RawValue, sink: &mut dyn FnMut(Delta<'_>)) {
        let mut output = Output::default();
        output.read_item(raw, &mut self.losses);
        self.say_output(output, sink);
    }

    fn say_output(&mut self, output: Output, sink: &mut dyn FnMut(Delta<'_>)) {
        let said = said_in(&output.parts);
        self.said.calls |= said.calls;
        self.said.refusal |= said.refusal;
        say(output, &mut self.calls, sink);
    }

    fn end(
        &mut self,
        event: &ReadEvent<'_>,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Meant {
        self.begin(event, sink);
        let response = event.response.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let response: ReadResponse<'_> = response.unwrap_or_default();
        let status = text_in(response.status).unwrap_or_default();
        if matches!(&*status, "failed" | "cancelled") {
            return Meant::Failed(Box::new(failure(data)));
        }
        if !self.has_items {
            let output = Output::read_all(response.output, &mut self.losses);
            self.say_output(output, sink);
        }
        if let Some(tier) = text_in(response.service_tier).filter(|tier| !tier.is_empty()) {
            sink(Delta::Tier(tier));
        }
        let is_incomplete = status == "incomplete"
            || text_in(event.kind).is_some_and(|kind| kind == "response.incomplete");
        let reason = is_incomplete.then(|| response.incomplete_reason().unwrap_or_default());
        sink(Delta::Stop { choice: 0, reason: stop::read(reason.as_deref(), self.said) });
        if let Some(usage) = response.usage.and_then(parse_usage) {
            sink(Delta::Usage(usage));
        }
        Meant::Done
    }
}
