//! What the Router publishes: all that a plan is made of, so that a request makes its own plan
//! without asking anyone.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{
    fallback_chain::{FallbackChain, Stage},
    order::{Position, TurnCount},
    plan::{Among, Plan, PlanInputs, PlanRequest, plan},
    route_table::RouteTable,
};
use crate::{
    actors::{credentials::CredentialDirectory, registry::ProviderTable},
    domain::{
        health::HealthView,
        id::{ModelName, ProviderId},
        rotation::{Rotation, TurnMode},
    },
};

/// Counts the requests of all worker threads, for the retry budget.
#[derive(Debug, Clone, Default)]
pub struct RequestCounter(Arc<AtomicU64>);

impl RequestCounter {
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The requests since it was last asked.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Whose turn it is among the candidates of each name. Shared by all worker threads: shares are
/// exact only when they are counted in one place. Locked for the arithmetic of one turn, and only
/// where a strategy goes by turns.
#[derive(Debug, Clone, Default)]
pub struct SharedTurns(Arc<Mutex<Rotation<TurnKey, Position>>>);

/// A name, and the provider when the turns are those of its models.
type TurnKey = (ModelName, Option<ProviderId>);

impl SharedTurns {
    fn next(
        &self,
        turn: TurnMode,
        key: &TurnKey,
        members: &[(Position, u32)],
        rotation: TurnCount,
    ) -> Option<usize> {
        // A turn is whole or not taken: whoever panicked while holding it has left it whole.
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (rotation, turn) {
            (TurnCount::Slots, TurnMode::Take) => turns.rotate(key, members),
            (TurnCount::Slots, TurnMode::Look) => turns.peek_rotate(key, members),
            (TurnCount::Weights, TurnMode::Take) => turns.weigh(key, members),
            (TurnCount::Weights, TurnMode::Look) => turns.peek_weigh(key, members),
        }
    }
}

/// The routes at one moment. Immutable but for counters and turns.
#[derive(Debug, Default)]
pub struct RouterView {
    pub(super) requests: RequestCounter,
    pub(super) routes: Arc<RouteTable>,
    pub(super) turns: SharedTurns,
}

impl RouterView {
    /// With counters and turns of its own.
    pub fn new(routes: Arc<RouteTable>) -> Self {
        Self { routes, ..Self::default() }
    }

    /// What the names that clients ask for lead to.
    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// Counts a request for the retry budget.
    pub fn count_request(&self) {
        self.requests.count();
    }

    /// Lays out what a name leads to.
    pub fn chain(&self, asked: &ModelName, providers: &ProviderTable) -> FallbackChain {
        FallbackChain::new(asked, &self.routes, |name| providers.lists(name))
    }

    /// Picks and orders the candidates for one stage.
    pub fn plan(
        &self,
        request: &PlanRequest<'_>,
        stage: &Stage,
        providers: &ProviderTable,
        credentials: &CredentialDirectory,
        health: &HealthView,
        turn: TurnMode,
    ) -> Plan {
        let strategy = self.routes.strategy();
        let inputs = PlanInputs { providers, credentials, health, strategy };
        plan(request, stage, &inputs, &mut |among, wanted, members, rotation| {
            let turn = if wanted == TurnMode::Look { TurnMode::Look } else { turn };
            let provider = match among {
                Among::Candidates => None,
                Among::ModelsOf(provider) => Some(provider.clone()),
            };
            let key = (stage.model.clone(), provider);
            self.turns.next(turn, &key, members, rotation)
        })
    }
}
