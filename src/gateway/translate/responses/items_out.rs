//! Turns, written as the items of a request.

use std::collections::HashMap;

use super::content_out::{self, WrittenPart, raw};
use crate::{
    domain::{
        chat::{
            CallKind, Content, Dialect, Losses, Part, Reasoning, Role, ToolCall, ToolResult, Turn,
        },
        model_rules::{CallIdRule, ModelRules},
    },
    gateway::{
        dialect::responses::{
            Piece, ReasoningText, SummaryText, TextOrParts, WrittenContent, WrittenItem,
        },
        translate::call_ids::CallIds,
    },
};

/// Longest id of a call that OpenAI takes here, in characters. Source: its refusal
/// `string_above_max_length` for `call_id` (2026-11).
const MAX_CALL_ID: usize = 64;

pub(super) type Items<'a> = Vec<Piece<'a, WrittenItem<'a>>>;

pub(super) fn write<'a>(
    turns: &'a [Turn],
    rules: &'a ModelRules,
    losses: &mut Losses,
) -> Items<'a> {
    let mut writing = Writing {
        items: Vec::new(),
        message: None,
        thoughts: Vec::new(),
        ids: CallIds::new(CallIdRule::UpTo(MAX_CALL_ID), "call"),
        kinds: HashMap::new(),
        rules,
        losses,
    };
    for turn in turns {
        writing.turn(turn);
    }
    writing.items
}

struct Writing<'a, 'l> {
    items: Items<'a>,
    /// The message that still grows, and whose it is.
    message: Option<(Role, Vec<WrittenPart<'a>>)>,
    /// Thoughts in a row that may be one item.
    thoughts: Vec<&'a Reasoning>,
    ids: CallIds,
    /// How calls were made, by their ids: their results are written alike.
    kinds: HashMap<String, CallKind>,
    rules: &'a ModelRules,
    losses: &'l mut Losses,
}

impl<'a> Writing<'a, '_> {
    fn turn(&mut self, turn: &'a Turn) {
        self.losses.note_if(turn.name.is_some(), "messages.name");
        for part in &turn.parts {
            self.part(turn.role, part);
        }
        self.close();
    }

    fn close(&mut self) {
        self.close_thoughts();
        self.close_message();
    }

    fn close_message(&mut self) {
        let Some((role, content)) = self.message.take() else { return };
        let role = match role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        let content = match &*content {
            // A list of what a model has said is an item of an answer, which has an id. A text is none.
            [Piece::Ours(WrittenContent::OutputText(said))] if said.annotations.is_empty() => {
                TextOrParts::Text(said.text)
            }
            _ => TextOrParts::Parts(content),
        };
        let message = WrittenItem::Message { id: None, status: None, role, content };
        self.items.push(Piece::Ours(message));
    }

    fn say(&mut self, role: Role, part: WrittenPart<'a>) {
        self.close_thoughts();
        match &mut self.message {
            Some((_, content)) => content.push(part),
            None => self.message = Some((role, vec![part])),
        }
    }

    fn add(&mut self, item: WrittenItem<'a>) {
        self.close();
        self.items.push(Piece::Ours(item));
    }

    fn part(&mut self, role: Role, part: &'a Part) {
        let is_of_model = role == Role::Assistant;
        match &part.content {
            Content::ToolCall(call) => self.call(call),
            Content::ToolResult(result) => {
                self.losses.note_if(part.cache.is_some(), "cache_control");
                self.result(result);
            }
            Content::Reasoning(thought) => self.thought(thought),
            Content::Opaque { by: Dialect::Responses, json, .. }
                if is_of_model || role == Role::Tool =>
            {
                self.close();
                self.items.push(Piece::Raw(raw(json)));
            }
            Content::Text { text, citations } if is_of_model => {
                self.losses.note_if(part.cache.is_some(), "cache_control");
                let text = content_out::output_text(text, citations, self.losses);
                self.say(role, Piece::Ours(WrittenContent::OutputText(text)));
            }
            Content::Refusal(refusal) if is_of_model => {
                self.say(role, Piece::Ours(WrittenContent::Refusal { refusal }));
            }
            Content::Image { .. } if is_of_model => self.losses.note("image"),
            Content::Audio(_) if is_of_model => self.losses.note("audio"),
            Content::Document(_) if is_of_model => self.losses.note("document"),
            _ => {
                if let Some(written) = content_out::input(part, self.rules, self.losses) {
                    self.say(role, written);
                }
            }
        }
    }

    fn call(&mut self, call: &'a ToolCall) {
        self.losses.note_if(call.signature.is_some(), "reasoning.signature");
        let call_id = self.ids.of_call(call);
        self.kinds.insert(call_id.clone().into_owned(), call.kind);
        let (id, status, namespace) = (None, None, None);
        let (name, text) = (&*call.name, &*call.input);
        self.add(match call.kind {
            CallKind::Function => {
                let arguments = if text.is_empty() { "{}" } else { text }.into();
                WrittenItem::FunctionCall { id, status, call_id, name, namespace, arguments }
            }
            CallKind::Custom => {
                let input = text.into();
                WrittenItem::CustomToolCall { id, status, call_id, name, namespace, input }
            }
        });
    }

    fn result(&mut self, result: &'a ToolResult) {
        self.losses.note_if(result.is_error, "tool_result.is_error");
        let call_id = self.ids.of_result(result);
        let kind = self.kinds.get(&*call_id).copied().unwrap_or(result.kind);
        let output = match &*result.parts {
            [] => TextOrParts::Text(""),
            [Part { content: Content::Text { text, .. }, cache: None }] => TextOrParts::Text(text),
            parts => {
                let write = |part| content_out::input(part, self.rules, self.losses);
                TextOrParts::Parts(parts.iter().filter_map(write).collect())
            }
        };
        self.add(match kind {
            CallKind::Function => WrittenItem::FunctionCallOutput { call_id, output },
            CallKind::Custom => WrittenItem::CustomToolCallOutput { call_id, output },
        });
    }

    /// Thoughts up to the signature are one item. Those of another item's id are another.
    fn thought(&mut self, thought: &'a Reasoning) {
        self.close_message();
        let is_other = |last: &&Reasoning| {
            last.signature.is_some() || (last.id.is_some() && last.id != thought.id)
        };
        if self.thoughts.last().is_some_and(is_other) {
            self.close_thoughts();
        }
        self.thoughts.push(thought);
    }

    /// An item that its maker has not signed is not taken back; except by models that show their
    /// thoughts and do not sign them.
    fn close_thoughts(&mut self) {
        let thoughts = std::mem::take(&mut self.thoughts);
        let Some(last) = thoughts.last() else { return };
        let signed =
            last.signature.as_ref().and_then(|signature| signature.for_maker(Dialect::Responses));
        if signed.is_none() && self.rules.thoughts().is_none() {
            self.losses.note("reasoning");
            return;
        }
        let (mut summary, mut content) = (Vec::new(), Vec::new());
        for thought in &thoughts {
            let text = &*thought.text;
            if text.is_empty() {
                continue;
            }
            // Without a signature the words are all there is.
            if thought.is_summary && signed.is_some() {
                summary.push(SummaryText { text });
            } else {
                content.push(ReasoningText { text });
            }
        }
        if signed.is_none() && content.is_empty() {
            self.losses.note("reasoning");
            return;
        }
        let item = WrittenItem::Reasoning {
            id: last.id.as_deref(),
            status: None,
            summary,
            content,
            encrypted_content: signed.map(Into::into),
        };
        self.items.push(Piece::Ours(item));
    }
}
