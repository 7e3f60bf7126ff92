//! The retry core and the rules of health against simulated providers, on virtual time. Each seed is one
//! pool, some requests and everything that goes wrong with them; after each the laws are checked. To see
//! one again: `RETRY_SEED=n`. To try more: `RETRY_SEEDS=1000000`.

mod drawn;
mod drive;
mod held;
mod ways;
mod world;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use drawn::{Drawn, DrawnProvider, MODELS, PIECES, Script};
use held::HeldAgainst;
use rand::{Rng as _, rngs::StdRng};
use ways::{Met, REFUSAL, Ways, cool_some};

use super::{
    policy::{Next, policy, tells_when},
    *,
};
use crate::{
    actors::{
        credentials::{Lease, LeaseRequest},
        router::{FallbackChain, Plan, pool},
    },
    domain::{
        cooldown::{TrialPass, Use},
        cooling::{CoolingRuleSettings, CoolingRules, CoolingSettings},
        health::{self, Purpose},
        provider::Location,
        rotation::TurnMode,
        route::Strategy,
        time::Timestamp,
    },
};

/// Seeds tried by default.
const SEEDS: u64 = 4_000;
/// Requests of one seed, one after the other.
const REQUESTS: usize = 3;
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
    stage: usize,
    lease: Option<Lease>,
    passes: Vec<TrialPass>,
    provider: usize,
    script: Script,
    /// Which of the provider's formats it is made in.
    format: usize,
    has_new_token: bool,
    /// What of its provider's ways it meets, instead of what is drawn for the call.
    met: Option<Met>,
    began: Duration,
}

/// One pool, and requests that come one after the other.
struct World {
    pool: pool::Pool,
    chain: FallbackChain,
    drawn: Drawn,
    ways: Vec<Ways>,
    purpose: Purpose,
    /// How often each provider was called.
    calls: Vec<usize>,
    rng: StdRng,
    soft: Option<Duration>,
    hard: Option<Duration>,
    limits: Limits,
    /// When the request arrived.
    arrived: Timestamp,
    /// The time since then.
    now: Duration,
    budget: u32,
    log: Vec<String>,
    seen: Seen,
    held: HeldAgainst,
}

/// What was seen of a request so far.
#[derive(Default)]
struct Seen {
    told: String,
    /// Candidates that were silent or stalled.
    silent: HashSet<Spot>,
    /// Candidates whose answer was cut.
    cut: HashSet<Spot>,
    asked: HashSet<Spot>,
    /// Providers that something was held against when the request came.
    cooled: HashSet<ProviderId>,
    /// Candidates whose model was missing when the request came: who is back is not looked for there.
    missing: HashSet<Spot>,
    /// Until when who met a rate limit is not asked again.
    limited: HashMap<(Spot, Option<CredentialId>), Duration>,
    /// Candidates that were asked to go on with a stream.
    resumed: HashSet<Spot>,
    /// Candidates that could not be asked when they were to be.
    unavailable: HashSet<Spot>,
    /// The stage that the last answer came from.
    stage: usize,
    is_budget_denied: bool,
    /// How often it was given one from the budget.
    taken: u32,
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

fn check(world: &World, finished: &Finished) {
    assert!(world.now <= world.limits.deadline + Duration::from_millis(1), "the deadline is kept");
    assert!(world.seen.most_under_way <= SLOTS);
    assert!(world.seen.waited <= world.limits.max_wait, "waited {:?}", world.seen.waited);
    let is_one_text = |whole: &dyn Fn(&str) -> bool| {
        world.drawn.providers.iter().any(|provider| whole(&provider.text.concat()))
    };
    match finished {
        Finished::Complete => {
            assert!(is_one_text(&|text| text == world.seen.told), "{:?}", world.seen.told);
        }
        _ => assert!(
            is_one_text(&|text| text.starts_with(&world.seen.told)),
            "{:?}",
            world.seen.told
        ),
    }
    // Somebody who is well, in any stage, is found.
    let is_nobody_asked = matches!(finished, Finished::Failed(End::NobodyAsked | End::Failed(_)));
    let is_there = |id: &str| world.seen.cooled.iter().all(|cooled| cooled.as_str() != id);
    let is_there = |id: &str| {
        let n = world.drawn.providers.iter().position(|provider| provider.id == id).unwrap();
        is_there(id) && world.ways[n].is_passable(world.drawn.providers[n].keys > 0)
    };
    if world.drawn.has_healthy(is_there) && is_nobody_asked {
        let may_stop = world.seen.stopped.is_some() || world.seen.is_too_long;
        assert!(may_stop, "somebody well was not asked");
    }
}

/// Plays a seed. Says whether the laws hold.
fn simulate(seed: u64) -> bool {
    let mut world = World::new(seed);
    let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..REQUESTS {
            world.arrive();
            let finished = world.run();
            check(&world, &finished);
        }
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
