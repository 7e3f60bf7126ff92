//! What was said before, for requests that continue an answer by its id.
//!
//! Kept in memory and for a while only: a client whose answer is gone is told so, and sends what was
//! said itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde_json::value::RawValue;

use super::{id::KeyId, time::Timestamp};

/// What an entry costs beside the bytes in it, and what an item does.
const EACH: usize = 64;

/// The items of a conversation, up to and with an answer.
pub type Items = Arc<[Box<RawValue>]>;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryBounds {
    /// Most answers.
    pub entries: usize,
    /// Most bytes of all of them together.
    pub bytes: usize,
    /// How long an answer is kept after it was given.
    pub age: Duration,
}

/// How many answers were let go before anyone has asked for them to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistoryDrops {
    /// There were too many.
    pub for_entries: u64,
    /// They were too large together.
    pub for_bytes: u64,
    /// They were too old.
    pub for_age: u64,
    /// They alone were larger than all may be, and were never kept.
    pub too_large: u64,
}

/// Which answer of whom: nobody finds another's.
type Name = (KeyId, String);

#[derive(Debug)]
struct Entry {
    items: Items,
    bytes: usize,
    /// When it was kept, and its number among those of that instant.
    kept: (Timestamp, u64),
    /// When it was used last, as a number that only grows.
    used: u64,
}

/// The conversations behind recent answers. What was not used for longest goes first.
#[derive(Debug)]
pub struct ResponseHistory {
    bounds: HistoryBounds,
    entries: HashMap<Name, Entry>,
    by_use: BTreeMap<u64, Name>,
    by_age: BTreeMap<(Timestamp, u64), Name>,
    bytes: usize,
    clock: u64,
    drops: HistoryDrops,
}

impl ResponseHistory {
    pub fn new(bounds: HistoryBounds) -> Self {
        Self {
            bounds,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            by_age: BTreeMap::new(),
            bytes: 0,
            clock: 0,
            drops: HistoryDrops::default(),
        }
    }

    /// Keeps what a request stands on that continues the answer `id`, in the place of what was kept
    /// under that id.
    pub fn keep(&mut self, now: Timestamp, owner: &KeyId, id: &str, items: Items) {
        self.expire(now);
        let name = (owner.clone(), id.to_owned());
        self.remove(&name);
        let texts: usize = items.iter().map(|item| item.get().len() + EACH).sum();
        let bytes = texts + id.len() + owner.as_str().len() + EACH;
        if bytes > self.bounds.bytes || self.bounds.entries == 0 {
            self.drops.too_large += 1;
            return;
        }
        while self.entries.len() >= self.bounds.entries {
            self.drops.for_entries += u64::from(self.remove_least_used());
        }
        while self.bytes + bytes > self.bounds.bytes {
            self.drops.for_bytes += u64::from(self.remove_least_used());
        }
        self.clock += 1;
        let entry = Entry { items, bytes, kept: (now, self.clock), used: self.clock };
        self.by_use.insert(entry.used, name.clone());
        self.by_age.insert(entry.kept, name.clone());
        self.bytes += bytes;
        self.entries.insert(name, entry);
    }

    /// What was said up to an answer. `None`: it is not this owner's, or no longer kept.
    pub fn find(&mut self, now: Timestamp, owner: &KeyId, id: &str) -> Option<Items> {
        self.expire(now);
        let name = (owner.clone(), id.to_owned());
        let entry = self.entries.get_mut(&name)?;
        self.clock += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.clock;
        self.by_use.insert(entry.used, name);
        Some(Arc::clone(&entry.items))
    }

    /// Lets go what is too old.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some((&(kept, _), name)) = self.by_age.first_key_value() {
            if now.since(kept) <= self.bounds.age {
                return;
            }
            let name = name.clone();
            self.remove(&name);
            self.drops.for_age += 1;
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes are kept, roughly as they are held in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn drops(&self) -> HistoryDrops {
        self.drops
    }

    fn remove_least_used(&mut self) -> bool {
        let name = self.by_use.first_key_value().map(|(_, name)| name.clone());
        name.is_some_and(|name| self.remove(&name))
    }

