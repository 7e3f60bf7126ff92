//! What the providers of a seed do, and what is held against them.

use super::*;

impl Attempt {
    /// When something comes of it: its answer, or its failure.
    pub(super) fn due(&self, streamed: bool) -> Option<Duration> {
        if self.met.is_some() {
            return Some(self.began + REFUSAL);
        }
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

impl World {
    pub(super) fn new(seed: u64) -> Self {
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
            ways: Ways::of(seed, &drawn),
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

    /// Makes an attempt after another one of the same slot, or the first.
    pub(super) fn begin(&mut self, attempt: Attempt) -> Attempt {
        let ways = &self.ways[attempt.provider];
        let met = ways.meets(attempt.format, attempt.has_new_token, attempt.lease.is_some());
        let script =
            if met.is_some() { attempt.script.clone() } else { self.call(attempt.provider) };
        Attempt { script, met, began: self.now, ..attempt }
    }

    /// What the next call of a provider comes to.
    pub(super) fn call(&mut self, provider: usize) -> Script {
        let number = self.calls[provider];
        self.calls[provider] += 1;
        Script::of(&self.drawn.providers[provider].scripts, number).clone()
    }

    pub(super) fn say(&mut self, what: impl FnOnce(&Self) -> String) {
        let line = what(self);
        self.log.push(format!("{:>9.3} {line}", self.now.as_secs_f64()));
    }

    pub(super) fn stages(&self) -> Vec<StageRules> {
        let rules =
            |stage: &crate::actors::router::Stage| StageRules { may_hedge: stage.may_hedge() };
        self.course.stages.iter().map(rules).collect()
    }

    pub(super) fn since(&self, moment: Timestamp) -> Duration {
        moment.since(pool::NOW).max(self.now)
    }

    pub(super) fn show_plan(&mut self, planned: &Planned) {
        let shown: Vec<String> = planned
            .candidates
            .iter()
            .map(|candidate| format!("{}/{}", candidate.provider.id, candidate.model))
            .collect();
        self.say(|_| format!("  {} {:?}", shown.join(" "), planned.soonest));
    }

    pub(super) fn planned(&self, stage: usize, turn: Turn) -> Planned {
        let plan = self.pool.plan_at(at(self.now), &self.course.stages[stage], turn);
        let soonest = plan.soonest_back().map(|(until, cause)| (self.since(until), cause));
        let has_busy = plan.busy().next().is_some();
        Planned { candidates: plan.candidates, soonest, has_busy }
    }

    pub(super) fn enter(&mut self, retry: &Retry, slot: Slot) -> Result<Attempt, Unavailable> {
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
        let attempt = Attempt {
            candidate,
            lease,
            passes,
            provider,
            script: Script::Silent,
            format: 0,
            has_new_token: false,
            met: None,
            began: self.now,
        };
        Ok(self.begin(attempt))
    }

    /// Holds a failure against whom it concerns.
    pub(super) fn blame(&mut self, attempt: &mut Attempt, failure: &Failure) {
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
    pub(super) fn outcome(&mut self, attempt: &Attempt) -> Result<(), Failure> {
        let failed = |class, hint: Option<u64>| {
            let retry_after = hint.map(Duration::from_millis);
            Failure { retry_after, ..Failure::new(class, "simulated") }
        };
        match attempt.met {
            Some(Met::OldToken) => {
                return Err(Failure { status: Some(401), ..failed(FailureClass::Auth, None) });
            }
            Some(Met::NoSuchFormat(wrong, class)) => {
                return Err(Failure { wrong_format: Some(wrong), ..failed(class, None) });
            }
            None => {}
        }
        match &attempt.script {
            Script::Good { .. } => Ok(()),
            Script::Breaks { pieces, .. } if self.drawn.streamed && *pieces > 0 => Ok(()),
            Script::Breaks { class, .. } => Err(failed(*class, None)),
            Script::Fails { class, hint, .. } => Err(failed(*class, *hint)),
            Script::Silent => unreachable!("it is never due"),
        }
    }

    pub(super) fn text(&self, attempt: &Attempt) -> String {
        self.drawn.providers[attempt.provider].text.concat()
    }

    /// Whether what the attempt says goes on with what the client has.
    pub(super) fn continues(&self, attempt: &Attempt) -> bool {
        let pieces = match &attempt.script {
            Script::Breaks { pieces, .. } => *pieces,
            _ => PIECES,
        };
        let said = self.drawn.providers[attempt.provider].text[..pieces].concat();
        said.starts_with(&self.told)
    }
}
