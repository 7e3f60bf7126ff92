//! The choice of candidates: a pure function of the providers, what is held against them, and the
//! time.

mod exclusion;

use std::{collections::HashSet, sync::Arc};

pub use self::exclusion::{Exclusion, ExclusionReason};
use super::{
    fallback_chain::Stage,
    order::{Measured, Position, RankInput, Tiers, TurnCount, order},
};
use crate::{
    actors::{
        credentials::{Availability, CredentialDirectory},
        registry::{ListedProvider, ProviderStats, ProviderTable, Serving},
    },
    domain::{
        chat::Dialect,
        cooldown::Use,
        failure::FailureClass,
        health::HealthView,
        id::{CredentialId, ModelName, ProviderId},
        model::{Capabilities, ModelFacts, ModelKind},
        provider::{Endpoints, Location, Provider},
        rotation::TurnMode,
        route::{Mode, RouteOptions, RouteTarget, Strategy},
        time::Timestamp,
    },
};

/// One provider and model that could serve a request.
#[derive(Clone)]
pub struct Candidate {
    pub provider: Arc<Provider>,
    /// The upstream name.
    pub model: ModelName,
    /// Where it may be asked, and in which formats.
    pub endpoints: Arc<Endpoints>,
    /// Whether a credential has to be leased; a local provider may have none.
    pub needs_credential: bool,
    pub facts: ModelFacts,
    pub stats: Arc<ProviderStats>,
    /// By which it was put in its place; what the number means is the strategy's.
    pub score: f64,
    /// What the request needs and it is known to lack: asked only because the request allows it.
    pub lacks: Capabilities,
    /// Whether it speaks the client's dialect: equal ones that do are asked first.
    pub speaks: bool,
}

/// The candidates for one stage of a request, best first.
#[derive(Default)]
pub struct Plan {
    pub candidates: Vec<Candidate>,
    /// Those who serve the model and are not asked now. Who could never be asked is not named.
    pub exclusions: Vec<Exclusion>,
}

impl Plan {
    /// When the first of those left out for a while comes back, and why it was left out. A model that
    /// is missing there will still be missing.
    ///
    /// `is_of_use`: of a model of a provider, whether it matters when it comes back.
    pub fn soonest_back(
        &self,
        is_of_use: impl Fn(&ProviderId, &ModelName) -> bool,
    ) -> Option<(Timestamp, FailureClass)> {
        let ends = self.exclusions.iter().filter_map(|exclusion| match exclusion.reason {
            ExclusionReason::Cooling { until, cause } if cause != FailureClass::ModelMissing => {
                is_of_use(&exclusion.provider_id, &exclusion.model).then_some((until, cause))
            }
            _ => None,
        });
        ends.min_by_key(|(until, _)| *until)
    }

    /// Those who could be asked as soon as one of their requests is over.
    pub fn busy(&self) -> impl Iterator<Item = &Exclusion> {
        self.exclusions.iter().filter(|exclusion| exclusion.reason == ExclusionReason::Busy)
    }
}

/// What a request asks of its plan.
pub struct PlanRequest<'a> {
    pub now: Timestamp,
    pub options: &'a RouteOptions,
    /// The dialect that the client speaks.
    pub client: Dialect,
    /// Whether an answer is asked for, and not a count or embeddings.
    pub is_chat: bool,
    /// Whether it is asked for as a stream.
    pub is_streamed: bool,
    /// What the request needs, from its body.
    pub needs: Capabilities,
    /// So many tokens the prompt has at most, as its bytes show.
    pub prompt_bytes: u64,
    /// So many it has at least: asked when it may be more than a window takes.
    pub prompt_tokens: &'a dyn Fn() -> u64,
    /// Who served the session last.
    pub bound: Option<&'a ProviderId>,
    /// Whether the request does not try a credential again for a model of its provider.
    pub is_tried: &'a dyn Fn(&ProviderId, &ModelName, &CredentialId) -> bool,
}

