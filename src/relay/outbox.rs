//! What a worker thread has to tell that nobody waits for, gathered and sent at once.
//!
//! Every message to an actor on another thread may have to wake it, which costs more than the message.
//! So what settles in one turn of the event loop goes out together at its end: under load one wake
//! serves many requests, and an idle worker tells at once. Where both threads share a processor, each
//! message more is a switch there and back.

use std::{cell::RefCell, mem, rc::Rc, sync::Arc};

use actix::Recipient;

use crate::{
    actors::{traces::RecordTraces, usage_tracker::UsageJournaled},
    domain::{event::Fact, trace::Trace, usage::UsageEntry},
};

/// One worker thread's outbox. Bounded by the requests that can settle in one turn.
pub struct Outbox {
    waiting: RefCell<Waiting>,
    usage: Recipient<UsageJournaled>,
    traces: Recipient<RecordTraces>,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<UsageEntry>,
    facts: Vec<Fact>,
    /// Behind pointers: a trace is large, and this list grows with each request of a turn.
    traces: Vec<Arc<Trace>>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.facts.is_empty() && self.traces.is_empty()
    }
}

impl Outbox {
    pub fn new(usage: Recipient<UsageJournaled>, traces: Recipient<RecordTraces>) -> Rc<Self> {
        Rc::new(Self { waiting: RefCell::default(), usage, traces })
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
        self.put(|waiting| waiting.traces.push(Arc::new(trace)));
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
        let mut waiting = self.waiting.borrow_mut();
        let (entries, facts) = (taken(&mut waiting.entries), taken(&mut waiting.facts));
        let traces = taken(&mut waiting.traces);
        drop(waiting);
        if !entries.is_empty() || !facts.is_empty() {
            self.usage.do_send(UsageJournaled { entries, facts });
        }
        if !traces.is_empty() {
            self.traces.do_send(RecordTraces(traces));
        }
    }
}

/// Takes all of a list, and leaves room for as much again: a list that grows is copied each time.
fn taken<T>(list: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(list.len());
    mem::replace(list, room)
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.send();
    }
}
