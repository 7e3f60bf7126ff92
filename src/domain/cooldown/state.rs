//! The state of all cooldowns: how they begin, grow and end, and who may try what was cooling.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{Cooldown, CooldownDuration, CooldownScope, ScopeFilter};
use crate::domain::{
    failure::{FailureClass, MAX_HINT},
    id::ProviderId,
    scope_map::{ScopeMap, Use},
    time::Timestamp,
};

/// Most scopes remembered at once. Past it the one that ends first is forgotten.
pub const MAX_COOLDOWNS: usize = 10_000;

/// Most models of one provider remembered at once that no list of it has: clients make up their names.
/// Past it the one that ends first is forgotten.
pub const MAX_UNLISTED: usize = 64;

/// How long the one request that tries a scope after its cooldown has it for itself. Then the next
/// one may try: the first may be a long answer, or lost.
pub const TRIAL_TIME: Duration = Duration::from_mins(1);

/// The same for what is refused at the door, where no refusal for so long says enough.
pub const DOOR_TRIAL_TIME: Duration = Duration::from_secs(5);

/// Somebody is trying a scope: how that went is worth a look after this time.
const TRIAL_LOOK: Duration = Duration::from_secs(1);

/// A cooldown is drawn out by a random part of this share of it, so that scopes that failed together
/// do not come back together.
const JITTER: f64 = 0.1;

/// Longest time that a cooldown is drawn out; none is drawn out beyond the longest hint.
const MAX_JITTER: Duration = Duration::from_secs(30);

/// How long the number of strikes is remembered after a cooldown ended without a success since.
const STRIKE_MEMORY: Duration = Duration::from_hours(1);

fn trial_time(cause: FailureClass) -> Duration {
    match cause {
        FailureClass::Auth | FailureClass::Payment | FailureClass::RateLimit => DOOR_TRIAL_TIME,
        _ => TRIAL_TIME,
    }
}

fn drawn_out(length: Duration, spread: f64) -> Duration {
    let more = length.mul_f64(JITTER * spread.clamp(0.0, 1.0)).min(MAX_JITTER);
    (length + more).min(MAX_HINT)
}

/// What changed in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CooldownChange {
    Started(Cooldown),
    Extended(Cooldown),
}

#[derive(Debug, Clone)]
struct Entry {
    cooldown: Cooldown,
    /// Whether its end has been reported already.
    ended: bool,
    /// Until when a trial is under way, in milliseconds; 0 when none is. Shared by all copies of the
    /// state, so that of all who want to try one does.
    trial: Arc<AtomicI64>,
    /// Whether a trial has shown that it works: everyone may come again, and only the strikes are
    /// still remembered.
    passed: bool,
    /// Whether it is about a model whose name only a client knows.
    is_unlisted: bool,
}

impl Entry {
    fn new(cooldown: Cooldown) -> Self {
        let (ended, passed, is_unlisted) = (false, false, false);
        Self { cooldown, ended, trial: Arc::default(), passed, is_unlisted }
    }

    fn standing(&self, now: Timestamp) -> Standing {
        if self.cooldown.until > now {
            return Standing::Cooling;
        }
        if self.passed {
            return Standing::Open;
        }
        match Timestamp::from_millis(self.trial.load(Ordering::Acquire)) {
            until if until > now => Standing::BeingTried(until),
            _ => Standing::OnTrial,
        }
    }

    /// `Ok(None)`: there is nothing against it. `Ok(Some)`: it is on trial, and this request is the
    /// one that tries it.
    ///
    /// Errors: until when it is not to be chosen, and why.
    fn enter(&self, now: Timestamp) -> Result<Option<TrialPass>, (Timestamp, FailureClass)> {
        let Cooldown { scope, cause, until, .. } = &self.cooldown;
        match self.standing(now) {
            Standing::Open => return Ok(None),
            Standing::Cooling => return Err((*until, *cause)),
            Standing::BeingTried(until) => return Err((until.min(now.plus(TRIAL_LOOK)), *cause)),
            Standing::OnTrial => {}
        }
        let until = now.plus(trial_time(*cause)).as_millis();
        let seen = self.trial.load(Ordering::Acquire);
        let is_mine = Timestamp::from_millis(seen) <= now
            && self
                .trial
                .compare_exchange(seen, until, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if !is_mine {
            return Err((now.plus(TRIAL_LOOK), *cause));
        }
        Ok(Some(TrialPass { scope: scope.clone(), trial: Arc::clone(&self.trial), until }))
    }
}

/// How a scope stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It may be chosen by anyone.
    Open,
    /// Not to be chosen before the cooldown ends.
    Cooling,
    /// Its cooldown has ended; the next request tries it, alone.
    OnTrial,
    /// Its cooldown has ended and somebody is trying it, until this time at most.
    BeingTried(Timestamp),
}

/// The right to try a scope whose cooldown has ended. Dropping it lets the next one try, unless it
/// was said to be [judged](Self::judged).
#[derive(Debug)]
pub struct TrialPass {
    scope: CooldownScope,
    trial: Arc<AtomicI64>,
    until: i64,
}

impl TrialPass {
    pub fn scope(&self) -> &CooldownScope {
        &self.scope
    }

