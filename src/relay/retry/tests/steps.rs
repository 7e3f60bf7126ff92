//! Steps of the core at their bounds: where one more or less would make a difference.

use super::*;

/// A core that is told of plans that nobody of is in.
fn planned(stages: usize, plans: &[Planned]) -> (Retry, Action) {
    let mut retry = Retry::new(LIMITS, vec![StageRules { may_hedge: true }; stages]);
    let mut next = retry.next(Duration::ZERO, Event::Begin);
    for planned in plans {
        assert!(matches!(next, Action::Plan { .. }), "{next:?}");
        next = retry.next(Duration::ZERO, Event::Planned(planned.clone()));
    }
    (retry, next)
}

fn cooling(seconds: u32, cause: FailureClass) -> Planned {
    Planned { soonest: Some((seconds * SECOND, cause)), ..Planned::default() }
}

#[test]
fn a_limit_that_keeps_from_a_candidate_is_looked_at_before_another_model_is() {
    let (_, next) = planned(2, &[cooling(1, FailureClass::RateLimit)]);
    assert!(matches!(next, Action::Look { from: 0, to: 1 }), "{next:?}");
    let (_, next) = planned(2, &[cooling(1, FailureClass::Server)]);
    assert!(matches!(next, Action::Plan { stage: 1, .. }), "{next:?}");
}

#[test]
fn the_first_of_all_who_come_back_is_waited_for() {
    for order in [[5, 9], [9, 5]] {
        let plans = order.map(|seconds| cooling(seconds, FailureClass::Server));
        let (retry, next) = planned(2, &plans);
        assert!(matches!(next, Action::Wait { until, .. } if until == 5 * SECOND), "{next:?}");
        assert_eq!(retry.soonest(), Some((5 * SECOND, FailureClass::Server)));
    }
}

// It says why nobody could be asked.
#[test]
fn of_two_who_come_back_at_once_the_first_is_told_of() {
    use FailureClass::{RateLimit, Server};
    for causes in [[RateLimit, Server], [Server, RateLimit]] {
        let mut retry = Retry::new(LIMITS, vec![StageRules { may_hedge: true }]);
        for cause in causes {
            retry.note_cooling(5 * SECOND, cause);
        }
        assert_eq!(retry.soonest(), Some((5 * SECOND, causes[0])));
    }
}

#[test]
fn who_has_waited_long_after_limits_does_so_twice_at_most() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    let mut now = Duration::ZERO;
    let limited = || failed(0, FailureClass::RateLimit, Some(5 * SECOND));
    for _ in 0..2 {
        let mut next = fails(&mut retry, now, limited());
        while let Action::Look { .. } = next {
            let soonest = Some((now + 5 * SECOND, FailureClass::RateLimit));
            next = retry.next(now, Event::Looked { is_open: false, soonest });
        }
        assert!(matches!(next, Action::Wait { for_others: true, .. }), "{next:?}");
        now += 5 * SECOND;
        let plan = retry.next(now, Event::Timer);
        assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");
        let candidates = pool::Pool::of(&[("a", 2)]).plan("m").candidates;
        let planned = Planned { candidates, ..Planned::default() };
        retry.next(now, Event::Planned(planned));
        retry.next(now, Event::Started { slot: 0, patience: Patience::default() });
    }
    let end = fails(&mut retry, now, limited());
    let end = nobody_back(&mut retry, now, end);
    assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");
}

/// What is done after an overload that lasts five seconds, when it is looked who can be asked.
fn after_an_overload(at: Duration, is_open: bool, soonest: Option<Duration>) -> (Retry, Action) {
    let mut retry = begun(&[("a", 2)], Patience::default());
    let next = fails(&mut retry, SECOND, failed(0, FailureClass::Overload, Some(5 * SECOND)));
    assert!(matches!(next, Action::Look { .. }), "{next:?}");
    let soonest = soonest.map(|until| (until, FailureClass::Overload));
    let next = retry.next(at, Event::Looked { is_open, soonest });
    (retry, next)
}