/// What plans are made of.
pub struct PlanInputs<'a> {
    pub providers: &'a ProviderTable,
    pub credentials: &'a CredentialDirectory,
    pub health: &'a HealthView,
    /// The pool's own strategy.
    pub strategy: Strategy,
}

/// Among whom there is a turn to take.
#[derive(Debug, Clone, Copy)]
pub enum Among<'a> {
    /// The candidates of a name.
    Candidates,
    /// The models of one provider, when no model is named.
    ModelsOf(&'a ProviderId),
}

/// Says whose turn it is: the position among the members, which are sorted by id. A turn is only
/// looked at when somebody else will be asked first all the same.
pub type NextTurn<'a> =
    dyn FnMut(Among<'_>, TurnMode, &[(Position, u32)], TurnCount) -> Option<usize> + 'a;

/// The same, once it is settled whether turns are taken.
type Chosen<'a> = dyn FnMut(Among<'_>, &[(Position, u32)], TurnCount) -> Option<usize> + 'a;

/// Picks and orders the candidates for one stage.
pub fn plan(
    request: &PlanRequest<'_>,
    stage: &Stage,
    inputs: &PlanInputs<'_>,
    turns: &mut NextTurn<'_>,
) -> Plan {
    let mut entries = entries(stage, inputs.providers);
    let mut exclusions = Vec::new();
    let strategy = stage.strategy(request.options).unwrap_or(inputs.strategy);
    entries.retain_mut(|entry| match consider(request, stage, entry, inputs) {
        Ok(_) if strategy == Strategy::Weighted && entry.weight == 0 => {
            exclusions.push(exclusion(entry, ExclusionReason::NoWeight));
            false
        }
        Ok(slots) => {
            entry.slots = slots;
            entry.speaks = speaks(request, entry);
            true
        }
        Err(reason) => {
            exclusions.push(exclusion(entry, reason));
            false
        }
    });
    drop_small_windows(request, &mut entries, &mut exclusions);
    let first = request.options.prefer.as_ref().or(request.bound);
    let is_there =
        |id: &ProviderId| entries.iter().any(|entry| entry.serving.row.provider.id == *id);
    // Who is asked first whatever the turn leaves it to the next.
    let turn = if first.is_some_and(is_there) { TurnMode::Look } else { TurnMode::Take };
    let turns = &mut |among: Among<'_>, members: &[(Position, u32)], rotation| {
        turns(among, turn, members, rotation)
    };
    let tiers = match stage.targets() {
        _ if stage.is_across_tiers(request.options) => Tiers::Ignored,
        [] => Tiers::First,
        _ => Tiers::Last,
    };
    let mut candidates = if stage.mode.is_some() {
        rank_by_provider(request, (strategy, tiers), &entries, turns)
    } else {
        rank(request, (strategy, tiers), &entries, turns)
    };
    if let Some(first) = first {
        candidates.sort_by_key(|candidate| candidate.provider.id != *first);
    }
    for candidate in &mut candidates {
        candidate.lacks = candidate.facts.lacks(request.needs.union(request.options.required));
    }
    if request.options.relax {
        candidates.sort_by_key(|candidate| !candidate.lacks.is_empty());
    }
    Plan { candidates, exclusions }
}

/// One who serves the model, and its place in the route.
struct Entry<'t> {
    serving: Serving<'t>,
    place: usize,
    weight: u32,
    /// Credentials ready to be used, once it is considered.
    slots: u32,
    /// Whether it speaks the client's dialect, once it is considered.
    speaks: bool,
}

