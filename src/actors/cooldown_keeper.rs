//! A book of cooldowns with what follows from each change: it is stored, told and counted.
//!
//! The Router keeps one for providers, Credentials one for credentials. The rules are in
//! `domain::cooldown`; here is only what both shells do about them.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::Recipient;
use tokio::sync::Mutex;

use super::{clock::now, db::DbHandle, events::Record, traces::CooldownCaused};
use crate::{
    domain::{
        cooldown::{Cooldown, CooldownBook, CooldownChange, CooldownScope, CooldownView, Length},
        event::{EventType, Fact},
        failure::{Failure, FailureClass},
        id::{CredentialId, ProviderId, RequestId},
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
    traces: Recipient<CooldownCaused>,
    metrics: Arc<Metrics>,
    /// Whoever writes to storage holds it; the others wait in line.
    turn: Rc<Mutex<()>>,
}

impl CooldownKeeper {
    pub fn new(
        db: DbHandle,
        events: Recipient<Record>,
        traces: Recipient<CooldownCaused>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { book: CooldownBook::default(), db, events, traces, metrics, turn: Rc::default() }
    }

    pub fn book(&self) -> &CooldownBook {
        &self.book
    }

    /// Takes over stored cooldowns, beside those in memory: after a panic these are still right, and
    /// the last of them may not be stored yet.
    pub fn restore(&mut self, stored: impl IntoIterator<Item = Cooldown>) {
        self.book.restore(stored);
    }

    /// Cools a scope after a failure of an attempt: the number of one of a request's. Answers with the
    /// cooldown when it is new or longer.
    pub fn impose(
        &mut self,
        scope: CooldownScope,
        length: Length,
        failure: &Failure,
        attempt: Option<(RequestId, u32)>,
    ) -> Option<Cooldown> {
        if let Some(forgotten) = self.book.make_room() {
            self.metrics.cooldowns_dropped.inc();
            self.tell(EventType::CooldownEnded, &forgotten);
            self.unstore(vec![forgotten.scope]);
        }
        let change = self.book.impose(
            now(),
            scope,
            length,
            (failure.class, failure.status),
            rand::random(),
        )?;
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
        if let Some((request_id, attempt)) = attempt {
            let cooldown = CooldownView::from(&cooldown);
            self.traces.do_send(CooldownCaused { request_id, attempt, cooldown });
        }
        let (db, stored) = (self.db.clone(), cooldown.clone());
        self.write(async move {
            // The one in memory holds either way; only a restart of the process would miss it.
            if let Err(error) = db.save_cooldown(stored).await {
                tracing::warn!(%error, "a cooldown could not be stored");
            }
        });
        Some(cooldown)
    }

    pub fn succeeded(&mut self, scope: &CooldownScope) {
        self.book.succeeded(now(), scope);
    }

    /// A trial has shown that a scope works. Says whether this is news.
    pub fn passed(&mut self, scope: &CooldownScope) -> bool {
        self.book.passed(now(), scope)
    }

    /// Tells the cooldowns that have ended since the last call.
    pub fn expire(&mut self) -> Vec<Cooldown> {
        let ended = self.book.expire(now());
        for cooldown in &ended {
            self.tell(EventType::CooldownEnded, cooldown);
        }
        self.unstore(ended.iter().map(|cooldown| cooldown.scope.clone()).collect());
        ended
    }

    /// Ends cooldowns by hand: those of one provider, or all.
    pub fn clear(&mut self, provider: Option<&ProviderId>) -> Vec<Cooldown> {
        let scopes = match provider {
            Some(provider) => self.book.scopes_of(provider),
            None => self.book.scopes(),
        };
        self.clear_scopes(scopes)
    }

    /// Spares credentials the cooldowns that began within the last `since` for this cause: it was not
    /// theirs.
    pub fn spare(
        &mut self,
        provider: &ProviderId,
        credentials: &[CredentialId],
        cause: FailureClass,
        since: Duration,
    ) {
        let (book, earliest) = (&self.book, now().minus(since));
        let mut scopes = book.scopes_of(provider);
        scopes.retain(|scope| {
            scope.credential().is_some_and(|credential| credentials.contains(credential))
                && book.active(now(), scope).is_some_and(|cooldown| {
                    cooldown.cause == cause && cooldown.started_at >= earliest
                })
        });
        self.clear_scopes(scopes);
    }

    /// Forgets what is held against a credential that is gone.
    pub fn clear_credential(&mut self, provider: &ProviderId, credential: &CredentialId) {
        let mut scopes = self.book.scopes_of(provider);
        scopes.retain(|scope| scope.credential() == Some(credential));
        self.clear_scopes(scopes);
    }

    fn clear_scopes(&mut self, scopes: Vec<CooldownScope>) -> Vec<Cooldown> {
        let cleared: Vec<Cooldown> =
            scopes.iter().filter_map(|scope| self.book.clear(scope)).collect();
        for cooldown in &cleared {
            self.tell(EventType::CooldownCleared, cooldown);
        }
        self.unstore(scopes);
        cleared
    }

    pub fn list(&self) -> Vec<Cooldown> {
        self.book.list(now())
    }

    fn tell(&self, kind: EventType, cooldown: &Cooldown) {
        self.events.do_send(Record(Fact::of_cooldown(kind, cooldown.into())));
    }

    fn unstore(&self, scopes: Vec<CooldownScope>) {
        if scopes.is_empty() {
            return;
        }
        let db = self.db.clone();
        self.write(async move {
            // A row left behind has ended already or is ended again at the next start.
            if let Err(error) = db.delete_cooldowns(scopes).await {
                tracing::warn!(%error, "ended cooldowns could not be removed from storage");
            }
        });
    }

    /// Writes to storage beside the actor, which may panic meanwhile, and in the order of the changes.
    fn write(&self, write: impl Future<Output = ()> + 'static) {
        let turn = Rc::clone(&self.turn);
        actix::spawn(async move {
            let _turn = turn.lock().await;
            write.await;
        });
    }
}
