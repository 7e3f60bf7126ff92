//! The failures of providers against a slow and obvious count, over random histories.

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);

/// One thing that happens at the provider of this number.
#[derive(Debug, Clone)]
enum Step {
    Wait(Duration),
    /// At which provider, how, and whether it is on trial.
    Fail(usize, FailureClass, bool),
    Forget(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_u64..30_000).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        6 => (0_usize..2, 0..FailureClass::ALL.len(), prop::bool::weighted(0.1)).prop_map(
            |(number, class, is_on_trial)| Step::Fail(number, FailureClass::ALL[class], is_on_trial)
        ),
        1 => (0_usize..2).prop_map(Step::Forget),
    ];
    prop::collection::vec(step, 1..200)
}

fn provider(number: usize) -> ProviderId {
    ProviderId::parse(["acme", "other"][number]).unwrap()
}

fn note(
    failures: &mut ProviderFailures,
    now: Timestamp,
    number: usize,
    class: FailureClass,
    is_on_trial: bool,
) -> Option<(CooldownScope, Length)> {
    let model = ModelName::parse("m").unwrap();
    failures.note(now, &provider(number), &model, &Failure::new(class, "no"), is_on_trial)
}

fn is_server_like(class: FailureClass) -> bool {
    use FailureClass::{Connect, Cut, Server, Silent, Stalled};
    [Server, Connect, Silent, Stalled, Cut].contains(&class)
}

proptest! {
    #[test]
    fn the_count_is_the_obvious_one(steps in steps()) {
        let mut failures = ProviderFailures::default();
        let mut seen: Vec<(usize, FailureClass, Timestamp)> = Vec::new();
        let mut now = START;
        for step in steps {
            match step {
                Step::Wait(time) => now = now.plus(time),
                Step::Forget(number) => {
                    failures.forget(&provider(number));
                    seen.retain(|(other, ..)| *other != number);
                    prop_assert!(!failures.remembers(&provider(number)));
                }
                Step::Fail(number, class, is_on_trial) => {
                    seen.push((number, class, now));
                    let in_a_minute = |counts: &dyn Fn(FailureClass) -> bool| {
                        let minute = Duration::from_mins(1);
                        let recent = |at: Timestamp| now.since(at) <= minute;
                        seen.iter().filter(|(n, c, at)| *n == number && counts(*c) && recent(*at)).count()
                    };
                    let doubling = |base, cap| Length::Doubling {
                        base: Duration::from_secs(base),
                        cap: Duration::from_secs(cap),
                    };
                    let whole = CooldownScope::Provider(provider(number));
                    let expected = match class {
                        FailureClass::ModelMissing => {
                            let model = ModelName::parse("m").unwrap();
                            let scope = CooldownScope::ProviderModel(provider(number), model);
                            Some((scope, Length::Fixed(Duration::from_hours(1))))
                        }
                        FailureClass::Overload => {
                            let is_due = in_a_minute(&|c| c == FailureClass::Overload) >= 5 || is_on_trial;
                            is_due.then(|| (whole, doubling(5, 30)))
                        }
                        class if is_server_like(class) => {
                            let is_due = in_a_minute(&is_server_like) >= 3 || is_on_trial;
                            is_due.then(|| (whole, doubling(10, 300)))
                        }
                        _ => None,
                    };
                    prop_assert_eq!(note(&mut failures, now, number, class, is_on_trial), expected);
                }
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_whatever_the_clock_does(
        times in prop::collection::vec((any::<i64>(), 0..FailureClass::ALL.len()), 1..100)
    ) {
        let mut failures = ProviderFailures::default();
        for (time, class) in times {
            note(&mut failures, Timestamp::from_millis(time), 0, FailureClass::ALL[class], false);
            let most = |windows: &HashTrieMapSync<ProviderId, VecDeque<Timestamp>>| {
                windows.values().map(VecDeque::len).max().unwrap_or(0)
            };
            prop_assert!(most(&failures.server) <= ProviderFailures::SERVER_COUNT);
            prop_assert!(most(&failures.overload) <= ProviderFailures::OVERLOAD_COUNT);
        }
    }
}
