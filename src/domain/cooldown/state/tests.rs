//! How cooldowns begin, grow and end.

use proptest::prelude::*;

use super::*;
use crate::domain::{failure::MAX_HINT, id::ModelName};

const START: Timestamp = Timestamp::from_millis(1_000_000);

fn acme() -> ProviderId {
    ProviderId::parse("acme").unwrap()
}

fn scope() -> CooldownScope {
    CooldownScope::Provider(acme())
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn doubling() -> CooldownDuration {
    CooldownDuration::Doubling { base: seconds(10), cap: seconds(300) }
}

/// Looks at one scope by itself.
impl CooldownState {
    pub(crate) fn enter_scope(
        &self,
        now: Timestamp,
        scope: &CooldownScope,
    ) -> Result<Option<TrialPass>, (Timestamp, FailureClass)> {
        self.entries.get(scope).map_or(Ok(None), |entry| entry.enter(now))
    }

    pub(super) fn standing_of(&self, now: Timestamp, scope: &CooldownScope) -> Standing {
        self.entries.get(scope).map_or(Standing::Open, |entry| entry.standing(now))
    }

    pub(crate) fn is_being_tried(&self, now: Timestamp, scope: &CooldownScope) -> bool {
        matches!(self.standing_of(now, scope), Standing::BeingTried(_))
    }

    pub(super) fn remembers_scope(&self, scope: &CooldownScope) -> bool {
        self.entries.get(scope).is_some()
    }
}

#[test]
fn each_strike_doubles_up_to_the_cap_and_a_success_starts_over() {
    let mut state = CooldownState::default();
    let mut now = START;
    let mut lengths = Vec::new();
    for _ in 0..7 {
        let change = state.impose(now, scope(), doubling(), (FailureClass::Server, None), 0.0);
        let Some(CooldownChange::Started(cooldown)) = change else { panic!("{change:?}") };
        lengths.push(cooldown.until.since(now).as_secs());
        now = cooldown.until;
        assert_eq!(state.expire(now).len(), 1);
    }
    assert_eq!(lengths, [10, 20, 40, 80, 160, 300, 300]);
    state.succeeded(now, &scope());
    state.impose(now, scope(), doubling(), (FailureClass::Server, None), 0.0);
    assert_eq!(state.list(now)[0].strikes, 1);
}

#[test]
fn a_cooldown_is_extended_but_never_shortened() {
    let mut state = CooldownState::default();
    let impose = |state: &mut CooldownState, length| {
        state.impose(
            START,
            scope(),
            CooldownDuration::Fixed(seconds(length)),
            (FailureClass::Auth, None),
            0.0,
        )
    };
    assert!(matches!(impose(&mut state, 60), Some(CooldownChange::Started(_))));
    assert_eq!(impose(&mut state, 30), None);
    assert!(matches!(impose(&mut state, 90), Some(CooldownChange::Extended(_))));
    assert_eq!(state.active(START, &scope()).unwrap().until, START.plus(seconds(90)));
}

#[test]
fn a_cooldown_tells_of_the_failure_that_it_lasts_so_long_for() {
    let mut state = CooldownState::default();
    let told = [
        (60, FailureClass::Server, Some(500)),
        (30, FailureClass::Auth, Some(401)),
        (90, FailureClass::RateLimit, Some(429)),
        (99, FailureClass::Connect, None),
    ]
    .map(|(length, cause, status)| {
        state.impose(
            START,
            scope(),
            CooldownDuration::Fixed(seconds(length)),
            (cause, status),
            0.0,
        );
        let cooldown = state.active(START, &scope()).unwrap();
        (cooldown.cause, cooldown.status)
    });
    let server = (FailureClass::Server, Some(500));
    let (limit, connect) = ((FailureClass::RateLimit, Some(429)), (FailureClass::Connect, None));
    assert_eq!(told, [server, server, limit, connect]);
}

#[test]
fn a_late_success_does_not_end_a_cooldown() {
    let mut state = CooldownState::default();
    state.impose(START, scope(), doubling(), (FailureClass::Server, None), 0.0);
    state.succeeded(START.plus(seconds(1)), &scope());
    assert!(state.active(START.plus(seconds(1)), &scope()).is_some());
}

#[test]
fn an_end_is_reported_once() {
    let mut state = CooldownState::default();
    state.impose(START, scope(), doubling(), (FailureClass::Server, None), 0.0);
    assert!(state.expire(START.plus(seconds(9))).is_empty());
    assert_eq!(state.expire(START.plus(seconds(10))).len(), 1);
    assert!(state.expire(START.plus(seconds(11))).is_empty());
}

#[test]
fn the_book_is_bounded_and_forgets_made_up_models_first() {
    let mut state = CooldownState::default();
    state.impose(
        START,
        scope(),
        CooldownDuration::Fixed(seconds(1)),
        (FailureClass::Server, None),
        0.0,
    );
    for n in 0..MAX_COOLDOWNS + 10 {
        let model = ModelName::parse(&format!("m{n}")).unwrap();
        let scope = CooldownScope::ProviderModel(acme(), model);
        state.make_room();
        state.impose(
            START,
            scope,
            CooldownDuration::Fixed(seconds(60)),
            (FailureClass::ModelMissing, None),
            0.0,
        );
    }
    assert_eq!(state.list(START).len(), MAX_COOLDOWNS);
    assert!(state.active(START, &scope()).is_some());
}

proptest! {
    #[test]
    fn whatever_happens_a_cooldown_never_shrinks_and_always_ends(
        steps in prop::collection::vec((0_u64..400, 1_u64..100_000, any::<bool>()), 1..60)
    ) {
        let mut state = CooldownState::default();
        let mut now = START;
        for (wait, length, hinted) in steps {
            now = now.plus(seconds(wait));
            let before = state.active(now, &scope()).map(|cooldown| cooldown.until);
            let length = if hinted { CooldownDuration::Fixed(seconds(length).min(MAX_HINT)) } else { doubling() };
            state.impose(now, scope(), length, (FailureClass::Server, None), 1.0);
            let after = state.active(now, &scope()).unwrap().until;
            prop_assert!(before.is_none_or(|before| after >= before));
            prop_assert!(after.since(now) <= MAX_HINT);
        }
        let end = now.plus(MAX_HINT);
        state.expire(end);
        prop_assert!(state.list(end).is_empty());
    }
}

#[test]
fn of_models_that_clients_make_up_a_provider_has_so_many_and_listed_ones_stay() {
    let mut state = CooldownState::default();
    let (acme, other) = (ProviderId::parse("acme").unwrap(), ProviderId::parse("other").unwrap());
    let model = |name: &str| ModelName::parse(name).unwrap();
    let cause = (FailureClass::ModelMissing, Some(404));
    let hour = CooldownDuration::Fixed(Duration::from_hours(1));
    let at = |n: u64| Timestamp::from_millis(1_000_000).plus(Duration::from_secs(n));
    let listed = CooldownScope::ProviderModel(acme.clone(), model("listed"));
    state.impose(
        at(0),
        listed.clone(),
        CooldownDuration::Fixed(Duration::from_secs(1)),
        cause,
        0.0,
    );
    let elsewhere = CooldownScope::ProviderModel(other, model("made-up"));
    state.impose(at(0), elsewhere.clone(), hour, cause, 0.0);
    state.note_unlisted(&elsewhere);

    let mut forgotten = Vec::new();
    for n in 0..5_000 {
        let name = model(&format!("made-up-{n}"));
        let scope = if n % 2 == 0 {
            CooldownScope::ProviderModel(acme.clone(), name)
        } else {
            CooldownScope::CredentialModel(acme.clone(), "k".into(), name)
        };
        for _ in 0..2 {
            forgotten.extend(state.make_room_for_unlisted(&scope));
            state.impose(at(n), scope.clone(), hour, cause, 0.0);
            state.note_unlisted(&scope);
        }
    }

    assert_eq!(state.scopes(&ScopeFilter::of(acme)).len(), MAX_UNLISTED + 1);
    assert_eq!(forgotten.len(), 5_000 - MAX_UNLISTED);
    assert!(forgotten.is_sorted_by_key(|cooldown| cooldown.until), "the first to end go first");
    assert!(state.active(at(0), &listed).is_some() && state.active(at(0), &elsewhere).is_some());
}
