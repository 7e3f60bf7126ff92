//! A client's messages, read into turns.

use std::{borrow::Cow, collections::HashMap};

use serde_json::value::RawValue;

use super::{
    details,
    fields_in::{must_be, text, value},
    parts_in,
};
use crate::{
    domain::chat::{
        CallKind, Citation, Content, Dialect, Losses, Part, Place, Reasoning, ReasoningSignature,
        Role, Source, ToolCall, ToolResult, Turn,
    },
    gateway::{
        dialect::{
            object::Fields,
            openai_chat::{
                is_blank,
                wire::{
                    lenient::Items,
                    request_in::{AskedCall, AskedFunctionCall},
                    response_in::{WireAnnotation, WireExtra},
                },
            },
        },
        translate::InvalidRequest,
    },
};

type Invalid<T> = Result<T, InvalidRequest>;

/// Reads the value of `messages`.
pub(super) fn read(raw: &RawValue, losses: &mut Losses) -> Invalid<Vec<Turn>> {
    let items: Vec<&RawValue> = value("messages", raw, "a list of messages")?;
    if items.is_empty() {
        return Err(must_be("messages", "a list of at least one message"));
    }
    let mut reader = Reader { turns: Vec::new(), calls: HashMap::new(), losses };
    for (n, raw) in items.into_iter().enumerate() {
        let path = format!("messages[{n}]");
        let fields: Fields<'_> = value(&path, raw, "an object")?;
        reader.add(&Message { path, fields })?;
    }
    Ok(reader.turns)
}

struct Message<'a> {
    path: String,
    fields: Fields<'a>,
}

impl<'a> Message<'a> {
    fn path_of(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    fn text(&self, field: &str) -> Invalid<Option<Cow<'a, str>>> {
        self.fields.find(field).map(|raw| text(&self.path_of(field), raw)).transpose()
    }

    fn content(&self) -> Invalid<Option<Vec<Part>>> {
        let path = self.path_of("content");
        self.fields.find("content").map(|raw| parts_in::read(&path, raw)).transpose()
    }

    fn needs_content(&self) -> Invalid<Vec<Part>> {
        self.content()?
            .ok_or_else(|| must_be(&self.path_of("content"), "a text or a list of parts"))
    }
}

struct Reader<'l> {
    turns: Vec<Turn>,
    /// What was called by which id, for results that tell only the id.
    calls: HashMap<String, (String, CallKind)>,
    losses: &'l mut Losses,
}

