//! The health of providers, models and credentials: what failures, answers and trials do to it. The one
//! state of all that is held against anybody; its rows of penalties are in `penalty`.

mod counts;

use std::time::Duration;

pub use self::counts::FailureCounts;
use super::{
    cooldown::{
        Cooldown, CooldownChange, CooldownDuration, CooldownScope, CooldownState, ScopeFilter,
        TrialPass,
    },
    cooling::{CoolingRules, Kind},
    failure::{Failure, FailureClass},
    incident::{INCIDENT_WINDOW, Incident, IncidentWatch},
    penalty::{Penalty, SERVER_DURATION, blame},
    scope_map::Use,
    time::Timestamp,
};

/// So many failing models make a failing provider, when the first has begun to cool no longer ago than
/// [`PROVIDER_WINDOW`].
const FAILING_MODELS: usize = 2;
const PROVIDER_WINDOW: Duration = Duration::from_mins(1);

/// What an attempt was for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// An answer, or what the model is there for alone: all that comes of it counts.
    #[default]
    Answer,
    /// Something else than answers, of a model that is there for that alone: nothing but this model is
    /// left alone for it.
    OwnModel,
    /// Something beside answers, a count of tokens for example, at a model that answers need. How it
    /// fails says nothing of them, unless the error names the model.
    Aside,
}

impl Purpose {
    /// Whom a failure with this purpose is held against. `None`: nobody.
    fn blame(self, used: Use<'_>, failure: &Failure) -> Option<(CooldownScope, Penalty)> {
        let blamed = blame(used, failure);
        match self {
            Self::Answer => blamed,
            Self::OwnModel => blamed.map(|(scope, penalty)| {
                let (provider, credential) = (used.provider.clone(), scope.credential().cloned());
                let model = Some(used.model.clone());
                (CooldownScope::from_parts(provider, credential, model), penalty)
            }),
            Self::Aside => blamed
                .filter(|_| failure.class == FailureClass::ModelMissing && failure.names_model),
        }
    }

    /// Whether an attempt tries a scope that is on trial. Else the next one for an answer does, however
    /// long this one takes.
    pub fn may_try(self, scope: &CooldownScope) -> bool {
        match self {
            Self::Answer => true,
            Self::OwnModel => scope.model().is_some(),
            Self::Aside => false,
        }
    }

    /// Whether a failed trial of a scope says that it still does not work, so that it is cooled again.
    /// Else the next request tries it.
    pub fn judges(self, scope: &CooldownScope, used: Use<'_>, failure: &Failure) -> bool {
        self.blame(used, failure).is_some_and(|(blamed, penalty)| {
            let is_whole = self == Self::Answer && matches!(scope, CooldownScope::Provider(_));
            *scope == blamed || is_whole && matches!(penalty, Penalty::Counted(..))
        })
    }

    /// Gives back what was on trial with an attempt that has failed: judged, or for the next request to
    /// try.
    pub fn judge(self, passes: Vec<TrialPass>, used: Use<'_>, failure: &Failure) {
        for pass in passes {
            if self.judges(pass.scope(), used, failure) {
                pass.judged();
            }
        }
    }
}

/// A failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempted<'a> {
    pub used: Use<'a>,
    pub failure: &'a Failure,
    pub purpose: Purpose,
    /// Whether the provider lists the model: others are names that clients may have made up.
    pub is_listed: bool,
    /// Credentials of the provider that can be used, those that are cooling counted in.
    pub usable: usize,
}

/// What has changed about a cooldown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A scope cools that had no cooldown before.
    New,
    /// One cools again.
    Started,
    Extended,
    Ended,
    /// It was ended before its time.
    Cleared,
    /// It was forgotten to make room for others.
    Dropped,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthChange {
    pub kind: ChangeKind,
    pub cooldown: Cooldown,
}

/// What came of a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blamed {
    pub changes: Vec<HealthChange>,
    /// Whether what is published has to be replaced.
    pub is_news: bool,
    /// Whether it was the provider's, and its credentials are spared.
    pub is_incident: bool,
}

/// What plans and leases are made by: everything held against anybody at one moment. Copies are cheap,
/// and share what lets one request alone try what was cooling.
#[derive(Debug, Clone, Default)]
pub struct HealthView {
    cooldowns: CooldownState,
    counts: FailureCounts,
}

impl HealthView {
    /// Of cooldowns alone.
    pub fn new(cooldowns: CooldownState) -> Self {
        Self { cooldowns, ..Self::default() }
    }

    pub fn cooldowns(&self) -> &CooldownState {
        &self.cooldowns
    }

    /// Until when something keeps a request from a model of a provider, or from a credential there where
    /// one is named, and why.
    pub fn kept_from(&self, now: Timestamp, used: Use<'_>) -> Option<(Timestamp, FailureClass)> {
        self.cooldowns.kept_from(now, used)
    }

