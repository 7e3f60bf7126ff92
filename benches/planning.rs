//! What it costs to plan a request and to lease a credential for it, and to publish what plans are
//! made of. The pool has 200 providers of 50 models and 10 credentials each.

#![allow(clippy::unwrap_used, reason = "what is built here is known to be well formed")]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use providerpool::{
    actors::{
        credentials::{CredentialDirectory, CredentialPool, Lease, LeaseError, LeaseRequest},
        published::publish,
        registry::{ListedProvider, ProviderTable, StatsStore, builtin},
        router::{Plan, PlanRequest, RouteTable, RouterView},
    },
    domain::{
        chat::Dialect,
        cooldown::{CooldownDuration, CooldownScope, CooldownState},
        credential::{Credential, CredentialSettings, StoredSecret},
        failure::FailureClass,
        health::HealthView,
        id::{CredentialId, ModelName, ProviderId},
        model::{Capabilities, ServedModel},
        pattern::NamePattern,
        provider::{Origin, Provider},
        rotation::TurnMode,
        route::{Route, RouteOptions, RouteTarget, Strategy},
        time::Timestamp,
    },
};

/// As in the program: allocations are a good part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROVIDERS: usize = 200;
/// A pool that is large.
const LARGE_POOL: usize = 2_000;
const MODELS: usize = 50;
const CREDENTIALS: usize = 10;
const TARGETS: usize = 20;
/// Most cooldowns that a state remembers.
const FULL_BOOK: usize = 10_000;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn provider_id(number: usize) -> ProviderId {
    ProviderId::parse(&format!("provider-{number}")).unwrap()
}

fn credential_id(provider: usize, number: usize) -> CredentialId {
    format!("key_{provider:08x}{number:08x}").into()
}

/// Two models of one rank, as many as a route has targets that everybody lists, and some of its own.
fn models(provider: usize) -> Vec<ServedModel> {
    let ranked = ["gpt-5.5".to_owned(), "gpt-5.5-2026-04-24".to_owned()];
    let shared = (0..TARGETS).map(|n| format!("vendor/shared-{n}"));
    let own = (ranked.len() + TARGETS..MODELS).map(|n| format!("vendor-{provider}/model-{n}"));
    let names = ranked.into_iter().chain(shared).chain(own);
    names.map(|text| ServedModel::named(name(&text))).collect()
}

fn provider(number: usize, models: Vec<ServedModel>) -> Provider {
    let entries = builtin().unwrap();
    let openai = entries.iter().find(|entry| entry.id.as_str() == "openai").unwrap();
    Provider { id: provider_id(number), models, ..openai.to_provider() }
}

fn credential(provider: usize, number: usize) -> Credential {
    Credential {
        id: credential_id(provider, number),
        provider_id: provider_id(provider),
        settings: CredentialSettings::default(),
        origin: Origin::Api,
        secret: StoredSecret::open("secret"),
        mask: "****".into(),
        fingerprint: format!("{provider}-{number}"),
        created_at: NOW,
    }
}

fn cool(state: &mut CooldownState, now: Timestamp, scope: CooldownScope) {
    let length = CooldownDuration::Fixed(Duration::from_hours(1));
    state.impose(now, scope, length, (FailureClass::RateLimit, Some(429)), 0.0);
}

/// The number of a provider, and of a model that none of the plans is about.
fn apart(n: usize) -> (usize, ModelName) {
    (n % PROVIDERS, name(&format!("unplanned-{}", n / PROVIDERS)))
}

/// Cools models at providers, evenly over all.
fn cool_providers(state: &mut CooldownState, count: usize) {
    for n in 0..count {
        let (provider, model) = apart(n);
        cool(state, NOW, CooldownScope::ProviderModel(provider_id(provider), model));
    }
}

/// Cools models at credentials, evenly over all.
fn cool_credentials(state: &mut CooldownState, count: usize) {
    for n in 0..count {
        let (provider, model) = apart(n);
        let credential = credential_id(provider, n / PROVIDERS % CREDENTIALS);
        let scope = CooldownScope::CredentialModel(provider_id(provider), credential, model);
        cool(state, NOW, scope);
    }
}

