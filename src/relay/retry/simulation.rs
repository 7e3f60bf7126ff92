//! The retry core and the rules of health against simulated providers, on virtual time. Each seed is one
//! pool, one request and everything that goes wrong with it; after each run the laws are checked. To see
//! one again: `RETRY_SEED=n`. To try more: `RETRY_SEEDS=1000000`.

mod drawn;

use std::{collections::HashSet, sync::Arc, time::Duration};

use drawn::{Drawn, DrawnProvider, MODELS, PIECES, Script};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{
    actors::{
        credentials::{Lease, LeaseError, Wanted},
        router::{Course, pool},
    },
    domain::{
        cooldown::{CooldownScope, TrialPass, Use},
        health::Purpose,
        provider::Location,
        route::Strategy,
        time::Timestamp,
        turns::Turn,
    },
};

/// Seeds tried by default.
const SEEDS: u64 = 4_000;
/// Most seeds that are shown when the laws do not hold for them.
const MOST_SHOWN: usize = 12;

/// A model of a provider.
type Spot = (ProviderId, ModelName);

fn spot(candidate: &Candidate) -> Spot {
    (candidate.provider.id.clone(), candidate.model.clone())
}

/// An attempt that is under way, or that has answered.
struct Attempt {
    candidate: Candidate,
    lease: Option<Lease>,
    passes: Vec<TrialPass>,
    provider: usize,
    script: Script,
    began: Duration,
}

impl Attempt {
    /// When something comes of it: its answer, or its failure.
    fn due(&self, streamed: bool) -> Option<Duration> {
        let pieces = PIECES as u64;
        let after = match &self.script {
            Script::Good { first, .. } if streamed => *first,
            Script::Good { first, pace } => first + pace * pieces,
            Script::Fails { after, .. } => *after,
            Script::Silent => return None,
            Script::Breaks { first, pieces, .. } if streamed && *pieces > 0 => *first,
            Script::Breaks { first, pace, pieces, .. } => first + pace * (*pieces as u64),
        };
        Some(self.began + Duration::from_millis(after))
    }
}

/// One pool, one request.
struct World {
    pool: pool::Pool,
    course: Course,
    drawn: Drawn,
    /// How often each provider was called.
    calls: Vec<usize>,
    rng: StdRng,
    soft: Option<Duration>,
    hard: Option<Duration>,
    limits: Limits,
    now: Duration,
    budget: u32,
    told: String,
    log: Vec<String>,
    /// Candidates that were silent or stalled.
    silent: HashSet<Spot>,
    /// Candidates whose answer was cut.
    cut: HashSet<Spot>,
    asked: HashSet<Spot>,
    /// Providers that something was held against before the request came.
    cooled: HashSet<ProviderId>,
    /// Candidates that were asked to go on with a stream.
    resumed: HashSet<Spot>,
    /// Candidates that could not be asked when they were to be.
    unavailable: HashSet<Spot>,
    /// The stage that the last answer came from.
    stage: usize,
    is_budget_denied: bool,
    /// The failure after which nothing may be asked.
    stopped: Option<FailureClass>,
    /// Whether the prompt was too long for somebody: only larger windows are asked then.
    is_too_long: bool,
    waited: Duration,
    most_under_way: usize,
}

/// The attempts under way, and those that the next one of their slot may go on with.
#[derive(Default)]
struct AtWork {
    slots: [Option<Attempt>; SLOTS],
    kept: [Option<Attempt>; SLOTS],
}

enum Finished {
    Complete,
    Failed(End),
    BrokenOff,
}

fn at(now: Duration) -> Timestamp {
    pool::NOW.plus(now)
}

