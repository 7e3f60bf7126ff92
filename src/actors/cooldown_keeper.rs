//! A book of cooldowns with what follows from each change: it is stored, told and counted.
//!
//! The Router keeps one for providers, Credentials one for credentials. The rules are in
//! `domain::cooldown`; here is only what both shells do about them.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Recipient, fut::wrap_future};

use super::{clock::now, db::DbHandle, events::Record};
use crate::{
    domain::{
        cooldown::{Cooldown, CooldownBook, CooldownChange, CooldownScope, Length},
        event::{EventType, Fact},
        failure::Failure,
        id::ProviderId,
    },
    telemetry::Metrics,
};

/// How often the ends of cooldowns are looked for, to tell them. Choosing looks at the clock itself.
pub const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// The cooldowns of one actor.
pub struct CooldownKeeper {
    book: CooldownBook,
    db: DbHandle,
    events: Recipient<Record>,
    metrics: Arc<Metrics>,
}

impl CooldownKeeper {
    pub fn new(db: DbHandle, events: Recipient<Record>, metrics: Arc<Metrics>) -> Self {
        Self { book: CooldownBook::default(), db, events, metrics }
    }

    /// An empty one with the same peers.
    pub fn like(&self) -> Self {
        Self::new(self.db.clone(), self.events.clone(), Arc::clone(&self.metrics))
    }

    pub fn book(&self) -> &CooldownBook {
        &self.book
    }

    /// Forgets everything, before [`Self::restore`].
    pub fn reset(&mut self) {
        self.book = CooldownBook::default();
    }

    pub fn restore(&mut self, stored: impl IntoIterator<Item = Cooldown>) {
        self.book = CooldownBook::restore(stored);
    }

    /// Cools a scope after a failure. Answers with the cooldown when it is new or longer.
    pub fn impose<A>(
        &mut self,
        scope: CooldownScope,
        length: Length,
        failure: &Failure,
        ctx: &mut Context<A>,
    ) -> Option<Cooldown>
    where
        A: Actor<Context = Context<A>>,
    {
        let change = self.book.impose(now(), scope, length, failure.class, failure.status)?;
        let (kind, cooldown) = match change {
            CooldownChange::Started(cooldown) => (EventType::CooldownStarted, cooldown),
            CooldownChange::Extended(cooldown) => (EventType::CooldownExtended, cooldown),
        };
        tracing::info!(
            scope = cooldown.scope.kind(),
            provider = %cooldown.scope.provider(),
            credential = cooldown.scope.credential().map(tracing::field::display),
            model = cooldown.scope.model().map(tracing::field::display),
            cause = cooldown.cause.as_str(),
            until = %cooldown.until,
            "cooling down"
        );
        self.metrics.cooldown_started(&cooldown.scope, cooldown.cause);
        self.tell(kind, &cooldown);
        let (db, stored) = (self.db.clone(), cooldown.clone());
        let save = async move {
            // The one in memory holds either way; only a restart would miss it.
            if let Err(error) = db.save_cooldown(stored).await {
                tracing::warn!(%error, "a cooldown could not be stored");
            }
        };
        ctx.spawn(wrap_future(save));
        Some(cooldown)
    }

    pub fn succeeded(&mut self, scope: &CooldownScope) {
        self.book.succeeded(now(), scope);
    }

    /// Tells the cooldowns that have ended since the last call.
    pub fn expire<A>(&mut self, ctx: &mut Context<A>) -> Vec<Cooldown>
    where
        A: Actor<Context = Context<A>>,
    {
        let ended = self.book.expire(now());
        for cooldown in &ended {
            self.tell(EventType::CooldownEnded, cooldown);
        }
        self.unstore(ended.iter().map(|cooldown| cooldown.scope.clone()).collect(), ctx);
        ended
    }

    /// Ends cooldowns by hand: those of one provider, or all.
    pub fn clear<A>(&mut self, provider: Option<&ProviderId>, ctx: &mut Context<A>) -> Vec<Cooldown>
    where
        A: Actor<Context = Context<A>>,
    {
        let scopes = match provider {
            Some(provider) => self.book.scopes_of(provider),
            None => self.book.list(now()).into_iter().map(|cooldown| cooldown.scope).collect(),
        };
        let cleared: Vec<Cooldown> =
            scopes.iter().filter_map(|scope| self.book.clear(scope)).collect();
        for cooldown in &cleared {
            self.tell(EventType::CooldownCleared, cooldown);
        }
        self.unstore(scopes, ctx);
        cleared
    }

    pub fn list(&self) -> Vec<Cooldown> {
        self.book.list(now())
    }

    fn tell(&self, kind: EventType, cooldown: &Cooldown) {
        self.events.do_send(Record(Fact::of_cooldown(kind, cooldown.into())));
    }

    fn unstore<A>(&self, scopes: Vec<CooldownScope>, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        if scopes.is_empty() {
            return;
        }
        let db = self.db.clone();
        ctx.spawn(wrap_future(async move {
            // A row left behind has ended already or is ended again at the next start.
            if let Err(error) = db.delete_cooldowns(scopes).await {
                tracing::warn!(%error, "ended cooldowns could not be removed from storage");
            }
        }));
    }
}
