//! What a failed attempt costs: which scope is cooled for it, and for how long.

use std::{collections::VecDeque, time::Duration};

use rpds::HashTrieMapSync;

use super::{
    cooldown::{CooldownScope, Length},
    failure::{Failure, FailureClass, MAX_HINT},
    id::{CredentialId, ModelName, ProviderId},
    time::Timestamp,
};

/// Failures of a provider older than this do not count towards its cooldown.
const FAILURE_WINDOW: Duration = Duration::from_mins(1);

/// How long a server is left alone that fails, or a proxy on the way to it.
pub const SERVER_LENGTH: Length =
    Length::Doubling { base: Duration::from_secs(10), cap: Duration::from_mins(5) };

/// Shortest cooldown that a rule of the operator imposes.
const RULE_COOLDOWN: Duration = Duration::from_mins(1);

/// Whether a failure of this class is the provider's own, whatever the credential and the model.
pub fn is_the_providers(class: FailureClass) -> bool {
    match class {
        FailureClass::Server
        | FailureClass::Overload
        | FailureClass::Connect
        | FailureClass::Silent
        | FailureClass::Stalled
        | FailureClass::Cut => true,
        FailureClass::ClientFault
        | FailureClass::ContextTooLong
        | FailureClass::Refusal
        | FailureClass::Auth
        | FailureClass::Payment
        | FailureClass::RateLimit
        | FailureClass::ModelMissing
        | FailureClass::Cancelled => false,
    }
}

/// Whether a failure of this class is a failure of the credential it was made with.
pub fn is_the_credentials(class: FailureClass) -> bool {
    matches!(class, FailureClass::Auth | FailureClass::Payment | FailureClass::RateLimit)
}

/// Whether a failed trial of a scope says that it still does not work, so that it is cooled again.
/// Else the next request tries it.
pub fn is_judged_by(scope: &CooldownScope, failure: &Failure) -> bool {
    // These are cooled by other rules, or not at all.
    if failure.rule.is_some() || failure.by_proxy {
        return false;
    }
    let class = failure.class;
    match scope {
        CooldownScope::Provider(_) => is_the_providers(class),
        CooldownScope::ProviderModel(..) => class == FailureClass::ModelMissing,
        CooldownScope::Credential(..) => {
            matches!(class, FailureClass::Auth | FailureClass::Payment)
        }
        CooldownScope::CredentialModel(..) => class == FailureClass::RateLimit,
    }
}

/// What a failed attempt does to the credential it was made with: the scope and the length.
/// `None`: nothing, the credential is not to blame, or a rule spares it.
pub fn credential_penalty(
    provider: &ProviderId,
    credential: &CredentialId,
    model: &ModelName,
    failure: &Failure,
) -> Option<(CooldownScope, Length)> {
    const HALF_HOUR: Duration = Duration::from_mins(30);
    let hinted = failure.retry_after.map(|hint| Length::Fixed(hint.min(MAX_HINT)));
    let whole = || CooldownScope::Credential(provider.clone(), credential.clone());
    if let Some(action) = failure.rule {
        let hint = failure.retry_after.unwrap_or(RULE_COOLDOWN);
        let length = Length::Fixed(hint.clamp(RULE_COOLDOWN, MAX_HINT));
        return action.cools().then(|| (whole(), length));
    }
    if failure.by_proxy {
        return Some((whole(), SERVER_LENGTH));
    }
    match failure.class {
        FailureClass::Auth => Some((whole(), Length::Fixed(HALF_HOUR))),
        FailureClass::Payment => Some((whole(), hinted.unwrap_or(Length::Fixed(HALF_HOUR)))),
        FailureClass::RateLimit => {
            let doubling = Length::Doubling { base: Duration::from_secs(1), cap: HALF_HOUR };
            let of_model = || {
                CooldownScope::CredentialModel(provider.clone(), credential.clone(), model.clone())
            };
            let scope = if failure.account_wide { whole() } else { of_model() };
            Some((scope, hinted.unwrap_or(doubling)))
        }
        FailureClass::ClientFault
        | FailureClass::ContextTooLong
        | FailureClass::Refusal
        | FailureClass::Overload
        | FailureClass::Server
        | FailureClass::Connect
        | FailureClass::Silent
        | FailureClass::Stalled
        | FailureClass::Cut
        | FailureClass::ModelMissing
        | FailureClass::Cancelled => None,
    }
}

