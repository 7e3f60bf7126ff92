//! Leasing against a slow and obvious reference, over random histories of one provider's pool.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use self::history::{
    HOUR, KEYS, MODELS, SECOND, STRATEGIES, Scope, Settings, Step, Wish, settings, steps,
};
use super::{
    tests::{Desk, acme, credential},
    *,
};
use crate::domain::cooldown::{CooldownDuration, TrialPass};

mod history;

const START: i64 = 1_000_000_000_000;

struct Key {
    settings: Settings,
    locked: bool,
    /// One that was removed and added again is another one.
    number: usize,
}

/// What is held against a scope.
struct Against {
    until: i64,
    cause: FailureClass,
    told: bool,
    passed: bool,
    /// The number of the pass that tries it, and until when.
    tried: Option<(u32, i64)>,
}

struct Leased {
    lease: Lease,
    /// The number of its credential.
    number: usize,
    passes: Vec<(Scope, u32)>,
}

/// How a credential stands for a request.
#[derive(Debug, Clone, PartialEq)]
enum Stands {
    Out,
    /// Until then, for one of these causes.
    Cooling(i64, Vec<FailureClass>),
    Busy,
    Ready,
}

struct World {
    desk: Desk,
    now: i64,
    keys: BTreeMap<usize, Key>,
    /// Of every credential there ever was, by number.
    all_stats: Vec<Arc<KeyStats>>,
    against: BTreeMap<Scope, Against>,
    leases: Vec<Leased>,
    passes: u32,
    /// Who was served last in rotation, for each model.
    last: [Option<usize>; MODELS.len()],
    /// The weight and credit of those among whom was chosen last, for each model.
    credits: [Vec<(usize, u32, i64)>; MODELS.len()],
}

fn real(scope: Scope) -> CooldownScope {
    let model = scope.1.map(|model| ModelName::parse(MODELS[model]).unwrap());
    CooldownScope::from_parts(acme(), Some(KEYS[scope.0].into()), model)
}

impl World {
    fn new(keys: &[(Settings, bool)]) -> Self {
        let mut world = Self {
            desk: Desk::new(CredentialStrategy::RoundRobin, []),
            now: START,
            keys: BTreeMap::new(),
            all_stats: Vec::new(),
            against: BTreeMap::new(),
            leases: Vec::new(),
            passes: 0,
            last: Default::default(),
            credits: Default::default(),
        };
        for (key, (settings, locked)) in keys.iter().enumerate() {
            world.add(key, settings, *locked);
        }
        world
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let (now, state) = (self.now(), &mut self.desk.cooldowns);
        match step {
            Step::Clock(by) => self.now += by,
            Step::Lease(wish) => self.lease(wish)?,
            Step::Drop(at) => self.let_go(*at),
            Step::Judge(at, judged) => self.judge(*at, *judged),
            Step::Cool(scope, length, cause) => self.cool(*scope, *length, *cause),
            Step::Pass(scope) => {
                state.passed(now, &real(*scope));
                let ended = self.against.get_mut(scope).filter(|a| a.until <= self.now);
                if let Some(against) = ended {
                    against.passed = true;
                }
            }
            Step::Succeed(scope) => {
                state.succeeded(now, &real(*scope));
                if self.against.get(scope).is_some_and(|a| a.until <= self.now) {
                    self.against.remove(scope);
                }
            }
            Step::Clear(scope) => {
                state.clear(&real(*scope));
                self.against.remove(scope);
            }
            Step::Expire => {
                state.expire(now);
                let now = self.now;
                self.against.values_mut().for_each(|a| a.told |= a.until <= now);
                self.against.retain(|_, a| now - a.until < HOUR);
            }
            Step::Set(key, settings) => {
                let id = KEYS[*key].into();
                self.desk.pool.replace_settings(&acme(), &id, &settings.real());
                if let Some(known) = self.keys.get_mut(key) {
                    known.settings = settings.clone();
                }
            }
            Step::Remove(key) => {
                self.desk.pool.remove(&acme(), &KEYS[*key].into());
                self.keys.remove(key);
            }
            Step::Add(key, settings, locked) => self.add(*key, settings, *locked),
        }
        self.check()
    }

