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
    let ranked =
        |text: &str, rank| ServedModel { auto_rank: Some(rank), ..ServedModel::named(name(text)) };
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
    let table = table(vec![(provider("a", 0, served(&names)), 1), (provider("b", 5, vec![]), 1)]);
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

#[test]
fn a_change_shares_all_that_it_does_not_touch() {
    let names = ["m".to_owned(), "n".to_owned()];
    let models = |n: usize| {
        let all = names.iter().cloned().chain([format!("own-{n}")]);
        all.map(|text| ServedModel::named(name(&text))).collect()
    };
    let rows = (0..500).map(|n| (provider(&format!("p{n}"), 0, models(n)), 1));
    let before = table(rows.collect());
    let mut after = before.clone();
    let mut moved = provider("p7", 3, models(7));
    moved.name = "another".into();

    after.put(ListedProvider::from((Arc::new(moved), 2)));

    let others = before.rows().filter(|row| row.provider.id.as_str() != "p7");
    for row in others {
        let same = after.find_row(&row.provider.id).unwrap();
        assert!(std::ptr::eq(row, same), "the row of {} was copied", row.provider.id);
        let own = name(&format!("own-{}", &row.provider.id.as_str()[1..]));
        let (a, b) = (before.listings.get(&own).unwrap(), after.listings.get(&own).unwrap());
        assert!(std::ptr::eq(a, b), "the listing of {own} was copied");
    }
    assert_eq!(ids(&before, "own-7"), ["p7"]);
    assert_eq!((ids(&before, "m")[0].as_str(), ids(&after, "m")[0].as_str()), ("p0", "p7"));
}

#[test]
fn a_row_that_changes_no_list_is_shown_wherever_it_is_listed() {
    let before = table(vec![
        (provider("a", 0, served(&["m"])), 1),
        (provider("b", 0, served(&["n"])), 1),
        (provider("c", 0, vec![]), 1),
    ]);
    let mut after = before.clone();
    for (id, models) in [("a", served(&["m"])), ("c", vec![])] {
        let name = "another".to_owned();
        let renamed = Provider { name, ..provider(id, 0, models) };
        after.put(ListedProvider::from((Arc::new(renamed), 5)));
    }

    let n = name("n");
    let (a, b) = (before.listings.get(&n).unwrap(), after.listings.get(&n).unwrap());
    assert!(std::ptr::eq(a, b), "the listing of another's model was copied");
    let m = name("m");
    let shown = |table: &ProviderTable| -> Vec<(String, usize)> {
        let rows = table.serving(&m).map(|serving| serving.row);
        let rows = rows.chain(table.shortlist().map(|serving| serving.row)).chain(table.rows());
        let is_b = |row: &&ListedProvider| row.provider.id.as_str() == "b";
        let rows = rows.filter(|row| !is_b(row));
        rows.map(|row| (row.provider.name.clone(), row.credentials)).collect()
    };
    assert_eq!(shown(&after), vec![("another".to_owned(), 5); 5]);
    assert!(shown(&before).iter().all(|(name, keys)| name != "another" && *keys == 1));
}

const NAMES: [&str; 4] = ["m", "n", "gpt-4o", "text-embedding-3-small"];

type Drawn = (i32, Vec<(usize, bool)>, Option<bool>, bool, usize);

fn any_provider() -> impl Strategy<Value = Drawn> {
    let models = prop::collection::vec((0..NAMES.len(), any::<bool>()), 0..4);
    (0..3_i32, models, any::<Option<bool>>(), any::<bool>(), 0..2_usize)
}

fn drawn_row(number: usize, drawn: Drawn) -> ListedProvider {
    let (priority, models, enabled, speaks, credentials) = drawn;
    let model = |(model, renamed): (usize, bool)| ServedModel {
        upstream_name: renamed.then(|| name(&format!("up/{}", NAMES[model]))),
        ..ServedModel::named(name(NAMES[model]))
    };
    let models = models.into_iter().map(model).collect();
    let mut provider = provider(&format!("p{number}"), priority, models);
    provider.enabled = enabled;
    if !speaks {
        provider.base_url = None;
    }
    ListedProvider::from((Arc::new(provider), credentials))
}

