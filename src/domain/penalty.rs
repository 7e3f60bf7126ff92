//! What a failed attempt costs: which scope is cooled for it, and for how long.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{
    cooldown::{CooldownScope, Length},
    failure::{Failure, FailureClass, MAX_HINT},
    id::{CredentialId, ModelName, ProviderId},
    time::Timestamp,
};

/// Failures of a provider older than this do not count towards its cooldown.
const FAILURE_WINDOW: Duration = Duration::from_mins(1);

/// What a failed attempt does to the credential it was made with: the scope and the length.
/// `None`: nothing, the credential is not to blame.
pub fn credential_penalty(
    provider: &ProviderId,
    credential: &CredentialId,
    model: &ModelName,
    failure: &Failure,
) -> Option<(CooldownScope, Length)> {
    const HALF_HOUR: Duration = Duration::from_mins(30);
    let hinted = failure.retry_after.map(|hint| Length::Fixed(hint.min(MAX_HINT)));
    let whole = || CooldownScope::Credential(provider.clone(), credential.clone());
    match failure.class {
        FailureClass::Auth => Some((whole(), Length::Fixed(HALF_HOUR))),
        FailureClass::Payment => Some((whole(), hinted.unwrap_or(Length::Fixed(HALF_HOUR)))),
        FailureClass::RateLimit => {
            let doubling = Length::Doubling { base: Duration::from_secs(1), cap: HALF_HOUR };
            let scope =
                CooldownScope::CredentialModel(provider.clone(), credential.clone(), model.clone());
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
/// minute cool for 5 s, doubling to 30 s. A missing model cools that model there for an hour, at once.
#[derive(Debug, Clone, Default)]
pub struct ProviderFailures {
    server: HashMap<ProviderId, VecDeque<Timestamp>>,
    overload: HashMap<ProviderId, VecDeque<Timestamp>>,
}

impl ProviderFailures {
    const SERVER_COUNT: usize = 3;
    const OVERLOAD_COUNT: usize = 5;

    /// Takes note of a failure, and says which scope it is time to cool and for how long.
    pub fn note(
        &mut self,
        now: Timestamp,
        provider: &ProviderId,
        model: &ModelName,
        failure: &Failure,
    ) -> Option<(CooldownScope, Length)> {
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
        let window = windows.entry(provider.clone()).or_default();
        window.push_back(now);
        while window.front().is_some_and(|at| now.since(*at) > FAILURE_WINDOW)
            || window.len() > count
        {
            window.pop_front();
        }
        if window.len() < count {
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
        self.server.remove(provider);
        self.overload.remove(provider);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(failures.note(START, &acme(), &model(), &failure), None);
        assert_eq!(failures.note(START.plus(seconds(30)), &acme(), &model(), &failure), None);
        let doubling = Length::Doubling { base: seconds(10), cap: seconds(300) };
        let due = failures.note(START.plus(seconds(59)), &acme(), &model(), &failure);
        assert_eq!(due, Some((CooldownScope::Provider(acme()), doubling)));
    }

    #[test]
    fn failures_older_than_a_minute_do_not_count() {
        let mut failures = ProviderFailures::default();
        let failure = Failure::new(FailureClass::Connect, "refused");
        for at in [0, 30, 61, 122] {
            assert_eq!(failures.note(START.plus(seconds(at)), &acme(), &model(), &failure), None);
        }
    }

    #[test]
    fn a_missing_model_cools_that_model_there_at_once() {
        let mut failures = ProviderFailures::default();
        let failure = Failure::new(FailureClass::ModelMissing, "404");
        let (scope, length) = failures.note(START, &acme(), &model(), &failure).unwrap();
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
