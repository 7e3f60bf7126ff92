//! Whom each class of failure is held against, and for how long.

use super::*;
use crate::domain::{
    cooldown::CooldownState,
    id::{CredentialId, ModelName, ProviderId},
    rule::RuleAction,
    time::Timestamp,
};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn acme() -> ProviderId {
    ProviderId::parse("acme").unwrap()
}

fn model() -> ModelName {
    ModelName::parse("m").unwrap()
}

fn whole_key() -> CooldownScope {
    CooldownScope::Credential(acme(), "key_1".into())
}

fn key_and_model() -> CooldownScope {
    CooldownScope::CredentialModel(acme(), "key_1".into(), model())
}

fn model_there() -> CooldownScope {
    CooldownScope::ProviderModel(acme(), model())
}

fn blamed(has_key: bool, failure: &Failure) -> Option<(CooldownScope, Penalty)> {
    let key = CredentialId::from("key_1");
    let credential = has_key.then_some(&key);
    blame(Use { provider: &acme(), credential, model: &model() }, failure)
}

fn failed(class: FailureClass, retry_after: Option<Duration>) -> Failure {
    Failure { retry_after, ..Failure::new(class, "no") }
}

#[test]
fn each_class_has_its_scope_with_a_key_and_without() {
    use FailureClass as C;
    let half_hour = Penalty::AtOnce(CooldownDuration::Fixed(HALF_HOUR));
    let limit = Penalty::AtOnce(LIMIT_DURATION);
    let missing = Penalty::AtOnce(CooldownDuration::Fixed(Duration::from_hours(1)));
    let server = Penalty::Counted(Kind::Server, None);
    for class in C::ALL {
        let (with_key, without) = match class {
            C::Auth | C::Payment => (Some((whole_key(), half_hour)), Some((model_there(), limit))),
            C::RateLimit => (Some((key_and_model(), limit)), Some((model_there(), limit))),
            C::ModelMissing => (Some((model_there(), missing)), Some((model_there(), missing))),
            C::Server | C::Silent | C::Stalled | C::Cut => {
                (Some((model_there(), server)), Some((model_there(), server)))
            }
            C::Overload => {
                let counted = (model_there(), Penalty::Counted(Kind::Overload, None));
                (Some(counted.clone()), Some(counted))
            }
            C::Connect => {
                let counted = (CooldownScope::Provider(acme()), server);
                (Some(counted.clone()), Some(counted))
            }
            C::ClientFault | C::ContextTooLong | C::Refusal | C::Cancelled => (None, None),
        };
        let failure = Failure::new(class, "no");
        assert_eq!(blamed(true, &failure), with_key, "{class:?}");
        assert_eq!(blamed(false, &failure), without, "{class:?}");
    }
}

#[test]
fn a_hint_is_believed_for_a_day_at_most_and_none_of_nothing() {
    for class in [FailureClass::Payment, FailureClass::RateLimit] {
        for has_key in [true, false] {
            let length = |hint| match blamed(has_key, &failed(class, Some(hint))) {
                Some((_, Penalty::AtOnce(length))) => length,
                other => panic!("{other:?}"),
            };
            assert_eq!(length(seconds(7)), CooldownDuration::Fixed(seconds(7)));
            assert_eq!(length(Duration::MAX), CooldownDuration::Fixed(MAX_HINT));
            assert_ne!(length(Duration::ZERO), CooldownDuration::Fixed(Duration::ZERO));
        }
    }
    for (class, kind) in
        [(FailureClass::Server, Kind::Server), (FailureClass::Overload, Kind::Overload)]
    {
        let hinted = |hint| blamed(true, &failed(class, Some(hint))).unwrap().1;
        assert_eq!(hinted(seconds(20)), Penalty::Counted(kind, Some(seconds(20))));
        assert_eq!(hinted(Duration::MAX), Penalty::Counted(kind, Some(MAX_HINT)));
        assert_eq!(hinted(Duration::ZERO), Penalty::Counted(kind, None));
    }
    let auth = blamed(true, &failed(FailureClass::Auth, Some(seconds(1))));
    assert_eq!(auth, Some((whole_key(), Penalty::AtOnce(CooldownDuration::Fixed(HALF_HOUR)))));
}

#[test]
fn a_limit_without_a_hint_doubles_from_a_second_to_half_an_hour() {
    let mut state = CooldownState::default();
    let mut now = Timestamp::from_millis(1_000_000);
    let mut lengths = Vec::new();
    for _ in 0..13 {
        let failure = Failure::new(FailureClass::RateLimit, "429");
        let Some((scope, Penalty::AtOnce(length))) = blamed(true, &failure) else { panic!() };
        state.impose(now, scope.clone(), length, (FailureClass::RateLimit, Some(429)), 0.0);
        let until = state.active(now, &scope).unwrap().until;
        lengths.push(until.since(now).as_secs());
        now = until;
    }
    assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800, 1800]);
}

#[test]
fn a_limit_of_the_whole_account_is_no_matter_of_one_model() {
    let mut failure = Failure::new(FailureClass::RateLimit, "429");
    failure.account_wide = true;
    assert_eq!(blamed(true, &failure).unwrap().0, whole_key());
    assert_eq!(blamed(false, &failure).unwrap().0, model_there());
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
            let failure = Failure { rule: Some(action), ..failed(class, Some(seconds(1))) };
            let minute = Penalty::AtOnce(CooldownDuration::Fixed(RULE_COOLDOWN));
            assert_eq!(blamed(true, &failure), cools.then(|| (whole_key(), minute)));
            assert_eq!(blamed(false, &failure), cools.then(|| (model_there(), minute)));
        }
    }
}

#[test]
fn what_fails_at_a_credentials_proxy_costs_the_credential_and_not_the_provider() {
    let refused = Failure::new(FailureClass::Connect, "refused");
    let failure = Failure { by_proxy: true, ..refused };
    assert_eq!(blamed(true, &failure), Some((whole_key(), Penalty::AtOnce(SERVER_DURATION))));
}