#[test]
fn who_says_when_is_waited_for_until_its_cooldown_ends() {
    let (_, next) = after_an_overload(SECOND, false, Some(7 * SECOND));
    let expected = 7 * SECOND;
    assert!(
        matches!(next, Action::Wait { until, for_others: true } if until == expected),
        "{next:?}"
    );
    let (_, end) = after_an_overload(SECOND, false, None);
    assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");
}

// Its cooldown may have ended before it was looked at: nobody is refused for that.
#[test]
fn whose_time_has_come_is_asked_in_a_moment() {
    let (mut retry, next) = after_an_overload(6 * SECOND, true, None);
    let at = 6 * SECOND + SECOND / 4;
    assert!(matches!(next, Action::Wait { until, for_others: true } if until == at), "{next:?}");
    let next = retry.next(at, Event::Timer);
    assert!(matches!(next, Action::Plan { stage: 0, .. }), "{next:?}");
}

#[test]
fn waits_before_another_model_are_bounded_together() {
    let limited = || cooling(3, FailureClass::RateLimit);
    let (mut retry, mut next) = planned(2, &[limited()]);
    for now in [Duration::ZERO, 3 * SECOND] {
        let soonest = Some((now + 3 * SECOND, FailureClass::RateLimit));
        let waits = retry.next(now, Event::Looked { is_open: false, soonest });
        assert!(matches!(waits, Action::Wait { for_others: true, .. }), "{next:?} {waits:?}");
        let plan = retry.next(now + 3 * SECOND, Event::Timer);
        assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");
        next = retry.next(now + 3 * SECOND, Event::Planned(limited()));
    }
    let soonest = Some((9 * SECOND, FailureClass::RateLimit));
    let other = retry.next(6 * SECOND, Event::Looked { is_open: false, soonest });
    assert!(matches!(other, Action::Plan { stage: 1, .. }), "{other:?}");
}

#[test]
fn a_repeat_waits_for_one_to_four_pauses_and_there_is_one() {
    for (random, pauses) in [(0.0, 2), (0.5, 5), (1.0, 8)] {
        let mut retry = begun(&[("a", 2)], Patience::default());
        fails(&mut retry, SECOND, failed(0, FailureClass::Server, None));
        let waits = retry.next(SECOND, Event::Budget { is_granted: true, random });
        let at = SECOND + pauses * SECOND / 10;
        assert!(matches!(waits, Action::Wait { until, .. } if until == at), "{waits:?}");
        let again = retry.next(at, Event::Timer);
        let expected = (How::Again, AttemptKind::Repeat);
        assert!(matches!(again, Action::Ask { slot: 0, how, kind } if (how, kind) == expected));
        retry.next(at, Event::Started { slot: 0, patience: Patience::default() });
        let end = fails(&mut retry, at, failed(0, FailureClass::Server, None));
        assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");
    }
}

#[test]
fn what_was_noted_of_a_plan_goes_with_it() {
    let (mut retry, _) = planned(1, &[cooling(5, FailureClass::Server)]);
    retry.next(5 * SECOND, Event::Timer);
    let later = Event::Planned(cooling(9, FailureClass::Server));
    let next = retry.next(5 * SECOND, later);
    assert!(matches!(next, Action::Wait { until, .. } if until == 9 * SECOND), "{next:?}");

    let (mut retry, _) = planned(1, &[Planned { has_busy: true, ..Planned::default() }]);
    retry.next(SECOND, Event::Timer);
    let next = retry.next(SECOND, Event::Planned(Planned::default()));
    assert!(matches!(next, Action::End(End::NobodyAsked)), "{next:?}");
    assert!(!retry.has_busy());
}

#[test]
fn who_has_none_of_its_formats_is_not_asked_again() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    let failure = Arc::new(no_such_format(FailureClass::ClientFault));
    retry.next(SECOND, Event::Failed { slot: 0, failure, facts: facts(GUESSED, false) });
    retry.next(SECOND, Event::Done);
    retry.next(SECOND, Event::Unavailable { slot: 0, why: Unavailable::NoFormat });
    let end = retry.next(SECOND, Event::Done);
    assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");
    assert!(retry.rules_out(&pool::id("a"), &pool::model("m")));
    assert!(!retry.rules_out(&pool::id("a"), &pool::model("n")));
}

