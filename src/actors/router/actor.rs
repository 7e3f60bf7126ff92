//! The shell: keeps the routes and the retry budget, and publishes what plans are made of.

use std::time::Duration;

use actix::prelude::*;

use super::{
    messages::{AwaitRouter, TakeRetry},
    retry_budget::RetryBudget,
    routes::RouteStore,
    view::{RequestCounter, RouterView, SharedTurns},
};
use crate::actors::{
    clock::steady,
    published::Publisher,
    supervise::{crashes_on_request, stops_on_request},
};

/// How often the requests are counted that nobody has asked to repeat.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// Owns the routes and the retry budget.
///
/// Its mailbox holds a question for each attempt more than there are requests, which admission bounds,
/// and what management asks, one question of each call.
pub struct Router {
    budget: RetryBudget,
    requests: RequestCounter,
    pub(super) routes: RouteStore,
    turns: SharedTurns,
    view: Publisher<RouterView>,
}

impl Router {
    pub fn new(routes: RouteStore, view: Publisher<RouterView>) -> Self {
        Self {
            budget: RetryBudget::default(),
            requests: RequestCounter::default(),
            routes,
            turns: SharedTurns::default(),
            view,
        }
    }

    pub(super) fn publish(&self) {
        self.view.replace(RouterView {
            requests: self.requests.clone(),
            routes: self.routes.state.table(),
            turns: self.turns.clone(),
        });
    }

    /// Brings the request count up to date.
    fn tick(&mut self, _: &mut Context<Self>) {
        self.budget.note_requests(steady(), self.requests.take());
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    /// Runs at the first start and after each restart.
    fn started(&mut self, ctx: &mut Self::Context) {
        self.load_routes(ctx);
        ctx.run_interval(COUNT_INTERVAL, Self::tick);
    }
}

impl Supervised for Router {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.budget = RetryBudget::default();
    }
}

impl Handler<AwaitRouter> for Router {
    type Result = ();

    fn handle(&mut self, _: AwaitRouter, _: &mut Self::Context) {}
}

impl Handler<TakeRetry> for Router {
    type Result = bool;

    fn handle(&mut self, _: TakeRetry, _: &mut Self::Context) -> Self::Result {
        let at = steady();
        self.budget.note_requests(at, self.requests.take());
        self.budget.take(at)
    }
}

stops_on_request!(Router);
crashes_on_request!(Router);
