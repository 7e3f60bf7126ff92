//! A stream, written for a client: every event the API has, in its order, and the whole response in
//! the last one.

mod adopted;
mod call;
mod events;
mod held;
mod message;
mod thought;

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use self::{
    call::OpenCall,
    events::{Events, raw},
    held::Held,
    message::OpenMessage,
    thought::OpenThought,
};
use super::{
    content_out,
    echo::{Echo, State},
    error, stop,
};
use crate::{
    domain::chat::{
        CallKind, Citation, Content, Delta, Dialect, Losses, Part, ReasoningSignature, Source,
        StopReason, TokenLogprob, Usage,
    },
    gateway::{
        dialect::responses::{IncompleteDetails, ResponseError, WrittenEvent, WrittenItem},
        translate::{ErrorView, OutputKinds, ResponseContext, WriteStream, tier},
    },
};

/// What all that grows writes with.
#[derive(Debug)]
struct Desk {
    /// Makes the ids of items.
    id: String,
    echo: Echo,
    events: Events,
    held: Held,
    /// Of a text that has not begun.
    early_logprobs: Vec<TokenLogprob>,
    losses: Losses,
}

impl Desk {
    fn item_id(&self, prefix: &str, place: usize) -> String {
        format!("{prefix}_{}_{place}", self.id)
    }
}

/// What grows. Calls may do so side by side; all else alone.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    Message(OpenMessage),
    Thought(OpenThought),
    Calls {
        open: BTreeMap<u32, OpenCall>,
        /// The one that has grown last.
        last: u32,
    },
}

#[derive(Debug)]
pub(super) struct Writer {
    desk: Desk,
    model: String,
    tier: Option<String>,
    is_begun: bool,
    open: Open,
    /// The id of thoughts that have begun without words.
    thought_id: Option<String>,
    said: OutputKinds,
    /// Why the answer is not complete, once that is known.
    incomplete: Option<IncompleteDetails>,
    /// Whether thoughts are told as a summary, where those before them have decided that.
    thinks_in_summary: Option<bool>,
}

impl Writer {
    pub fn new(shown: &ResponseContext<'_>) -> Self {
        let desk = Desk {
            id: shown.id.to_owned(),
            echo: Echo::of(shown),
            events: Events::default(),
            held: Held::default(),
            early_logprobs: Vec::new(),
            losses: Losses::default(),
        };
        Self {
            desk,
            model: shown.model.as_str().to_owned(),
            tier: None,
            is_begun: false,
            open: Open::Nothing,
            thought_id: None,
            said: OutputKinds::default(),
            incomplete: None,
            thinks_in_summary: None,
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.is_begun {
            return;
        }
        self.is_begun = true;
        for kind in ["response.created", "response.in_progress"] {
            self.respond(kind, State { status: "in_progress", ..State::default() }, out);
        }
    }

    /// Writes an event that has the whole response.
    fn respond(&mut self, kind: &'static str, state: State<'_>, out: &mut Vec<u8>) {
        let Desk { echo, events, held, .. } = &mut self.desk;
        let (model, service_tier) = (&*self.model, self.tier.as_deref());
        let response = echo.response(State { model, service_tier, output: held.items(), ..state });
        let response = Some(Box::new(response));
        events.write(WrittenEvent { kind, response, ..WrittenEvent::default() }, out);
    }

    /// Closes whatever grows.
    fn close(&mut self, status: &'static str, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.open) {
            Open::Nothing => (),
            Open::Message(message) => message.close(status, &mut self.desk, out),
            Open::Thought(thought) => thought.close(None, &mut self.desk, out),
            Open::Calls { open, .. } => {
                for call in open.into_values() {
                    call.close(status, &mut self.desk, out);
                }
            }
        }
    }

    /// The message that grows, or a new one.
    fn take_message(&mut self, out: &mut Vec<u8>) -> OpenMessage {
        match std::mem::take(&mut self.open) {
            Open::Message(message) => message,
            other => {
                self.open = other;
                self.close("completed", out);
                OpenMessage::begin(&mut self.desk, out)
            }
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        let mut message = self.take_message(out);
        message.text(text, &mut self.desk, out);
        self.open = Open::Message(message);
    }

    fn refusal(&mut self, text: &str, out: &mut Vec<u8>) {
        self.said.refusal = true;
        let mut message = self.take_message(out);
        message.refusal(text, &mut self.desk, out);
        self.open = Open::Message(message);
    }

    /// An item of several texts is one, as long as it is not signed.
    fn thought_begins(&mut self, id: String, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Thought(thought) if thought.id() == id => thought.complete_part(),
            _ => {
                self.close("completed", out);
                self.thought_id = Some(id);
            }
        }
    }