/// A core that asks `b` to go on with the stream of `a`.
fn resuming() -> Retry {
    resuming_among(&[("a", 2), ("b", 1)], Patience::default()).0
}

/// The same, and what it waits for then.
pub(super) fn resuming_among(providers: &[(&str, i32)], patience: Patience) -> (Retry, Action) {
    let mut retry = begun(providers, Patience::default());
    retry.next(SECOND, Event::Answered { slot: 0 });
    let failure = Arc::new(Failure::new(FailureClass::Cut, ""));
    let plan = retry.next(SECOND, Event::Broken { failure, is_kept: true });
    assert!(matches!(plan, Action::Plan { stage: 0, takes_turn: false }), "{plan:?}");
    let budget = retry.next(SECOND, of(providers));
    assert!(matches!(budget, Action::TakeBudget { repeats_at: None }), "{budget:?}");
    let asked = retry.next(SECOND, GRANTED);
    assert!(matches!(asked, Action::Ask { kind: AttemptKind::Resume, .. }), "{asked:?}");
    assert_eq!(retry.candidate(0).provider.id.as_str(), "b");
    let waits = retry.next(SECOND, Event::Started { slot: 0, patience });
    (retry, waits)
}

#[test]
fn who_goes_on_with_a_stream_is_waited_for_as_long_as_the_request_lasts() {
    let patience = Patience { soft: Some(5 * SECOND), hard: Some(8 * SECOND) };
    let (mut retry, waits) = resuming_among(&[("a", 3), ("b", 2), ("c", 1)], patience);
    assert!(is_until(&waits, 60), "{waits:?}");
    for later in [6, 9] {
        let waits = retry.next(later * SECOND, Event::Timer);
        assert!(is_until(&waits, 60), "{waits:?}");
    }
}

#[test]
fn who_goes_on_with_a_stream_is_asked_once() {
    let mut retry = resuming();
    let next = fails(&mut retry, SECOND, failed(0, FailureClass::Server, None));
    assert!(matches!(next, Action::Plan { takes_turn: false, .. }), "{next:?}");
    let planned = Event::Planned(Planned::default());
    // None is left but the one it broke off at.
    let budget = retry.next(SECOND, planned);
    assert!(matches!(budget, Action::TakeBudget { repeats_at: None }), "{budget:?}");
    retry.next(SECOND, GRANTED);
    assert_eq!(retry.candidate(0).provider.id.as_str(), "a");
}

#[test]
fn a_new_token_is_not_told_as_another_resume() {
    let mut retry = resuming();
    let failure = Failure { status: Some(401), ..Failure::new(FailureClass::Auth, "") };
    let facts = facts(FormatFacts::default(), true);
    retry.next(SECOND, Event::Failed { slot: 0, failure: Arc::new(failure), facts });
    let asked = retry.next(SECOND, Event::Done);
    assert!(matches!(asked, Action::Ask { kind: AttemptKind::Repeat, .. }), "{asked:?}");
}

#[test]
fn the_hundredth_attempt_is_not_repeated() {
    let mut retry = hundredth();
    let next = fails(&mut retry, SECOND, failed(0, FailureClass::Server, None));
    assert!(!matches!(next, Action::TakeBudget { .. } | Action::Ask { .. }), "{next:?}");
}

#[test]
fn after_the_hundredth_attempt_no_stream_is_gone_on_with() {
    let mut retry = hundredth();
    retry.next(SECOND, Event::Answered { slot: 0 });
    let failure = Arc::new(Failure::new(FailureClass::Cut, ""));
    let end = retry.next(SECOND, Event::Broken { failure, is_kept: true });
    assert!(matches!(end, Action::End(End::NotResumed)), "{end:?}");
}

#[test]
fn who_met_a_limit_within_a_stream_does_not_go_on_with_it() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    retry.next(SECOND, Event::Answered { slot: 0 });
    let failure = Arc::new(Failure::new(FailureClass::RateLimit, ""));
    retry.next(SECOND, Event::Broken { failure, is_kept: true });
    let end = retry.next(SECOND, of(&[("a", 2)]));
    assert!(matches!(end, Action::End(End::NotResumed)), "{end:?}");
}

