//! Those who listen, and what becomes of one that is too slow.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{messages::SubscribeError, ring::Replay};
use crate::{
    config,
    domain::event::{Event, EventFilter},
};

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The subscriber did not keep up: more waited for it than may, or for longer.
    TooSlow,
    /// There will be no more events: the pool is stopping.
    Stopping,
}

/// How much may wait for one subscriber.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Memory of the events that wait. One event may always wait.
    pub bytes: usize,
    /// How long the oldest of them may wait.
    pub age: Duration,
}

impl From<&config::Events> for QueueLimits {
    fn from(config: &config::Events) -> Self {
        let age = Duration::from_millis(config.subscriber_lag_ms);
        Self { bytes: config.subscriber_queue_bytes, age }
    }
}

/// What waits for one subscriber.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// With when each came.
    events: VecDeque<(Instant, Arc<Event>)>,
    bytes: usize,
    end: Option<EndReason>,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Whoever panicked while holding it has left it whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an event, if it may wait.
    fn push(&self, now: Instant, event: &Arc<Event>, limits: QueueLimits) -> bool {
        let mut waiting = self.waiting();
        let bytes = waiting.bytes + event.memory();
        let is_old = |(since, _): &(Instant, _)| now.duration_since(*since) > limits.age;
        let is_late = waiting.events.front().is_some_and(is_old);
        if is_late || bytes > limits.bytes && !waiting.events.is_empty() {
            drop(waiting);
            self.end(EndReason::TooSlow);
            return false;
        }
        waiting.bytes = bytes;
        waiting.events.push_back((now, Arc::clone(event)));
        drop(waiting);
        self.changed.notify_one();
        true
    }

    fn end(&self, reason: EndReason) {
        self.waiting().end = Some(reason);
        self.changed.notify_one();
    }

    fn pop(&self) -> Option<Result<Arc<Event>, EndReason>> {
        let mut waiting = self.waiting();
        let Some((_, event)) = waiting.events.pop_front() else { return waiting.end.map(Err) };
        waiting.bytes -= event.memory();
        Some(Ok(event))
    }
}

/// A subscription to the event stream. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    /// What was missed, oldest first. Comes before all of [`Self::next`].
    pub backlog: Vec<Arc<Event>>,
    /// Set when some of what was missed is gone for good: the number of the first event available.
    pub gap: Option<u64>,
    /// The newest event when the subscription began; 0 before the first.
    pub last_seq: u64,
    live: Arc<Queue>,
}

impl Subscription {
    /// Waits for the next event. May be dropped while waiting without losing one.
    ///
    /// Errors: [`EndReason`] after the last event; one that was too slow still gets what was queued.
    pub async fn next(&mut self) -> Result<Arc<Event>, EndReason> {
        loop {
            if let Some(next) = self.live.pop() {
                return next;
            }
            self.live.changed.notified().await;
        }
    }
}

/// Everyone who listens: a bounded number, each with a queue that is bounded by memory and by time.
#[derive(Debug)]
pub struct Subscribers {
    all: Vec<Subscriber>,
    max: usize,
    limits: QueueLimits,
    dropped: u64,
    ended: bool,
}

#[derive(Debug)]
struct Subscriber {
    filter: EventFilter,
    queue: Arc<Queue>,
}

impl Subscriber {
    /// Whether its subscriber has gone.
    fn is_left(&self) -> bool {
        Arc::strong_count(&self.queue) == 1
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        self.end();
    }
}

impl Subscribers {
    /// At most `max` subscribers, at least 1.
    pub fn new(max: usize, limits: QueueLimits) -> Self {
        Self { all: Vec::new(), max: max.max(1), limits, dropped: 0, ended: false }
    }

