//! `POST /v1/messages`: the relay, in Anthropic's dialect.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload, ServiceConfig},
};

use crate::{
    gateway::{
        exchange::{Asked, ClientApi},
        translate::Addressed,
    },
    http::{problem::Failure, relayed::relayed},
};

pub fn configure(services: &mut ServiceConfig) {
    services
        .route("/messages", web::post().to(create))
        .route("/messages/count_tokens", web::post().to(count_tokens));
}

/// Relays a message, whole or as a stream of its events.
#[utoipa::path(post, path = "/v1/messages", tag = "relay", security(("client_key" = [])),
    request_body(content = serde_json::Value, description = "An Anthropic Messages request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A message, or an event stream of it"),
        (status = "4XX", description = "An Anthropic error object"),
        (status = "5XX", description = "An Anthropic error object")))]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    relayed(Asked::Answer(ClientApi::Messages), Addressed::default(), request, payload).await
}

/// Says how many tokens a prompt has: by the provider's own count where it offers one, else by an
/// estimate that is rather too high (then no `x-providerpool-provider` is told).
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "relay",
    security(("client_key" = [])),
    request_body(content = serde_json::Value, description = "An Anthropic request to count tokens",
        content_type = "application/json"),
    responses(
        (status = 200, description = "The number of tokens"),
        (status = "4XX", description = "An Anthropic error object"),
        (status = "5XX", description = "An Anthropic error object")))]
pub async fn count_tokens(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let asked = Asked::TokenCount(ClientApi::Messages);
    relayed(asked, Addressed::default(), request, payload).await
}
