//! Turns, written as instructions and contents for an upstream.
//!
//! Roles alternate: neighbours of one side are one content, and the results of a step stand together
//! after its calls.

use std::{borrow::Cow, collections::HashMap};

use super::{calls, media, results, signatures::SKIP_VALIDATION};
use crate::{
    domain::{
        chat::{Content, Dialect, Losses, Part, Reasoning, Role, ToolCall, ToolResult, Turn},
        model_rules::GeminiRules,
    },
    gateway::dialect::gemini::{WrittenCall, WrittenContent, WrittenData, WrittenPart},
};

/// The name of a function whose call is nowhere to be found.
const UNKNOWN_FUNCTION: &str = "unknown_function";

/// The instructions that come first, and everything else.
pub(super) fn write<'a>(
    turns: &'a [Turn],
    model: &GeminiRules,
    losses: &mut Losses,
) -> (Option<WrittenContent<'a>>, Vec<WrittenContent<'a>>) {
    let is_instruction = |turn: &Turn| matches!(turn.role, Role::System | Role::Developer);
    let mut leading = turns.iter().take_while(|turn| is_instruction(turn)).count();
    if leading == turns.len() {
        // There must be something to answer to.
        leading = leading.saturating_sub(1);
    }
    let (first, rest) = turns.split_at(leading);
    let mut writer = Writer { names: names_of_calls(turns), model, losses, contents: Vec::new() };
    let mut parts = Vec::new();
    for part in first.iter().flat_map(|turn| &turn.parts) {
        writer.push(part, &mut parts);
    }
    for turn in rest {
        writer.losses.note_if(is_instruction(turn), "messages.role");
        writer.write_turn(turn);
    }
    let instruction = (!parts.is_empty()).then_some(WrittenContent { role: None, parts });
    (instruction, writer.contents)
}

fn names_of_calls(turns: &[Turn]) -> HashMap<&str, &str> {
    let parts = turns.iter().flat_map(|turn| &turn.parts);
    let calls = parts.filter_map(|part| match &part.content {
        Content::ToolCall(call) if !call.id.is_empty() => Some((&*call.id, &*call.name)),
        _ => None,
    });
    calls.collect()
}

struct Writer<'a, 'w> {
    names: HashMap<&'a str, &'a str>,
    model: &'w GeminiRules,
    losses: &'w mut Losses,
    contents: Vec<WrittenContent<'a>>,
}

impl<'a> Writer<'a, '_> {
    fn write_turn(&mut self, turn: &'a Turn) {
        let role = if turn.role == Role::Assistant { "model" } else { "user" };
        let joined = self.contents.last_mut().filter(|last| last.role == Some(role));
        let mut parts = joined.map(|last| std::mem::take(&mut last.parts)).unwrap_or_default();
        let is_new = self.contents.last().is_none_or(|last| last.role != Some(role));
        let from = parts.len();
        for part in &turn.parts {
            self.push(part, &mut parts);
        }
        if turn.role == Role::Tool {
            // What stands beside results must not stand between them.
            parts[from..].sort_by_key(|part| !is_result(part));
        }
        if role == "model" && self.model.wants_signatures() {
            sign_first_call(&mut parts);
        }
        if !is_new {
            let last = self.contents.last_mut().expect("its role was looked at");
            last.parts = parts;
        } else if !parts.is_empty() {
            self.contents.push(WrittenContent { role: Some(role), parts });
        }
    }

    fn push(&mut self, part: &'a Part, parts: &mut Vec<WrittenPart<'a>>) {
        match &part.content {
            Content::Text { text, .. } if text.is_empty() => (),
            Content::Text { text, citations } => {
                self.losses.note_if(!citations.is_empty(), "citations");
                parts.push(WrittenPart::text(text));
            }
            Content::Refusal(text) => {
                self.losses.note("refusal");
                parts.push(WrittenPart::text(text));
            }
            content @ (Content::Image { .. }
            | Content::Document(_)
            | Content::Audio(_)
            | Content::Video(_)) => parts.extend(media::write(content, self.losses)),
            Content::ToolCall(call) => parts.push(self.call(call)),
            Content::ToolResult(result) => self.push_result(result, parts),
            Content::Reasoning(reasoning) => parts.extend(self.reasoning(reasoning)),
            Content::Opaque { by: Dialect::Gemini, json, .. } => {
                parts.push(WrittenPart::Opaque(json));
            }
            Content::Opaque { kind, .. } => self.losses.note(format!("content.{kind}")),
        }
    }

    fn call(&mut self, call: &'a ToolCall) -> WrittenPart<'a> {
        let own =
            call.signature.as_ref().and_then(|signature| signature.for_maker(Dialect::Gemini));
        self.losses.note_if(call.signature.is_some() && own.is_none(), "reasoning.signature");
        let function_call = WrittenCall {
            id: (!call.id.is_empty()).then_some(Cow::Borrowed(&*call.id)),
            name: Cow::Borrowed(&call.name),
            args: calls::args(&call.input, call.kind, self.losses),
        };
        WrittenData {
            function_call: Some(function_call),
            thought_signature: own.map(Cow::Borrowed),
            ..WrittenData::default()
        }
        .into()
    }

    fn push_result(&mut self, result: &'a ToolResult, parts: &mut Vec<WrittenPart<'a>>) {
        let name = result.name.as_deref().or_else(|| self.names.get(&*result.call_id).copied());
        let name = name.unwrap_or(UNKNOWN_FUNCTION);
        let written = results::write(result, name, self.model, self.losses);
        let function_response = Some(written.result);
        parts.push(WrittenData { function_response, ..WrittenData::default() }.into());
        parts.extend(written.beside);
    }

    /// Thoughts of Gemini's, and those that nobody has signed. Those of another maker are dropped.
    fn reasoning(&mut self, reasoning: &'a Reasoning) -> Option<WrittenPart<'a>> {
        let own =
            reasoning.signature.as_ref().and_then(|signature| signature.for_maker(Dialect::Gemini));
        if own.is_none() && (reasoning.signature.is_some() || reasoning.is_redacted) {
            self.losses.note("reasoning");
            return None;
        }
        let is_empty = reasoning.text.is_empty();
        if is_empty && own.is_none() {
            return None;
        }
        let data = WrittenData {
            text: Some(Cow::Borrowed(&reasoning.text)),
            // A signature that comes alone stands in a part with an empty text.
            thought: !is_empty,
            thought_signature: own.map(Cow::Borrowed),
            ..WrittenData::default()
        };
        Some(data.into())
    }
}

fn is_result(part: &WrittenPart<'_>) -> bool {
    matches!(part, WrittenPart::Data(data) if data.function_response.is_some())
}

/// Gives the first call of a step what Gemini 3 takes in the place of a signature, where another
/// model has made it.
fn sign_first_call(parts: &mut [WrittenPart<'_>]) {
    let first = parts.iter_mut().find_map(|part| match part {
        WrittenPart::Data(data) if data.function_call.is_some() => Some(data),
        _ => None,
    });
    if let Some(first) = first {
        first.thought_signature.get_or_insert(Cow::Borrowed(SKIP_VALIDATION));
    }
}
