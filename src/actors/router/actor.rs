//! The shell: takes note of what attempts came to, and publishes what plans are made of.

use actix::prelude::*;

use super::{
    messages::{
        AttemptFailed, AttemptSucceeded, ClearProviderCooldowns, ForgetProvider,
        ListProviderCooldowns, ProviderIncident, RouterReady, TakeRetry, TrialPassed,
    },
    retry_budget::RetryBudget,
    routes::RouteKeeper,
    view::{RequestCounter, RouterView, SharedTurns},
};
use crate::{
    actors::{
        clock::now,
        cooldown_keeper::{About, CooldownKeeper, EXPIRY_INTERVAL},
        db::DbHandle,
        loading::load_first,
        published::{Published, Publisher},
        registry::{ProviderAnswered, ProviderFailed, ProviderTable},
        supervise::{crashes_on_request, stops_on_request},
    },
    domain::{
        cooldown::{Cooldown, CooldownScope},
        penalty::{ProviderFailures, SERVER_LENGTH},
    },
};

/// Whom the Router tells how providers are doing.
pub struct RouterPeers {
    pub failed: Recipient<ProviderFailed>,
    pub answered: Recipient<ProviderAnswered>,
}

/// Owns the health of providers.
pub struct Router {
    cooldowns: CooldownKeeper,
    failures: ProviderFailures,
    budget: RetryBudget,
    requests: RequestCounter,
    pub(super) routes: RouteKeeper,
    turns: SharedTurns,
    view: Publisher<RouterView>,
    providers: Published<ProviderTable>,
    db: DbHandle,
    peers: RouterPeers,
}

impl Router {
    pub fn new(
        cooldowns: CooldownKeeper,
        routes: RouteKeeper,
        view: Publisher<RouterView>,
        providers: Published<ProviderTable>,
        db: DbHandle,
        peers: RouterPeers,
    ) -> Self {
        Self {
            cooldowns,
            failures: ProviderFailures::default(),
            budget: RetryBudget::default(),
            requests: RequestCounter::default(),
            routes,
            turns: SharedTurns::default(),
            view,
            providers,
            db,
            peers,
        }
    }

    fn load(&mut self, stored: Vec<Cooldown>) {
        let own = stored.into_iter().filter(|cooldown| cooldown.scope.credential().is_none());
        self.cooldowns.restore(own);
        self.publish();
    }

    pub(super) fn publish(&self) {
        self.view.replace(RouterView {
            cooldowns: self.cooldowns.book().clone(),
            failures: self.failures.clone(),
            requests: self.requests.clone(),
            routes: self.routes.book.table(),
            turns: self.turns.clone(),
        });
    }

    /// Forgets what no longer holds, and brings the request count up to date.
    fn tick(&mut self, _: &mut Context<Self>) {
        self.budget.note_requests(now(), self.requests.take());
        if !self.cooldowns.expire().is_empty() {
            self.publish();
        }
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    /// Runs at the first start and after each restart.
    fn started(&mut self, ctx: &mut Self::Context) {
        let db = self.db.clone();
        let load = move || {
            let db = db.clone();
            async move { db.load_cooldowns().await }
        };
        load_first(self, ctx, "cooldowns", load, Self::load);
        self.load_routes(ctx);
        ctx.run_interval(EXPIRY_INTERVAL, Self::tick);
    }
}

impl Supervised for Router {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.failures = ProviderFailures::default();
        self.budget = RetryBudget::default();
    }
}

impl Handler<RouterReady> for Router {
    type Result = ();

    fn handle(&mut self, _: RouterReady, _: &mut Self::Context) {}
}

impl Handler<TakeRetry> for Router {
    type Result = bool;

    fn handle(&mut self, msg: TakeRetry, _: &mut Self::Context) -> Self::Result {
        let at = now();
        self.budget.note_requests(at, self.requests.take());
        let is_cooling = |provider| {
            let scope = CooldownScope::Provider(provider);
            self.cooldowns.book().active(at, &scope).is_some()
        };
        !msg.provider_id.is_some_and(is_cooling) && self.budget.take(at)
    }
}

