//! Those who listen, and what becomes of one that is too slow.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{messages::SubscribeError, ring::Replay};
use crate::domain::event::{Event, EventFilter};

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The subscriber did not keep up: its queue was full when one more event came.
    TooSlow,
    /// There will be no more events: the pool is stopping.
    Stopping,
}

/// A seat at the event stream. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    /// What was missed, oldest first. Comes before all of [`Self::next`].
    pub backlog: Vec<Arc<Event>>,
    /// Set when some of what was missed is gone for good: the number of the first event available.
    pub gap: Option<u64>,
    /// The newest event when the subscription began; 0 before the first.
    pub last_seq: u64,
    live: mpsc::Receiver<Arc<Event>>,
    too_slow: Arc<AtomicBool>,
}

impl Subscription {
    /// Waits for the next event. May be dropped while waiting without losing one.
    ///
    /// Errors: [`EndReason`] after the last event; one that was too slow still gets what was queued.
    pub async fn next(&mut self) -> Result<Arc<Event>, EndReason> {
        self.live.recv().await.ok_or_else(|| {
            let too_slow = self.too_slow.load(Ordering::Acquire);
            if too_slow { EndReason::TooSlow } else { EndReason::Stopping }
        })
    }
}

/// Everyone who listens: a bounded number, each with a bounded queue.
#[derive(Debug)]
pub struct Subscribers {
    seats: Vec<Seat>,
    max: usize,
    queue: usize,
    dropped: u64,
    ended: bool,
}

#[derive(Debug)]
struct Seat {
    filter: EventFilter,
    sender: mpsc::Sender<Arc<Event>>,
    too_slow: Arc<AtomicBool>,
}

impl Subscribers {
    /// At most `max` subscribers, each with at most `queue` events waiting; both at least 1.
    pub fn new(max: usize, queue: usize) -> Self {
        let (max, queue) = (max.max(1), queue.max(1));
        Self { seats: Vec::new(), max, queue, dropped: 0, ended: false }
    }

    /// Seats one more, to be given `replay` as far as `filter` lets it through, and from then on what
    /// is published.
    ///
    /// Errors: [`SubscribeError::TooMany`] when every seat is taken, [`SubscribeError::Stopping`]
    /// after [`Self::end`].
    pub fn add(
        &mut self,
        filter: EventFilter,
        replay: Replay,
        last_seq: u64,
    ) -> Result<Subscription, SubscribeError> {
        if self.ended {
            return Err(SubscribeError::Stopping);
        }
        self.seats.retain(|seat| !seat.sender.is_closed());
        if self.seats.len() >= self.max {
            return Err(SubscribeError::TooMany { max: self.max });
        }
        let Replay { events: mut backlog, gap } = replay;
        backlog.retain(|event| filter.admits(event));
        let (sender, live) = mpsc::channel(self.queue);
        let too_slow = Arc::new(AtomicBool::new(false));
        self.seats.push(Seat { filter, sender, too_slow: Arc::clone(&too_slow) });
        Ok(Subscription { backlog, gap, last_seq, live, too_slow })
    }

    /// Queues an event for all who want it, and waits for none. Answers how many were dropped as too
    /// slow.
    pub fn publish(&mut self, event: &Arc<Event>) -> u64 {
        let mut dropped = 0;
        self.seats.retain(|seat| {
            if !seat.filter.admits(event) {
                return true;
            }
            match seat.sender.try_send(Arc::clone(event)) {
                Ok(()) => true,
                Err(TrySendError::Closed(_)) => false,
                Err(TrySendError::Full(_)) => {
                    seat.too_slow.store(true, Ordering::Release);
                    dropped += 1;
                    false
                }
            }
        });
        self.dropped += dropped;
        dropped
    }

    /// Ends every subscription, after what is queued for it.
    pub fn end(&mut self) {
        self.ended = true;
        self.seats.clear();
    }

    /// How many are listening now.
    pub fn count(&self) -> usize {
        self.seats.iter().filter(|seat| !seat.sender.is_closed()).count()
    }

    /// How many were ever dropped as too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actors::events::ring::EventRing,
        domain::{
            event::{EventData, EventType, Fact},
            time::Timestamp,
        },
    };

    fn event(ring: &mut EventRing, kind: EventType) -> Arc<Event> {
        ring.push(Timestamp::from_millis(0), Fact::new(kind, EventData::None {}))
    }

    fn subscribe(subscribers: &mut Subscribers) -> Subscription {
        subscribers.add(EventFilter::default(), Replay::default(), 0).unwrap()
    }

    #[tokio::test]
    async fn a_slow_subscriber_gets_what_was_queued_and_then_the_reason() {
        let (mut ring, mut subscribers) = (EventRing::new(8), Subscribers::new(4, 2));
        let mut slow = subscribe(&mut subscribers);
        let dropped: u64 =
            (0..4).map(|_| subscribers.publish(&event(&mut ring, EventType::Failover))).sum();

        assert_eq!((dropped, subscribers.dropped(), subscribers.count()), (1, 1, 0));
        assert_eq!(slow.next().await.unwrap().seq, 1);
        assert_eq!(slow.next().await.unwrap().seq, 2);
        assert_eq!(slow.next().await.unwrap_err(), EndReason::TooSlow);
    }

    #[tokio::test]
    async fn one_slow_subscriber_costs_the_others_nothing() {
        let (mut ring, mut subscribers) = (EventRing::new(8), Subscribers::new(4, 1));
        let _slow = subscribe(&mut subscribers);
        let mut quick = subscribe(&mut subscribers);
        for seq in 1..=3 {
            subscribers.publish(&event(&mut ring, EventType::Failover));
            assert_eq!(quick.next().await.unwrap().seq, seq);
        }
    }

    #[tokio::test]
    async fn an_event_that_is_filtered_out_takes_no_room() {
        let (mut ring, mut subscribers) = (EventRing::new(8), Subscribers::new(4, 1));
        let filter = EventFilter { types: vec!["cooldown.*".into()], providers: vec![] };
        let mut listener = subscribers.add(filter, Replay::default(), 0).unwrap();
        for kind in [EventType::Failover, EventType::Failover, EventType::CooldownStarted] {
            subscribers.publish(&event(&mut ring, kind));
        }
        assert_eq!(listener.next().await.unwrap().seq, 3);
    }

    #[tokio::test]
    async fn when_the_stream_stops_the_reason_is_not_the_subscriber() {
        let mut subscribers = Subscribers::new(4, 1);
        let mut listener = subscribe(&mut subscribers);
        drop(subscribers);
        assert_eq!(listener.next().await.unwrap_err(), EndReason::Stopping);
    }

    #[test]
    fn a_seat_that_was_left_is_free_again() {
        let mut subscribers = Subscribers::new(1, 1);
        let first = subscribe(&mut subscribers);
        let refused = subscribers.add(EventFilter::default(), Replay::default(), 0);
        assert_eq!(refused.unwrap_err(), SubscribeError::TooMany { max: 1 });
        drop(first);
        subscribe(&mut subscribers);
    }
}