    fn add(&mut self, key: usize, settings: &Settings, locked: bool) {
        let mut added = Credential { settings: settings.real(), ..credential(KEYS[key]) };
        if locked {
            added.secret = StoredSecret::Locked { key_id: "k1".into() };
        }
        self.desk.pool.insert(added);
        if self.keys.contains_key(&key) {
            return;
        }
        let directory = self.desk.pool.directory();
        let mut all = directory.of(&acme()).iter();
        let pooled = all.find(|pooled| pooled.credential.id.as_str() == KEYS[key]).unwrap();
        let number = self.all_stats.len();
        self.all_stats.push(Arc::clone(&pooled.stats));
        self.keys.insert(key, Key { settings: settings.clone(), locked, number });
    }

    fn cool(&mut self, scope: Scope, length: i64, cause: FailureClass) {
        let fixed = CooldownDuration::Fixed(Duration::from_millis(length.unsigned_abs()));
        self.desk.cooldowns.impose(self.now(), real(scope), fixed, (cause, None), 0.0);
        let until = self.now + length;
        match self.against.get_mut(&scope).filter(|against| against.until > self.now) {
            Some(cooling) if cooling.until >= until => {}
            Some(cooling) => (cooling.until, cooling.cause) = (until, cause),
            None => {
                let new = Against { until, cause, told: false, passed: false, tried: None };
                self.against.insert(scope, new);
            }
        }
    }

    fn let_go(&mut self, at: usize) {
        if !self.leases.is_empty() {
            let leased = self.leases.remove(at % self.leases.len());
            drop(leased.lease);
            self.free(&leased.passes);
        }
    }

    fn judge(&mut self, at: usize, judged: bool) {
        if self.leases.is_empty() {
            return;
        }
        let at = at % self.leases.len();
        let passes = std::mem::take(&mut self.leases[at].passes);
        let taken = self.leases[at].lease.take_passes();
        if judged {
            taken.into_iter().for_each(TrialPass::judged);
        } else {
            drop(taken);
            self.free(&passes);
        }
    }

    /// Others may try what these passes tried, unless somebody does already.
    fn free(&mut self, passes: &[(Scope, u32)]) {
        for (scope, pass) in passes {
            if let Some(against) = self.against.get_mut(scope)
                && against.tried.is_some_and(|(trying, _)| trying == *pass)
            {
                against.tried = None;
            }
        }
    }

    fn in_flight(&self, number: usize) -> usize {
        self.leases.iter().filter(|leased| leased.number == number).count()
    }

    /// Until when a scope is not to be chosen.
    fn kept(&self, scope: Scope) -> Option<(i64, FailureClass)> {
        let against = self.against.get(&scope)?;
        if against.until > self.now {
            return Some((against.until, against.cause));
        }
        match against.tried {
            // Worth another look a second later, or when the trial is over.
            Some((_, until)) if until > self.now && !against.passed => {
                Some((until.min(self.now + SECOND), against.cause))
            }
            _ => None,
        }
    }

    fn stands(&self, key: usize, model: usize, strategy: CredentialStrategy) -> Stands {
        let Key { settings, locked, number } = &self.keys[&key];
        let is_idle = strategy == CredentialStrategy::Weighted && settings.weight == 0;
        if !settings.enabled || *locked || is_idle {
            return Stands::Out;
        }
        let kept = [(key, None), (key, Some(model))].map(|scope| self.kept(scope));
        let kept: Vec<_> = kept.into_iter().flatten().collect();
        if let Some(last) = kept.iter().map(|(until, _)| *until).max() {
            let causes = kept.iter().filter(|(until, _)| *until == last);
            return Stands::Cooling(last, causes.map(|(_, cause)| *cause).collect());
        }
        let is_full = |limit| self.in_flight(*number) >= limit as usize;
        if settings.limit.is_some_and(is_full) { Stands::Busy } else { Stands::Ready }
    }

    /// What a request is told when none of these is ready.
    fn refusal(all: &[Stands]) -> Stands {
        if all.contains(&Stands::Busy) {
            return Stands::Busy;
        }
        let ends = all.iter().filter_map(|stands| match stands {
            Stands::Cooling(until, causes) => Some((*until, causes)),
            _ => None,
        });
        let Some(soonest) = ends.clone().map(|(until, _)| until).min() else { return Stands::Out };
        let causes = ends.filter(|(until, _)| *until == soonest).flat_map(|(_, causes)| causes);
        Stands::Cooling(soonest, causes.copied().collect())
    }