    fn remove(&mut self, name: &Name) -> bool {
        let Some(entry) = self.entries.remove(name) else { return false };
        self.by_use.remove(&entry.used);
        self.by_age.remove(&entry.kept);
        self.bytes -= entry.bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(texts: &[&str]) -> Items {
        let item = |text: &&str| RawValue::from_string(format!("\"{text}\"")).unwrap();
        texts.iter().map(item).collect()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn bounds() -> HistoryBounds {
        HistoryBounds { entries: 2, bytes: 10_000, age: Duration::from_millis(100) }
    }

    #[test]
    fn an_answer_is_found_by_its_owner_alone() {
        let mut history = ResponseHistory::new(bounds());
        let (ann, bob) = (KeyId::from("ann"), KeyId::from("bob"));
        history.keep(at(0), &ann, "resp_1", items(&["a"]));
        assert_eq!(history.find(at(1), &ann, "resp_1").unwrap()[0].get(), "\"a\"");
        assert!(history.find(at(1), &bob, "resp_1").is_none());
        history.keep(at(2), &bob, "resp_1", items(&["b"]));
        assert_eq!(history.find(at(3), &ann, "resp_1").unwrap()[0].get(), "\"a\"");
        history.keep(at(4), &ann, "resp_1", items(&["c"]));
        assert_eq!(history.find(at(5), &ann, "resp_1").unwrap()[0].get(), "\"c\"");
        assert_eq!((history.len(), history.drops()), (2, HistoryDrops::default()));
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut history = ResponseHistory::new(bounds());
        let ann = KeyId::from("ann");
        history.keep(at(0), &ann, "1", items(&["a"]));
        history.keep(at(1), &ann, "2", items(&["b"]));
        assert!(history.find(at(2), &ann, "1").is_some());
        history.keep(at(3), &ann, "3", items(&["c"]));
        assert!(history.find(at(4), &ann, "2").is_none());
        assert!(history.find(at(4), &ann, "1").is_some());
        assert_eq!(history.drops(), HistoryDrops { for_entries: 1, ..HistoryDrops::default() });
    }

    #[test]
    fn use_does_not_make_an_answer_younger() {
        let mut history = ResponseHistory::new(bounds());
        let ann = KeyId::from("ann");
        history.keep(at(0), &ann, "1", items(&["a"]));
        assert!(history.find(at(100), &ann, "1").is_some());
        assert!(history.find(at(101), &ann, "1").is_none());
        assert_eq!((history.len(), history.bytes(), history.drops().for_age), (0, 0, 1));
    }

    #[test]
    fn bytes_are_bounded_and_what_is_larger_than_all_is_not_kept() {
        let mut history = ResponseHistory::new(HistoryBounds { entries: 9, ..bounds() });
        let ann = KeyId::from("ann");
        let large = "x".repeat(6_000);
        history.keep(at(0), &ann, "1", items(&[&large]));
        history.keep(at(1), &ann, "2", items(&[&large]));
        assert!(history.find(at(2), &ann, "1").is_none());
        history.keep(at(3), &ann, "3", items(&[&large, &large]));
        assert!(history.find(at(4), &ann, "3").is_none());
        assert!(history.find(at(4), &ann, "2").is_some());
        let drops = HistoryDrops { for_bytes: 1, too_large: 1, ..HistoryDrops::default() };
        assert_eq!(history.drops(), drops);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Keep { owner: u8, id: u8, len: usize },
        Find { owner: u8, id: u8 },
        Wait(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_u8..3, 0_u8..12, 0_usize..800)
                .prop_map(|(owner, id, len)| Step::Keep { owner, id, len }),
            2 => (0_u8..3, 0_u8..12).prop_map(|(owner, id)| Step::Find { owner, id }),
            1 => (-20_i64..80).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn the_bounds_hold_whatever_is_kept_and_sought(
            steps in proptest::collection::vec(step(), 0..120),
            entries in 0_usize..6,
            bytes in 0_usize..3_000,
        ) {
            let bounds = HistoryBounds { entries, bytes, age: Duration::from_millis(100) };
            let mut history = ResponseHistory::new(bounds);
            let mut kept: HashMap<(u8, u8), (String, i64)> = HashMap::new();
            let mut now = 1_000;
            for step in steps {
                match step {
                    Step::Keep { owner, id, len } => {
                        let text = "x".repeat(len);
                        let key = KeyId::from(format!("key{owner}"));
                        history.keep(at(now), &key, &id.to_string(), items(&[&text]));
                        kept.insert((owner, id), (format!("\"{text}\""), now));
                    }
                    Step::Find { owner, id } => {
                        let key = KeyId::from(format!("key{owner}"));
                        if let Some(found) = history.find(at(now), &key, &id.to_string()) {
                            let (text, since) = &kept[&(owner, id)];
                            prop_assert_eq!(found[0].get(), text);
                            prop_assert!(now - since <= 100);
                        }
                    }
                    Step::Wait(millis) => now += millis,
                }
                prop_assert!(history.len() <= entries);
                prop_assert!(history.bytes() <= bytes);
                prop_assert_eq!(history.len(), history.by_use.len());
                prop_assert_eq!(history.len(), history.by_age.len());
                let sum: usize = history.entries.values().map(|entry| entry.bytes).sum();
                prop_assert_eq!(history.bytes(), sum);
            }
        }
    }
}