    /// Asks for a use now. What is on trial is tried by one request alone, which gets the right to it.
    ///
    /// Errors: until when it is not to be had, and why.
    pub fn enter(
        &self,
        now: Timestamp,
        used: Use<'_>,
    ) -> Result<Vec<TrialPass>, (Timestamp, FailureClass)> {
        self.cooldowns.enter(now, used)
    }

    /// Whether a good answer of this use is news. Most of the time it is not.
    pub fn wants_success(&self, used: Use<'_>) -> bool {
        let at_provider = Use { credential: None, ..used };
        self.counts.remembers(at_provider)
            || self.cooldowns.remembers(at_provider)
            || (used.credential.is_some() && self.cooldowns.remembers(used))
    }
}

/// All that is held against anybody, and why.
#[derive(Debug, Default)]
pub struct HealthState {
    view: HealthView,
    incidents: IncidentWatch,
}

#[cfg(test)]
impl HealthState {
    /// To cool somebody without a failure.
    pub(crate) fn cooldowns(&mut self) -> &mut CooldownState {
        &mut self.view.cooldowns
    }
}

impl HealthState {
    pub fn view(&self) -> &HealthView {
        &self.view
    }

    /// Takes over stored cooldowns, beside those that are known.
    pub fn restore(&mut self, now: Timestamp, stored: impl IntoIterator<Item = Cooldown>) {
        self.view.cooldowns.restore(stored.into_iter().map(|cooldown| cooldown.resumed(now)));
    }

    /// Holds a failed attempt against whom it concerns. `spread`, of 0 to 1, is the random part by which
    /// cooldowns are drawn out.
    pub fn failed(
        &mut self,
        now: Timestamp,
        attempted: Attempted<'_>,
        rules: &CoolingRules,
        spread: f64,
    ) -> Blamed {
        let Attempted { used, failure, purpose, .. } = attempted;
        let Some((scope, penalty)) = purpose.blame(used, failure) else {
            return Blamed::default();
        };
        if let Some(Incident { spared }) = self.incident(now, attempted) {
            let mut changes = Vec::new();
            for credential in spared {
                self.spare(now, used, credential, failure.class, &mut changes);
            }
            let whole = CooldownScope::Provider(used.provider.clone());
            self.cool(now, whole, SERVER_DURATION, attempted, spread, &mut changes);
            return Blamed { changes, is_news: true, is_incident: true };
        }
        let (mut changes, was_noted) = (Vec::new(), self.view.counts.remembers(used));
        let whole = || CooldownScope::Provider(used.provider.clone());
        let mut is_released = false;
        let due = match penalty {
            Penalty::AtOnce(length) => Some(length),
            Penalty::Counted(kind, hint) => self.count(now, &scope, kind, hint, rules),
        };
        if let Some(length) = due {
            self.cool(now, scope.clone(), length, attempted, spread, &mut changes);
        }
        if let Penalty::Counted(kind, _) = penalty {
            let is_of_all = purpose == Purpose::Answer;
            let is_of_model = is_of_all && scope.model().is_some();
            match rules.rule(kind) {
                Some(rule) if is_of_model && self.is_failing(now, used, due.is_some()) => {
                    self.cool(now, whole(), rule.length(), attempted, spread, &mut changes);
                }
                Some(_) => {}
                // What never cools is not kept for one request alone either.
                None => {
                    is_released = self.view.cooldowns.passed(now, &scope)
                        | (is_of_all && self.view.cooldowns.passed(now, &whole()));
                }
            }
        }
        let is_news =
            is_released || !changes.is_empty() || was_noted != self.view.counts.remembers(used);
        Blamed { changes, is_news, is_incident: false }
    }

    /// The failures of one credential may be those of the provider.
    fn incident(&mut self, now: Timestamp, attempted: Attempted<'_>) -> Option<Incident> {
        let Attempted { used, failure, usable, purpose, .. } = attempted;
        if failure.rule.is_some() || failure.by_proxy || purpose != Purpose::Answer {
            return None;
        }
        self.incidents.note(now, used.provider, used.credential?, failure, usable)
    }

    /// Counts a failure, and says how long it is time to cool for.
    fn count(
        &mut self,
        now: Timestamp,
        scope: &CooldownScope,
        kind: Kind,
        hint: Option<Duration>,
        rules: &CoolingRules,
    ) -> Option<CooldownDuration> {
        let due = rules.rule(kind).and_then(|rule| {
            let is_due = self.view.counts.note(now, scope, kind, rule)
                || self.view.cooldowns.is_on_trial(now, scope);
            is_due.then(|| rule.length())
        });
        hint.map(CooldownDuration::Fixed).or(due)
    }

    /// Whether a failing model is a failing provider: another one failed shortly before, or the provider
    /// has not answered since it was cooled.
    fn is_failing(&self, now: Timestamp, used: Use<'_>, is_cooled: bool) -> bool {
        let cooldowns = &self.view.cooldowns;
        if cooldowns.is_on_trial(now, &CooldownScope::Provider(used.provider.clone())) {
            return true;
        }
        let earliest = now.minus(PROVIDER_WINDOW);
        is_cooled
            && cooldowns.models_cooled_since(earliest, used.provider, is_counted) >= FAILING_MODELS
    }

