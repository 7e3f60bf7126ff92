//! Blocks of content as they stand on the wire, in requests and in answers alike, become parts.

use serde_json::value::RawValue;

use super::{
    super::{InvalidRequest, fields::Fields},
    citations, documents_in,
};
use crate::domain::chat::{
    CacheHint, CallKind, Content, Dialect, Json, Losses, Part, Reasoning, ReasoningSignature,
    Source, ToolCall, ToolResult,
};

/// Where a block stands. Results of tools hold blocks and no results again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Message,
    ToolResult,
}

/// Reads content that is a text or a list of blocks.
pub(super) fn read_content(
    path: &str,
    raw: &RawValue,
    place: Place,
    losses: &mut Losses,
) -> Result<Vec<Part>, InvalidRequest> {
    if raw.get().starts_with('"') {
        return Ok(vec![Part::text(text_at(path, raw)?)]);
    }
    let mut parts = Vec::new();
    for (n, block) in blocks_at(path, raw)?.into_iter().enumerate() {
        read_block(format!("{path}.{n}"), block, place, &mut parts, losses)?;
    }
    Ok(parts)
}

pub(super) fn text_at(path: &str, raw: &RawValue) -> Result<String, InvalidRequest> {
    serde_json::from_str(raw.get())
        .map_err(|_| InvalidRequest::about(path.to_owned(), format!("{path} must be a text")))
}

pub(super) fn blocks_at<'a>(
    path: &str,
    raw: &'a RawValue,
) -> Result<Vec<&'a RawValue>, InvalidRequest> {
    serde_json::from_str(raw.get()).map_err(|_| {
        let message = format!("{path} must be a text or a list of content blocks");
        InvalidRequest::about(path.to_owned(), message)
    })
}

/// Reads one block into the parts it stands for: mostly one. A type that is not known is kept as it
/// is, for upstreams of this dialect.
pub(super) fn read_block(
    path: String,
    raw: &RawValue,
    place: Place,
    parts: &mut Vec<Part>,
    losses: &mut Losses,
) -> Result<(), InvalidRequest> {
    let mut fields = Fields::at(path, raw)?;
    let kind = required_text(&mut fields, "type")?;
    let content = match (&*kind, place) {
        ("text", _) => text(&mut fields)?,
        ("image", _) => Content::Image { source: image_source(&mut fields)?, detail: None },
        ("document", _) => return documents_in::read(fields, parts, losses),
        ("tool_use", Place::Message) => Content::ToolCall(tool_call(&mut fields)?),
        ("tool_result", Place::Message) => Content::ToolResult(tool_result(&mut fields, losses)?),
        ("thinking", Place::Message) => Content::Reasoning(thinking(&mut fields)?),
        ("redacted_thinking", Place::Message) => {
            let signature = ReasoningSignature::from_wire(
                Dialect::Messages,
                &required_text(&mut fields, "data")?,
            );
            let signature = Some(signature);
            Content::Reasoning(Reasoning { signature, is_redacted: true, ..Reasoning::default() })
        }
        _ => {
            parts.push(Content::Opaque { by: Dialect::Messages, kind, json: raw.into() }.into());
            return Ok(());
        }
    };
    let cache = cache_hint(&mut fields, losses)?;
    fields.note_rest("content", losses);
    parts.push(Part { content, cache });
    Ok(())
}

pub(super) fn required_text(fields: &mut Fields<'_>, name: &str) -> Result<String, InvalidRequest> {
    fields.text(name)?.ok_or_else(|| missing(fields, name))
}

pub(super) fn missing(fields: &Fields<'_>, name: &str) -> InvalidRequest {
    let path = fields.path_of(name);
    let message = format!("{path} is required");
    InvalidRequest::about(path, message)
}

