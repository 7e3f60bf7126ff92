//! A call that grows.

use super::{Desk, events::raw, held::HeldText};
use crate::{
    domain::chat::CallKind,
    gateway::{
        dialect::responses::{WrittenEvent, WrittenItem},
        translate::responses::namespaces,
    },
};

#[derive(Debug)]
pub(super) struct OpenCall {
    place: usize,
    id: String,
    call_id: String,
    /// Its name in the common form.
    name: String,
    kind: CallKind,
    input: HeldText,
    has_input: bool,
}

impl OpenCall {
    pub fn begin(
        call_id: String,
        name: String,
        kind: CallKind,
        desk: &mut Desk,
        out: &mut Vec<u8>,
    ) -> Self {
        let place = desk.held.next_place();
        let prefix = match kind {
            CallKind::Function => "fc",
            CallKind::Custom => "ctc",
        };
        let id = desk.item_id(prefix, place);
        let input = HeldText::default();
        let call = Self { place, id, call_id, name, kind, input, has_input: false };
        let item = raw(&call.item("in_progress", desk));
        desk.events.item(false, place, &item, out);
        call
    }

    fn item<'a>(&'a self, status: &'a str, desk: &'a Desk) -> WrittenItem<'a> {
        let (name, namespace) = namespaces::shown(&self.name, &desk.echo.namespaces);
        let (id, status) = (Some(&*self.id), Some(status));
        let (call_id, text) = ((&*self.call_id).into(), self.input.as_str().into());
        match self.kind {
            CallKind::Function => {
                let arguments = text;
                WrittenItem::FunctionCall { id, status, call_id, name, namespace, arguments }
            }
            CallKind::Custom => {
                let input = text;
                WrittenItem::CustomToolCall { id, status, call_id, name, namespace, input }
            }
        }
    }

    fn event(&self, kind: &'static str) -> WrittenEvent<'_> {
        let (output_index, item_id) = (Some(self.place), Some(&*self.id));
        WrittenEvent { kind, output_index, item_id, ..WrittenEvent::default() }
    }

    pub fn say(&mut self, more: &str, desk: &mut Desk, out: &mut Vec<u8>) {
        self.has_input = true;
        desk.held.grow(&mut self.input, more, &mut desk.losses);
        let kind = match self.kind {
            CallKind::Function => "response.function_call_arguments.delta",
            CallKind::Custom => "response.custom_tool_call_input.delta",
        };
        let event = WrittenEvent { delta: Some(more), ..self.event(kind) };
        desk.events.write(event, out);
    }

    pub fn close(mut self, status: &'static str, desk: &mut Desk, out: &mut Vec<u8>) {
        if !self.has_input && self.kind == CallKind::Function {
            // A call without arguments has an empty object of them, which clients parse.
            self.say("{}", desk, out);
        }
        let text = Some(self.input.as_str());
        let event = match self.kind {
            CallKind::Function => WrittenEvent {
                name: Some(namespaces::shown(&self.name, &desk.echo.namespaces).0),
                arguments: text,
                ..self.event("response.function_call_arguments.done")
            },
            CallKind::Custom => {
                WrittenEvent { input: text, ..self.event("response.custom_tool_call_input.done") }
            }
        };
        desk.events.write(event, out);
        let item = raw(&self.item(status, desk));
        desk.events.item(true, self.place, &item, out);
        desk.held.put(self.place, item, false, &mut desk.losses);
    }
}
