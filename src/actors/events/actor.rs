//! The shell of the event stream: reads the clock, numbers facts, hands them out.

use std::time::Instant;

use actix::{Actor, Context, Handler, MessageResult, Supervised};
use prometheus_client::metrics::counter::Counter;
use tracing::warn;

use super::{
    messages::{
        EndSubscriptions, EventsView, Record, RecordAll, ShowEvents, Subscribe, SubscribeError,
    },
    ring::{EventRing, Replay},
    subscribers::{Subscribers, Subscription},
};
use crate::{
    actors::{
        clock::now,
        supervise::{crashes_on_request, stops_on_request},
    },
    config,
    domain::event::Fact,
};

/// The numbered event stream. Numbers begin at 1 with the process and outlive a restart of the actor:
/// ring and subscribers stay as they are, only the fact being recorded when it panics may be lost.
pub struct Events {
    ring: EventRing,
    subscribers: Subscribers,
    dropped_subscribers: Counter,
}

impl Events {
    /// `dropped_subscribers` counts those that were too slow.
    pub fn new(config: &config::Events, dropped_subscribers: Counter) -> Self {
        Self {
            ring: EventRing::new(config.ring),
            subscribers: Subscribers::new(config.max_subscribers, config.into()),
            dropped_subscribers,
        }
    }

    fn record(&mut self, fact: Fact) {
        let event = self.ring.push(now(), fact);
        let dropped = self.subscribers.publish(Instant::now(), &event);
        if dropped > 0 {
            self.dropped_subscribers.inc_by(dropped);
            warn!(seq = event.seq, dropped, "event subscribers were too slow and were dropped");
        }
    }
}

impl Actor for Events {
    type Context = Context<Self>;
}

impl Supervised for Events {}

stops_on_request!(Events);
crashes_on_request!(Events);

impl Handler<Record> for Events {
    type Result = ();

    fn handle(&mut self, Record(fact): Record, _: &mut Context<Self>) {
        self.record(fact);
    }
}

impl Handler<RecordAll> for Events {
    type Result = ();

    fn handle(&mut self, RecordAll(facts): RecordAll, _: &mut Context<Self>) {
        for fact in facts {
            self.record(fact);
        }
    }
}

impl Handler<Subscribe> for Events {
    type Result = Result<Subscription, SubscribeError>;

    fn handle(&mut self, msg: Subscribe, _: &mut Context<Self>) -> Self::Result {
        let replay = msg.since.map_or_else(Replay::default, |seen| self.ring.since(seen));
        self.subscribers.add(msg.filter, replay, self.ring.last_seq())
    }
}

impl Handler<EndSubscriptions> for Events {
    type Result = ();

    fn handle(&mut self, _: EndSubscriptions, _: &mut Context<Self>) {
        self.subscribers.end();
    }
}

impl Handler<ShowEvents> for Events {
    type Result = MessageResult<ShowEvents>;

    fn handle(&mut self, _: ShowEvents, _: &mut Context<Self>) -> Self::Result {
        MessageResult(EventsView {
            first_seq: self.ring.first_seq(),
            last_seq: self.ring.last_seq(),
            fallen_out: self.ring.fallen_out(),
            subscribers: self.subscribers.count(),
            dropped_subscribers: self.subscribers.dropped(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix::{Addr, Arbiter};

    use super::*;
    use crate::{
        actors::{
            events::EndReason,
            supervise::{Crash, Watch, start_in},
        },
        domain::event::{EventData, EventFilter, EventType},
    };

    fn start() -> Addr<Events> {
        let watch = Watch { on_restart: Arc::new(|_, _| ()), on_give_up: Arc::new(|_| ()) };
        start_in(&Arbiter::current(), "events", watch, |_| {
            Events::new(&config::Events::default(), Counter::default())
        })
    }

    fn record(kind: EventType) -> Record {
        Record(Fact::new(kind, EventData::None {}))
    }

    #[actix::test]
    async fn a_subscriber_gets_what_it_missed_and_then_what_comes() {
        let events = start();
        events.do_send(record(EventType::SystemStarted));
        events.do_send(record(EventType::Failover));
        let filter = EventFilter { types: vec!["failover".into()], providers: vec![] };
        let subscribe = Subscribe { since: Some(0), filter };
        let mut listener = events.send(subscribe).await.unwrap().unwrap();
        events.do_send(RecordAll(vec![record(EventType::Failover).0]));

        assert_eq!(listener.backlog.iter().map(|event| event.seq).collect::<Vec<_>>(), [2]);
        assert_eq!(listener.next().await.unwrap().seq, 3);
    }

    #[actix::test]
    async fn when_the_subscriptions_end_nobody_listens_any_more() {
        let events = start();
        let subscribe = || Subscribe { since: None, filter: EventFilter::default() };
        let mut listener = events.send(subscribe()).await.unwrap().unwrap();
        events.do_send(record(EventType::SystemDraining));
        events.do_send(EndSubscriptions);
        events.do_send(record(EventType::Failover));

        assert_eq!(listener.next().await.unwrap().seq, 1);
        assert_eq!(listener.next().await.unwrap_err(), EndReason::Stopping);
        let refused = events.send(subscribe()).await.unwrap();
        assert_eq!(refused.unwrap_err(), SubscribeError::Stopping);
    }

    #[actix::test]
    async fn numbers_and_subscribers_outlive_a_panic() {
        let events = start();
        let subscribe = Subscribe { since: None, filter: EventFilter::default() };
        let mut listener = events.send(subscribe).await.unwrap().unwrap();
        events.do_send(record(EventType::Failover));
        events.do_send(Crash);
        events.do_send(record(EventType::Failover));

        assert_eq!(listener.next().await.unwrap().seq, 1);
        assert_eq!(listener.next().await.unwrap().seq, 2);
        let view = events.send(ShowEvents).await.unwrap();
        assert_eq!((view.first_seq, view.last_seq, view.subscribers), (Some(1), 2, 1));
    }
}