impl World {
    fn new(seed: u64) -> Self {
        let (drawn, mut rng) = Drawn::of(seed);
        let row = |drawn: &DrawnProvider| {
            let mut provider = pool::provider(drawn.id, drawn.priority, &drawn.models);
            if drawn.keys == 0 {
                (provider.location, provider.enabled) = (Location::Local, Some(true));
            }
            (provider, drawn.keys)
        };
        let target = |n: &usize| pool::target(Some(drawn.providers[*n].id), None, 1);
        let mut route = pool::route("m", drawn.targets.iter().map(target).collect());
        let fallbacks = &MODELS[1..=drawn.fallbacks];
        route.fallbacks = fallbacks.iter().map(|name| pool::model(name)).collect();
        route.hedge = drawn.hedge;
        let pool = pool::Pool::new(drawn.providers.iter().map(row).collect());
        let mut pool = pool.routes(vec![route], vec![], Strategy::Priority);
        let cooled = cool_some(seed, &drawn, &mut pool);
        Self {
            cooled,
            course: pool.course("m"),
            pool,
            calls: vec![0; drawn.providers.len()],
            soft: drawn.soft.map(Duration::from_millis),
            hard: if drawn.streamed { None } else { Some(Duration::from_mins(2)) },
            limits: Limits {
                deadline: Duration::from_millis(drawn.deadline),
                max_wait: Duration::from_millis(drawn.max_wait),
                pause: Duration::from_millis(200),
            },
            now: Duration::ZERO,
            budget: rng.random_range(0..12),
            drawn,
            rng,
            told: String::new(),
            log: Vec::new(),
            silent: HashSet::new(),
            stopped: None,
            is_too_long: false,
            waited: Duration::ZERO,
            cut: HashSet::new(),
            asked: HashSet::new(),
            resumed: HashSet::new(),
            unavailable: HashSet::new(),
            stage: 0,
            is_budget_denied: false,
            most_under_way: 0,
        }
    }

    /// What the next call of a provider comes to.
    fn call(&mut self, provider: usize) -> Script {
        let number = self.calls[provider];
        self.calls[provider] += 1;
        Script::of(&self.drawn.providers[provider].scripts, number).clone()
    }

    fn say(&mut self, what: impl FnOnce(&Self) -> String) {
        let line = what(self);
        self.log.push(format!("{:>9.3} {line}", self.now.as_secs_f64()));
    }

    fn stages(&self) -> Vec<StageRules> {
        let rules =
            |stage: &crate::actors::router::Stage| StageRules { may_hedge: stage.may_hedge() };
        self.course.stages.iter().map(rules).collect()
    }

    fn since(&self, moment: Timestamp) -> Duration {
        moment.since(pool::NOW).max(self.now)
    }

    fn show_plan(&mut self, planned: &Planned) {
        let shown: Vec<String> = planned
            .candidates
            .iter()
            .map(|candidate| format!("{}/{}", candidate.provider.id, candidate.model))
            .collect();
        self.say(|_| format!("  {} {:?}", shown.join(" "), planned.soonest));
    }

    fn planned(&self, stage: usize, turn: Turn) -> Planned {
        let plan = self.pool.plan_at(at(self.now), &self.course.stages[stage], turn);
        let soonest = plan.soonest_back().map(|(until, cause)| (self.since(until), cause));
        let has_busy = plan.busy().next().is_some();
        Planned { candidates: plan.candidates, soonest, has_busy }
    }

    fn enter(&mut self, retry: &Retry, slot: Slot) -> Result<Attempt, Unavailable> {
        let candidate = retry.candidate(slot).clone();
        let now = at(self.now);
        let cooling = |until, cause| Unavailable::Cooling(self.since(until), cause);
        let lease = if candidate.needs_credential {
            let tried: Vec<CredentialId> = retry.tried(slot).cloned().collect();
            let wanted = Wanted {
                provider: &candidate.provider.id,
                model: &candidate.model,
                strategy: candidate.provider.credential_strategy,
                tried: &tried,
                preferred: None,
            };
            let health = self.pool.health.view();
            Some(self.pool.credentials.lease(now, health, wanted).map_err(|error| match error {
                LeaseError::Cooling { until, cause } => cooling(until, cause),
                LeaseError::Busy => Unavailable::Busy,
                LeaseError::NoneLeft => Unavailable::NoCredential,
            })?)
        } else {
            None
        };
        let used =
            Use { provider: &candidate.provider.id, credential: None, model: &candidate.model };
        let entered = self.pool.health.view().enter(now, used);
        let passes = entered.map_err(|(until, cause)| cooling(until, cause))?;
        let of = |it: &DrawnProvider| it.id == candidate.provider.id.as_str();
        let provider = self.drawn.providers.iter().position(of).unwrap();
        let script = self.call(provider);
        Ok(Attempt { candidate, lease, passes, provider, script, began: self.now })
    }

