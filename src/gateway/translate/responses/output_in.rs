//! The items of an answer, read into its parts.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{citations, seals};
use crate::{
    domain::chat::{
        CallKind, Content, Dialect, Json, Losses, Part, Reasoning, TokenLogprob, ToolCall,
    },
    gateway::dialect::responses::{ReadItem, ReadPart, elements_of, parse_logprobs, text_in},
};

/// Most items kept of one answer, and most parts of an item.
const MAX_ELEMENTS: usize = 1024;

/// What is read of an answer's items.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub parts: Vec<Part>,
    pub logprobs: Vec<TokenLogprob>,
}

impl Output {
    /// Reads the list `output`.
    pub fn read_all(list: Option<&RawValue>, losses: &mut Losses) -> Self {
        let mut output = Self::default();
        for raw in elements_of(list).into_iter().take(MAX_ELEMENTS) {
            output.read_item(raw, losses);
        }
        output
    }

    /// Reads one item and adds its parts.
    pub fn read_item(&mut self, raw: &RawValue, losses: &mut Losses) {
        let Ok(item) = serde_json::from_str::<ReadItem<'_>>(raw.get()) else { return };
        let kind = text_in(item.kind).unwrap_or_default();
        match &*kind {
            "message" => self.read_message(&item, losses),
            "function_call" => self.add(call(&item, CallKind::Function)),
            "custom_tool_call" => self.add(call(&item, CallKind::Custom)),
            "reasoning" => self.read_reasoning(&item),
            "" => losses.note("content.unnamed"),
            _ => self.add(own(&kind, raw)),
        }
    }

    fn add(&mut self, content: Content) {
        self.parts.push(content.into());
    }

    fn read_message(&mut self, item: &ReadItem<'_>, losses: &mut Losses) {
        // Some servers have a bare text here.
        if let Some(text) = text_in(item.content) {
            self.add(Content::Text { text: text.into_owned(), citations: Vec::new() });
            return;
        }
        for raw in elements_of(item.content).into_iter().take(MAX_ELEMENTS) {
            let Ok(part) = serde_json::from_str::<ReadPart<'_>>(raw.get()) else { continue };
            let kind = text_in(part.kind).unwrap_or_default();
            match &*kind {
                "output_text" | "text" => {
                    self.logprobs.extend(parse_logprobs(part.logprobs));
                    let cited = elements_of(part.annotations).into_iter();
                    self.add(Content::Text {
                        text: text_in(part.text).unwrap_or_default().into_owned(),
                        citations: cited.take(MAX_ELEMENTS).filter_map(citations::read).collect(),
                    });
                }
                "refusal" => {
                    let refusal = text_in(part.refusal).unwrap_or_default();
                    self.add(Content::Refusal(refusal.into_owned()));
                }
                _ => losses.note(format!("content.{kind}")),
            }
        }
    }

    /// An item is one part for each text in it; the last of them has the seal.
    fn read_reasoning(&mut self, item: &ReadItem<'_>) {
        let id = text_in(item.id).map(Cow::into_owned);
        let mut thoughts = Vec::new();
        for (list, is_summary) in [(item.summary, true), (item.content, false)] {
            for raw in elements_of(list).into_iter().take(MAX_ELEMENTS) {
                let Ok(part) = serde_json::from_str::<ReadPart<'_>>(raw.get()) else { continue };
                let text = text_in(part.text).unwrap_or_default().into_owned();
                if !text.is_empty() {
                    let id = id.clone();
                    thoughts.push(Reasoning { text, is_summary, id, ..Reasoning::default() });
                }
            }
        }
        if let Some(text) = text_in(item.encrypted_content).filter(|text| !text.is_empty()) {
            let (seal, is_redacted) = seals::read(&text, !thoughts.is_empty());
            let seal = Some(seal);
            match thoughts.last_mut() {
                Some(last) => last.seal = seal,
                None => {
                    thoughts.push(Reasoning { seal, is_redacted, id, ..Reasoning::default() });
                }
            }
        }
        self.parts.extend(thoughts.into_iter().map(|thought| Content::Reasoning(thought).into()));
    }
}

fn call(item: &ReadItem<'_>, kind: CallKind) -> Content {
    let input = match kind {
        CallKind::Function => item.arguments,
        CallKind::Custom => item.input,
    };
    Content::ToolCall(ToolCall {
        id: item.call_id().unwrap_or_default().into_owned(),
        name: text_in(item.name).unwrap_or_default().into_owned(),
        kind,
        input: input_of(input).into_owned(),
        seal: None,
    })
}

/// A call's input is a text; some servers have the object itself.
pub(super) fn input_of(raw: Option<&RawValue>) -> Cow<'_, str> {
    let bare = |raw: Option<&RawValue>| raw.map(|raw| Cow::Owned(raw.get().to_owned()));
    text_in(raw).or_else(|| bare(raw.filter(|raw| raw.get().starts_with('{')))).unwrap_or_default()
}

pub(super) fn own(kind: &str, raw: &RawValue) -> Content {
    Content::Own { by: Dialect::Responses, kind: kind.to_owned(), json: Json::from(raw) }
}
