//! The HTTP server: one relay per worker thread, and everything shared handed to all of them.

use std::{io, net::SocketAddr, rc::Rc, sync::Arc};

use actix_http::Request;
use actix_server::ServerHandle;
use actix_service::map_config;
use actix_web::{
    App, HttpResponse, ResponseError as _,
    dev::AppConfig,
    web::{Data, ServiceConfig},
};
use tokio::net::TcpSocket;

use super::{
    actors::Actors,
    body::Bodies,
    connection::{Connections, Listener, MalformedLog},
    json, plane,
    problem::{ErrorResponse, Management, Problem},
    routes::{self, Surface, health::LastLook},
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
    /// Where management is served, when that is somewhere else.
    pub management_address: Option<SocketAddr>,
    pub handle: ServerHandle,
    pub running: actix_server::Server,
}

/// What every worker is handed, whatever it serves.
#[derive(Clone)]
struct Shared {
    settings: ServerSettings,
    actors: Actors,
    gate: Gate,
    last_look: Data<LastLook>,
    bodies: Bodies,
}

impl Server {
    /// Binds and starts the workers. `make_relay` is called once on each worker's thread.
    ///
    /// Errors: an address cannot be bound; it is named.
    pub fn start(
        settings: ServerSettings,
        actors: Actors,
        gate: Gate,
        make_relay: impl Fn() -> Relay + Send + Clone + 'static,
    ) -> io::Result<Self> {
        let bodies = Bodies::new(settings.bodies, Arc::clone(&actors.metrics));
        let last_look = Data::new(LastLook::default());
        let shared = Shared { settings, actors, gate, last_look, bodies };
        let settings = &shared.settings;
        let mut builder = actix_server::Server::build()
            .workers(settings.workers.max(1))
            // Our own count says who is let in: who waits for a worker would not hear of it.
            .max_concurrent_connections(usize::MAX)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .disable_signals();
        let shutdown = builder.graceful_shutdown_signal();

        let socket = listen(settings.bind, "--bind or server.bind")?;
        let address = socket.local_addr()?;
        let surface =
            if settings.management_bind.is_some() { Surface::Relay } else { Surface::All };
        let (listener, all, signal) = (shared.listener("relay"), shared.clone(), shutdown.clone());
        builder = builder.listen("relay", socket, move || {
            let (all, relay) = (all.clone(), Data::new(Rc::new(make_relay())));
            let app = App::new().configure(|services: &mut ServiceConfig| {
                services.app_data(relay);
                all.configure(services, surface);
            });
            listener.clone().services(map_config(app, |()| AppConfig::default()), signal.clone())
        })?;

        let mut management_address = None;
        if let Some(bind) = settings.management_bind {
            let socket = listen(bind, "server.management_bind")?;
            management_address = Some(socket.local_addr()?);
            let (listener, all) = (shared.listener("management"), shared.clone());
            builder = builder.listen("management", socket, move || {
                let app = App::new().configure(|services: &mut ServiceConfig| {
                    all.clone().configure(services, Surface::Management);
                });
                let app = map_config(app, |()| AppConfig::default());
                listener.clone().services(app, shutdown.clone())
            })?;
        }
        let running = builder.run();
        Ok(Self { address, management_address, handle: running.handle(), running })
    }
}

impl Shared {
    fn listener(&self, name: &'static str) -> Listener {
        Listener {
            name,
            timeouts: self.settings.timeouts,
            connections: Connections::new(self.settings.limits, self.settings.proxies.clone()),
            malformed: MalformedLog::default(),
            metrics: Arc::clone(&self.actors.metrics),
            refuse: too_many_of_this_address,
        }
    }

    fn configure(self, services: &mut ServiceConfig, surface: Surface) {
        services
            .app_data(self.last_look)
            .app_data(Data::new(self.actors.key_ring.clone()))
            .app_data(Data::new(self.actors.providers.clone()))
            .app_data(Data::new(self.actors))
            .app_data(Data::new(self.gate))
            .app_data(Data::new(self.settings))
            .app_data(Data::new(self.bodies))
            .app_data(json::path_config())
            .configure(|services: &mut ServiceConfig| routes::configure(services, surface));
    }
}

/// `setting` is what says where.
fn listen(address: SocketAddr, setting: &str) -> io::Result<std::net::TcpListener> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A start right after a stop finds the address in use by connections that are over.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    bound().map_err(|error| {
        let words = format!("cannot listen on {address}: {error}; {setting} sets another address");
        io::Error::new(error.kind(), words)
    })
}

fn too_many_of_this_address(request: &Request) -> HttpResponse {
    let problem = Problem::too_many_of_this_address();
    match plane::dialect(request.path()) {
        Some(api) => ErrorResponse::of(api, problem, crate::domain::id::RequestId::generate())
            .error_response(),
        None => ErrorResponse::<Management>::from(problem).error_response(),
    }
}
