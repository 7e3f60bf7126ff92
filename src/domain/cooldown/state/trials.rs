//! How a cooldown ends: with a single trial, and then a success.

use super::*;
use crate::domain::{
    failure::MAX_HINT,
    id::{CredentialId, ModelName},
};

const START: Timestamp = Timestamp::from_millis(1_000_000);
const CAUSE: (FailureClass, Option<u16>) = (FailureClass::Server, Some(500));

fn scope() -> CooldownScope {
    CooldownScope::Provider(ProviderId::parse("acme").unwrap())
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn second(n: u64) -> Timestamp {
    START.plus(seconds(n))
}

fn doubling() -> CooldownDuration {
    CooldownDuration::Doubling { base: seconds(10), cap: seconds(300) }
}

/// A state in which the scope has been cooling for ten seconds from the start.
fn cooled() -> CooldownState {
    let mut state = CooldownState::default();
    state.impose(START, scope(), doubling(), CAUSE, 0.0);
    state
}

fn pass(state: &CooldownState, at: u64) -> TrialPass {
    state.enter_scope(second(at), &scope()).unwrap().expect("the scope is on trial")
}

#[test]
fn nobody_enters_while_it_cools() {
    let state = cooled();
    let until = second(10);
    assert_eq!(state.enter_scope(second(9), &scope()).unwrap_err(), (until, FailureClass::Server));
    assert!(matches!(state.standing_of(second(9), &scope()), Standing::Cooling));
    assert!(!state.is_on_trial(second(9), &scope()));
}

#[test]
fn against_what_never_failed_there_is_nothing() {
    let state = CooldownState::default();
    assert!(state.enter_scope(START, &scope()).unwrap().is_none());
    assert_eq!(state.standing_of(START, &scope()), Standing::Open);
}

#[test]
fn of_many_who_come_after_a_cooldown_one_tries_and_the_others_wait() {
    let state = cooled();
    let copies: Vec<_> = (0..20).map(|_| state.clone()).collect();
    let entered: Vec<_> =
        copies.iter().map(|copy| copy.enter_scope(second(10), &scope())).collect();
    assert_eq!(entered.iter().filter(|entered| matches!(entered, Ok(Some(_)))).count(), 1);
    let waiting = entered.iter().filter_map(|entered| entered.as_ref().err());
    let look = second(10).plus(TRIAL_LOOK);
    assert_eq!(waiting.collect::<Vec<_>>(), vec![&(look, FailureClass::Server); 19]);
    let until = second(10).plus(TRIAL_TIME);
    assert!(
        matches!(state.standing_of(second(10), &scope()), Standing::BeingTried(at) if at == until)
    );
}

#[test]
fn of_threads_that_come_at_once_one_tries() {
    let state = cooled();
    // Kept as a judged trial is, so that none who comes later has it after the first.
    let try_it = || match state.enter_scope(second(10), &scope()) {
        Ok(Some(pass)) => {
            pass.judged();
            1
        }
        Ok(None) | Err(_) => 0,
    };
    let tried: u32 = std::thread::scope(|threads| {
        let all = [(); 8].map(|()| threads.spawn(try_it));
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(tried, 1);
}

#[test]
fn a_cooldown_that_has_just_ended_needs_no_other_event() {
    let state = cooled();
    assert_eq!(state.standing_of(second(11), &scope()), Standing::OnTrial);
    assert!(state.is_on_trial(second(11), &scope()));
    assert_eq!(pass(&state, 11).scope(), &scope());
}

#[test]
fn a_cooldown_is_over_at_the_moment_it_ends() {
    let state = cooled();
    let before = second(10).minus(Duration::from_millis(1));
    for (at, is_cooling) in [(before, true), (second(10), false)] {
        assert_eq!(state.active(at, &scope()).is_some(), is_cooling);
        assert_eq!(state.list(at).len(), usize::from(is_cooling));
        assert_eq!(state.enter_scope(at, &scope()).is_err(), is_cooling);
    }
}

#[test]
fn a_look_takes_no_trial() {
    let state = cooled();
    for _ in 0..3 {
        assert_eq!(state.standing_of(second(10), &scope()), Standing::OnTrial);
    }
    pass(&state, 10);
}

#[test]
fn a_pass_that_is_dropped_lets_the_next_one_try() {
    let state = cooled();
    drop(pass(&state, 10));
    let next = pass(&state, 10);
    assert!(state.enter_scope(second(10), &scope()).is_err());
    drop(next);
    assert_eq!(state.standing_of(second(10), &scope()), Standing::OnTrial);
}

#[test]
fn a_judged_pass_keeps_the_others_out_until_the_owner_speaks() {
    let mut state = cooled();
    let published = state.clone();
    pass(&published, 10).judged();
    assert!(published.enter_scope(second(11), &scope()).is_err());
    assert!(state.is_on_trial(second(11), &scope()));
    assert!(state.passed(second(11), &scope()));
    assert!(state.enter_scope(second(11), &scope()).unwrap().is_none());
}

#[test]
fn a_trial_that_is_lost_is_over_after_a_minute() {
    let state = cooled();
    let lost = pass(&state, 10);
    assert!(state.enter_scope(second(69), &scope()).is_err());
    let next = pass(&state, 70);
    drop(lost);
    assert!(
        state.enter_scope(second(71), &scope()).is_err(),
        "the late one has ended the trial of another"
    );
    drop(next);
    pass(&state, 71);
}

#[test]
fn a_lost_trial_of_what_is_refused_at_the_door_is_over_after_five_seconds() {
    for class in [FailureClass::Auth, FailureClass::Payment, FailureClass::RateLimit] {
        let mut state = CooldownState::default();
        state.impose(START, scope(), doubling(), (class, None), 0.0);
        let _lost = pass(&state, 10);
        let over = second(10).plus(DOOR_TRIAL_TIME);
        let before = over.minus(Duration::from_millis(1));
        assert_eq!(state.enter_scope(before, &scope()).unwrap_err(), (over, class));
        assert!(state.enter_scope(over, &scope()).unwrap().is_some());
    }
}

#[test]
fn of_several_scopes_the_last_to_open_says_when_to_look_again() {
    let (provider, model) = (scope().provider().clone(), ModelName::parse("m").unwrap());
    let key: CredentialId = "key_1".into();
    let of_key = CooldownScope::Credential(provider.clone(), key.clone());
    let of_model = CooldownScope::CredentialModel(provider.clone(), key.clone(), model.clone());
    let mut state = CooldownState::default();
    state.impose(START, of_model.clone(), CooldownDuration::Fixed(seconds(10)), CAUSE, 0.0);
    state.impose(
        START,
        of_key,
        CooldownDuration::Fixed(seconds(60)),
        (FailureClass::Auth, None),
        0.0,
    );
    let used = Use { provider: &provider, credential: Some(&key), model: &model };
    let kept = |at| state.kept_from(second(at), used);
    assert_eq!(kept(5), Some((second(60), FailureClass::Auth)));
    let trial = state.enter_scope(second(60), &of_model).unwrap().unwrap();
    assert_eq!(kept(60), Some((second(61), FailureClass::Server)));
    drop(trial);
    assert_eq!(kept(60), None);
}

#[test]
fn a_trial_that_passed_lets_everyone_in_and_the_strikes_are_remembered() {
    let mut state = cooled();
    let first = pass(&state, 10);
    assert!(state.passed(second(11), &scope()));
    assert!(!state.passed(second(11), &scope()), "it is news once");
    drop(first);
    for _ in 0..3 {
        assert!(state.enter_scope(second(11), &scope()).unwrap().is_none());
    }
    assert_eq!(state.standing_of(second(11), &scope()), Standing::Open);
    assert!(state.remembers_scope(&scope()));
    state.impose(second(12), scope(), doubling(), CAUSE, 0.0);
    assert_eq!(state.active(second(12), &scope()).unwrap().strikes, 2);
}

#[test]
fn a_cooldown_that_still_lasts_is_not_passed() {
    let mut state = cooled();
    assert!(!state.passed(second(9), &scope()));
    assert!(state.enter_scope(second(9), &scope()).is_err());
    assert!(!CooldownState::default().passed(START, &scope()));
}

#[test]
fn a_trial_that_failed_cools_for_longer_and_ends_with_a_trial_again() {
    let mut state = cooled();
    let failed = pass(&state, 10);
    let change = state.impose(second(12), scope(), doubling(), CAUSE, 0.0);
    failed.judged();
    let Some(CooldownChange::Started(cooldown)) = change else { panic!("{change:?}") };
    assert_eq!((cooldown.strikes, cooldown.until), (2, second(32)));
    assert!(state.enter_scope(second(31), &scope()).is_err());
    pass(&state, 32);
}

#[test]
fn the_pass_of_an_earlier_cooldown_has_no_say_in_a_later_one() {
    let mut state = cooled();
    let earlier = pass(&state, 10);
    state.impose(second(12), scope(), doubling(), CAUSE, 0.0);
    let later = pass(&state, 32);
    drop(earlier);
    assert!(state.enter_scope(second(33), &scope()).is_err());
    drop(later);
}

#[test]
fn a_cooldown_that_is_cleared_needs_no_trial() {
    let mut state = cooled();
    assert!(state.clear(&scope()).is_some());
    assert!(state.enter_scope(second(1), &scope()).unwrap().is_none());
    assert!(!state.remembers_scope(&scope()));
}

#[test]
fn a_restored_cooldown_ends_with_a_trial_too() {
    let mut restored = CooldownState::default();
    restored.restore(cooled().list(START));
    assert!(restored.enter_scope(second(9), &scope()).is_err());
    let only = pass(&restored, 10);
    assert!(restored.enter_scope(second(10), &scope()).is_err());
    drop(only);
}

#[test]
fn what_is_restored_does_not_shorten_what_is_known() {
    let mut state = cooled();
    let shorter = Cooldown { until: second(5), ..state.list(START)[0].clone() };
    state.restore([shorter]);
    assert_eq!(state.active(START, &scope()).unwrap().until, second(10));
    let longer = Cooldown { until: second(15), ..state.list(START)[0].clone() };
    state.restore([longer]);
    assert_eq!(state.active(START, &scope()).unwrap().until, second(15));
}

#[test]
fn what_is_restored_takes_back_no_trial_of_what_is_known() {
    let mut state = cooled();
    let stored = state.list(START);
    assert!(state.passed(second(10), &scope()));
    state.restore(stored);
    assert!(state.enter_scope(second(10), &scope()).unwrap().is_none());
}

#[test]
fn the_spread_never_shortens_and_adds_a_tenth_at_most() {
    let until = |length, spread| {
        let mut state = CooldownState::default();
        state.impose(START, scope(), CooldownDuration::Fixed(length), CAUSE, spread);
        state.active(START, &scope()).unwrap().until
    };
    assert_eq!(until(seconds(100), 0.0), second(100));
    assert_eq!(until(seconds(100), 0.5), second(105));
    assert_eq!(until(seconds(100), 1.0), second(110));
    assert_eq!(until(seconds(100), -3.0), second(100));
    assert_eq!(until(seconds(100), 7.0), second(110));
    assert_eq!(until(seconds(3_600), 1.0), second(3_600).plus(MAX_JITTER));
    assert_eq!(until(MAX_HINT, 1.0), START.plus(MAX_HINT), "and none lasts longer than a day");
}

#[test]
fn two_limits_in_one_window_are_one_strike() {
    let mut state = CooldownState::default();
    let limit = CooldownDuration::Doubling { base: seconds(1), cap: seconds(1800) };
    let cause = (FailureClass::RateLimit, Some(429));
    state.impose(START, scope(), limit, cause, 0.0);
    assert_eq!(state.impose(START, scope(), limit, cause, 0.0), None);
    let cooldown = state.active(START, &scope()).unwrap();
    assert_eq!((cooldown.strikes, cooldown.until), (1, second(1)));
}

#[test]
fn a_limit_after_three_windows_opens_the_fourth() {
    let mut state = CooldownState::default();
    let limit = CooldownDuration::Doubling { base: seconds(1), cap: seconds(1800) };
    let cause = (FailureClass::RateLimit, Some(429));
    for at in [0, 1, 3] {
        state.impose(second(at), scope(), limit, cause, 0.0);
    }
    assert_eq!(state.active(second(3), &scope()).unwrap().strikes, 3);
    state.impose(second(7), scope(), limit, cause, 0.0);
    let cooldown = state.active(second(7), &scope()).unwrap();
    assert_eq!((cooldown.strikes, cooldown.until), (4, second(15)));
}

#[test]
fn a_hint_inside_a_window_moves_its_end_and_is_no_strike() {
    let mut state = CooldownState::default();
    let limit = CooldownDuration::Doubling { base: seconds(1), cap: seconds(1800) };
    let cause = (FailureClass::RateLimit, Some(429));
    state.impose(START, scope(), limit, cause, 0.0);
    state.impose(second(1), scope(), limit, cause, 0.0);
    state.impose(second(2), scope(), CooldownDuration::Fixed(seconds(10)), cause, 0.0);
    let cooldown = state.active(second(2), &scope()).unwrap();
    assert_eq!((cooldown.strikes, cooldown.until), (2, second(12)));
}

#[test]
fn a_limit_of_one_model_leaves_the_others_open() {
    let (acme, key) = (ProviderId::parse("acme").unwrap(), CredentialId::from("key_1"));
    let of_model = |name| {
        let model = ModelName::parse(name).unwrap();
        CooldownScope::CredentialModel(acme.clone(), key.clone(), model)
    };
    let mut state = CooldownState::default();
    let length = CooldownDuration::Fixed(seconds(60));
    state.impose(START, of_model("m"), length, (FailureClass::RateLimit, Some(429)), 0.0);
    assert!(state.enter_scope(START, &of_model("m")).is_err());
    assert!(state.enter_scope(START, &of_model("other")).unwrap().is_none());
    let whole = CooldownScope::Credential(acme.clone(), key.clone());
    assert!(state.enter_scope(START, &whole).unwrap().is_none());
}

#[test]
fn an_answer_after_a_limit_forgets_it_with_its_strikes() {
    let mut state = CooldownState::default();
    let limit = CooldownDuration::Doubling { base: seconds(1), cap: seconds(1800) };
    state.impose(START, scope(), limit, (FailureClass::RateLimit, Some(429)), 0.0);
    state.expire(second(1));
    assert!(state.remembers_scope(&scope()) && !state.is_empty());
    state.succeeded(second(2), &scope());
    assert!(!state.remembers_scope(&scope()) && state.is_empty());
    assert!(state.enter_scope(second(2), &scope()).unwrap().is_none());
}
