//! The items of a streamed answer that still grow, and the parts of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::gateway::dialect::responses::{ReadEvent, ReadItem, count_of, text_in};

/// Most items that may be open at once, and most parts of one that are told apart.
const MAX_OPEN: usize = 1024;

/// The items that are open, by their place in the output.
#[derive(Debug, Default)]
pub(super) struct OpenItems {
    items: BTreeMap<u64, OpenItem>,
    were_seen: bool,
    /// The place of the one that an event was about last.
    last: u64,
}

/// An item that still grows.
#[derive(Debug, Default)]
pub(super) struct OpenItem {
    pub id: Option<String>,
    /// Of a call that has begun: its number.
    pub call: Option<u32>,
    /// Whether it is of a kind that is kept as it is, and said when it is done.
    pub is_own: bool,
    /// Whether any of its words have been handed on.
    pub is_said: bool,
    /// The part that grows: of which list of its parts, and where in it.
    part: (bool, u64),
    /// Of which parts any words have been handed on.
    said_parts: BTreeSet<(bool, u64)>,
    pub has_logprobs: bool,
    /// How many bytes of it have been handed on, and how many there are at least.
    pub length: usize,
    pub owed: usize,
}

impl OpenItem {
    pub fn new(id: Option<String>, owed: usize) -> Self {
        Self { id, owed, ..Self::default() }
    }

    /// Turns to the part that an event is about, where it says so.
    fn turn_to(&mut self, event: &ReadEvent<'_>) {
        let content = count_of(event.content_index).map(|at| (false, at));
        let at = content.or_else(|| count_of(event.summary_index).map(|at| (true, at)));
        self.part = at.unwrap_or(self.part);
    }

    /// Begins with a part. Where its place is not told, it is the next one.
    pub fn begin_part(&mut self, event: &ReadEvent<'_>) {
        self.part.1 = self.part.1.saturating_add(1);
        self.turn_to(event);
        self.said_parts.remove(&self.part);
        self.has_logprobs = false;
    }

    pub fn is_part_said(&self) -> bool {
        self.said_parts.contains(&self.part)
    }

    /// Takes note of words of the part that grows. `false`: they are not the first.
    pub fn say(&mut self, text: &str) -> bool {
        self.is_said = true;
        self.length += text.len();
        self.said_parts.len() < MAX_OPEN && self.said_parts.insert(self.part)
    }
}

impl OpenItems {
    /// The item that an event is about: at its place, of its id, or the last one. One that has not
    /// been announced is taken as well.
    pub fn about(&mut self, event: &ReadEvent<'_>) -> &mut OpenItem {
        let last = || self.items.keys().next_back().copied();
        self.open_at(self.place_of(event).or_else(last).unwrap_or(0))
    }

    /// The same item, turned to the part that the event is about.
    pub fn turned_to(&mut self, event: &ReadEvent<'_>) -> &mut OpenItem {
        let item = self.about(event);
        item.turn_to(event);
        item
    }

    /// Whether an event is about an item that is said as a whole when it is done.
    pub fn is_of_own(&self, event: &ReadEvent<'_>) -> bool {
        let item = self.place_of(event).and_then(|place| self.items.get(&place));
        item.is_some_and(|item| item.is_own)
    }

    /// The one that an event was about last.
    pub fn last(&mut self) -> &mut OpenItem {
        self.open_at(self.last)
    }

    /// One is announced. Where its place is not told, it comes after all others.
    pub fn begin(&mut self, event: &ReadEvent<'_>, item: OpenItem) {
        let next = self.items.keys().next_back().map_or(0, |place| place.saturating_add(1));
        *self.open_at(count_of(event.output_index).unwrap_or(next)) = item;
    }

    /// `item` is done: what was known of it while it grew.
    pub fn end(&mut self, event: &ReadEvent<'_>, item: &ReadItem<'_>) -> OpenItem {
        self.were_seen = true;
        let id = text_in(item.id);
        let place = count_of(event.output_index).or_else(|| self.of_id(id.as_deref()));
        place.and_then(|place| self.items.remove(&place)).unwrap_or_default()
    }

    /// Whether there was any.
    pub fn were_seen(&self) -> bool {
        self.were_seen
    }

    /// Whether there are words in any that were not handed on.
    pub fn owe_words(&self) -> bool {
        self.items.values().any(|item| item.length < item.owed)
    }

    /// Where the item stands that an event names by its place or its id.
    fn place_of(&self, event: &ReadEvent<'_>) -> Option<u64> {
        count_of(event.output_index).or_else(|| self.of_id(text_in(event.item_id).as_deref()))
    }

    fn of_id(&self, id: Option<&str>) -> Option<u64> {
        let id = id?;
        let mut items = self.items.iter();
        items.find(|(_, item)| item.id.as_deref() == Some(id)).map(|(place, _)| *place)
    }

    fn open_at(&mut self, place: u64) -> &mut OpenItem {
        (self.were_seen, self.last) = (true, place);
        if self.items.len() >= MAX_OPEN && !self.items.contains_key(&place) {
            self.items.pop_first();
        }
        self.items.entry(place).or_default()
    }
}
