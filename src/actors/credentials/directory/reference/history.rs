//! Random histories of a pool of credentials.

use proptest::prelude::*;

use crate::domain::{
    credential::CredentialSettings, failure::FailureClass, route::CredentialStrategy,
};

pub(super) const SECOND: i64 = 1_000;
pub(super) const HOUR: i64 = 3_600 * SECOND;
/// Sorted, so that the order of the numbers is that of the ids.
pub(super) const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
pub(super) const MODELS: [&str; 2] = ["m", "n"];
pub(super) const STRATEGIES: [CredentialStrategy; 4] = [
    CredentialStrategy::RoundRobin,
    CredentialStrategy::Weighted,
    CredentialStrategy::FillFirst,
    CredentialStrategy::LeastBusy,
];

/// A credential, and one of its models or all.
pub(super) type Scope = (usize, Option<usize>);

#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) model: usize,
    pub(super) strategy: usize,
    pub(super) tried: Vec<usize>,
    pub(super) preferred: Option<usize>,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The clock moves on by so many milliseconds, or back.
    Clock(i64),
    Lease(Wish),
    /// One of the leases that are held is over.
    Drop(usize),
    /// The passes of one of the leases are taken, and judged or let go.
    Judge(usize, bool),
    /// For so many milliseconds.
    Cool(Scope, i64, FailureClass),
    Pass(Scope),
    Succeed(Scope),
    Clear(Scope),
    Expire,
    Set(usize, Settings),
    Remove(usize),
    Add(usize, Settings, bool),
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) enabled: bool,
    pub(super) priority: i32,
    pub(super) weight: u32,
    pub(super) limit: Option<u32>,
}

impl Settings {
    pub(super) fn real(&self) -> CredentialSettings {
        CredentialSettings {
            enabled: self.enabled,
            priority: self.priority,
            weight: self.weight,
            max_in_flight: self.limit,
            ..CredentialSettings::default()
        }
    }
}

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    let limit = prop::option::of(1_u32..=2);
    (prop::bool::weighted(0.8), -1..=1, 0_u32..=3, limit).prop_map(
        |(enabled, priority, weight, limit)| Settings { enabled, priority, weight, limit },
    )
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..KEYS.len();
    let scope = || (key(), prop::option::of(0..MODELS.len()));
    let clock = prop_oneof![
        6 => 0..20 * SECOND,
        2 => 0..HOUR,
        1 => -90 * SECOND..0,
        1 => -HOUR..0,
    ];
    let wish = (
        0..MODELS.len(),
        0..STRATEGIES.len(),
        prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(key(), 1..4)],
        prop::option::weighted(0.2, key()),
    )
        .prop_map(|(model, strategy, tried, preferred)| Wish {
            model,
            strategy,
            tried,
            preferred,
        });
    let cause = prop_oneof![Just(FailureClass::RateLimit), Just(FailureClass::Server)];
    // Some ends fall together.
    let length = prop_oneof![Just(5 * SECOND), 1..90 * SECOND];
    prop::collection::vec(
        prop_oneof![
            8 => clock.prop_map(Step::Clock),
            24 => wish.prop_map(Step::Lease),
            8 => any::<usize>().prop_map(Step::Drop),
            4 => any::<(usize, bool)>().prop_map(|(at, judged)| Step::Judge(at, judged)),
            8 => (scope(), length, cause).prop_map(|(s, length, cause)| Step::Cool(s, length, cause)),
            3 => scope().prop_map(Step::Pass),
            2 => scope().prop_map(Step::Succeed),
            1 => scope().prop_map(Step::Clear),
            1 => Just(Step::Expire),
            3 => (key(), settings()).prop_map(|(key, settings)| Step::Set(key, settings)),
            1 => key().prop_map(Step::Remove),
            2 => (key(), settings(), prop::bool::weighted(0.1))
                .prop_map(|(key, settings, locked)| Step::Add(key, settings, locked)),
        ],
        1..80,
    )
}