#[test]
fn who_is_open_after_a_limit_is_asked_in_a_quarter_of_a_second() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    let mut next = fails(&mut retry, SECOND, failed(0, FailureClass::RateLimit, None));
    // It is not to be waited for while there may be others, and then it is open.
    let long = Some((20 * SECOND, FailureClass::RateLimit));
    assert!(matches!(next, Action::Look { .. }), "{next:?}");
    next = retry.next(SECOND, Event::Looked { is_open: false, soonest: long });
    assert!(matches!(next, Action::Look { .. }), "{next:?}");
    next = retry.next(SECOND, Event::Looked { is_open: true, soonest: long });
    let at = SECOND + SECOND / 4;
    assert!(matches!(next, Action::Wait { until, .. } if until == at), "{next:?}");
}

#[test]
fn a_limit_that_a_rule_is_about_is_not_waited_for() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    let rule = Some(RuleAction::Continue);
    let failure = Arc::new(Failure { rule, ..Failure::new(FailureClass::RateLimit, "") });
    let limited = Event::Failed { slot: 0, failure, facts: Facts::default() };
    let end = fails(&mut retry, SECOND, limited);
    assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");
}

#[test]
fn of_failures_that_pass_as_soon_the_last_is_told() {
    let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
    fails(&mut retry, SECOND, failed(0, FailureClass::Stalled, None));
    retry.next(SECOND, Event::Started { slot: 0, patience: Patience::default() });
    let end = fails(&mut retry, SECOND, failed(0, FailureClass::Cut, None));
    let Action::End(End::Failed(told)) = end else { panic!("{end:?}") };
    assert_eq!(told.class, FailureClass::Cut);
}

#[test]
fn a_limited_key_may_be_asked_again_and_one_that_a_rule_is_about_may_not() {
    for (rule, is_tried) in [(None, false), (Some(RuleAction::Continue), true)] {
        let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
        let failure = Failure { rule, ..Failure::new(FailureClass::RateLimit, "") };
        let facts = facts(FormatFacts::default(), false);
        retry.next(SECOND, Event::Failed { slot: 0, failure: Arc::new(failure), facts });
        retry.next(SECOND, Event::Done);
        let here: Vec<&str> = retry.tried(0).map(CredentialId::as_str).collect();
        assert!(here.contains(&"key"), "not now: {here:?}");
        let why = Unavailable::NoCredential;
        let asked = retry.next(SECOND, Event::Unavailable { slot: 0, why });
        assert!(matches!(asked, Action::Ask { slot: 0, how: How::Fresh, .. }), "{asked:?}");
        assert_eq!(retry.tried(0).any(|it| it.as_str() == "key"), is_tried);
    }
}

/// A core with these stages, whose first attempt is under way; the plan of the first stage has these.
fn staged(stages: &[bool], first: &[(&str, i32)], patience: Patience) -> (Retry, Action) {
    let stages = stages.iter().map(|may_hedge| StageRules { may_hedge: *may_hedge }).collect();
    let mut retry = Retry::new(LIMITS, stages);
    retry.next(Duration::ZERO, Event::Begin);
    retry.next(Duration::ZERO, of(first));
    let waits = retry.next(Duration::ZERO, Event::Started { slot: 0, patience });
    (retry, waits)
}

fn of(providers: &[(&str, i32)]) -> Event {
    let candidates = pool::Pool::of(providers).plan("m").candidates;
    Event::Planned(Planned { candidates, ..Planned::default() })
}

fn is_until(action: &Action, seconds: u32) -> bool {
    matches!(action, Action::Wait { until, for_others: false } if *until == seconds * SECOND)
}

const SLOW: Patience = Patience { soft: Some(Duration::from_secs(5)), hard: None };
const OVER: Patience = Patience { soft: None, hard: Some(Duration::from_secs(5)) };

