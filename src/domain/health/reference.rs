//! The state against a slow and obvious one, over random histories of two providers without keys.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::id::{ModelName, ProviderId};

const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);
const PROVIDERS: [&str; 2] = ["acme", "other"];
const MODELS: [&str; 3] = ["m", "n", "o"];
const CLASSES: [FailureClass; 9] = [
    FailureClass::Server,
    FailureClass::Overload,
    FailureClass::Connect,
    FailureClass::Silent,
    FailureClass::Stalled,
    FailureClass::Cut,
    FailureClass::RateLimit,
    FailureClass::ModelMissing,
    FailureClass::ClientFault,
];

/// A provider, and a model of it.
type Place = (usize, Option<usize>);

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    /// At which model of which provider, how, and the seconds that it asks for.
    Fail(usize, usize, FailureClass, Option<u64>),
    Answer(usize, usize),
    Pass(usize, Option<usize>),
    Expire,
    Clear(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (provider, model) = (|| 0..PROVIDERS.len(), || 0..MODELS.len());
    let hint = prop::option::weighted(0.2, 1_u64..100);
    let class = (0..CLASSES.len()).prop_map(|n| CLASSES[n]);
    let step = prop_oneof![
        3 => (0_u64..30).prop_map(Step::Wait),
        9 => (provider(), model(), class, hint).prop_map(|(p, m, c, h)| Step::Fail(p, m, c, h)),
        1 => (provider(), model()).prop_map(|(p, m)| Step::Answer(p, m)),
        1 => (provider(), prop::option::of(model())).prop_map(|(p, m)| Step::Pass(p, m)),
        1 => Just(Step::Expire),
        1 => provider().prop_map(Step::Clear),
    ];
    prop::collection::vec(step, 1..150)
}

fn scope((provider, model): Place) -> CooldownScope {
    let model = model.map(|model| ModelName::parse(MODELS[model]).unwrap());
    CooldownScope::from_parts(ProviderId::parse(PROVIDERS[provider]).unwrap(), None, model)
}

/// A cooldown, in seconds.
#[derive(Debug)]
struct Held {
    began: u64,
    until: u64,
    strikes: u32,
    cause: FailureClass,
    passed: bool,
}

#[derive(Default)]
struct World {
    state: HealthState,
    now: u64,
    failures: Vec<(Place, bool, u64)>,
    held: BTreeMap<Place, Held>,
}

/// `base`, twice that, four times that, … up to `cap`.
fn doubled(base: u64, cap: u64, strikes: u32) -> u64 {
    (1..strikes).fold(base, |length, _| (length * 2).min(cap))
}

fn counts(class: FailureClass) -> bool {
    !matches!(
        class,
        FailureClass::RateLimit | FailureClass::ModelMissing | FailureClass::ClientFault
    )
}

impl World {
    fn at(&self) -> Timestamp {
        START.plus(Duration::from_secs(self.now))
    }

    fn is_on_trial(&self, place: Place) -> bool {
        self.held.get(&place).is_some_and(|held| held.until <= self.now && !held.passed)
    }

    fn strikes(&self, place: Place) -> u32 {
        match self.held.get(&place) {
            Some(held) if held.until > self.now => held.strikes,
            Some(held) => held.strikes + 1,
            None => 1,
        }
    }

    fn cool(&mut self, place: Place, seconds: u64, cause: FailureClass) {
        let (until, strikes) = (self.now + seconds, self.strikes(place));
        match self.held.get_mut(&place) {
            Some(held) if held.until > self.now && held.until >= until => {}
            Some(held) if held.until > self.now => (held.until, held.cause) = (until, cause),
            _ => {
                let held = Held { began: self.now, until, strikes, cause, passed: false };
                self.held.insert(place, held);
            }
        }
    }

    /// Notes a failure that counts, and says whether there have been enough of it.
    fn count(&mut self, place: Place, is_overload: bool) -> bool {
        self.failures.push((place, is_overload, self.now));
        let is_same = |(other, kind, at): &&(Place, bool, u64)| {
            *other == place && *kind == is_overload && self.now - at <= 60
        };
        let enough = if is_overload { 5 } else { 3 };
        self.failures.iter().filter(is_same).count() >= enough || self.is_on_trial(place)
    }