    /// Holds a failure against whom it concerns.
    fn blame(&mut self, attempt: &mut Attempt, failure: &Failure) {
        let mut passes = std::mem::take(&mut attempt.passes);
        passes.extend(attempt.lease.as_mut().map(Lease::take_passes).unwrap_or_default());
        let key = attempt.lease.as_ref().map(|lease| lease.id().clone());
        let Candidate { provider, model, .. } = &attempt.candidate;
        let used = Use { provider: &provider.id, credential: key.as_ref(), model };
        for pass in passes {
            if Purpose::Answer.judges(pass.scope(), used, failure) {
                pass.judged();
            }
        }
        self.pool.note_failure(at(self.now), &attempt.candidate, key.as_ref(), failure);
        match failure.class {
            FailureClass::Silent | FailureClass::Stalled => {
                self.silent.insert(spot(&attempt.candidate));
            }
            FailureClass::Cut => {
                self.cut.insert(spot(&attempt.candidate));
            }
            _ => {}
        }
    }

    /// What comes of an attempt that is due.
    fn outcome(&mut self, attempt: &Attempt) -> Result<(), Failure> {
        let failed = |class, hint: Option<u64>| {
            let retry_after = hint.map(Duration::from_millis);
            Failure { retry_after, ..Failure::new(class, "simulated") }
        };
        match &attempt.script {
            Script::Good { .. } => Ok(()),
            Script::Breaks { pieces, .. } if self.drawn.streamed && *pieces > 0 => Ok(()),
            Script::Breaks { class, .. } => Err(failed(*class, None)),
            Script::Fails { class, hint, .. } => Err(failed(*class, *hint)),
            Script::Silent => unreachable!("it is never due"),
        }
    }

    fn text(&self, attempt: &Attempt) -> String {
        self.drawn.providers[attempt.provider].text.concat()
    }

    /// Whether what the attempt says goes on with what the client has.
    fn continues(&self, attempt: &Attempt) -> bool {
        let pieces = match &attempt.script {
            Script::Breaks { pieces, .. } => *pieces,
            _ => PIECES,
        };
        let said = self.drawn.providers[attempt.provider].text[..pieces].concat();
        said.starts_with(&self.told)
    }