#[test]
fn nobody_wakes_up_for_what_cannot_be_done() {
    for patience in [SLOW, OVER] {
        let (_, waits) = staged(&[true], &[("a", 2)], patience);
        assert!(is_until(&waits, 60), "there is nobody else: {waits:?}");
        let (_, waits) = staged(&[true], &[("a", 2), ("b", 1)], patience);
        assert!(is_until(&waits, 5), "{waits:?}");
        let (_, waits) = staged(&[true, true], &[("a", 2)], patience);
        assert!(is_until(&waits, 5), "there may be somebody in the next stage: {waits:?}");
    }
    // Two are under way: there is no third.
    let (mut retry, _) = staged(&[true], &[("a", 3), ("b", 2), ("c", 1)], SLOW);
    retry.next(5 * SECOND, Event::Timer);
    retry.next(5 * SECOND, GRANTED);
    let waits = retry.next(5 * SECOND, Event::Started { slot: 1, patience: SLOW });
    assert!(is_until(&waits, 60), "{waits:?}");
}

#[test]
fn a_route_that_does_not_hedge_waits_for_who_is_slow() {
    let (mut retry, _) = staged(&[false], &[("a", 2), ("b", 1)], SLOW);
    let waits = retry.next(5 * SECOND, Event::Timer);
    assert!(is_until(&waits, 60), "{waits:?}");
}

#[test]
fn who_is_under_way_is_not_asked_beside_itself() {
    let (mut retry, _) = staged(&[true, true], &[("a", 2)], SLOW);
    let plan = retry.next(5 * SECOND, Event::Timer);
    assert!(matches!(plan, Action::Plan { stage: 1, .. }), "{plan:?}");
    let look = retry.next(5 * SECOND, of(&[("a", 2)]));
    let waits = nobody_back(&mut retry, 5 * SECOND, look);
    assert!(is_until(&waits, 60), "{waits:?}");
}

// Who was away at the soft limit is asked when it is back.
#[test]
fn who_comes_back_is_asked_beside_who_is_slow() {
    let mut retry = looking_beside(false);
    let soonest = Some((7 * SECOND, FailureClass::RateLimit));
    let waits = retry.next(5 * SECOND, Event::Looked { is_open: false, soonest });
    assert!(is_until(&waits, 7), "{waits:?}");
    let look = retry.next(7 * SECOND, Event::Timer);
    assert!(matches!(look, Action::Look { from: 0, to: 1 }), "{look:?}");
    let plan = retry.next(7 * SECOND, Event::Looked { is_open: true, soonest: None });
    assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");
    let budget = retry.next(7 * SECOND, of(&[("a", 2), ("b", 1)]));
    assert!(matches!(budget, Action::TakeBudget { repeats_at: None }), "{budget:?}");
    let hedge = retry.next(7 * SECOND, GRANTED);
    assert!(matches!(hedge, Action::Ask { kind: AttemptKind::Hedge, .. }), "{hedge:?}");
}

/// A request that looks who is back, beside one who is slow from five seconds on.
fn looking_beside(has_busy: bool) -> Retry {
    let mut retry = Retry::new(LIMITS, vec![StageRules { may_hedge: true }]);
    retry.next(Duration::ZERO, Event::Begin);
    let candidates = pool::Pool::of(&[("a", 2)]).plan("m").candidates;
    let soonest = (!has_busy).then_some((7 * SECOND, FailureClass::RateLimit));
    retry.next(Duration::ZERO, Event::Planned(Planned { candidates, soonest, has_busy }));
    let waits = retry.next(Duration::ZERO, Event::Started { slot: 0, patience: SLOW });
    assert!(is_until(&waits, 5), "somebody is away: {waits:?}");
    let look = retry.next(5 * SECOND, Event::Timer);
    assert!(matches!(look, Action::Look { from: 0, to: 1 }), "{look:?}");
    retry
}

#[test]
fn who_is_busy_or_just_back_is_looked_for_again_in_a_quarter_of_a_second() {
    let just_back = Some((5 * SECOND, FailureClass::RateLimit));
    for (has_busy, soonest) in [(true, None), (false, just_back), (true, just_back)] {
        let mut retry = looking_beside(has_busy);
        let waits = retry.next(5 * SECOND, Event::Looked { is_open: false, soonest });
        let at = 5 * SECOND + SECOND / 4;
        assert!(matches!(waits, Action::Wait { until, .. } if until == at), "{waits:?}");
    }
}