/// `cache_control`: the one kind there is, and how long it lives.
pub(super) fn cache_hint(
    fields: &mut Fields<'_>,
    losses: &mut Losses,
) -> Result<Option<CacheHint>, InvalidRequest> {
    let Some(mut control) = fields.object("cache_control")? else { return Ok(None) };
    let is_known = control.text("type")?.is_none_or(|kind| kind == "ephemeral");
    let hint = match control.text("ttl")?.as_deref() {
        _ if !is_known => None,
        None | Some("5m") => Some(CacheHint::FiveMinutes),
        Some("1h") => Some(CacheHint::OneHour),
        Some(_) => None,
    };
    losses.note_if(hint.is_none(), "cache_control");
    Ok(hint)
}

fn text(fields: &mut Fields<'_>) -> Result<Content, InvalidRequest> {
    let text = required_text(fields, "text")?;
    let citations = fields.list("citations")?.into_iter().filter_map(citations::read).collect();
    Ok(Content::Text { text, citations })
}

pub(super) fn image_source(fields: &mut Fields<'_>) -> Result<Source, InvalidRequest> {
    let Some(mut source) = fields.object("source")? else {
        return Err(missing(fields, "source"));
    };
    match &*required_text(&mut source, "type")? {
        "base64" => base64(&mut source),
        "url" => Ok(Source::Url(required_text(&mut source, "url")?)),
        "file" => file(&mut source),
        _ => Err(source.wrong("type", "base64, url or file")),
    }
}

pub(super) fn base64(source: &mut Fields<'_>) -> Result<Source, InvalidRequest> {
    Ok(Source::Data {
        media_type: required_text(source, "media_type")?,
        base64: required_text(source, "data")?,
    })
}

pub(super) fn file(source: &mut Fields<'_>) -> Result<Source, InvalidRequest> {
    let id = required_text(source, "file_id")?;
    Ok(Source::File { by: Dialect::Messages, id })
}

fn tool_call(fields: &mut Fields<'_>) -> Result<ToolCall, InvalidRequest> {
    let id = required_text(fields, "id")?;
    let name = required_text(fields, "name")?;
    let input = fields.take("input").map_or("{}", RawValue::get).to_owned();
    // Called by the model itself, as every call is unless code has called it.
    fields.drop_default("caller", r#"{"type":"direct"}"#);
    Ok(ToolCall { id, name, kind: CallKind::Function, input, signature: None })
}

fn tool_result(fields: &mut Fields<'_>, losses: &mut Losses) -> Result<ToolResult, InvalidRequest> {
    let call_id = required_text(fields, "tool_use_id")?;
    let is_error = fields.flag("is_error")?.unwrap_or(false);
    let parts = match fields.take("content") {
        Some(raw) => read_content(&fields.path_of("content"), raw, Place::ToolResult, losses)?,
        None => Vec::new(),
    };
    Ok(ToolResult { call_id, name: None, kind: CallKind::Function, parts, is_error })
}

fn thinking(fields: &mut Fields<'_>) -> Result<Reasoning, InvalidRequest> {
    let text = required_text(fields, "thinking")?;
    let signature = fields
        .text("signature")?
        .filter(|signature| !signature.is_empty())
        .map(|signature| ReasoningSignature::from_wire(Dialect::Messages, &signature));
    // Responses shows nothing but summaries of its thoughts.
    let is_summary = signature.as_ref().is_some_and(|signature| signature.by == Dialect::Responses);
    Ok(Reasoning { text, is_summary, signature, is_redacted: false, id: None })
}

/// Puts signatures of calls back where they were: a reasoning block that holds nothing but one of Gemini's,
/// directly before a call, carries that of the call.
pub(super) fn return_signatures(parts: Vec<Part>) -> Vec<Part> {
    let mut returned: Vec<Part> = Vec::with_capacity(parts.len());
    for mut part in parts {
        if let Content::ToolCall(call) = &mut part.content
            && let Some(Content::Reasoning(Reasoning { text, signature: Some(signature), .. })) =
                returned.last().map(|part| &part.content)
            && text.is_empty()
            && signature.by == Dialect::Gemini
        {
            call.signature = Some(signature.clone());
            returned.pop();
        }
        returned.push(part);
    }
    returned
}

/// The JSON object that a text is, whatever is in it. `None`: it is none.
pub(super) fn object(text: &str) -> Option<Json> {
    Json::parse(text.trim()).filter(Json::is_object)
}