    /// The owner of the cooldown has been told how the trial went, and says who may come next.
    pub fn judged(mut self) {
        self.until = 0;
    }
}

impl Drop for TrialPass {
    fn drop(&mut self) {
        if self.until != 0 {
            // Fails when it had run out and somebody else has it now.
            let _ = self.trial.compare_exchange(self.until, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

/// All cooldowns of one owner. A cooldown never shrinks, always ends, and remembers its cause.
/// Copies are cheap.
#[derive(Debug, Clone, Default)]
pub struct CooldownState {
    entries: ScopeMap<Entry>,
}

impl CooldownState {
    /// Takes over cooldowns that were stored before a restart, as many as there is room for. What is
    /// known already and ends later stays.
    pub fn restore(&mut self, stored: impl IntoIterator<Item = Cooldown>) {
        for cooldown in stored.into_iter().take(MAX_COOLDOWNS.saturating_sub(self.entries.len())) {
            let known = self.entries.get(&cooldown.scope);
            if known.is_none_or(|entry| entry.cooldown.until < cooldown.until) {
                self.put(Entry::new(cooldown));
            }
        }
    }

    fn put(&mut self, entry: Entry) {
        let scope = entry.cooldown.scope.clone();
        self.entries.insert(&scope, entry);
    }

    /// Cools `scope`. While it is cooling already, it is only ever made longer, and a failure of a
    /// request that had started before does not count as another strike. `spread`, of 0 to 1, is
    /// the random part by which it is drawn out.
    pub fn impose(
        &mut self,
        now: Timestamp,
        scope: CooldownScope,
        length: CooldownDuration,
        (cause, status): (FailureClass, Option<u16>),
        spread: f64,
    ) -> Option<CooldownChange> {
        let until = now.plus(drawn_out(self.next_length(now, &scope, length), spread));
        let known = self.entries.get(&scope);
        if let Some(entry) = known
            && entry.cooldown.until > now
        {
            if until <= entry.cooldown.until {
                return None;
            }
            let cooldown = Cooldown { cause, status, until, ..entry.cooldown.clone() };
            self.put(Entry { cooldown: cooldown.clone(), ..entry.clone() });
            return Some(CooldownChange::Extended(cooldown));
        }
        let strikes = known.map_or(1, |entry| entry.cooldown.strikes.saturating_add(1));
        let cooldown = Cooldown { scope, cause, status, started_at: now, until, strikes };
        self.put(Entry::new(cooldown.clone()));
        Some(CooldownChange::Started(cooldown))
    }

    /// Forgets one cooldown when there are too many: one of a single model first, since clients make
    /// up the names of models, and of these the one that ends first.
    pub fn make_room(&mut self) -> Option<Cooldown> {
        if self.entries.len() < MAX_COOLDOWNS {
            return None;
        }
        let cooldowns = self.entries.values().map(|entry| &entry.cooldown);
        let first = cooldowns.min_by_key(|c| (c.scope.model().is_none(), c.until))?;
        let scope = first.scope.clone();
        self.entries.remove(&scope).map(|entry| entry.cooldown)
    }

    /// Forgets one cooldown of the same provider, if `scope` is new and about a model that is in no list,
    /// and there are [`MAX_UNLISTED`] of such already: the one that ends first.
    pub fn make_room_for_unlisted(&mut self, scope: &CooldownScope) -> Option<Cooldown> {
        if scope.model().is_none() || self.entries.get(scope).is_some() {
            return None;
        }
        let unlisted = self.entries.values_of(scope.provider()).filter(|entry| entry.is_unlisted);
        let unlisted: Vec<&Cooldown> = unlisted.map(|entry| &entry.cooldown).collect();
        if unlisted.len() < MAX_UNLISTED {
            return None;
        }
        let first = unlisted.into_iter().min_by_key(|cooldown| cooldown.until)?.scope.clone();
        self.entries.remove(&first).map(|entry| entry.cooldown)
    }

    /// Notes that the model of `scope` is in no list.
    pub fn note_unlisted(&mut self, scope: &CooldownScope) {
        if scope.model().is_some()
            && let Some(entry) = self.entries.get(scope).filter(|entry| !entry.is_unlisted)
        {
            self.put(Entry { is_unlisted: true, ..entry.clone() });
        }
    }

    /// The cooldown that keeps `scope` from being chosen now.
    pub fn active(&self, now: Timestamp, scope: &CooldownScope) -> Option<&Cooldown> {
        self.entries.get(scope).map(|entry| &entry.cooldown).filter(|cooldown| cooldown.until > now)
    }

    /// Until when something keeps a request from this use, and why. Where somebody is trying it, how
    /// that goes will be known at any moment: it is worth another look soon.
    pub fn kept_from(&self, now: Timestamp, used: Use<'_>) -> Option<(Timestamp, FailureClass)> {
        let kept = self.entries.around(used).filter_map(|entry| match entry.standing(now) {
            Standing::Open | Standing::OnTrial => None,
            Standing::Cooling => Some((entry.cooldown.until, entry.cooldown.cause)),
            Standing::BeingTried(until) => {
                Some((until.min(now.plus(TRIAL_LOOK)), entry.cooldown.cause))
            }
        });
        kept.max_by_key(|(until, _)| *until)
    }

    /// Asks for this use now. What is on trial is tried by this request, which gets the right to it.
    ///
    /// Errors: until when it is not to be had, and why.
    pub fn enter(
        &self,
        now: Timestamp,
        used: Use<'_>,
    ) -> Result<Vec<TrialPass>, (Timestamp, FailureClass)> {
        let mut passes = Vec::new();
        for entry in self.entries.around(used) {
            passes.extend(entry.enter(now)?);
        }
        Ok(passes)
    }

    /// A trial has shown that `scope` works: everyone may use it again. Its strikes are remembered
    /// until an answer is complete. Says whether this is news.
    pub fn passed(&mut self, now: Timestamp, scope: &CooldownScope) -> bool {
        match self.entries.get(scope) {
            Some(entry) if entry.cooldown.until <= now && !entry.passed => {
                self.put(Entry { passed: true, ..entry.clone() });
                true
            }
            _ => false,
        }
    }

    /// Whether `scope` has had its cooldown and not yet shown that it works.
    pub fn is_on_trial(&self, now: Timestamp, scope: &CooldownScope) -> bool {
        let standing = self.entries.get(scope).map(|entry| entry.standing(now));
        matches!(standing, Some(Standing::OnTrial | Standing::BeingTried(_)))
    }

    /// Whether anything is held against this use: it is cooling, or its strikes are remembered.
    pub fn remembers(&self, used: Use<'_>) -> bool {
        self.entries.around(used).next().is_some()
    }

    /// Whether nothing is held against anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All that are cooling now, sorted by scope.
    pub fn list(&self, now: Timestamp) -> Vec<Cooldown> {
        let mut active: Vec<Cooldown> = self
            .entries
            .values()
            .map(|entry| &entry.cooldown)
            .filter(|cooldown| cooldown.until > now)
            .cloned()
            .collect();
        active.sort_by(|a, b| a.scope.cmp(&b.scope));
        active
    }

    /// Forgets the strikes of a scope that has just answered. One that is still cooling stays so:
    /// the answer was to a request sent before. Answers with a cooldown whose end has not been reported.
    pub fn succeeded(&mut self, now: Timestamp, scope: &CooldownScope) -> Option<Cooldown> {
        if self.entries.get(scope).is_none_or(|entry| entry.cooldown.until > now) {
            return None;
        }
        self.clear(scope)
    }

    /// How long `scope` would be cooled now.
    fn next_length(
        &self,
        now: Timestamp,
        scope: &CooldownScope,
        length: CooldownDuration,
    ) -> Duration {
        let strikes = self.entries.get(scope).map_or(1, |Entry { cooldown, .. }| {
            cooldown.strikes.saturating_add(u32::from(cooldown.until <= now))
        });
        length.after(strikes)
    }

    /// Ends a cooldown by hand, and its strikes with it.
    pub fn clear(&mut self, scope: &CooldownScope) -> Option<Cooldown> {
        self.entries.remove(scope).filter(|entry| !entry.ended).map(|entry| entry.cooldown)
    }

    /// The scopes that a filter picks, cooling or remembered.
    pub fn scopes(&self, filter: &ScopeFilter) -> Vec<CooldownScope> {
        let scope = |entry: &Entry| entry.cooldown.scope.clone();
        let mut scopes: Vec<CooldownScope> = match &filter.provider {
            Some(provider) => self.entries.values_of(provider).map(scope).collect(),
            None => self.entries.values().map(scope).collect(),
        };
        scopes.retain(|scope| filter.fits(scope));
        scopes.sort();
        scopes
    }

    /// How many models of `provider` have been cooled since `earliest` for a cause that `counts`, and
    /// have not shown since that they work.
    pub fn models_cooled_since(
        &self,
        earliest: Timestamp,
        provider: &ProviderId,
        counts: impl Fn(FailureClass) -> bool,
    ) -> usize {
        let models =
            self.entries.models_of(provider).into_iter().flat_map(|models| models.values());
        let is_counted = |entry: &&Entry| {
            let cooldown = &entry.cooldown;
            !entry.passed && cooldown.started_at >= earliest && counts(cooldown.cause)
        };
        models.filter(is_counted).count()
    }

    /// Reports each cooldown that has ended since the last call, once, and forgets old strikes.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Cooldown> {
        let is_forgotten = |entry: &Entry| now.since(entry.cooldown.until) >= STRIKE_MEMORY;
        let over: Vec<Entry> = self
            .entries
            .values()
            .filter(|entry| entry.cooldown.until <= now && (!entry.ended || is_forgotten(entry)))
            .cloned()
            .collect();
        let mut ended = Vec::new();
        for entry in over {
            if !entry.ended {
                ended.push(entry.cooldown.clone());
            }
            if is_forgotten(&entry) {
                self.entries.remove(&entry.cooldown.scope);
            } else {
                self.put(Entry { ended: true, ..entry });
            }
        }
        ended.sort_by(|a, b| a.scope.cmp(&b.scope));
        ended
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trials;
