//! One file per resource. Which path leads where stands here; who may go there in `auth`.

mod aliases;
mod chat_completions;
mod client_keys;
mod cooldowns;
mod events;
mod explain;
pub mod health;
mod keys;
mod metrics;
mod model_routes;
mod models;
mod named;
pub mod openapi;
mod providers;
mod requests;
mod usage;

use actix_web::{
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use super::{
    auth::require_admin,
    problem::{Failure, Management, OpenAi, Problem},
};

/// Puts every route in its place. What is not named here is refused.
pub fn configure(services: &mut ServiceConfig) {
    services
        .service(web::scope("/health").configure(health::configure))
        .service(
            web::scope("/v1")
                .configure(chat_completions::configure)
                .configure(models::configure)
                .default_service(web::to(no_such_relay_route)),
        )
        .service(
            web::scope("/api")
                .wrap(from_fn(require_admin))
                .configure(openapi::configure)
                .service(
                    web::scope("/v1")
                        .configure(usage::configure)
                        .configure(providers::configure)
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
        .service(web::scope("/metrics").wrap(from_fn(require_admin)).configure(metrics::configure))
        .default_service(web::to(no_such_route));
}

async fn no_such_route(request: actix_web::HttpRequest) -> Result<(), Failure<Management>> {
    let message = format!("there is no {} {}", request.method(), request.path());
    Err(Problem::not_found("route_not_found", message).into())
}

async fn no_such_relay_route(request: actix_web::HttpRequest) -> Result<(), Failure<OpenAi>> {
    let message = format!("there is no {} {}", request.method(), request.path());
    Err(Problem::not_found("route_not_found", message).into())
}
