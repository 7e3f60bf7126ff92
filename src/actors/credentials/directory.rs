//! The credentials as they are published: a request leases one by itself, without asking anyone.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use foldhash::fast::RandomState;
use rpds::HashTrieMapSync;
use serde::Serialize;
use tokio::sync::Notify;

use super::{lease::Lease, messages::LeaseError};
use crate::domain::{
    cooldown::{CooldownScope, TrialPass, Use},
    credential::{Credential, StoredSecret},
    failure::FailureClass,
    health::HealthView,
    id::{CredentialId, ModelName, ProviderId},
    rotation::{Rotation, TurnMode},
    route::CredentialStrategy,
    running_stats::ResultRing,
    time::Timestamp,
};

/// One credential and its running readings, which outlive a change of its settings.
pub struct PooledKey {
    pub credential: Credential,
    pub stats: Arc<KeyStats>,
}

impl PooledKey {
    fn with<'a>(&'a self, model: &'a ModelName) -> Use<'a> {
        let Credential { provider_id: provider, id, .. } = &self.credential;
        Use { provider, credential: Some(id), model }
    }

    /// How it stands for a model.
    fn standing(
        &self,
        now: Timestamp,
        health: &HealthView,
        model: &ModelName,
        strategy: CredentialStrategy,
    ) -> Availability {
        let Self { credential, stats } = self;
        let settings = &credential.settings;
        let has_share = strategy != CredentialStrategy::Weighted || settings.weight > 0;
        if !credential.is_usable() || !has_share {
            return Availability::None;
        }
        if let Some((until, cause)) = health.kept_from(now, self.with(model)) {
            return Availability::Cooling { until, cause };
        }
        if settings.max_in_flight.is_some_and(|limit| stats.in_flight() >= limit) {
            return Availability::Busy;
        }
        Availability::Ready(1)
    }
}

/// What goes on with one credential: written by all threads at once.
#[derive(Default)]
pub struct KeyStats {
    in_flight: AtomicU32,
    pub results: ResultRing,
}

impl KeyStats {
    /// Requests under way with it.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes a place, if there is one. Never more than `limit` at once.
    fn enter(&self, limit: Option<u32>) -> bool {
        let limit = limit.unwrap_or(u32::MAX);
        let one_more = |count: u32| (count < limit).then(|| count + 1);
        self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more).is_ok()
    }
}

/// A place at a credential. Dropping it lets the next request in.
pub struct Slot {
    stats: Arc<KeyStats>,
    keys: Arc<ProviderKeysState>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.stats.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.keys.freed.notify_one();
    }
}

/// What a provider's credentials share, and keep when one comes or goes.
#[derive(Default)]
pub(super) struct ProviderKeysState {
    /// Held for the arithmetic of one turn, and only where there is more than one to choose from.
    turns: Mutex<Rotation<ModelName, CredentialId>>,
    freed: Notify,
}

/// The credentials of one provider.
#[derive(Default)]
pub(super) struct ProviderKeys {
    /// By priority, highest first, then by id.
    pooled: Vec<Arc<PooledKey>>,
    state: Arc<ProviderKeysState>,
}

impl ProviderKeys {
    pub(super) fn new(mut pooled: Vec<Arc<PooledKey>>, state: Arc<ProviderKeysState>) -> Self {
        pooled.sort_by(|a, b| {
            let (a, b) = (&a.credential, &b.credential);
            b.settings.priority.cmp(&a.settings.priority).then_with(|| a.id.cmp(&b.id))
        });
        Self { pooled, state }
    }

    pub(super) fn state(&self) -> &Arc<ProviderKeysState> {
        &self.state
    }

    pub(super) fn pooled(&self) -> &[Arc<PooledKey>] {
        &self.pooled
    }
}

/// The credentials of all providers. Copies share all that neither of them has changed since.
pub(super) type KeysByProvider = HashTrieMapSync<ProviderId, Arc<ProviderKeys>, RandomState>;

/// How a provider's credentials stand for one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// So many can be used now.
    Ready(u32),
    /// All that could be used serve as many requests as they may.
    Busy,
    /// The first comes back then.
    Cooling { until: Timestamp, cause: FailureClass },
    /// None can be used.
    None,
    /// The provider has none, and may take requests without one.
    NotNeeded,
}

/// How a credential stands, whatever the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    Active,
    /// Left alone for a while, for all models. What holds for single models does not count.
    Cooling,
    Disabled,
    /// Sealed under a master key that is not in use.
    Locked,
}

impl CredentialStatus {
    pub fn of(now: Timestamp, health: &HealthView, credential: &Credential) -> Self {
        let Credential { id, provider_id, settings, secret, .. } = credential;
        if matches!(secret, StoredSecret::Locked { .. }) {
            return Self::Locked;
        }
        if !settings.enabled {
            return Self::Disabled;
        }
        let cooldowns = health.cooldowns();
        let scope = || CooldownScope::Credential(provider_id.clone(), id.clone());
        let is_cooling = !cooldowns.is_empty() && cooldowns.active(now, &scope()).is_some();
        if is_cooling { Self::Cooling } else { Self::Active }
    }
}

