//! How long what is held against anybody is remembered, and what ends it.

use super::*;

#[test]
fn what_a_filter_picks_is_forgotten_with_its_counts() {
    let mut acme = Acme::default();
    acme.fails(2, 0, "m", FailureClass::Server);
    acme.fails(3, 0, "n", FailureClass::Server);
    acme.fail_with(START, "m", Some("a"), &Failure::new(FailureClass::Auth, "401"));
    let models = vec![ModelName::parse("m").unwrap()];
    assert!(acme.state.clear(&ScopeFilter { models, ..ScopeFilter::default() }).is_empty());
    acme.fail(1, "m", FailureClass::Server);
    assert_eq!(acme.left(1, &of_model("m")), None, "it is counted anew");
    let key = ScopeFilter { credential: Some("a".into()), ..ScopeFilter::of(super::acme()) };
    assert_eq!(acme.state.clear(&key).len(), 1);
    assert_eq!(acme.state.clear(&ScopeFilter::default()).len(), 1);
    assert!(acme.state.view().cooldowns().is_empty());
}

#[test]
fn whatever_the_clock_said_no_more_is_left_after_a_restart_than_the_length() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    let stored = acme.state.view().cooldowns().list(START);
    let left = |now: Timestamp| {
        // However often it is started: what is known after one start is stored at the next.
        let known = (0..3).fold(stored.clone(), |stored, _| {
            let mut state = HealthState::default();
            state.restore(now, stored);
            state.view().cooldowns().list(now)
        });
        let cooldown = known.iter().find(|cooldown| cooldown.scope == of_model("m"));
        cooldown.map(|cooldown| cooldown.until.since(now).as_secs())
    };
    assert_eq!(left(second(4)), Some(6));
    assert_eq!(left(second(10)), None);
    assert_eq!(left(START.minus(Duration::from_hours(24 * 365))), Some(10), "made a year ahead");
}

#[test]
fn what_is_counted_is_bounded_whatever_models_clients_make_up() {
    let mut acme = Acme::default();
    let models = 2 * counts::MAX_COUNTED as u64;
    for n in 0..models {
        acme.fail(n / 100, &format!("m{n}"), FailureClass::Server);
    }
    let remembered = |acme: &Acme| -> Vec<u64> {
        let is_remembered = |n: &u64| {
            let model = ModelName::parse(&format!("m{n}")).unwrap();
            let used = Use { provider: &super::acme(), credential: None, model: &model };
            acme.state.view().wants_success(used)
        };
        (0..models).filter(is_remembered).collect()
    };
    let newest = remembered(&acme);
    assert_eq!(newest.len(), counts::MAX_COUNTED);
    assert!(newest.contains(&(models - 1)) && !newest.contains(&0));
    assert!(!acme.state.expire(second(1_000)).1, "a rule may look back for an hour");
    assert!(acme.state.expire(second(3_700)).1);
    assert!(remembered(&acme).is_empty());
}

#[test]
fn of_models_that_no_list_has_the_first_to_end_make_room_for_others() {
    let mut acme = Acme::default();
    acme.fail(0, "listed", FailureClass::ModelMissing);
    acme.is_unlisted = true;
    let mut dropped = Vec::new();
    for n in 0..MAX_UNLISTED + 2 {
        let blamed = acme.fail(1 + n as u64, &format!("m{n}"), FailureClass::ModelMissing);
        assert_eq!(blamed.changes.last().unwrap().kind, ChangeKind::New);
        let gone = blamed.changes.into_iter().filter(|change| change.kind == ChangeKind::Dropped);
        dropped.extend(gone.map(|change| change.cooldown.scope));
    }
    assert_eq!(dropped, [of_model("m0"), of_model("m1")]);
    assert!(acme.left(99, &of_model("listed")).is_some());
}

#[test]
fn a_failure_is_remembered_for_as_long_as_a_rule_may_count_it() {
    let (failures, window_ms) = (Some(2), Some(*WINDOWS_MS.end()));
    let server = CoolingRuleSettings { failures, window_ms, ..CoolingRuleSettings::default() };
    let set = CoolingSettings { server, ..CoolingSettings::default() };
    let mut acme = Acme { rules: CoolingRules::default().with(Some(set)), ..Acme::default() };
    acme.fail(0, "m", FailureClass::Server);
    assert!(!acme.state.expire(second(3_600)).1);
    acme.fail(3_600, "m", FailureClass::Server);
    assert_eq!(acme.left(3_600, &of_model("m")), Some(10));
}