    fn begin_thought(&mut self, out: &mut Vec<u8>) -> OpenThought {
        OpenThought::begin(self.thought_id.take(), &mut self.desk, out)
    }

    fn reasoning(&mut self, text: &str, is_summary: bool, out: &mut Vec<u8>) {
        let is_summary =
            self.thinks_in_summary.unwrap_or(is_summary || self.desk.echo.wants_summary);
        if !matches!(self.open, Open::Thought(_)) {
            self.close("completed", out);
            self.open = Open::Thought(self.begin_thought(out));
        }
        if let Open::Thought(thought) = &mut self.open {
            thought.say(text, is_summary, &mut self.desk, out);
        }
    }

    fn sign(&mut self, signature: &ReasoningSignature, is_redacted: bool, out: &mut Vec<u8>) {
        let thought = match std::mem::take(&mut self.open) {
            Open::Thought(thought) if thought.may_be_signed() && !is_redacted => thought,
            other => {
                self.open = other;
                self.close("completed", out);
                self.begin_thought(out)
            }
        };
        thought.close(Some((signature, is_redacted)), &mut self.desk, out);
    }

    fn call(&mut self, number: u32, call: Call<'_>, out: &mut Vec<u8>) {
        self.said.calls = true;
        if let Some(signature) = &call.signature {
            self.close("completed", out);
            let thought = OpenThought::begin(None, &mut self.desk, out);
            thought.close(Some((signature, false)), &mut self.desk, out);
        }
        if !matches!(self.open, Open::Calls { .. }) {
            self.close("completed", out);
            self.open = Open::Calls { open: BTreeMap::new(), last: number };
        }
        let call_id = if call.id.is_empty() {
            format!("call_{}_{number}", self.desk.id)
        } else {
            call.id.into_owned()
        };
        let name = call.name.into_owned();
        let begun = OpenCall::begin(call_id, name, call.kind, &mut self.desk, out);
        if let Open::Calls { open, last } = &mut self.open {
            *last = number;
            if let Some(before) = open.insert(number, begun) {
                before.close("completed", &mut self.desk, out);
            }
        }
    }

    fn call_input(&mut self, number: u32, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if let Open::Calls { open, last } = &mut self.open
            && let Some(call) = open.get_mut(&number)
        {
            *last = number;
            call.say(text, &mut self.desk, out);
        }
    }

    fn complete_part(&mut self, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Nothing => (),
            Open::Message(message) => message.complete_part(),
            Open::Thought(thought) => thought.complete_part(),
            Open::Calls { open, last } => {
                if let Some(call) = open.remove(last) {
                    call.close("completed", &mut self.desk, out);
                }
            }
        }
    }

    fn citation(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Message(message) => message.citation(citation, &mut self.desk, out),
            _ => self.desk.losses.note("citations"),
        }
    }

    fn logprobs(&mut self, mut tokens: Vec<TokenLogprob>) {
        if !self.desk.echo.wants_logprobs {
            return;
        }
        let is_taken = match &mut self.open {
            Open::Message(message) => message.logprobs(&mut tokens),
            _ => false,
        };
        if !is_taken {
            self.desk.early_logprobs.append(&mut tokens);
        }
    }

    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        let name = match &part.content {
            Content::Opaque { by: Dialect::Responses, json, .. } if json.is_object() => {
                self.close("completed", out);
                let place = self.desk.held.next_place();
                self.whole_item(place, content_out::raw(json), out);
                return;
            }
            Content::Image { source: Source::Data { media_type, base64 }, .. } => {
                self.close("completed", out);
                let place = self.desk.held.next_place();
                let item = raw(&WrittenItem::ImageGenerationCall {
                    id: &self.desk.item_id("ig", place),
                    status: "completed",
                    result: base64,
                    output_format: media_type.strip_prefix("image/").unwrap_or(media_type),
                });
                self.whole_item(place, &item, out);
                return;
            }
            Content::Image { .. } => "image",
            Content::Audio(_) => "audio",
            Content::Video(_) => "video",
            Content::Document(_) => "document",
            Content::Opaque { kind, .. } => {
                self.desk.losses.note(format!("content.{kind}"));
                return;
            }
            Content::Text { .. }
            | Content::Refusal(_)
            | Content::Reasoning(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_) => "content.whole",
        };
        self.desk.losses.note(name);
    }

    fn whole_item(&mut self, place: usize, item: &RawValue, out: &mut Vec<u8>) {
        let Desk { events, held, losses, .. } = &mut self.desk;
        events.item(false, place, item, out);
        events.item(true, place, item, out);
        held.put(place, item.to_owned(), true, losses);
    }

    /// What is open when an answer stops is as complete as the answer.
    fn stop(&mut self, reason: &StopReason, out: &mut Vec<u8>) {
        self.incomplete = stop::write(reason, self.said, &mut self.desk.losses);
        self.close(self.status(), out);
    }

    fn status(&self) -> &'static str {
        if self.incomplete.is_none() { "completed" } else { "incomplete" }
    }
}

