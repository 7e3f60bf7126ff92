//! What the core does after limits, and after what one key says and another does not.

use super::{
    steps::{DENIED, planning, resuming_among},
    *,
};

// One key is limited, and another has found that the model is not there.
#[test]
fn a_model_that_is_not_there_is_told_whatever_was_said_of_it_before() {
    let key = |n: usize| Some(pool::key(&pool::id("a"), n).id);
    let with_key = |class, hint, n| {
        let Event::Failed { slot, failure, .. } = failed(0, class, hint) else { unreachable!() };
        Event::Failed { slot, failure, facts: Facts { credential: key(n), ..Facts::default() } }
    };
    let mut retry = begun(&[("a", 2)], Patience::default());
    let limited = with_key(FailureClass::RateLimit, Some(SECOND), 0);
    let other = fails(&mut retry, Duration::ZERO, limited);
    assert!(matches!(other, Action::Ask { how: How::OtherCredential, .. }), "{other:?}");
    retry.next(Duration::ZERO, Event::Started { slot: 0, patience: Patience::default() });
    let missing = with_key(FailureClass::ModelMissing, None, 1);
    let next = fails(&mut retry, Duration::ZERO, missing);
    let end = nobody_back(&mut retry, Duration::ZERO, next);
    let Action::End(End::Failed(told)) = end else { panic!("{end:?}") };
    assert_eq!(told.class, FailureClass::ModelMissing);
}

/// A core that was refused for a limit, and has looked who could be asked.
fn limited(is_open: bool, soonest: Option<Duration>) -> (Retry, Action) {
    let mut retry = begun(&[("a", 2)], Patience::default());
    fails(&mut retry, Duration::ZERO, failed(0, FailureClass::RateLimit, None));
    let soonest = soonest.map(|until| (until, FailureClass::RateLimit));
    let next = retry.next(Duration::ZERO, Event::Looked { is_open, soonest });
    (retry, next)
}

#[test]
fn who_is_open_again_after_a_limit_is_asked_at_once_if_the_budget_allows() {
    let (mut retry, budget) = limited(true, None);
    assert!(matches!(budget, Action::TakeBudget { repeats_at: None }), "{budget:?}");
    let plan = retry.next(Duration::ZERO, GRANTED);
    assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");

    let (mut retry, _) = limited(true, None);
    let mut next = retry.next(Duration::ZERO, DENIED);
    while let Action::Look { .. } = next {
        next = retry.next(Duration::ZERO, Event::Looked { is_open: false, soonest: None });
    }
    assert!(matches!(next, Action::End(End::Failed(_))), "{next:?}");
}

// Somebody else is faster each time.
#[test]
fn who_is_open_at_once_is_looked_for_twice_at_most_before_a_pause() {
    let (mut retry, mut next) = limited(true, None);
    assert!(matches!(next, Action::TakeBudget { .. }), "{next:?}");
    next = retry.next(Duration::ZERO, GRANTED);
    for _ in 0..2 {
        assert!(matches!(next, Action::Plan { stage: 0, .. }), "{next:?}");
        let candidates = pool::Pool::of(&[("a", 2)]).plan("m").candidates;
        let asked = retry.next(Duration::ZERO, planning(candidates));
        assert!(matches!(asked, Action::Ask { slot: 0, .. }), "{asked:?}");
        let why = Unavailable::Cooling(60 * SECOND, FailureClass::RateLimit);
        next = retry.next(Duration::ZERO, Event::Unavailable { slot: 0, why });
        if let Action::Look { .. } = next {
            next = retry.next(Duration::ZERO, Event::Looked { is_open: true, soonest: None });
        }
    }
    while let Action::Look { .. } = next {
        next = retry.next(Duration::ZERO, Event::Looked { is_open: true, soonest: None });
    }
    assert!(matches!(next, Action::Wait { for_others: true, .. }), "{next:?}");
}

