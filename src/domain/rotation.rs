//! Whose turn it is: rotation, and shares by weight.

use std::{cmp::Reverse, collections::HashMap, hash::Hash};

/// Most keys remembered; past it the least recently used one is forgotten.
pub const MAX_KEYS: usize = 4_096;

/// Whether a turn is taken, or only looked at by somebody who wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnMode {
    Take,
    Look,
}

/// Whose turn it is among members that come and go, for each key by itself. A key that was forgotten
/// starts over.
#[derive(Debug, Clone)]
pub struct Rotation<K, I> {
    keys: HashMap<K, Standing<I>>,
    /// Turns taken so far: tells which key was used last.
    taken: u64,
}

impl<K, I> Default for Rotation<K, I> {
    fn default() -> Self {
        Self { keys: HashMap::new(), taken: 0 }
    }
}

#[derive(Debug, Clone)]
struct Standing<I> {
    used: u64,
    /// Who was served last in rotation, and how often in a row.
    last: Option<(I, u32)>,
    /// The members by weight, without those of weight 0, as they were last given.
    shares: Vec<Share<I>>,
}

impl<I> Default for Standing<I> {
    fn default() -> Self {
        Self { used: 0, last: None, shares: Vec::new() }
    }
}

#[derive(Debug, Clone)]
struct Share<I> {
    id: I,
    weight: u32,
    /// What it has gained and not yet been served for.
    credit: i64,
}

impl<K: Eq + Hash + Clone, I: Ord + Clone> Rotation<K, I> {
    /// Takes the next turn in rotation among `members`, sorted by id. The number is how many turns
    /// in a row each has: its slots, at least 1. A new key begins with the one that has most slots.
    /// Answers with the position in `members`; none when there are no members.
    pub fn rotate(&mut self, key: &K, members: &[(I, u32)]) -> Option<usize> {
        let turn = self.turn(key);
        let (position, in_a_row) = turn.next_in_rotation(members)?;
        let id = &members[position].0;
        match &mut turn.last {
            Some((last, count)) if last == id => *count = in_a_row,
            last => *last = Some((id.clone(), in_a_row)),
        }
        Some(position)
    }

    /// Takes the next turn by weight among `members`, sorted by id: each gains its weight, the one
    /// with the most credit wins (the first of equals) and pays the total. So shares are exact over
    /// every cycle, and interleaved. Answers with the position in `members`; none when all weights
    /// are 0.
    ///
    /// All credits start anew when the set of members or a weight changes, so one that returns has
    /// none stored up. Those of weight 0 are never chosen and are no members.
    pub fn weigh(&mut self, key: &K, members: &[(I, u32)]) -> Option<usize> {
        let turn = self.turn(key);
        if !turn.is_about(members) {
            let share =
                |(id, weight): &(I, u32)| Share { id: id.clone(), weight: *weight, credit: 0 };
            turn.shares = weighted(members).map(|(_, member)| share(member)).collect();
        }
        let winner = turn.next_by_weight(members)?;
        let mut total = 0_i64;
        for share in &mut turn.shares {
            total = total.saturating_add(share.weight.into());
            share.credit = share.credit.saturating_add(share.weight.into());
        }
        let id = &members[winner].0;
        if let Some(share) = turn.shares.iter_mut().find(|share| share.id == *id) {
            share.credit = share.credit.saturating_sub(total);
        }
        Some(winner)
    }

    /// What [`Self::rotate`] would answer.
    pub fn peek_rotate(&self, key: &K, members: &[(I, u32)]) -> Option<usize> {
        let next = match self.keys.get(key) {
            Some(turn) => turn.next_in_rotation(members),
            None => Standing::default().next_in_rotation(members),
        };
        next.map(|(position, _)| position)
    }

    /// What [`Self::weigh`] would answer.
    pub fn peek_weigh(&self, key: &K, members: &[(I, u32)]) -> Option<usize> {
        match self.keys.get(key) {
            Some(turn) => turn.next_by_weight(members),
            None => Standing::default().next_by_weight(members),
        }
    }

    fn turn(&mut self, key: &K) -> &mut Standing<I> {
        if !self.keys.contains_key(key) {
            self.make_room();
            self.keys.insert(key.clone(), Standing::default());
        }
        self.taken = self.taken.saturating_add(1);
        let turn = self.keys.get_mut(key).expect("it was inserted above if it was not there");
        turn.used = self.taken;
        turn
    }

