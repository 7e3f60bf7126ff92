//! A book of cooldowns with what follows from each change: it is stored, told and counted.
//!
//! The Router keeps one for providers, Credentials one for credentials. The rules are in
//! `domain::cooldown`; here is only what both shells do about them.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc, time::Duration};

use actix::Recipient;

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
    unstored: Rc<RefCell<Unstored>>,
}

/// What leads to a cooldown.
#[derive(Debug, Clone, Copy)]
pub struct About<'f> {
    pub failure: &'f Failure,
    /// Whether the provider lists the model, where it is about one.
    pub is_listed: bool,
    /// The number of an attempt of a request's, for its trace.
    pub attempt: Option<(RequestId, u32)>,
}

impl CooldownKeeper {
    pub fn new(
        db: DbHandle,
        events: Recipient<Record>,
        traces: Recipient<CooldownCaused>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { book: CooldownBook::default(), db, events, traces, metrics, unstored: Rc::default() }
    }

    pub fn book(&self) -> &CooldownBook {
        &self.book
    }

    /// Takes over stored cooldowns, beside those in memory: after a panic these are still right, and
    /// the last of them may not be stored yet.
    pub fn restore(&mut self, stored: impl IntoIterator<Item = Cooldown>) {
        self.book.restore(stored);
    }