/// Every credential. Immutable, but for readings and turns. What is held against them is told by
/// [`HealthView`].
#[derive(Default)]
pub struct CredentialDirectory {
    pub(super) keys_by_provider: KeysByProvider,
}

/// What a request wants of a lease.
#[derive(Clone, Copy)]
pub struct LeaseRequest<'a> {
    pub provider: &'a ProviderId,
    /// The upstream name.
    pub model: &'a ModelName,
    pub strategy: CredentialStrategy,
    /// Those that this request has tried.
    pub tried: &'a [CredentialId],
    /// Taken whenever it can be used, whatever the turn: it knows the session.
    pub preferred: Option<&'a CredentialId>,
}

impl CredentialDirectory {
    /// The credentials of a provider, by priority and id.
    pub fn of(&self, provider: &ProviderId) -> &[Arc<PooledKey>] {
        self.keys_by_provider.get(provider).map_or(&[], |keys| keys.pooled())
    }

    /// How many usable credentials each provider has. One not named has none.
    pub fn usable_counts(&self) -> HashMap<ProviderId, usize> {
        self.keys_by_provider.keys().map(|id| (id.clone(), self.usable_count(id))).collect()
    }

    /// How many usable credentials a provider has.
    pub fn usable_count(&self, provider: &ProviderId) -> usize {
        self.of(provider).iter().filter(|pooled| pooled.credential.is_usable()).count()
    }

    /// How the credentials of a provider stand for a model, those that `is_left` says, without taking any.
    pub fn availability(
        &self,
        now: Timestamp,
        health: &HealthView,
        provider: &ProviderId,
        model: &ModelName,
        strategy: CredentialStrategy,
        is_left: impl Fn(&CredentialId) -> bool,
    ) -> Availability {
        let all = self.of(provider);
        if all.is_empty() {
            return Availability::NotNeeded;
        }
        let mut best = Availability::None;
        let mut ready = 0;
        for pooled in all.iter().filter(|pooled| is_left(&pooled.credential.id)) {
            match pooled.standing(now, health, model, strategy) {
                Availability::Ready(_) => ready += 1,
                other => best = nearer(best, other),
            }
        }
        if ready > 0 { Availability::Ready(ready) } else { best }
    }

    /// Leases a credential: of the highest priority that has one to be used, the one whose turn it
    /// is; or the preferred one.
    ///
    /// Errors: [`LeaseError`].
    pub fn lease(
        &self,
        now: Timestamp,
        health: &HealthView,
        request: LeaseRequest<'_>,
    ) -> Result<Lease, LeaseError> {
        let keys = self.keys_by_provider.get(request.provider).ok_or(LeaseError::NoneLeft)?;
        let (mut usable, mut best) = keys.usable(now, health, request);
        if let Some(at) = preferred(&usable, request)
            && let Ok(lease) = keys.take(now, health, usable[at], request.model)
        {
            return Ok(lease);
        }
        while !usable.is_empty() {
            let at = keys.choose(request, first_tier(&usable), TurnMode::Take);
            match keys.take(now, health, usable[at], request.model) {
                Ok(lease) => return Ok(lease),
                // Somebody else was faster.
                Err(other) => best = nearer(best, other),
            }
            usable.remove(at);
        }
        Err(why_none(best))
    }

    /// Takes what one attempt needs: a credential, unless it can do without, and the right to try what of
    /// it is on trial.
    ///
    /// Errors: [`LeaseError`].
    pub fn enter(
        &self,
        now: Timestamp,
        health: &HealthView,
        request: LeaseRequest<'_>,
        needs_credential: bool,
    ) -> Result<(Option<Lease>, Vec<TrialPass>), LeaseError> {
        let lease = || self.lease(now, health, request);
        let mut lease = needs_credential.then(lease).transpose()?;
        let used = Use { provider: request.provider, credential: None, model: request.model };
        let entered = health.enter(now, used);
        let mut passes = entered.map_err(|(until, cause)| LeaseError::Cooling { until, cause })?;
        passes.extend(lease.iter_mut().flat_map(Lease::take_passes));
        Ok((lease, passes))
    }

    /// The credential that [`Self::lease`] would lease now. Takes nothing, no turn either.
    ///
    /// Errors: [`LeaseError`].
    pub fn would_lease(
        &self,
        now: Timestamp,
        health: &HealthView,
        request: LeaseRequest<'_>,
    ) -> Result<&Credential, LeaseError> {
        let keys = self.keys_by_provider.get(request.provider).ok_or(LeaseError::NoneLeft)?;
        let (usable, best) = keys.usable(now, health, request);
        if usable.is_empty() {
            return Err(why_none(best));
        }
        let next = || keys.choose(request, first_tier(&usable), TurnMode::Look);
        let at = preferred(&usable, request).unwrap_or_else(next);
        Ok(&usable[at].credential)
    }

