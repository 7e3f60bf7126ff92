//! A stream of an upstream's events, read into deltas.
//!
//! Servers that leave events out are read too: what an item has when it is done, and what the answer
//! has in the end, counts as far as no event before has said it.

mod items;

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    citations,
    open_items::{Items, Words},
    output_in::{Output, input_of},
    stop,
};
use crate::{
    domain::{
        chat::{Delta, Losses},
        failure::{Failure, FailureClass},
    },
    gateway::{
        dialect::{
            openai_chat::ErrorObject,
            responses::{
                RawEvent, RawPart, RawResponse, count_of, parse_logprobs, parse_usage, text_in,
            },
            unread::{self, Unread},
        },
        failure::classify,
        translate::{EventOutcome, OutputKinds, ReadStream, Unparsable},
    },
};

#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The number of the event that was read last.
    number: Option<u64>,
    is_begun: bool,
    items: Items,
    calls: u32,
    /// How many parts of the maker's own it has.
    own_parts: usize,
    said: OutputKinds,
    /// How many bytes are kept of what was said.
    kept: usize,
    /// Whether there is something of the answer in the event that is being read which was not handed on.
    has_unread: bool,
    losses: Losses,
}

/// What events of sound, and of what is said in it, begin with.
const AUDIO: &str = "response.audio";

impl ReadStream for Reader {
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<EventOutcome, Unparsable> {
        if data == b"[DONE]" {
            return Ok(EventOutcome::Idle);
        }
        let text = std::str::from_utf8(data).map_err(|_| Unparsable)?;
        let (event, unread) = unread::from_str::<RawEvent<'_>>(text).map_err(|_| Unparsable)?;
        self.number = count_of(event.sequence_number);
        let Some(kind) = text_in(event.kind) else {
            let error = ErrorObject::parse(data).ok_or(Unparsable)?;
            return Ok(EventOutcome::Failed(Box::new(classify(200, Some(error)))));
        };
        let meant = self.take(&kind, &event, data, sink);
        if matches!(meant, EventOutcome::Foreign | EventOutcome::Failed(_)) {
            return Ok(meant);
        }
        let mut is_lost = std::mem::take(&mut self.has_unread);
        let unread = unread.or(left(&kind, &event));
        is_lost |= unread.is_text(&mut self.losses) && !self.items.is_of_own(&event);
        match meant {
            EventOutcome::Done if is_lost => Ok(EventOutcome::DoneInPart),
            _ if is_lost => Err(Unparsable),
            _ => Ok(meant),
        }
    }

    fn skip(&mut self, words: &str, _: bool) {
        self.items.last().say(words, &mut self.kept);
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
fn left<'a>(kind: &str, event: &RawEvent<'a>) -> Unread<'a> {
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
            "delta" if raw.get().starts_with('{') => Unread::in_object(name, raw.get()),
            _ => Unread::in_field(name, raw.get()),
        });
    }
    unread
}

