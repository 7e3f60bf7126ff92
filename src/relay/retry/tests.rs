//! What the core does in the cases that its laws leave open: when it asks beside, gives up, waits, and what
//! it tells in the end. One step after the other.

mod refusals;
mod steps;

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    actors::router::pool,
    domain::{failure::WrongFormat, rotation::TurnMode, rule::RuleAction},
};

const SECOND: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits {
    deadline: Duration::from_mins(1),
    max_wait: Duration::from_secs(30),
    pause: Duration::from_millis(200),
};

/// A core whose first attempt is under way, at the first of some providers of one model.
fn begun(providers: &[(&str, i32)], patience: Patience) -> Retry {
    let pool = pool::Pool::of(providers);
    let chain = pool.chain("m");
    let mut retry = Retry::new(LIMITS, vec![StageRules { may_hedge: true }]);
    assert!(matches!(retry.next(Duration::ZERO, Event::Begin), Action::Plan { stage: 0, .. }));
    let candidates = pool.plan_at(pool::NOW, &chain.stages[0], TurnMode::Look).candidates;
    let planned = Event::Planned(Planned { candidates, ..Planned::default() });
    let asked = retry.next(Duration::ZERO, planned);
    assert!(matches!(asked, Action::Ask { slot: 0, kind: AttemptKind::First, .. }), "{asked:?}");
    let waiting = retry.next(Duration::ZERO, Event::Started { slot: 0, patience });
    assert!(matches!(waiting, Action::Wait { .. }), "{waiting:?}");
    retry
}

fn failed(slot: Slot, class: FailureClass, hint: Option<Duration>) -> Event {
    let failure = Arc::new(Failure { retry_after: hint, ..Failure::new(class, "") });
    Event::Failed { slot, failure, facts: Facts::default() }
}

/// Lets an attempt fail, and all who have to know of it.
fn fails(retry: &mut Retry, now: Duration, event: Event) -> Action {
    let note = retry.next(now, event);
    assert!(matches!(note, Action::Note { whose: Whose::Usual, .. }), "{note:?}");
    retry.next(now, Event::Done)
}

/// Answers each look with nobody who could be asked, or would be again.
fn nobody_back(retry: &mut Retry, now: Duration, mut next: Action) -> Action {
    while let Action::Look { .. } = next {
        next = retry.next(now, Event::Looked { is_open: false, soonest: None });
    }
    next
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
        let look = fails(&mut retry, Duration::ZERO, limited);
        assert!(matches!(look, Action::Look { from: 0, to: 1 }), "{look:?}");
        let soonest = Some((hint, FailureClass::RateLimit));
        let next = retry.next(Duration::ZERO, Event::Looked { is_open: false, soonest });
        if is_short {
            assert!(matches!(next, Action::Wait { until, .. } if until == hint), "{next:?}");
            let plan = retry.next(hint, Event::Timer);
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
            let mut next = fails(&mut retry, SECOND, failed(0, class, hint));
            if let Action::Look { .. } = next {
                next = retry.next(SECOND, Event::Looked { is_open: false, soonest: None });
            }
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
    let late = fails(&mut retry, 60 * SECOND, failed(0, FailureClass::Cut, None));
    assert!(matches!(late, Action::End(End::Deadline)), "{late:?}");
    let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
    let held = fails(&mut retry, SECOND, failed(0, FailureClass::Server, None));
    assert!(matches!(held, Action::TakeBudget { repeats_at: Some(_) }), "{held:?}");
    // The pause would end with it.
    let next = retry.next(SECOND * 598 / 10, GRANTED);
    assert!(matches!(next, Action::Ask { kind: AttemptKind::Failover, .. }), "{next:?}");
}

#[test]
fn who_was_cooling_is_asked_when_it_is_back_and_nobody_else_is_left() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    retry.note_cooling(2 * SECOND, FailureClass::Server);
    let look = fails(&mut retry, 3 * SECOND, failed(0, FailureClass::Cut, None));
    assert!(matches!(look, Action::Look { from: 0, to: 1 }), "{look:?}");
    let plan = retry.next(3 * SECOND, Event::Looked { is_open: true, soonest: None });
    assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");
    // Nobody was asked since: it is not looked for again.
    let end = retry.next(3 * SECOND, Event::Planned(Planned::default()));
    assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");
}

