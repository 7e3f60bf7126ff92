//! The state of cooldowns against a slow and obvious one, over random histories.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::{failure::MAX_HINT, id::ModelName};

const START: i64 = 1_000_000_000_000;
const SCOPES: usize = 2;
const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const CAUSE: (FailureClass, Option<u16>) = (FailureClass::Server, None);

/// One thing that happens, to the scope of this number.
#[derive(Debug, Clone)]
enum Step {
    /// The clock moves on by so many milliseconds, or back.
    Clock(i64),
    /// Seconds, or none for the doubling length; and the spread.
    Fail(usize, Option<i64>, f64),
    Enter(usize),
    /// The oldest pass is let go.
    Drop(usize),
    /// The owner of the oldest pass has told how it went.
    Judge(usize),
    Pass(usize),
    Succeed(usize),
    Clear(usize),
    Expire,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let scope = || 0..SCOPES;
    let clock = prop_oneof![
        4 => 0..20 * SECOND,
        2 => 0..2 * HOUR,
        1 => -90 * SECOND..0,
        1 => -2 * HOUR..0,
    ];
    let length = prop_oneof![
        3 => Just(None),
        1 => (1..=60_i64).prop_map(Some),
        1 => (1..=24 * HOUR / SECOND).prop_map(Some),
    ];
    let step = prop_oneof![
        4 => clock.prop_map(Step::Clock),
        3 => (scope(), length, 0.0..=1.0).prop_map(|(n, length, spread)| Step::Fail(n, length, spread)),
        4 => scope().prop_map(Step::Enter),
        1 => scope().prop_map(Step::Drop),
        1 => scope().prop_map(Step::Judge),
        1 => scope().prop_map(Step::Pass),
        1 => scope().prop_map(Step::Succeed),
        1 => scope().prop_map(Step::Clear),
        1 => Just(Step::Expire),
    ];
    prop::collection::vec(step, 1..120)
}

fn scope(number: usize) -> CooldownScope {
    let provider = ProviderId::parse("acme").unwrap();
    match number {
        0 => CooldownScope::Provider(provider),
        _ => CooldownScope::Credential(provider, "key_1".into()),
    }
}

/// What is held against a scope, in plain milliseconds.
#[derive(Debug, Clone, Default)]
struct Held {
    until: i64,
    strikes: u32,
    told: bool,
    passed: bool,
    /// Until when somebody tries it; 0 when nobody does.
    tried_until: i64,
    /// Numbers the cooldowns, so that a pass knows its own.
    number: u32,
}

/// A pass that somebody holds.
struct Holding {
    pass: TrialPass,
    number: u32,
    until: i64,
}

#[derive(Default)]
struct World {
    state: CooldownState,
    now: i64,
    held: BTreeMap<usize, Held>,
    passes: [Vec<Holding>; SCOPES],
    cooldowns: u32,
    /// The latest that the clock ever said.
    latest: i64,
}

/// 10 s, 20 s, 40 s … up to five minutes.
fn doubled(strikes: u32) -> i64 {
    let mut length = 10;
    for _ in 1..strikes {
        length = (length * 2).min(300);
    }
    length * SECOND
}

