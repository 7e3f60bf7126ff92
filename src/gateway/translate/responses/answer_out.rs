//! A whole answer, written for a client: as the stream of it would end.

use serde_json::value::{RawValue, to_raw_value};

use super::{
    answer_in::said_in,
    content_out::{output_text, raw},
    echo::{Echo, State},
    namespaces, signatures, stop,
};
use crate::{
    domain::chat::{
        Answer, CallKind, Choice, Content, Dialect, Losses, Reasoning, Source, TokenLogprob,
        ToolCall,
    },
    gateway::{
        dialect::responses::{
            Piece, ReasoningText, SummaryText, TextOrParts, WrittenContent, WrittenItem,
            WrittenLogprob,
        },
        translate::{ResponseContext, tier},
    },
};

const COMPLETED: &str = "completed";

pub(super) fn write(answer: &Answer, shown: &ResponseContext<'_>, losses: &mut Losses) -> Vec<u8> {
    let echo = Echo::of(shown);
    losses.absorb(&answer.losses);
    losses.note_if(answer.choices.len() > 1, "n");
    let none = Choice::default();
    let choice = answer.choices.first().unwrap_or(&none);
    let incomplete_details = stop::write(&choice.stop, said_in(&choice.parts), losses);
    let mut writing = Writing {
        id: shown.id,
        echo: &echo,
        items: Vec::new(),
        message: Vec::new(),
        thoughts: Vec::new(),
        calls: 0,
        status: COMPLETED,
        logprobs: choice.logprobs.as_deref().filter(|_| echo.wants_logprobs),
        losses,
    };
    let status = if incomplete_details.is_none() { COMPLETED } else { "incomplete" };
    for (number, part) in (1..).zip(&choice.parts) {
        // Where an answer is cut, its last item is.
        writing.status = if number == choice.parts.len() { status } else { COMPLETED };
        writing.content(&part.content);
    }
    writing.close(status);
    let logprobs_left = writing.logprobs.is_some();
    let items = writing.items;
    losses.note_if(logprobs_left, "logprobs");
    let tier = answer.service_tier.as_deref();
    let tier = tier.and_then(|tier| tier::for_openai(tier, losses));
    let response = echo.response(State {
        status,
        model: answer.model.as_deref().unwrap_or(shown.model.as_str()),
        service_tier: tier,
        output: items.iter().map(|item| &**item).collect(),
        error: None,
        incomplete_details,
        usage: answer.usage.as_ref().map(Into::into),
    });
    serde_json::to_vec(&response).expect("texts, numbers and raw values are always JSON")
}

struct Writing<'a, 'l> {
    id: &'a str,
    echo: &'a Echo,
    items: Vec<Box<RawValue>>,
    /// The parts of the message that still grows.
    message: Vec<Piece<'a, WrittenContent<'a>>>,
    /// The thoughts of the item that still grows.
    thoughts: Vec<&'a Reasoning>,
    calls: usize,
    /// Of the call that is written.
    status: &'static str,
    /// Until a text has them.
    logprobs: Option<&'a [TokenLogprob]>,
    losses: &'l mut Losses,
}