fn entries<'t>(stage: &'t Stage, table: &'t ProviderTable) -> Vec<Entry<'t>> {
    let entry = |serving| Entry { serving, place: 0, weight: 1, slots: 1, speaks: false };
    if stage.mode.is_some() {
        return table.shortlist().map(entry).collect();
    }
    let targets = stage.targets();
    if targets.is_empty() {
        return table.serving(&stage.model).map(entry).collect();
    }
    let mut entries = Vec::with_capacity(targets.len());
    let mut known = HashSet::with_capacity(targets.len());
    for (place, RouteTarget { provider, model, weight }) in targets.iter().enumerate() {
        let model = model.as_ref().unwrap_or(&stage.model);
        let add = |serving: Serving<'t>| {
            if known.insert((&serving.row.provider.id, serving.upstream)) {
                entries.push(Entry { place, weight: *weight, ..entry(serving) });
            }
        };
        match provider {
            Some(provider) => table.serving_at(provider, model).into_iter().for_each(add),
            None => table.serving(model).for_each(add),
        }
    }
    entries
}

fn exclusion(entry: &Entry<'_>, reason: ExclusionReason) -> Exclusion {
    let provider_id = entry.serving.row.provider.id.clone();
    Exclusion { provider_id, model: entry.serving.upstream.clone(), reason }
}

/// Whether one can be asked now, and with how many credentials.
fn consider(
    request: &PlanRequest<'_>,
    stage: &Stage,
    entry: &Entry<'_>,
    inputs: &PlanInputs<'_>,
) -> Result<u32, ExclusionReason> {
    let ListedProvider { provider, credentials, .. } = entry.serving.row;
    if stage.locked.is_some() {
        return Err(ExclusionReason::RouteUnreadable);
    }
    let options = request.options;
    if options.exclude.contains(&provider.id) {
        return Err(ExclusionReason::ExcludedByRequest);
    }
    let fits = |mode| match mode {
        Mode::Auto => true,
        Mode::Cloud => provider.location == Location::Cloud,
        Mode::Local => provider.location == Location::Local,
    };
    if !fits(options.mode) || !stage.mode.is_none_or(fits) {
        return Err(ExclusionReason::OtherMode);
    }
    if request.is_chat && entry.serving.facts.kind == ModelKind::Embedding {
        return Err(ExclusionReason::ForEmbeddings);
    }
    let capabilities = entry.serving.facts.lacks(request.needs.union(options.required));
    if !capabilities.is_empty() && !options.relax {
        return Err(ExclusionReason::Lacks { capabilities });
    }
    let (id, model) = (&provider.id, entry.serving.upstream);
    let used = Use { provider: id, credential: None, model };
    let strategy = provider.credential_strategy;
    let is_left = |credential: &CredentialId| !(request.is_tried)(id, model, credential);
    let availability =
        inputs.credentials.availability(request.now, inputs.health, id, model, strategy, is_left);
    // Without a credential nobody waits for the provider, and with one for both.
    let kept = inputs.health.kept_from(request.now, used);
    let availability = match (kept, availability) {
        (Some(kept), Availability::Cooling { until, .. }) if until < kept.0 => cooling(kept),
        (Some(kept), Availability::Ready(_) | Availability::Busy) => cooling(kept),
        (Some(kept), Availability::NotNeeded) if *credentials == 0 => cooling(kept),
        (_, availability) => availability,
    };
    match availability {
        Availability::Ready(slots) => Ok(slots),
        Availability::NotNeeded if *credentials == 0 => Ok(1),
        Availability::Busy => Err(ExclusionReason::Busy),
        Availability::Cooling { until, cause } => Err(ExclusionReason::Cooling { until, cause }),
        Availability::None | Availability::NotNeeded => Err(ExclusionReason::NoCredential),
    }
}

fn cooling((until, cause): (Timestamp, FailureClass)) -> Availability {
    Availability::Cooling { until, cause }
}

/// Leaves out those whose window is certainly too small, unless nobody would be left: then the
/// upstream may say it in its own words.
fn drop_small_windows(
    request: &PlanRequest<'_>,
    entries: &mut Vec<Entry<'_>>,
    exclusions: &mut Vec<Exclusion>,
) {
    let fits = |entry: &Entry<'_>| {
        let window = entry.serving.facts.context_tokens.unwrap_or(u64::MAX);
        request.prompt_bytes <= window || (request.prompt_tokens)() <= window
    };
    if entries.iter().all(fits) || !entries.iter().any(fits) {
        return;
    }
    entries.retain(|entry| {
        let fits = fits(entry);
        if !fits {
            exclusions.push(exclusion(entry, ExclusionReason::WindowTooSmall));
        }
        fits
    });
}