impl Reader<'_> {
    fn add(&mut self, message: &Message<'_>) -> Invalid<()> {
        let what = "developer, system, user, assistant, tool or function";
        let path = message.path_of("role");
        let role = message.text("role")?.ok_or_else(|| must_be(&path, what))?;
        let known: &[&str] = match &*role {
            "system" => {
                self.add_plain(message, Role::System)?;
                &["name"]
            }
            "developer" => {
                self.add_plain(message, Role::Developer)?;
                &["name"]
            }
            "user" => {
                self.add_plain(message, Role::User)?;
                &["name"]
            }
            "assistant" => {
                self.add_assistant(message)?;
                &ASSISTANT_FIELDS
            }
            "tool" => {
                self.add_tool_result(message)?;
                &["tool_call_id", "name"]
            }
            "function" => {
                self.add_function_result(message)?;
                &["name"]
            }
            _ => return Err(must_be(&path, what)),
        };
        for (name, raw) in message.fields.said() {
            if !matches!(name, "role" | "content") && !known.contains(&name) && !is_blank(raw) {
                self.losses.note(format!("messages.{name}"));
            }
        }
        Ok(())
    }

    fn add_plain(&mut self, message: &Message<'_>, role: Role) -> Invalid<()> {
        let parts = message.needs_content()?;
        let name = message.text("name")?.map(Cow::into_owned);
        self.turns.push(Turn { role, name, parts });
        Ok(())
    }

    fn add_tool_result(&mut self, message: &Message<'_>) -> Invalid<()> {
        let id = message.text("tool_call_id")?.filter(|id| !id.is_empty());
        let path = message.path_of("tool_call_id");
        let call_id = id.ok_or_else(|| must_be(&path, "the id of a call"))?.into_owned();
        let called = self.calls.get(&call_id).cloned();
        let name = message.text("name")?.map(Cow::into_owned);
        let (name, kind) = match called {
            Some((called, kind)) => (Some(called), kind),
            None => (name, CallKind::Function),
        };
        let parts = message.content()?.unwrap_or_default();
        self.push_result(ToolResult { call_id, name, kind, parts, is_error: false });
        Ok(())
    }

    fn add_function_result(&mut self, message: &Message<'_>) -> Invalid<()> {
        let name = message.text("name")?.filter(|name| !name.is_empty());
        let name =
            name.ok_or_else(|| must_be(&message.path_of("name"), "the name of a function"))?;
        let parts = message.content()?.unwrap_or_default();
        self.push_result(ToolResult {
            call_id: String::new(),
            name: Some(name.into_owned()),
            kind: CallKind::Function,
            parts,
            is_error: false,
        });
        Ok(())
    }

    /// Results that follow each other are one turn.
    fn push_result(&mut self, result: ToolResult) {
        let part = Part::from(Content::ToolResult(result));
        match self.turns.last_mut() {
            Some(turn) if turn.role == Role::Tool => turn.parts.push(part),
            _ => self.turns.push(Turn::new(Role::Tool, vec![part])),
        }
    }

    fn add_assistant(&mut self, message: &Message<'_>) -> Invalid<()> {
        let mut parts: Vec<Part> = thoughts_of(message, self.losses)?;
        let calls = self.calls_of(message)?;
        let is_silent = calls.is_empty() && parts.is_empty();
        for part in message.content()?.unwrap_or_default() {
            let is_empty = matches!(&part.content, Content::Text { text, .. } if text.is_empty());
            if !is_empty || is_silent {
                parts.push(part);
            }
        }
        add_citations(&mut parts, citations_of(message));
        if let Some(text) = message.text("refusal")?.filter(|text| !text.is_empty()) {
            parts.push(Content::Refusal(text.into_owned()).into());
        }
        if let Some(raw) = message.fields.find("audio") {
            #[derive(serde::Deserialize)]
            struct Audio {
                id: String,
            }
            let audio: Audio = value(&message.path_of("audio"), raw, "an object with an id")?;
            parts.push(Content::Audio(Source::File { by: Dialect::Chat, id: audio.id }).into());
        }
        self.note_signature_of_text(message);
        parts.extend(calls.into_iter().map(|call| Part::from(Content::ToolCall(call))));
        let name = message.text("name")?.map(Cow::into_owned);
        self.turns.push(Turn { role: Role::Assistant, name, parts });
        Ok(())
    }

    fn calls_of(&mut self, message: &Message<'_>) -> Invalid<Vec<ToolCall>> {
        let mut calls = Vec::new();
        if let Some(raw) = message.fields.find("tool_calls") {
            let path = message.path_of("tool_calls");
            let items: Vec<&RawValue> = value(&path, raw, "a list")?;
            for (n, raw) in items.into_iter().enumerate() {
                calls.push(read_call(&format!("{path}[{n}]"), raw)?);
            }
        }
        if let Some(raw) = message.fields.find("function_call") {
            let path = message.path_of("function_call");
            let called: AskedFunctionCall<'_> = value(&path, raw, CALLED)?;
            calls.push(function_call(String::new(), called));
        }
        for call in &calls {
            if !call.id.is_empty() {
                self.calls.insert(call.id.clone(), (call.name.clone(), call.kind));
            }
        }
        Ok(calls)
    }

    /// Google may sign a text too; there is no place for that, and no harm in leaving it out.
    fn note_signature_of_text(&mut self, message: &Message<'_>) {
        let extra = message.fields.find("extra_content");
        let extra: Option<WireExtra<'_>> =
            extra.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let is_signed = extra.and_then(WireExtra::thought_signature).is_some();
        self.losses.note_if(is_signed, "reasoning.signature");
    }
}