    fn cool(
        &mut self,
        now: Timestamp,
        scope: CooldownScope,
        length: CooldownDuration,
        attempted: Attempted<'_>,
        spread: f64,
        changes: &mut Vec<HealthChange>,
    ) {
        let Attempted { failure, is_listed, .. } = attempted;
        let state = &mut self.view.cooldowns;
        let unlisted = if is_listed { None } else { state.make_room_for_unlisted(&scope) };
        for cooldown in unlisted.into_iter().chain(state.make_room()) {
            changes.push(HealthChange { kind: ChangeKind::Dropped, cooldown });
        }
        let Some(change) =
            state.impose(now, scope, length, (failure.class, failure.status), spread)
        else {
            return;
        };
        let (kind, cooldown) = match change {
            CooldownChange::Started(cooldown) if cooldown.strikes == 1 => {
                (ChangeKind::New, cooldown)
            }
            CooldownChange::Started(cooldown) => (ChangeKind::Started, cooldown),
            CooldownChange::Extended(cooldown) => (ChangeKind::Extended, cooldown),
        };
        if !is_listed {
            state.note_unlisted(&cooldown.scope);
        }
        changes.push(HealthChange { kind, cooldown });
    }

    /// Spares a credential the cooldowns that began with an incident: it was not to blame.
    fn spare(
        &mut self,
        now: Timestamp,
        used: Use<'_>,
        credential: super::id::CredentialId,
        cause: FailureClass,
        changes: &mut Vec<HealthChange>,
    ) {
        let filter =
            ScopeFilter { credential: Some(credential), ..ScopeFilter::of(used.provider.clone()) };
        let (state, earliest) = (&mut self.view.cooldowns, now.minus(INCIDENT_WINDOW));
        for scope in state.scopes(&filter) {
            let began_with_it = state
                .active(now, &scope)
                .is_some_and(|cooldown| cooldown.cause == cause && cooldown.started_at >= earliest);
            if began_with_it && let Some(cooldown) = state.clear(&scope) {
                changes.push(HealthChange { kind: ChangeKind::Cleared, cooldown });
            }
        }
    }

    /// A good answer: what it used has nothing held against it any more, but for what still cools.
    pub fn succeeded(&mut self, now: Timestamp, used: Use<'_>) -> Vec<HealthChange> {
        let (provider, model) = (used.provider, used.model);
        let mut scopes = vec![
            CooldownScope::Provider(provider.clone()),
            CooldownScope::ProviderModel(provider.clone(), model.clone()),
        ];
        for scope in &scopes {
            self.view.counts.forget(scope);
        }
        if let Some(key) = used.credential {
            self.incidents.succeeded(provider, key);
            let (provider, key) = (provider.clone(), key.clone());
            scopes.push(CooldownScope::Credential(provider.clone(), key.clone()));
            scopes.push(CooldownScope::CredentialModel(provider, key, model.clone()));
        }
        let ended = scopes.iter().filter_map(|scope| self.view.cooldowns.succeeded(now, scope));
        ended.map(|cooldown| HealthChange { kind: ChangeKind::Ended, cooldown }).collect()
    }

    /// A trial has shown that a scope works. Says whether this is news.
    pub fn passed(&mut self, now: Timestamp, scope: &CooldownScope) -> bool {
        self.view.cooldowns.passed(now, scope)
    }

    /// Reports the cooldowns that have ended since the last call, and forgets what is too old. Says
    /// whether what is published has to be replaced.
    pub fn expire(&mut self, now: Timestamp) -> (Vec<HealthChange>, bool) {
        let is_forgotten = self.view.counts.expire(now);
        let ended = self.view.cooldowns.expire(now).into_iter();
        let ended: Vec<HealthChange> =
            ended.map(|cooldown| HealthChange { kind: ChangeKind::Ended, cooldown }).collect();
        let is_news = is_forgotten || !ended.is_empty();
        (ended, is_news)
    }

    /// Forgets all that is held against the scopes that a filter picks.
    pub fn clear(&mut self, filter: &ScopeFilter) -> Vec<HealthChange> {
        self.view.counts.forget_all(filter);
        self.incidents.forget(filter);
        let state = &mut self.view.cooldowns;
        let cleared = state.scopes(filter).into_iter().filter_map(|scope| state.clear(&scope));
        cleared.map(|cooldown| HealthChange { kind: ChangeKind::Cleared, cooldown }).collect()
    }
}

/// Whether failures of this class are counted before they cool.
pub fn is_counted(class: FailureClass) -> bool {
    use FailureClass as C;
    matches!(class, C::Server | C::Overload | C::Silent | C::Stalled | C::Cut | C::Connect)
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
