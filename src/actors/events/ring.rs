//! The numbered ring: the newest events, in order.

use std::{collections::VecDeque, sync::Arc};

use crate::domain::{
    event::{Event, Fact},
    time::Timestamp,
};

/// The newest events, at most as many as it was made for. The oldest makes room for the newest.
#[derive(Debug)]
pub struct EventRing {
    events: VecDeque<Arc<Event>>,
    capacity: usize,
    /// The number given last; 0 before the first.
    last_seq: u64,
    fallen_out: u64,
}

/// What a subscriber that comes back has to be given.
#[derive(Debug, Default)]
pub struct Replay {
    /// Every event held that it has not seen.
    pub events: Vec<Arc<Event>>,
    /// Set when events it has not seen are no longer held: the number of the first it can have.
    pub gap: Option<u64>,
}

impl EventRing {
    /// `capacity` is at least 1.
    pub fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), capacity: capacity.max(1), last_seq: 0, fallen_out: 0 }
    }

    /// Gives a fact the next number. A number is spent before anything else is done, so that none is
    /// given twice, whatever happens after.
    pub fn push(&mut self, now: Timestamp, fact: Fact) -> Arc<Event> {
        self.last_seq += 1;
        let event = Arc::new(Event {
            seq: self.last_seq,
            time: now,
            kind: fact.kind,
            provider_id: fact.provider_id,
            credential_id: fact.credential_id,
            model_id: fact.model_id,
            data: fact.data,
        });
        if self.events.len() == self.capacity {
            self.events.pop_front();
            self.fallen_out += 1;
        }
        self.events.push_back(Arc::clone(&event));
        event
    }

    /// What came after event `seen`. A number that was never given is of an earlier run of the
    /// process: then all of this run is new, and what came before it is a gap.
    pub fn since(&self, seen: u64) -> Replay {
        let of_this_run = seen <= self.last_seq;
        let first = self.first_available();
        let gap = (!of_this_run || seen + 1 < first).then_some(first);
        let is_new = |event: &&Arc<Event>| !of_this_run || event.seq > seen;
        Replay { events: self.events.iter().filter(is_new).cloned().collect(), gap }
    }

    /// The number of the oldest event held, or else of the next one.
    pub fn first_available(&self) -> u64 {
        self.first_seq().unwrap_or(self.last_seq + 1)
    }

    pub fn first_seq(&self) -> Option<u64> {
        self.events.front().map(|event| event.seq)
    }

    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    pub fn fallen_out(&self) -> u64 {
        self.fallen_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{EventData, EventType};

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn ring_after(pushes: usize) -> EventRing {
        let mut ring = EventRing::new(4);
        for _ in 0..pushes {
            ring.push(NOW, Fact::new(EventType::SystemStarted, EventData::None {}));
        }
        ring
    }

    fn numbers(replay: &Replay) -> Vec<u64> {
        replay.events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn events_are_numbered_from_one_without_gaps() {
        assert_eq!(numbers(&ring_after(3).since(0)), [1, 2, 3]);
    }

    #[test]
    fn a_subscriber_gets_exactly_what_it_has_not_seen() {
        let ring = ring_after(4);
        let replay = ring.since(2);
        assert_eq!((numbers(&replay), replay.gap), (vec![3, 4], None));
        assert_eq!(numbers(&ring.since(4)), [] as [u64; 0]);
    }

    #[test]
    fn the_oldest_makes_room_and_its_loss_is_told() {
        let ring = ring_after(6);
        assert_eq!((ring.first_seq(), ring.last_seq(), ring.fallen_out()), (Some(3), 6, 2));
        let replay = ring.since(1);
        assert_eq!((numbers(&replay), replay.gap), (vec![3, 4, 5, 6], Some(3)));
        assert_eq!(ring.since(2).gap, None, "event 2 was seen and 3 is held");
    }

    #[test]
    fn a_number_of_an_earlier_run_is_a_gap() {
        let replay = ring_after(2).since(412);
        assert_eq!((numbers(&replay), replay.gap), (vec![1, 2], Some(1)));
        assert_eq!(ring_after(0).since(412).gap, Some(1));
        assert_eq!(ring_after(0).since(u64::MAX).gap, Some(1));
    }

    #[test]
    fn nothing_seen_and_nothing_lost_is_no_gap() {
        assert_eq!(ring_after(0).since(0).gap, None);
        assert_eq!(ring_after(4).since(0).gap, None);
    }
}
