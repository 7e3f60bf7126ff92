//! The parts of an answer, as a client gets them.
//!
//! No part has an empty text: a chat session of the SDKs, before their version 2, takes that for a
//! broken answer, and forgets the turn. A signature that comes alone stands in a part without text.
//!
//! Source: `_validate_content` in <https://github.com/googleapis/python-genai> `chats.py`,
//! `isValidContent` in <https://github.com/googleapis/js-genai> `chats.ts` (read 2026-11).

use std::borrow::Cow;

use super::{calls, media, signatures};
use crate::{
    domain::chat::{CallKind, Content, Dialect, Losses, ReasoningSignature, ToolCall},
    gateway::dialect::gemini::{WrittenCall, WrittenData, WrittenPart},
};

/// Writes a part. `call_number` counts the calls of the choice and `id` is that of the answer, for
/// calls without an id. `None`, with the loss noted, for what cannot be said.
pub(super) fn write<'a>(
    content: &'a Content,
    id: &str,
    call_number: u32,
    losses: &mut Losses,
) -> Option<WrittenPart<'a>> {
    match content {
        Content::Text { text, .. } => (!text.is_empty()).then(|| WrittenPart::text(text)),
        Content::Refusal(text) => {
            losses.note("refusal");
            (!text.is_empty()).then(|| WrittenPart::text(text))
        }
        Content::Reasoning(reasoning) => match &reasoning.signature {
            Some(signature) if reasoning.text.is_empty() || reasoning.is_redacted => {
                let follows_thoughts = !reasoning.is_redacted && signature.by != Dialect::Gemini;
                Some(signature_part(signature, follows_thoughts))
            }
            signature => {
                let signature = signature.as_ref().map(signatures::to_client);
                (!reasoning.text.is_empty()).then(|| thought(&reasoning.text, signature))
            }
        },
        Content::ToolCall(call) => Some(write_call(call, id, call_number, losses)),
        Content::Image { .. } | Content::Document(_) | Content::Audio(_) | Content::Video(_) => {
            media::write(content, losses)
        }
        Content::Opaque { by: Dialect::Gemini, json, .. } => Some(WrittenPart::Opaque(json)),
        Content::Opaque { kind, .. } => {
            losses.note(format!("content.{kind}"));
            None
        }
        Content::ToolResult(_) => {
            losses.note("content.tool_result");
            None
        }
    }
}

pub(super) fn thought<'a>(
    text: impl Into<Cow<'a, str>>,
    thought_signature: Option<Cow<'a, str>>,
) -> WrittenPart<'a> {
    let text = Some(text.into());
    WrittenData { text, thought: true, thought_signature, ..WrittenData::default() }.into()
}

/// A signature by itself. `is_thought`: it completes the thoughts before it; those that stand in a
/// signature alone have no such mark.
pub(super) fn signature_part(signature: &ReasoningSignature, is_thought: bool) -> WrittenPart<'_> {
    WrittenData {
        thought: is_thought,
        thought_signature: Some(signatures::to_client(signature)),
        ..WrittenData::default()
    }
    .into()
}

fn write_call<'a>(
    call: &'a ToolCall,
    id: &str,
    number: u32,
    losses: &mut Losses,
) -> WrittenPart<'a> {
    losses.note_if(call.kind == CallKind::Custom, "tools.custom");
    let call_id = if call.id.is_empty() {
        Cow::Owned(format!("call_{id}_{number}"))
    } else {
        Cow::Borrowed(&*call.id)
    };
    let function_call = WrittenCall {
        id: Some(call_id),
        name: Cow::Borrowed(&call.name),
        args: calls::args(&call.input, call.kind, losses),
    };
    WrittenData {
        function_call: Some(function_call),
        thought_signature: call.signature.as_ref().map(signatures::to_client),
        ..WrittenData::default()
    }
    .into()
}
