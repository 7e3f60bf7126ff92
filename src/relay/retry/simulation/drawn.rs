//! What a seed stands for: a pool, what its providers do, and one request. Plain data, that the
//! simulation runs on virtual time and the tests of the API over sockets.

use rand::{Rng, SeedableRng as _, rngs::StdRng};

use super::{CoolingRuleSettings, CoolingSettings, FailureClass};

/// The models of a pool: what is asked for, and the fallbacks.
pub const MODELS: [&str; 3] = ["m", "f1", "f2"];
/// Pieces of an answer.
pub const PIECES: usize = 4;
const IDS: [&str; 4] = ["a", "b", "c", "d"];
const TEXTS: [[&str; PIECES]; 3] =
    [["pay ", "1", "0", "0"], ["pay ", "1", "0", " or less"], ["no", " such", " sum", "!"]];

/// What one call of a provider comes to. Times are milliseconds from when it is asked.
#[derive(Debug, Clone)]
pub enum Script {
    /// A good answer, with its pieces this far apart.
    Good { first: u64, pace: u64 },
    /// A failure instead of an answer.
    Fails { after: u64, class: FailureClass, hint: Option<u64> },
    /// Nothing, ever.
    Silent,
    /// A good beginning of so many pieces, and then a failure.
    Breaks { first: u64, pace: u64, pieces: usize, class: FailureClass },
}

/// A provider as it was drawn.
#[derive(Debug, Clone)]
pub struct DrawnProvider {
    pub id: &'static str,
    pub priority: i32,
    pub models: Vec<&'static str>,
    /// None: it is local, and needs no key.
    pub keys: usize,
    /// The pieces of its answers. Two providers of one pool say the same or not.
    pub text: [&'static str; PIECES],
    /// What its calls come to, in order; the last one is repeated.
    pub scripts: Vec<Script>,
    /// What is set of how its failures cool.
    pub cooling: Option<CoolingSettings>,
}

/// A pool and a request as they were drawn. Times are milliseconds.
#[derive(Debug, Clone)]
pub struct Drawn {
    pub providers: Vec<DrawnProvider>,
    /// Which of the providers the route of `m` names as its targets, in this order. Empty: it names none.
    pub targets: Vec<usize>,
    /// What that route sets of how failures cool.
    pub cooling: Option<CoolingSettings>,
    pub fallbacks: usize,
    pub hedge: bool,
    pub streamed: bool,
    pub deadline: u64,
    pub max_wait: u64,
    pub soft: Option<u64>,
    pub resumes: bool,
}

impl Script {
    /// What the call with this number comes to.
    pub fn of(scripts: &[Self], number: usize) -> &Self {
        &scripts[number.min(scripts.len() - 1)]
    }
}

impl DrawnProvider {
    /// Whether all that it ever says is a good answer, and that soon.
    pub fn is_healthy(&self) -> bool {
        let is_soon = |script: &Script| matches!(script, Script::Good { first, pace } if first + pace * 4 < 4_000);
        self.scripts.iter().all(is_soon)
    }
}

impl Drawn {
    pub fn of(seed: u64) -> (Self, StdRng) {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..=IDS.len());
        let fallbacks = rng.random_range(0..MODELS.len());
        let text = TEXTS[rng.random_range(0..TEXTS.len())];
        let providers: Vec<_> =
            IDS[..count].iter().map(|id| provider(&mut rng, id, fallbacks, text)).collect();
        // A provider of what is asked for may be a target, and be named or not.
        let serving = (0..count).filter(|n| providers[*n].models.contains(&"m"));
        let targets = if rng.random_bool(0.3) {
            serving.filter(|_| rng.random_bool(0.7)).collect()
        } else {
            Vec::new()
        };
        let streamed = rng.random_bool(0.5);
        let drawn = Self {
            providers,
            targets,
            cooling: cooling(&mut rng),
            fallbacks,
            hedge: rng.random_bool(0.8),
            streamed,
            deadline: rng.random_range(500..600_000),
            max_wait: rng.random_range(0..70_000),
            soft: rng.random_bool(0.7).then(|| rng.random_range(5_000..30_000)),
            resumes: rng.random_bool(0.9),
        };
        (drawn, rng)
    }

