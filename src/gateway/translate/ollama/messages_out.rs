//! Turns as messages for an upstream.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{MAX_CALLS, arguments};
use crate::{
    domain::chat::{
        CallKind, Citation, Content, Document, ImageDetail, Losses, Part, Reasoning, Role, Source,
        ToolCall as Call, ToolResult, Turn,
    },
    gateway::dialect::ollama::{CalledFunction, Message, ToolCall},
};

/// Writes messages one after the other.
pub(super) struct Messages<'a, 'l> {
    written: Vec<Message<'a>>,
    /// Ids and names of the calls that have not been answered.
    open: Vec<(&'a str, &'a str)>,
    losses: &'l mut Losses,
}

impl<'a, 'l> Messages<'a, 'l> {
    pub fn write(turns: &'a [Turn], losses: &'l mut Losses) -> Vec<Message<'a>> {
        let mut messages = Self { written: Vec::new(), open: Vec::new(), losses };
        for turn in turns {
            messages.add_turn(turn);
        }
        messages.written
    }

    fn add_turn(&mut self, turn: &'a Turn) {
        self.losses.note_if(turn.name.is_some(), "messages.name");
        let role = match turn.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        if turn.role == Role::Assistant {
            self.open.clear();
        }
        let mut message = Message { role, ..Message::default() };
        let mut has_result = false;
        for part in &turn.parts {
            if let Content::ToolResult(result) = &part.content {
                has_result = true;
                self.losses.note_if(part.cache.is_some(), "cache_control");
                self.add_result(result);
            } else {
                self.add_part(part, &mut message);
            }
        }
        // Results are messages of their own; words beside them are the user's. Of a turn that only
        // another dialect knows, nothing is left to be said.
        let is_own = |part: &Part| matches!(part.content, Content::Opaque { .. });
        if is_empty(&message) && (has_result || turn.parts.iter().all(is_own)) {
            return;
        }
        if role == "tool" {
            message.role = "user";
        }
        self.written.push(message);
    }

    fn add_result(&mut self, result: &'a ToolResult) {
        self.losses.note_if(result.is_error, "tool_result.is_error");
        self.losses.note_if(result.kind == CallKind::Custom, "tools.custom");
        let mut message = Message { role: "tool", ..Message::default() };
        for part in &result.parts {
            self.add_part(part, &mut message);
        }
        let id = result.call_id.as_str();
        let place = match id {
            "" => (!self.open.is_empty()).then_some(0),
            id => self.open.iter().position(|(open, _)| *open == id),
        };
        let call = place.map(|place| self.open.remove(place));
        message.tool_name = result.name.as_deref().or(call.map(|(_, name)| name));
        message.tool_call_id = (!id.is_empty()).then_some(id);
        self.written.push(message);
    }

    fn add_part(&mut self, part: &'a Part, message: &mut Message<'a>) {
        self.losses.note_if(part.cache.is_some(), "cache_control");
        match &part.content {
            Content::Text { text, citations } => self.add_text(text, citations, message),
            Content::Image { source, detail } => {
                let is_special = detail.is_some_and(|detail| detail != ImageDetail::Auto);
                self.losses.note_if(is_special, "image.detail");
                self.add_image(source, message);
            }
            Content::Document(document) => self.add_document(document, message),
            Content::Reasoning(reasoning) => self.add_reasoning(reasoning, message),
            Content::ToolCall(call) => self.add_call(call, message),
            Content::Refusal(text) => {
                self.losses.note("refusal");
                append(&mut message.content, Cow::Borrowed(text), "");
            }
            Content::Audio(_) => self.losses.note("audio"),
            Content::Video(_) => self.losses.note("video"),
            Content::Opaque { kind, .. } => self.losses.note(format!("content.{kind}")),
            Content::ToolResult(_) => self.losses.note("content.tool_result"),
        }
    }

    /// What a model has said in pieces is one text; what others say in pieces are paragraphs.
    fn add_text(&mut self, text: &'a str, citations: &[Citation], message: &mut Message<'a>) {
        self.losses.note_if(!citations.is_empty(), "citations");
        let between = if message.role == "assistant" { "" } else { "\n" };
        append(&mut message.content, Cow::Borrowed(text), between);
    }

    fn add_image(&mut self, source: &'a Source, message: &mut Message<'a>) {
        match source {
            Source::Data { base64, .. } => message.images.push(base64),
            Source::Url(_) => self.losses.note("image.url"),
            Source::File { .. } => self.losses.note("file"),
            Source::Text(_) => self.losses.note("image"),
        }
    }

    /// One of plain text is put in place as text. That is still a loss: it was a file.
    fn add_document(&mut self, document: &'a Document, message: &mut Message<'a>) {
        self.losses.note("document");
        self.losses.note_if(document.citations == Some(true), "document.citations");
        let text = match &document.source {
            Source::Text(text) => Some(Cow::Borrowed(text.as_str())),
            Source::Data { media_type, base64 } if media_type.starts_with("text/") => {
                BASE64_STANDARD
                    .decode(base64)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .map(Cow::Owned)
            }
            _ => None,
        };
        let Some(text) = text else { return };
        for line in [&document.title, &document.context].into_iter().flatten() {
            append(&mut message.content, Cow::Borrowed(line), "\n");
        }
        append(&mut message.content, text, "\n");
    }

    fn add_reasoning(&mut self, reasoning: &'a Reasoning, message: &mut Message<'a>) {
        if reasoning.is_redacted {
            self.losses.note("reasoning");
            return;
        }
        self.losses.note_if(reasoning.signature.is_some(), "reasoning.signature");
        append(&mut message.thinking, Cow::Borrowed(&reasoning.text), "\n\n");
    }

    fn add_call(&mut self, call: &'a Call, message: &mut Message<'a>) {
        self.losses.note_if(call.kind == CallKind::Custom, "tools.custom");
        self.losses.note_if(call.signature.is_some(), "reasoning.signature");
        if self.open.len() < MAX_CALLS {
            self.open.push((&call.id, &call.name));
        }
        message.tool_calls.push(ToolCall {
            id: (!call.id.is_empty()).then_some(Cow::Borrowed(call.id.as_str())),
            function: CalledFunction {
                index: None,
                name: Cow::Borrowed(&call.name),
                arguments: arguments::of_input(&call.input, self.losses),
            },
        });
    }
}

fn is_empty(message: &Message<'_>) -> bool {
    message.content.is_empty()
        && message.thinking.is_empty()
        && message.images.is_empty()
        && message.tool_calls.is_empty()
}

fn append<'a>(whole: &mut Cow<'a, str>, text: Cow<'a, str>, between: &str) {
    if whole.is_empty() {
        *whole = text;
    } else if !text.is_empty() {
        let whole = whole.to_mut();
        whole.push_str(between);
        whole.push_str(&text);
    }
}