#[test]
fn who_comes_back_before_the_failure_passes_is_waited_for() {
    // A cut passes in ten seconds.
    for (until, waits) in [(12 * SECOND, true), (13 * SECOND, false)] {
        let mut retry = begun(&[("a", 2)], Patience::default());
        retry.note_cooling(until, FailureClass::Server);
        let next = fails(&mut retry, 3 * SECOND, failed(0, FailureClass::Cut, None));
        if waits {
            assert!(matches!(next, Action::Look { from: 0, to: 1 }), "{next:?}");
            let soonest = Some((until, FailureClass::Server));
            let next = retry.next(3 * SECOND, Event::Looked { is_open: false, soonest });
            assert!(matches!(next, Action::Wait { until: at, .. } if at == until), "{next:?}");
        } else {
            assert!(matches!(next, Action::End(End::Failed(_))), "{next:?}");
        }
    }
    // Too late for the request itself, it is what the client is told.
    let mut retry = begun(&[("a", 2)], Patience::default());
    retry.note_cooling(70 * SECOND, FailureClass::Server);
    let look = fails(&mut retry, 3 * SECOND, failed(0, FailureClass::Auth, None));
    assert!(matches!(look, Action::Look { .. }), "{look:?}");
    let soonest = Some((70 * SECOND, FailureClass::Server));
    let end = retry.next(3 * SECOND, Event::Looked { is_open: false, soonest });
    assert!(matches!(end, Action::End(End::NobodyAsked)), "{end:?}");
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
        next = fails(&mut retry, SECOND, failed(0, FailureClass::Cut, None));
    }
    retry.next(SECOND, Event::Planned(Planned::default()));
    let end = retry.next(SECOND, Event::Done);
    assert!(matches!(end, Action::End(End::NotResumed)), "{end:?}");
}

fn facts(format: FormatFacts, has_token: bool) -> Facts {
    Facts { credential: Some("key".into()), format, has_token }
}

const GUESSED: FormatFacts = FormatFacts { may_be_absent: true, is_spoken: false };

fn no_such_format(class: FailureClass) -> Failure {
    Failure { wrong_format: Some(WrongFormat::ForModel), ..Failure::new(class, "") }
}

#[test]
fn a_provider_is_asked_in_each_of_its_formats_and_blamed_where_it_has_none() {
    let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
    for class in [FailureClass::ClientFault, FailureClass::ModelMissing, FailureClass::ClientFault]
    {
        let failure = Arc::new(no_such_format(class));
        let failed = Event::Failed { slot: 0, failure, facts: facts(GUESSED, false) };
        let note = retry.next(SECOND, failed);
        assert!(matches!(note, Action::Note { whose: Whose::Format, .. }), "{note:?}");
        let asked = retry.next(SECOND, Event::Done);
        let expected = (How::OtherFormat, AttemptKind::Format);
        assert!(matches!(asked, Action::Ask { slot: 0, how, kind } if (how, kind) == expected));
        retry.next(SECOND, Event::Started { slot: 0, patience: Patience::default() });
    }
    // As if the last of them had not begun.
    let note = retry.next(SECOND, Event::Unavailable { slot: 0, why: Unavailable::NoFormat });
    let Action::Note { failure, whose: Whose::Formats, .. } = note else { panic!("{note:?}") };
    assert_eq!(failure.class, FailureClass::ModelMissing, "who knows the model is believed");
    let asked = retry.next(SECOND, Event::Done);
    assert!(matches!(asked, Action::Ask { kind: AttemptKind::Failover, .. }), "{asked:?}");
    assert_eq!(retry.candidate(0).provider.id.as_str(), "b");
    assert!(retry.rules_out(&pool::id("a"), &pool::model("m")));
}

#[test]
fn a_refused_token_is_renewed_once_and_then_the_credential_is_to_blame() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    let refused = || {
        let failure = Failure { status: Some(401), ..Failure::new(FailureClass::Auth, "") };
        let facts = facts(FormatFacts::default(), true);
        Event::Failed { slot: 0, failure: Arc::new(failure), facts }
    };
    for (whose, how) in [
        (Whose::Token, How::NewToken),
        (Whose::Usual, How::OtherCredential),
        // The other credential has a token of its own.
        (Whose::Token, How::NewToken),
        (Whose::Usual, How::OtherCredential),
    ] {
        let note = retry.next(SECOND, refused());
        assert!(matches!(note, Action::Note { whose: it, .. } if it == whose), "{note:?}");
        let asked = retry.next(SECOND, Event::Done);
        assert!(matches!(asked, Action::Ask { how: it, .. } if it == how), "{asked:?}");
        retry.next(SECOND, Event::Started { slot: 0, patience: Patience::default() });
    }
}