/// The candidates as the strategies see them.
fn contenders<'e>(
    request: &PlanRequest<'_>,
    strategy: Strategy,
    entries: &[&Entry<'e>],
) -> Vec<RankInput<'e>> {
    let mut contenders: Vec<_> = entries.iter().map(|entry| contender(entry)).collect();
    if strategy == Strategy::Latency {
        // Times are compared with their like: first events of streams, or whole answers. Where nobody
        // has any of what is asked for, the others say more than nothing.
        for is_streamed in [request.is_streamed, !request.is_streamed] {
            for (contender, entry) in contenders.iter_mut().zip(entries) {
                contender.latency = measured(entry, is_streamed);
            }
            if contenders.iter().any(|contender| contender.latency.is_some()) {
                break;
            }
        }
    }
    contenders
}

fn measured(entry: &Entry<'_>, is_streamed: bool) -> Option<Measured> {
    let (stats, model) = (&entry.serving.row.stats, entry.serving.upstream);
    let (mean, last) = if is_streamed {
        stats.mean_first_event(model)?
    } else {
        stats.mean_whole_answer(model)?
    };
    Some(Measured { mean, last })
}

/// Whether it is known to speak the client's dialect.
fn speaks(request: &PlanRequest<'_>, entry: &Entry<'_>) -> bool {
    let ListedProvider { endpoints, stats, .. } = entry.serving.row;
    let has_answered =
        |format| stats.formats().about(entry.serving.upstream).answered(format).is_some();
    endpoints.iter().any(|endpoint| {
        let is_known = || endpoints.basis.is_known() || has_answered(endpoint.format);
        endpoint.format.dialect() == request.client && is_known()
    })
}

fn contender<'e>(entry: &Entry<'e>) -> RankInput<'e> {
    let ListedProvider { provider, stats, .. } = entry.serving.row;
    RankInput {
        provider_id: &provider.id,
        model: entry.serving.upstream,
        place: entry.place,
        priority: provider.priority,
        weight: entry.weight,
        price: None,
        latency: None,
        in_flight: stats.in_flight(),
        slots: entry.slots,
        speaks: entry.speaks,
    }
}

fn candidate(entry: &Entry<'_>, score: f64) -> Candidate {
    let row = entry.serving.row;
    Candidate {
        provider: Arc::clone(&row.provider),
        model: entry.serving.upstream.clone(),
        endpoints: Arc::clone(&row.endpoints),
        needs_credential: row.credentials > 0,
        facts: entry.serving.facts,
        stats: Arc::clone(&row.stats),
        score,
        lacks: Capabilities::NONE,
        speaks: entry.speaks,
    }
}

