//! What can be asked of the Router.

use actix::Message;

/// Asks to make one attempt more than there are requests: a repeat, a hedge or a resume. `false`: the
/// retry budget is spent.
#[derive(Debug, Clone, Message)]
#[rtype(result = "bool")]
pub struct TakeRetry;

/// Answered when everything told before is in the published view; the first time, when the stored
/// routes are loaded.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct AwaitRouter;
