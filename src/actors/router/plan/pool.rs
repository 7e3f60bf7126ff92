//! A pool to make plans in, for tests.

use std::time::Duration;

use super::*;
use crate::{
    actors::{
        credentials::CredentialPool,
        registry::builtin,
        router::{RouterView, course::Course, route_table::RouteTable},
    },
    domain::{
        cooldown::{CooldownScope, Length},
        credential::{Credential, CredentialSettings, StoredSecret},
        model::ServedModel,
        pattern::NamePattern,
        provider::Origin,
        route::{Alias, Route, RouteTarget},
        turns::Turn,
    },
};

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_000_000);

pub(super) fn model(name: &str) -> ModelName {
    ModelName::parse(name).unwrap()
}

pub(super) fn id(id: &str) -> ProviderId {
    ProviderId::parse(id).unwrap()
}

fn served(names: &[&str]) -> Vec<ServedModel> {
    names.iter().map(|name| ServedModel::named(model(name))).collect()
}

pub(super) fn provider(name: &str, priority: i32, models: &[&str]) -> Provider {
    let entries = builtin().unwrap();
    let openai = entries.iter().find(|entry| entry.id.as_str() == "openai").unwrap();
    Provider { id: id(name), priority, models: served(models), ..openai.to_provider() }
}

pub(super) fn key(provider: &ProviderId, n: usize) -> Credential {
    Credential {
        id: format!("{provider}_{n}").as_str().into(),
        provider_id: provider.clone(),
        settings: CredentialSettings::default(),
        origin: Origin::Api,
        secret: StoredSecret::Open("secret".into()),
        mask: "****".into(),
        fingerprint: format!("{provider}{n}"),
        created_at: NOW,
    }
}

/// A pool to make plans in.
pub(super) struct Pool {
    pub(super) view: RouterView,
    pub(super) providers: ProviderTable,
    pub(super) credentials: CredentialDirectory,
    pub(super) options: RouteOptions,
    pub(super) needs: Capabilities,
    pub(super) prompt_tokens: u64,
    pub(super) bound: Option<ProviderId>,
}

impl Pool {
    /// Providers, each with so many credentials.
    pub(super) fn new(rows: Vec<(Provider, usize)>) -> Self {
        let keys = rows.iter().flat_map(|(provider, n)| (0..*n).map(|n| key(&provider.id, n)));
        let pool = CredentialPool::new(keys.collect::<Vec<_>>());
        let rows = rows.into_iter().map(|(provider, n)| (Arc::new(provider), n));
        Self {
            view: RouterView::default(),
            providers: ProviderTable::new(rows.collect::<Vec<_>>()),
            credentials: pool.directory(&CooldownBook::default()),
            options: RouteOptions::default(),
            needs: Capabilities::NONE,
            prompt_tokens: 0,
            bound: None,
        }
    }

    /// One model `m` at providers of these names and priorities.
    pub(super) fn of(rows: &[(&str, i32)]) -> Self {
        Self::new(rows.iter().map(|(name, p)| (provider(name, *p, &["m"]), 1)).collect())
    }

    pub(super) fn routes(
        mut self,
        routes: Vec<Route>,
        aliases: Vec<Alias>,
        strategy: Strategy,
    ) -> Self {
        self.view.routes = Arc::new(RouteTable::new(routes, aliases, strategy));
        self
    }

    pub(super) fn strategy(self, strategy: Strategy) -> Self {
        self.routes(vec![], vec![], strategy)
    }

    pub(super) fn cool(&mut self, scope: CooldownScope, seconds: u64, cause: FailureClass) {
        let length = Length::Fixed(Duration::from_secs(seconds));
        self.view.cooldowns.impose(NOW, scope, length, (cause, None), 0.0);
    }

    pub(super) fn course(&self, asked: &str) -> Course {
        self.view.course(&model(asked), &self.providers)
    }

    pub(super) fn plan_at(&self, now: Timestamp, stage: &Stage, turn: Turn) -> Plan {
        let ask = Ask {
            now,
            options: &self.options,
            needs: self.needs,
            prompt_bytes: self.prompt_tokens * 4,
            prompt_tokens: &|| self.prompt_tokens,
            bound: self.bound.as_ref(),
        };
        self.view.plan(&ask, stage, &self.providers, &self.credentials, turn)
    }

    pub(super) fn plan(&self, asked: &str) -> Plan {
        self.plan_at(NOW, &self.course(asked).stages[0], Turn::Take)
    }

    /// The candidates for a name, as `provider/model`, best first.
    pub(super) fn picks(&self, asked: &str) -> Vec<String> {
        shown(&self.plan(asked))
    }

    pub(super) fn providers(&self, asked: &str) -> Vec<String> {
        let plan = self.plan(asked);
        plan.candidates.iter().map(|candidate| candidate.provider.id.to_string()).collect()
    }

    pub(super) fn reasons(&self, asked: &str) -> Vec<(String, ExclusionReason)> {
        let plan = self.plan(asked);
        plan.exclusions.iter().map(|e| (e.provider_id.to_string(), e.reason)).collect()
    }
}

pub(super) fn shown(plan: &Plan) -> Vec<String> {
    let pick = |candidate: &Candidate| format!("{}/{}", candidate.provider.id, candidate.model);
    plan.candidates.iter().map(pick).collect()
}

pub(super) fn target(provider: Option<&str>, name: Option<&str>, weight: u32) -> RouteTarget {
    RouteTarget { provider: provider.map(id), model: name.map(model), weight }
}

pub(super) fn route(name: &str, targets: Vec<RouteTarget>) -> Route {
    Route {
        name: NamePattern::parse(name).unwrap(),
        targets,
        strategy: None,
        fallbacks: vec![],
        hedge: true,
        origin: Origin::Api,
    }
}