    fn fail(&mut self, provider: usize, model: usize, class: FailureClass, hint: Option<u64>) {
        let (whole, place) = ((provider, None), (provider, Some(model)));
        let is_overload = class == FailureClass::Overload;
        let (base, cap) = if is_overload { (5, 15) } else { (10, 300) };
        match class {
            FailureClass::ClientFault => {}
            FailureClass::RateLimit => {
                let seconds = hint.unwrap_or_else(|| doubled(1, 1_800, self.strikes(place)));
                self.cool(place, seconds, class);
            }
            FailureClass::ModelMissing => self.cool(place, 3_600, class),
            FailureClass::Connect => {
                if self.count(whole, false) {
                    self.cool(whole, doubled(base, cap, self.strikes(whole)), class);
                }
            }
            _ => {
                let was_on_trial = self.is_on_trial(whole);
                let own =
                    self.count(place, is_overload).then(|| doubled(base, cap, self.strikes(place)));
                let seconds = hint.or(own);
                if let Some(seconds) = seconds {
                    self.cool(place, seconds, class);
                }
                let failing = self.held.iter().filter(|((p, m), held)| {
                    *p == provider
                        && m.is_some()
                        && held.began + 60 >= self.now
                        && counts(held.cause)
                        && !held.passed
                });
                if was_on_trial || seconds.is_some() && failing.count() >= 2 {
                    self.cool(whole, doubled(base, cap, self.strikes(whole)), class);
                }
            }
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.at();
        match *step {
            Step::Wait(seconds) => self.now += seconds,
            Step::Fail(provider, model, class, hint) => {
                let name = ModelName::parse(MODELS[model]).unwrap();
                let id = ProviderId::parse(PROVIDERS[provider]).unwrap();
                let retry_after = hint.map(Duration::from_secs);
                let attempted = Attempted {
                    used: Use { provider: &id, credential: None, model: &name },
                    failure: &Failure { retry_after, ..Failure::new(class, "no") },
                    purpose: Purpose::Answer,
                    is_listed: true,
                    usable: 0,
                };
                self.state.failed(now, attempted, &CoolingRules::default(), 0.0);
                let hint = hint.filter(|_| class != FailureClass::Connect);
                self.fail(provider, model, class, hint);
            }
            Step::Answer(provider, model) => {
                let name = ModelName::parse(MODELS[model]).unwrap();
                let id = ProviderId::parse(PROVIDERS[provider]).unwrap();
                let used = Use { provider: &id, credential: None, model: &name };
                self.state.succeeded(now, used);
                for place in [(provider, None), (provider, Some(model))] {
                    self.failures.retain(|(other, ..)| *other != place);
                    if self.held.get(&place).is_some_and(|held| held.until <= self.now) {
                        self.held.remove(&place);
                    }
                }
            }
            Step::Pass(provider, model) => {
                self.state.passed(now, &scope((provider, model)));
                let held = self.held.get_mut(&(provider, model));
                if let Some(held) = held.filter(|held| held.until <= self.now) {
                    held.passed = true;
                }
            }
            Step::Expire => {
                self.state.expire(now);
                self.held.retain(|_, held| held.until + 3_600 > self.now);
            }
            Step::Clear(provider) => {
                let id = ProviderId::parse(PROVIDERS[provider]).unwrap();
                self.state.clear(&ScopeFilter::of(id));
                self.failures.retain(|((other, _), ..)| *other != provider);
                self.held.retain(|(other, _), _| *other != provider);
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let told = self.state.view().cooldowns().list(self.at()).into_iter();
        let told: Vec<_> = told.map(|it| (it.scope, it.until, it.strikes, it.cause)).collect();
        let cooling = self.held.iter().filter(|(_, held)| held.until > self.now);
        let until = |held: &Held| START.plus(Duration::from_secs(held.until));
        let mut expected: Vec<_> = cooling
            .map(|(place, held)| (scope(*place), until(held), held.strikes, held.cause))
            .collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(told, expected);
        Ok(())
    }
}

proptest! {
    #[test]
    fn the_book_cools_whom_the_obvious_one_cools(steps in steps()) {
        let mut world = World::default();
        for step in &steps {
            world.step(step);
            world.check()?;
        }
    }
}