// Three seconds, drawn out by a tenth.
#[test]
fn a_limit_is_worth_waiting_for_up_to_three_seconds_and_a_tenth_of_them() {
    let (_, waits) = limited(false, Some(Duration::from_millis(3_300)));
    assert!(matches!(waits, Action::Wait { for_others: true, .. }), "{waits:?}");
    let (_, looks) = limited(false, Some(Duration::from_millis(3_301)));
    assert!(matches!(looks, Action::Look { .. }), "{looks:?}");
}

/// Fails the attempt under way with a key of `a`.
fn fails_with(
    retry: &mut Retry,
    now: Duration,
    class: FailureClass,
    hint: Option<Duration>,
    key: usize,
) -> Action {
    let Event::Failed { slot, failure, .. } = failed(0, class, hint) else { unreachable!() };
    let credential = Some(pool::key(&pool::id("a"), key).id);
    let facts = Facts { credential, ..Facts::default() };
    fails(retry, now, Event::Failed { slot, failure, facts })
}

fn started(retry: &mut Retry, now: Duration) {
    retry.next(now, Event::Started { slot: 0, patience: Patience::default() });
}

/// Waits as long as is said, and lets the same candidate be planned and asked again.
fn waits_and_asks(retry: &mut Retry, mut next: Action, until: Duration) -> Action {
    while let Action::Look { .. } = next {
        let soonest = Some((until, FailureClass::RateLimit));
        next = retry.next(Duration::ZERO, Event::Looked { is_open: false, soonest });
    }
    assert!(matches!(next, Action::Wait { until: at, .. } if at == until), "{next:?}");
    let plan = retry.next(until, Event::Timer);
    assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");
    let candidates = pool::Pool::of(&[("a", 2)]).plan("m").candidates;
    retry.next(until, planning(candidates))
}

// A limit of one key is waited for whatever another key has failed with; but a model that was silent is
// not asked again.
#[test]
fn what_one_key_says_of_its_end_outlasts_what_another_fails_with() {
    for (class, is_asked) in [
        (FailureClass::Auth, true),
        (FailureClass::Payment, true),
        (FailureClass::Connect, true),
        (FailureClass::Server, true),
        (FailureClass::Overload, true),
        (FailureClass::Silent, false),
        (FailureClass::ModelMissing, false),
    ] {
        let mut retry = begun(&[("a", 2)], Patience::default());
        let limit = FailureClass::RateLimit;
        fails_with(&mut retry, Duration::ZERO, limit, Some(SECOND), 0);
        started(&mut retry, Duration::ZERO);
        let mut next = fails_with(&mut retry, Duration::ZERO, class, None, 1);
        if let Action::TakeBudget { repeats_at: Some(0) } = next {
            next = retry.next(Duration::ZERO, DENIED);
        }
        if let Action::Ask { how: How::OtherCredential, .. } = next {
            let why = Unavailable::NoCredential;
            next = retry.next(Duration::ZERO, Event::Unavailable { slot: 0, why });
        }
        if is_asked {
            let asked = waits_and_asks(&mut retry, next, SECOND);
            assert!(matches!(asked, Action::Ask { how: How::Fresh, .. }), "{class:?}: {asked:?}");
        } else {
            let next = nobody_back(&mut retry, Duration::ZERO, next);
            let a = &pool::Pool::of(&[("a", 2)]).plan("m").candidates[0];
            assert!(retry.excludes(a, 0), "{class:?}: {next:?}");
        }
    }
}

// After a wait it is asked anew: what it fails with then rules it out as ever, and is what is told.
#[test]
fn what_is_asked_anew_says_anew_whether_it_passes() {
    for class in [FailureClass::Auth, FailureClass::Silent, FailureClass::ContextTooLong] {
        let mut retry = begun(&[("a", 2)], Patience::default());
        let next =
            fails(&mut retry, Duration::ZERO, failed(0, FailureClass::Overload, Some(SECOND)));
        let asked = waits_and_asks(&mut retry, next, SECOND);
        assert!(matches!(asked, Action::Ask { how: How::Fresh, .. }), "{class:?}: {asked:?}");
        started(&mut retry, SECOND);
        let next = fails(&mut retry, SECOND, failed(0, class, None));
        let a = &pool::Pool::of(&[("a", 2)]).plan("m").candidates[0];
        assert!(retry.excludes(a, 0), "{class:?}");
        let end = nobody_back(&mut retry, SECOND, next);
        let Action::End(End::Failed(told)) = end else { panic!("{end:?}") };
        assert_eq!(told.class, class);
    }
}

