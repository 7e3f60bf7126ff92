//! Courses and plans against a slow and obvious reference, over random pools.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::{
    ProptestConfig, TestCaseError, any, prop_assert, prop_assert_eq, proptest,
};

use self::{
    drawn::{
        ALIASES, ASKED, Cooled, Drawn, DrawnRoute, Key, LISTED, PROVIDERS, ROUTES, Request, Row,
        drawn,
    },
    obvious::{Meant, Taken, lacking, second},
};
use super::{
    pool::{NOW, Pool, id, key, model, provider, shown},
    *,
};
use crate::{
    actors::{
        credentials::{CredentialPool, Lease, LeaseRequest},
        registry::InFlight,
    },
    domain::{
        cooldown::{CooldownScope, TrialPass},
        model::ServedModel,
        pattern::NamePattern,
        provider::{ApiFormat, Origin},
        rotation::TurnMode,
        route::{Alias, CredentialStrategy, Route, RouteTarget},
    },
};

mod drawn;
mod obvious;

/// The pool as it is drawn, and what keeps it so.
struct Real {
    pool: Pool,
    _leases: Vec<Lease>,
    _in_flight: Vec<InFlight>,
    passes: Vec<TrialPass>,
}

fn served(row: &Row) -> Vec<ServedModel> {
    let model = |listed: &drawn::Listed| ServedModel {
        upstream_name: listed.renamed.then(|| model(&upstream(listed))),
        capabilities: listed.capabilities,
        context_tokens: listed.window,
        auto_rank: listed.rank,
        ..ServedModel::named(model(LISTED[listed.name]))
    };
    row.models.iter().map(model).collect()
}

fn upstream(listed: &drawn::Listed) -> String {
    let name = LISTED[listed.name];
    if listed.renamed { format!("up/{name}") } else { name.to_owned() }
}

fn real_row(number: usize, row: &Row) -> Provider {
    let mut real = provider(PROVIDERS[number], row.priority, &[]);
    real.models = served(row);
    real.enabled = row.enabled;
    if !row.speaks {
        real.api_format = Some(ApiFormat::Anthropic);
    }
    real.location = if row.is_local { Location::Local } else { Location::Cloud };
    match row.flaw {
        0 => real.locked = Some("k1".into()),
        1 => real.base_url = None,
        _ => {}
    }
    real
}

fn real_route(route: &DrawnRoute) -> Route {
    let target = |target: &drawn::Target| RouteTarget {
        provider: target.provider.map(|number| id(PROVIDERS[number])),
        model: target.model.map(|number| model(ASKED[number])),
        weight: target.weight,
    };
    Route {
        name: NamePattern::parse(ROUTES[route.name]).unwrap(),
        targets: route.targets.iter().map(target).collect(),
        strategy: route.strategy.map(|number| Strategy::ALL[number]),
        fallbacks: route.fallbacks.iter().map(|number| model(ASKED[*number])).collect(),
        hedge: true,
        across_tiers: route.across_tiers,
        attempt_timeout_ms: None,
        cooling: None,
        origin: Origin::Api,
    }
}

fn scope(cooled: &Cooled) -> CooldownScope {
    let name = cooled.model.map(|number| model(LISTED[number]));
    CooldownScope::from_parts(id(PROVIDERS[cooled.provider]), None, name)
}

fn real(drawn: &Drawn) -> Real {
    let rows = drawn.rows.iter().enumerate().map(|(n, row)| (real_row(n, row), row.keys.len()));
    let alias = |number: &usize| Alias {
        name: NamePattern::parse(ALIASES[*number].0).unwrap(),
        model: NamePattern::parse(ALIASES[*number].1).unwrap(),
        origin: Origin::Api,
    };
    let mut pool = Pool::new(rows.collect()).routes(
        drawn.routes.iter().map(real_route).collect(),
        drawn.aliases.iter().map(alias).collect(),
        Strategy::ALL[drawn.strategy],
    );
    let (mut keys, mut busy) = (Vec::new(), Vec::new());
    for (number, row) in drawn.rows.iter().enumerate() {
        for (n, state) in row.keys.iter().enumerate().filter(|(_, state)| **state != Key::Gone) {
            let mut key = key(&id(PROVIDERS[number]), n);
            if *state == Key::Busy {
                key.settings.max_in_flight = Some(1);
                busy.push((key.provider_id.clone(), key.id.clone()));
            }
            if let Key::Cooling(seconds) = state {
                let scope = CooldownScope::Credential(key.provider_id.clone(), key.id.clone());
                pool.cool(scope, *seconds, FailureClass::RateLimit);
            }
            keys.push(key);
        }
    }
    let credentials = CredentialPool::new(keys);
    let idle = credentials.directory();
    let lease = |(provider, credential): (ProviderId, _)| {
        let wanted = LeaseRequest {
            provider: &provider,
            model: &model("m-1"),
            strategy: CredentialStrategy::FillFirst,
            tried: &[],
            preferred: Some(&credential),
        };
        idle.lease(NOW, &HealthView::default(), wanted).ok().unwrap()
    };
    let leases = busy.into_iter().map(lease).collect();
    pool.credentials = credentials.directory();
    let mut in_flight = Vec::new();
    for listed in pool.providers.rows() {
        let row = &drawn.rows[number(&listed.provider.id)];
        in_flight.extend((0..row.in_flight).map(|_| listed.stats.enter()));
        for name in names().iter().map(|name| model(name)) {
            if let Some(millis) = row.took(true) {
                listed.stats.note_first_event(NOW, &name, Duration::from_millis(millis));
            }
            if let Some(millis) = row.took(false) {
                listed.stats.note_whole_answer(NOW, &name, Duration::from_millis(millis));
            }
        }
    }
    for cooled in &drawn.cooled {
        pool.cool(scope(cooled), cooled.seconds, cause(cooled));
    }
    Real { pool, _leases: leases, _in_flight: in_flight, passes: Vec::new() }
}

