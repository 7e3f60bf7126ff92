//! What a stream's last events repeat of it, within a bound.

use serde_json::value::RawValue;

use crate::domain::chat::Losses;

/// Most bytes of an answer that are held until its end.
const MAX_HELD: usize = 16 * 1024 * 1024;

/// Most items of an answer whose places others have given.
const MAX_ITEMS: usize = 4096;

/// A text that still grows. Empty once it has outgrown the bound: a part of it would not be it.
#[derive(Debug, Default)]
pub(super) struct HeldText {
    text: String,
    is_left_out: bool,
}

impl HeldText {
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The items of an answer, by their places, and how much is held of it all.
#[derive(Debug, Default)]
pub(super) struct Held {
    items: Vec<Option<Box<RawValue>>>,
    bytes: usize,
}

impl Held {
    /// The place of the next item.
    pub fn next_place(&mut self) -> usize {
        self.items.push(None);
        self.items.len() - 1
    }

    /// A place that another has given, or else the next one. `None`: no answer has so many items.
    pub fn at(&mut self, place: Option<usize>) -> Option<usize> {
        let place = place.unwrap_or(self.items.len());
        if place >= MAX_ITEMS {
            return None;
        }
        self.items.resize(self.items.len().max(place + 1), None);
        Some(place)
    }

    /// Whether so many bytes more are held; told as lost where they are not.
    fn takes(&mut self, bytes: usize, losses: &mut Losses) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        let is_over = self.bytes > MAX_HELD;
        losses.note_if(is_over, "response.output");
        !is_over
    }

    pub fn grow(&mut self, text: &mut HeldText, more: &str, losses: &mut Losses) {
        if !self.takes(more.len(), losses) {
            text.is_left_out = true;
            text.text = String::new();
        }
        if !text.is_left_out {
            text.text.push_str(more);
        }
    }

    /// Holds an item that is done. The texts in it are held already.
    pub fn put(&mut self, place: usize, item: Box<RawValue>, is_new: bool, losses: &mut Losses) {
        if !is_new || self.takes(item.get().len(), losses) {
            self.items[place] = Some(item);
        }
    }

    /// The items that are done, in order.
    pub fn items(&self) -> Vec<&RawValue> {
        self.items.iter().flatten().map(|item| &**item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_outgrows_the_bound_is_left_out_as_a_whole_and_told() {
        let (mut held, mut losses) = (Held::default(), Losses::default());
        let mut text = HeldText::default();
        let piece = "x".repeat(1024 * 1024);
        for _ in 0..16 {
            held.grow(&mut text, &piece, &mut losses);
        }
        assert_eq!(text.as_str().len(), MAX_HELD);
        assert!(losses.is_empty());
        held.grow(&mut text, "y", &mut losses);
        held.grow(&mut text, "z", &mut losses);
        assert_eq!(text.as_str(), "");
        assert_eq!(losses.to_string(), "response.output");
    }
}
