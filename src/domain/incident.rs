//! Incidents: the same failure from most credentials of a provider at once is the provider's own.

use std::{collections::VecDeque, time::Duration};

use super::{
    cooldown::{CooldownScope, ScopeFilter},
    failure::{Failure, FailureClass},
    id::{CredentialId, ProviderId},
    time::Timestamp,
};

/// Failures further apart than this are not the same incident.
pub const INCIDENT_WINDOW: Duration = Duration::from_secs(10);

/// Most failures remembered at once, each of one credential and class. Past it the oldest is
/// forgotten.
pub const MAX_SEEN: usize = 4_096;

/// Fewest credentials that make an incident: one alone may be bad by itself.
const FEWEST: usize = 2;

/// A provider's own failure, for which its credentials are not to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// All credentials that failed that way within the window, in the order of their last failure.
    pub spared: Vec<CredentialId>,
}

/// The failures of the last seconds for which credentials would be blamed.
#[derive(Debug, Clone, Default)]
pub struct IncidentWatch {
    /// Oldest first; one for each credential and class.
    seen: VecDeque<Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    at: Timestamp,
    provider: ProviderId,
    credential: CredentialId,
    class: FailureClass,
}

impl IncidentWatch {
    /// Takes note of a failure, and says when it is part of an incident: the last one of more than
    /// half of the provider's `usable` credentials, those that are cooling counted in, and of two at
    /// least. While the incident lasts, each further failure is part of it too.
    pub fn note(
        &mut self,
        now: Timestamp,
        provider: &ProviderId,
        credential: &CredentialId,
        failure: &Failure,
        usable: usize,
    ) -> Option<Incident> {
        if !may_be_shared(failure) {
            return None;
        }
        let class = failure.class;
        self.seen.retain(|seen| {
            // What lies ahead was seen before the clock was set back: nobody knows how long ago.
            let is_recent = seen.at <= now && now.since(seen.at) <= INCIDENT_WINDOW;
            let is_this =
                (&seen.provider, &seen.credential, seen.class) == (provider, credential, class);
            is_recent && !is_this
        });
        if self.seen.len() >= MAX_SEEN {
            self.seen.pop_front();
        }
        let (provider, credential) = (provider.clone(), credential.clone());
        self.seen.push_back(Seen { at: now, provider: provider.clone(), credential, class });
        let is_same = |seen: &&Seen| seen.provider == provider && seen.class == class;
        let same = || self.seen.iter().filter(is_same);
        let count = same().count();
        if count < FEWEST || count <= usable / 2 {
            return None;
        }
        Some(Incident { spared: same().map(|seen| seen.credential.clone()).collect() })
    }

    /// Forgets the failures of a credential that has answered since.
    pub fn succeeded(&mut self, provider: &ProviderId, credential: &CredentialId) {
        self.seen.retain(|seen| seen.provider != *provider || seen.credential != *credential);
    }
}

impl IncidentWatch {
    /// Forgets the failures of what a filter picks.
    pub fn forget(&mut self, filter: &ScopeFilter) {
        let scope =
            |seen: &Seen| CooldownScope::Credential(seen.provider.clone(), seen.credential.clone());
        self.seen.retain(|seen| !filter.fits(&scope(seen)));
    }
}

