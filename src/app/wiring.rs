//! Starts the actors bottom-up and tells each whom it may ask and tell.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Addr, Arbiter, ArbiterHandle, Handler, Message, dev::ToEnvelope};
use anyhow::Context as _;

use super::{
    providers::Given,
    routes, settings,
    storage::{self, Storage, StorageError},
};
use crate::{
    actors::{
        access_keys::{AccessKeys, AwaitAccessKeys, KeyRing},
        copilot_tokens::CopilotTokens,
        credentials::{
            Affinity, AwaitCredentials, CredentialDirectory, Credentials, CredentialsRecipients,
        },
        db::DbHandle,
        discovery::Discovery,
        events::{Events, Record},
        health::{AwaitHealth, Health, HealthRecipients},
        histories::Histories,
        published::{Published, Publisher, publish},
        registry::{AwaitRegistry, ProviderTable, Registry, RegistryRecipients},
        router::{AwaitRouter, RouteStore, Router, RouterView},
        supervise::{self, Unstarted, Watch},
        traces::Traces,
        usage_tracker::{Disk, FlushUsage, Journal, UsageTracker, UsageTrackerRecipients},
    },
    config::Config,
    domain::{
        event::{EventData, EventType, Fact},
        health::HealthView,
        id::RequestId,
    },
    gateway::upstream::{Upstream, UpstreamSettings},
    http::Actors,
    persistence::connection::Connector,
    telemetry::Metrics,
};

