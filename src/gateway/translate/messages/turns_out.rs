//! Turns become the system prompt and messages whose sides alternate.

use std::borrow::Cow;

use super::blocks_out::BlockWriter;
use crate::{
    domain::chat::{Losses, Role, Turn},
    gateway::dialect::messages::{Block, RequestMessage, WireBlock},
};

const USER: &str = "user";
const ASSISTANT: &str = "assistant";

/// What a user says where the conversation does not begin or end with one: a text must not be blank.
const PLACEHOLDER: &str = ".";

#[derive(Debug)]
pub(super) struct Conversation<'a> {
    pub system: Vec<WireBlock<'a>>,
    /// At least one; the first is the user's.
    pub messages: Vec<RequestMessage<'a>>,
}

impl<'a> Conversation<'a> {
    pub fn write(turns: &'a [Turn], writer: &mut BlockWriter) -> Self {
        let mut conversation = Self { system: Vec::new(), messages: Vec::new() };
        for turn in turns {
            conversation.add(turn, writer);
        }
        conversation.put_right(writer);
        conversation
    }

    /// Whether the assistant has begun the answer, and is to go on with it.
    pub fn is_prefilled(&self) -> bool {
        self.messages.last().is_some_and(|message| message.role == ASSISTANT)
    }

    /// Whether tools were called by an assistant that has not shown its thoughts, and their results
    /// are the last that was said.
    pub fn is_within_thoughtless_tool_use(&self) -> bool {
        let [.., assistant, last] = &*self.messages else { return false };
        last.content.iter().any(WireBlock::is_tool_result)
            && assistant.content.iter().any(WireBlock::is_tool_use)
            && !assistant.content.first().is_some_and(WireBlock::is_thinking)
    }

    fn add(&mut self, turn: &'a Turn, writer: &mut BlockWriter) {
        writer.losses.note_if(turn.name.is_some(), "messages.name");
        let mut blocks = writer.blocks(&turn.parts);
        let is_instruction = matches!(turn.role, Role::System | Role::Developer);
        if blocks.is_empty() {
            return;
        }
        if is_instruction && self.messages.is_empty() {
            self.system.append(&mut blocks);
            return;
        }
        writer.losses.note_if(is_instruction, "messages.role");
        let role = if turn.role == Role::Assistant { ASSISTANT } else { USER };
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.content.append(&mut blocks),
            _ => self.messages.push(RequestMessage { role, content: blocks }),
        }
    }

    fn put_right(&mut self, writer: &mut BlockWriter) {
        for message in self.messages.iter_mut().filter(|message| message.role == USER) {
            // Results must be the first after their calls.
            message.content.sort_by_key(|block| !block.is_tool_result());
        }
        if self.messages.first().is_none_or(|first| first.role != USER) {
            writer.losses.note("messages.role");
            self.messages.insert(0, placeholder());
        }
        if self.is_prefilled() {
            self.trim_prefill();
        }
    }

    /// Lets the user have the last word, for models that refuse to go on with an answer: it stays in
    /// view, and they begin another.
    pub fn end_with_user(&mut self, losses: &mut Losses) {
        let waits_for_results = |message: &RequestMessage<'_>| {
            message.content.last().is_some_and(WireBlock::is_tool_use)
        };
        if self.is_prefilled() && !self.messages.last().is_some_and(waits_for_results) {
            losses.note("prefill");
            self.messages.push(placeholder());
        }
    }

    /// What the answer is to begin with must not end in white space.
    fn trim_prefill(&mut self) {
        let last = self.messages.last_mut().and_then(|message| message.content.last_mut());
        if let Some(WireBlock::Known(Block::Text { text, .. })) = last {
            match text {
                Cow::Borrowed(text) => *text = text.trim_end(),
                Cow::Owned(text) => text.truncate(text.trim_end().len()),
            }
        }
    }
}

fn placeholder<'a>() -> RequestMessage<'a> {
    let text = Block::Text { text: PLACEHOLDER.into(), citations: Vec::new(), cache_control: None };
    RequestMessage { role: USER, content: vec![WireBlock::Known(text)] }
}
