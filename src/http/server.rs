//! The HTTP server: one relay per worker thread, and everything shared handed to all of them.

use std::{io, net::SocketAddr, rc::Rc};

use actix_web::{
    App, HttpServer,
    dev::ServerHandle,
    web::{Data, ServiceConfig},
};

use super::{
    actors::Actors,
    json,
    routes::{self, health::LastPing},
    settings::ServerSettings,
};
use crate::relay::{Gate, Relay};

/// Connections waiting to be accepted.
const BACKLOG: u32 = 1024;

/// How long connections may take to be closed at the end, in seconds. All requests are over by then;
/// what is left are last bytes, and connections that a client keeps open for later.
const SHUTDOWN_SECONDS: u64 = 2;

/// A server that listens.
pub struct Server {
    pub address: SocketAddr,
    pub handle: ServerHandle,
    pub running: actix_web::dev::Server,
}

impl Server {
    /// Binds and starts the workers. `make_relay` is called once on each worker's thread.
    ///
    /// Errors: the address cannot be bound.
    pub fn start(
        settings: ServerSettings,
        actors: Actors,
        gate: Gate,
        make_relay: impl Fn() -> Relay + Send + Clone + 'static,
    ) -> io::Result<Self> {
        let (bind, workers) = (settings.bind, settings.workers.max(1));
        let per_worker = settings.max_connections.div_ceil(workers);
        let last_ping = Data::new(LastPing::default());
        let server = HttpServer::new(move || {
            let last_ping = last_ping.clone();
            let relay = Data::new(Rc::new(make_relay()));
            let (settings, actors, gate) = (settings.clone(), actors.clone(), gate.clone());
            App::new().configure(move |services: &mut ServiceConfig| {
                services
                    .app_data(relay)
                    .app_data(last_ping)
                    .app_data(Data::new(actors.key_ring.clone()))
                    .app_data(Data::new(actors.providers.clone()))
                    .app_data(Data::new(actors))
                    .app_data(Data::new(gate))
                    .app_data(Data::new(settings))
                    .app_data(json::json_config())
                    .app_data(json::path_config())
                    .app_data(json::query_config())
                    .configure(routes::configure);
            })
        })
        .workers(workers)
        .max_connections(per_worker)
        .backlog(BACKLOG)
        .tcp_nodelay(true)
        // Who closes its end has left: its request must not go on, nor the upstream's work for it.
        .h1_allow_half_closed(false)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .bind(bind)?;
        let address = server.addrs().first().copied().unwrap_or(bind);
        let running = server.run();
        Ok(Self { address, handle: running.handle(), running })
    }
}