#[test]
fn nobody_wakes_up_for_who_comes_back_and_cannot_be_asked() {
    let soonest = Some((7 * SECOND, FailureClass::RateLimit));
    let mut retry = looking_beside(false);
    retry.next(5 * SECOND, Event::Looked { is_open: true, soonest });
    retry.next(5 * SECOND, of(&[("a", 2), ("b", 1)]));
    retry.next(5 * SECOND, GRANTED);
    let waits = retry.next(5 * SECOND, Event::Started { slot: 1, patience: SLOW });
    assert!(is_until(&waits, 60), "two are under way: {waits:?}");

    let mut retry = looking_beside(false);
    retry.next(5 * SECOND, Event::Looked { is_open: false, soonest });
    let waits = retry.next(7 * SECOND, Event::Draining);
    assert!(is_until(&waits, 60), "it is about to stop: {waits:?}");
}

#[test]
fn who_is_back_is_asked_at_once_after_an_attempt_and_else_in_a_moment() {
    let back_at = |seconds| Some((seconds * SECOND, FailureClass::Server));
    let mut retry = Retry::new(LIMITS, vec![StageRules { may_hedge: true }]);
    retry.next(Duration::ZERO, Event::Begin);
    let candidates = pool::Pool::of(&[("a", 2)]).plan("m").candidates;
    let planned = Planned { candidates, soonest: back_at(5), ..Planned::default() };
    retry.next(Duration::ZERO, Event::Planned(planned));
    retry.next(Duration::ZERO, Event::Started { slot: 0, patience: Patience::default() });
    let look = fails(&mut retry, 6 * SECOND, failed(0, FailureClass::Auth, None));
    assert!(matches!(look, Action::Look { from: 0, to: 1 }), "{look:?}");
    let plan = retry.next(6 * SECOND, Event::Looked { is_open: true, soonest: None });
    assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");
    let planned = Planned { soonest: back_at(6), ..Planned::default() };
    let look = retry.next(6 * SECOND, Event::Planned(planned));
    assert!(matches!(look, Action::Look { from: 0, to: 1 }), "{look:?}");
    let waits = retry.next(6 * SECOND, Event::Looked { is_open: true, soonest: None });
    let at = 6 * SECOND + SECOND / 4;
    assert!(matches!(waits, Action::Wait { until, .. } if until == at), "{waits:?}");
}

#[test]
fn who_was_given_up_is_told_when_nobody_else_can_be_asked() {
    let (mut retry, _) = staged(&[true], &[("a", 2), ("b", 1)], OVER);
    retry.next(5 * SECOND, Event::Timer);
    retry.next(5 * SECOND, Event::Done);
    let why = Unavailable::NoCredential;
    let end = retry.next(5 * SECOND, Event::Unavailable { slot: 0, why });
    let Action::End(End::Failed(told)) = end else { panic!("{end:?}") };
    assert_eq!(told.class, FailureClass::Silent);
}

#[test]
fn a_stream_that_was_refused_is_not_gone_on_with() {
    for class in [FailureClass::Refusal, FailureClass::ClientFault, FailureClass::ContextTooLong] {
        let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
        retry.next(SECOND, Event::Answered { slot: 0 });
        let failure = Arc::new(Failure::new(class, ""));
        let end = retry.next(SECOND, Event::Broken { failure, is_kept: true });
        assert!(matches!(end, Action::End(End::NotResumed)), "{end:?}");
    }
}

#[test]
fn who_is_asked_is_of_the_stage_it_was_planned_for() {
    let (mut retry, _) = staged(&[true, true], &[("a", 2)], Patience::default());
    assert_eq!(retry.stage(0), 0);
    let plan = fails(&mut retry, SECOND, failed(0, FailureClass::Cut, None));
    assert!(matches!(plan, Action::Plan { stage: 1, .. }), "{plan:?}");
    retry.next(SECOND, of(&[("b", 1)]));
    assert_eq!(retry.stage(0), 1);
}