/// Longest wait until an actor has loaded what is stored.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Called with the name of an actor that panics too often to go on. The process should end then, so
/// that whatever runs it starts it afresh.
pub type OnGiveUp = Arc<dyn Fn(&'static str) + Send + Sync>;

/// The actors, running and loaded.
pub struct Wired {
    pub actors: Actors,
    pub journal: Journal,
    pub arbiters: Vec<Arbiter>,
}

pub async fn start(
    config: &Config,
    storage: Storage,
    given: Given,
    upstream: UpstreamSettings,
    on_give_up: OnGiveUp,
) -> anyhow::Result<Wired> {
    let metrics = Metrics::new();
    let journal = Journal::open(
        storage::journal_folder(config),
        // Ordered by time, so that files of earlier runs are read first.
        &RequestId::generate().to_string(),
    )?;

    // Everything a request asks or tells is on one thread: telling four actors wakes it once.
    let arbiter = Arbiter::new();
    let on = arbiter.handle();
    let (events, events_unstarted) = supervise::unstarted::<Events>();
    let watch = watch(&events, &metrics, on_give_up);

    let db = DbHandle::start(
        storage.pool,
        &storage.connector,
        Arc::new(storage.sealer),
        config.database.pool_size,
        database_restarts(Arc::clone(&watch.on_restart)),
    );
    let dropped = metrics.event_subscribers_dropped.clone();
    let settings = config.events.clone();
    events_unstarted.start(&on, "events", watch.clone(), move |_| Events::new(&settings, dropped));

    let (traces, histories) = start_history_actors(config, &on, &watch);

    let (table_publisher, providers) = publish(ProviderTable::default());
    let (directory_publisher, directory) = publish(CredentialDirectory::default());
    let (view_publisher, routing) = publish(RouterView::default());
    let (ring_publisher, key_ring) = publish(KeyRing::new(storage.access_keys.clone(), []));
    let (health_publisher, health_view) = publish(HealthView::default());

    let (registry, registry_unstarted) = supervise::unstarted::<Registry>();
    let (health, health_unstarted) = supervise::unstarted::<Health>();
    let (credentials, credentials_unstarted) = supervise::unstarted::<Credentials>();
    let (discovery, discovery_unstarted) = supervise::unstarted::<Discovery>();

    let recipients = RegistryRecipients {
        events: events.clone().recipient(),
        credentials: credentials.clone().recipient(),
        health: health.clone().recipient(),
        discovery: discovery.clone().recipient(),
    };
    let (own_db, seen) = (db.clone(), directory.clone());
    registry_unstarted.start(&on, "registry", watch.clone(), move |_| {
        Registry::new(given.providers, own_db, table_publisher, seen, recipients)
    });

    let recipients = HealthRecipients {
        events: events.clone().recipient(),
        traces: traces.clone().recipient(),
        failed: registry.clone().recipient(),
        answered: registry.clone().recipient(),
    };
    let make = health_maker(&db, health_publisher, &providers, &directory, &metrics, recipients);
    health_unstarted.start(&on, "health", watch.clone(), move |_| make());

    let (own_db, state, told) = (db.clone(), routes::state(config), events.clone().recipient());
    let router = supervise::start_in(&on, "router", watch.clone(), move |_| {
        Router::new(RouteStore::new(state, own_db, told), view_publisher)
    });

    let recipients = CredentialsRecipients {
        events: events.clone().recipient(),
        registry: registry.clone().recipient(),
        health: health.clone().recipient(),
    };
    let own_db = db.clone();
    credentials_unstarted.start(&on, "credentials", watch.clone(), move |_| {
        let (given, macs) = (given.credentials, storage.fingerprints);
        Credentials::new(given, own_db, macs, directory_publisher, recipients)
    });

    let (seen, keys, told) = (providers.clone(), directory.clone(), registry.clone().recipient());
    let upstream = Upstream::new(&upstream)?;
    let asker = upstream.clone();
    let discover = move || Discovery::new(asker, seen, keys, told);
    let (aside, copilot_tokens) = start_io_actors(discovery_unstarted, discover, &watch, upstream);

    let own_db = db.clone();
    let access_keys = supervise::start_in(&on, "access_keys", watch.clone(), move |_| {
        AccessKeys::new(storage.access_keys, own_db, ring_publisher)
    });

    let disk = disk(config, &journal, &storage.connector);
    let kept = (&journal, &disk);
    let usage_tracker = start_usage_tracker(config, &on, watch, &events, &db, kept, &metrics);

    let actors = Actors {
        registry,
        discovery,
        health,
        router,
        credentials,
        copilot_tokens,
        access_keys,
        usage_tracker,
        events,
        traces,
        histories,
        db,
        disk,
        providers,
        directory,
        health_view,
        routing,
        affinity: Affinity::default(),
        key_ring,
        metrics,
    };
    all_loaded_or_damaged(&actors, &storage.connector).await?;
    tell_damage(&actors);
    Ok(Wired { actors, journal, arbiters: vec![arbiter, aside] })
}

/// What is remembered of requests that are over, in memory alone.
fn start_history_actors(
    config: &Config,
    on: &ArbiterHandle,
    watch: &Watch,
) -> (Addr<Traces>, Addr<Histories>) {
    let capacity = config.relay.traces;
    let traces = supervise::start_in(on, "traces", watch.clone(), move |_| Traces::new(capacity));
    let bounds = settings::histories(config);
    let histories =
        supervise::start_in(on, "histories", watch.clone(), move |_| Histories::new(bounds));
    (traces, histories)
}

fn start_usage_tracker(
    config: &Config,
    on: &ArbiterHandle,
    watch: Watch,
    events: &Addr<Events>,
    db: &DbHandle,
    (journal, disk): (&Journal, &Arc<Disk>),
    metrics: &Arc<Metrics>,
) -> Addr<UsageTracker> {
    let recipients = UsageTrackerRecipients {
        events: events.clone().recipient(),
        all_events: events.clone().recipient(),
    };
    let (db, journal, metrics) = (db.clone(), journal.clone(), Arc::clone(metrics));
    let (settings, disk) = (settings::usage(config), Arc::clone(disk));
    supervise::start_in(on, "usage_tracker", watch, move |_| {
        UsageTracker::new(settings, journal, db, recipients, metrics, disk)
    })
}

/// Makes Health on its own thread.
fn health_maker(
    db: &DbHandle,
    view: Publisher<HealthView>,
    providers: &Published<ProviderTable>,
    credentials: &Published<CredentialDirectory>,
    metrics: &Arc<Metrics>,
    recipients: HealthRecipients,
) -> impl FnOnce() -> Health + Send + 'static {
    let (db, metrics) = (db.clone(), Arc::clone(metrics));
    let (providers, credentials) = (providers.clone(), credentials.clone());
    move || Health::new(db, view, providers, credentials, metrics, recipients)
}