impl<'a> Writing<'a, '_> {
    fn content(&mut self, content: &'a Content) {
        if !matches!(content, Content::Reasoning(_)) {
            self.close_thoughts();
        }
        match content {
            Content::Text { text, citations } => {
                let mut written = output_text(text, citations, self.losses);
                let logprobs = self.logprobs.take().unwrap_or_default();
                written.logprobs = Some(logprobs.iter().map(WrittenLogprob::from).collect());
                self.message.push(Piece::Ours(WrittenContent::OutputText(written)));
            }
            Content::Refusal(refusal) => {
                self.message.push(Piece::Ours(WrittenContent::Refusal { refusal }));
            }
            Content::Reasoning(thought) => self.thought(thought),
            Content::ToolCall(call) => self.call(call),
            Content::Opaque { by: Dialect::Responses, json, .. } => {
                self.close(COMPLETED);
                self.items.push(raw(json).to_owned());
            }
            Content::Image { source: Source::Data { media_type, base64 }, .. } => {
                self.close(COMPLETED);
                let id = self.item_id("ig");
                let output_format = media_type.strip_prefix("image/").unwrap_or(media_type);
                let (status, result) = (COMPLETED, &**base64);
                self.add(&WrittenItem::ImageGenerationCall {
                    id: &id,
                    status,
                    result,
                    output_format,
                });
            }
            Content::Image { .. } => self.losses.note("image"),
            Content::Audio(_) => self.losses.note("audio"),
            Content::Video(_) => self.losses.note("video"),
            Content::Document(_) => self.losses.note("document"),
            Content::ToolResult(_) => self.losses.note("content.tool_result"),
            Content::Opaque { kind, .. } => self.losses.note(format!("content.{kind}")),
        }
    }

    fn item_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_{}", self.id, self.items.len())
    }

    fn add(&mut self, item: &WrittenItem<'_>) {
        self.items.push(to_raw_value(item).expect("texts and raw values are always JSON"));
    }

    fn close(&mut self, status: &'static str) {
        self.close_thoughts();
        let content = std::mem::take(&mut self.message);
        if !content.is_empty() {
            let id = self.item_id("msg");
            let (id, status, role) = (Some(&*id), Some(status), "assistant");
            let content = TextOrParts::Parts(content);
            self.add(&WrittenItem::Message { id, status, role, content });
        }
    }

    /// Thoughts up to the signature are one item, unless their ids tell them apart.
    fn thought(&mut self, thought: &'a Reasoning) {
        if !self.message.is_empty() {
            self.close(COMPLETED);
        }
        let id = thought.id.as_ref();
        if id.is_some() && self.thoughts.last().is_some_and(|last| last.id.as_ref() != id) {
            self.close_thoughts();
        }
        self.thoughts.push(thought);
        if thought.signature.is_some() {
            self.close_thoughts();
        }
    }

    fn close_thoughts(&mut self) {
        let thoughts = std::mem::take(&mut self.thoughts);
        let Some(last) = thoughts.last() else { return };
        let wants_summary = self.echo.wants_summary;
        let words = |is_summary| {
            let is_shown_so =
                move |thought: &&&Reasoning| (thought.is_summary || wants_summary) == is_summary;
            let said = thoughts.iter().filter(is_shown_so);
            said.map(|thought| &*thought.text).filter(|text| !text.is_empty())
        };
        let id = last.id.clone().unwrap_or_else(|| self.item_id("rs"));
        let encrypted_content = last
            .signature
            .as_ref()
            .map(|signature| signatures::written(signature, last.is_redacted));
        let item = WrittenItem::Reasoning {
            id: Some(&id),
            status: None,
            summary: words(true).map(|text| SummaryText { text }).collect(),
            content: words(false).map(|text| ReasoningText { text }).collect(),
            encrypted_content,
        };
        self.add(&item);
    }

    fn call(&mut self, call: &'a ToolCall) {
        self.close(COMPLETED);
        if let Some(signature) = &call.signature {
            let id = self.item_id("rs");
            self.add(&WrittenItem::Reasoning {
                id: Some(&id),
                status: None,
                summary: Vec::new(),
                content: Vec::new(),
                encrypted_content: Some(signatures::written(signature, false)),
            });
        }
        let call_id = if call.id.is_empty() {
            format!("call_{}_{}", self.id, self.calls).into()
        } else {
            (&*call.id).into()
        };
        self.calls += 1;
        let (name, namespace) = namespaces::shown(&call.name, &self.echo.namespaces);
        let status = Some(self.status);
        match call.kind {
            CallKind::Function => {
                let id = self.item_id("fc");
                let text = if call.input.is_empty() { "{}" } else { &*call.input };
                let (id, arguments) = (Some(&*id), text.into());
                self.add(&WrittenItem::FunctionCall {
                    id,
                    status,
                    call_id,
                    name,
                    namespace,
                    arguments,
                });
            }
            CallKind::Custom => {
                let id = self.item_id("ctc");
                let (id, input) = (Some(&*id), (&*call.input).into());
                self.add(&WrittenItem::CustomToolCall {
                    id,
                    status,
                    call_id,
                    name,
                    namespace,
                    input,
                });
            }
        }
    }
}