    /// Looks through all keys, which only a new key among thousands has to wait for.
    fn make_room(&mut self) {
        if self.keys.len() < MAX_KEYS {
            return;
        }
        let oldest = self.keys.iter().min_by_key(|(_, turn)| turn.used);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.keys.remove(&key);
        }
    }
}

impl<I: Ord> Standing<I> {
    /// The position of the one served last while it has turns left, else of the next one by id; and
    /// how often in a row that one is then served.
    fn next_in_rotation(&self, members: &[(I, u32)]) -> Option<(usize, u32)> {
        let Some((last, in_a_row)) = &self.last else {
            let most =
                members.iter().enumerate().max_by_key(|(at, (_, slots))| (*slots, Reverse(*at)));
            return most.map(|(position, _)| (position, 1));
        };
        let after = members.partition_point(|(id, _)| id <= last);
        let same = after.checked_sub(1).filter(|before| members[*before].0 == *last);
        if let Some(same) = same
            && *in_a_row < members[same].1
        {
            return Some((same, in_a_row + 1));
        }
        let next = if after < members.len() { after } else { 0 };
        members.get(next).map(|_| (next, 1))
    }

    /// Whether the credits are those of these members with these weights.
    fn is_about(&self, members: &[(I, u32)]) -> bool {
        let known = self.shares.iter().map(|share| (&share.id, share.weight));
        known.eq(weighted(members).map(|(_, (id, weight))| (id, *weight)))
    }

    fn next_by_weight(&self, members: &[(I, u32)]) -> Option<usize> {
        let is_known = self.is_about(members);
        let credit = |place: usize| if is_known { self.shares[place].credit } else { 0 };
        let credits = weighted(members).enumerate().map(|(place, (position, (_, weight)))| {
            (credit(place).saturating_add((*weight).into()), Reverse(position))
        });
        credits.max().map(|(_, Reverse(position))| position)
    }
}

