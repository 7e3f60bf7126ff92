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
            provider.cooling = drawn.cooling;
            (provider, drawn.keys)
        };
        let target = |n: &usize| pool::target(Some(drawn.providers[*n].id), None, 1);
        let mut route = pool::route("m", drawn.targets.iter().map(target).collect());
        let fallbacks = &MODELS[1..=drawn.fallbacks];
        route.fallbacks = fallbacks.iter().map(|name| pool::model(name)).collect();
        route.hedge = drawn.hedge;
        route.cooling = drawn.cooling;
        let pool = pool::Pool::new(drawn.providers.iter().map(row).collect());
        let mut pool = pool.routes(vec![route], vec![], Strategy::Priority);
        let held = HeldAgainst::of(cool_some(seed, &drawn, &mut pool));
        Self {
            held,
            purpose: Ways::purpose(seed, &drawn),
            ways: Ways::of(seed, &drawn),
            chain: pool.chain("m"),
            pool,
            calls: vec![0; drawn.providers.len()],
            soft: drawn.soft.map(Duration::from_millis),
            hard: if drawn.streamed { None } else { Some(Duration::from_mins(2)) },
            limits: Limits {
                deadline: Duration::from_millis(drawn.deadline),
                max_wait: Duration::from_millis(drawn.max_wait),
                pause: Duration::from_millis(200),
            },
            arrived: pool::NOW,
            now: Duration::ZERO,
            budget: rng.random_range(0..12),
            drawn,
            rng,
            log: Vec::new(),
            seen: Seen::default(),
        }
    }

    pub(super) fn at(&self) -> Timestamp {
        self.arrived.plus(self.now)
    }

    /// Lets a request arrive, some time after the one before: at once, later, or just when the first who is
    /// cooling is back.
    pub(super) fn arrive(&mut self) {
        let over = self.at();
        let first_back = self.held.first_back(over);
        self.arrived = match (self.rng.random_range(0..3), first_back) {
            (0, _) => over.plus(Duration::from_millis(self.rng.random_range(0..100_000))),
            (1, Some(until)) => until,
            _ => over,
        };
        (self.now, self.seen) = (Duration::ZERO, Seen::default());
        self.say(|world| format!("a request at {:?}", world.arrived));
        self.pool.health.expire(self.arrived);
        self.held.expire(self.arrived);
        self.seen.cooled = self.held.providers(self.arrived);
        let cooling = self.pool.health.view().cooldowns().list(self.arrived).into_iter();
        let missing = cooling.filter(|it| it.cause == FailureClass::ModelMissing);
        let missing =
            missing.filter_map(|it| Some((it.scope.provider().clone(), it.scope.model()?.clone())));
        self.seen.missing = missing.collect();
        self.check_plans();
    }

    /// Whoever no running cooldown is about is planned for, once nothing is under way.
    fn check_plans(&self) {
        for (stage, model) in MODELS[..=self.drawn.fallbacks].iter().enumerate() {
            let planned = self.planned(stage, TurnMode::Look).candidates;
            let planned: HashSet<Spot> = planned.iter().map(spot).collect();
            for (n, provider) in self.drawn.providers.iter().enumerate() {
                if !self.drawn.is_planned(n, provider, model) {
                    continue;
                }
                let it = (pool::id(provider.id), pool::model(model));
                let keys: Vec<CredentialId> =
                    (0..provider.keys).map(|n| pool::key(&it.0, n).id).collect();
                let is_kept = self.held.keeps_from(self.arrived, &it, &keys);
                assert_eq!(planned.contains(&it), !is_kept, "{it:?} is planned for");
            }
        }
    }

    /// Takes note of a complete answer.
    pub(super) fn answered(&mut self, attempt: &Attempt) {
        let key = attempt.lease.as_ref().map(Lease::id);
        let Candidate { provider, model, .. } = &attempt.candidate;
        let used = Use { provider: &provider.id, credential: key, model };
        if self.purpose == Purpose::Aside {
            return;
        }
        self.pool.note_success(self.at(), &attempt.candidate, key);
        let still = self.held.answered(self.at(), used);
        let is_held = self.pool.health.view().wants_success(used);
        assert_eq!(
            is_held,
            !still.is_empty(),
            "one good answer makes up for all, but for {still:?}"
        );
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
        self.chain.stages.iter().map(rules).collect()
    }

    pub(super) fn since(&self, moment: Timestamp) -> Duration {
        moment.since(self.arrived).max(self.now)
    }

    pub(super) fn show_plan(&mut self, planned: &Planned) {
        let shown: Vec<String> = planned
            .candidates
            .iter()
            .map(|candidate| format!("{}/{}", candidate.provider.id, candidate.model))
            .collect();
        self.say(|_| format!("  {} {:?}", shown.join(" "), planned.soonest));
    }

    /// As the next request will have it.
    pub(super) fn planned(&self, stage: usize, turn: TurnMode) -> Planned {
        let plan = self.pool.plan_at(self.at(), &self.chain.stages[stage], turn);
        self.shown(plan, |_, _| true)
    }

    /// As the request has it by now.
    pub(super) fn planned_for(&self, retry: &Retry, stage: usize, turn: TurnMode) -> Planned {
        let is_tried = |provider: &ProviderId, model: &ModelName, key: &CredentialId| {
            retry.has_tried(provider, model, key)
        };
        let plan = self.pool.plan_for(self.at(), &self.chain.stages[stage], turn, &is_tried);
        self.shown(plan, |provider, model| !retry.rules_out(provider, model))
    }

    fn shown(&self, plan: Plan, is_of_use: impl Fn(&ProviderId, &ModelName) -> bool) -> Planned {
        let soonest = plan.soonest_back(is_of_use);
        let soonest = soonest.map(|(until, cause)| (self.since(until), cause));
        let has_busy = plan.busy().next().is_some();
        Planned { candidates: plan.candidates, soonest, has_busy }
    }

    pub(super) fn enter(&mut self, retry: &Retry, slot: Slot) -> Result<Attempt, Unavailable> {
        let candidate = retry.candidate(slot).clone();
        let tried: Vec<CredentialId> = retry.tried(slot).cloned().collect();
        let wanted = LeaseRequest {
            provider: &candidate.provider.id,
            model: &candidate.model,
            strategy: candidate.provider.credential_strategy,
            tried: &tried,
            preferred: None,
        };
        let health = self.pool.health.view();
        let entered =
            self.pool.credentials.enter(self.at(), health, wanted, candidate.needs_credential);
        let (lease, passes) =
            entered.map_err(|error| Unavailable::of(error, |until| self.since(until)))?;
        let of = |it: &DrawnProvider| it.id == candidate.provider.id.as_str();
        let provider = self.drawn.providers.iter().position(of).unwrap();
        let attempt = Attempt {
            candidate,
            stage: retry.stage(slot),
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
        let key = attempt.lease.as_ref().map(|lease| lease.id().clone());
        let Candidate { provider, model, .. } = &attempt.candidate;
        let used = Use { provider: &provider.id, credential: key.as_ref(), model };
        self.purpose.judge(std::mem::take(&mut attempt.passes), used, failure);
        let of_route = self.chain.stages[attempt.stage].route.as_ref();
        let rules = CoolingRules::default()
            .with(provider.cooling)
            .with(of_route.and_then(|route| route.cooling));
        let (now, candidate) = (self.at(), &attempt.candidate);
        let (key, purpose) = (key.as_ref(), self.purpose);
        let blamed = self.pool.note_failure(now, candidate, key, failure, purpose, &rules);
        self.say(|_| format!("  held against: {:?}", blamed.changes));
        if purpose == Purpose::Aside || failure.rule.is_some() {
            assert!(blamed.changes.is_empty(), "nothing cools for it");
        } else {
            self.held.failed(now, used, failure, &rules, &blamed.changes);
        }
        if failure.class == FailureClass::RateLimit {
            let over = self.now + failure.retry_after.unwrap_or(Duration::from_secs(1));
            self.seen.limited.insert((spot(candidate), key.cloned()), over);
        }
        match failure.class {
            FailureClass::Silent | FailureClass::Stalled => {
                self.seen.silent.insert(spot(&attempt.candidate));
            }
            FailureClass::Cut => {
                self.seen.cut.insert(spot(&attempt.candidate));
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
        said.starts_with(&self.seen.told)
    }
}
