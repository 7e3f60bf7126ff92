//! What is held against whom, put down from what is told of each failure and each answer, to hold the state
//! of Health to the rules that are set.

use std::collections::HashMap;

use super::*;
use crate::domain::{
    cooldown::CooldownScope,
    cooling::Kind,
    health::{ChangeKind, HealthChange},
};

#[derive(Default)]
pub struct HeldAgainst {
    /// Until when each scope was last said to cool.
    cooling: HashMap<CooldownScope, Timestamp>,
    /// Those of them that have begun a good answer since.
    passed: HashSet<CooldownScope>,
    /// The failures that count, since the last good answer.
    counted: Vec<(CooldownScope, Kind, Timestamp)>,
}

impl HeldAgainst {
    pub fn of(cooling: HashMap<CooldownScope, Timestamp>) -> Self {
        Self { cooling, ..Self::default() }
    }

    fn is_cooling(&self, now: Timestamp, scope: &CooldownScope) -> bool {
        self.cooling.get(scope).is_some_and(|until| *until > now)
    }

    /// When the first who is cooling is back.
    pub fn first_back(&self, now: Timestamp) -> Option<Timestamp> {
        self.cooling.values().filter(|until| **until > now).min().copied()
    }

    /// The providers of which something is cooling.
    pub fn providers(&self, now: Timestamp) -> HashSet<ProviderId> {
        let cooling = self.cooling.iter().filter(|(_, until)| **until > now);
        cooling.map(|(scope, _)| scope.provider().clone()).collect()
    }

    /// Whether something keeps everyone from a model of a provider, which has these keys or needs none.
    pub fn keeps_from(
        &self,
        now: Timestamp,
        (provider, model): &Spot,
        keys: &[CredentialId],
    ) -> bool {
        let is_kept = |key: Option<&CredentialId>| {
            let scope = |model| CooldownScope::from_parts(provider.clone(), key.cloned(), model);
            self.is_cooling(now, &scope(None)) || self.is_cooling(now, &scope(Some(model.clone())))
        };
        is_kept(None) || !keys.is_empty() && keys.iter().all(|key| is_kept(Some(key)))
    }

    /// What ended so long ago is forgotten.
    pub fn expire(&mut self, now: Timestamp) {
        self.cooling.retain(|_, until| now.since(*until) < Duration::from_hours(1));
    }

    /// What was held against somebody is tried with good success; which says nothing of a cooldown that
    /// another has begun meanwhile.
    pub fn passed(&mut self, now: Timestamp, scope: &CooldownScope) {
        if !self.is_cooling(now, scope) {
            self.passed.insert(scope.clone());
        }
    }

    /// Somebody has given a good answer. What of it still cools is said.
    pub fn answered(&mut self, now: Timestamp, used: Use<'_>) -> Vec<CooldownScope> {
        let scopes = scopes(used);
        for scope in &scopes {
            self.counted.retain(|(counted, ..)| counted != scope);
            if !self.is_cooling(now, scope) {
                self.cooling.remove(scope);
            }
        }
        scopes.into_iter().filter(|scope| self.cooling.contains_key(scope)).collect()
    }

    /// Takes note of a failure, and holds what came of it to the rules.
    pub fn failed(
        &mut self,
        now: Timestamp,
        used: Use<'_>,
        failure: &Failure,
        rules: &CoolingRules,
        changes: &[HealthChange],
    ) {
        let (scope, kind) = match failure.class {
            FailureClass::Connect => {
                (Some(CooldownScope::Provider(used.provider.clone())), Kind::Server)
            }
            class if !health::is_counted(class) => (None, Kind::Server),
            class => {
                let scope = CooldownScope::ProviderModel(used.provider.clone(), used.model.clone());
                let is_overload = class == FailureClass::Overload;
                (Some(scope), if is_overload { Kind::Overload } else { Kind::Server })
            }
        };
        let hint = failure.retry_after.filter(|_| failure.class != FailureClass::Connect);
        let rule = rules.rule(kind);
        let enough = scope.as_ref().zip(rule).map(|(scope, rule)| {
            self.counted.push((scope.clone(), kind, now));
            let is_same = |(other, of, at): &&(CooldownScope, Kind, Timestamp)| {
                other == scope && *of == kind && now.since(*at) <= rule.window
            };
            let is_on_trial = self.cooling.get(scope).is_some_and(|until| *until <= now);
            self.counted.iter().filter(is_same).count() >= rule.failures
                || is_on_trial && !self.passed.contains(scope)
        });
        for HealthChange { kind, cooldown } in changes {
            let it = &cooldown.scope;
            if !matches!(kind, ChangeKind::New | ChangeKind::Started | ChangeKind::Extended) {
                self.cooling.remove(it);
                continue;
            }
            if let Some(scope) = &scope {
                let length = cooldown.until.since(now);
                let as_asked = it == scope && Some(length) == hint;
                let as_set = rule.is_some_and(|rule| {
                    let doubled = rule.base.saturating_mul(1 << (cooldown.strikes - 1).min(30));
                    length == doubled.min(rule.cap)
                });
                assert!(as_asked || as_set, "{rule:?} and {hint:?} make {cooldown:?}");
                let is_due = hint.is_some() || enough == Some(true);
                assert!(it != scope || is_due, "{cooldown:?} is too early for {rule:?}");
            }
            // A good answer makes up for all that was before.
            let is_first = !self.cooling.contains_key(it);
            assert_eq!(*kind == ChangeKind::New, is_first, "{cooldown:?} is no {kind:?}");
            self.cooling.insert(it.clone(), cooldown.until);
            self.passed.remove(it);
        }
        let Some(scope) = scope else { return };
        if rule.is_none() {
            // Nor does it keep anybody away.
            let whole = CooldownScope::Provider(used.provider.clone());
            let over = [scope, whole].into_iter().filter(|it| !self.is_cooling(now, it));
            self.passed.extend(over.collect::<Vec<_>>());
        } else if enough == Some(true) {
            assert!(self.is_cooling(now, &scope), "{scope:?} has failed often enough for {rule:?}");
        }
    }
}

/// All that a use is about.
fn scopes(Use { provider, credential, model }: Use<'_>) -> Vec<CooldownScope> {
    let of = |key: Option<&CredentialId>, model: Option<&ModelName>| {
        CooldownScope::from_parts(provider.clone(), key.cloned(), model.cloned())
    };
    let mut scopes = vec![of(None, None), of(None, Some(model))];
    if credential.is_some() {
        scopes.extend([of(credential, None), of(credential, Some(model))]);
    }
    scopes
}
