//! The item of thoughts that grows.

use super::{Desk, events::raw, held::HeldText};
use crate::{
    domain::chat::ReasoningSignature,
    gateway::{
        dialect::responses::{
            Piece, ReasoningText, SummaryText, WrittenContent, WrittenEvent, WrittenItem,
        },
        translate::responses::signatures,
    },
};

#[derive(Debug)]
pub(super) struct OpenThought {
    place: usize,
    id: String,
    summary: Vec<HeldText>,
    content: Vec<HeldText>,
    part: Option<OpenPart>,
}

#[derive(Debug)]
struct OpenPart {
    text: HeldText,
    is_summary: bool,
    is_complete: bool,
    /// Whether its whole text has been told.
    is_told: bool,
}

impl OpenThought {
    /// `id`: where its maker has given it one.
    pub fn begin(id: Option<String>, desk: &mut Desk, out: &mut Vec<u8>) -> Self {
        let place = desk.held.next_place();
        let id = id.unwrap_or_else(|| desk.item_id("rs", place));
        let item = WrittenItem::Reasoning {
            id: Some(&id),
            status: None,
            summary: Vec::new(),
            content: Vec::new(),
            encrypted_content: None,
        };
        desk.events.item_added(place, &item, out);
        Self { place, id, summary: Vec::new(), content: Vec::new(), part: None }
    }

    /// One that has been begun by others.
    pub fn adopted(place: usize, id: String) -> Self {
        Self { place, id, summary: Vec::new(), content: Vec::new(), part: None }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a signature that comes now is that of the words before it.
    pub fn may_be_signed(&self) -> bool {
        self.part.as_ref().is_some_and(|part| !part.is_complete)
    }

    /// The part is complete: the next words begin another. One without words has just begun.
    pub fn complete_part(&mut self) {
        if let Some(part) = self.part.as_mut().filter(|part| !part.text.as_str().is_empty()) {
            part.is_complete = true;
        }
    }

    /// The whole text of the part has been told by others.
    pub fn text_is_told(&mut self) {
        if let Some(part) = &mut self.part {
            (part.is_complete, part.is_told) = (true, true);
        }
    }

    /// An event about the part that grows.
    fn event(&self, is_summary: bool, kind: &'static str) -> WrittenEvent<'_> {
        WrittenEvent {
            kind,
            item_id: Some(&self.id),
            output_index: Some(self.place),
            summary_index: is_summary.then_some(self.summary.len()),
            content_index: (!is_summary).then_some(self.content.len()),
            ..WrittenEvent::default()
        }
    }

    /// A part begins, and the one before it is over.
    pub fn begin_part(&mut self, is_summary: bool, desk: &mut Desk, out: &mut Vec<u8>) {
        self.close_part(desk, out);
        let kind = if is_summary {
            "response.reasoning_summary_part.added"
        } else {
            "response.content_part.added"
        };
        let part = Some(Piece::Ours(part_of("", is_summary)));
        desk.events.write(WrittenEvent { part, ..self.event(is_summary, kind) }, out);
        let text = HeldText::default();
        self.part = Some(OpenPart { text, is_summary, is_complete: false, is_told: false });
    }

    pub fn say(&mut self, more: &str, is_summary: bool, desk: &mut Desk, out: &mut Vec<u8>) {
        let goes_on = self
            .part
            .as_ref()
            .is_some_and(|part| part.is_summary == is_summary && !part.is_complete);
        if !goes_on {
            self.begin_part(is_summary, desk, out);
        }
        if let Some(part) = &mut self.part {
            desk.held.grow(&mut part.text, more, &mut desk.losses);
        }
        let kind = if is_summary {
            "response.reasoning_summary_text.delta"
        } else {
            "response.reasoning_text.delta"
        };
        let event = WrittenEvent { delta: Some(more), ..self.event(is_summary, kind) };
        desk.events.write(event, out);
    }

    pub fn close_part(&mut self, desk: &mut Desk, out: &mut Vec<u8>) {
        let Some(OpenPart { text, is_summary, is_told, .. }) = self.part.take() else { return };
        let (text_done, part_done) = if is_summary {
            ("response.reasoning_summary_text.done", "response.reasoning_summary_part.done")
        } else {
            ("response.reasoning_text.done", "response.content_part.done")
        };
        if !is_told {
            let said = Some(text.as_str());
            let event = WrittenEvent { text: said, ..self.event(is_summary, text_done) };
            desk.events.write(event, out);
        }
        let part = Some(Piece::Ours(part_of(text.as_str(), is_summary)));
        desk.events.write(WrittenEvent { part, ..self.event(is_summary, part_done) }, out);
        if is_summary { &mut self.summary } else { &mut self.content }.push(text);
    }

    /// `signature`: with whether the thoughts are in it alone.
    pub fn close(
        mut self,
        signature: Option<(&ReasoningSignature, bool)>,
        desk: &mut Desk,
        out: &mut Vec<u8>,
    ) {
        self.close_part(desk, out);
        let summary = self.summary.iter().map(HeldText::as_str);
        let content = self.content.iter().map(HeldText::as_str);
        let item = raw(&WrittenItem::Reasoning {
            id: Some(&self.id),
            status: None,
            summary: summary.map(|text| SummaryText { text }).collect(),
            content: content.map(|text| ReasoningText { text }).collect(),
            encrypted_content: signature
                .map(|(signature, is_redacted)| signatures::written(signature, is_redacted)),
        });
        desk.events.item(true, self.place, &item, out);
        desk.held.put(self.place, item, false, &mut desk.losses);
    }
}

fn part_of(text: &str, is_summary: bool) -> WrittenContent<'_> {
    if is_summary {
        WrittenContent::SummaryText { text }
    } else {
        WrittenContent::ReasoningText { text }
    }
}