    /// Drives the core until it has an answer, or ends.
    fn drive(&mut self, retry: &mut Retry, first: Event) -> Result<Attempt, End> {
        let mut at_work = AtWork::default();
        let mut event = first;
        for _ in 0..10_000 {
            assert!(self.now <= self.limits.deadline, "after the deadline");
            let action = retry.next(self.now, event);
            self.say(|_| format!("{action:?}"));
            event = match action {
                Action::Plan { stage, takes_turn } => {
                    let turn = if takes_turn { Turn::Take } else { Turn::Look };
                    let planned = self.planned(stage, turn);
                    self.show_plan(&planned);
                    Event::Planned(planned)
                }
                Action::Ask { slot, how, kind } => self.ask(retry, &mut at_work, slot, how, kind),
                Action::Abandon { slot, failure } => {
                    let abandoned = at_work.slots[slot].take();
                    let mut attempt = abandoned.expect("something is under way there");
                    let taken = self.now.saturating_sub(attempt.began);
                    let is_over = |time: Option<Duration>| time.is_some_and(|time| time <= taken);
                    assert!(is_over(self.soft) || is_over(self.hard), "given up before its time");
                    self.blame(&mut attempt, &failure);
                    Event::Done
                }
                Action::TakeBudget { repeats_at } => {
                    let is_cooling = repeats_at.is_some_and(|slot| {
                        let Candidate { provider, model, .. } = retry.candidate(slot);
                        let used = Use { provider: &provider.id, credential: None, model };
                        self.pool.health.view().kept_from(at(self.now), used).is_some()
                    });
                    let is_granted = self.budget > 0 && !is_cooling;
                    self.budget -= u32::from(is_granted);
                    self.is_budget_denied |= !is_granted && !is_cooling;
                    self.say(|_| format!("  {is_granted}"));
                    Event::Budget { is_granted, random: self.rng.random_range(0.0..1.0) }
                }
                Action::Look { from, to } => self.look(retry, from, to),
                Action::Wait { until, for_others } => {
                    self.wait(retry, &mut at_work, until, for_others)
                }
                Action::Commit { slot, slow, stage } => {
                    self.stage = stage;
                    if let Some(mut attempt) = slow.and_then(|slow| at_work.slots[slow].take()) {
                        let silent = Failure::new(FailureClass::Silent, "slow");
                        self.blame(&mut attempt, &silent);
                    }
                    let mut attempt = at_work.kept[slot].take().expect("it has answered");
                    // Passed: what was on trial has answered.
                    attempt.passes.drain(..).for_each(TrialPass::judged);
                    return Ok(attempt);
                }
                Action::End(end) => return Err(end),
            };
        }
        panic!("it does not end");
    }

    /// Makes an attempt.
    fn ask(
        &mut self,
        retry: &Retry,
        at_work: &mut AtWork,
        slot: Slot,
        how: How,
        kind: AttemptKind,
    ) -> Event {
        assert!(at_work.slots[slot].is_none(), "two attempts in one slot");
        assert_eq!(self.stopped, None, "something was asked after a refusal");
        let entered = match (how, at_work.kept[slot].take()) {
            (How::Again, Some(last)) => {
                let script = self.call(last.provider);
                Ok(Attempt { script, began: self.now, ..last })
            }
            (_, last) => {
                drop(last);
                self.enter(retry, slot)
            }
        };
        let attempt = match entered {
            Ok(attempt) => attempt,
            Err(why) => {
                self.unavailable.insert(spot(retry.candidate(slot)));
                self.say(|_| format!("  {why:?}"));
                return Event::Unavailable { slot, why };
            }
        };
        let place = spot(&attempt.candidate);
        self.say(|_| format!("  {}/{}: {:?}", place.0, place.1, attempt.script));
        assert!(!self.silent.contains(&place), "what was silent was asked again");
        if kind == AttemptKind::Resume {
            assert!(self.resumed.insert(place.clone()), "it was asked twice to go on");
            let left = self.left(retry, self.stage, &self.resumed);
            let may_ask = !self.cut.contains(&place) || left.is_empty();
            assert!(may_ask, "what was cut was asked again before {left:?}");
        } else if self.cut.contains(&place) {
            let is_other_key = how == How::OtherCredential && self.resumed.contains(&place);
            assert!(is_other_key, "what was cut was asked again");
        }
        self.asked.insert(place);
        at_work.slots[slot] = Some(attempt);
        let under_way = at_work.slots.iter().flatten().count();
        self.most_under_way = self.most_under_way.max(under_way);
        Event::Started { slot, patience: Patience { soft: self.soft, hard: self.hard } }
    }

    /// Those that could be asked and are not among the `known`.
    fn left(&self, retry: &Retry, from: usize, known: &HashSet<Spot>) -> Vec<Spot> {
        let planned = (from..self.course.stages.len()).flat_map(|stage| {
            let candidates = self.planned(stage, Turn::Look).candidates.into_iter();
            candidates.filter(move |candidate| !retry.excludes(candidate, stage))
        });
        let is_left = |it: &Spot| !known.contains(it) && !self.unavailable.contains(it);
        planned.map(|candidate| spot(&candidate)).filter(is_left).collect()
    }