    fn lease(&mut self, wish: &Wish) -> Result<(), TestCaseError> {
        self.desk.strategy = STRATEGIES[wish.strategy];
        let tried: Vec<&str> = wish.tried.iter().map(|key| KEYS[*key]).collect();
        let preferred = wish.preferred.map(|key| KEYS[key]);
        let model = MODELS[wish.model];
        let leased = self.desk.lease_preferring(self.now(), model, &tried, preferred);

        let left = self.keys.keys().copied().filter(|key| !wish.tried.contains(key));
        let stands = |key| self.stands(key, wish.model, self.desk.strategy);
        let (left, all): (Vec<usize>, Vec<Stands>) = left.map(|key| (key, stands(key))).unzip();
        let ready = left.iter().zip(&all).filter(|(_, stands)| **stands == Stands::Ready);
        let ready: Vec<usize> = ready.map(|(key, _)| *key).collect();
        let lease = match leased {
            Ok(lease) => lease,
            Err(error) => {
                prop_assert!(ready.is_empty(), "{error:?} although {ready:?} are ready");
                let told = match error {
                    LeaseError::NoneLeft => Availability::None,
                    LeaseError::Busy => Availability::Busy,
                    LeaseError::Cooling { until, cause } => Availability::Cooling { until, cause },
                };
                let expected = Self::refusal(&all);
                prop_assert!(is_told(told, &expected), "{told:?} for {expected:?}");
                return Ok(());
            }
        };
        prop_assert!(!ready.is_empty(), "{} was leased, not {:?}", lease.id(), all);
        let chosen = self.choose(wish, &ready);
        prop_assert_eq!(lease.id().as_str(), KEYS[chosen]);
        self.note(lease, chosen, wish.model)
    }

    fn note(&mut self, lease: Lease, key: usize, model: usize) -> Result<(), TestCaseError> {
        let Key { settings, number, .. } = &self.keys[&key];
        let most = settings.limit.unwrap_or(u32::MAX);
        prop_assert!(self.all_stats[*number].in_flight() <= most, "above its limit");
        let mut passes = Vec::new();
        for scope in [(key, None), (key, Some(model))] {
            if let Some(against) = self.against.get_mut(&scope).filter(|a| !a.passed) {
                self.passes += 1;
                let is_refused = against.cause == FailureClass::RateLimit;
                let time = if is_refused { 5 * SECOND } else { 60 * SECOND };
                against.tried = Some((self.passes, self.now + time));
                passes.push((scope, self.passes));
            }
        }
        let tries: Vec<CooldownScope> = lease.passes.iter().map(|p| p.scope().clone()).collect();
        let expected: Vec<CooldownScope> = passes.iter().map(|(scope, _)| real(*scope)).collect();
        prop_assert_eq!(tries, expected, "each is tried by one alone");
        self.leases.push(Leased { lease, number: *number, passes });
        Ok(())
    }

    /// Whose turn it is among those that are ready, of whom there is one at least.
    fn choose(&mut self, wish: &Wish, ready: &[usize]) -> usize {
        if let Some(preferred) = wish.preferred.filter(|key| ready.contains(key)) {
            return preferred;
        }
        let priority = |key: &usize| self.keys[key].settings.priority;
        let highest = ready.iter().map(priority).max().unwrap();
        let tier: Vec<usize> = ready.iter().copied().filter(|k| priority(k) == highest).collect();
        if tier.len() == 1 {
            return tier[0];
        }
        match STRATEGIES[wish.strategy] {
            CredentialStrategy::RoundRobin => {
                let last = self.last[wish.model];
                let next = tier.iter().copied().find(|key| last.is_some_and(|last| *key > last));
                *self.last[wish.model].insert(next.unwrap_or(tier[0]))
            }
            CredentialStrategy::Weighted => self.weigh(wish.model, &tier),
            CredentialStrategy::FillFirst => tier[0],
            CredentialStrategy::LeastBusy => {
                let load = |key: &usize| self.in_flight(self.keys[key].number);
                tier.into_iter().min_by_key(|key| (load(key), *key)).unwrap()
            }
        }
    }