impl World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Clock(by) => {
                self.now += by;
                self.latest = self.latest.max(self.now);
            }
            Step::Fail(number, length, spread) => self.fail(number, length, spread)?,
            Step::Enter(number) => self.enter(number)?,
            Step::Drop(number) => self.let_go(number),
            Step::Judge(number) => {
                if !self.passes[number].is_empty() {
                    self.passes[number].remove(0).pass.judged();
                }
            }
            Step::Pass(number) => self.pass(number)?,
            Step::Succeed(number) => {
                let ended = self.state.succeeded(self.now(), &scope(number)).is_some();
                let is_over = self.held.get(&number).is_some_and(|held| held.until <= self.now);
                let is_told = self.held.get(&number).is_some_and(|held| held.told);
                prop_assert_eq!(ended, is_over && !is_told, "its end is told once");
                if is_over {
                    self.held.remove(&number);
                    prop_assert!(matches!(
                        self.state.enter_scope(self.now(), &scope(number)),
                        Ok(None)
                    ));
                }
            }
            Step::Clear(number) => {
                let cleared = self.state.clear(&scope(number)).is_some();
                let held = self.held.remove(&number);
                prop_assert_eq!(cleared, held.is_some_and(|held| !held.told));
            }
            Step::Expire => self.expire()?,
        }
        self.check()
    }

    fn fail(
        &mut self,
        number: usize,
        seconds: Option<i64>,
        spread: f64,
    ) -> Result<(), TestCaseError> {
        let before = self.held.get(&number).cloned().unwrap_or_default();
        let is_cooling = before.until > self.now;
        let strikes = before.strikes + u32::from(!is_cooling);
        let least = self.now + seconds.map_or(doubled(strikes), |seconds| seconds * SECOND);
        let length = match seconds {
            Some(seconds) => CooldownDuration::Fixed(Duration::from_secs(seconds.unsigned_abs())),
            None => CooldownDuration::Doubling {
                base: Duration::from_secs(10),
                cap: Duration::from_mins(5),
            },
        };
        let change = self.state.impose(self.now(), scope(number), length, CAUSE, spread);
        let after = self.state.active(self.now(), &scope(number)).expect("it has just been cooled");
        let until = after.until.as_millis();
        let most = least + ((least - self.now) / 10).min(30 * SECOND);
        prop_assert_eq!(after.strikes, strikes);
        prop_assert!(
            until >= least && until <= most.max(before.until),
            "{until} of {least} to {most}"
        );
        if is_cooling {
            prop_assert!(until >= before.until, "it shrank");
            prop_assert_eq!(change.is_some(), until > before.until);
            self.held.insert(number, Held { until, ..before });
            return Ok(());
        }
        prop_assert!(matches!(change, Some(CooldownChange::Started(_))));
        self.cooldowns += 1;
        let held = Held { until, strikes, number: self.cooldowns, ..Held::default() };
        self.held.insert(number, held);
        Ok(())
    }

    fn enter(&mut self, number: usize) -> Result<(), TestCaseError> {
        let entered = self.state.enter_scope(self.now(), &scope(number));
        let Some(held) = self.held.get_mut(&number) else {
            prop_assert!(matches!(entered, Ok(None)));
            return Ok(());
        };
        if held.until > self.now {
            prop_assert_eq!(entered.unwrap_err().0.as_millis(), held.until);
        } else if held.passed {
            prop_assert!(matches!(entered, Ok(None)), "it has passed its trial");
        } else if held.tried_until > self.now {
            // Worth another look a second later, or when the trial is over.
            let look = held.tried_until.min(self.now + SECOND);
            prop_assert_eq!(entered.unwrap_err().0.as_millis(), look);
        } else {
            let until = self.now + 60 * SECOND;
            held.tried_until = until;
            let Ok(Some(pass)) = entered else { panic!("nobody tries it: {entered:?}") };
            let in_time = |other: &Holding| other.number == held.number && other.until > self.now;
            prop_assert!(!self.passes[number].iter().any(in_time), "two try it at once");
            // The passes that have run out are let go late: the new one must not notice.
            self.passes[number].clear();
            self.passes[number].push(Holding { pass, number: held.number, until });
        }
        Ok(())
    }

    fn let_go(&mut self, number: usize) {
        if self.passes[number].is_empty() {
            return;
        }
        let dropped = self.passes[number].remove(0);
        if let Some(held) = self.held.get_mut(&number)
            && held.number == dropped.number
        {
            held.tried_until = 0;
        }
    }

    fn pass(&mut self, number: usize) -> Result<(), TestCaseError> {
        let is_news = self.state.passed(self.now(), &scope(number));
        let Some(held) = self.held.get_mut(&number).filter(|held| held.until <= self.now) else {
            prop_assert!(!is_news);
            return Ok(());
        };
        prop_assert_eq!(is_news, !held.passed);
        held.passed = true;
        prop_assert!(matches!(self.state.enter_scope(self.now(), &scope(number)), Ok(None)));
        Ok(())
    }

    fn expire(&mut self) -> Result<(), TestCaseError> {
        let told = self.state.expire(self.now()).len();
        let now = self.now;
        let due = self.held.values_mut().filter(|held| held.until <= now && !held.told);
        prop_assert_eq!(told, due.map(|held| held.told = true).count());
        self.held.retain(|_, held| now - held.until < HOUR);
        Ok(())
    }

    /// What holds at every moment.
    fn check(&self) -> Result<(), TestCaseError> {
        let cooling: Vec<_> = self
            .state
            .list(self.now())
            .into_iter()
            .map(|cooldown| (cooldown.scope, cooldown.until.as_millis(), cooldown.strikes))
            .collect();
        let expected = self.held.iter().filter(|(_, held)| held.until > self.now);
        let expected: Vec<_> =
            expected.map(|(number, held)| (scope(*number), held.until, held.strikes)).collect();
        prop_assert_eq!(cooling, expected);
        let longest = self.latest + 24 * HOUR + 30 * SECOND;
        for (number, held) in &self.held {
            prop_assert!(self.state.remembers_scope(&scope(*number)));
            prop_assert!(held.until <= longest, "it does not end");
        }
        prop_assert_eq!(self.state.scopes(&ScopeFilter::default()).len(), self.held.len());
        Ok(())
    }
}

