//! When the failures of keys are those of their provider.

use super::*;

#[test]
fn two_keys_that_are_limited_are_no_incident_and_two_that_are_refused_are() {
    let failure = |class| Failure::new(class, "no");
    let mut acme = Acme::default();
    acme.fail_with(START, "m", Some("a"), &failure(FailureClass::RateLimit));
    let second = acme.fail_with(START, "m", Some("b"), &failure(FailureClass::RateLimit));
    assert!(!second.is_incident);
    assert_eq!(
        (acme.left(0, &whole()), acme.state.view().cooldowns().list(START).len()),
        (None, 2)
    );

    let mut refused = Acme::default();
    refused.fail_with(START, "m", Some("a"), &failure(FailureClass::Auth));
    let second = refused.fail_with(START, "m", Some("b"), &failure(FailureClass::Auth));
    assert!(second.is_incident);
    let kinds: Vec<ChangeKind> = second.changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Cleared, ChangeKind::New]);
    assert_eq!(refused.left(0, &whole()), Some(10));
    assert_eq!(refused.state.view().cooldowns().list(START).len(), 1, "the keys are spared");
}

#[test]
fn what_a_rule_or_the_proxy_of_a_key_leads_to_is_no_incident() {
    let auth = Failure::new(FailureClass::Auth, "no");
    let rule = Some(RuleAction::ContinueAndCooldown);
    for failure in [Failure { rule, ..auth.clone() }, Failure { by_proxy: true, ..auth }] {
        let mut acme = Acme::default();
        acme.fail_with(START, "m", Some("a"), &failure);
        let second = acme.fail_with(START, "m", Some("b"), &failure);
        assert!(!second.is_incident, "{failure:?}");
    }
}

#[test]
fn an_incident_spares_keys_what_began_with_it_alone() {
    let key = |model: Option<&str>| {
        let model = model.map(|model| ModelName::parse(model).unwrap());
        CooldownScope::from_parts(acme(), Some("a".into()), model)
    };
    let failure = |class| Failure::new(class, "no");
    let auth = failure(FailureClass::Auth);
    let mut pool = Acme::default();
    let hint = Some(seconds(90));
    let limited = Failure { retry_after: hint, ..failure(FailureClass::RateLimit) };
    pool.fail_with(second(20), "m", Some("a"), &limited);
    pool.fail_with(second(20), "m", Some("a"), &auth);
    assert!(pool.fail_with(second(21), "m", Some("b"), &auth).is_incident);
    assert_eq!(pool.left(21, &key(None)), None, "spared");
    assert_eq!(pool.left(21, &key(Some("m"))), Some(89), "a limit of its own");

    // What was held against it before the incident still is.
    let mut before = Acme::default();
    before.fail_with(second(0), "m", Some("a"), &failure(FailureClass::Payment));
    before.fail_with(second(20), "m", Some("a"), &auth);
    assert!(before.fail_with(second(21), "m", Some("b"), &auth).is_incident);
    assert!(before.left(21, &key(None)).is_some());

    // So is what a rule of the operator holds against a key that is not among those that failed.
    let mut ruled = Acme::default();
    let rule = Some(RuleAction::ContinueAndCooldown);
    ruled.fail_with(second(20), "m", Some("a"), &Failure { rule, ..auth.clone() });
    for (key, is_incident) in [("b", false), ("c", true)] {
        assert_eq!(ruled.fail_with(second(21), "m", Some(key), &auth).is_incident, is_incident);
    }
    assert!(ruled.left(21, &key(None)).is_some());
}

#[test]
fn a_key_that_has_answered_since_is_of_no_incident() {
    let auth = Failure::new(FailureClass::Auth, "no");
    let mut pool = Acme::default();
    pool.fail_with(second(0), "m", Some("a"), &auth);
    let (provider, key, model) = (acme(), "a".into(), ModelName::parse("m").unwrap());
    let used = Use { provider: &provider, credential: Some(&key), model: &model };
    pool.state.succeeded(second(1), used);
    assert!(!pool.fail_with(second(2), "m", Some("b"), &auth).is_incident);
}
