//! What the core does in the cases that its laws leave open: when it asks beside, gives up, waits, and what
//! it tells in the end. One step after the other.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{actors::router::pool, domain::turns::Turn};

const SECOND: Duration = Duration::from_secs(1);

/// A core whose first attempt is under way, at the first of some providers of one model.
fn begun(providers: &[(&str, i32)], patience: Patience) -> Retry {
    let pool = pool::Pool::of(providers);
    let course = pool.course("m");
    let limits = Limits { deadline: 60 * SECOND, max_wait: 30 * SECOND, pause: SECOND / 5 };
    let mut retry = Retry::new(limits, vec![StageRules { may_hedge: true }]);
    assert!(matches!(retry.next(Duration::ZERO, Event::Begin), Action::Plan { stage: 0, .. }));
    let candidates = pool.plan_at(pool::NOW, &course.stages[0], Turn::Look).candidates;
    let planned = Event::Planned(Planned { candidates, ..Planned::default() });
    let asked = retry.next(Duration::ZERO, planned);
    assert!(matches!(asked, Action::Ask { slot: 0, kind: AttemptKind::First, .. }), "{asked:?}");
    let waiting = retry.next(Duration::ZERO, Event::Started { slot: 0, patience });
    assert!(matches!(waiting, Action::Wait { .. }), "{waiting:?}");
    retry
}

fn failed(slot: Slot, class: FailureClass, hint: Option<Duration>) -> Event {
    let failure = Arc::new(Failure { retry_after: hint, ..Failure::new(class, "") });
    Event::Failed { slot, failure, credential: None, remedy: None }
}

const GRANTED: Event = Event::Budget { is_granted: true, random: 0.0 };

#[test]
fn another_is_asked_beside_a_slow_one_and_in_its_place_where_the_budget_is_empty() {
    for is_granted in [true, false] {
        let patience = Patience { soft: Some(5 * SECOND), hard: None };
        let mut retry = begun(&[("a", 2), ("b", 1)], patience);
        let due = retry.next(5 * SECOND, Event::Timer);
        assert!(matches!(due, Action::TakeBudget { repeats_at: None }), "{due:?}");
        let next = retry.next(5 * SECOND, Event::Budget { is_granted, random: 0.0 });
        if is_granted {
            assert!(
                matches!(next, Action::Ask { slot: 1, kind: AttemptKind::Hedge, .. }),
                "{next:?}"
            );
        } else {
            assert!(matches!(next, Action::Abandon { slot: 0, .. }), "{next:?}");
        }
    }
}

#[test]
fn an_attempt_whose_time_is_over_is_given_up_only_for_another() {
    let patience = Patience { soft: None, hard: Some(5 * SECOND) };
    let mut retry = begun(&[("a", 2), ("b", 1)], patience);
    let due = retry.next(5 * SECOND, Event::Timer);
    assert!(matches!(due, Action::Abandon { slot: 0, .. }), "{due:?}");
    let next = retry.next(5 * SECOND, Event::Done);
    assert!(matches!(next, Action::Ask { kind: AttemptKind::Failover, .. }), "{next:?}");

    let mut alone = begun(&[("a", 2)], patience);
    let next = alone.next(5 * SECOND, Event::Timer);
    assert!(matches!(next, Action::Wait { until, .. } if until == 60 * SECOND), "{next:?}");
}

#[test]
fn a_limit_is_waited_for_while_it_is_short_and_else_told() {
    for (hint, is_short) in [(SECOND, true), (4 * SECOND, false)] {
        let mut retry = begun(&[("a", 2)], Patience::default());
        let limited = failed(0, FailureClass::RateLimit, Some(hint));
        let look = retry.next(Duration::ZERO, limited);
        assert!(matches!(look, Action::Look { from: 0, to: 1 }), "{look:?}");
        let soonest = Some((hint, FailureClass::RateLimit));
        let next = retry.next(Duration::ZERO, Event::Looked { is_open: false, soonest });
        if is_short {
            assert!(matches!(next, Action::Wait { until, .. } if until == hint), "{next:?}");
            let again = retry.next(hint, Event::Timer);
            assert!(matches!(again, Action::TakeBudget { .. }), "{again:?}");
            let plan = retry.next(hint, GRANTED);
            assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");
        } else {
            // There is no other model: it looks whether anybody is worth a long wait.
            assert!(matches!(next, Action::Look { from: 0, to: 1 }), "{next:?}");
        }
    }
}