    /// Waits until a request with a credential of this provider is over.
    pub fn freed(&self, provider: &ProviderId) -> Option<impl Future<Output = ()> + use<>> {
        let state = Arc::clone(self.keys_by_provider.get(provider)?.state());
        Some(async move { state.freed.notified().await })
    }
}

impl ProviderKeys {
    /// Those that can be used, by priority and id; and of the others the one that comes back first.
    fn usable(
        &self,
        now: Timestamp,
        health: &HealthView,
        request: LeaseRequest<'_>,
    ) -> (Vec<&Arc<PooledKey>>, Availability) {
        let mut best = Availability::None;
        let mut usable = Vec::with_capacity(self.pooled.len());
        for pooled in &self.pooled {
            if request.tried.contains(&pooled.credential.id) {
                continue;
            }
            match pooled.standing(now, health, request.model, request.strategy) {
                Availability::Ready(_) => usable.push(pooled),
                other => best = nearer(best, other),
            }
        }
        (usable, best)
    }

    /// Takes a credential for one attempt: its place, and the right to try it if it is on trial.
    fn take(
        &self,
        now: Timestamp,
        health: &HealthView,
        pooled: &Arc<PooledKey>,
        model: &ModelName,
    ) -> Result<Lease, Availability> {
        let credential = &pooled.credential;
        let StoredSecret::Open(secret) = &credential.secret else { return Err(Availability::None) };
        let entered = health.enter(now, pooled.with(model));
        let passes = entered.map_err(|(until, cause)| Availability::Cooling { until, cause })?;
        if !pooled.stats.enter(credential.settings.max_in_flight) {
            return Err(Availability::Busy);
        }
        let slot = Slot { stats: Arc::clone(&pooled.stats), keys: Arc::clone(&self.state) };
        Ok(Lease { pooled: Arc::clone(pooled), secret: Arc::clone(secret), _slot: slot, passes })
    }

    /// Whose turn it is among `tier`, which is not empty and sorted by id.
    fn choose(&self, request: LeaseRequest<'_>, tier: &[&Arc<PooledKey>], turn: TurnMode) -> usize {
        if tier.len() == 1 {
            return 0;
        }
        let model = request.model;
        let members = |share: fn(&Credential) -> u32| {
            let member = |pooled: &&Arc<PooledKey>| {
                (pooled.credential.id.clone(), share(&pooled.credential))
            };
            tier.iter().map(member).collect::<Vec<_>>()
        };
        // A turn is whole or not taken: whoever panicked while holding it has left it whole.
        let turns = || self.state.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = |credential: &Credential| credential.settings.weight;
        let chosen = match (request.strategy, turn) {
            (CredentialStrategy::RoundRobin, TurnMode::Take) => {
                turns().rotate(model, &members(|_| 1))
            }
            (CredentialStrategy::RoundRobin, TurnMode::Look) => {
                turns().peek_rotate(model, &members(|_| 1))
            }
            (CredentialStrategy::Weighted, TurnMode::Take) => {
                turns().weigh(model, &members(weight))
            }
            (CredentialStrategy::Weighted, TurnMode::Look) => {
                turns().peek_weigh(model, &members(weight))
            }
            (CredentialStrategy::FillFirst, _) => Some(0),
            (CredentialStrategy::LeastBusy, _) => {
                (0..tier.len()).min_by_key(|at| tier[*at].stats.in_flight())
            }
        };
        chosen.unwrap_or(0)
    }
}

/// Those of the highest priority, of some that are sorted by it.
fn first_tier<'u, 's>(usable: &'u [&'s Arc<PooledKey>]) -> &'u [&'s Arc<PooledKey>] {
    let priority = |pooled: &Arc<PooledKey>| pooled.credential.settings.priority;
    let tier = usable.partition_point(|pooled| priority(pooled) == priority(usable[0]));
    &usable[..tier]
}

/// Where the preferred one is, if it can be used.
fn preferred(usable: &[&Arc<PooledKey>], request: LeaseRequest<'_>) -> Option<usize> {
    let preferred = request.preferred?;
    usable.iter().position(|pooled| pooled.credential.id == *preferred)
}

fn why_none(best: Availability) -> LeaseError {
    match best {
        Availability::Busy => LeaseError::Busy,
        Availability::Cooling { until, cause } => LeaseError::Cooling { until, cause },
        Availability::None | Availability::NotNeeded | Availability::Ready(_) => {
            LeaseError::NoneLeft
        }
    }
}

/// Of two ways of not being there the one that is over first: a busy one may be free at any moment.
fn nearer(a: Availability, b: Availability) -> Availability {
    match (a, b) {
        (Availability::Busy, _) | (_, Availability::Busy) => Availability::Busy,
        (Availability::Cooling { until: first, .. }, Availability::Cooling { until, .. }) => {
            if first <= until {
                a
            } else {
                b
            }
        }
        (Availability::Cooling { .. }, _) => a,
        (_, other) => other,
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
pub(super) mod tests;
