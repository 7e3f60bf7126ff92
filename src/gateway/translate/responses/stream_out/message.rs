//! The message of the model that grows.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Desk, events::raw, held::HeldText};
use crate::{
    domain::chat::{Citation, TokenLogprob},
    gateway::{
        dialect::responses::{
            OutputText, Piece, TextOrParts, WrittenContent, WrittenEvent, WrittenItem,
            WrittenLogprob,
        },
        translate::responses::citations,
    },
};

#[derive(Debug)]
pub(super) struct OpenMessage {
    place: usize,
    id: String,
    done: Vec<Box<RawValue>>,
    part: Option<OpenPart>,
}

#[derive(Debug)]
enum OpenPart {
    Text {
        text: HeldText,
        chars: u64,
        annotations: Vec<Box<RawValue>>,
        logprobs: Vec<TokenLogprob>,
        /// Whether no more words may come. Sources of it still may.
        is_complete: bool,
        /// Whether its whole text has been told.
        is_told: bool,
    },
    Refusal {
        text: HeldText,
        is_complete: bool,
        is_told: bool,
    },
}

impl OpenMessage {
    pub fn begin(desk: &mut Desk, out: &mut Vec<u8>) -> Self {
        let place = desk.held.next_place();
        let id = desk.item_id("msg", place);
        let item = WrittenItem::Message {
            id: Some(&id),
            status: Some("in_progress"),
            role: "assistant",
            content: TextOrParts::Parts(Vec::new()),
        };
        desk.events.item_added(place, &item, out);
        Self { place, id, done: Vec::new(), part: None }
    }

    /// One that has been begun by others.
    pub fn adopted(place: usize, id: String) -> Self {
        Self { place, id, done: Vec::new(), part: None }
    }

    fn event(&self, kind: &'static str) -> WrittenEvent<'_> {
        WrittenEvent {
            kind,
            item_id: Some(&self.id),
            output_index: Some(self.place),
            content_index: Some(self.done.len()),
            ..WrittenEvent::default()
        }
    }

    /// A part begins, and the one before it is over.
    pub fn begin_part(&mut self, is_refusal: bool, desk: &mut Desk, out: &mut Vec<u8>) {
        self.close_part(desk, out);
        let content = if is_refusal {
            WrittenContent::Refusal { refusal: "" }
        } else {
            let logprobs = Some(Vec::new());
            WrittenContent::OutputText(OutputText { logprobs, ..OutputText::default() })
        };
        let part = Some(Piece::Ours(content));
        let event = WrittenEvent { part, ..self.event("response.content_part.added") };
        desk.events.write(event, out);
        let (text, is_complete, is_told) = (HeldText::default(), false, false);
        self.part = Some(if is_refusal {
            OpenPart::Refusal { text, is_complete, is_told }
        } else {
            OpenPart::Text {
                text,
                chars: 0,
                annotations: Vec::new(),
                logprobs: std::mem::take(&mut desk.early_logprobs),
                is_complete,
                is_told,
            }
        });
    }

    pub fn text(&mut self, more: &str, desk: &mut Desk, out: &mut Vec<u8>) {
        if !matches!(self.part, Some(OpenPart::Text { is_complete: false, .. })) {
            self.begin_part(false, desk, out);
        }
        if let Some(OpenPart::Text { text, chars, .. }) = &mut self.part {
            *chars += more.chars().count() as u64;
            desk.held.grow(text, more, &mut desk.losses);
        }
        let event = WrittenEvent {
            delta: Some(more),
            logprobs: Some(Vec::new()),
            ..self.event("response.output_text.delta")
        };
        desk.events.write(event, out);
    }

    pub fn refusal(&mut self, more: &str, desk: &mut Desk, out: &mut Vec<u8>) {
        if !matches!(self.part, Some(OpenPart::Refusal { is_complete: false, .. })) {
            self.begin_part(true, desk, out);
        }
        if let Some(OpenPart::Refusal { text, .. }) = &mut self.part {
            desk.held.grow(text, more, &mut desk.losses);
        }
        let event = WrittenEvent { delta: Some(more), ..self.event("response.refusal.delta") };
        desk.events.write(event, out);
    }

    pub fn citation(&mut self, citation: &Citation, desk: &mut Desk, out: &mut Vec<u8>) {
        let Some(OpenPart::Text { chars, annotations, .. }) = &mut self.part else {
            desk.losses.note("citations");
            return;
        };
        let Some(annotation) = citations::write(citation, *chars) else {
            desk.losses.note("citations");
            return;
        };
        let number = annotations.len();
        annotations.push(annotation.clone().into_owned());
        let event = WrittenEvent {
            annotation_index: Some(number),
            annotation: Some(annotation),
            ..self.event("response.output_text.annotation.added")
        };
        desk.events.write(event, out);
    }

    /// `false`: there is no text that they could belong to.
    pub fn logprobs(&mut self, tokens: &mut Vec<TokenLogprob>) -> bool {
        match &mut self.part {
            Some(OpenPart::Text { logprobs, .. }) => {
                logprobs.append(tokens);
                true
            }
            _ => false,
        }
    }

    /// The whole text of the part has been told by others.
    pub fn text_is_told(&mut self) {
        if let Some(
            OpenPart::Text { is_complete, is_told, .. }
            | OpenPart::Refusal { is_complete, is_told, .. },
        ) = &mut self.part
        {
            (*is_complete, *is_told) = (true, true);
        }
    }

    /// The part is complete: the next words begin another.
    pub fn complete_part(&mut self) {
        if let Some(OpenPart::Text { is_complete, .. } | OpenPart::Refusal { is_complete, .. }) =
            &mut self.part
        {
            *is_complete = true;
        }
    }

    pub fn close_part(&mut self, desk: &mut Desk, out: &mut Vec<u8>) {
        let content = match self.part.take() {
            None => return,
            Some(OpenPart::Text { text, annotations, logprobs, is_told, .. }) => {
                let text = text.as_str();
                let shown = || logprobs.iter().map(WrittenLogprob::from).collect();
                if !is_told {
                    let event = WrittenEvent {
                        text: Some(text),
                        logprobs: Some(shown()),
                        ..self.event("response.output_text.done")
                    };
                    desk.events.write(event, out);
                }
                let annotations = annotations.iter().map(|raw| Cow::Borrowed(&**raw)).collect();
                let part = OutputText { text, annotations, logprobs: Some(shown()) };
                raw(&WrittenContent::OutputText(part))
            }
            Some(OpenPart::Refusal { text, is_told, .. }) => {
                let refusal = text.as_str();
                if !is_told {
                    let event = WrittenEvent {
                        refusal: Some(refusal),
                        ..self.event("response.refusal.done")
                    };
                    desk.events.write(event, out);
                }
                raw(&WrittenContent::Refusal { refusal })
            }
        };
        let part = Some(Piece::Raw(&content));
        let event = WrittenEvent { part, ..self.event("response.content_part.done") };
        desk.events.write(event, out);
        self.done.push(content);
    }

    pub fn close(mut self, status: &'static str, desk: &mut Desk, out: &mut Vec<u8>) {
        self.close_part(desk, out);
        let done = self.done.iter().map(|part| Piece::Raw(part));
        let item = raw(&WrittenItem::Message {
            id: Some(&self.id),
            status: Some(status),
            role: "assistant",
            content: TextOrParts::Parts(done.collect()),
        });
        desk.events.item(true, self.place, &item, out);
        desk.held.put(self.place, item, false, &mut desk.losses);
    }
}
