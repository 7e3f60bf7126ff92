//! What can be told to and asked of the event stream.

use actix::Message;
use serde::Serialize;
use thiserror::Error;

use super::subscribers::Subscription;
use crate::domain::event::{EventFilter, Fact};

/// Numbers a fact and passes it on. Sent with `do_send`: a fact must arrive.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Record(pub Fact);

/// Numbers several facts in their order, with nothing between them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RecordAll(pub Vec<Fact>);

/// Begins to listen. The reply holds what was missed and a channel for what comes; dropping it ends
/// the subscription.
#[derive(Debug, Message)]
#[rtype(result = "Result<Subscription, SubscribeError>")]
pub struct Subscribe {
    /// The number of the last event already seen. Absent: only what comes from now on.
    pub since: Option<u64>,
    pub filter: EventFilter,
}

/// Lets all who listen go, and nobody more in: the server ends when their connections have.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct EndSubscriptions;

/// Why nobody more can listen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubscribeError {
    #[error("there are already {max} subscribers, the most that are served")]
    TooMany { max: usize },
    #[error("the pool is about to stop")]
    Stopping,
}

/// Asks how the event stream is doing.
#[derive(Debug, Message)]
#[rtype(result = "EventsView")]
pub struct ShowEvents;

/// The state of the event stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventsView {
    /// The oldest event still held. Absent when none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seq: Option<u64>,
    /// The newest event; 0 before the first.
    pub last_seq: u64,
    /// Events that have made room for newer ones.
    pub fallen_out: u64,
    pub subscribers: usize,
    /// Subscribers dropped as too slow since the start of the process.
    pub dropped_subscribers: u64,
}