const CALLED: &str = "an object with the name and the arguments of what is called";

const ASSISTANT_FIELDS: [&str; 11] = [
    "name",
    "refusal",
    "audio",
    "tool_calls",
    "function_call",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "annotations",
    "extra_content",
    // What openai-python adds to a message that it has parsed.
    "parsed",
];

fn function_call(id: String, called: AskedFunctionCall<'_>) -> ToolCall {
    ToolCall {
        id,
        name: called.name.into_owned(),
        kind: CallKind::Function,
        input: called.arguments.map(|input| input.0.into_owned()).unwrap_or_default(),
        signature: None,
    }
}

fn read_call(path: &str, raw: &RawValue) -> Invalid<ToolCall> {
    let asked: AskedCall<'_> = value(path, raw, CALLED)?;
    let id = asked.id.map(|id| id.0.into_owned()).unwrap_or_default();
    let signature = asked.extra_content.and_then(WireExtra::thought_signature);
    // The place is Google's own: a bare signature there is of Gemini's making.
    let signature = signature.map(|text| ReasoningSignature::from_wire(Dialect::Gemini, &text));
    let call = match (asked.function, asked.custom) {
        (Some(called), _) => function_call(id, called),
        (None, Some(called)) => ToolCall {
            id,
            name: called.name.into_owned(),
            kind: CallKind::Custom,
            input: called.input.map(|input| input.0.into_owned()).unwrap_or_default(),
            signature: None,
        },
        (None, None) => return Err(must_be(path, CALLED)),
    };
    if call.name.is_empty() {
        return Err(must_be(path, CALLED));
    }
    Ok(ToolCall { signature, ..call })
}

/// Entries of `reasoning_details` tell more than the plain fields beside them.
fn thoughts_of(message: &Message<'_>, losses: &mut Losses) -> Invalid<Vec<Part>> {
    if let Some(raw) = message.fields.find("reasoning_details") {
        let entries: Vec<&RawValue> = value(&message.path_of("reasoning_details"), raw, "a list")?;
        let thoughts = details::thoughts(details::entries(&entries, losses).0);
        if !thoughts.is_empty() {
            let parts = thoughts.into_iter().map(|thought| Content::Reasoning(thought).into());
            return Ok(parts.collect());
        }
    }
    for field in ["reasoning_content", "reasoning"] {
        if let Some(text) = message.text(field)?.filter(|text| !text.is_empty()) {
            let thought = Reasoning { text: text.into_owned(), ..Reasoning::default() };
            return Ok(vec![Content::Reasoning(thought).into()]);
        }
    }
    Ok(Vec::new())
}

fn citations_of(message: &Message<'_>) -> Vec<Citation> {
    let raw = message.fields.find("annotations");
    let annotations: Option<Items<WireAnnotation<'_>>> =
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
    annotations.unwrap_or_default().0.into_iter().filter_map(citation_of).collect()
}

pub(super) fn citation_of(annotation: WireAnnotation<'_>) -> Option<Citation> {
    let cited = annotation.url_citation?;
    let place = cited.start_index.0.zip(cited.end_index.0);
    Some(Citation {
        url: Some(cited.url.owned()?),
        title: cited.title.owned(),
        cited_text: cited.content.owned(),
        place: place.map(|(start, end)| Place { start, end }),
        original: None,
    })
}

/// Citations belong to the message as a whole: its last text takes them.
pub(super) fn add_citations(parts: &mut [Part], cited: Vec<Citation>) {
    let texts = parts.iter_mut().rev().filter_map(|part| match &mut part.content {
        Content::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let Some(citations) = { texts }.next() {
        citations.extend(cited);
    }
}