#[test]
fn of_several_failures_the_one_that_passes_soonest_is_told() {
    for order in [[0, 1], [1, 0]] {
        let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
        let failures = [(FailureClass::Auth, None), (FailureClass::Overload, Some(5 * SECOND))];
        let mut last = None;
        for n in order {
            let (class, hint) = failures[n];
            let next = retry.next(SECOND, failed(0, class, hint));
            if let Action::Ask { slot, .. } = next {
                retry.next(SECOND, Event::Started { slot, patience: Patience::default() });
            } else {
                last = Some(next);
            }
        }
        let told = |action: &Action| match action {
            Action::End(End::Failed(failure)) => Some(failure.class),
            _ => None,
        };
        assert_eq!(last.as_ref().and_then(told), Some(FailureClass::Overload), "{last:?}");
    }
}

#[test]
fn nothing_is_done_after_the_deadline() {
    let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
    let late = retry.next(60 * SECOND, failed(0, FailureClass::Cut, None));
    assert!(matches!(late, Action::End(End::Deadline)), "{late:?}");
    let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
    let held = retry.next(SECOND, failed(0, FailureClass::Server, None));
    assert!(matches!(held, Action::TakeBudget { repeats_at: Some(_) }), "{held:?}");
    // The pause would end after it.
    let next = retry.next(SECOND * 599 / 10, GRANTED);
    assert!(matches!(next, Action::Ask { kind: AttemptKind::Failover, .. }), "{next:?}");
}

#[test]
fn who_was_cooling_is_asked_when_it_is_back_and_nobody_else_is_left() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    retry.note_cooling(2 * SECOND, FailureClass::Server);
    let look = retry.next(3 * SECOND, failed(0, FailureClass::Cut, None));
    assert!(matches!(look, Action::Look { from: 0, to: 1 }), "{look:?}");
    let plan = retry.next(3 * SECOND, Event::Looked { is_open: true, soonest: None });
    assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");
    // Nobody was asked since: it is not looked for again.
    let end = retry.next(3 * SECOND, Event::Planned(Planned::default()));
    assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");

    // It is not back yet.
    let mut retry = begun(&[("a", 2)], Patience::default());
    retry.note_cooling(20 * SECOND, FailureClass::Server);
    let end = retry.next(3 * SECOND, failed(0, FailureClass::Cut, None));
    assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");
}

#[test]
fn a_stream_is_planned_again_once_others_were_asked_to_go_on_with_it() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    retry.next(SECOND, Event::Answered { slot: 0 });
    let pool = pool::Pool::of(&[("b", 2), ("c", 1)]);
    let planned = |n: usize| {
        let candidates = pool.plan("m").candidates[n..=n].to_vec();
        Event::Planned(Planned { candidates, ..Planned::default() })
    };
    let failure = Arc::new(Failure::new(FailureClass::Stalled, ""));
    let mut next = retry.next(SECOND, Event::Broken { failure, is_kept: true });
    for n in 0..2 {
        assert!(matches!(next, Action::Plan { stage: 0, takes_turn: false }), "{next:?}");
        let budget = retry.next(SECOND, planned(n));
        assert!(matches!(budget, Action::TakeBudget { .. }), "{budget:?}");
        let asked = retry.next(SECOND, GRANTED);
        assert!(matches!(asked, Action::Ask { kind: AttemptKind::Resume, .. }), "{asked:?}");
        retry.next(SECOND, Event::Started { slot: 0, patience: Patience::default() });
        next = retry.next(SECOND, failed(0, FailureClass::Cut, None));
    }
    retry.next(SECOND, Event::Planned(Planned::default()));
    let end = retry.next(SECOND, Event::Done);
    assert!(matches!(end, Action::End(End::NotResumed)), "{end:?}");
}