/// The members that can be chosen by weight, with their positions.
fn weighted<I>(members: &[(I, u32)]) -> impl Iterator<Item = (usize, &(I, u32))> {
    members.iter().enumerate().filter(|(_, (_, weight))| *weight > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rotated(turns: &mut Rotation<u8, String>, members: &[(&str, u32)], count: usize) -> String {
        let members = owned(members);
        let mut next = || members[turns.rotate(&0, &members).unwrap()].0.clone();
        (0..count).map(|_| next()).collect::<Vec<_>>().join(" ")
    }

    fn weighed(turns: &mut Rotation<u8, String>, members: &[(&str, u32)], count: usize) -> String {
        let members = owned(members);
        let mut next = || members[turns.weigh(&0, &members).unwrap()].0.clone();
        (0..count).map(|_| next()).collect::<Vec<_>>().join(" ")
    }

    fn owned(members: &[(&str, u32)]) -> Vec<(String, u32)> {
        members.iter().map(|(id, number)| ((*id).to_owned(), *number)).collect()
    }

    fn count(order: &str, id: &str) -> usize {
        order.split(' ').filter(|served| *served == id).count()
    }

    #[test]
    fn nine_turns_over_three_members_are_three_each() {
        let mut turns = Rotation::default();
        let order = rotated(&mut turns, &[("a", 1), ("b", 1), ("c", 1)], 9);
        assert_eq!(order, "a b c a b c a b c");
    }

    #[test]
    fn a_member_with_two_slots_has_two_turns_in_a_row() {
        let mut turns = Rotation::default();
        let order = rotated(&mut turns, &[("claude", 1), ("gemini", 2)], 7);
        assert_eq!(order, "gemini gemini claude gemini gemini claude gemini");
    }

    #[test]
    fn no_slots_are_one_slot() {
        let mut turns = Rotation::default();
        assert_eq!(rotated(&mut turns, &[("a", 0), ("b", 0)], 4), "a b a b");
    }

    #[test]
    fn rotation_goes_on_from_the_last_when_members_come_and_go() {
        let mut turns = Rotation::default();
        assert_eq!(rotated(&mut turns, &[("a", 1), ("b", 1), ("c", 1)], 2), "a b");
        assert_eq!(rotated(&mut turns, &[("a", 1), ("c", 1)], 1), "c");
        assert_eq!(rotated(&mut turns, &[("a", 1), ("b", 1), ("d", 1)], 2), "d a");
        assert_eq!(rotated(&mut turns, &[("0", 1), ("aa", 1), ("b", 1)], 3), "aa b 0");
    }

    #[test]
    fn a_member_that_leaves_in_the_midst_of_its_slots_starts_over_when_it_returns() {
        let mut turns = Rotation::default();
        assert_eq!(rotated(&mut turns, &[("a", 3), ("b", 1)], 2), "a a");
        assert_eq!(rotated(&mut turns, &[("b", 1)], 1), "b");
        assert_eq!(rotated(&mut turns, &[("a", 3), ("b", 1)], 4), "a a a b");
    }

    #[test]
    fn weights_of_five_three_and_two_share_exactly_and_interleaved() {
        let mut turns = Rotation::default();
        let order = weighed(&mut turns, &[("a", 5), ("b", 3), ("c", 2)], 100);
        assert_eq!([count(&order, "a"), count(&order, "b"), count(&order, "c")], [50, 30, 20]);
        assert!(!order.contains("a a a") && !order.contains("b b") && !order.contains("c c"));
        assert!(order.starts_with("a b c a a b a c b a"), "{order}");
    }

    #[test]
    fn a_changed_weight_takes_effect_from_the_start_of_its_cycle() {
        let mut turns = Rotation::default();
        weighed(&mut turns, &[("a", 5), ("b", 3), ("c", 2)], 7);
        let order = weighed(&mut turns, &[("a", 1), ("b", 3), ("c", 2)], 6);
        assert_eq!([count(&order, "a"), count(&order, "b"), count(&order, "c")], [1, 3, 2]);
        assert!(order.starts_with('b'));
    }

    #[test]
    fn the_rest_share_while_the_heaviest_is_away_and_it_gets_no_burst_when_it_returns() {
        let mut turns = Rotation::default();
        let all = [("a", 5), ("b", 3), ("c", 2)];
        weighed(&mut turns, &all, 4);
        let meanwhile = weighed(&mut turns, &[("b", 3), ("c", 2)], 50);
        assert_eq!([count(&meanwhile, "b"), count(&meanwhile, "c")], [30, 20]);
        let back = weighed(&mut turns, &all, 10);
        assert_eq!([count(&back, "a"), count(&back, "b"), count(&back, "c")], [5, 3, 2]);
        assert!(!back.contains("a a a"), "{back}");
    }

    #[test]
    fn weight_zero_is_never_chosen_and_does_not_disturb_the_others() {
        let mut turns = Rotation::default();
        let mut order = Vec::new();
        for round in 0..10 {
            let members = [("a", 0), ("b", 3), ("c", 2)];
            order.push(weighed(&mut turns, &members[round % 2..], 1));
        }
        let order = order.join(" ");
        assert_eq!([count(&order, "b"), count(&order, "c")], [6, 4]);
        let none = owned(&[("a", 0), ("b", 0)]);
        assert_eq!(turns.peek_weigh(&0, &none), None);
        assert_eq!(turns.weigh(&0, &none), None);
    }

    #[test]
    fn nobody_has_no_turn() {
        let mut turns = Rotation::<u8, String>::default();
        assert_eq!(turns.rotate(&0, &[]), None);
        assert_eq!(turns.weigh(&0, &[]), None);
        assert_eq!((turns.peek_rotate(&0, &[]), turns.peek_weigh(&0, &[])), (None, None));
    }

    #[test]
    fn overflowing_credits_still_give_a_turn() {
        let mut turns = Rotation::default();
        let members = owned(&[("a", u32::MAX), ("b", u32::MAX)]);
        turns.weigh(&0, &members);
        for (credits, winner) in
            [([i64::MAX, i64::MAX], 0), ([i64::MIN, i64::MIN], 0), ([i64::MIN, i64::MAX], 1)]
        {
            let shares = &mut turns.keys.get_mut(&0).unwrap().shares;
            shares.iter_mut().zip(credits).for_each(|(share, credit)| share.credit = credit);
            assert_eq!(turns.weigh(&0, &members), Some(winner));
        }
    }

    #[test]
    fn a_look_takes_no_turn() {
        let mut turns = Rotation::default();
        let members = owned(&[("a", 2), ("b", 1), ("c", 1)]);
        for _ in 0..20 {
            let (rotated, weighed) =
                (turns.peek_rotate(&0, &members), turns.peek_weigh(&0, &members));
            assert_eq!(turns.peek_rotate(&0, &members), rotated);
            assert_eq!(turns.peek_weigh(&0, &members), weighed);
            assert_eq!(turns.rotate(&0, &members), rotated);
            assert_eq!(turns.weigh(&0, &members), weighed);
        }
    }

    #[test]
    fn each_key_has_turns_of_its_own() {
        let mut turns = Rotation::default();
        let members = owned(&[("a", 1), ("b", 1)]);
        let order = [0, 1, 0, 1].map(|key| turns.rotate(&key, &members));
        assert_eq!(order, [Some(0), Some(0), Some(1), Some(1)]);
    }

    #[test]
    fn past_the_most_keys_the_least_recently_used_is_forgotten() {
        let mut turns = Rotation::default();
        let members = owned(&[("a", 1), ("b", 1)]);
        for key in 0..MAX_KEYS {
            turns.rotate(&key, &members);
        }
        turns.rotate(&0, &members);
        for key in MAX_KEYS..MAX_KEYS + 10 {
            turns.rotate(&key, &members);
        }
        assert_eq!(turns.keys.len(), MAX_KEYS);
        assert!(turns.keys.contains_key(&0) && turns.keys.contains_key(&11));
        assert!((1..=10).all(|key| !turns.keys.contains_key(&key)));
    }

    fn numbered(weights: &[u32]) -> Vec<(usize, u32)> {
        weights.iter().copied().enumerate().collect()
    }

    fn next_ids(
        turns: &mut Rotation<u8, usize>,
        members: &[(usize, u32)],
        count: usize,
    ) -> Vec<usize> {
        (0..count).map(|_| members[turns.weigh(&0, members).unwrap()].0).collect()
    }

    /// Turns until everybody has had an exact share.
    fn cycle(members: &[(usize, u32)]) -> (usize, usize) {
        let weights = members.iter().map(|(_, weight)| *weight as usize);
        let common = weights.clone().fold(0, |a, b| {
            let (mut a, mut b) = (a, b);
            while b > 0 {
                (a, b) = (b, a % b);
            }
            a
        });
        (weights.sum::<usize>() / common, common)
    }

    proptest! {
        #[test]
        fn shares_are_exact_over_every_stretch_as_long_as_a_cycle(
            weights in prop::collection::vec(0_u32..12, 1..6).prop_filter("some", |w| w.iter().any(|w| *w > 0)),
            offset in 0_usize..60,
        ) {
            let members = numbered(&weights);
            let (cycle, common) = cycle(&members);
            let mut turns = Rotation::default();
            next_ids(&mut turns, &members, offset);
            for _ in 0..3 {
                let served = next_ids(&mut turns, &members, cycle);
                for (id, weight) in &members {
                    let count = served.iter().filter(|other| *other == id).count();
                    prop_assert_eq!(count, *weight as usize / common);
                }
            }
        }

        #[test]
        fn who_returns_has_a_fair_share_from_the_start_and_never_a_burst(
            weights in prop::collection::vec(1_u32..12, 2..6),
            (before, away, after) in (0_usize..40, 1_usize..200, 1_usize..60),
            leaver in 0_usize..5,
        ) {
            let members = numbered(&weights);
            let leaver = leaver % members.len();
            let mut others = members.clone();
            others.remove(leaver);
            let mut turns = Rotation::default();
            next_ids(&mut turns, &members, before);
            next_ids(&mut turns, &others, away);
            let served = next_ids(&mut turns, &members, after);
            let total: usize = members.iter().map(|(_, weight)| *weight as usize).sum();
            for (id, weight) in &members {
                let mut count = 0;
                for (place, other) in served.iter().enumerate() {
                    count += usize::from(other == id);
                    // Less than one turn ahead of the exact share at any time.
                    prop_assert!(count * total < (place + 1) * *weight as usize + total);
                }
            }
        }

        #[test]
        fn in_rotation_everybody_has_had_a_turn_after_one_round(
            slots in prop::collection::vec(0_u32..4, 1..8), offset in 0_usize..30,
        ) {
            let members = numbered(&slots);
            let round: usize = slots.iter().map(|slots| (*slots).max(1) as usize).sum();
            let mut turns = Rotation::default();
            let mut next = || turns.rotate(&0, &members).unwrap();
            for _ in 0..offset {
                next();
            }
            let served: Vec<_> = (0..round).map(|_| next()).collect();
            for (id, slots) in &members {
                let count = served.iter().filter(|other| *other == id).count();
                prop_assert_eq!(count, (*slots).max(1) as usize);
            }
        }
    }
}
