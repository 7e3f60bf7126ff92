//! A stream of an upstream's events, read into deltas.
//!
//! Servers that leave events out are read too: what an item has when it is done, and what the answer
//! has in the end, counts as far as no event before has said it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    answer_in::said_in,
    citations,
    deltas::say,
    open_items::{OpenItem, OpenItems},
    output_in::{Output, input_of, size_of},
    seals,
    stop::{self, Said},
};
use crate::{
    domain::{
        chat::{CallKind, Content, Delta, Losses},
        failure::{Failure, FailureClass},
    },
    gateway::{
        dialect::{
            openai_chat::ErrorObject,
            responses::{
                ReadEvent, ReadItem, ReadPart, ReadResponse, count_of, elements_of, parse_logprobs,
                parse_usage, text_in,
            },
            unread::{self, Unread},
        },
        failure::classify,
        translate::{ReadStream, Said as Meant, Unparsable},
    },
};

#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The number of the event that was read last.
    number: Option<u64>,
    is_begun: bool,
    items: OpenItems,
    calls: u32,
    said: Said,
    /// How much its messages have said, in bytes.
    length: usize,
    /// Whether there is something of the answer in the event that is being read which was not handed on.
    has_unread: bool,
    losses: Losses,
}

/// What events of sound, and of what is said in it, begin with.
const AUDIO: &str = "response.audio";

impl ReadStream for Reader {
    fn read(&mut self, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<Meant, Unparsable> {
        if data == b"[DONE]" {
            return Ok(Meant::Idle);
        }
        let text = std::str::from_utf8(data).map_err(|_| Unparsable)?;
        let (event, unread) = unread::from_str::<ReadEvent<'_>>(text).map_err(|_| Unparsable)?;
        self.number = count_of(event.sequence_number);
        let Some(kind) = text_in(event.kind) else {
            let error = ErrorObject::parse(data).ok_or(Unparsable)?;
            return Ok(Meant::Failed(Box::new(classify(200, Some(error)))));
        };
        let meant = self.take(&kind, &event, data, sink);
        if matches!(meant, Meant::Foreign | Meant::Failed(_)) {
            return Ok(meant);
        }
        let mut is_lost = std::mem::take(&mut self.has_unread);
        let unread = unread.or(left(&kind, &event));
        is_lost |= unread.is_text(&mut self.losses) && !self.items.is_of_own(&event);
        if is_lost { Err(Unparsable) } else { Ok(meant) }
    }

    fn skip(&mut self, words: &str, are_thoughts: bool) {
        self.length += if are_thoughts { 0 } else { words.len() };
        self.items.last().say(words);
    }

    fn number(&self) -> Option<u64> {
        self.number
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// The field in which an event of this kind says what it says.
fn said_as(kind: &str) -> &'static str {
    match kind {
        "response.output_text.delta"
        | "response.refusal.delta"
        | "response.reasoning_text.delta"
        | "response.reasoning_summary_text.delta"
        | "response.function_call_arguments.delta"
        | "response.custom_tool_call_input.delta" => "delta",
        "response.output_text.done"
        | "response.reasoning_text.done"
        | "response.reasoning_summary_text.done" => "text",
        "response.refusal.done" => "refusal",
        "response.function_call_arguments.done" => "arguments",
        "response.custom_tool_call_input.done" => "input",
        "response.content_part.added"
        | "response.content_part.done"
        | "response.reasoning_summary_part.added"
        | "response.reasoning_summary_part.done" => "part",
        "response.created"
        | "response.in_progress"
        | "response.queued"
        | "response.completed"
        | "response.incomplete"
        | "response.done" => "response",
        _ => "",
    }
}

/// What an event says in other fields than its kind has, or in one of another shape.
fn left<'a>(kind: &str, event: &ReadEvent<'a>) -> Unread<'a> {
    if kind.starts_with(AUDIO) {
        return Unread::Nothing;
    }
    let said_as = said_as(kind);
    let mut unread = Unread::Nothing;
    for (name, raw) in event.texts() {
        let Some(raw) = raw else { continue };
        unread = unread.or(match name {
            "delta" if name == said_as => {
                let is_odd = raw.get() != "null" && text_in(Some(raw)).is_none();
                if is_odd { Unread::Text } else { Unread::Nothing }
            }
            "text" | "refusal" if name == said_as && text_in(Some(raw)).is_none() => {
                Unread::in_field(name, raw.get())
            }
            _ if name == said_as => Unread::Nothing,
            // What tools of the maker's put out comes in objects of their own.
            "delta" if raw.get().starts_with('{') => Unread::in_object(raw.get()),
            _ => Unread::in_field(name, raw.get()),
        });
    }
    unread
}