fn rank(
    request: &PlanRequest<'_>,
    (strategy, tiers): (Strategy, Tiers),
    entries: &[Entry<'_>],
    turns: &mut Chosen<'_>,
) -> Vec<Candidate> {
    let contenders = contenders(request, strategy, &entries.iter().collect::<Vec<_>>());
    let ranked = order(request.now, (strategy, tiers), &contenders, &mut |members, rotation| {
        turns(Among::Candidates, members, rotation)
    });
    let mut candidates = Vec::with_capacity(ranked.len());
    candidates.extend(ranked.iter().map(|it| candidate(&entries[it.index], it.score)));
    candidates
}

/// When no model is named, the strategy orders the providers, and each of them is asked for all its
/// models before the next: the best first, those of the same rank in turn.
fn rank_by_provider(
    request: &PlanRequest<'_>,
    (strategy, tiers): (Strategy, Tiers),
    entries: &[Entry<'_>],
    turns: &mut Chosen<'_>,
) -> Vec<Candidate> {
    let id = |at: usize| &entries[at].serving.row.provider.id;
    let firsts: Vec<usize> =
        (0..entries.len()).filter(|at| *at == 0 || id(*at) != id(at - 1)).collect();
    let of_firsts: Vec<&Entry<'_>> = firsts.iter().map(|at| &entries[*at]).collect();
    let contenders = contenders(request, strategy, &of_firsts);
    let ranked = order(request.now, (strategy, tiers), &contenders, &mut |members, rotation| {
        turns(Among::Candidates, members, rotation)
    });
    let mut candidates = Vec::with_capacity(entries.len());
    for place in ranked {
        let first = firsts[place.index];
        let is_its = |entry: &&Entry<'_>| entry.serving.row.provider.id == *id(first);
        let mut models: Vec<&Entry<'_>> = entries[first..].iter().take_while(is_its).collect();
        let rank = |entry: &Entry<'_>| entry.serving.facts.auto_rank;
        let equals = models.partition_point(|entry| rank(entry) == rank(models[0]));
        if equals > 1 {
            let id = |entry: &Entry<'_>| entry.serving.upstream.clone();
            let provider = &models[0].serving.row.provider.id;
            let mut members: Vec<(Position, u32)> =
                models[..equals].iter().map(|e| ((provider.clone(), id(e)), 1)).collect();
            members.sort();
            let turn = turns(Among::ModelsOf(provider), &members, TurnCount::Slots);
            let named = |at: usize| models.iter().position(|e| id(e) == members[at].0.1);
            if let Some(at) = turn.and_then(named) {
                models[..equals].rotate_left(at);
            }
        }
        candidates.extend(models.into_iter().map(|entry| candidate(entry, place.score)));
    }
    candidates
}

/// Why each of those who could not be asked in any case is left out: for a person who wonders.
pub fn never_asked(stage: &Stage, table: &ProviderTable) -> Vec<Exclusion> {
    let meant: HashSet<&ProviderId> =
        entries(stage, table).iter().map(|entry| &entry.serving.row.provider.id).collect();
    let serves_name: HashSet<&ProviderId> =
        table.serving(&stage.model).map(|serving| &serving.row.provider.id).collect();
    let reason = |row: &ListedProvider| {
        let ListedProvider { provider, credentials, .. } = row;
        if !provider.is_enabled(*credentials) {
            return Some(ExclusionReason::Disabled);
        }
        if provider.locked.is_some() {
            return Some(ExclusionReason::Locked);
        }
        if provider.base_url.is_none() {
            return Some(ExclusionReason::NoAddress);
        }
        if !provider.is_usable(*credentials) {
            return Some(ExclusionReason::NoCredential);
        }
        if meant.contains(&provider.id) {
            return None;
        }
        let is_left_out = serves_name.contains(&provider.id);
        Some(if is_left_out { ExclusionReason::NotInRoute } else { ExclusionReason::OtherModel })
    };
    let exclusion = |row: &ListedProvider| {
        let (provider_id, model) = (row.provider.id.clone(), model_at(&row.provider, stage));
        Some(Exclusion { provider_id, model: model.clone(), reason: reason(row)? })
    };
    table.rows().filter_map(exclusion).collect()
}

/// The model that a provider would be asked for, usable or not.
fn model_at<'s>(provider: &Provider, stage: &'s Stage) -> &'s ModelName {
    let is_there =
        |target: &&RouteTarget| target.provider.as_ref().is_none_or(|id| *id == provider.id);
    let models = stage.targets().iter().filter(is_there).map(|target| target.model.as_ref());
    let mut models = models.map(|model| model.unwrap_or(&stage.model));
    let is_listed =
        |model: &&ModelName| provider.models.iter().any(|listed| listed.name == **model);
    let first = models.clone().next().unwrap_or(&stage.model);
    models.find(is_listed).unwrap_or(first)
}

#[cfg(test)]
pub(crate) mod pool;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
