//! Who is to be asked when there is room. Knows no actor.

use std::collections::{HashSet, VecDeque};

use crate::domain::id::ProviderId;

/// Most providers that wait. Who finds no room is not asked, and there may be thousands at the start; but
/// a place takes no more than an id.
const MAX_WAITING: usize = 16_384;

/// Most of those that have waited asked at once: fewer than may be, so that there is room for who waits
/// for an answer.
const MAX_AT_ONCE: usize = 4;

/// Providers in the order in which they are to be asked.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<ProviderId>,
    /// The same, to find one at once.
    known: HashSet<ProviderId>,
    under_way: Vec<ProviderId>,
}

impl Queue {
    /// Takes a provider in; one that waits already does not wait twice. `false`: there is no room.
    pub fn push(&mut self, id: ProviderId) -> bool {
        if self.known.contains(&id) {
            return true;
        }
        if self.waiting.len() >= MAX_WAITING {
            return false;
        }
        self.known.insert(id.clone());
        self.waiting.push_back(id);
        true
    }

    /// The next to be asked now, if one is. It is under way until [`Self::done`]: whoever is asked and
    /// waits again is not asked twice at once.
    pub fn next(&mut self) -> Option<ProviderId> {
        if self.under_way.len() >= MAX_AT_ONCE {
            return None;
        }
        let at = self.waiting.iter().position(|id| !self.under_way.contains(id))?;
        let id = self.waiting.remove(at)?;
        self.known.remove(&id);
        self.under_way.push(id.clone());
        Some(id)
    }

    pub fn done(&mut self, id: &ProviderId) {
        self.under_way.retain(|other| other != id);
    }

    /// Nobody is under way any more.
    pub fn forget_under_way(&mut self) {
        self.under_way.clear();
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ProviderId {
        ProviderId::parse(text).unwrap()
    }

    #[test]
    fn each_waits_once_and_is_asked_in_turn() {
        let mut queue = Queue::default();
        for name in ["a", "b", "a"] {
            assert!(queue.push(id(name)));
        }
        assert_eq!(
            (queue.next(), queue.next(), queue.next()),
            (Some(id("a")), Some(id("b")), None)
        );
    }

    #[test]
    fn nobody_is_asked_twice_at_once() {
        let mut queue = Queue::default();
        queue.push(id("a"));
        assert_eq!(queue.next(), Some(id("a")));
        queue.push(id("a"));
        queue.push(id("b"));
        assert_eq!((queue.next(), queue.next()), (Some(id("b")), None));
        queue.done(&id("a"));
        assert_eq!(queue.next(), Some(id("a")));
    }

    #[test]
    fn neither_those_who_wait_nor_those_who_are_asked_are_without_number() {
        let mut queue = Queue::default();
        for n in 0..MAX_WAITING {
            assert!(queue.push(id(&format!("p{n}"))));
        }
        assert!(!queue.push(id("one-more")) && queue.push(id("p7")));
        for _ in 0..MAX_AT_ONCE {
            assert!(queue.next().is_some());
        }
        assert_eq!((queue.next(), queue.waiting()), (None, MAX_WAITING - MAX_AT_ONCE));
        queue.forget_under_way();
        assert!(queue.next().is_some());
    }
}
