//! Contents of a client's request, read into turns.

use serde_json::value::RawValue;

use super::{
    compact::compact,
    fields::{self, Fields, wrong},
    media,
    pairing::Pairing,
    results, signatures,
};
use crate::{
    domain::chat::{
        CallKind, Content, Dialect, Json, Losses, Part, Reasoning, Role, ToolCall, ToolResult, Turn,
    },
    gateway::translate::InvalidRequest,
};

/// Kinds of parts that only Gemini knows.
const OWN_KINDS: [&str; 4] = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];

/// Reads the instructions: a content, or, as the SDKs take it too, a text.
pub(super) fn read_instruction(
    raw: &RawValue,
    path: String,
    losses: &mut Losses,
) -> Result<Option<Turn>, InvalidRequest> {
    if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
        return Ok(Some(Turn::new(Role::System, vec![Part::text(text)])));
    }
    let mut fields = fields::at(path, raw)?;
    fields.take("role");
    let mut reader = Reader { pairing: Pairing::default(), losses };
    let mut parts = Vec::new();
    for (path, raw) in fields::placed(&mut fields, "parts")? {
        reader.read_part(path, raw, Role::System, &mut parts)?;
    }
    fields::note_rest(fields, losses);
    Ok((!parts.is_empty()).then(|| Turn::new(Role::System, parts)))
}

pub(super) fn read_contents(
    contents: Vec<(String, &RawValue)>,
    turns: &mut Vec<Turn>,
    losses: &mut Losses,
) -> Result<(), InvalidRequest> {
    let mut reader = Reader { pairing: Pairing::default(), losses };
    for (path, raw) in contents {
        let mut fields = fields::at(path, raw)?;
        let role = match fields.text("role")?.as_deref() {
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model") => Role::Assistant,
            Some("system") => Role::System,
            Some(_) => return Err(wrong(fields.path_of("role"), "user or model")),
        };
        let mut parts = Vec::new();
        for (path, raw) in fields::placed(&mut fields, "parts")? {
            reader.read_part(path, raw, role, &mut parts)?;
        }
        fields::note_rest(fields, reader.losses);
        push_turns(role, parts, turns);
    }
    Ok(())
}

/// Adds what a content holds: results first, as a turn of their own. What the model says in a row is
/// one turn, because a client that has got a stream sends each chunk back as a content.
fn push_turns(role: Role, parts: Vec<Part>, turns: &mut Vec<Turn>) {
    let is_result = |part: &Part| matches!(part.content, Content::ToolResult(_));
    let (results, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_result);
    if !results.is_empty() {
        turns.push(Turn::new(Role::Tool, results));
    }
    if others.is_empty() {
        return;
    }
    match turns.last_mut().filter(|last| role == Role::Assistant && last.role == role) {
        Some(last) => others.into_iter().for_each(|part| push_joined(part, &mut last.parts)),
        None => turns.push(Turn::new(role, others)),
    }
}

/// Adds a part of the model's, joined to the one before it where both are pieces of one.
fn push_joined(part: Part, parts: &mut Vec<Part>) {
    let before = parts.last_mut().map(|part| &mut part.content);
    match (before, part.content) {
        (
            Some(Content::Text { text: before, citations }),
            Content::Text { text, citations: more },
        ) => {
            before.push_str(&text);
            citations.extend(more);
        }
        (Some(Content::Reasoning(before)), Content::Reasoning(after))
            if before.signature.is_none() && !after.is_redacted =>
        {
            before.text.push_str(&after.text);
            before.signature = after.signature;
        }
        (_, content) => parts.push(content.into()),
    }
}

struct Reader<'l> {
    pairing: Pairing,
    losses: &'l mut Losses,
}