type Served = (ProviderId, ModelName, ModelFacts);

fn triple(serving: Serving<'_>) -> Served {
    (serving.row.provider.id.clone(), serving.upstream.clone(), serving.facts)
}

/// Whether a table says of these rows what a look through all of them says.
fn check(table: &ProviderTable, rows: &[ListedProvider]) -> Result<(), TestCaseError> {
    let mut rows: Vec<&ListedProvider> = rows.iter().collect();
    rows.sort_by_key(|row| (Reverse(row.provider.priority), row.provider.id.clone()));
    let ids = |rows: &[&ListedProvider]| -> Vec<ProviderId> {
        rows.iter().map(|row| row.provider.id.clone()).collect()
    };
    prop_assert_eq!(ids(&table.rows().collect::<Vec<_>>()), ids(&rows));
    for (at, row) in rows.iter().enumerate() {
        let after: Vec<_> = table.rows_after(&row.provider.id).unwrap().collect();
        prop_assert_eq!(ids(&after), ids(&rows[at + 1..]));
    }
    for asked in NAMES.into_iter().chain(["unlisted"]).map(name) {
        let usable = rows.iter().filter(|row| row.is_usable());
        let scanned: Vec<Served> = usable
            .filter_map(|row| {
                let upstream = row.provider.upstream_model(&asked)?;
                let known = ModelCatalog::builtin().facts(&upstream);
                Some((row.provider.id.clone(), upstream, known))
            })
            .collect();
        prop_assert_eq!(&table.serving(&asked).map(triple).collect::<Vec<_>>(), &scanned);
        for row in &rows {
            let there = table.serving_at(&row.provider.id, &asked).map(triple);
            let expected = scanned.iter().find(|(id, _, _)| *id == row.provider.id);
            prop_assert_eq!(there.as_ref(), expected);
        }
        let lists = |row: &&&ListedProvider| row.provider.models.iter().any(|m| m.name == asked);
        prop_assert_eq!(table.lists(&asked), rows.iter().any(|row| lists(&row)));
        let is_served = rows.iter().filter(lists).any(|row| row.is_usable());
        prop_assert_eq!(
            table.listed_names().filter(|name| **name == asked).count(),
            usize::from(is_served)
        );
    }
    let usable = rows.iter().filter(|row| row.is_usable());
    let places: usize = usable.map(|row| row.credentials.max(1)).sum();
    prop_assert_eq!((table.any_usable(), table.has_choice()), (places > 0, places > 1));
    prop_assert!(table.find(&ProviderId::parse("nobody").unwrap()).is_none());
    for row in &rows {
        let (found, count) = table.find(&row.provider.id).unwrap();
        prop_assert_eq!((&found.id, count), (&row.provider.id, row.credentials));
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_index_finds_what_a_scan_finds(drawn in prop::collection::vec(any_provider(), 0..9)) {
        let rows = drawn.into_iter().enumerate().map(|(n, drawn)| drawn_row((n * 7) % 9, drawn));
        let rows: Vec<ListedProvider> = rows.collect();
        check(&ProviderTable::new(rows.clone()), &rows)?;
    }

    #[test]
    fn after_any_changes_a_table_is_as_one_that_is_made_anew(
        steps in prop::collection::vec((0..6_usize, prop::option::of(any_provider())), 0..24),
    ) {
        let (mut table, mut rows) = (ProviderTable::default(), Vec::<ListedProvider>::new());
        let mut published = Vec::new();
        for (number, drawn) in steps {
            let id = ProviderId::parse(&format!("p{number}")).unwrap();
            rows.retain(|row| row.provider.id != id);
            match drawn {
                Some(drawn) => {
                    let row = drawn_row(number, drawn);
                    rows.push(row.clone());
                    table.put(row);
                }
                None => table.remove(&id),
            }
            published.push((table.clone(), rows.clone()));
        }
        for (table, rows) in published {
            check(&table, &rows)?;
            let short = |table: &ProviderTable| table.shortlist().map(triple).collect::<Vec<_>>();
            prop_assert_eq!(short(&table), short(&ProviderTable::new(rows)));
        }
    }
}
