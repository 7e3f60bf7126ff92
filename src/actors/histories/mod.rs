//! What was said before, for requests that continue an answer by its id.
//!
//! In memory alone, bounded and for a while: a client whose answer is gone is told so.

use actix::prelude::*;

use super::{
    clock::now,
    supervise::{crashes_on_request, stops_on_request},
};
use crate::domain::{
    id::KeyId,
    response_history::{HistoryBounds, Items, ResponseHistory},
};

/// A fact: a client has got an answer that it may continue. Nobody waits for it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AnswerGiven {
    pub owner: KeyId,
    pub response_id: String,
    /// The conversation up to and with the answer.
    pub items: Items,
}

/// Asks for the conversation up to an answer. `None`: it is another owner's, or no longer kept.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Option<Items>")]
pub struct FindHistory {
    pub owner: KeyId,
    pub response_id: String,
}

/// Owns the conversations behind recent answers.
pub struct Histories {
    history: ResponseHistory,
}

impl Histories {
    pub fn new(bounds: HistoryBounds) -> Self {
        Self { history: ResponseHistory::new(bounds) }
    }
}

impl Actor for Histories {
    type Context = Context<Self>;
}

impl Supervised for Histories {}

impl Handler<AnswerGiven> for Histories {
    type Result = ();

    fn handle(&mut self, msg: AnswerGiven, _: &mut Self::Context) {
        self.history.keep(now(), &msg.owner, &msg.response_id, msg.items);
    }
}

impl Handler<FindHistory> for Histories {
    type Result = Option<Items>;

    fn handle(&mut self, msg: FindHistory, _: &mut Self::Context) -> Self::Result {
        self.history.find(now(), &msg.owner, &msg.response_id)
    }
}

stops_on_request!(Histories);
crashes_on_request!(Histories);