    /// Each gains its weight; who has most is served and pays for all.
    fn weigh(&mut self, model: usize, tier: &[usize]) -> usize {
        let members = tier.iter().map(|key| (*key, self.keys[key].settings.weight));
        let credits = &mut self.credits[model];
        if !members.clone().eq(credits.iter().map(|(key, weight, _)| (*key, *weight))) {
            *credits = members.map(|(key, weight)| (key, weight, 0)).collect();
        }
        for (_, weight, credit) in credits.iter_mut() {
            *credit += i64::from(*weight);
        }
        let total: i64 = credits.iter().map(|(_, weight, _)| i64::from(*weight)).sum();
        let most = credits.iter().map(|(_, _, credit)| *credit).max().unwrap();
        let winner = credits.iter_mut().find(|(_, _, credit)| *credit == most).unwrap();
        winner.2 -= total;
        winner.0
    }

    /// What holds at every moment.
    fn check(&self) -> Result<(), TestCaseError> {
        let (directory, health) = (self.desk.pool.directory(), self.desk.health());
        prop_assert_eq!(directory.of(&acme()).len(), self.keys.len());
        for pooled in directory.of(&acme()) {
            let key = KEYS.iter().position(|id| *id == pooled.credential.id.as_str()).unwrap();
            let is_same = Arc::ptr_eq(&pooled.stats, &self.all_stats[self.keys[&key].number]);
            prop_assert!(is_same, "{key} has lost what is counted");
        }
        for (number, stats) in self.all_stats.iter().enumerate() {
            prop_assert_eq!(stats.in_flight() as usize, self.in_flight(number));
        }
        for (model, strategy) in [0, 1].into_iter().flat_map(|m| STRATEGIES.map(|s| (m, s))) {
            let name = ModelName::parse(MODELS[model]).unwrap();
            let told =
                directory.availability(self.now(), &health, &acme(), &name, strategy, |_| true);
            let all: Vec<_> = self.keys.keys().map(|k| self.stands(*k, model, strategy)).collect();
            prop_assert_eq!(told == Availability::NotNeeded, all.is_empty());
            match all.iter().filter(|stands| **stands == Stands::Ready).count() {
                0 => prop_assert!(is_told(told, &Self::refusal(&all)), "{told:?} of {all:?}"),
                count => prop_assert_eq!(told, Availability::Ready(count.try_into().unwrap())),
            }
        }
        for (scope, against) in &self.against {
            let is_tried = against.tried.is_some_and(|(_, until)| until > self.now);
            let expected = !against.passed && against.until <= self.now && is_tried;
            let told = self.desk.cooldowns.is_being_tried(self.now(), &real(*scope));
            prop_assert_eq!(told, expected);
        }
        Ok(())
    }
}

fn is_told(told: Availability, expected: &Stands) -> bool {
    match (told, expected) {
        (Availability::None | Availability::NotNeeded, Stands::Out)
        | (Availability::Busy, Stands::Busy) => true,
        (Availability::Cooling { until, cause }, Stands::Cooling(end, causes)) => {
            until.as_millis() == *end && causes.contains(&cause)
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn leases_are_those_of_the_obvious_pool_and_all_is_given_back(
        keys in prop::collection::vec((settings(), prop::bool::weighted(0.1)), 1..=KEYS.len()),
        steps in steps(),
    ) {
        let mut world = World::new(&keys);
        for step in &steps {
            world.step(step)?;
        }
        while !world.leases.is_empty() {
            world.let_go(0);
        }
        world.check()?;
        prop_assert!(world.all_stats.iter().all(|stats| stats.in_flight() == 0));
        // Those that were judged and of which nothing more was heard may be tried again as well.
        world.now = world.now.max(START) + 100 * HOUR;
        for key in world.keys.keys().copied().collect::<Vec<_>>() {
            let tried = (0..KEYS.len()).filter(|other| *other != key).collect();
            world.lease(&Wish { model: 0, strategy: 0, tried, preferred: None })?;
            let Key { settings, locked, .. } = &world.keys[&key];
            prop_assert_eq!(world.leases.len(), usize::from(settings.enabled && !locked));
            world.let_go(0);
        }
    }
}