/// A core whose hundredth attempt is under way.
fn hundredth() -> Retry {
    let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
    for made in 1..100 {
        assert_eq!(retry.made(), made);
        let failure = Arc::new(Failure::new(FailureClass::RateLimit, ""));
        let facts = facts(FormatFacts::default(), false);
        retry.next(SECOND, Event::Failed { slot: 0, failure, facts });
        let asked = retry.next(SECOND, Event::Done);
        assert!(matches!(asked, Action::Ask { how: How::OtherCredential, .. }), "{asked:?}");
        retry.next(SECOND, Event::Started { slot: 0, patience: Patience::default() });
    }
    retry
}

#[test]
fn no_request_makes_more_than_a_hundred_attempts() {
    let mut retry = hundredth();
    // Neither with another key, nor in another format, nor with a new token, nor elsewhere.
    let failure = Failure { status: Some(401), ..no_such_format(FailureClass::Auth) };
    let last = Event::Failed { slot: 0, failure: Arc::new(failure), facts: facts(GUESSED, true) };
    let note = retry.next(SECOND, last);
    assert!(matches!(note, Action::Note { whose: Whose::Usual, .. }), "{note:?}");
    let mut next = retry.next(SECOND, Event::Done);
    while let Action::Look { .. } = next {
        next = retry.next(SECOND, Event::Looked { is_open: false, soonest: None });
    }
    assert!(matches!(next, Action::End(End::Failed(_))), "{next:?}");
    assert_eq!(retry.made(), 100);
}

#[test]
fn who_is_told_that_the_pool_stops_waits_for_nobody() {
    // Waiting for a cooldown to end.
    let mut retry = waiting(Some((5 * SECOND, FailureClass::Server)), false);
    let end = retry.next(SECOND, Event::Draining);
    assert!(matches!(end, Action::End(End::NobodyAsked)), "{end:?}");
    // For somebody who is busy.
    let mut retry = waiting(None, true);
    let end = retry.next(SECOND, Event::Draining);
    assert!(matches!(end, Action::End(End::NobodyAsked)), "{end:?}");
    // A limit is not waited for.
    let mut retry = begun(&[("a", 2)], Patience::default());
    retry.next(SECOND, Event::Draining);
    let end = fails(&mut retry, SECOND, failed(0, FailureClass::RateLimit, Some(SECOND)));
    assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");
    // A stream is not gone on with.
    let mut retry = begun(&[("a", 2), ("b", 1)], Patience::default());
    retry.next(SECOND, Event::Answered { slot: 0 });
    retry.next(SECOND, Event::Draining);
    let failure = Arc::new(Failure::new(FailureClass::Cut, ""));
    let end = retry.next(SECOND, Event::Broken { failure, is_kept: true });
    assert!(matches!(end, Action::End(End::NotResumed)), "{end:?}");
}

/// A core that waits, since nobody can be asked now.
fn waiting(soonest: Option<(Duration, FailureClass)>, has_busy: bool) -> Retry {
    let mut retry = Retry::new(LIMITS, vec![StageRules { may_hedge: true }]);
    retry.next(Duration::ZERO, Event::Begin);
    let planned = Planned { candidates: Vec::new(), soonest, has_busy };
    let waits = retry.next(Duration::ZERO, Event::Planned(planned));
    assert!(matches!(waits, Action::Wait { for_others: true, .. }), "{waits:?}");
    retry
}

#[test]
fn who_is_busy_is_looked_for_every_quarter_of_a_second_for_as_long_as_a_request_waits() {
    let mut retry = waiting(None, true);
    let quarter = SECOND / 4;
    let mut now = Duration::ZERO;
    for _ in 0..119 {
        now += quarter;
        let plan = retry.next(now, Event::Timer);
        assert!(matches!(plan, Action::Plan { stage: 0, .. }), "{plan:?}");
        let planned = Planned { has_busy: true, ..Planned::default() };
        let waits = retry.next(now, Event::Planned(planned));
        assert!(
            matches!(waits, Action::Wait { until, for_others: true } if until == now + quarter),
            "{waits:?}"
        );
    }
    now += quarter;
    retry.next(now, Event::Timer);
    let planned = Planned { has_busy: true, ..Planned::default() };
    let end = retry.next(now, Event::Planned(planned));
    assert!(matches!(end, Action::End(End::NobodyAsked)), "{end:?}");
    assert!(retry.has_busy());
}