fn credentials() -> CredentialPool {
    let ids = (0..PROVIDERS).flat_map(|provider| (0..CREDENTIALS).map(move |n| (provider, n)));
    // One more provider, with one model and one key: as most pools are.
    let all = ids.chain([(PROVIDERS, 0)]);
    CredentialPool::new(all.map(|(provider, number)| credential(provider, number)))
}

/// All that a plan is made of.
struct Pool {
    view: RouterView,
    table: ProviderTable,
    directory: CredentialDirectory,
    health: HealthView,
}

impl Pool {
    /// `cooldowns` are so many of providers, and as many of credentials.
    fn new(models: fn(usize) -> Vec<ServedModel>, routes: RouteTable, cooldowns: usize) -> Self {
        let mut stats = StatsStore::default();
        let last = provider(PROVIDERS, vec![ServedModel::named(name("only-here"))]);
        let all = (0..PROVIDERS).map(|number| provider(number, models(number))).chain([last]);
        let rows: Vec<ListedProvider> = all
            .map(|provider| {
                let stats = stats.of(&provider.id);
                for model in &provider.models {
                    stats.note_first_event(NOW, &model.name, Duration::from_millis(40));
                }
                let keys = if provider.id == provider_id(PROVIDERS) { 1 } else { CREDENTIALS };
                ListedProvider::new(Arc::new(provider), keys, stats)
            })
            .collect();
        let mut state = CooldownState::default();
        cool_providers(&mut state, cooldowns);
        cool_credentials(&mut state, cooldowns);
        Self {
            view: RouterView::new(Arc::new(routes)),
            table: ProviderTable::new(rows),
            directory: credentials().directory(),
            health: HealthView::new(state),
        }
    }

    fn of_models(cooldowns: usize) -> Self {
        Self::new(models, RouteTable::default(), cooldowns)
    }

    /// What a request does that is answered at once.
    fn plan_and_lease(&self, asked: &ModelName) -> (Plan, Result<Lease, LeaseError>) {
        let chain = self.view.chain(asked, &self.table);
        let options = RouteOptions::default();
        let ask = PlanRequest {
            now: NOW,
            options: &options,
            client: Dialect::Chat,
            is_chat: true,
            is_streamed: true,
            needs: Capabilities::NONE,
            prompt_bytes: 1_000,
            prompt_tokens: &|| 250,
            bound: None,
            is_tried: &|_, _, _| false,
        };
        let (stage, turn) = (&chain.stages[0], TurnMode::Take);
        let plan = self.view.plan(&ask, stage, &self.table, &self.directory, &self.health, turn);
        let first = &plan.candidates[0];
        let wanted = LeaseRequest {
            provider: &first.provider.id,
            model: &first.model,
            strategy: first.provider.credential_strategy,
            tried: &[],
            preferred: None,
        };
        let lease = self.directory.lease(NOW, &self.health, wanted);
        (plan, lease)
    }

    fn measure(&self, group: &mut BenchmarkGroup<'_, WallTime>, title: &str, asked: &str) {
        let asked = name(asked);
        let (plan, lease) = self.plan_and_lease(&asked);
        assert!(lease.is_ok(), "{title}: no credential");
        println!("{title}: {} candidates", plan.candidates.len());
        group.bench_function(title, |bencher| {
            bencher.iter(|| self.plan_and_lease(black_box(&asked)));
        });
    }
}

fn route(strategy: Strategy, target: impl Fn(usize) -> RouteTarget) -> RouteTable {
    let route = Route {
        name: NamePattern::parse("smart").unwrap(),
        targets: (0..TARGETS).map(target).collect(),
        strategy: Some(strategy),
        fallbacks: Vec::new(),
        hedge: true,
        across_tiers: false,
        attempt_timeout_ms: None,
        cooling: None,
        origin: Origin::Api,
    };
    RouteTable::new([route], [], Strategy::Priority)
}

/// A model of a provider of its own each.
fn apart_target(n: usize) -> RouteTarget {
    let (provider, model) = (provider_id(7 * n), name(&format!("vendor/shared-{n}")));
    RouteTarget { provider: Some(provider), model: Some(model), weight: 10 }
}

/// A model of any provider.
fn shared_target(n: usize) -> RouteTarget {
    RouteTarget { provider: None, ..apart_target(n) }
}

