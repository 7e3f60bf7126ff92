//! A sorted list whose copies share all that neither of them has changed since.

use std::{cmp::Ordering, slice, sync::Arc};

/// Most items of one part. A change copies one part, and the list of parts.
const MAX_PART: usize = 64;

/// A part with fewer items is joined with one beside it, if there is room.
const MIN_PART: usize = MAX_PART / 4;

/// Items in order, without equals. To copy it and to change it costs next to nothing, and to go
/// through it as much as with a [`Vec`]: trees that share as well are several times dearer to read.
///
/// Where an item stands is said by a function that compares an item of the list with the one looked
/// for: [`Ordering::Less`] when it comes before that one. It must be the same order at every call.
#[derive(Debug, Clone)]
pub struct SortedList<T> {
    /// None of them is empty.
    parts: Vec<Arc<Vec<T>>>,
}

impl<T> Default for SortedList<T> {
    fn default() -> Self {
        Self { parts: Vec::new() }
    }
}

impl<T> SortedList<T> {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        Iter { rest: [].iter(), parts: self.parts.iter() }
    }

    /// Those behind the one looked for, be it there or not.
    pub fn iter_after(&self, compare: impl Fn(&T) -> Ordering) -> impl Iterator<Item = &T> + Clone {
        let is_before = |item: &T| compare(item) != Ordering::Greater;
        let at = self.parts.partition_point(|part| part.last().is_some_and(&is_before));
        let mut parts = self.parts[at..].iter();
        let first = parts.next().map_or(&[][..], |part| part.as_slice());
        let rest = first[first.partition_point(is_before)..].iter();
        Iter { rest, parts }
    }

    pub fn find(&self, compare: impl Fn(&T) -> Ordering) -> Option<&T> {
        let part = self.parts.get(self.part_of(&compare))?;
        part.binary_search_by(compare).ok().map(|at| &part[at])
    }

    /// The first part that does not end before the one looked for.
    fn part_of(&self, compare: impl Fn(&T) -> Ordering) -> usize {
        let is_before = |item: &T| compare(item) == Ordering::Less;
        self.parts.partition_point(|part| part.last().is_some_and(is_before))
    }
}

impl<T: Clone> SortedList<T> {
    /// Puts an item in its place. `false`: its equal is there and stays.
    pub fn insert(&mut self, item: T, compare: impl Fn(&T) -> Ordering) -> bool {
        let at = self.part_of(&compare).min(self.parts.len().saturating_sub(1));
        let Some(part) = self.parts.get_mut(at) else {
            self.parts.push(Arc::new(vec![item]));
            return true;
        };
        let Err(place) = part.binary_search_by(compare) else { return false };
        let part = Arc::make_mut(part);
        part.insert(place, item);
        if part.len() > MAX_PART {
            let second = part.split_off(part.len() / 2);
            self.parts.insert(at + 1, Arc::new(second));
        }
        true
    }

    /// An item that may be changed, but not in what says where it stands.
    pub fn find_mut(&mut self, compare: impl Fn(&T) -> Ordering) -> Option<&mut T> {
        let at = self.part_of(&compare);
        let part = self.parts.get_mut(at)?;
        let place = part.binary_search_by(compare).ok()?;
        Some(&mut Arc::make_mut(part)[place])
    }

    /// Takes an item out. `None`: it is not there.
    pub fn remove(&mut self, compare: impl Fn(&T) -> Ordering) -> Option<T> {
        let at = self.part_of(&compare);
        let part = self.parts.get_mut(at)?;
        let place = part.binary_search_by(compare).ok()?;
        let part = Arc::make_mut(part);
        let item = part.remove(place);
        if part.len() < MIN_PART {
            self.join(at);
        }
        Some(item)
    }

    /// Joins a small part with the one before it, or the first with the one behind it.
    fn join(&mut self, at: usize) {
        let second = at.max(1);
        if self
            .parts
            .get(second)
            .is_some_and(|part| part.len() + self.parts[second - 1].len() <= MAX_PART)
        {
            let joined = self.parts.remove(second);
            Arc::make_mut(&mut self.parts[second - 1]).extend_from_slice(&joined);
        }
        self.parts.retain(|part| !part.is_empty());
    }
}

struct Iter<'l, T> {
    rest: slice::Iter<'l, T>,
    parts: slice::Iter<'l, Arc<Vec<T>>>,
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self { rest: self.rest.clone(), parts: self.parts.clone() }
    }
}

impl<'l, T> Iterator for Iter<'l, T> {
    type Item = &'l T;

    fn next(&mut self) -> Option<&'l T> {
        loop {
            if let Some(item) = self.rest.next() {
                return Some(item);
            }
            self.rest = self.parts.next()?.iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let whole = self.parts.clone().map(|part| part.len()).sum::<usize>();
        let left = self.rest.len() + whole;
        (left, Some(left))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn shared(a: &SortedList<u32>, b: &SortedList<u32>) -> usize {
        let is_there = |part: &&Arc<Vec<u32>>| b.parts.iter().any(|other| Arc::ptr_eq(part, other));
        a.parts.iter().filter(is_there).count()
    }

    #[test]
    fn a_change_copies_one_part_and_shares_the_others() {
        let mut list = SortedList::default();
        for n in 0..2_000_u32 {
            list.insert(2 * n, |item| item.cmp(&(2 * n)));
        }
        let before = list.clone();
        assert_eq!(shared(&before, &list), before.parts.len());
        assert!(list.insert(1_001, |item| item.cmp(&1_001)));
        assert!(shared(&before, &list) + 1 >= before.parts.len());
        assert_eq!(list.remove(|item| item.cmp(&1_001)), Some(1_001));
        assert!(shared(&before, &list) + 1 >= before.parts.len());
        assert!(before.parts.len() <= 2 * 2_000 / MAX_PART + 1);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds_and_its_copies_stay_as_they_are(
            steps in prop::collection::vec((0..300_u32, 0..4_u8), 0..900),
        ) {
            let (mut list, mut plain) = (SortedList::<u32>::default(), BTreeSet::new());
            let mut copies = Vec::new();
            for (number, (n, step)) in steps.into_iter().enumerate() {
                if number % 50 == 0 {
                    copies.push((list.clone(), plain.clone()));
                }
                if step == 3 {
                    let found = list.find_mut(|item| item.cmp(&n));
                    prop_assert_eq!(found.as_deref(), plain.get(&n));
                } else if step > 0 {
                    prop_assert_eq!(list.insert(n, |item| item.cmp(&n)), plain.insert(n));
                } else {
                    prop_assert_eq!(list.remove(|item| item.cmp(&n)), plain.take(&n));
                }
                prop_assert_eq!(list.find(|item| item.cmp(&n)), plain.get(&n));
                prop_assert!(list.parts.iter().all(|part| (1..=MAX_PART).contains(&part.len())));
            }
            copies.push((list, plain));
            for (list, plain) in copies {
                prop_assert!(list.iter().eq(plain.iter()));
                prop_assert_eq!(list.iter().size_hint(), (plain.len(), Some(plain.len())));
                prop_assert_eq!(list.is_empty(), plain.is_empty());
                for n in [0, 7, 150, 299, 300] {
                    let after = list.iter_after(|item| item.cmp(&n));
                    prop_assert!(after.eq(plain.range(n + 1..)));
                }
            }
        }
    }
}