proptest! {
    #[test]
    fn the_book_does_what_the_obvious_one_does(steps in steps()) {
        let mut world = World { now: START, latest: START, ..World::default() };
        for step in &steps {
            world.step(step)?;
        }
    }

    #[test]
    fn whatever_happened_everything_ends_and_lets_somebody_in(steps in steps()) {
        let mut world = World { now: START, latest: START, ..World::default() };
        for step in &steps {
            world.step(step)?;
        }
        let end = Timestamp::from_millis(world.latest).plus(MAX_HINT + MAX_JITTER + TRIAL_TIME);
        for number in 0..SCOPES {
            prop_assert!(world.state.enter_scope(end, &scope(number)).is_ok());
        }
        world.state.expire(end);
        prop_assert!(world.state.list(end).is_empty());
        world.state.expire(end.plus(STRIKE_MEMORY));
        prop_assert!(world.state.is_empty());
    }
}

proptest! {
    // Each fills a whole state.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn whatever_comes_in_the_book_keeps_to_its_bound(
        extra in prop::collection::vec((0..MAX_COOLDOWNS * 2, any::<bool>()), 1..40)
    ) {
        let model = |n: usize| {
            let name = ModelName::parse(&format!("m{n}")).unwrap();
            CooldownScope::ProviderModel(ProviderId::parse("acme").unwrap(), name)
        };
        let now = Timestamp::from_millis(START);
        let cooldown = |n| Cooldown {
            scope: model(n),
            cause: CAUSE.0,
            status: None,
            started_at: now,
            until: now.plus(Duration::from_mins(1)),
            strikes: 1,
        };
        let mut state = CooldownState::default();
        state.restore((0..MAX_COOLDOWNS + 5).map(cooldown));
        prop_assert_eq!(state.scopes(&ScopeFilter::default()).len(), MAX_COOLDOWNS);
        for (n, is_restored) in extra {
            if is_restored {
                state.restore([cooldown(n)]);
            } else {
                state.make_room();
                state.impose(now, model(n), CooldownDuration::Fixed(MAX_HINT), CAUSE, 0.0);
            }
            prop_assert!(state.entries.len() <= MAX_COOLDOWNS);
        }
    }
}
