//! The providers as everyone sees them, and the index by which those that serve a model are found.

use std::{cmp::Reverse, collections::HashMap, iter, sync::Arc};

use super::{model_catalog::ModelCatalog, vitals::ProviderVitals};
use crate::domain::{
    id::{ModelName, ProviderId},
    model::{ModelFacts, ModelKind},
    provider::{Endpoints, Provider},
    version_order::by_version,
};

/// Most models of one provider that the pool may choose from when the client names none.
pub const AUTO_SHORTLIST: usize = 8;

/// One provider as it is published.
pub struct ListedProvider {
    pub provider: Arc<Provider>,
    /// How many usable credentials it has.
    pub credentials: usize,
    /// Where it takes requests, put together once.
    pub endpoints: Arc<Endpoints>,
    /// How it is doing right now. The same in every table as long as the provider exists.
    pub vitals: Arc<ProviderVitals>,
}

impl ListedProvider {
    pub fn new(provider: Arc<Provider>, credentials: usize, vitals: Arc<ProviderVitals>) -> Self {
        let endpoints = Arc::new(provider.endpoints());
        Self { provider, credentials, endpoints, vitals }
    }

    /// Whether a request could go there.
    pub fn is_usable(&self) -> bool {
        !self.endpoints.is_empty() && self.provider.is_usable(self.credentials)
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

/// A model that a usable provider lists.
#[derive(Clone)]
struct Listed {
    row: usize,
    upstream: ModelName,
    facts: ModelFacts,
}

/// What is known of a name that some provider lists.
#[derive(Default)]
struct Listing {
    /// Who lists it and is usable, by row.
    by: Vec<Listed>,
    /// What the catalogue knows of a model of that name.
    catalogued: ModelFacts,
}

/// Every provider, best first. Immutable.
#[derive(Default)]
pub struct ProviderTable {
    /// Sorted by priority, highest first, then by id.
    rows: Vec<ListedProvider>,
    numbers: HashMap<ProviderId, usize>,
    /// Of usable providers: their credentials, and those themselves that need none.
    places: usize,
    listings: HashMap<ModelName, Listing>,
    /// The rows of usable providers that list no models and so take any name.
    any_name: Vec<usize>,
    shortlist: Vec<Listed>,
}

impl ProviderTable {
    pub fn new(providers: impl IntoIterator<Item: Into<ListedProvider>>) -> Self {
        let mut rows: Vec<ListedProvider> = providers.into_iter().map(Into::into).collect();
        rows.sort_by(|a, b| {
            let (a, b) = (&a.provider, &b.provider);
            b.priority.cmp(&a.priority).then_with(|| a.id.cmp(&b.id))
        });
        let mut table = Self::default();
        for (number, row) in rows.iter().enumerate() {
            table.numbers.insert(row.provider.id.clone(), number);
            table.index(number, row);
        }
        Self { rows, ..table }
    }

    fn index(&mut self, number: usize, row: &ListedProvider) {
        let is_usable = row.is_usable();
        if is_usable {
            self.places += row.credentials.max(1);
        }
        if is_usable && row.provider.models.is_empty() {
            self.any_name.push(number);
        }
        let catalog = ModelCatalog::builtin();
        let mut chat_models = Vec::new();
        for model in &row.provider.models {
            let listing = self.listings.entry(model.name.clone()).or_insert_with(|| Listing {
                by: Vec::new(),
                catalogued: catalog.facts(&model.name),
            });
            // Of a name that is listed twice, the first counts.
            let is_second = listing.by.last().is_some_and(|listed| listed.row == number);
            if !is_usable || is_second {
                continue;
            }
            let renamed = model.upstream_name.as_ref();
            let catalogued = renamed.map_or(listing.catalogued, |name| catalog.facts(name));
            let facts = model.facts(catalogued);
            let listed = Listed { row: number, upstream: model.upstream().clone(), facts };
            if facts.kind == ModelKind::Chat {
                chat_models.push((&model.name, listed.clone()));
            }
            listing.by.push(listed);
        }
        self.shortlist.extend(best_of(chat_models));
    }

    pub fn rows(&self) -> &[ListedProvider] {
        &self.rows
    }

    /// Providers and how many usable credentials each has, best first.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<Provider>, usize)> {
        self.rows.iter().map(|row| (&row.provider, row.credentials))
    }

    pub fn find(&self, id: &ProviderId) -> Option<(&Arc<Provider>, usize)> {
        let row = &self.rows[*self.numbers.get(id)?];
        Some((&row.provider, row.credentials))
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
        let mut listed = listing.map_or(&[][..], |listing| &listing.by).iter().peekable();
        let mut any_name = self.any_name.iter().peekable();
        let mut facts_there = listing.map(|listing| listing.catalogued);
        // Both are in the table's order, and no row is in both.
        iter::from_fn(move || {
            let any_is_next = match (listed.peek(), any_name.peek()) {
                (Some(listed), Some(row)) => **row < listed.row,
                (_, row) => row.is_some(),
            };
            if !any_is_next {
                return listed.next().map(|listed| self.show(listed));
            }
            let row = &self.rows[*any_name.next()?];
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
        let number = *self.numbers.get(provider)?;
        let listing = self.listings.get(asked);
        let by = listing.map_or(&[][..], |listing| &listing.by);
        if let Ok(at) = by.binary_search_by_key(&number, |listed| listed.row) {
            return Some(self.show(&by[at]));
        }
        self.any_name.binary_search(&number).ok()?;
        let known = listing.map(|listing| listing.catalogued);
        let facts = known.unwrap_or_else(|| ModelCatalog::builtin().facts(asked));
        Some(Serving { row: &self.rows[number], upstream: asked, facts })
    }

    /// Whether some provider's list has this name, be it usable or not.
    pub fn lists(&self, name: &ModelName) -> bool {
        self.listings.contains_key(name)
    }

    /// What the pool may choose from when no model is named, best provider first: of each usable one
    /// at most [`AUTO_SHORTLIST`] chat models of its list, the highest rank first and among equals
    /// the newest. Models without a rank only where none has one.
    pub fn shortlist(&self) -> impl Iterator<Item = Serving<'_>> {
        self.shortlist.iter().map(|listed| self.show(listed))
    }

    fn show<'t>(&'t self, listed: &'t Listed) -> Serving<'t> {
        Serving { row: &self.rows[listed.row], upstream: &listed.upstream, facts: listed.facts }
    }
}

/// The models of one provider that are preferred when none is named.
fn best_of(mut models: Vec<(&ModelName, Listed)>) -> impl Iterator<Item = Listed> {
    if models.iter().any(|(_, listed)| listed.facts.auto_rank.is_some()) {
        models.retain(|(_, listed)| listed.facts.auto_rank.is_some());
    }
    models.sort_by(|(a_name, a), (b_name, b)| {
        let by_rank = Reverse(a.facts.auto_rank).cmp(&Reverse(b.facts.auto_rank));
        by_rank.then_with(|| by_version(b_name.as_str(), a_name.as_str()))
    });
    models.into_iter().take(AUTO_SHORTLIST).map(|(_, listed)| listed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{actors::registry::builtin, domain::model::ServedModel};

    fn name(text: &str) -> ModelName {
        ModelName::parse(text).unwrap()
    }

    fn served(names: &[&str]) -> Vec<ServedModel> {
        names.iter().map(|text| ServedModel::named(name(text))).collect()
    }

    fn provider(id: &str, priority: i32, models: Vec<ServedModel>) -> Provider {
        let entries = builtin().unwrap();
        let openai = entries.iter().find(|entry| entry.id.as_str() == "openai").unwrap();
        let id = ProviderId::parse(id).unwrap();
        Provider { id, priority, models, ..openai.to_provider() }
    }

    fn table(rows: Vec<(Provider, usize)>) -> ProviderTable {
        ProviderTable::new(rows.into_iter().map(|(provider, n)| (Arc::new(provider), n)))
    }

    fn serving(table: &ProviderTable, asked: &str) -> Vec<(String, String)> {
        let asked = name(asked);
        let pair = |s: Serving<'_>| (s.row.provider.id.to_string(), s.upstream.to_string());
        table.serving(&asked).map(pair).collect()
    }

    fn ids(table: &ProviderTable, asked: &str) -> Vec<String> {
        serving(table, asked).into_iter().map(|(id, _)| id).collect()
    }

    fn short(table: &ProviderTable) -> Vec<String> {
        table.shortlist().map(|serving| serving.upstream.to_string()).collect()
    }

    #[test]
    fn those_that_list_a_name_and_those_that_list_none_serve_it_in_the_tables_order() {
        let table = table(vec![
            (provider("c", 1, vec![]), 1),
            (provider("b", 9, served(&["m"])), 1),
            (provider("a", 1, served(&["m", "n"])), 1),
            (provider("d", 5, vec![]), 1),
            (provider("e", 7, served(&["n"])), 1),
        ]);
        assert_eq!(ids(&table, "m"), ["b", "d", "a", "c"]);
        assert_eq!(ids(&table, "n"), ["e", "d", "a", "c"]);
        assert_eq!(ids(&table, "unlisted"), ["d", "c"]);
    }

    #[test]
    fn who_is_not_usable_serves_nothing_but_its_list_is_known() {
        let mut mute = provider("mute", 0, served(&["n"]));
        mute.base_url = None;
        let table = table(vec![(provider("keyless", 0, served(&["m"])), 0), (mute, 1)]);
        assert!(ids(&table, "m").is_empty());
        assert!(ids(&table, "n").is_empty());
        assert!(table.lists(&name("m")) && table.lists(&name("n")));
        assert!(!table.lists(&name("o")));
        assert!(short(&table).is_empty());
    }

    #[test]
    fn the_providers_own_facts_lie_above_those_of_the_upstream_name() {
        let model = ServedModel {
            upstream_name: Some(name("vendor/gpt-4o")),
            context_tokens: Some(7_000),
            ..ServedModel::named(name("fast"))
        };
        let table = table(vec![(provider("a", 9, vec![model]), 1), (provider("b", 0, vec![]), 1)]);
        let asked = name("fast");
        let found: Vec<Serving<'_>> = table.serving(&asked).collect();
        assert_eq!(found[0].upstream.as_str(), "vendor/gpt-4o");
        assert_eq!(found[0].facts.context_tokens, Some(7_000));
        assert!(found[0].facts.capabilities.is_some(), "the catalogue was not asked");
        assert_eq!(found[1].upstream.as_str(), "fast");
        assert_eq!(found[1].facts, ModelFacts::default());
    }

    #[test]
    fn an_any_name_provider_has_the_facts_of_the_name_asked_for() {
        let table = table(vec![(provider("a", 0, vec![]), 1)]);
        let asked = name("openai/gpt-4o");
        let found = table.serving(&asked).next().unwrap();
        assert_eq!(found.facts, ModelCatalog::builtin().facts(&name("gpt-4o")));
        assert!(found.facts.context_tokens.is_some());
    }

    #[test]
    fn a_name_that_is_listed_twice_is_served_once_by_the_first() {
        let second =
            ServedModel { upstream_name: Some(name("other")), ..ServedModel::named(name("m")) };
        let mut models = served(&["m"]);
        models.push(second);
        let table = table(vec![(provider("a", 0, models), 1)]);
        assert_eq!(serving(&table, "m"), [("a".to_owned(), "m".to_owned())]);
        assert_eq!(short(&table), ["m"]);
    }

    #[test]
    fn the_shortlist_is_by_rank_then_version_and_bounded() {
        let ranked = |text: &str, rank| ServedModel {
            auto_rank: Some(rank),
            ..ServedModel::named(name(text))
        };
        let mut models = served(&["unranked-99"]);
        models.extend((1..=10).map(|n| ranked(&format!("acme-{n}"), 50)));
        models.push(ranked("acme-best", 60));
        let table = table(vec![(provider("a", 0, models), 1)]);
        let expected: Vec<String> = ["best", "10", "9", "8", "7", "6", "5", "4"]
            .map(|version| format!("acme-{version}"))
            .to_vec();
        assert_eq!(short(&table), expected);
        assert_eq!(expected.len(), AUTO_SHORTLIST);
    }

    #[test]
    fn without_any_rank_the_newest_chat_models_are_on_the_shortlist() {
        let names = ["acme-9", "acme-tts-99", "acme-10", "acme-embedding-11"];
        let table =
            table(vec![(provider("a", 0, served(&names)), 1), (provider("b", 5, vec![]), 1)]);
        assert_eq!(short(&table), ["acme-10", "acme-9"]);
    }

    #[test]
    fn what_is_no_chat_model_is_served_by_name_and_never_on_the_shortlist() {
        let mut embedding = ServedModel::named(name("text-embedding-3-small"));
        embedding.auto_rank = Some(100);
        let mut declared = ServedModel::named(name("gpt-4o"));
        declared.kind = Some(ModelKind::Speech);
        let models = vec![embedding, declared, ServedModel::named(name("whisper-1"))];
        let table = table(vec![(provider("a", 0, models), 1)]);
        for asked in ["text-embedding-3-small", "gpt-4o", "whisper-1"] {
            assert_eq!(ids(&table, asked), ["a"], "{asked}");
        }
        assert!(short(&table).is_empty());
    }

    #[test]
    fn the_shortlist_goes_by_provider_first() {
        let table = table(vec![
            (provider("low", 1, served(&["gpt-5.5"])), 1),
            (provider("high", 9, served(&["gpt-4o-mini", "gpt-4o"])), 1),
        ]);
        assert_eq!(short(&table), ["gpt-4o", "gpt-4o-mini", "gpt-5.5"]);
    }

    const NAMES: [&str; 4] = ["m", "n", "gpt-4o", "text-embedding-3-small"];

    fn any_provider() -> impl Strategy<Value = (i32, Vec<(usize, bool)>, Option<bool>, bool, usize)>
    {
        let models = prop::collection::vec((0..NAMES.len(), any::<bool>()), 0..4);
        (0..3_i32, models, any::<Option<bool>>(), any::<bool>(), 0..2_usize)
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_scan_finds(drawn in prop::collection::vec(any_provider(), 0..9)) {
            let mut rows = Vec::new();
            for (n, (priority, models, enabled, speaks, credentials)) in drawn.into_iter().enumerate() {
                let model = |(model, renamed): (usize, bool)| ServedModel {
                    upstream_name: renamed.then(|| name(&format!("up/{}", NAMES[model]))),
                    ..ServedModel::named(name(NAMES[model]))
                };
                let models = models.into_iter().map(model).collect();
                let mut provider = provider(&format!("p{}", (n * 7) % 9), priority, models);
                provider.enabled = enabled;
                if !speaks {
                    provider.base_url = None;
                }
                rows.push((provider, credentials));
            }
            let table = table(rows);
            for asked in NAMES.into_iter().chain(["unlisted"]).map(name) {
                let usable = table.rows().iter().filter(|row| row.is_usable());
                let scanned: Vec<_> = usable
                    .filter_map(|row| {
                        let upstream = row.provider.upstream_model(&asked)?;
                        let known = ModelCatalog::builtin().facts(&upstream);
                        Some((row.provider.id.clone(), upstream, known))
                    })
                    .collect();
                let found: Vec<_> = table
                    .serving(&asked)
                    .map(|s| (s.row.provider.id.clone(), s.upstream.clone(), s.facts))
                    .collect();
                prop_assert_eq!(&found, &scanned);
                for row in table.rows() {
                    let there = table.serving_at(&row.provider.id, &asked);
                    let there = there.map(|s| (s.row.provider.id.clone(), s.upstream.clone(), s.facts));
                    let expected = scanned.iter().find(|(id, _, _)| *id == row.provider.id);
                    prop_assert_eq!(there.as_ref(), expected);
                }
                let is_listed =
                    table.rows().iter().flat_map(|row| &row.provider.models).any(|m| m.name == asked);
                prop_assert_eq!(table.lists(&asked), is_listed);
            }
            let usable = table.rows().iter().filter(|row| row.is_usable());
            let places: usize = usable.map(|row| row.credentials.max(1)).sum();
            prop_assert_eq!((table.any_usable(), table.has_choice()), (places > 0, places > 1));
            prop_assert!(table.find(&ProviderId::parse("nobody").unwrap()).is_none());
            for (provider, credentials) in table.iter() {
                let (found, count) = table.find(&provider.id).unwrap();
                prop_assert_eq!((&found.id, count), (&provider.id, credentials));
            }
        }
    }
}
