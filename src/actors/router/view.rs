//! What the Router publishes: all that a plan is made of, so that a request makes its own plan
//! without asking anyone.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::plan::{Plan, PlanError, plan};
use crate::{
    actors::registry::ProviderTable,
    domain::{
        cooldown::{CooldownBook, CooldownScope},
        id::ModelName,
        penalty::ProviderFailures,
        provider::Provider,
        time::Timestamp,
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

/// The health of all providers at one moment. Immutable but for the counter.
#[derive(Debug, Default)]
pub struct RouterView {
    pub(super) cooldowns: CooldownBook,
    pub(super) failures: ProviderFailures,
    pub(super) requests: RequestCounter,
}

impl RouterView {
    /// Counts a request for the retry budget.
    pub fn count_request(&self) {
        self.requests.count();
    }

    /// Picks and orders the candidates for a model.
    pub fn plan(
        &self,
        now: Timestamp,
        asked: &ModelName,
        providers: &ProviderTable,
    ) -> Result<Plan, PlanError> {
        plan(now, asked, providers, &self.cooldowns)
    }

    /// Whether an answer of this provider is news to the Router. Most of the time it is not.
    pub fn wants_success(&self, provider: &Provider, model: &ModelName) -> bool {
        let whole = || CooldownScope::Provider(provider.id.clone());
        let with_model = || CooldownScope::ProviderModel(provider.id.clone(), model.clone());
        provider.last_error.is_some()
            || self.failures.remembers(&provider.id)
            || !self.cooldowns.is_empty()
                && (self.cooldowns.remembers(&whole()) || self.cooldowns.remembers(&with_model()))
    }
}