impl Reader {
    fn take(
        &mut self,
        kind: &str,
        event: &RawEvent<'_>,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> EventOutcome {
        match kind {
            "response.output_text.delta" => self.text(event, sink),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.delta(event, Words::Input, sink);
            }
            "response.reasoning_summary_text.delta" => self.delta(event, Words::Summary, sink),
            "response.reasoning_text.delta" => self.delta(event, Words::Thoughts, sink),
            "response.refusal.delta" => self.delta(event, Words::Refusal, sink),
            "response.created" | "response.in_progress" | "response.queued" => {
                if self.is_begun {
                    return EventOutcome::Idle;
                }
                let output = self.begin(event, sink).and_then(|response| response.output);
                self.leave(output);
            }
            "response.output_item.added" => self.item_added(event, sink),
            "response.output_item.done" => self.item_done(event, sink),
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                self.part_added(event, sink);
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                if let Some((words, text)) = self.part(event) {
                    self.whole(event, words, Some(text), sink);
                }
            }
            "response.output_text.done" => self.text_done(event, sink),
            "response.reasoning_summary_text.done" => {
                self.whole(event, Words::Summary, text_in(event.text), sink);
            }
            "response.reasoning_text.done" => {
                self.whole(event, Words::Thoughts, text_in(event.text), sink);
            }
            "response.refusal.done" => {
                self.whole(event, Words::Refusal, text_in(event.refusal), sink);
            }
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                let input = input_of(event.arguments.or(event.input));
                self.whole(event, Words::Input, Some(input), sink);
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
                return EventOutcome::Failed(Box::new(failure(data)));
            }
            other if other.starts_with(AUDIO) => self.losses.note("audio"),
            // Ours to pass over: what keeps a stream open, and how built-in tools get on.
            "keepalive" => return EventOutcome::Idle,
            other if other.starts_with("response.") => (),
            _ => return EventOutcome::Foreign,
        }
        EventOutcome::More
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
    fn begin<'e>(
        &mut self,
        event: &RawEvent<'e>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Option<RawResponse<'e>> {
        let is_begun = std::mem::replace(&mut self.is_begun, true);
        // A struct is read from a list too.
        let object = event.response.filter(|raw| raw.get().starts_with('{'));
        let read = object.and_then(|raw| unread::from_str::<RawResponse<'_>>(raw.get()).ok());
        let Some((response, unread)) = read else {
            self.leave(event.response);
            return None;
        };
        self.has_unread |= unread.is_text(&mut self.losses);
        if !is_begun {
            let filled = |raw| text_in(raw).filter(|text| !text.is_empty());
            sink(Delta::Begin { id: filled(response.id), model: filled(response.model) });
        }
        Some(response)
    }

    /// Takes note of what is not read.
    fn leave(&mut self, raw: Option<&RawValue>) {
        self.has_unread |= raw.is_some_and(|raw| Unread::in_part(raw.get()) == Unread::Text);
    }

    fn part<'e>(&mut self, event: &RawEvent<'e>) -> Option<(Words, Cow<'e, str>)> {
        let is_summary = text_in(event.kind).is_some_and(|kind| kind.contains("summary"));
        self.text_of_part(event.part?, if is_summary { Words::Summary } else { Words::Text })
    }

    /// What a part says, and of which kind it is: `other` where it is of no other.
    fn text_of_part<'e>(
        &mut self,
        raw: &'e RawValue,
        other: Words,
    ) -> Option<(Words, Cow<'e, str>)> {
        let Ok((part, unread)) = unread::from_str::<RawPart<'_>>(raw.get()) else {
            self.leave(Some(raw));
            return None;
        };
        self.has_unread |= unread.is_text(&mut self.losses);
        let words = match text_in(part.kind).as_deref() {
            Some("refusal") => Words::Refusal,
            Some("reasoning_text") => Words::Thoughts,
            _ => other,
        };
        let (text, left) = match words {
            Words::Refusal => (part.refusal, part.text),
            _ => (part.text, part.refusal),
        };
        self.leave(left);
        if text_in(text).is_none() {
            self.leave(text);
        }
        Some((words, text_in(text).unwrap_or_default()))
    }

    fn part_added(&mut self, event: &RawEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let Some((words, text)) = self.part(event) else { return };
        let item = self.items.turned_to(words, event);
        let place = item.begin_part(words, event);
        item.announce(words, place, &text, &mut self.kept);
        if item.is_said() {
            sink(Delta::Break { choice: 0 });
        }
    }

    fn text(&mut self, event: &RawEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        self.delta(event, Words::Text, sink);
        let tokens = parse_logprobs(event.logprobs);
        if !tokens.is_empty() {
            self.items.last().has_logprobs = true;
            sink(Delta::Logprobs { choice: 0, tokens });
        }
    }

    fn text_done(&mut self, event: &RawEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        self.whole(event, Words::Text, text_in(event.text), sink);
        let tokens = parse_logprobs(event.logprobs);
        if !tokens.is_empty() && !std::mem::replace(&mut self.items.last().has_logprobs, true) {
            sink(Delta::Logprobs { choice: 0, tokens });
        }
    }

    fn delta(&mut self, event: &RawEvent<'_>, words: Words, sink: &mut dyn FnMut(Delta<'_>)) {
        self.items.turned_to(words, event);
        self.say(words, text_in(event.delta).unwrap_or_default(), sink);
    }

    /// Takes the whole of a part: what it says beyond what was said of it goes on.
    fn whole(
        &mut self,
        event: &RawEvent<'_>,
        words: Words,
        text: Option<Cow<'_, str>>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        let item = self.items.turned_to(words, event);
        let text = text.unwrap_or_default();
        let rest = match words {
            Words::Input if item.call.is_none() => item.held.rest_of(&text),
            _ => item.rest_of_part(&text),
        };
        match rest {
            Some(rest) => self.say(words, rest.into(), sink),
            None => self.has_unread = true,
        }
    }

    /// Says words of the part that an event has just been about.
    fn say(&mut self, words: Words, text: Cow<'_, str>, sink: &mut dyn FnMut(Delta<'_>)) {
        if text.is_empty() {
            return;
        }
        let item = self.items.last();
        if words == Words::Input && item.call.is_none() {
            // It may yet be said by an item that is done.
            return item.held.push(&text, &mut self.kept);
        }
        let is_first = item.say(&text, &mut self.kept);
        match (words, item.call) {
            (Words::Text, _) => sink(Delta::Text { choice: 0, text }),
            (Words::Refusal, _) => {
                self.said.refusal = true;
                sink(Delta::Refusal { choice: 0, text });
            }
            (Words::Input, number) => {
                sink(Delta::CallInput { choice: 0, number: number.unwrap_or_default(), text });
            }
            (Words::Thoughts | Words::Summary, _) => {
                if let Some(id) = item.id.as_deref().filter(|_| is_first) {
                    sink(Delta::ReasoningBegin { choice: 0, id: id.into() });
                }
                sink(Delta::Reasoning { choice: 0, text, is_summary: words == Words::Summary });
            }
        }
    }

    fn end(
        &mut self,
        event: &RawEvent<'_>,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> EventOutcome {
        let response = self.begin(event, sink).unwrap_or_default();
        let status = text_in(response.status).unwrap_or_default();
        if matches!(&*status, "failed" | "cancelled") {
            return EventOutcome::Failed(Box::new(failure(data)));
        }
        self.has_unread |= self.items.owe_words();
        let were_seen = self.items.were_seen();
        match self.items.take_all() {
            Some(mut all) => {
                let mut output = Output::of_response(&response, &mut self.losses);
                if were_seen {
                    output.logprobs.clear();
                }
                self.say_beyond(output, &mut all, 0..self.calls, were_seen, sink);
            }
            None => self.has_unread = true,
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
        EventOutcome::Done
    }
}