/// Candidates at providers of these names, with windows of these sizes where they are known.
fn windows(providers: &[(&str, Option<u64>)]) -> Vec<Candidate> {
    let candidate = |(name, window): &(&str, Option<u64>)| {
        let mut candidate = pool::Pool::of(&[(name, 1)]).plan("m").candidates.remove(0);
        candidate.facts.context_tokens = *window;
        candidate
    };
    providers.iter().map(candidate).collect()
}

pub(super) fn planning(candidates: Vec<Candidate>) -> Event {
    Event::Planned(Planned { candidates, ..Planned::default() })
}

// Nor does anybody wake up for those who read no more than that, as far as is known; a fallback is there
// because somebody has named it.
#[test]
fn after_a_prompt_was_too_long_larger_windows_and_fallbacks_are_asked() {
    let mut retry = Retry::new(LIMITS, vec![StageRules { may_hedge: true }; 2]);
    retry.next(Duration::ZERO, Event::Begin);
    let all = windows(&[("a", None), ("b", Some(1_000)), ("c", None)]);
    retry.next(Duration::ZERO, planning(all.clone()));
    retry.next(Duration::ZERO, Event::Started { slot: 0, patience: SLOW });
    assert!(!retry.excludes(&all[2], 0));
    let asked = fails(&mut retry, SECOND, failed(0, FailureClass::ContextTooLong, None));
    assert!(matches!(asked, Action::Ask { slot: 0, .. }), "{asked:?}");
    assert_eq!(retry.candidate(0).provider.id.as_str(), "b");
    assert!(retry.excludes(&all[2], 0) && !retry.excludes(&all[2], 1));

    let mut last = Retry::new(LIMITS, vec![StageRules { may_hedge: true }]);
    last.next(Duration::ZERO, Event::Begin);
    last.next(Duration::ZERO, planning(all));
    last.next(Duration::ZERO, Event::Started { slot: 0, patience: SLOW });
    fails(&mut last, SECOND, failed(0, FailureClass::ContextTooLong, None));
    let waits = last.next(SECOND, Event::Started { slot: 0, patience: SLOW });
    assert!(is_until(&waits, 60), "{waits:?}");

    let plan = fails(&mut retry, SECOND, failed(0, FailureClass::ContextTooLong, None));
    assert!(matches!(plan, Action::Plan { stage: 1, .. }), "{plan:?}");
    retry.next(SECOND, planning(windows(&[("d", None), ("e", None)])));
    assert_eq!(retry.candidate(0).provider.id.as_str(), "d");
    let waits = retry.next(SECOND, Event::Started { slot: 0, patience: SLOW });
    assert!(is_until(&waits, 6), "{waits:?}");
}

#[test]
fn nobody_wakes_up_for_who_was_ruled_out() {
    let mut retry = Retry::new(LIMITS, vec![StageRules { may_hedge: true }]);
    retry.next(Duration::ZERO, Event::Begin);
    retry.next(Duration::ZERO, planning(windows(&[("a", None), ("b", None), ("a", None)])));
    retry.next(Duration::ZERO, Event::Started { slot: 0, patience: SLOW });
    fails(&mut retry, SECOND, failed(0, FailureClass::ModelMissing, None));
    let waits = retry.next(SECOND, Event::Started { slot: 0, patience: SLOW });
    assert!(is_until(&waits, 60), "{waits:?}");
}

#[test]
fn who_goes_on_with_a_stream_has_the_rest_of_the_time() {
    for patience in [SLOW, OVER] {
        let mut retry = resuming();
        let waits = retry.next(SECOND, Event::Started { slot: 0, patience });
        assert!(is_until(&waits, 60), "{waits:?}");
    }
}

pub(super) const DENIED: Event = Event::Budget { is_granted: false, random: 0.0 };

#[test]
fn without_budget_no_stream_is_gone_on_with() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    retry.next(SECOND, Event::Answered { slot: 0 });
    let failure = Arc::new(Failure::new(FailureClass::Cut, ""));
    retry.next(SECOND, Event::Broken { failure, is_kept: true });
    let budget = retry.next(SECOND, of(&[("b", 1)]));
    assert!(matches!(budget, Action::TakeBudget { .. }), "{budget:?}");
    let end = retry.next(SECOND, DENIED);
    assert!(matches!(end, Action::End(End::NotResumed)), "{end:?}");
}