#[test]
fn a_wait_ends_within_what_a_request_may_wait_and_before_its_deadline() {
    for (until, may_wait) in [(30, true), (31, false)] {
        let mut retry = Retry::new(LIMITS, vec![StageRules { may_hedge: true }]);
        retry.next(Duration::ZERO, Event::Begin);
        let soonest = Some((until * SECOND, FailureClass::Server));
        let planned = Planned { soonest, ..Planned::default() };
        let next = retry.next(Duration::ZERO, Event::Planned(planned));
        assert_eq!(matches!(next, Action::Wait { .. }), may_wait, "{next:?}");
        assert_eq!(retry.soonest(), soonest);
    }
    let limits = Limits { deadline: 20 * SECOND, ..LIMITS };
    for (until, may_wait) in [(19, true), (20, false)] {
        let mut retry = Retry::new(limits, vec![StageRules { may_hedge: true }]);
        retry.next(Duration::ZERO, Event::Begin);
        let soonest = Some((until * SECOND, FailureClass::Server));
        let next =
            retry.next(Duration::ZERO, Event::Planned(Planned { soonest, ..Planned::default() }));
        assert_eq!(matches!(next, Action::Wait { .. }), may_wait, "{next:?}");
    }
}

#[test]
fn a_limit_is_waited_for_twice_at_most() {
    let mut retry = begun(&[("a", 2)], Patience::default());
    let mut now = Duration::ZERO;
    let candidates = || pool::Pool::of(&[("a", 2)]).plan("m").candidates;
    for _ in 0..2 {
        let look = fails(&mut retry, now, failed(0, FailureClass::RateLimit, Some(SECOND)));
        assert!(matches!(look, Action::Look { .. }), "{look:?}");
        let soonest = Some((now + SECOND, FailureClass::RateLimit));
        let waits = retry.next(now, Event::Looked { is_open: false, soonest });
        assert!(matches!(waits, Action::Wait { for_others: true, .. }), "{waits:?}");
        now += SECOND;
        retry.next(now, Event::Timer);
        let planned = Planned { candidates: candidates(), ..Planned::default() };
        let asked = retry.next(now, Event::Planned(planned));
        assert!(matches!(asked, Action::Ask { .. }), "{asked:?}");
        retry.next(now, Event::Started { slot: 0, patience: Patience::default() });
    }
    let end = fails(&mut retry, now, failed(0, FailureClass::RateLimit, Some(SECOND)));
    let end = nobody_back(&mut retry, now, end);
    assert!(matches!(end, Action::End(End::Failed(_))), "{end:?}");
}

#[test]
fn after_a_prompt_that_was_too_long_only_larger_windows_are_asked() {
    let with_window = |name: &str, tokens: Option<u64>| {
        let mut provider = pool::provider(name, 1, &["m"]);
        provider.models[0].context_tokens = tokens;
        (provider, 1)
    };
    let candidates = |rows: &[(&str, Option<u64>)]| {
        let rows = rows.iter().map(|(name, tokens)| with_window(name, *tokens)).collect();
        pool::Pool::new(rows).plan("m").candidates
    };
    let all =
        candidates(&[("a", Some(1_000)), ("b", Some(1_000)), ("c", Some(1_001)), ("d", None)]);
    let of = |name: &str| all.iter().find(|it| it.provider.id.as_str() == name).unwrap().clone();
    let mut ruled_out = RuledOut::default();
    ruled_out.note(&of("a"), &Failure::new(FailureClass::ContextTooLong, ""));
    assert!(ruled_out.excludes(&of("b"), false), "it is as small");
    assert!(ruled_out.excludes(&of("b"), true), "and known to be");
    assert!(!ruled_out.excludes(&of("c"), false), "it is larger");
    assert!(ruled_out.excludes(&of("d"), false), "nobody knows");
    assert!(!ruled_out.excludes(&of("d"), true), "somebody has named it");
    // The larger of two that were too small counts.
    ruled_out.note(&of("c"), &Failure::new(FailureClass::ContextTooLong, ""));
    ruled_out.forgive(&of("c"));
    assert!(ruled_out.excludes(&of("c"), false));
}
