//! A pool to make plans in, for tests.

use std::{sync::LazyLock, time::Duration};

use super::*;
use crate::{
    actors::{
        credentials::CredentialPool,
        registry::builtin,
        router::{RouterView, fallback_chain::FallbackChain, route_table::RouteTable},
    },
    domain::{
        cooldown::{CooldownDuration, CooldownScope},
        cooling::CoolingRules,
        credential::{Credential, CredentialSettings, StoredSecret},
        failure::Failure,
        health::{Attempted, Blamed, HealthState, Purpose},
        id::CredentialId,
        model::ServedModel,
        pattern::NamePattern,
        provider::Origin,
        rotation::TurnMode,
        route::{Alias, Route, RouteTarget},
    },
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000_000);

pub(crate) fn model(name: &str) -> ModelName {
    ModelName::parse(name).unwrap()
}

pub(crate) fn id(id: &str) -> ProviderId {
    ProviderId::parse(id).unwrap()
}

fn served(names: &[&str]) -> Vec<ServedModel> {
    names.iter().map(|name| ServedModel::named(model(name))).collect()
}

pub(crate) fn provider(name: &str, priority: i32, models: &[&str]) -> Provider {
    static OPENAI: LazyLock<Provider> = LazyLock::new(|| {
        let entries = builtin().unwrap();
        entries.iter().find(|entry| entry.id.as_str() == "openai").unwrap().to_provider()
    });
    Provider { id: id(name), priority, models: served(models), ..OPENAI.clone() }
}

pub(crate) fn key(provider: &ProviderId, n: usize) -> Credential {
    Credential {
        id: format!("{provider}_{n}").as_str().into(),
        provider_id: provider.clone(),
        settings: CredentialSettings::default(),
        origin: Origin::Api,
        secret: StoredSecret::open("secret"),
        mask: "****".into(),
        fingerprint: format!("{provider}{n}"),
        created_at: NOW,
    }
}

/// A pool to make plans in.
pub(crate) struct Pool {
    pub(crate) view: RouterView,
    pub(crate) providers: ProviderTable,
    pub(crate) credentials: CredentialDirectory,
    pub(crate) health: HealthState,
    pub(crate) options: RouteOptions,
    pub(crate) client: Dialect,
    pub(crate) is_streamed: bool,
    pub(crate) needs: Capabilities,
    pub(crate) prompt_tokens: u64,
    pub(crate) bound: Option<ProviderId>,
}

impl Pool {
    /// Providers, each with so many credentials.
    pub(crate) fn new(rows: Vec<(Provider, usize)>) -> Self {
        let keys = rows.iter().flat_map(|(provider, n)| (0..*n).map(|n| key(&provider.id, n)));
        let pool = CredentialPool::new(keys.collect::<Vec<_>>());
        let rows = rows.into_iter().map(|(provider, n)| (Arc::new(provider), n));
        Self {
            view: RouterView::default(),
            providers: ProviderTable::new(rows.collect::<Vec<_>>()),
            credentials: pool.directory(),
            health: HealthState::default(),
            options: RouteOptions::default(),
            client: Dialect::Chat,
            is_streamed: true,
            needs: Capabilities::NONE,
            prompt_tokens: 0,
            bound: None,
        }
    }

    /// One model `m` at providers of these names and priorities.
    pub(crate) fn of(rows: &[(&str, i32)]) -> Self {
        Self::new(rows.iter().map(|(name, p)| (provider(name, *p, &["m"]), 1)).collect())
    }

    pub(crate) fn routes(
        mut self,
        routes: Vec<Route>,
        aliases: Vec<Alias>,
        strategy: Strategy,
    ) -> Self {
        self.view.routes = Arc::new(RouteTable::new(routes, aliases, strategy));
        self
    }

    pub(crate) fn strategy(self, strategy: Strategy) -> Self {
        self.routes(vec![], vec![], strategy)
    }

