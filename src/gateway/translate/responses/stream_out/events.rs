//! Events in their order.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::gateway::dialect::responses::{WrittenEvent, WrittenItem};

/// Numbers events and writes them.
#[derive(Debug, Default)]
pub(super) struct Events {
    next: u64,
}

impl Events {
    pub fn write(&mut self, mut event: WrittenEvent<'_>, out: &mut Vec<u8>) {
        event.sequence_number = self.next_number();
        event.write(out);
    }

    /// The next event has this number.
    pub fn go_on_at(&mut self, number: u64) {
        self.next = number;
    }

    pub fn next_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// `response.output_item.added` or `response.output_item.done`.
    pub fn item(&mut self, is_done: bool, place: usize, item: &RawValue, out: &mut Vec<u8>) {
        let kind = if is_done { "response.output_item.done" } else { "response.output_item.added" };
        let output_index = Some(place);
        let item = Some(item);
        self.write(WrittenEvent { kind, output_index, item, ..WrittenEvent::default() }, out);
    }

    pub fn item_added(&mut self, place: usize, item: &WrittenItem<'_>, out: &mut Vec<u8>) {
        self.item(false, place, &raw(item), out);
    }
}

pub(super) fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("texts, numbers and raw values are always JSON")
}
