//! A client's messages as turns.

use serde_json::value::RawValue;

use super::{MAX_CALLS, images, open_calls::OpenCalls};
use crate::{
    domain::chat::{CallKind, Content, Losses, Part, Reasoning, Role, ToolCall, ToolResult, Turn},
    gateway::translate::{InvalidRequest, fields::Fields},
};

pub(super) fn read(
    messages: &[&RawValue],
    losses: &mut Losses,
) -> Result<Vec<Turn>, InvalidRequest> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut calls = OpenCalls::default();
    for (n, raw) in messages.iter().enumerate() {
        let mut fields = Fields::at(format!("messages[{n}]"), raw)?;
        let role = read_role(&mut fields)?;
        let parts = match role {
            Role::Assistant => read_assistant(&mut fields, &mut calls, losses)?,
            Role::Tool => vec![read_result(&mut fields, &mut calls)?],
            _ => read_words(&mut fields)?,
        };
        fields.note_rest("messages", losses);
        match turns.last_mut() {
            Some(turn) if role == Role::Tool && turn.role == Role::Tool => turn.parts.extend(parts),
            _ => turns.push(Turn::new(role, parts)),
        }
    }
    Ok(turns)
}

/// The server folds case.
fn read_role(fields: &mut Fields<'_>) -> Result<Role, InvalidRequest> {
    let role = fields.text("role")?.unwrap_or_default();
    match role.to_ascii_lowercase().as_str() {
        "system" => Ok(Role::System),
        "developer" => Ok(Role::Developer),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        "tool" => Ok(Role::Tool),
        _ => Err(fields.wrong("role", "system, user, assistant or tool")),
    }
}

/// Pictures first: the server puts them before the text, whatever their order in the JSON.
fn read_words(fields: &mut Fields<'_>) -> Result<Vec<Part>, InvalidRequest> {
    let mut parts = images::read(fields)?;
    let text = fields.text("content")?.unwrap_or_default();
    if !text.is_empty() || parts.is_empty() {
        parts.push(Part::text(text));
    }
    Ok(parts)
}

fn read_assistant(
    fields: &mut Fields<'_>,
    calls: &mut OpenCalls,
    losses: &mut Losses,
) -> Result<Vec<Part>, InvalidRequest> {
    let mut parts = Vec::new();
    if let Some(text) = fields.text("thinking")?.filter(|text| !text.is_empty()) {
        parts.push(Content::Reasoning(Reasoning { text, ..Reasoning::default() }).into());
    }
    parts.extend(images::read(fields)?);
    let text = fields.text("content")?.unwrap_or_default();
    let list = fields.list("tool_calls")?;
    if !text.is_empty() || (parts.is_empty() && list.is_empty()) {
        parts.push(Part::text(text));
    }
    if list.len() > MAX_CALLS {
        return Err(fields.wrong("tool_calls", &format!("a list of at most {MAX_CALLS} calls")));
    }
    calls.begin_message();
    for (n, raw) in list.into_iter().enumerate() {
        let path = fields.path_of(&format!("tool_calls[{n}]"));
        parts.push(Content::ToolCall(read_call(path, raw, calls, losses)?).into());
    }
    Ok(parts)
}

fn read_call(
    path: String,
    raw: &RawValue,
    calls: &mut OpenCalls,
    losses: &mut Losses,
) -> Result<ToolCall, InvalidRequest> {
    let mut fields = Fields::at(path, raw)?;
    let id = fields.text("id")?;
    fields.drop_default("type", "\"function\"");
    let Some(mut function) = fields.object("function")? else {
        return Err(fields.wrong("function", "an object"));
    };
    let Some(name) = function.text("name")?.filter(|name| !name.is_empty()) else {
        return Err(function.wrong("name", "the name of a tool"));
    };
    let input = match function.take("arguments").map(RawValue::get) {
        Some(object) if object.starts_with('{') => object.to_owned(),
        // As OpenAI's clients write it.
        Some(text) if text.starts_with('"') => {
            serde_json::from_str(text).map_err(|_| function.wrong("arguments", "an object"))?
        }
        Some(_) => return Err(function.wrong("arguments", "an object")),
        None => "{}".to_owned(),
    };
    function.take("index");
    function.note_rest("messages.tool_calls.function", losses);
    fields.note_rest("messages.tool_calls", losses);
    let id = calls.add(id, &name);
    Ok(ToolCall { id, name, kind: CallKind::Function, input, signature: None })
}

fn read_result(fields: &mut Fields<'_>, calls: &mut OpenCalls) -> Result<Part, InvalidRequest> {
    let text = fields.text("content")?.unwrap_or_default();
    let id = fields.text("tool_call_id")?.filter(|id| !id.is_empty());
    let name = fields.text("tool_name")?.filter(|name| !name.is_empty());
    let (call_id, name) = calls.answer(id, name);
    let mut parts = images::read(fields)?;
    if !text.is_empty() || parts.is_empty() {
        parts.push(Part::text(text));
    }
    let result = ToolResult { call_id, name, kind: CallKind::Function, parts, is_error: false };
    Ok(Content::ToolResult(result).into())
}