fn plans(criterion: &mut Criterion) {
    for cooldowns in [0, 1_000] {
        let group = &mut criterion.benchmark_group(format!("plan, {cooldowns} cooldowns"));
        let pool = Pool::of_models(cooldowns);
        pool.measure(group, "one provider of one key", "only-here");
        pool.measure(group, "one provider of ten keys", "vendor-100/model-30");
        pool.measure(group, "all providers", "vendor/shared-7");
        pool.measure(group, "auto", "auto");
        let pool = Pool::new(|_| Vec::new(), RouteTable::default(), cooldowns);
        pool.measure(group, "no provider, all take any name", "gpt-unheard-of");
        for strategy in Strategy::ALL {
            let pool = Pool::new(models, route(strategy, apart_target), cooldowns);
            pool.measure(group, &format!("route of 20, {}", strategy.as_str()), "smart");
        }
        let pool = Pool::new(models, route(Strategy::Priority, shared_target), cooldowns);
        pool.measure(group, "route of 20 models, all providers", "smart");
    }
}

/// Changes a provider into what it is after so many rounds.
type Change = fn(&mut Provider, i32);

/// The table put together, as at the start, and then a change of one provider in it, published.
fn tables(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table");
    group.sample_size(10);
    for count in [PROVIDERS, LARGE_POOL] {
        let mut stats = StatsStore::default();
        let rows: Vec<ListedProvider> = (0..count)
            .map(|number| {
                let provider = Arc::new(provider(number, models(number)));
                ListedProvider::new(Arc::clone(&provider), CREDENTIALS, stats.of(&provider.id))
            })
            .collect();
        group.bench_function(format!("all of {count}"), |bencher| {
            bencher.iter(|| ProviderTable::new(rows.iter().cloned()));
        });
        let (mut table, (publisher, _)) =
            (ProviderTable::new(rows.iter().cloned()), publish(ProviderTable::default()));
        let row = &rows[count / 2];
        let changes: [(&str, Change); 3] = [
            ("the name", |provider, round| provider.name = round.to_string()),
            ("the priority", |provider, round| provider.priority = round),
            ("a model", |provider, round| {
                provider.models[MODELS - 1] = ServedModel::named(name(&format!("model-{round}")));
            }),
        ];
        for (what, change) in changes {
            let mut round = 0;
            group.bench_function(format!("{what} of one of {count}"), |bencher| {
                bencher.iter(|| {
                    round += 1;
                    let mut provider = Provider::clone(&row.provider);
                    change(&mut provider, round);
                    let (provider, stats) = (Arc::new(provider), Arc::clone(&row.stats));
                    table.put(ListedProvider::new(provider, CREDENTIALS, stats));
                    publisher.replace(table.clone());
                });
            });
        }
    }
}

/// A change of one cooldown in a full state, and the state published.
fn publications(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    let (publisher, _) = publish(HealthView::default());
    let of_provider = CooldownScope::ProviderModel(provider_id(0), apart(0).1);
    let of_credential =
        CooldownScope::CredentialModel(provider_id(0), credential_id(0, 0), apart(0).1);
    let mut states = [
        ("models", CooldownState::default(), &of_provider),
        ("models, all of one provider", CooldownState::default(), &of_provider),
        ("credentials", CooldownState::default(), &of_credential),
    ];
    cool_providers(&mut states[0].1, FULL_BOOK);
    for n in 0..FULL_BOOK {
        let scope = CooldownScope::ProviderModel(provider_id(0), apart(n * PROVIDERS).1);
        cool(&mut states[1].1, NOW, scope);
    }
    cool_credentials(&mut states[2].1, FULL_BOOK);
    for (title, state, scope) in &mut states {
        let mut round = 0;
        group.bench_function(*title, |bencher| {
            bencher.iter(|| {
                round += 1;
                cool(state, NOW.plus(Duration::from_millis(round)), scope.clone());
                publisher.replace(HealthView::new(state.clone()));
            });
        });
    }
}

fn config() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(300), Duration::from_millis(1_500));
    Criterion::default().warm_up_time(warm_up).measurement_time(measurement).sample_size(30)
}

criterion_group! {
    name = benches;
    config = config();
    targets = plans, tables, publications
}
criterion_main!(benches);
