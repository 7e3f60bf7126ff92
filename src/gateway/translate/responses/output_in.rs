//! The items of an answer, read into its parts.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{citations, signatures};
use crate::{
    domain::chat::{
        CallKind, Content, Dialect, Json, Losses, Part, Reasoning, TokenLogprob, ToolCall,
    },
    gateway::dialect::{
        responses::{RawItem, RawPart, RawResponse, elements_of, parse_logprobs, text_in},
        unread::{self, Unread},
    },
};

/// Most items kept of one answer, and most parts of an item.
const MAX_ELEMENTS: usize = 1024;

/// What an answer repeats of the request under names that are those of texts, too.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are known")]
struct Settings<'a> {
    #[serde(borrow)]
    format: Option<&'a RawValue>,
    #[serde(borrow)]
    verbosity: Option<&'a RawValue>,
    #[serde(borrow)]
    effort: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<&'a RawValue>,
}

/// What is read of an answer's items.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub parts: Vec<Part>,
    pub logprobs: Vec<TokenLogprob>,
    /// Whether there are words or calls of which this is not all.
    pub has_unread: bool,
}

impl Output {
    /// Reads what a whole answer says.
    pub fn of_response(response: &RawResponse<'_>, losses: &mut Losses) -> Self {
        let mut output = Self::default();
        for raw in output.elements(response.output) {
            output.read_item(raw, losses);
        }
        for raw in [response.text, response.reasoning].into_iter().flatten() {
            match unread::from_str::<Settings<'_>>(raw.get()) {
                Ok((_, unread)) => output.has_unread |= unread.is_text(losses),
                Err(_) => output.leave([Some(raw)]),
            }
        }
        let text = output.text(response.output_text);
        if output.parts.is_empty() && !text.is_empty() {
            output.add(Content::Text { text, citations: Vec::new() });
        } else {
            output.has_unread |= !text.is_empty() && !output.says(&text);
        }
        output
    }

    /// Whether all its texts in one, however they are put together, are this one.
    fn says(&self, text: &str) -> bool {
        let texts = self.parts.iter().filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(text),
            _ => None,
        });
        let is_word = |letter: &char| !letter.is_whitespace();
        texts.flat_map(|text| text.chars()).filter(is_word).eq(text.chars().filter(is_word))
    }

    /// Reads one item and adds its parts.
    pub fn read_item(&mut self, raw: &RawValue, losses: &mut Losses) {
        let Ok((item, unread)) = unread::from_str::<RawItem<'_>>(raw.get()) else {
            return self.leave([Some(raw)]);
        };
        let kind = text_in(item.kind).unwrap_or_default();
        match &*kind {
            "message" => {
                self.read_message(&item, losses);
                self.leave([item.summary, item.arguments, item.input]);
            }
            "function_call" => {
                self.read_call(&item, item.arguments, CallKind::Function);
                self.leave([item.summary, item.content, item.input]);
            }
            "custom_tool_call" => {
                self.read_call(&item, item.input, CallKind::Custom);
                self.leave([item.summary, item.content, item.arguments]);
            }
            "reasoning" => {
                self.read_reasoning(&item, losses);
                self.leave([item.arguments, item.input]);
            }
            "" => {
                losses.note("content.unnamed");
                return self.leave([Some(raw)]);
            }
            _ => return self.add(own(&kind, raw)),
        }
        self.has_unread |= unread.is_text(losses);
    }

    fn add(&mut self, content: Content) {
        self.parts.push(content.into());
    }

    /// Takes note of what is not read.
    fn leave<'a>(&mut self, left: impl IntoIterator<Item = Option<&'a RawValue>>) {
        let is_said = |raw: &RawValue| Unread::in_part(raw.get()) == Unread::Text;
        self.has_unread |= left.into_iter().flatten().any(is_said);
    }

    /// The elements of a list, as many as are kept.
    fn elements<'a>(&mut self, list: Option<&'a RawValue>) -> Vec<&'a RawValue> {
        let mut elements = elements_of(list);
        if elements.is_empty() {
            self.leave([list]);
        }
        let left = elements.split_off(elements.len().min(MAX_ELEMENTS));
        self.leave(left.into_iter().map(Some));
        elements
    }

    fn text(&mut self, raw: Option<&RawValue>) -> String {
        if let Some(text) = text_in(raw) {
            return text.into_owned();
        }
        self.leave([raw]);
        String::new()
    }

    fn read_message(&mut self, item: &RawItem<'_>, losses: &mut Losses) {
        // Some servers have a bare text here.
        if let Some(text) = text_in(item.content) {
            self.add(Content::Text { text: text.into_owned(), citations: Vec::new() });
            return;
        }
        for raw in self.elements(item.content) {
            let Ok((part, unread)) = unread::from_str::<RawPart<'_>>(raw.get()) else {
                self.leave([Some(raw)]);
                continue;
            };
            self.has_unread |= unread.is_text(losses);
            let kind = text_in(part.kind).unwrap_or_default();
            match &*kind {
                "output_text" | "text" => {
                    self.logprobs.extend(parse_logprobs(part.logprobs));
                    let cited = elements_of(part.annotations).into_iter();
                    let citations = cited.take(MAX_ELEMENTS).filter_map(citations::read).collect();
                    let text = self.text(part.text);
                    self.add(Content::Text { text, citations });
                    self.leave([part.refusal]);
                }
                "refusal" => {
                    let refusal = self.text(part.refusal);
                    self.add(Content::Refusal(refusal));
                    self.leave([part.text]);
                }
                _ => {
                    losses.note(format!("content.{kind}"));
                    self.leave([part.text, part.refusal]);
                }
            }
        }
    }

    fn read_call(&mut self, item: &RawItem<'_>, input: Option<&RawValue>, kind: CallKind) {
        let text = input_of(input);
        if text.is_empty() {
            self.leave([input]);
        }
        self.add(Content::ToolCall(ToolCall {
            id: item.call_id().unwrap_or_default().into_owned(),
            name: text_in(item.name).unwrap_or_default().into_owned(),
            kind,
            input: text.into_owned(),
            signature: None,
        }));
    }

    /// An item is one part for each text in it; the last of them has the signature.
    fn read_reasoning(&mut self, item: &RawItem<'_>, losses: &mut Losses) {
        let id = text_in(item.id).map(Cow::into_owned);
        let mut thoughts = Vec::new();
        for (list, is_summary) in [(item.summary, true), (item.content, false)] {
            for raw in self.elements(list) {
                let Ok((part, unread)) = unread::from_str::<RawPart<'_>>(raw.get()) else {
                    self.leave([Some(raw)]);
                    continue;
                };
                self.has_unread |= unread.is_text(losses);
                self.leave([part.refusal]);
                let text = self.text(part.text);
                if !text.is_empty() {
                    let id = id.clone();
                    thoughts.push(Reasoning { text, is_summary, id, ..Reasoning::default() });
                }
            }
        }
        if let Some(text) = text_in(item.encrypted_content).filter(|text| !text.is_empty()) {
            let (signature, is_redacted) = signatures::read(&text, !thoughts.is_empty());
            let signature = Some(signature);
            match thoughts.last_mut() {
                Some(last) => last.signature = signature,
                None => {
                    thoughts.push(Reasoning { signature, is_redacted, id, ..Reasoning::default() });
                }
            }
        }
        self.parts.extend(thoughts.into_iter().map(|thought| Content::Reasoning(thought).into()));
    }
}

/// A call's input is a text; some servers have the object itself.
pub(super) fn input_of(raw: Option<&RawValue>) -> Cow<'_, str> {
    let bare = |raw: Option<&RawValue>| raw.map(|raw| Cow::Owned(raw.get().to_owned()));
    text_in(raw).or_else(|| bare(raw.filter(|raw| raw.get().starts_with('{')))).unwrap_or_default()
}

pub(super) fn own(kind: &str, raw: &RawValue) -> Content {
    Content::Opaque { by: Dialect::Responses, kind: kind.to_owned(), json: Json::from(raw) }
}
