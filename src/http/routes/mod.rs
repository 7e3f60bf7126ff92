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
mod usage;

use actix_web::{
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use super::{
    auth::require_admin,
    problem::{Failure, Management, Problem},
};
use crate::{domain::id::RequestId, gateway::exchange::ClientApi};

/// Which routes an address serves. `/health` is served by all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    All,
    /// What client keys are for.
    Relay,
    /// Management, events and metrics.
    Management,
}

/// Puts every route of a surface in its place. What is not named here is refused.
pub fn configure(services: &mut ServiceConfig, surface: Surface) {
    services.service(web::scope("/health").configure(health::configure));
    if surface != Surface::Management {
        services.configure(relay);
    }
    if surface != Surface::Relay {
        services.configure(management);
    }
    services.default_service(web::to(no_such_route));
}

fn relay(services: &mut ServiceConfig) {
    services
        .service(
            web::scope("/v1")
                .configure(chat_completions::configure)
                .configure(completions::configure)
                .configure(responses::configure)
                .configure(messages::configure)
                .configure(embeddings::configure)
                .configure(gemini::configure)
                .configure(models::configure)
                .default_service(web::to(no_such_relay_route)),
        )
        .service(
            web::scope("/v1beta")
                .configure(gemini::configure)
                .configure(gemini::configure_lists)
                .default_service(web::to(no_such_gemini_route)),
        )
        .configure(ollama::configure);
}

fn management(services: &mut ServiceConfig) {
    services
        .service(
            web::scope("/api")
                .wrap(from_fn(require_admin))
                .configure(openapi::configure)
                .service(
                    web::scope("/v1")
                        .configure(usage::configure)
                        .configure(providers::configure)
                        .configure(provider_formats::configure)
                        .configure(keys::configure)
                        .configure(client_keys::configure)
                        .configure(explain::configure)
                        .configure(model_routes::configure)
                        .configure(aliases::configure)
                        .configure(cooldowns::configure)
                        .configure(requests::configure)
                        .configure(events::configure),
                )
                .default_service(web::to(no_such_route)),
        )
        .service(web::scope("/metrics").wrap(from_fn(require_admin)).configure(metrics::configure));
}

/// The dialect that is spoken at a path, for what is said before it is looked for. `None`:
/// management's.
pub fn dialect(path: &str) -> Option<ClientApi> {
    let below = |scope: &str| path.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'));
    if ["/v1/messages", "/v1/messages/count_tokens"].contains(&path) {
        Some(ClientApi::Messages)
    } else if below("/v1beta") || below("/v1/models") && path.contains(':') {
        Some(ClientApi::Gemini)
    } else if below("/v1") {
        Some(ClientApi::Chat)
    } else if below("/api") && !below("/api/v1") {
        Some(ClientApi::OllamaChat)
    } else {
        None
    }
}

async fn no_such_route(request: actix_web::HttpRequest) -> Result<(), Failure<Management>> {
    let message = format!("there is no {} {}", request.method(), request.path());
    Err(Problem::not_found("route_not_found", message).into())
}

/// One of OpenAI's or Anthropic's paths: both have the same first word.
async fn no_such_relay_route(request: actix_web::HttpRequest) -> Result<(), Failure<ClientApi>> {
    Err(no_such(ClientApi::Chat, &request))
}

async fn no_such_gemini_route(request: actix_web::HttpRequest) -> Result<(), Failure<ClientApi>> {
    Err(no_such(ClientApi::Gemini, &request))
}

fn no_such(api: ClientApi, request: &actix_web::HttpRequest) -> Failure<ClientApi> {
    let message = format!("there is no {} {}", request.method(), request.path());
    Failure::of(api, Problem::not_found("route_not_found", message), RequestId::generate())
}