fn number(provider: &ProviderId) -> usize {
    PROVIDERS.iter().position(|name| *name == provider.as_str()).unwrap()
}

/// Every name that anything may have upstream.
fn names() -> Vec<String> {
    let renamed = LISTED.iter().map(|name| format!("up/{name}"));
    let plain = ASKED.iter().chain(&["othe"]).map(|name| (*name).to_owned());
    renamed.chain(plain).collect()
}

fn cause(cooled: &Cooled) -> FailureClass {
    if cooled.is_missing { FailureClass::ModelMissing } else { FailureClass::Server }
}

impl Real {
    /// Lets somebody try what is to be tried at this second.
    fn go_to(&mut self, drawn: &Drawn, after: u64) {
        self.passes.clear();
        for cooled in drawn.cooled.iter().filter(|cooled| cooled.is_tried) {
            let pass =
                self.pool.health.view().cooldowns().enter_scope(second(after), &scope(cooled));
            self.passes.extend(pass.ok().flatten());
        }
    }

    fn request(&mut self, request: &Request) {
        let provider = |number: usize| id(PROVIDERS[number]);
        self.pool.options = RouteOptions {
            mode: request.mode,
            strategy: request.strategy.map(|number| Strategy::ALL[number]),
            across_tiers: request.across_tiers,
            exclude: request.exclude.iter().copied().map(provider).collect(),
            prefer: request.prefer.map(provider),
            required: request.required,
            relax: request.relax,
            strict: false,
        };
        self.pool.needs = request.needs;
        self.pool.is_streamed = request.is_streamed;
        self.pool.prompt_tokens = request.prompt;
        self.pool.bound = request.bound.map(provider);
    }

    fn check(
        &self,
        drawn: &Drawn,
        (stage, meant): (&Stage, &Meant<'_>),
        request: &Request,
        taken: &mut Taken,
    ) -> Result<(), TestCaseError> {
        let now = second(request.after);
        let looked = shown(&self.pool.plan_at(now, stage, TurnMode::Look));
        prop_assert_eq!(&looked, &shown(&self.pool.plan_at(now, stage, TurnMode::Look)));
        let plan = self.pool.plan_at(now, stage, TurnMode::Take);
        prop_assert_eq!(&looked, &shown(&plan), "a look says what is taken next");

        let (ordered, left_out) = drawn.plan(meant, request, taken);
        let expected = ordered.iter().map(|e| format!("{}/{}", PROVIDERS[e.provider], e.upstream));
        prop_assert_eq!(looked, expected.collect::<Vec<_>>());
        for (candidate, entry) in plan.candidates.iter().zip(&ordered) {
            prop_assert_eq!(candidate.lacks, lacking(entry, request));
            let has_keys = !drawn.rows[entry.provider].keys.is_empty();
            prop_assert_eq!(candidate.needs_credential, has_keys);
        }
        prop_assert_eq!(plan.exclusions.len(), left_out.len());
        for (entry, reasons) in &left_out {
            let is_it = |e: &&Exclusion| {
                number(&e.provider_id) == entry.provider && e.model.as_str() == entry.upstream
            };
            let reason = plan.exclusions.iter().find(is_it).map(|exclusion| exclusion.reason);
            let is_true = reason.is_some_and(|reason| reasons.contains(&reason));
            prop_assert!(is_true, "{reason:?} is none of {reasons:?} of {entry:?}");
        }
        let never = never_asked(stage, &self.pool.providers);
        let never: BTreeSet<usize> = never.iter().map(|e| number(&e.provider_id)).collect();
        let dead = (0..drawn.rows.len()).filter(|number| !drawn.is_usable(*number));
        prop_assert!(dead.collect::<BTreeSet<_>>().is_subset(&never));
        prop_assert!(ordered.iter().all(|entry| !never.contains(&entry.provider)));
        Ok(())
    }
}

proptest! {
    // Each makes a whole pool.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn courses_and_plans_are_those_of_the_obvious_pool(drawn in drawn()) {
        let (mut real, mut taken) = (real(&drawn), Taken::default());
        for request in &drawn.requests {
            real.go_to(&drawn, request.after);
            real.request(request);
            let asked = ASKED[request.asked];
            let chain = real.pool.chain(asked);
            let first = drawn.means(asked);
            let fallbacks = first.route.map_or(&[][..], |route| &route.fallbacks);
            let others = fallbacks.iter().map(|name| drawn.means(ASKED[*name]));
            let stages: Vec<Meant<'_>> = std::iter::once(drawn.means(asked)).chain(others).collect();
            prop_assert_eq!(chain.substitution.is_some(), first.name != asked);
            prop_assert_eq!(chain.stages.len(), stages.len(), "a chain ends");
            for (stage, meant) in chain.stages.iter().zip(&stages) {
                prop_assert_eq!(stage.model.as_str(), &meant.name);
                prop_assert_eq!(stage.mode, meant.mode);
                prop_assert_eq!(stage.route.as_deref().cloned(), meant.route.map(real_route));
                real.check(&drawn, (stage, meant), request, &mut taken)?;
            }
        }
    }

