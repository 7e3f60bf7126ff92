//! Events that a client has been sent as they came: what is written after them goes on with their items.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Open, Writer, message::OpenMessage, thought::OpenThought};
use crate::gateway::dialect::responses::{RawItem, RawPart, count_of, text_in};

/// What of an event has to be known to go on after it.
#[derive(Debug, Deserialize)]
struct SentEvent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    output_index: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct SentResponse<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
}

impl Writer {
    /// `None`: it cannot go on after such an event.
    pub(super) fn adopt_event(&mut self, data: &[u8]) -> Option<()> {
        let event: SentEvent<'_> = serde_json::from_slice(data).ok()?;
        self.is_begun = true;
        // What is written of an item that is taken over has been sent already.
        let mut sent = Vec::new();
        match &*text_in(event.kind)? {
            "response.created" | "response.in_progress" | "response.queued" => {
                let response: SentResponse<'_> =
                    serde_json::from_str(event.response?.get()).ok()?;
                let created = count_of(response.created_at).and_then(|it| i64::try_from(it).ok());
                self.desk.echo.is_of(text_in(response.id).map(Into::into), created);
            }
            "response.output_item.added" => {
                self.close("completed", &mut sent);
                let item: RawItem<'_> = serde_json::from_str(event.item?.get()).ok()?;
                let place = self.place(event.output_index)?;
                let id = text_in(item.id).unwrap_or_default().into_owned();
                self.open = match &*text_in(item.kind)? {
                    "message" => Open::Message(OpenMessage::adopted(place, id)),
                    "reasoning" => Open::Thought(OpenThought::adopted(place, id)),
                    _ => return None,
                };
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                let part: RawPart<'_> = serde_json::from_str(event.part?.get()).ok()?;
                let kind = text_in(part.kind)?;
                match (&mut self.open, &*kind) {
                    (Open::Message(message), "output_text" | "refusal") => {
                        message.begin_part(kind == "refusal", &mut self.desk, &mut sent);
                    }
                    (Open::Thought(thought), "reasoning_text" | "summary_text") => {
                        thought.begin_part(kind == "summary_text", &mut self.desk, &mut sent);
                        self.thinks_in_summary = Some(kind == "summary_text");
                    }
                    _ => return None,
                }
            }
            "response.output_text.done"
            | "response.refusal.done"
            | "response.reasoning_text.done"
            | "response.reasoning_summary_text.done" => match &mut self.open {
                Open::Message(message) => message.text_is_told(),
                Open::Thought(thought) => thought.text_is_told(),
                Open::Nothing | Open::Calls { .. } => return None,
            },
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                match &mut self.open {
                    Open::Message(message) => message.close_part(&mut self.desk, &mut sent),
                    Open::Thought(thought) => thought.close_part(&mut self.desk, &mut sent),
                    Open::Nothing | Open::Calls { .. } => return None,
                }
            }
            "response.reasoning_text.delta" => self.thinks_in_summary = Some(false),
            "response.reasoning_summary_text.delta" => self.thinks_in_summary = Some(true),
            "response.output_item.done" => {
                self.close("completed", &mut sent);
                let place = self.place(event.output_index)?;
                let item = event.item?.to_owned();
                self.desk.held.put(place, item, false, &mut self.desk.losses);
            }
            _ => {}
        }
        Some(())
    }

    /// The place of an item, and those before it if they are not known.
    fn place(&mut self, output_index: Option<&RawValue>) -> Option<usize> {
        let place = count_of(output_index).and_then(|place| usize::try_from(place).ok());
        self.desk.held.at(place)
    }
}
