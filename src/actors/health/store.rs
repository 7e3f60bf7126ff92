//! What of cooldowns is still to be written to storage: the last word on each scope, in order, beside the
//! actor, which waits for none of it.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use crate::{
    actors::db::DbHandle,
    domain::cooldown::{Cooldown, CooldownScope},
};

/// Writes cooldowns to storage.
pub struct CooldownStore {
    db: DbHandle,
    unstored: Rc<RefCell<Unstored>>,
}

impl CooldownStore {
    pub fn new(db: DbHandle) -> Self {
        Self { db, unstored: Rc::default() }
    }

    /// Writes beside the actor, which may panic meanwhile. However slow storage is, no more waits than
    /// there are scopes: of what is said of one, only the last counts.
    pub fn note(&self, said: impl IntoIterator<Item = (CooldownScope, Word)>) {
        if !self.unstored.borrow_mut().note(said) {
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
pub enum Word {
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

    /// Says whether somebody has to begin to write.
    fn note(&mut self, said: impl IntoIterator<Item = (CooldownScope, Word)>) -> bool {
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
        !self.is_empty() && !std::mem::replace(&mut self.is_written, true)
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
    use crate::domain::{
        failure::FailureClass,
        id::{ModelName, ProviderId},
        time::Timestamp,
    };

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

    // So that what is said while something is being written is written after it.
    #[test]
    fn one_writes_at_a_time_and_until_nothing_is_left() {
        let unstored = RefCell::new(Unstored::default());
        let says = |word| unstored.borrow_mut().note([(scope(1), word)]);
        assert!(!unstored.borrow_mut().note([]), "there is nothing to write");
        assert!(says(Word::New(cooldown(1, 1))));
        assert!(take(&unstored).is_some());
        assert!(!says(Word::Changed(cooldown(1, 2))), "somebody writes, and looks for more");
        assert!(take(&unstored).is_some());
        assert!(take(&unstored).is_none());
        assert!(says(Word::Gone), "nobody writes any more");
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