/// Recent failures of providers, and the cooldown they add up to.
///
/// Server-like failures: three in a minute cool for 10 s, doubling to 5 min. Overload: five in a
/// minute cool for 5 s, doubling to 30 s. A provider on trial cools again at once. A missing model
/// cools that model there for an hour, at once. Copies are cheap.
#[derive(Debug, Clone, Default)]
pub struct ProviderFailures {
    server: HashTrieMapSync<ProviderId, VecDeque<Timestamp>>,
    overload: HashTrieMapSync<ProviderId, VecDeque<Timestamp>>,
}

impl ProviderFailures {
    const SERVER_COUNT: usize = 3;
    const OVERLOAD_COUNT: usize = 5;

    /// Takes note of a failure, and says which scope it is time to cool and for how long.
    /// `is_on_trial`: the provider's cooldown has ended, and it has not yet answered since.
    pub fn note(
        &mut self,
        now: Timestamp,
        provider: &ProviderId,
        model: &ModelName,
        failure: &Failure,
        is_on_trial: bool,
    ) -> Option<(CooldownScope, Length)> {
        if failure.rule.is_some() || failure.by_proxy {
            return None;
        }
        let (windows, count, base, cap) = match failure.class {
            FailureClass::Server
            | FailureClass::Connect
            | FailureClass::Silent
            | FailureClass::Stalled
            | FailureClass::Cut => (&mut self.server, Self::SERVER_COUNT, 10, 300),
            FailureClass::Overload => (&mut self.overload, Self::OVERLOAD_COUNT, 5, 30),
            FailureClass::ModelMissing => {
                let scope = CooldownScope::ProviderModel(provider.clone(), model.clone());
                return Some((scope, Length::Fixed(Duration::from_hours(1))));
            }
            FailureClass::ClientFault
            | FailureClass::ContextTooLong
            | FailureClass::Refusal
            | FailureClass::Auth
            | FailureClass::Payment
            | FailureClass::RateLimit
            | FailureClass::Cancelled => return None,
        };
        let mut window = windows.get(provider).cloned().unwrap_or_default();
        window.push_back(now);
        while window.front().is_some_and(|at| now.since(*at) > FAILURE_WINDOW)
            || window.len() > count
        {
            window.pop_front();
        }
        let is_due = window.len() >= count || is_on_trial;
        windows.insert_mut(provider.clone(), window);
        if !is_due {
            return None;
        }
        let (base, cap) = (Duration::from_secs(base), Duration::from_secs(cap));
        Some((CooldownScope::Provider(provider.clone()), Length::Doubling { base, cap }))
    }

    /// Whether failures of this provider are held against it.
    pub fn remembers(&self, provider: &ProviderId) -> bool {
        self.server.contains_key(provider) || self.overload.contains_key(provider)
    }

    /// Forgets the failures of a provider that answered, or that is gone.
    pub fn forget(&mut self, provider: &ProviderId) {
        self.server.remove_mut(provider);
        self.overload.remove_mut(provider);
    }
}