impl Reader<'_> {
    fn read_part(
        &mut self,
        path: String,
        raw: &RawValue,
        role: Role,
        parts: &mut Vec<Part>,
    ) -> Result<(), InvalidRequest> {
        let mut fields = fields::at(path, raw)?;
        let is_thought = fields.flag("thought")? == Some(true);
        let signature = fields.text("thoughtSignature")?.filter(|signature| !signature.is_empty());
        let signature = signature.as_deref().map(signatures::from_client);
        let text = fields.text("text")?;
        let is_models = role == Role::Assistant;

        if let Some(call) = fields.object("functionCall")? {
            if !is_models {
                return Err(InvalidRequest::about(
                    call.path().to_owned(),
                    "only the model calls functions",
                ));
            }
            let mut call = self.read_call(call)?;
            call.signature = signature;
            parts.push(Content::ToolCall(call).into());
            fields::note_rest(fields, self.losses);
            return Ok(());
        }
        if let Some(result) = fields.object("functionResponse")? {
            parts.push(Content::ToolResult(self.read_result(result)?).into());
            fields::note_rest(fields, self.losses);
            return Ok(());
        }
        let content = if let Some(blob) = fields.object("inlineData")? {
            Some(self.read_blob(blob)?)
        } else if let Some(file) = fields.object("fileData")? {
            Some(self.read_file(file)?)
        } else if let Some(kind) = OWN_KINDS.into_iter().find(|kind| fields.take(kind).is_some()) {
            let own =
                Content::Opaque { by: Dialect::Gemini, kind: kind.to_owned(), json: raw.into() };
            parts.push(own.into());
            return Ok(());
        } else {
            None
        };
        fields::note_rest(fields, self.losses);
        if is_models && is_thought && content.is_none() {
            let reasoning = Reasoning {
                text: text.unwrap_or_default(),
                is_summary: true,
                signature,
                ..Reasoning::default()
            };
            if reasoning.signature.is_some() || !reasoning.text.is_empty() {
                push_joined(Content::Reasoning(reasoning).into(), parts);
            }
            return Ok(());
        }
        let text = text.filter(|text| !text.is_empty());
        match (content, text) {
            (Some(content), _) => parts.push(content.into()),
            (None, Some(text)) if is_models => push_joined(Part::text(text), parts),
            (None, Some(text)) => parts.push(Part::text(text)),
            (None, None) => (),
        }
        if let Some(signature) = signature.filter(|_| is_models) {
            // What others hide stands in a signature alone.
            let is_redacted = signature.by != Dialect::Gemini;
            let signature = Some(signature);
            let reasoning =
                Reasoning { signature, is_redacted, is_summary: true, ..Reasoning::default() };
            parts.push(Content::Reasoning(reasoning).into());
        }
        Ok(())
    }

    fn read_call(&mut self, mut fields: Fields<'_>) -> Result<ToolCall, InvalidRequest> {
        let id = fields.text("id")?;
        let name = read_name(&mut fields)?;
        let input = match fields.take("args").map(Json::from) {
            Some(args) if args.is_object() => compact(args.as_str()).into_owned(),
            Some(_) => return Err(wrong(fields.path_of("args"), "an object")),
            None => "{}".to_owned(),
        };
        fields::note_rest(fields, self.losses);
        let id = self.pairing.call(id, &name);
        Ok(ToolCall { id, name, kind: CallKind::Function, input, signature: None })
    }

    fn read_result(&mut self, mut fields: Fields<'_>) -> Result<ToolResult, InvalidRequest> {
        let id = fields.text("id")?;
        let name = read_name(&mut fields)?;
        let mut parts = Vec::new();
        let mut is_error = false;
        if let Some(raw) = fields.take("response") {
            let (text, tells_error) = results::read(raw, fields.path_of("response"))?;
            is_error = tells_error;
            parts.push(Part::text(text));
        }
        for (path, raw) in fields::placed(&mut fields, "parts")? {
            let mut part = fields::at(path, raw)?;
            if let Some(blob) = part.object("inlineData")? {
                parts.push(self.read_blob(blob)?.into());
            } else if let Some(file) = part.object("fileData")? {
                parts.push(self.read_file(file)?.into());
            }
            fields::note_rest(part, self.losses);
        }
        fields::note_rest(fields, self.losses);
        let call_id = self.pairing.result(id, &name);
        Ok(ToolResult { call_id, name: Some(name), kind: CallKind::Function, parts, is_error })
    }

    fn read_blob(&mut self, mut fields: Fields<'_>) -> Result<Content, InvalidRequest> {
        let media_type = fields.text("mimeType")?;
        let data = fields.text("data")?.unwrap_or_default();
        let title = fields.text("displayName")?;
        fields::note_rest(fields, self.losses);
        Ok(media::of_blob(media_type.as_deref(), &data, title.as_deref()))
    }

    fn read_file(&mut self, mut fields: Fields<'_>) -> Result<Content, InvalidRequest> {
        let media_type = fields.text("mimeType")?;
        let uri = fields.text("fileUri")?.filter(|uri| !uri.is_empty());
        let uri =
            uri.ok_or_else(|| wrong(fields.path_of("fileUri"), "a string that is not empty"))?;
        let title = fields.text("displayName")?;
        fields::note_rest(fields, self.losses);
        Ok(media::of_file(media_type.as_deref(), &uri, title.as_deref()))
    }
}

fn read_name(fields: &mut Fields<'_>) -> Result<String, InvalidRequest> {
    let name = fields.text("name")?.filter(|name| !name.is_empty());
    name.ok_or_else(|| wrong(fields.path_of("name"), "a string that is not empty"))
}