// A key that has refused a model three times is not tried for it again; one that refuses less is.
#[test]
fn a_key_is_worn_after_two_waits() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    let (a, m) = (pool::id("a"), pool::model("m"));
    let key = |n| pool::key(&pool::id("a"), n).id;
    for times in 1..=3 {
        let hint = Some(SECOND);
        fails_with(&mut retry, Duration::ZERO, FailureClass::RateLimit, hint, 0);
        assert_eq!(retry.has_tried(&a, &m, &key(0)), times == 3, "{times}");
        started(&mut retry, Duration::ZERO);
    }
    assert!(!retry.has_tried(&a, &m, &key(1)) && !retry.has_tried(&a, &pool::model("n"), &key(0)));
    // What is paid for again at a time is of the model too; what is not, of the key.
    let hint = Some(SECOND);
    fails_with(&mut retry, Duration::ZERO, FailureClass::Payment, hint, 1);
    assert!(!retry.has_tried(&a, &pool::model("n"), &key(1)));
    started(&mut retry, Duration::ZERO);
    fails_with(&mut retry, Duration::ZERO, FailureClass::Payment, None, 1);
    assert!(retry.has_tried(&a, &pool::model("n"), &key(1)));
}

#[test]
fn a_resume_goes_on_past_a_fault_of_the_request_and_past_no_refusal() {
    for (class, goes_on) in [(FailureClass::ClientFault, true), (FailureClass::Refusal, false)] {
        let (mut retry, _) = resuming_among(&[("a", 2), ("b", 1)], Patience::default());
        let next = fails(&mut retry, SECOND, failed(0, class, None));
        let is_over = matches!(&next, Action::End(End::Failed(failure)) if failure.class == class);
        assert_eq!(is_over, !goes_on, "{next:?}");
    }
}

#[test]
fn of_the_failures_of_several_keys_the_one_that_passes_soonest_is_told() {
    for (first, second, told) in [(5, 1, 1), (1, 5, 1)] {
        let mut retry = begun(&[("a", 2)], Patience::default());
        let limit = FailureClass::RateLimit;
        fails_with(&mut retry, Duration::ZERO, limit, Some(first * SECOND), 0);
        started(&mut retry, Duration::ZERO);
        fails_with(&mut retry, Duration::ZERO, limit, Some(second * SECOND), 1);
        assert_eq!(retry.verdict().unwrap().retry_after, Some(told * SECOND));
    }
    // Of equal ones the last.
    let mut retry = begun(&[("a", 2)], Patience::default());
    fails_with(&mut retry, Duration::ZERO, FailureClass::Auth, None, 0);
    started(&mut retry, Duration::ZERO);
    fails_with(&mut retry, Duration::ZERO, FailureClass::Payment, None, 1);
    assert_eq!(retry.verdict().unwrap().class, FailureClass::Payment);
}

#[test]
fn asking_one_model_anew_says_nothing_of_another() {
    let candidates = pool::Pool::of(&[("a", 2), ("b", 1)]).plan("m").candidates;
    let (a, b) = (&candidates[0], &candidates[1]);
    let mut ruled_out = RuledOut::default();
    ruled_out.passes(a);
    ruled_out.asked(b);
    ruled_out.note(a, &Failure::new(FailureClass::Connect, ""));
    assert!(!ruled_out.has(&a.provider.id, &a.model));
    ruled_out.asked(a);
    assert!(ruled_out.has(&a.provider.id, &a.model));
}
