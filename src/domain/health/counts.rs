//! Recent failures that are counted before they cool anybody.

use std::time::Duration;

use crate::domain::{
    cooldown::{CooldownScope, ScopeFilter},
    cooling::{CoolingRule, FAILURES, Kind, WINDOWS_MS},
    scope_map::{ScopeMap, Use},
    time::Timestamp,
};

/// Most models of one provider whose failures are counted: clients make up the names of models. Past it
/// those are forgotten of the one that is forgotten first in any case.
pub const MAX_COUNTED: usize = 256;

/// Most failures of one kind that are kept of a model, the newest: no rule waits for more. Routes may count
/// the same ones within times of their own.
const MAX_KEPT: usize = *FAILURES.end() as usize;

/// The failures of each provider and model that are not too old to count. Copies are cheap.
#[derive(Debug, Clone, Default)]
pub struct FailureCounts {
    scopes: ScopeMap<Counted>,
}

#[derive(Debug, Clone)]
struct Counted {
    scope: CooldownScope,
    server: Vec<Timestamp>,
    overload: Vec<Timestamp>,
    /// When the last of them is too old to count, whatever the rule is.
    until: Timestamp,
}

impl Counted {
    fn new(scope: CooldownScope) -> Self {
        let until = Timestamp::from_millis(i64::MIN);
        Self { scope, server: Vec::new(), overload: Vec::new(), until }
    }
}

impl FailureCounts {
    /// Counts a failure. Says whether there have been enough.
    pub fn note(
        &mut self,
        now: Timestamp,
        scope: &CooldownScope,
        kind: Kind,
        rule: &CoolingRule,
    ) -> bool {
        let known = self.scopes.get(scope).cloned();
        if known.is_none() {
            self.make_room(scope);
        }
        let mut counted = known.unwrap_or_else(|| Counted::new(scope.clone()));
        let failures = match kind {
            Kind::Server => &mut counted.server,
            Kind::Overload => &mut counted.overload,
        };
        failures.push(now);
        let surplus = failures.len().saturating_sub(MAX_KEPT);
        failures.drain(..surplus);
        let recent = failures.iter().filter(|at| is_recent(now, **at, rule.window));
        let is_due = recent.count() >= rule.failures;
        counted.until = now.plus(Duration::from_millis((*WINDOWS_MS.end()).into()));
        self.scopes.insert(scope, counted);
        is_due
    }

    fn make_room(&mut self, scope: &CooldownScope) {
        let Some(models) = self.scopes.models_of(scope.provider()) else { return };
        if scope.model().is_none() || models.size() < MAX_COUNTED {
            return;
        }
        let first = models.values().min_by_key(|counted| counted.until);
        if let Some(first) = first.map(|counted| counted.scope.clone()) {
            self.scopes.remove(&first);
        }
    }

    /// Whether failures of the provider, or of the model there, are counted.
    pub fn remembers(&self, used: Use<'_>) -> bool {
        self.scopes.around(Use { credential: None, ..used }).next().is_some()
    }

    pub fn forget(&mut self, scope: &CooldownScope) {
        self.scopes.remove(scope);
    }

    /// Forgets those of the scopes that a filter picks.
    pub fn forget_all(&mut self, filter: &ScopeFilter) {
        self.forget_if(|counted| filter.fits(&counted.scope));
    }

    /// Forgets those that are too old. Says whether there were any.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        self.forget_if(|counted| counted.until < now)
    }

    fn forget_if(&mut self, is_over: impl Fn(&Counted) -> bool) -> bool {
        let over = self.scopes.values().filter(|counted| is_over(counted));
        let over: Vec<CooldownScope> = over.map(|counted| counted.scope.clone()).collect();
        for scope in &over {
            self.scopes.remove(scope);
        }
        !over.is_empty()
    }
}

fn is_recent(now: Timestamp, at: Timestamp, window: Duration) -> bool {
    now.since(at) <= window
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        cooling::CoolingRules,
        id::{ModelName, ProviderId},
    };

    #[test]
    fn no_more_failures_are_kept_than_a_rule_may_wait_for() {
        let model = Some(ModelName::parse("m").unwrap());
        let scope = CooldownScope::from_parts(ProviderId::parse("acme").unwrap(), None, model);
        let mut counts = FailureCounts::default();
        let rule = *CoolingRules::default().rule(Kind::Server).unwrap();
        for _ in 0..=MAX_KEPT {
            counts.note(Timestamp::from_millis(0), &scope, Kind::Server, &rule);
        }
        assert_eq!(counts.scopes.get(&scope).unwrap().server.len(), MAX_KEPT);
    }
}