/// Those who wait for the network have a thread of their own: nothing else waits for them.
fn start_io_actors(
    unstarted: Unstarted<Discovery>,
    discover: impl FnOnce() -> Discovery + Send + 'static,
    watch: &Watch,
    upstream: Upstream,
) -> (Arbiter, Addr<CopilotTokens>) {
    let aside = Arbiter::new();
    unstarted.start(&aside.handle(), "discovery", watch.clone(), move |_| discover());
    let exchange = move |_: &mut _| CopilotTokens::new(upstream);
    let tokens = supervise::start_in(&aside.handle(), "copilot_tokens", watch.clone(), exchange);
    (aside, tokens)
}

/// What must have room: the folder of the journal, and that of the database where it is a file.
fn disk(config: &Config, journal: &Journal, connector: &Connector) -> Arc<Disk> {
    let database = connector.file().map(storage::folder_of);
    Arc::new(Disk::new(journal.folder().to_owned(), database, config.data.min_free_bytes))
}

/// Waits until all is loaded. From a damaged database it would be asked for again and again.
async fn all_loaded_or_damaged(actors: &Actors, connector: &Connector) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        loaded = all_loaded(actors) => loaded,
        reason = actors.db.damaged() => Err(match connector.file() {
            Some(path) => StorageError::damaged(path, reason).into(),
            None => anyhow::anyhow!("the database {connector} is damaged: {reason}"),
        }),
    }
}

/// Tells it when damage is met in the database later on. Requests go on: the journal keeps what is used.
fn tell_damage(actors: &Actors) {
    let (db, events) = (actors.db.clone(), actors.events.clone());
    actix::spawn(async move {
        let reason = db.damaged().await;
        tracing::error!(
            reason,
            "the database is damaged; usage is kept in the journal. Stop the pool and start it again: \
             it then says what to do"
        );
        let damaged = EventData::Message { message: reason };
        events.do_send(Record(Fact::new(EventType::SystemDatabaseDamaged, damaged)));
    });
}

async fn all_loaded(actors: &Actors) -> anyhow::Result<()> {
    loaded(&actors.registry, AwaitRegistry).await.context("providers were not loaded")?;
    loaded(&actors.health, AwaitHealth).await.context("cooldowns were not loaded")?;
    loaded(&actors.router, AwaitRouter).await.context("routes were not loaded")?;
    loaded(&actors.credentials, AwaitCredentials).await.context("credentials were not loaded")?;
    loaded(&actors.access_keys, AwaitAccessKeys).await.context("access keys were not loaded")?;
    loaded(&actors.usage_tracker, FlushUsage).await.context("the journal was not read")??;
    // The credentials have told the registry of themselves; once more round, and that is published.
    loaded(&actors.registry, AwaitRegistry).await.context("providers were not counted")?;
    Ok(())
}

async fn loaded<A, M>(actor: &Addr<A>, question: M) -> anyhow::Result<M::Result>
where
    A: actix::Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    Ok(actor.send(question).timeout(LOAD_TIMEOUT).await?)
}

fn watch(events: &Addr<Events>, metrics: &Arc<Metrics>, on_give_up: OnGiveUp) -> Watch {
    let (events, metrics) = (events.clone(), Arc::clone(metrics));
    Watch {
        on_restart: Arc::new(move |actor, restarts| {
            metrics.actor_restarted(actor);
            let data = EventData::ActorRestarted { actor, restarts };
            events.do_send(Record(Fact::new(EventType::ActorRestarted, data)));
        }),
        on_give_up,
    }
}

/// The database's threads restart outside supervision; their restarts are counted here.
fn database_restarts(told: Arc<supervise::OnRestart>) -> Arc<dyn Fn(&'static str) + Send + Sync> {
    let restarts = AtomicU64::new(0);
    Arc::new(move |actor| told(actor, restarts.fetch_add(1, Ordering::Relaxed) + 1))
}
