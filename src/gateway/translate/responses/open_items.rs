//! The items of a streamed answer that still grow, what was said of them, and what was announced.

use std::collections::BTreeMap;

use crate::gateway::{
    dialect::responses::{RawEvent, RawItem, count_of, text_in},
    translate::said_text::SaidText,
};

/// Most items that may be open at once, most that are remembered, and most parts of one that are told apart.
const MAX_ITEMS: usize = 1024;

/// What kind of words an event says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Words {
    #[default]
    Text,
    Refusal,
    Thoughts,
    Summary,
    Input,
}

impl Words {
    /// Which of the lists of an item they stand in.
    fn list(self) -> usize {
        match self {
            Self::Text | Self::Refusal => 0,
            Self::Thoughts => 1,
            Self::Summary => 2,
            Self::Input => 3,
        }
    }
}

/// The place of a part, where an event tells it.
fn told_place(words: Words, event: &RawEvent<'_>) -> Option<u64> {
    count_of(match words {
        Words::Text | Words::Refusal | Words::Thoughts => event.content_index,
        Words::Summary => event.summary_index,
        Words::Input => None,
    })
}

/// The items of an answer.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// Those that are open, by their place in the output.
    open: BTreeMap<u64, Item>,
    /// Those that are done.
    done: Vec<(u64, Item)>,
    were_seen: bool,
    /// The place of the one that an event was about last.
    last: u64,
}

/// One item, and what was said of it.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub id: Option<String>,
    /// Of a call that has begun: its number.
    pub call: Option<u32>,
    /// Whether it is of a kind that is kept as it is, and said when it is done.
    pub is_own: bool,
    pub has_logprobs: bool,
    /// The part that grows: the kind of its words, and where it stands in its list.
    part: (Words, u64),
    /// By the list that they stand in: texts with refusals, thoughts, summaries, input.
    lists: [List; 4],
    /// What parts have had before any of them was said.
    announced: Vec<(Words, u64, SaidText)>,
    /// Input that has come for a call that has not begun.
    pub held: SaidText,
}

/// What was said of one list.
#[derive(Debug, Default)]
struct List {
    said: SaidText,
    /// The places of its parts, and where their words begin.
    parts: Vec<(u64, usize)>,
    /// How much of it was said again, by somebody who says all of it.
    repeated: usize,
}

impl List {
    /// A part begins. Past the limit it is taken for more of the last one.
    fn begin(&mut self, place: u64) {
        if self.parts.len() < MAX_ITEMS {
            self.parts.push((place, self.said.len()));
        }
    }

    /// Where the words of a part begin and end.
    fn range_of(&self, place: u64) -> Option<(usize, usize)> {
        let at = self.parts.iter().rposition(|(known, _)| *known == place)?;
        let end = self.parts.get(at + 1).map_or(self.said.len(), |(_, begin)| *begin);
        Some((self.parts[at].1, end))
    }
}

impl Item {
    fn list(&self, words: Words) -> &List {
        &self.lists[words.list()]
    }

    fn list_mut(&mut self, words: Words) -> &mut List {
        &mut self.lists[words.list()]
    }

    /// Whether any of its words have been handed on.
    pub fn is_said(&self) -> bool {
        self.lists.iter().any(|list| !list.said.is_empty())
    }

    /// Turns to the part that an event is about: in the place that it tells, or the one that grows.
    fn turn_to(&mut self, words: Words, event: &RawEvent<'_>) {
        let last = || self.list(words).parts.last().map_or(0, |(place, _)| *place);
        self.part = (words, told_place(words, event).unwrap_or_else(last));
    }

    /// Begins with a part, and tells its place. Where that is not told, it is the next one.
    pub fn begin_part(&mut self, words: Words, event: &RawEvent<'_>) -> u64 {
        let list = self.list_mut(words);
        let next = || list.parts.last().map_or(0, |(place, _)| place.saturating_add(1));
        let place = told_place(words, event).unwrap_or_else(next);
        list.begin(place);
        self.part = (words, place);
        self.has_logprobs = false;
        place
    }

    /// Takes note of words of the part that grows. `true`: they are its first.
    pub fn say(&mut self, text: &str, kept: &mut usize) -> bool {
        let (words, place) = self.part;
        let list = self.list_mut(words);
        let length = list.said.len();
        if list.range_of(place).is_none() {
            list.begin(place);
        }
        list.said.push(text, kept);
        list.parts.last() == Some(&(place, length))
    }