impl Handler<AttemptFailed> for Router {
    type Result = ();

    fn handle(&mut self, msg: AttemptFailed, _: &mut Self::Context) {
        let AttemptFailed { provider_id, model, failure, is_listed, attempt } = msg;
        let was_noted = self.failures.remembers(&provider_id);
        let whole = CooldownScope::Provider(provider_id.clone());
        let is_on_trial = self.cooldowns.book().is_on_trial(now(), &whole);
        let due = self.failures.note(now(), &provider_id, &model, &failure, is_on_trial);
        let mut is_news = !was_noted && self.failures.remembers(&provider_id);
        if let Some((scope, length)) = due {
            let is_whole = matches!(scope, CooldownScope::Provider(_));
            let about = About { failure: &failure, is_listed, attempt };
            let is_cooling = self.cooldowns.impose(scope, length, about).is_some();
            is_news |= is_cooling;
            if is_cooling && is_whole {
                let message = failure.detail.clone();
                self.peers.failed.do_send(ProviderFailed { id: provider_id, message });
            }
        }
        if is_news {
            self.publish();
        }
    }
}

impl Handler<AttemptSucceeded> for Router {
    type Result = ();

    fn handle(&mut self, msg: AttemptSucceeded, _: &mut Self::Context) {
        let AttemptSucceeded { provider_id, model } = msg;
        self.failures.forget(&provider_id);
        self.cooldowns.succeeded(&CooldownScope::Provider(provider_id.clone()));
        self.cooldowns.succeeded(&CooldownScope::ProviderModel(provider_id.clone(), model));
        self.publish();
        let has_error = self
            .providers
            .read()
            .find(&provider_id)
            .is_some_and(|(provider, _)| provider.last_error.is_some());
        if has_error {
            self.peers.answered.do_send(ProviderAnswered { id: provider_id });
        }
    }
}

impl Handler<TrialPassed> for Router {
    type Result = ();

    fn handle(&mut self, msg: TrialPassed, _: &mut Self::Context) {
        if self.cooldowns.passed(&msg.scope) {
            self.publish();
        }
    }
}

impl Handler<ProviderIncident> for Router {
    type Result = ();

    fn handle(&mut self, msg: ProviderIncident, _: &mut Self::Context) {
        let ProviderIncident { provider_id, failure } = msg;
        let scope = CooldownScope::Provider(provider_id.clone());
        let about = About { failure: &failure, is_listed: true, attempt: None };
        if self.cooldowns.impose(scope, SERVER_LENGTH, about).is_some() {
            self.publish();
            let message = format!("{}, from most of its keys at once", failure.detail);
            self.peers.failed.do_send(ProviderFailed { id: provider_id, message });
        }
    }
}

impl Handler<ForgetProvider> for Router {
    type Result = ();

    fn handle(&mut self, msg: ForgetProvider, _: &mut Self::Context) {
        self.failures.forget(&msg.provider_id);
        self.cooldowns.clear(Some(&msg.provider_id));
        self.publish();
    }
}

impl Handler<ListProviderCooldowns> for Router {
    type Result = MessageResult<ListProviderCooldowns>;

    fn handle(&mut self, _: ListProviderCooldowns, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.cooldowns.list())
    }
}

impl Handler<ClearProviderCooldowns> for Router {
    type Result = MessageResult<ClearProviderCooldowns>;

    fn handle(&mut self, msg: ClearProviderCooldowns, _: &mut Self::Context) -> Self::Result {
        match &msg.provider_id {
            Some(provider) => self.failures.forget(provider),
            None => self.failures = ProviderFailures::default(),
        }
        let cleared = self.cooldowns.clear(msg.provider_id.as_ref());
        self.publish();
        MessageResult(cleared)
    }
}

stops_on_request!(Router);
crashes_on_request!(Router);
