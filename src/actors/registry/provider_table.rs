//! The providers as everyone sees them, and the index by which those that serve a model are found.

use std::{cmp::Reverse, sync::Arc};

use foldhash::fast::RandomState;
use rpds::HashTrieMapSync;

use super::{model_catalog::ModelCatalog, provider_stats::ProviderStats};
use crate::domain::{
    id::{ModelName, ProviderId},
    model::{ModelFacts, ModelKind},
    provider::{Endpoints, Provider},
    sorted_list::SortedList,
    version_order::by_version,
};

/// Most models of one provider that the pool may choose from when the client names none.
pub const AUTO_SHORTLIST: usize = 8;

/// One provider as it is published.
#[derive(Clone)]
pub struct ListedProvider {
    pub provider: Arc<Provider>,
    /// How many usable credentials it has.
    pub credentials: usize,
    /// Where it takes requests, put together once.
    pub endpoints: Arc<Endpoints>,
    /// How it is doing right now. The same in every table as long as the provider exists.
    pub stats: Arc<ProviderStats>,
}

impl ListedProvider {
    pub fn new(provider: Arc<Provider>, credentials: usize, stats: Arc<ProviderStats>) -> Self {
        let endpoints = Arc::new(provider.endpoints());
        Self { provider, credentials, endpoints, stats }
    }

    /// Whether a request could go there.
    pub fn is_usable(&self) -> bool {
        !self.endpoints.is_empty() && self.provider.is_usable(self.credentials)
    }

    /// Where it stands in a table: before those that compare greater.
    fn rank(&self) -> impl Ord + use<'_> {
        (Reverse(self.provider.priority), &self.provider.id)
    }

    /// The places it adds to a pool.
    fn places(&self) -> usize {
        if self.is_usable() { self.credentials.max(1) } else { 0 }
    }

    /// Whether the index of a table says the same of both.
    fn is_indexed_like(&self, other: &Self) -> bool {
        let (a, b) = (&self.provider, &other.provider);
        self.is_usable() == other.is_usable() && a.priority == b.priority && a.models == b.models
    }
}

/// With vitals of its own: for a table that is looked at once.
#[cfg(test)]
impl From<(Arc<Provider>, usize)> for ListedProvider {
    fn from((provider, credentials): (Arc<Provider>, usize)) -> Self {
        Self::new(provider, credentials, Arc::default())
    }
}

/// One usable provider that serves a model.
#[derive(Clone, Copy)]
pub struct Serving<'t> {
    pub row: &'t ListedProvider,
    /// What the upstream calls the model.
    pub upstream: &'t ModelName,
    /// What the provider says of it, above what the catalogue knows.
    pub facts: ModelFacts,
}

/// A usable provider that lists a model.
#[derive(Clone)]
struct Listed {
    row: Arc<ListedProvider>,
    /// When it is not the name it is listed under.
    upstream: Option<ModelName>,
    facts: ModelFacts,
}

/// What is known of a name that some provider lists.
#[derive(Clone)]
struct Listing {
    /// Who lists it and is usable.
    by: SortedList<Listed>,
    /// How often it is listed, by whomever.
    count: usize,
    /// What the catalogue knows of a model of that name.
    catalogued: ModelFacts,
}

/// What the pool may choose from at one usable provider when no model is named.
#[derive(Clone)]
struct Short {
    row: Arc<ListedProvider>,
    models: Arc<[(ModelName, ModelFacts)]>,
}

/// Every provider, best first: by priority, highest first, then by id.
///
/// Copies share all that neither of them has changed since. So a change costs what it changes: the
/// row of a provider, and its place in the listings of its own models, which hold the row itself, since
/// they are read with each request. What was published before stays as it was.
///
/// All lists are in the order of the rows.
#[derive(Clone, Default)]
pub struct ProviderTable {
    rows: HashTrieMapSync<ProviderId, Arc<ListedProvider>, RandomState>,
    order: SortedList<Arc<ListedProvider>>,
    /// Of usable providers: their credentials, and those themselves that need none.
    places: usize,
    listings: HashTrieMapSync<ModelName, Listing, RandomState>,
    /// The usable providers that list no models and so take any name.
    any_name: SortedList<Arc<ListedProvider>>,
    shortlist: SortedList<Short>,
}

impl ProviderTable {
    pub fn new(providers: impl IntoIterator<Item: Into<ListedProvider>>) -> Self {
        let mut table = Self::default();
        for row in providers {
            table.put(row.into());
        }
        table
    }

