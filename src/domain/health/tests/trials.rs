//! Who tries what was cooling, and how that is judged.

use super::*;

#[test]
fn after_its_cooldown_one_request_asks_at_once_and_one_good_answer_frees_it() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    acme.fails(3, 0, "n", FailureClass::Server);
    assert!(!acme.enter(9, "o") && acme.enter(10, "o"));
    assert!(!acme.enter(10, "o"), "somebody tries it already");
    let ended = acme.answer(11, "o");
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].kind, &ended[0].cooldown.scope), (ChangeKind::Ended, &whole()));
    assert!(acme.enter(11, "o") && acme.enter(11, "o"));
    assert!(acme.state.expire(second(12)).0.iter().all(|change| change.cooldown.scope != whole()));
}

#[test]
fn a_trial_that_fails_cools_again_and_for_longer() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    acme.fails(3, 0, "n", FailureClass::Server);
    assert!(acme.enter(10, "o"));
    acme.fail(10, "o", FailureClass::Overload);
    assert_eq!(acme.left(10, &whole()), Some(10), "of an overload 5, then 10");
    let mut model = Acme::default();
    model.fails(3, 0, "m", FailureClass::Server);
    assert!(model.enter(100, "m"), "long after");
    model.fail(100, "m", FailureClass::Silent);
    assert_eq!((model.left(100, &of_model("m")), model.left(100, &whole())), (Some(20), None));
}

// Whoever is on trial by another rule is free again after a failure that cools nobody.
#[test]
fn what_never_cools_is_not_kept_for_one_request_alone() {
    let never = CoolingRuleSettings { failures: Some(0), ..CoolingRuleSettings::default() };
    let set = CoolingSettings { server: never, overload: never };
    let rules = CoolingRules::default().with(Some(set));
    let all = [whole(), of_model("m")];
    for (class, purpose, on_trial) in [
        (FailureClass::Server, Purpose::Answer, &all[..]),
        (FailureClass::Overload, Purpose::Answer, &all[..]),
        (FailureClass::Connect, Purpose::Answer, &all[..1]),
        (FailureClass::Server, Purpose::OwnModel, &all[1..]),
        (FailureClass::Connect, Purpose::OwnModel, &all[1..]),
    ] {
        let mut acme = Acme { rules, purpose, ..Acme::default() };
        for scope in on_trial {
            let length = CooldownDuration::Fixed(seconds(5));
            acme.state.cooldowns().impose(START, scope.clone(), length, (class, None), 0.0);
        }
        assert!(acme.enter(5, "m"));
        assert!(!acme.enter(5, "m"), "somebody is trying it");
        let blamed = acme.fail(5, "m", class);
        assert!(blamed.is_news && blamed.changes.is_empty(), "{class:?} {purpose:?}");
        assert!(acme.enter(5, "m"), "{class:?} {purpose:?}");
    }
}

#[test]
fn a_trial_is_judged_by_what_says_something_of_it_and_else_left_to_the_next() {
    for (class, is_judged) in [(FailureClass::Server, true), (FailureClass::ClientFault, false)] {
        let mut acme = Acme::default();
        acme.fails(3, 0, "m", FailureClass::Server);
        let (provider, model) = (super::acme(), ModelName::parse("m").unwrap());
        let used = Use { provider: &provider, credential: None, model: &model };
        let passes = acme.state.view().enter(second(10), used).unwrap();
        Purpose::Answer.judge(passes, used, &Failure::new(class, "no"));
        assert_eq!(acme.state.view().kept_from(second(10), used).is_some(), is_judged, "{class:?}");
        assert_eq!(acme.enter(10, "m"), !is_judged, "{class:?}");
    }
}