    #[test]
    fn over_a_whole_cycle_everybody_is_first_as_often_as_it_may(drawn in drawn(), weighted in any::<bool>()) {
        let mut real = real(&drawn);
        let strategy = if weighted { Strategy::Weighted } else { Strategy::RoundRobin };
        for request in &drawn.requests {
            real.go_to(&drawn, request.after);
            real.request(&Request { prefer: None, bound: None, relax: false, ..request.clone() });
            real.pool.options.strategy = Some(strategy);
            let stage = &real.pool.chain(ASKED[request.asked]).stages[0];
            let plan = || real.pool.plan_at(second(request.after), stage, TurnMode::Take);
            let mut all = plan().candidates;
            let (comes_first, _) = drawn.means(ASKED[request.asked]).tiers(request);
            let highest = all.iter().map(|candidate| candidate.provider.priority).max();
            all.retain(|it| !comes_first || Some(it.provider.priority) == highest);
            if stage.mode.is_some() || all.len() < 2 {
                continue;
            }
            let targets = stage.targets();
            let share = |candidate: &Candidate| {
                let provider = &candidate.provider.id;
                if !weighted {
                    return drawn.ready(number(provider), request.after).max(1);
                }
                let served = |name: &ModelName| candidate.provider.upstream_model(name);
                let target = targets.iter().find(|target| {
                    target.provider.as_ref().is_none_or(|meant| meant == provider)
                        && served(target.model.as_ref().unwrap_or(&stage.model))
                            == Some(candidate.model.clone())
                });
                target.map_or(1, |target| target.weight)
            };
            let cycle: u32 = all.iter().map(share).sum();
            let firsts: Vec<String> = (0..cycle).map(|_| shown(&plan())[0].clone()).collect();
            for candidate in &all {
                let name = format!("{}/{}", candidate.provider.id, candidate.model);
                let count = firsts.iter().filter(|first| **first == name).count();
                prop_assert_eq!(count, share(candidate) as usize, "{} of {:?}", name, firsts);
            }
        }
    }

    #[test]
    fn a_name_that_nothing_leads_elsewhere_is_served_under_that_name_alone(drawn in drawn()) {
        let real = real(&drawn);
        for asked in ["m", "m-12", "M-1", "m-1-latest", "n-2", "other-1", "up/m-1"] {
            let led = drawn.aliases.iter().map(|number| ALIASES[*number].0);
            let led = led.chain(drawn.routes.iter().map(|route| ROUTES[route.name]));
            if led.into_iter().any(|name| NamePattern::parse(name).unwrap().capture(asked).is_some()) {
                continue;
            }
            let chain = real.pool.chain(asked);
            prop_assert_eq!(chain.stages.len(), 1);
            for candidate in real.pool.plan_at(NOW, &chain.stages[0], TurnMode::Look).candidates {
                prop_assert_eq!(candidate.model.as_str(), asked);
                prop_assert!(candidate.provider.models.is_empty(), "it does not list {}", asked);
            }
        }
    }
}