    /// Adds a provider, or puts it in the place of the one of the same id.
    pub fn put(&mut self, row: ListedProvider) {
        let id = row.provider.id.clone();
        let row = Arc::new(row);
        match self.rows.get(&id).cloned() {
            Some(known) if known.is_indexed_like(&row) => self.replace(&known, &row),
            Some(known) => {
                self.unindex(&known);
                self.index(&row);
            }
            None => self.index(&row),
        }
        self.rows.insert_mut(id, row);
    }

    /// Takes a provider out, if it is there.
    pub fn remove(&mut self, id: &ProviderId) {
        if let Some(row) = self.rows.get(id).cloned() {
            self.unindex(&row);
            self.rows.remove_mut(id);
        }
    }

    /// Puts a row in the place of one of which the index says the same.
    fn replace(&mut self, known: &ListedProvider, row: &Arc<ListedProvider>) {
        let rank = |other: &Arc<ListedProvider>| other.rank().cmp(&row.rank());
        self.places = self.places - known.places() + row.places();
        for list in [&mut self.order, &mut self.any_name] {
            if let Some(listed) = list.find_mut(rank) {
                *listed = Arc::clone(row);
            }
        }
        if let Some(short) = self.shortlist.find_mut(|short| rank(&short.row)) {
            short.row = Arc::clone(row);
        }
        for model in &row.provider.models {
            let listing = self.listings.get_mut(&model.name);
            if let Some(listed) = listing.and_then(|it| it.by.find_mut(|listed| rank(&listed.row)))
            {
                listed.row = Arc::clone(row);
            }
        }
    }

    fn index(&mut self, row: &Arc<ListedProvider>) {
        let rank = |other: &Arc<ListedProvider>| other.rank().cmp(&row.rank());
        self.order.insert(Arc::clone(row), rank);
        self.places += row.places();
        let is_usable = row.is_usable();
        if is_usable && row.provider.models.is_empty() {
            self.any_name.insert(Arc::clone(row), rank);
        }
        let catalog = ModelCatalog::builtin();
        let mut chat_models = Vec::new();
        for model in &row.provider.models {
            if !self.listings.contains_key(&model.name) {
                let catalogued = catalog.facts(&model.name);
                let listing = Listing { by: SortedList::default(), count: 0, catalogued };
                self.listings.insert_mut(model.name.clone(), listing);
            }
            let listing = self.listings.get_mut(&model.name).expect("it was put there");
            listing.count += 1;
            if !is_usable {
                continue;
            }
            let renamed = model.upstream_name.as_ref().filter(|name| **name != model.name);
            let catalogued = renamed.map_or(listing.catalogued, |name| catalog.facts(name));
            let facts = model.facts(catalogued);
            let listed = Listed { row: Arc::clone(row), upstream: renamed.cloned(), facts };
            // Of a name that is listed twice, the first counts.
            let is_first = listing.by.insert(listed, |listed| rank(&listed.row));
            if is_first && facts.kind == ModelKind::Chat {
                chat_models.push((&model.name, model.upstream(), facts));
            }
        }
        let models = best_of(chat_models);
        if !models.is_empty() {
            let short = Short { row: Arc::clone(row), models };
            self.shortlist.insert(short, |short| rank(&short.row));
        }
    }

    /// Takes out of the index what it says of a row.
    fn unindex(&mut self, row: &ListedProvider) {
        let rank = |other: &Arc<ListedProvider>| other.rank().cmp(&row.rank());
        self.order.remove(rank);
        self.places -= row.places();
        self.any_name.remove(rank);
        self.shortlist.remove(|short| rank(&short.row));
        for model in &row.provider.models {
            let Some(listing) = self.listings.get_mut(&model.name) else { continue };
            listing.count -= 1;
            if listing.count == 0 {
                self.listings.remove_mut(&model.name);
            } else {
                listing.by.remove(|listed| rank(&listed.row));
            }
        }
    }

    /// All of them, best first.
    pub fn rows(&self) -> impl Iterator<Item = &ListedProvider> {
        self.order.iter().map(|row| &**row)
    }