    /// What the whole of the part that grows says beyond what was said of it. `None`: it says something
    /// else, or another part has begun since.
    pub fn rest_of_part<'t>(&self, whole: &'t str) -> Option<&'t str> {
        let (words, place) = self.part;
        let list = self.list(words);
        let Some((begin, end)) = list.range_of(place) else { return Some(whole) };
        let (_, rest) = list.said.rest_between(begin, end, whole)?;
        (rest.is_empty() || end == list.said.len()).then_some(rest)
    }

    /// What the next text of somebody who says all of a list once more says beyond what was said of it.
    pub fn rest_of<'t>(
        &mut self,
        words: Words,
        whole: &'t str,
        kept: &mut usize,
    ) -> Option<&'t str> {
        let list = self.list_mut(words);
        let (repeated, rest) = list.said.rest_between(list.repeated, list.said.len(), whole)?;
        list.repeated = repeated + rest.len();
        list.said.push(rest, kept);
        Some(rest)
    }

    /// Takes note of words that a part has before any of it is said.
    pub fn announce(&mut self, words: Words, place: u64, text: &str, kept: &mut usize) {
        if !text.is_empty() {
            let mut announced = SaidText::default();
            announced.push(text, kept);
            self.announced.push((words, place, announced));
        }
    }

    /// Whether there are words in it that were announced, or came for a call that had not begun, and were
    /// not said.
    pub fn owes_words(&self) -> bool {
        let held = (&Words::Input, &0, &self.held);
        let announced = self.announced.iter().map(|(words, place, text)| (words, place, text));
        announced.chain([held]).any(|(words, place, text)| {
            let list = self.list(*words);
            let (begin, end) = list.range_of(*place).unwrap_or((0, list.said.len()));
            let rest = list.said.rest_between(begin, end, text.as_str());
            rest.is_none_or(|(_, rest)| !rest.is_empty()) || text.as_str().len() < text.len()
        })
    }

    /// Adds what was said of another one.
    fn append(&mut self, other: &Self) {
        for (list, other) in self.lists.iter_mut().zip(&other.lists) {
            list.said.append(&other.said);
        }
    }
}

impl Items {
    /// The item that an event is about, turned to its part: at its place, of its id, or the last one. One
    /// that has not been announced is taken as well.
    pub fn turned_to(&mut self, words: Words, event: &RawEvent<'_>) -> &mut Item {
        let last = || self.open.keys().next_back().copied();
        let item = self.open_at(self.place_of(event).or_else(last).unwrap_or(0));
        item.turn_to(words, event);
        item
    }

    /// Whether an event is about an item that is said as a whole when it is done.
    pub fn is_of_own(&self, event: &RawEvent<'_>) -> bool {
        let item = self.place_of(event).and_then(|place| self.open.get(&place));
        item.is_some_and(|item| item.is_own)
    }

    /// The one that an event was about last.
    pub fn last(&mut self) -> &mut Item {
        self.open_at(self.last)
    }

    /// One is announced. Where its place is not told, it comes after all others.
    pub fn begin(&mut self, event: &RawEvent<'_>, item: Item) {
        let next = self.open.keys().next_back().map_or(0, |place| place.saturating_add(1));
        let place = count_of(event.output_index).unwrap_or(next);
        let before = std::mem::replace(self.open_at(place), item);
        if before.is_said() {
            self.keep(place, before);
        }
    }

    /// One is done: its place, and what was known of it while it grew.
    pub fn take(&mut self, event: &RawEvent<'_>, item: &RawItem<'_>) -> (u64, Item) {
        self.were_seen = true;
        let id = text_in(item.id);
        let told = count_of(event.output_index).or_else(|| self.of_id(id.as_deref()));
        let place = told.unwrap_or(u64::MAX);
        (place, self.open.remove(&place).unwrap_or_default())
    }

    /// Keeps one that is done, to know it again.
    pub fn keep(&mut self, place: u64, item: Item) {
        if self.done.len() < MAX_ITEMS {
            self.done.push((place, item));
        }
    }

    /// Whether there was any.
    pub fn were_seen(&self) -> bool {
        self.were_seen
    }

    /// Whether any that is open owes words.
    pub fn owe_words(&self) -> bool {
        self.open.values().any(Item::owes_words)
    }

    /// All of them in one, in the order of the output. `None`: they are too many.
    pub fn take_all(&mut self) -> Option<Item> {
        let mut items = std::mem::take(&mut self.done);
        items.extend(std::mem::take(&mut self.open));
        items.sort_by_key(|(place, _)| *place);
        let mut all = Item::default();
        for (_, item) in &items {
            all.append(item);
        }
        (items.len() < MAX_ITEMS).then_some(all)
    }

    /// Where the item stands that an event names by its place or its id.
    fn place_of(&self, event: &RawEvent<'_>) -> Option<u64> {
        count_of(event.output_index).or_else(|| self.of_id(text_in(event.item_id).as_deref()))
    }

    fn of_id(&self, id: Option<&str>) -> Option<u64> {
        let id = id?;
        let mut items = self.open.iter();
        items.find(|(_, item)| item.id.as_deref() == Some(id)).map(|(place, _)| *place)
    }

    fn open_at(&mut self, place: u64) -> &mut Item {
        (self.were_seen, self.last) = (true, place);
        if self.open.len() >= MAX_ITEMS
            && !self.open.contains_key(&place)
            && let Some((place, item)) = self.open.pop_first()
        {
            self.keep(place, item);
        }
        self.open.entry(place).or_default()
    }
}
