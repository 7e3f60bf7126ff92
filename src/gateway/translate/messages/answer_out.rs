//! A whole answer becomes a message for a client.

use std::borrow::Cow;

use super::{
    super::{ResponseContext, tier},
    blocks_out::{input_object, wrapped_input},
    citations, stop,
};
use crate::{
    domain::chat::{
        Answer, CallKind, Choice, Citation, Content, Dialect, Json, Losses, Part, Reasoning,
        ReasoningSignature, ToolCall, Usage,
    },
    gateway::dialect::messages::{Block, WireBlock, WireMessage, WireUsage},
};

pub(super) fn write(answer: &Answer, shown: &ResponseContext<'_>, losses: &mut Losses) -> Vec<u8> {
    losses.note_if(answer.choices.len() > 1, "n");
    let nothing = Choice::default();
    let choice = answer.choices.first().unwrap_or(&nothing);
    losses.note_if(choice.logprobs.is_some(), "logprobs");
    let mut blocks = ShownBlocks { id: shown.id, calls: 0, blocks: Vec::new(), losses };
    for part in &choice.parts {
        blocks.add(part);
    }
    let ShownBlocks { calls, blocks: content, losses, .. } = blocks;
    let has_refusal = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let tier = answer.service_tier.as_deref();
    let tier = tier.and_then(|tier| tier::for_anthropic(tier, losses));
    let usage = answer.usage.unwrap_or_else(|| Usage { is_estimated: true, ..Usage::default() });
    let message = WireMessage {
        id: &format!("msg_{}", shown.id),
        kind: "message",
        role: "assistant",
        model: answer.model.as_deref().unwrap_or(shown.model.as_str()),
        content,
        end: stop::write(&choice.stop, calls > 0, has_refusal, losses),
        usage: WireUsage::new(&usage, tier),
    };
    serde_json::to_vec(&message).expect("every field is JSON")
}

struct ShownBlocks<'a, 'l> {
    id: &'a str,
    calls: u32,
    blocks: Vec<WireBlock<'a>>,
    losses: &'l mut Losses,
}

impl<'a> ShownBlocks<'a, '_> {
    fn add(&mut self, part: &'a Part) {
        match &part.content {
            Content::Text { text, citations } => self.text(text, citations),
            Content::Refusal(text) => self.text(text, &[]),
            Content::Reasoning(reasoning) => self.reasoning(reasoning),
            Content::ToolCall(call) => self.call(call),
            Content::Opaque { by: Dialect::Messages, json, .. } => {
                self.blocks.push(WireBlock::Opaque(json));
            }
            other => self.losses.note(name_of_lost(other)),
        }
    }

    fn text(&mut self, text: &'a str, citations: &'a [Citation]) {
        let said: Vec<_> = citations.iter().filter_map(citations::for_client).collect();
        self.losses.note_if(said.len() < citations.len(), "citations");
        self.losses.note_if(citations.iter().any(citations::loses_place), "citations.place");
        if text.is_empty() && said.is_empty() {
            return;
        }
        self.push(Block::Text { text: text.into(), citations: said, cache_control: None });
    }

    fn reasoning(&mut self, reasoning: &'a Reasoning) {
        let signature = reasoning.signature.as_ref().map(wire_signature);
        match signature {
            Some(data) if reasoning.is_redacted => self.push(Block::RedactedThinking { data }),
            None if reasoning.text.is_empty() => (),
            signature => self.thinking(&reasoning.text, signature.unwrap_or_default()),
        }
    }

    /// A call's own signature stands in a thinking block before it.
    fn call(&mut self, call: &'a ToolCall) {
        if let Some(signature) = &call.signature {
            self.thinking("", wire_signature(signature));
        }
        let (input, is_exact) = match call.kind {
            CallKind::Function => input_object(&call.input),
            CallKind::Custom => (wrapped_input(&call.input), false),
        };
        self.losses.note_if(!is_exact, "tool_call.input");
        self.losses.note_if(call.kind == CallKind::Custom, "tools.custom");
        let id = call_id(&call.id, self.id, self.calls);
        self.calls += 1;
        self.push(Block::ToolUse { id, name: &call.name, input, cache_control: None });
    }

    fn thinking(&mut self, thinking: &'a str, signature: Cow<'a, str>) {
        self.push(Block::Thinking { thinking, signature });
    }

    fn push(&mut self, block: Block<'a>) {
        self.blocks.push(WireBlock::Known(block));
    }
}

pub(super) fn wire_signature(signature: &ReasoningSignature) -> Cow<'_, str> {
    signature.to_wire(Dialect::Messages)
}

/// The id of a call, made from its number where the upstream gave none.
pub(super) fn call_id<'a>(id: &'a str, shown_id: &str, number: u32) -> Cow<'a, str> {
    if id.is_empty() { format!("toolu_{shown_id}_{number}").into() } else { id.into() }
}

/// What is noted of a part of an answer that has no block here.
pub(super) fn name_of_lost(content: &Content) -> Cow<'static, str> {
    match content {
        Content::Text { .. } => "content.text".into(),
        Content::Image { .. } => "image".into(),
        Content::Document(_) => "document".into(),
        Content::Audio(_) => "audio".into(),
        Content::Video(_) => "video".into(),
        Content::ToolCall(_) => "content.tool_use".into(),
        Content::ToolResult(_) => "content.tool_result".into(),
        Content::Reasoning(_) => "reasoning".into(),
        Content::Refusal(_) => "refusal".into(),
        Content::Opaque { kind, .. } => format!("content.{kind}").into(),
    }
}

/// A part that is not looked into, as the block it is. `None`: it has no block here.
pub(super) fn own_block(part: &Part) -> Option<&Json> {
    match &part.content {
        Content::Opaque { by: Dialect::Messages, json, .. } => Some(json),
        _ => None,
    }
}