    /// Cools a scope after a failure. Answers with the cooldown when it is new or longer.
    pub fn impose(
        &mut self,
        scope: CooldownScope,
        length: Length,
        about: About<'_>,
    ) -> Option<Cooldown> {
        let About { failure, is_listed, attempt } = about;
        let unlisted = if is_listed { None } else { self.book.make_room_for_unlisted(&scope) };
        for forgotten in unlisted.into_iter().chain(self.book.make_room()) {
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
        let is_new = matches!(&change, CooldownChange::Started(cooldown) if cooldown.strikes == 1);
        let (kind, cooldown) = match change {
            CooldownChange::Started(cooldown) => (EventType::CooldownStarted, cooldown),
            CooldownChange::Extended(cooldown) => (EventType::CooldownExtended, cooldown),
        };
        if !is_listed {
            self.book.note_unlisted(&cooldown.scope);
        }
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
        let word =
            if is_new { Word::New(cooldown.clone()) } else { Word::Changed(cooldown.clone()) };
        self.store([(cooldown.scope.clone(), word)]);
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
        self.store(scopes.into_iter().map(|scope| (scope, Word::Gone)));
    }

    /// Writes to storage beside the actor, which may panic meanwhile. However slow storage is, no more
    /// waits than there are scopes: of what is said of one, only the last counts.
    fn store(&self, said: impl IntoIterator<Item = (CooldownScope, Word)>) {
        let mut unstored = self.unstored.borrow_mut();
        unstored.note(said);
        if unstored.is_empty() || std::mem::replace(&mut unstored.is_written, true) {
            return;
        }
        let (unstored, db) = (Rc::clone(&self.unstored), self.db.clone());
        actix::spawn(async move {
            while let Some((stored, ended)) = take(&unstored) {
                // The ones in memory hold either way; only a restart of the process would miss them.
                for cooldown in stored {
                    if let Err(error) = db.save_cooldown(cooldown).await {
                        tracing::warn!(%error, "a cooldown could not be stored");
                    }
                }
                // A row left behind has ended already or is ended again at the next start.
                if !ended.is_empty()
                    && let Err(error) = db.delete_cooldowns(ended).await
                {
                    tracing::warn!(%error, "ended cooldowns could not be removed from storage");
                }
            }
        });
    }
}

/// What is said of a scope.
enum Word {
    /// It cools for the first time, and storage has no row of it.
    New(Cooldown),
    Changed(Cooldown),
    Gone,
}

/// What storage is still to be told, by scope.
#[derive(Default)]
struct Unstored {
    scopes: HashMap<CooldownScope, Unsaid>,
    /// Whether somebody is writing, and will look for more.
    is_written: bool,
}

/// What is to be stored of one scope.
struct Unsaid {
    /// Absent: its row is to go.
    cooldown: Option<Cooldown>,
    /// Whether storage has no row of it, as far as is known here.
    is_new: bool,
}

impl Unstored {
    fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    fn note(&mut self, said: impl IntoIterator<Item = (CooldownScope, Word)>) {
        for (scope, word) in said {
            let before = self.scopes.remove(&scope);
            let is_new = before.map_or(matches!(word, Word::New(_)), |before| before.is_new);
            let cooldown = match word {
                Word::New(cooldown) | Word::Changed(cooldown) => Some(cooldown),
                Word::Gone => None,
            };
            // What came and went before it was written leaves nothing to write.
            if cooldown.is_some() || !is_new {
                self.scopes.insert(scope, Unsaid { cooldown, is_new });
            }
        }
    }
}

/// Takes all that is to be stored, and what is to be removed. `None`: there is nothing, and the writing
/// is over.
fn take(unstored: &RefCell<Unstored>) -> Option<(Vec<Cooldown>, Vec<CooldownScope>)> {
    let mut unstored = unstored.borrow_mut();
    if unstored.is_empty() {
        unstored.is_written = false;
        return None;
    }
    let (mut stored, mut ended) = (Vec::new(), Vec::new());
    for (scope, Unsaid { cooldown, .. }) in unstored.scopes.drain() {
        match cooldown {
            Some(cooldown) => stored.push(cooldown),
            None => ended.push(scope),
        }
    }
    Some((stored, ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{id::ModelName, time::Timestamp};

    fn scope(n: usize) -> CooldownScope {
        let model = ModelName::parse(&format!("m{n}")).unwrap();
        CooldownScope::ProviderModel(ProviderId::parse("acme").unwrap(), model)
    }

    fn cooldown(n: usize, strikes: u32) -> Cooldown {
        let at = Timestamp::from_millis(1);
        let (cause, status) = (FailureClass::ModelMissing, None);
        Cooldown { scope: scope(n), cause, status, started_at: at, until: at, strikes }
    }

    #[test]
    fn what_comes_and_goes_while_storage_is_slow_does_not_pile_up() {
        let unstored = RefCell::new(Unstored::default());
        for n in 0..100_000 {
            unstored.borrow_mut().note([(scope(n), Word::New(cooldown(n, 1)))]);
            if n >= 64 {
                unstored.borrow_mut().note([(scope(n - 64), Word::Gone)]);
            }
            assert!(unstored.borrow().scopes.len() <= 65);
        }
        let (stored, ended) = take(&unstored).unwrap();
        assert_eq!((stored.len(), ended.len()), (64, 0));
        assert!(take(&unstored).is_none());
    }

    #[test]
    fn the_last_word_on_a_scope_counts() {
        let unstored = RefCell::new(Unstored::default());
        unstored.borrow_mut().note([
            (scope(1), Word::Changed(cooldown(1, 1))),
            (scope(1), Word::Gone),
            (scope(2), Word::New(cooldown(2, 1))),
            (scope(2), Word::Changed(cooldown(2, 2))),
            (scope(3), Word::Gone),
            (scope(3), Word::New(cooldown(3, 1))),
            (scope(4), Word::Gone),
            (scope(4), Word::New(cooldown(4, 1))),
            (scope(4), Word::Gone),
        ]);
        let (mut stored, mut ended) = take(&unstored).unwrap();
        ended.sort();
        stored.sort_by(|a, b| a.scope.cmp(&b.scope));
        let stored: Vec<_> = stored.iter().map(|it| (it.scope.clone(), it.strikes)).collect();
        assert_eq!(stored, [(scope(2), 2), (scope(3), 1)]);
        assert_eq!(ended, [scope(1), scope(4)], "their rows may be there from before");
    }
}