impl Reader {
    fn take(
        &mut self,
        kind: &str,
        event: &ReadEvent<'_>,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Meant {
        match kind {
            "response.output_text.delta" => self.text(event, sink),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.call_input(event, text_in(event.delta).unwrap_or_default(), sink);
            }
            "response.reasoning_summary_text.delta" => self.reasoning(event, true, sink),
            "response.reasoning_text.delta" => self.reasoning(event, false, sink),
            "response.refusal.delta" => self.refusal(event, text_in(event.delta), sink),
            "response.created" | "response.in_progress" | "response.queued" => {
                if self.is_begun {
                    return Meant::Idle;
                }
                self.begin(event, sink);
            }
            "response.output_item.added" => self.item_added(event, sink),
            "response.output_item.done" => self.item_done(event, sink),
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                self.part_added(event, sink);
            }
            "response.output_text.done" => self.text_done(event, sink),
            "response.reasoning_summary_text.done" | "response.reasoning_text.done" => {
                self.reasoning_done(event, kind.contains("summary"), sink);
            }
            "response.refusal.done" => {
                let is_said = self.items.turned_to(event).is_part_said();
                self.refusal(event, text_in(event.refusal).filter(|_| !is_said), sink);
            }
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                self.call_done(event, sink);
            }
            "response.output_text.annotation.added" => {
                if let Some(citation) = event.annotation.and_then(citations::read) {
                    sink(Delta::Citation { choice: 0, citation: Box::new(citation) });
                }
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                return self.end(event, data, sink);
            }
            "response.failed" | "response.cancelled" | "response.error" | "error" => {
                return Meant::Failed(Box::new(failure(data)));
            }
            other if other.starts_with(AUDIO) => self.losses.note("audio"),
            // Ours to pass over: what keeps a stream open, and how built-in tools get on.
            "keepalive" => return Meant::Idle,
            other if other.starts_with("response.") => (),
            _ => return Meant::Foreign,
        }
        Meant::More
    }
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

    fn item_added(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let Some(raw) = event.item else { return };
        let Ok(item) = serde_json::from_str::<ReadItem<'_>>(raw.get()) else { return };
        let mut open = OpenItem::new(text_in(item.id).map(Cow::into_owned), size_of(raw).0);
        let kind = match text_in(item.kind).as_deref() {
            Some("function_call") => Some(CallKind::Function),
            Some("custom_tool_call") => Some(CallKind::Custom),
            Some("message" | "reasoning") | None => None,
            Some(_) => {
                open.is_own = true;
                None
            }
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
        self.items.begin(event, open);
    }

    fn part_added(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let part = event.part.and_then(|raw| serde_json::from_str::<ReadPart<'_>>(raw.get()).ok());
        let text = part.and_then(|part| text_in(part.text.or(part.refusal)));
        let item = self.items.about(event);
        item.begin_part(event);
        item.owed = item.owed.max(item.length + text.map_or(0, |text| text.len()));
        if item.is_said {
            sink(Delta::Break { choice: 0 });
        }
    }

    fn text(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let text = text_in(event.delta).unwrap_or_default();
        let tokens = parse_logprobs(event.logprobs);
        let item = self.items.turned_to(event);
        item.has_logprobs |= !tokens.is_empty();
        if !text.is_empty() {
            item.say(&text);
            self.length += text.len();
            sink(Delta::Text { choice: 0, text });
        }
        if !tokens.is_empty() {
            sink(Delta::Logprobs { choice: 0, tokens });
        }
    }

    fn text_done(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let item = self.items.turned_to(event);
        let (is_said, has_logprobs) = (item.is_part_said(), item.has_logprobs);
        let tokens = parse_logprobs(event.logprobs);
        item.has_logprobs |= !tokens.is_empty();
        if let Some(text) = text_in(event.text).filter(|text| !is_said && !text.is_empty()) {
            item.say(&text);
            self.length += text.len();
            sink(Delta::Text { choice: 0, text });
        }
        if !has_logprobs && !tokens.is_empty() {
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
        self.items.turned_to(event).say(&text);
        self.length += text.len();
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
        if !self.items.turned_to(event).is_part_said() {
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
        let item = self.items.turned_to(event);
        if item.say(&text)
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
        let item = self.items.about(event);
        match item.call.filter(|_| !text.is_empty()) {
            Some(number) => {
                item.say(&text);
                sink(Delta::CallInput { choice: 0, number, text });
            }
            // It may yet be said by an item that is done.
            None => item.owed += text.len(),
        }
    }

    fn call_done(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let item = self.items.about(event);
        // What nobody took in pieces is owed already.
        if !item.is_said && (item.call.is_some() || item.owed == 0) {
            self.call_input(event, input_of(event.arguments.or(event.input)), sink);
        }
    }

    fn item_done(&mut self, event: &ReadEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let Some(raw) = event.item else { return };
        let Ok(item) = serde_json::from_str::<ReadItem<'_>>(raw.get()) else { return };
        let open = self.items.end(event, &item);
        match (text_in(item.kind).as_deref(), open.call) {
            (Some("function_call" | "custom_tool_call"), Some(number)) => {
                let text = input_of(item.arguments.or(item.input));
                self.has_unread |= open.length.max(text.len()) < open.owed;
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
            (Some("message"), _) if open.is_said => {
                self.has_unread |= open.length < open.owed.max(size_of(raw).0);
                sink(Delta::Break { choice: 0 });
            }
            _ => {
                self.has_unread |= size_of(raw).0 < open.owed;
                self.say_whole(raw, sink);
            }
        }
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
        self.has_unread |= output.has_unread;
        self.length += output
            .parts
            .iter()
            .map(|part| match &part.content {
                Content::Text { text, .. } | Content::Refusal(text) => text.len(),
                _ => 0,
            })
            .sum::<usize>();
        say(output, &mut self.calls, sink);
    }

    /// Whether events have said all that there is in the end.
    fn compare(&mut self, response: &ReadResponse<'_>) {
        let (mut length, mut calls) = (0, 0);
        for raw in elements_of(response.output) {
            let (of_item, is_call) = size_of(raw);
            length += if is_call { 0 } else { of_item };
            calls += u32::from(is_call);
        }
        self.has_unread |= self.items.owe_words() || self.length < length || self.calls < calls;
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
        if self.items.were_seen() {
            self.compare(&response);
        } else {
            let output = Output::of_response(&response, &mut self.losses);
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
