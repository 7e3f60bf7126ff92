//! Messages and the system prompt become turns.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::{
    super::{InvalidRequest, fields::Fields},
    blocks_in::{Place, missing, read_content, required_text, return_signatures},
};
use crate::domain::chat::{CacheHint, Content, Losses, Part, Role, Turn};

/// Reads `system` and `messages`, in this order.
pub(super) fn read(
    body: &mut Fields<'_>,
    losses: &mut Losses,
) -> Result<Vec<Turn>, InvalidRequest> {
    let mut turns = Vec::new();
    if let Some(system) = body.take("system") {
        let parts = read_content("system", system, Place::Message, losses)?;
        push(&mut turns, Role::System, parts);
    }
    let messages = body.list("messages")?;
    if messages.is_empty() {
        return Err(InvalidRequest::about("messages", "messages needs at least one message"));
    }
    for (n, message) in messages.into_iter().enumerate() {
        read_message(format!("messages.{n}"), message, &mut turns, losses)?;
    }
    name_results(&mut turns);
    Ok(turns)
}

fn read_message(
    path: String,
    raw: &RawValue,
    turns: &mut Vec<Turn>,
    losses: &mut Losses,
) -> Result<(), InvalidRequest> {
    let mut fields = Fields::at(path, raw)?;
    let role = match &*required_text(&mut fields, "role")? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(fields.wrong("role", "user, assistant or system")),
    };
    let Some(content) = fields.take("content") else { return Err(missing(&fields, "content")) };
    let parts = read_content(&fields.path_of("content"), content, Place::Message, losses)?;
    fields.note_rest("messages", losses);
    match role {
        Role::User => split_results(turns, parts),
        Role::Assistant => push(turns, role, return_signatures(parts)),
        _ => push(turns, role, parts),
    }
    Ok(())
}

/// Results of tools stand in a turn of their own, in the order they came.
fn split_results(turns: &mut Vec<Turn>, parts: Vec<Part>) {
    let mut side = Vec::new();
    let mut is_results = false;
    for part in parts {
        let is_result = matches!(part.content, Content::ToolResult(_));
        if is_result != is_results {
            push(turns, role_of(is_results), std::mem::take(&mut side));
            is_results = is_result;
        }
        side.push(part);
    }
    push(turns, role_of(is_results), side);
}

fn role_of(is_results: bool) -> Role {
    if is_results { Role::Tool } else { Role::User }
}

fn push(turns: &mut Vec<Turn>, role: Role, parts: Vec<Part>) {
    if !parts.is_empty() {
        turns.push(Turn::new(role, parts));
    }
}

/// Other dialects want the name of the tool with its result.
fn name_results(turns: &mut [Turn]) {
    let mut names: HashMap<String, String> = HashMap::new();
    for part in turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match &mut part.content {
            Content::ToolCall(call) => {
                names.insert(call.id.clone(), call.name.clone());
            }
            Content::ToolResult(result) => result.name = names.get(&result.call_id).cloned(),
            _ => (),
        }
    }
}

/// `cache_control` of the whole request stands for one on the last part that can have it.
pub(super) fn cache_last(turns: &mut [Turn], hint: CacheHint) {
    let last = turns
        .iter_mut()
        .flat_map(|turn| &mut turn.parts)
        .rev()
        .find(|part| !matches!(part.content, Content::Reasoning(_) | Content::Opaque { .. }));
    if let Some(part) = last {
        part.cache.get_or_insert(hint);
    }
}
