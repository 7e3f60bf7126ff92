//! Facts become numbered events here, are kept for a while, and go out to whoever listens.
//!
//! Nothing in this folder knows sockets or JSON; a subscriber gets shared events from a queue.

mod actor;
mod messages;
mod ring;
mod subscribers;

pub use actor::Events;
pub use messages::{
    EndSubscriptions, EventsView, Record, RecordAll, ShowEvents, Subscribe, SubscribeError,
};
pub use ring::{EventRing, Replay};
pub use subscribers::{EndReason, QueueLimits, Subscribers, Subscription};