    /// Adds one, to be given `replay` as far as `filter` lets it through, and from then on what
    /// is published.
    ///
    /// Errors: [`SubscribeError::TooMany`] when there are as many as may be, [`SubscribeError::Stopping`]
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
        self.all.retain(|subscriber| !subscriber.is_left());
        if self.all.len() >= self.max {
            return Err(SubscribeError::TooMany { max: self.max });
        }
        let Replay { events: mut backlog, gap } = replay;
        backlog.retain(|event| filter.admits(event));
        let live = Arc::<Queue>::default();
        self.all.push(Subscriber { filter, queue: Arc::clone(&live) });
        Ok(Subscription { backlog, gap, last_seq, live })
    }

    /// Queues an event for all who want it, and waits for none. Answers how many were dropped as too
    /// slow.
    pub fn publish(&mut self, now: Instant, event: &Arc<Event>) -> u64 {
        let mut dropped = 0;
        self.all.retain(|subscriber| {
            if subscriber.is_left() {
                return false;
            }
            let stays =
                !subscriber.filter.admits(event) || subscriber.queue.push(now, event, self.limits);
            dropped += u64::from(!stays);
            stays
        });
        self.dropped += dropped;
        dropped
    }

    /// Ends every subscription, after what is queued for it.
    pub fn end(&mut self) {
        self.ended = true;
        self.all.drain(..).for_each(|subscriber| subscriber.queue.end(EndReason::Stopping));
    }

    /// How many are listening now.
    pub fn count(&self) -> usize {
        self.all.iter().filter(|subscriber| !subscriber.is_left()).count()
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

    /// Room for so many events.
    fn room_for(events: usize) -> QueueLimits {
        let one = event(&mut EventRing::new(1), EventType::Failover).memory();
        QueueLimits { bytes: events * one, age: Duration::from_secs(30) }
    }

    #[tokio::test]
    async fn a_slow_subscriber_gets_what_was_queued_and_then_the_reason() {
        let (mut ring, mut subscribers) = (EventRing::new(8), Subscribers::new(4, room_for(2)));
        let mut slow = subscribe(&mut subscribers);
        let now = Instant::now();
        let dropped: u64 =
            (0..4).map(|_| subscribers.publish(now, &event(&mut ring, EventType::Failover))).sum();

        assert_eq!((dropped, subscribers.dropped(), subscribers.count()), (1, 1, 0));
        assert_eq!(slow.next().await.unwrap().seq, 1);
        assert_eq!(slow.next().await.unwrap().seq, 2);
        assert_eq!(slow.next().await.unwrap_err(), EndReason::TooSlow);
    }

    #[tokio::test]
    async fn what_has_waited_for_too_long_ends_the_subscription_however_little_it_is() {
        let mut ring = EventRing::new(8);
        let mut subscribers = Subscribers::new(4, room_for(1_000));
        let mut slow = subscribe(&mut subscribers);
        let mut publish = |now| subscribers.publish(now, &event(&mut ring, EventType::Failover));
        let now = Instant::now();
        assert_eq!(publish(now), 0);
        assert_eq!(publish(now + Duration::from_secs(30)), 0);
        // The first was taken, and the second has not waited for long.
        assert_eq!(slow.next().await.unwrap().seq, 1);
        assert_eq!(publish(now + Duration::from_secs(31)), 0);
        assert_eq!(publish(now + Duration::from_secs(61)), 1);
        assert_eq!(slow.next().await.unwrap().seq, 2);
        assert_eq!(slow.next().await.unwrap().seq, 3);
        assert_eq!(slow.next().await.unwrap_err(), EndReason::TooSlow);
    }

    #[tokio::test]
    async fn one_event_may_wait_however_large_it_is_and_room_is_given_back() {
        let mut ring = EventRing::new(8);
        let mut subscribers = Subscribers::new(4, QueueLimits { bytes: 1, ..room_for(1) });
        let mut quick = subscribe(&mut subscribers);
        for seq in 1..=100 {
            subscribers.publish(Instant::now(), &event(&mut ring, EventType::Failover));
            assert_eq!(quick.next().await.unwrap().seq, seq);
        }
        assert_eq!(subscribers.dropped(), 0);
    }

    #[tokio::test]
    async fn a_reader_at_full_speed_is_not_dropped_by_a_burst_of_many_requests() {
        // Four events for each of the requests of two seconds, while the reader was held up.
        let defaults = crate::config::Events::default();
        let mut ring = EventRing::new(8);
        let mut subscribers = Subscribers::new(4, (&defaults).into());
        let mut reader = subscribe(&mut subscribers);
        let (count, now) = (4 * 5_000 * 2, Instant::now());
        for _ in 0..count {
            subscribers.publish(now, &event(&mut ring, EventType::RequestFinished));
        }
        for seq in 1..=count {
            assert_eq!(reader.next().await.unwrap().seq, seq);
        }
        assert_eq!(subscribers.dropped(), 0);
    }

    #[tokio::test]
    async fn one_slow_subscriber_costs_the_others_nothing() {
        let (mut ring, mut subscribers) = (EventRing::new(8), Subscribers::new(4, room_for(1)));
        let _slow = subscribe(&mut subscribers);
        let mut quick = subscribe(&mut subscribers);
        for seq in 1..=3 {
            subscribers.publish(Instant::now(), &event(&mut ring, EventType::Failover));
            assert_eq!(quick.next().await.unwrap().seq, seq);
        }
    }

    #[tokio::test]
    async fn an_event_that_is_filtered_out_takes_no_room() {
        let (mut ring, mut subscribers) = (EventRing::new(8), Subscribers::new(4, room_for(1)));
        let filter = EventFilter { types: vec!["cooldown.*".into()], providers: vec![] };
        let mut listener = subscribers.add(filter, Replay::default(), 0).unwrap();
        for kind in [EventType::Failover, EventType::Failover, EventType::CooldownStarted] {
            subscribers.publish(Instant::now(), &event(&mut ring, kind));
        }
        assert_eq!(listener.next().await.unwrap().seq, 3);
    }

    #[tokio::test]
    async fn when_the_stream_stops_the_reason_is_not_the_subscriber() {
        let mut subscribers = Subscribers::new(4, room_for(1));
        let mut listener = subscribe(&mut subscribers);
        drop(subscribers);
        assert_eq!(listener.next().await.unwrap_err(), EndReason::Stopping);
    }

    #[test]
    fn a_seat_that_was_left_is_free_again() {
        let mut subscribers = Subscribers::new(1, room_for(1));
        let first = subscribe(&mut subscribers);
        let refused = subscribers.add(EventFilter::default(), Replay::default(), 0);
        assert_eq!(refused.unwrap_err(), SubscribeError::TooMany { max: 1 });
        drop(first);
        subscribe(&mut subscribers);
    }
}
