//! One file per resource. Which path leads where stands here; who may go there in `auth`.

mod aliases;
mod chat_completions;
mod client_keys;
mod completions;
mod cooldowns;
mod embeddings;
mod events;
mod explain;
mod gemini;
pub mod health;
mod keys;
mod messages;
mod metrics;
mod model_routes;
mod models;
mod named;
mod ollama;
pub mod openapi;
mod provider_formats;
mod providers;
mod requests;
mod responses;
mod root;
mod usage;

use actix_web::{
    dev::HttpServiceFactory,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};

use super::{
    auth::require_admin,
    endpoint::{Endpoint, Table, not_served},
    plane::{MANAGEMENT, Plane},
};

/// All there is, in the order in which the paths are tried: those first that are asked most.
pub fn endpoints() -> Vec<Endpoint> {
    let all = [
        health::endpoints(),
        root::endpoints(),
        chat_completions::endpoints(),
        completions::endpoints(),
        responses::endpoints(),
        messages::endpoints(),
        embeddings::endpoints(),
        gemini::endpoints(),
        models::endpoints(),
        ollama::endpoints(),
        openapi::endpoints(),
        usage::endpoints(),
        providers::endpoints(),
        provider_formats::endpoints(),
        keys::endpoints(),
        client_keys::endpoints(),
        explain::endpoints(),
        model_routes::endpoints(),
        aliases::endpoints(),
        cooldowns::endpoints(),
        requests::endpoints(),
        events::endpoints(),
        metrics::endpoints(),
    ];
    all.into_iter().flatten().collect()
}

/// Which routes an address serves. `/health` is served by all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    All,
    /// What client keys are for.
    Relay,
    /// Management, events and metrics.
    Management,
}

impl Surface {
    fn has(self, plane: Plane) -> bool {
        match self {
            Self::All => true,
            Self::Relay => plane != Plane::Management,
            Self::Management => plane != Plane::Relay,
        }
    }
}

/// Puts every route of a surface in its place. What is not among them is refused; below management's
/// paths only after the key was looked at.
pub fn configure(services: &mut ServiceConfig, surface: Surface) {
    let mut endpoints = endpoints();
    endpoints.retain(|it| surface.has(Plane::of(&it.path)));
    services.app_data(Data::new(Table::new(&endpoints)));
    let (managing, others): (Vec<_>, Vec<_>) =
        endpoints.into_iter().partition(|it| Plane::of(&it.path) == Plane::Management);
    for endpoint in others {
        services.route(&endpoint.pattern(), endpoint.route());
    }
    if surface.has(Plane::Management) {
        for prefix in MANAGEMENT {
            services.service(managed(prefix, &managing));
        }
    }
    services.default_service(web::to(not_served));
}

/// All that management has below a path.
fn managed(prefix: &str, managing: &[Endpoint]) -> impl HttpServiceFactory + use<> {
    let mut scope = web::scope(prefix).default_service(web::to(not_served));
    for endpoint in managing {
        if let Some(rest) = endpoint.pattern().strip_prefix(prefix) {
            scope = scope.route(rest, endpoint.route());
        }
    }
    scope.wrap(from_fn(require_admin))
}
