//! The items of a request, read into turns.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    content_in::{id_in, read_content},
    namespaces, signatures,
};
use crate::{
    domain::chat::{
        CallKind, Content, Dialect, Json, Losses, Part, Reasoning, ReasoningSignature, Role,
        ToolCall, ToolResult, Turn,
    },
    gateway::translate::{InvalidRequest, fields::Fields},
};

/// Reads the field `input` and adds its turns.
pub(super) fn read(
    raw: &RawValue,
    turns: &mut Vec<Turn>,
    losses: &mut Losses,
) -> Result<(), InvalidRequest> {
    if raw.get().starts_with('"') {
        turns.push(Turn::new(Role::User, read_content("input", raw, losses)?));
        return Ok(());
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| InvalidRequest::about("input", "input must be a text or a list of items"))?;
    let mut reading = Reading { turns, losses };
    for (n, item) in items.into_iter().enumerate() {
        reading.item(format!("input[{n}]"), item)?;
    }
    Ok(())
}

struct Reading<'r> {
    turns: &'r mut Vec<Turn>,
    losses: &'r mut Losses,
}

impl Reading<'_> {
    fn item(&mut self, path: String, raw: &RawValue) -> Result<(), InvalidRequest> {
        let mut fields = Fields::at(path, raw)?;
        let role = fields.text("role")?;
        let kind = match (fields.text("type")?, &role) {
            (Some(kind), _) => kind,
            (None, Some(_)) => "message".to_owned(),
            (None, None) => "item_reference".to_owned(),
        };
        // Ids and states of items say nothing of a conversation, but where they are looked at below.
        let id = fields.take("id");
        fields.take("status");
        match kind.as_str() {
            "message" => self.message(&mut fields, role.as_deref())?,
            "function_call" => self.call(&mut fields, CallKind::Function)?,
            "custom_tool_call" => self.call(&mut fields, CallKind::Custom)?,
            "function_call_output" => self.result(&mut fields, CallKind::Function)?,
            "custom_tool_call_output" => self.result(&mut fields, CallKind::Custom)?,
            "reasoning" => self.reasoning(&mut fields, id)?,
            _ => {
                let role = role_of(&kind);
                let json = Json::from(raw);
                self.add(role, Content::Opaque { by: Dialect::Responses, kind, json }.into());
                return Ok(());
            }
        }
        fields.note_rest("input", self.losses);
        Ok(())
    }

    /// Adds to the model's turn, or to that of its tools.
    fn add(&mut self, role: Role, part: Part) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.parts.push(part),
            _ => self.turns.push(Turn::new(role, vec![part])),
        }
    }

    fn message(
        &mut self,
        fields: &mut Fields<'_>,
        role: Option<&str>,
    ) -> Result<(), InvalidRequest> {
        let role = match role {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            _ => {
                return Err(fields.wrong("role", "user, assistant, system or developer"));
            }
        };
        let path = fields.path_of("content");
        let Some(content) = fields.take("content") else {
            return Err(fields.wrong("content", "a text or a list of parts"));
        };
        self.losses.note_if(fields.take("phase").is_some(), "messages.phase");
        let parts = read_content(&path, content, self.losses)?;
        if role != Role::Assistant {
            self.turns.push(Turn::new(role, parts));
            return Ok(());
        }
        for part in parts {
            match part.content {
                // Among the items of an answer it could not be told from one of them.
                Content::Opaque { kind, .. } => self.losses.note(format!("content.{kind}")),
                _ => self.add(role, part),
            }
        }
        Ok(())
    }

    fn call(&mut self, fields: &mut Fields<'_>, kind: CallKind) -> Result<(), InvalidRequest> {
        let namespace = fields.text("namespace")?;
        let Some(name) = fields.text("name")?.filter(|name| !name.is_empty()) else {
            return Err(fields.wrong("name", "a text that is not empty"));
        };
        let id = id_in(fields, "call_id")?;
        let input = match kind {
            CallKind::Function => fields.text("arguments")?,
            CallKind::Custom => fields.text("input")?,
        };
        drop_direct_caller(fields);
        let name = namespaces::known(Cow::Owned(name), namespace.as_deref()).into_owned();
        let signature = self.take_signature_of_call();
        let call = ToolCall { id, name, kind, input: input.unwrap_or_default(), signature };
        self.add(Role::Assistant, Content::ToolCall(call).into());
        Ok(())
    }

    /// The signature of the call that comes, where an item for it alone stands before it.
    fn take_signature_of_call(&mut self) -> Option<ReasoningSignature> {
        let turn = self.turns.last_mut().filter(|turn| turn.role == Role::Assistant)?;
        match &turn.parts.last()?.content {
            Content::Reasoning(thought) if signatures::is_of_a_call(thought) => {
                let signature = thought.signature.clone();
                turn.parts.pop();
                signature
            }
            _ => None,
        }
    }

    fn result(&mut self, fields: &mut Fields<'_>, kind: CallKind) -> Result<(), InvalidRequest> {
        let call_id = id_in(fields, "call_id")?;
        let name = fields.text("name")?;
        let namespace = fields.text("namespace")?;
        drop_direct_caller(fields);
        let path = fields.path_of("output");
        let Some(output) = fields.take("output") else {
            return Err(fields.wrong("output", "a text or a list of parts"));
        };
        let parts = read_content(&path, output, self.losses)?;
        let name =
            name.map(|name| namespaces::known(Cow::Owned(name), namespace.as_deref()).into_owned());
        let result = ToolResult { call_id, name, kind, parts, is_error: false };
        self.add(Role::Tool, Content::ToolResult(result).into());
        Ok(())
    }

    /// An item is one part for each text in it; the last of them has the signature.
    fn reasoning(
        &mut self,
        fields: &mut Fields<'_>,
        id: Option<&RawValue>,
    ) -> Result<(), InvalidRequest> {
        let id = id.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let mut thoughts = Vec::new();
        for (list, is_summary) in [("summary", true), ("content", false)] {
            for (n, raw) in fields.list(list)?.into_iter().enumerate() {
                let mut part = Fields::at(format!("{}[{n}]", fields.path_of(list)), raw)?;
                let text = part.text("text")?.unwrap_or_default();
                if !text.is_empty() {
                    let id = id.clone();
                    thoughts.push(Reasoning { text, is_summary, id, ..Reasoning::default() });
                }
            }
        }
        let signed = fields.text("encrypted_content")?.filter(|text| !text.is_empty());
        if let Some(text) = signed {
            let (signature, is_redacted) = signatures::read(&text, !thoughts.is_empty());
            match thoughts.last_mut() {
                Some(last) => last.signature = Some(signature),
                None => thoughts.push(Reasoning {
                    signature: Some(signature),
                    is_redacted,
                    id,
                    ..Reasoning::default()
                }),
            }
        }
        for thought in thoughts {
            self.add(Role::Assistant, Content::Reasoning(thought).into());
        }
        Ok(())
    }
}

/// Whose turn an item belongs to that only this dialect knows.
fn role_of(kind: &str) -> Role {
    if kind.ends_with("_output") || kind == "mcp_approval_response" {
        Role::Tool
    } else {
        Role::Assistant
    }
}

/// The model itself, which is who calls where nothing is said.
fn drop_direct_caller(fields: &mut Fields<'_>) {
    fields.drop_default("caller", r#"{"type":"direct"}"#);
    fields.drop_default("async", "false");
}