    fn look(&mut self, retry: &Retry, from: usize, to: usize) -> Event {
        let plans: Vec<Planned> = (from..to).map(|stage| self.planned(stage, Turn::Look)).collect();
        let is_open = plans.iter().zip(from..).any(|(plan, stage)| {
            plan.candidates.iter().any(|candidate| !retry.excludes(candidate, stage))
        });
        let soonest = plans.iter().filter_map(|plan| plan.soonest).min_by_key(|it| it.0);
        self.say(|_| format!("  {is_open} {soonest:?}"));
        Event::Looked { is_open, soonest }
    }

    /// Lets time pass until something comes of an attempt, or the wait is over.
    fn wait(
        &mut self,
        retry: &Retry,
        at_work: &mut AtWork,
        until: Duration,
        for_others: bool,
    ) -> Event {
        assert!(until <= self.limits.deadline, "a wait past the deadline");
        if retry.under_way() == 0 && until.saturating_sub(self.now) > waits::WORTH_WAITING {
            let free = self.left(retry, 0, &self.asked);
            assert!(free.is_empty(), "a long wait before {free:?} were asked");
        }
        let due = (0..SLOTS)
            .filter_map(|slot| {
                Some((at_work.slots[slot].as_ref()?.due(self.drawn.streamed)?, slot))
            })
            .min()
            .filter(|(due, _)| *due <= until);
        let Some((due, slot)) = due else {
            if retry.under_way() == 0 {
                self.waited += until.saturating_sub(self.now);
            }
            self.now = self.now.max(until);
            return Event::Timer;
        };
        assert!(!for_others, "nobody waits for others beside an attempt");
        self.now = self.now.max(due);
        let mut attempt = at_work.slots[slot].take().expect("it is due");
        match self.outcome(&attempt) {
            Ok(()) if retry.is_resuming() && !self.continues(&attempt) => Event::Differs { slot },
            Ok(()) => {
                at_work.kept[slot] = Some(attempt);
                Event::Answered { slot }
            }
            Err(failure) => {
                self.blame(&mut attempt, &failure);
                self.is_too_long |= failure.class == FailureClass::ContextTooLong;
                if policy(&failure).next == Next::Stop {
                    self.stopped = Some(failure.class);
                }
                let credential = attempt.lease.as_ref().map(|lease| lease.id().clone());
                at_work.kept[slot] = Some(attempt);
                let failure = Arc::new(failure);
                Event::Failed { slot, failure, credential, remedy: None }
            }
        }
    }

    fn run(&mut self) -> Finished {
        let mut retry = Retry::new(self.limits, self.stages());
        let mut attempt = match self.drive(&mut retry, Event::Begin) {
            Ok(attempt) => attempt,
            Err(end) => {
                if matches!(end, End::Failed(_)) && self.stopped.is_none() && !self.is_budget_denied
                {
                    let left = self.left(&retry, 0, &self.asked);
                    assert!(left.is_empty(), "it was given up before {left:?} were asked");
                }
                return Finished::Failed(end);
            }
        };
        if !self.drawn.streamed {
            self.told = self.text(&attempt);
            return Finished::Complete;
        }
        loop {
            let text = self.drawn.providers[attempt.provider].text;
            let Script::Breaks { pace, pieces, class, .. } = attempt.script.clone() else {
                let whole = text.concat();
                assert!(whole.starts_with(&self.told), "{whole:?} after {:?}", self.told);
                self.told = whole;
                let key = attempt.lease.as_ref().map(|lease| lease.id().clone());
                self.pool.note_success(at(self.now), &attempt.candidate, key.as_ref());
                return Finished::Complete;
            };
            let said = text[..pieces].concat();
            assert!(said.starts_with(&self.told), "{said:?} after {:?}", self.told);
            self.told = said;
            let broken_at = self.now + Duration::from_millis(pace * pieces as u64);
            self.now = broken_at.min(self.limits.deadline);
            if self.now == self.limits.deadline {
                return Finished::Failed(End::Deadline);
            }
            let failure = Arc::new(Failure::new(class, "broke off"));
            self.say(|_| format!("broke off: {class:?}"));
            self.blame(&mut attempt, &failure);
            drop(attempt);
            let is_kept = self.drawn.resumes;
            let event = Event::Broken { failure: Arc::clone(&failure), is_kept };
            match self.drive(&mut retry, event) {
                Ok(next) => {
                    assert!(is_kept, "a stream that is not kept was gone on with");
                    attempt = next;
                }
                Err(end) => {
                    let may_resume = policy(&failure).resume != policy::Resume::Never && is_kept;
                    if may_resume && matches!(end, End::NotResumed) && !self.is_budget_denied {
                        let left = self.left(&retry, self.stage, &self.resumed);
                        assert!(
                            left.is_empty(),
                            "a stream was given up before {left:?} were asked"
                        );
                    }
                    return Finished::BrokenOff;
                }
            }
        }
    }
}