/// Whether a failure for which a credential is blamed can be the provider's own. A rate limit is each
/// credential's own, unless it is said to be that of the account or the address; and one that says when
/// it ends is over then.
fn may_be_shared(failure: &Failure) -> bool {
    match failure.class {
        FailureClass::Auth => true,
        FailureClass::Payment => failure.retry_after.is_none(),
        FailureClass::RateLimit => failure.account_wide && failure.retry_after.is_none(),
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
        | FailureClass::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn acme() -> ProviderId {
        ProviderId::parse("acme").unwrap()
    }

    fn second(n: u64) -> Timestamp {
        START.plus(Duration::from_secs(n))
    }

    /// A failure for which more than the credential may be to blame.
    fn shared(class: FailureClass) -> Failure {
        Failure { account_wide: true, ..Failure::new(class, "no") }
    }

    /// A failure at `acme`, and the credentials that are spared for it.
    fn fail(
        watch: &mut IncidentWatch,
        at: u64,
        credential: &str,
        class: FailureClass,
        usable: usize,
    ) -> Option<Vec<String>> {
        let incident = watch.note(second(at), &acme(), &credential.into(), &shared(class), usable);
        incident.map(|found| found.spared.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_same_failure_from_most_credentials_is_the_providers() {
        for class in [FailureClass::Auth, FailureClass::Payment, FailureClass::RateLimit] {
            let mut watch = IncidentWatch::default();
            assert_eq!(fail(&mut watch, 0, "a", class, 4), None);
            assert_eq!(fail(&mut watch, 3, "b", class, 4), None);
            let spared = fail(&mut watch, 6, "c", class, 4).unwrap();
            assert_eq!(spared, ["a", "b", "c"]);
        }
    }

    #[test]
    fn a_further_failure_is_part_of_the_incident_too() {
        let mut watch = IncidentWatch::default();
        fail(&mut watch, 0, "a", FailureClass::Auth, 3);
        assert_eq!(fail(&mut watch, 1, "b", FailureClass::Auth, 3).unwrap().len(), 2);
        assert_eq!(fail(&mut watch, 2, "c", FailureClass::Auth, 3).unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn a_single_credential_is_to_blame_however_often_it_fails() {
        for usable in 0..3 {
            let mut watch = IncidentWatch::default();
            for at in 0..5 {
                assert_eq!(fail(&mut watch, at, "a", FailureClass::Auth, usable), None);
            }
        }
    }

    #[test]
    fn half_of_the_credentials_are_not_most() {
        let mut watch = IncidentWatch::default();
        assert_eq!(fail(&mut watch, 0, "a", FailureClass::Auth, 4), None);
        assert_eq!(fail(&mut watch, 0, "b", FailureClass::Auth, 4), None);
        assert!(fail(&mut watch, 0, "b", FailureClass::Auth, 3).is_some());
    }

    #[test]
    fn failures_more_than_ten_seconds_apart_are_no_incident() {
        let mut watch = IncidentWatch::default();
        fail(&mut watch, 0, "a", FailureClass::Auth, 2);
        assert_eq!(fail(&mut watch, 11, "b", FailureClass::Auth, 2), None);
        assert!(fail(&mut watch, 21, "a", FailureClass::Auth, 2).is_some());
    }

    #[test]
    fn different_failures_are_no_incident() {
        let mut watch = IncidentWatch::default();
        fail(&mut watch, 0, "a", FailureClass::Auth, 2);
        assert_eq!(fail(&mut watch, 0, "b", FailureClass::Payment, 2), None);
        assert!(fail(&mut watch, 0, "b", FailureClass::Auth, 2).is_some());
    }

    #[test]
    fn rate_limits_are_the_credentials_own_unless_said_to_be_wider_and_without_an_end() {
        let mut watch = IncidentWatch::default();
        let wide = shared(FailureClass::RateLimit);
        let hinted = Failure { retry_after: Some(Duration::from_secs(1)), ..wide.clone() };
        let own = Failure { account_wide: false, ..wide };
        for credential in ["a", "b", "c"] {
            for failure in [&own, &hinted] {
                assert_eq!(watch.note(START, &acme(), &credential.into(), failure, 3), None);
            }
        }
        assert_eq!(fail(&mut watch, 0, "a", FailureClass::RateLimit, 3), None);
    }

    #[test]
    fn failures_for_which_no_credential_is_blamed_do_not_count() {
        let counted = [FailureClass::Auth, FailureClass::Payment, FailureClass::RateLimit];
        for class in FailureClass::ALL.into_iter().filter(|class| !counted.contains(class)) {
            let mut watch = IncidentWatch::default();
            for credential in ["a", "b", "c"] {
                assert_eq!(fail(&mut watch, 0, credential, class, 3), None, "{class:?}");
            }
        }
    }

    #[test]
    fn a_credential_that_answered_in_between_does_not_count() {
        let mut watch = IncidentWatch::default();
        fail(&mut watch, 0, "a", FailureClass::Auth, 3);
        watch.succeeded(&acme(), &"a".into());
        assert_eq!(fail(&mut watch, 1, "b", FailureClass::Auth, 3), None);
        assert_eq!(fail(&mut watch, 2, "c", FailureClass::Auth, 3).unwrap(), ["b", "c"]);
    }

    #[test]
    fn what_is_cleared_by_hand_is_part_of_no_incident() {
        let of_acme = |credential: Option<&str>| ScopeFilter {
            credential: credential.map(CredentialId::from),
            ..ScopeFilter::of(acme())
        };
        let elsewhere = ScopeFilter::of(ProviderId::parse("other").unwrap());
        for (cleared, is_incident) in [
            (ScopeFilter::default(), false),
            (of_acme(None), false),
            (of_acme(Some("a")), false),
            (of_acme(Some("b")), true),
            (elsewhere, true),
        ] {
            let mut watch = IncidentWatch::default();
            fail(&mut watch, 0, "a", FailureClass::Auth, 2);
            watch.forget(&cleared);
            let failed = fail(&mut watch, 1, "b", FailureClass::Auth, 2);
            assert_eq!(failed.is_some(), is_incident, "{cleared:?}");
        }
    }

    #[test]
    fn each_provider_has_incidents_of_its_own() {
        let mut watch = IncidentWatch::default();
        let other = ProviderId::parse("other").unwrap();
        fail(&mut watch, 0, "a", FailureClass::Auth, 2);
        watch.succeeded(&other, &"a".into());
        let elsewhere = watch.note(START, &other, &"b".into(), &shared(FailureClass::Auth), 2);
        assert_eq!(elsewhere, None);
        assert!(fail(&mut watch, 0, "b", FailureClass::Auth, 2).is_some());
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_incident_of_old_failures() {
        let mut watch = IncidentWatch::default();
        fail(&mut watch, 3_600, "a", FailureClass::Auth, 2);
        assert_eq!(fail(&mut watch, 0, "b", FailureClass::Auth, 2), None);
        assert_eq!(fail(&mut watch, 3_601, "c", FailureClass::Auth, 2), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let class = FailureClass::Auth;
        let seen = |n| Seen {
            at: START,
            provider: acme(),
            credential: CredentialId::from(format!("key_{n}")),
            class,
        };
        let mut watch = IncidentWatch { seen: (0..MAX_SEEN).map(seen).collect() };
        for n in MAX_SEEN..MAX_SEEN + 10 {
            let credential = CredentialId::from(format!("key_{n}"));
            watch.note(START, &acme(), &credential, &shared(class), usize::MAX);
        }
        assert_eq!(watch.seen.len(), MAX_SEEN);
        assert_eq!(watch.seen[0].credential.as_str(), "key_10");
    }
}