    pub(crate) fn cool(&mut self, scope: CooldownScope, seconds: u64, cause: FailureClass) {
        let length = CooldownDuration::Fixed(Duration::from_secs(seconds));
        self.health.cooldowns().impose(NOW, scope, length, (cause, None), 0.0);
    }

    /// Holds a failed attempt against whom it concerns, by the rules of Health.
    pub(crate) fn note_failure(
        &mut self,
        now: Timestamp,
        candidate: &Candidate,
        credential: Option<&CredentialId>,
        failure: &Failure,
        purpose: Purpose,
        rules: &CoolingRules,
    ) -> Blamed {
        let (provider, model) = (&candidate.provider.id, &candidate.model);
        let attempted = Attempted {
            used: Use { provider, credential, model },
            failure,
            purpose,
            is_listed: true,
            usable: self.credentials.usable_count(provider),
        };
        self.health.failed(now, attempted, rules, 0.0)
    }

    /// Takes note of a good answer.
    pub(crate) fn note_success(
        &mut self,
        now: Timestamp,
        candidate: &Candidate,
        credential: Option<&CredentialId>,
    ) {
        let (provider, model) = (&candidate.provider.id, &candidate.model);
        self.health.succeeded(now, Use { provider, credential, model });
    }

    pub(crate) fn chain(&self, asked: &str) -> FallbackChain {
        self.view.chain(&model(asked), &self.providers)
    }

    pub(crate) fn plan_at(&self, now: Timestamp, stage: &Stage, turn: TurnMode) -> Plan {
        self.plan_for(now, stage, turn, &|_, _, _| false)
    }

    /// For a request that does not try some credentials again.
    pub(crate) fn plan_for(
        &self,
        now: Timestamp,
        stage: &Stage,
        turn: TurnMode,
        is_tried: &dyn Fn(&ProviderId, &ModelName, &CredentialId) -> bool,
    ) -> Plan {
        let request = PlanRequest {
            now,
            options: &self.options,
            client: self.client,
            is_chat: true,
            is_streamed: self.is_streamed,
            needs: self.needs,
            prompt_bytes: self.prompt_tokens * 4,
            prompt_tokens: &|| self.prompt_tokens,
            bound: self.bound.as_ref(),
            is_tried,
        };
        let health = self.health.view();
        self.view.plan(&request, stage, &self.providers, &self.credentials, health, turn)
    }

    pub(crate) fn plan(&self, asked: &str) -> Plan {
        self.plan_at(NOW, &self.chain(asked).stages[0], TurnMode::Take)
    }

    /// The candidates for a name, as `provider/model`, best first.
    pub(crate) fn picks(&self, asked: &str) -> Vec<String> {
        shown(&self.plan(asked))
    }

    pub(crate) fn providers(&self, asked: &str) -> Vec<String> {
        let plan = self.plan(asked);
        plan.candidates.iter().map(|candidate| candidate.provider.id.to_string()).collect()
    }

    pub(crate) fn reasons(&self, asked: &str) -> Vec<(String, ExclusionReason)> {
        let plan = self.plan(asked);
        plan.exclusions.iter().map(|e| (e.provider_id.to_string(), e.reason)).collect()
    }
}

pub(crate) fn shown(plan: &Plan) -> Vec<String> {
    let pick = |candidate: &Candidate| format!("{}/{}", candidate.provider.id, candidate.model);
    plan.candidates.iter().map(pick).collect()
}

pub(crate) fn target(provider: Option<&str>, name: Option<&str>, weight: u32) -> RouteTarget {
    RouteTarget { provider: provider.map(id), model: name.map(model), weight }
}

pub(crate) fn route(name: &str, targets: Vec<RouteTarget>) -> Route {
    Route {
        name: NamePattern::parse(name).unwrap(),
        targets,
        strategy: None,
        fallbacks: vec![],
        hedge: true,
        across_tiers: false,
        attempt_timeout_ms: None,
        cooling: None,
        origin: Origin::Api,
    }
}
