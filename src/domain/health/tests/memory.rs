//! How long what is held against anybody is remembered, and what ends it.

use super::*;

#[test]
fn what_a_filter_picks_is_forgotten_with_its_counts() {
    let mut acme = Acme::default();
    acme.fails(2, 0, "m", FailureClass::Server);
    acme.fails(3, 0, "n", FailureClass::Server);
    acme.fail_with(START, "m", Some("a"), &Failure::new(FailureClass::Auth, "401"));
    let models = vec![ModelName::parse("m").unwrap()];
    assert!(acme.book.clear(&ScopeFilter { models, ..ScopeFilter::default() }).is_empty());
    acme.fail(1, "m", FailureClass::Server);
    assert_eq!(acme.left(1, &of_model("m")), None, "it is counted anew");
    let key = ScopeFilter { credential: Some("a".into()), ..ScopeFilter::of(super::acme()) };
    assert_eq!(acme.book.clear(&key).len(), 1);
    assert_eq!(acme.book.clear(&ScopeFilter::default()).len(), 1);
    assert!(acme.book.view().cooldowns().is_empty());
}

#[test]
fn whatever_the_clock_said_no_more_is_left_after_a_restart_than_the_length() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    let stored = acme.book.view().cooldowns().list(START);
    let left = |now: Timestamp| {
        let mut book = HealthBook::default();
        book.restore(now, stored.clone());
        let cooldown = book.view().cooldowns().active(now, &of_model("m")).cloned();
        cooldown.map(|cooldown| cooldown.until.since(now).as_secs())
    };
    assert_eq!(left(second(4)), Some(6));
    assert_eq!(left(second(10)), None);
    assert_eq!(left(START.minus(Duration::from_hours(24 * 365))), Some(10), "made a year ahead");
}

#[test]
fn what_is_counted_is_bounded_whatever_models_clients_make_up() {
    let mut acme = Acme::default();
    for n in 0..2 * counts::MAX_COUNTED as u64 {
        acme.fail(n / 100, &format!("m{n}"), FailureClass::Server);
    }
    let last = format!("m{}", 2 * counts::MAX_COUNTED - 1);
    let remembers = |acme: &Acme, model: &str| {
        let model = ModelName::parse(model).unwrap();
        let used = Use { provider: &super::acme(), credential: None, model: &model };
        acme.book.view().wants_success(used)
    };
    assert!(remembers(&acme, &last) && !remembers(&acme, "m0"));
    assert!(!acme.book.expire(second(1_000)).1, "a rule may look back for an hour");
    assert!(acme.book.expire(second(3_700)).1);
    assert!(!remembers(&acme, &last));
}