/// Lets something be held against some of the providers when the request comes.
fn cool_some(seed: u64, drawn: &Drawn, pool: &mut pool::Pool) -> HashSet<ProviderId> {
    let mut rng = StdRng::seed_from_u64(!seed);
    let mut cooled = HashSet::new();
    for provider in &drawn.providers {
        if !rng.random_bool(0.2) {
            continue;
        }
        let id = pool::id(provider.id);
        let scope = if rng.random_bool(0.5) {
            CooldownScope::Provider(id.clone())
        } else {
            CooldownScope::ProviderModel(id.clone(), pool::model(provider.models[0]))
        };
        let causes = [FailureClass::Server, FailureClass::Connect, FailureClass::RateLimit];
        let cause = causes[rng.random_range(0..causes.len())];
        pool.cool(scope, rng.random_range(1..20), cause);
        cooled.insert(id);
    }
    cooled
}

fn check(world: &World, finished: &Finished) {
    assert!(world.now <= world.limits.deadline + Duration::from_millis(1), "the deadline is kept");
    assert!(world.most_under_way <= SLOTS);
    assert!(world.waited <= world.limits.max_wait, "waited {:?}", world.waited);
    let is_one_text = |whole: &dyn Fn(&str) -> bool| {
        world.drawn.providers.iter().any(|provider| whole(&provider.text.concat()))
    };
    match finished {
        Finished::Complete => assert!(is_one_text(&|text| text == world.told), "{:?}", world.told),
        _ => assert!(is_one_text(&|text| text.starts_with(&world.told)), "{:?}", world.told),
    }
    // Somebody who is well, in any stage, is found.
    let is_nobody_asked = matches!(finished, Finished::Failed(End::NobodyAsked | End::Failed(_)));
    let is_there = |id: &str| world.cooled.iter().all(|cooled| cooled.as_str() != id);
    if world.drawn.has_healthy(is_there) && is_nobody_asked {
        let may_stop = world.stopped.is_some() || world.is_too_long;
        assert!(may_stop, "somebody well was not asked");
    }
}

/// Plays a seed. Says whether the laws hold.
fn simulate(seed: u64) -> bool {
    let mut world = World::new(seed);
    let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let finished = world.run();
        check(&world, &finished);
    }));
    if run.is_err() {
        println!("RETRY_SEED={seed}\n{}", world.log.join("\n"));
    }
    run.is_ok()
}

#[test]
fn the_laws_hold_for_whatever_providers_do() {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    let seeds = match number("RETRY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RETRY_SEEDS").unwrap_or(SEEDS),
    };
    let broken: Vec<u64> = seeds.filter(|seed| !simulate(*seed)).take(MOST_SHOWN).collect();
    assert!(broken.is_empty(), "the laws do not hold for {broken:?}");
}