/// A call that begins.
struct Call<'a> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    kind: CallKind,
    signature: Option<ReasoningSignature>,
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        if delta.choice() > 0 {
            self.desk.losses.note("n");
            return;
        }
        match &delta {
            Delta::Begin { model: Some(model), .. } if !self.is_begun => {
                self.model = model.clone().into_owned();
            }
            Delta::Tier(tier) => {
                let word = tier::for_openai(tier, &mut self.desk.losses);
                self.tier = word.map(str::to_owned);
            }
            _ => (),
        }
        if !matches!(delta, Delta::Usage(_) | Delta::Tier(_)) {
            self.begin(out);
        }
        match delta {
            Delta::Text { text, .. } if !text.is_empty() => self.text(&text, out),
            Delta::Refusal { text, .. } if !text.is_empty() => self.refusal(&text, out),
            Delta::ReasoningBegin { id, .. } => self.thought_begins(id.into_owned(), out),
            Delta::Reasoning { text, is_summary, .. } if !text.is_empty() => {
                self.reasoning(&text, is_summary, out);
            }
            Delta::ReasoningSignature { signature, is_redacted, .. } => {
                self.sign(&signature, is_redacted, out);
            }
            Delta::CallBegin { number, id, name, kind, signature, .. } => {
                self.call(number, Call { id, name, kind, signature }, out);
            }
            Delta::CallInput { number, text, .. } => self.call_input(number, &text, out),
            Delta::Citation { citation, .. } => self.citation(&citation, out),
            Delta::Whole { part, .. } => self.whole(&part, out),
            Delta::Logprobs { tokens, .. } => self.logprobs(tokens),
            Delta::Break { .. } => self.complete_part(out),
            Delta::Stop { reason, .. } => self.stop(&reason, out),
            Delta::Text { .. }
            | Delta::Refusal { .. }
            | Delta::Reasoning { .. }
            | Delta::Begin { .. }
            | Delta::Tier(_)
            | Delta::Usage(_) => (),
        }
    }

    fn finish(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.begin(out);
        self.close("completed", out);
        self.desk.losses.note_if(!self.desk.early_logprobs.is_empty(), "logprobs");
        let (status, incomplete_details) = (self.status(), self.incomplete);
        let kind = match incomplete_details {
            None => "response.completed",
            Some(_) => "response.incomplete",
        };
        let usage = Some((&usage).into());
        self.respond(kind, State { status, incomplete_details, usage, ..State::default() }, out);
    }

    fn adopt(&mut self, data: &[u8]) -> bool {
        self.adopt_event(data).is_some()
    }

    fn adopted(&mut self, next_number: u64) {
        self.desk.events.go_on_at(next_number);
    }

    fn fail(&mut self, view: &ErrorView<'_>, out: &mut Vec<u8>) {
        error::write_event(view, self.desk.events.next_number(), out);
        if self.is_begun {
            let error: Option<ResponseError<'_>> = Some(error::of_response(view));
            self.respond(
                "response.failed",
                State { status: "failed", error, ..State::default() },
                out,
            );
        }
    }

    fn losses(&self) -> &Losses {
        &self.desk.losses
    }
}
