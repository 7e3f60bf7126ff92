//! Items from the event that announces one to the one that has all of it, and what the whole says beyond what
//! was said of it in parts.

use std::{borrow::Cow, ops::Range};

use super::{
    super::{
        answer_in::said_in,
        deltas::say,
        open_items::{Item, Words},
        output_in::{Output, input_of},
    },
    Reader,
};
use crate::{
    domain::chat::{CallKind, Content, Delta, Part},
    gateway::dialect::{
        responses::{RawEvent, RawItem, elements_of, text_in},
        unread,
    },
};

impl Reader {
    pub(super) fn item_added(&mut self, event: &RawEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let Some(raw) = event.item else { return };
        let Ok((item, unread)) = unread::from_str::<RawItem<'_>>(raw.get()) else {
            return self.leave(Some(raw));
        };
        let mut open = Item::default();
        open.id = text_in(item.id).map(Cow::into_owned);
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
            sink(Delta::CallBegin { choice: 0, number, id, name, kind, signature: None });
        }
        if !open.is_own {
            self.has_unread |= unread.is_text(&mut self.losses);
            self.announce(&item, &mut open);
        }
        self.items.begin(event, open);
    }

    /// Takes note of what an item has when it begins.
    fn announce(&mut self, item: &RawItem<'_>, open: &mut Item) {
        if let Some(text) = text_in(item.content) {
            open.announce(Words::Text, 0, &text, &mut self.kept);
        }
        for (list, other) in [(item.content, Words::Text), (item.summary, Words::Summary)] {
            let elements = elements_of(list);
            if elements.is_empty() && (other == Words::Summary || text_in(list).is_none()) {
                self.leave(list);
            }
            for (place, raw) in (0..).zip(elements) {
                if let Some((words, text)) = self.text_of_part(raw, other) {
                    open.announce(words, place, &text, &mut self.kept);
                }
            }
        }
        let raw = item.arguments.or(item.input);
        let input = input_of(raw);
        if input.is_empty() {
            self.leave(raw);
        }
        open.announce(Words::Input, 0, &input, &mut self.kept);
    }

    pub(super) fn item_done(&mut self, event: &RawEvent<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let Some(raw) = event.item else { return };
        let Ok(item) = serde_json::from_str::<RawItem<'_>>(raw.get()) else {
            return self.leave(Some(raw));
        };
        let (place, mut open) = self.items.take(event, &item);
        let mut output = Output::default();
        output.read_item(raw, &mut self.losses);
        let is_begun = open.is_said() || open.call.is_some();
        if is_begun {
            // They were told with the words.
            output.logprobs.clear();
        }
        let calls = open.call.map_or(0..0, |number| number..number.saturating_add(1));
        self.say_beyond(output, &mut open, calls, false, sink);
        if is_begun {
            sink(Delta::Break { choice: 0 });
        }
        self.has_unread |= !open.is_own && open.owes_words();
        self.items.keep(place, open);
    }

    /// Says what an output says beyond what was said of an item. `calls`: the numbers of its calls that
    /// have begun. `is_end`: it is the whole answer.
    pub(super) fn say_beyond(
        &mut self,
        output: Output,
        item: &mut Item,
        mut calls: Range<u32>,
        is_end: bool,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        let is_new = !is_end && !item.is_said();
        let said = said_in(&output.parts);
        self.said.calls |= said.calls;
        self.said.refusal |= said.refusal;
        self.has_unread |= output.has_unread;
        let mut own_parts = 0;
        let mut is_left = |part: &mut Part| {
            let mut rest =
                |words, text: &mut String| match item.rest_of(words, text, &mut self.kept) {
                    Some(rest) if rest.len() == text.len() => true,
                    Some(rest) => {
                        let rest = rest.to_owned();
                        *text = rest;
                        false
                    }
                    None => {
                        self.has_unread = true;
                        text.clear();
                        false
                    }
                };
            match &mut part.content {
                Content::Text { text, citations } => {
                    if !rest(Words::Text, text) {
                        citations.clear();
                    }
                    is_new || !text.is_empty()
                }
                Content::Refusal(text) => {
                    rest(Words::Refusal, text);
                    is_new || !text.is_empty()
                }
                Content::Reasoning(thought) => {
                    let words = if thought.is_summary { Words::Summary } else { Words::Thoughts };
                    if !rest(words, &mut thought.text) || !is_new {
                        thought.id = None;
                    }
                    thought.is_redacted &= is_new;
                    is_new || !thought.text.is_empty() || (thought.signature.is_some() && !is_end)
                }
                Content::ToolCall(call) => {
                    let number = calls.next();
                    rest(Words::Input, &mut call.input);
                    if let Some(number) = number.filter(|_| !call.input.is_empty()) {
                        let text = std::mem::take(&mut call.input).into();
                        sink(Delta::CallInput { choice: 0, number, text });
                    }
                    number.is_none()
                }
                _ => {
                    own_parts += 1;
                    !is_end || own_parts > self.own_parts
                }
            }
        };
        let Output { mut parts, logprobs, .. } = output;
        parts.retain_mut(&mut is_left);
        self.own_parts = if is_end { self.own_parts } else { self.own_parts + own_parts };
        say(Output { parts, logprobs, has_unread: false }, &mut self.calls, sink);
    }
}