#[cfg(test)]
mod lengths;
#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rule::RuleAction;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn acme() -> ProviderId {
        ProviderId::parse("acme").unwrap()
    }

    fn model() -> ModelName {
        ModelName::parse("m").unwrap()
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_third_server_failure_in_a_minute_cools_the_provider() {
        let mut failures = ProviderFailures::default();
        let failure = Failure::new(FailureClass::Server, "500");
        assert_eq!(failures.note(START, &acme(), &model(), &failure, false), None);
        assert_eq!(
            failures.note(START.plus(seconds(30)), &acme(), &model(), &failure, false),
            None
        );
        let doubling = Length::Doubling { base: seconds(10), cap: seconds(300) };
        let due = failures.note(START.plus(seconds(59)), &acme(), &model(), &failure, false);
        assert_eq!(due, Some((CooldownScope::Provider(acme()), doubling)));
    }

    #[test]
    fn a_provider_on_trial_is_cooled_again_by_one_failure() {
        let mut failures = ProviderFailures::default();
        for class in [FailureClass::Server, FailureClass::Overload] {
            let failure = Failure::new(class, "no");
            let due = failures.note(START, &acme(), &model(), &failure, true);
            assert!(matches!(due, Some((CooldownScope::Provider(_), _))), "{class:?}");
        }
    }

    #[test]
    fn a_trial_is_judged_only_by_what_cools_again() {
        let whole = CooldownScope::Provider(acme());
        let failure = Failure::new(FailureClass::Connect, "refused");
        assert!(is_judged_by(&whole, &failure));
        let by_proxy = Failure { by_proxy: true, ..failure.clone() };
        let ruled = Failure { rule: Some(RuleAction::Continue), ..failure };
        assert!(!is_judged_by(&whole, &by_proxy) && !is_judged_by(&whole, &ruled));
    }

    #[test]
    fn what_fails_at_a_credentials_proxy_costs_the_credential_and_not_the_provider() {
        let refused = Failure::new(FailureClass::Connect, "refused");
        let failure = Failure { by_proxy: true, ..refused };
        let due = credential_penalty(&acme(), &"k".into(), &model(), &failure);
        assert_eq!(due, Some((CooldownScope::Credential(acme(), "k".into()), SERVER_LENGTH)));
        let mut failures = ProviderFailures::default();
        for _ in 0..5 {
            assert_eq!(failures.note(START, &acme(), &model(), &failure, true), None);
        }
    }

    #[test]
    fn a_limit_of_the_whole_account_is_no_matter_of_one_model() {
        let mut failure = Failure::new(FailureClass::RateLimit, "429");
        failure.account_wide = true;
        let (scope, _) = credential_penalty(&acme(), &"k".into(), &model(), &failure).unwrap();
        assert_eq!(scope, CooldownScope::Credential(acme(), "k".into()));
    }

    #[test]
    fn a_rule_decides_whether_the_credential_cools_whatever_the_class() {
        for (action, cools) in [
            (RuleAction::Stop, false),
            (RuleAction::Continue, false),
            (RuleAction::StopAndCooldown, true),
            (RuleAction::ContinueAndCooldown, true),
        ] {
            for class in FailureClass::ALL {
                let failure = Failure { rule: Some(action), ..Failure::new(class, "") };
                let due = credential_penalty(&acme(), &"k".into(), &model(), &failure);
                assert_eq!(due.is_some(), cools, "{action:?} {class:?}");
                let mut failures = ProviderFailures::default();
                assert_eq!(failures.note(START, &acme(), &model(), &failure, true), None);
            }
        }
    }

    #[test]
    fn failures_older_than_a_minute_do_not_count() {
        let mut failures = ProviderFailures::default();
        let failure = Failure::new(FailureClass::Connect, "refused");
        for at in [0, 30, 61, 122] {
            assert_eq!(
                failures.note(START.plus(seconds(at)), &acme(), &model(), &failure, false),
                None
            );
        }
    }

    #[test]
    fn a_missing_model_cools_that_model_there_at_once() {
        let mut failures = ProviderFailures::default();
        let failure = Failure::new(FailureClass::ModelMissing, "404");
        let (scope, length) = failures.note(START, &acme(), &model(), &failure, false).unwrap();
        assert_eq!(scope, CooldownScope::ProviderModel(acme(), model()));
        assert_eq!(length, Length::Fixed(seconds(3600)));
    }

    #[test]
    fn a_rate_limit_follows_the_hint_and_spares_other_models() {
        let credential = CredentialId::from("key_1");
        let mut failure = Failure::new(FailureClass::RateLimit, "429");
        failure.retry_after = Some(seconds(7));
        let (scope, length) = credential_penalty(&acme(), &credential, &model(), &failure).unwrap();
        assert_eq!(scope, CooldownScope::CredentialModel(acme(), credential, model()));
        assert_eq!(length, Length::Fixed(seconds(7)));
    }
}
