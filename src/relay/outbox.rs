//! What a worker thread has to tell that nobody waits for, gathered and sent at once.
//!
//! Every message to an actor on another thread may have to wake it, which costs more than the message.
//! So what settles in one turn of the event loop goes out together at its end: under load one wake
//! serves many requests, and an idle worker tells at once.

use std::{cell::RefCell, rc::Rc};

use actix::Recipient;

use crate::{
    actors::{events::RecordAll, traces::RecordTraces, usage_tracker::UsageJournaled},
    domain::{event::Fact, trace::Trace, usage::UsageEntry},
};

/// One worker thread's outbox. Bounded by the requests that can settle in one turn.
pub struct Outbox {
    waiting: RefCell<Waiting>,
    usage: Recipient<UsageJournaled>,
    events: Recipient<RecordAll>,
    traces: Recipient<RecordTraces>,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<UsageEntry>,
    facts: Vec<Fact>,
    traces: Vec<Trace>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.facts.is_empty() && self.traces.is_empty()
    }
}

impl Outbox {
    pub fn new(
        usage: Recipient<UsageJournaled>,
        events: Recipient<RecordAll>,
        traces: Recipient<RecordTraces>,
    ) -> Rc<Self> {
        Rc::new(Self { waiting: RefCell::default(), usage, events, traces })
    }

    /// Tells a fact to the event stream.
    pub fn tell(self: &Rc<Self>, fact: Fact) {
        self.put(|waiting| waiting.facts.push(fact));
    }

    /// Tells the ledger of an entry that is in the journal.
    pub fn record(self: &Rc<Self>, entry: UsageEntry) {
        self.put(|waiting| waiting.entries.push(entry));
    }

    /// Keeps the way of a request that is over.
    pub fn trace(self: &Rc<Self>, trace: Trace) {
        self.put(|waiting| waiting.traces.push(trace));
    }

    fn put(self: &Rc<Self>, put: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.borrow_mut();
        let was_empty = waiting.is_empty();
        put(&mut waiting);
        if was_empty {
            let outbox = Rc::clone(self);
            actix_web::rt::spawn(async move { outbox.send() });
        }
    }

    /// Sends what is waiting now. Called by itself; by hand only when something must come after it.
    pub fn send(&self) {
        let Waiting { entries, facts, traces } = self.waiting.take();
        if !entries.is_empty() {
            self.usage.do_send(UsageJournaled(entries));
        }
        if !facts.is_empty() {
            self.events.do_send(RecordAll(facts));
        }
        if !traces.is_empty() {
            self.traces.do_send(RecordTraces(traces));
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.send();
    }
}
