//! The composition root: starts actors bottom-up, wires them, and stops them top-down.
//!
//! The only place that knows all parts. No rule of the pool lives here.

mod descriptors;
mod first_start;
mod providers;
mod routes;
mod settings;
mod stop;
mod storage;
mod wiring;

use std::{fs::File, net::SocketAddr};

use actix_server::ServerHandle;

use crate::{
    actors::events::Record,
    config::{Config, Environment},
    domain::event::{EventData, EventType, Fact},
    gateway::tokens::warm_up,
    http::{Actors, Server},
    persistence::presence::Presence,
    relay::Gate,
};

pub use first_start::{FirstKeys, NoAdminKey};
pub use providers::check as check_providers;
pub use routes::check as check_routes;
pub use stop::Stopped;
pub use storage::{Storage, StorageError, has_database, open_pool};
pub use wiring::OnGiveUp;

/// A running pool.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where management is served, when that is somewhere else.
    pub management_address: Option<SocketAddr>,
    /// Whom management asks; tests and the greeting look through it.
    pub actors: Actors,
    /// The keys made at the first start.
    pub first_keys: Option<FirstKeys>,
    gate: Gate,
    server: ServerHandle,
    arbiters: Vec<actix::Arbiter>,
    settings: Config,
    /// Held for as long as the process runs: two must not share a data directory.
    _lock: File,
    /// The same for a database at a server.
    _presence: Option<Presence>,
}

impl App {
    /// Starts everything and listens. What is stored is loaded before the first request is taken.
    ///
    /// Errors: whatever keeps the pool from starting, in words for the person who starts it.
    pub async fn start(
        config: Config,
        environment: &Environment,
        on_give_up: OnGiveUp,
    ) -> anyhow::Result<Self> {
        warm_up()?;
        let lock = storage::lock(&config)?;
        let storage = Storage::open(&config)?;
        let presence = storage::announce(&storage)?;
        first_start::tell_other_master_key(&storage)?;
        first_start::check_bind(&config, &storage)?;
        let is_first = first_start::is_first(&storage)?;
        let given = providers::collect(&config, environment, &storage)?;
        let upstream = settings::upstream(&config)?;
        let wired = wiring::start(&config, storage, given, upstream.clone(), on_give_up).await?;
        routes::tell_doubts(&wired.actors);
        let gate = Gate::new(config.relay.max_in_flight, wired.actors.metrics.clone());
        let make_relay = settings::relay_maker(&config, &wired, &gate, upstream);
        let settings = settings::server(&config);
        let server = Server::start(settings, wired.actors.clone(), gate.clone(), make_relay)?;
        let first_keys = if is_first {
            Some(first_start::create_keys(&wired.actors.access_keys).await?)
        } else {
            None
        };
        actix_web::rt::spawn(server.running);
        let started = Fact::new(EventType::SystemStarted, EventData::None {});
        wired.actors.events.do_send(Record(started));
        tracing::info!(address = %server.address, version = env!("CARGO_PKG_VERSION"), "listening");
        Ok(Self {
            address: server.address,
            management_address: server.management_address,
            actors: wired.actors,
            first_keys,
            gate,
            server: server.handle,
            arbiters: wired.arbiters,
            settings: config,
            _lock: lock,
            _presence: presence,
        })
    }
}