    /// Whether a request for `m` may be served with this model of a provider, itself or as a fallback.
    pub fn is_planned(&self, n: usize, provider: &DrawnProvider, model: &str) -> bool {
        let is_target = self.targets.is_empty() || self.targets.contains(&n);
        let is_stage = MODELS[..=self.fallbacks].contains(&model);
        is_stage && (is_target || model != MODELS[0]) && provider.models.contains(&model)
    }

    /// Whether somebody in the plan of the request is well, fallbacks included, and `is_there`.
    pub fn has_healthy(&self, is_there: impl Fn(&str) -> bool) -> bool {
        self.providers.iter().enumerate().any(|(n, provider)| {
            let is_planned = |model: &&str| self.is_planned(n, provider, model);
            let is_well = provider.is_healthy() && is_there(provider.id);
            is_well && provider.models.iter().any(is_planned)
        })
    }
}

fn provider(
    rng: &mut StdRng,
    id: &'static str,
    fallbacks: usize,
    text: [&'static str; PIECES],
) -> DrawnProvider {
    let has_all = rng.random_bool(0.2);
    let named = MODELS[..=fallbacks].iter().copied();
    let mut models: Vec<&str> = named.filter(|_| has_all || rng.random_bool(0.6)).collect();
    if models.is_empty() {
        models.push(MODELS[rng.random_range(0..=fallbacks)]);
    }
    let is_same = rng.random_bool(0.8);
    DrawnProvider {
        id,
        priority: rng.random_range(0..3),
        models,
        keys: rng.random_range(0..=2),
        text: if is_same { text } else { TEXTS[rng.random_range(0..TEXTS.len())] },
        scripts: (0..rng.random_range(1..=3)).map(|_| script(rng)).collect(),
        cooling: cooling(rng),
    }
}

fn cooling(rng: &mut StdRng) -> Option<CoolingSettings> {
    let is_set = rng.random_bool(0.4);
    is_set.then(|| CoolingSettings { server: rule(rng), overload: rule(rng) })
}

fn rule(rng: &mut StdRng) -> CoolingRuleSettings {
    let base_ms = rng.random_bool(0.5).then(|| rng.random_range(100..60_000));
    let longer = rng.random_bool(0.5).then(|| rng.random_range(0..200_000));
    CoolingRuleSettings {
        failures: rng.random_bool(0.7).then(|| rng.random_range(0..4)),
        window_ms: rng.random_bool(0.3).then(|| rng.random_range(1_000..120_000)),
        base_ms,
        // The default one may be below, which is refused.
        cap_ms: longer.map(|longer| base_ms.unwrap_or(100) + longer).or(base_ms),
    }
}

fn script(rng: &mut StdRng) -> Script {
    use FailureClass as C;
    let first = rng.random_range(1..3_000);
    let pace = rng.random_range(1..200);
    match rng.random_range(0..10) {
        0..=3 => Script::Good { first, pace },
        4 => Script::Silent,
        5 => Script::Good { first: rng.random_range(8_000..200_000), pace },
        6 => {
            let class = [C::Cut, C::Stalled, C::Server, C::Overload][rng.random_range(0..4)];
            Script::Breaks { first, pace, pieces: rng.random_range(0..=PIECES), class }
        }
        7 => Script::Fails {
            after: first,
            class: C::RateLimit,
            hint: rng.random_bool(0.6).then(|| rng.random_range(10..90_000)),
        },
        8 => {
            let hint = rng.random_bool(0.3).then(|| rng.random_range(10..60_000));
            let class = [C::Server, C::Overload, C::Connect][rng.random_range(0..3)];
            Script::Fails { after: first, class, hint }
        }
        _ => {
            let all = [
                C::ClientFault,
                C::ContextTooLong,
                C::Refusal,
                C::Auth,
                C::Payment,
                C::ModelMissing,
            ];
            Script::Fails { after: first, class: all[rng.random_range(0..all.len())], hint: None }
        }
    }
}