    /// Those behind the one of this id. `None`: there is no such one.
    pub fn rows_after<'t>(
        &'t self,
        id: &ProviderId,
    ) -> Option<impl Iterator<Item = &'t ListedProvider> + use<'t>> {
        let known = self.rows.get(id)?;
        let after = self.order.iter_after(move |row| row.rank().cmp(&known.rank()));
        Some(after.map(|row| &**row))
    }

    /// Providers and how many usable credentials each has, best first.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<Provider>, usize)> {
        self.rows().map(|row| (&row.provider, row.credentials))
    }

    pub fn find_row(&self, id: &ProviderId) -> Option<&ListedProvider> {
        self.rows.get(id).map(|row| &**row)
    }

    pub fn find(&self, id: &ProviderId) -> Option<(&Arc<Provider>, usize)> {
        self.find_row(id).map(|row| (&row.provider, row.credentials))
    }

    /// Whether there is more than one place to go to, of providers or of credentials.
    pub fn has_choice(&self) -> bool {
        self.places > 1
    }

    /// Whether at least one provider could take a request.
    pub fn any_usable(&self) -> bool {
        self.places > 0
    }

    /// The usable providers that serve exactly this name, best first: those that list it, and those
    /// that list nothing. Costs one look-up, and then as much as there are of them.
    pub fn serving<'t>(&'t self, asked: &'t ModelName) -> impl Iterator<Item = Serving<'t>> {
        let listing = self.listings.get(asked);
        let listed = listing.into_iter().flat_map(|listing| listing.by.iter());
        let mut listed = listed.map(|listed| listed.show(asked)).peekable();
        let mut any_name = self.any_name.iter().peekable();
        let mut facts_there = listing.map(|listing| listing.catalogued);
        // Both are in the table's order, and no row is in both.
        std::iter::from_fn(move || {
            let any_is_next = match (listed.peek(), any_name.peek()) {
                (Some(listed), Some(row)) => row.rank() < listed.row.rank(),
                (_, row) => row.is_some(),
            };
            if !any_is_next {
                return listed.next();
            }
            let row = any_name.next()?;
            let facts = *facts_there.get_or_insert_with(|| ModelCatalog::builtin().facts(asked));
            Some(Serving { row, upstream: asked, facts })
        })
    }

    /// The provider of this id, if it is among those [serving](Self::serving) this name.
    pub fn serving_at<'t>(
        &'t self,
        provider: &ProviderId,
        asked: &'t ModelName,
    ) -> Option<Serving<'t>> {
        let row = self.rows.get(provider)?;
        let rank = |listed: &Listed| listed.row.rank().cmp(&row.rank());
        let listing = self.listings.get(asked);
        if let Some(listed) = listing.and_then(|listing| listing.by.find(rank)) {
            return Some(listed.show(asked));
        }
        if !row.provider.models.is_empty() || !row.is_usable() {
            return None;
        }
        let known = listing.map(|listing| listing.catalogued);
        let facts = known.unwrap_or_else(|| ModelCatalog::builtin().facts(asked));
        Some(Serving { row, upstream: asked, facts })
    }

    /// Whether some provider's list has this name, be it usable or not.
    pub fn lists(&self, name: &ModelName) -> bool {
        self.listings.contains_key(name)
    }

    /// Each name that a usable provider lists, once, in no order.
    pub fn listed_names(&self) -> impl Iterator<Item = &ModelName> {
        let served = self.listings.iter().filter(|(_, listing)| !listing.by.is_empty());
        served.map(|(name, _)| name)
    }

    /// What the pool may choose from when no model is named, best provider first: of each usable one
    /// at most [`AUTO_SHORTLIST`] chat models of its list, the highest rank first and among equals
    /// the newest. Models without a rank only where none has one.
    pub fn shortlist(&self) -> impl Iterator<Item = Serving<'_>> {
        self.shortlist.iter().flat_map(|short| {
            let row = &*short.row;
            short.models.iter().map(move |(upstream, facts)| Serving {
                row,
                upstream,
                facts: *facts,
            })
        })
    }
}

impl Listed {
    fn show<'t>(&'t self, asked: &'t ModelName) -> Serving<'t> {
        let upstream = self.upstream.as_ref().unwrap_or(asked);
        Serving { row: &self.row, upstream, facts: self.facts }
    }
}

/// The models of one provider, by name, that are preferred when none is named: what it calls them.
fn best_of(
    mut models: Vec<(&ModelName, &ModelName, ModelFacts)>,
) -> Arc<[(ModelName, ModelFacts)]> {
    if models.iter().any(|(_, _, facts)| facts.auto_rank.is_some()) {
        models.retain(|(_, _, facts)| facts.auto_rank.is_some());
    }
    models.sort_by(|(a_name, _, a), (b_name, _, b)| {
        let by_rank = Reverse(a.auto_rank).cmp(&Reverse(b.auto_rank));
        by_rank.then_with(|| by_version(b_name.as_str(), a_name.as_str()))
    });
    let best = models.into_iter().take(AUTO_SHORTLIST);
    best.map(|(_, upstream, facts)| (upstream.clone(), facts)).collect()
}

#[cfg(test)]
mod tests;
