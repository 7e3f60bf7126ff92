//! `POST /v1/messages`: the relay, in Anthropic's dialect.

use actix_web::{HttpRequest, HttpResponse, web::Payload};

use crate::{
    gateway::{
        exchange::{ClientApi, ClientCall},
        translate::PathParams,
    },
    http::{
        endpoint::{Endpoint, endpoint},
        problem::ErrorResponse,
        relayed::relayed,
        routing_headers::RoutingHeaders,
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(create), endpoint!(count_tokens)]
}

/// Relays a message, whole or as a stream of its events.
#[utoipa::path(post, path = "/v1/messages", tag = "relay", params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An Anthropic Messages request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A message, or an event stream of it",
            content((serde_json::Value = "application/json"), (String = "text/event-stream")))))]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    relayed(ClientCall::Generate(ClientApi::Messages), PathParams::default(), request, payload)
        .await
}

/// Says how many tokens a prompt has: by the provider's own count where it offers one, else by an
/// estimate that is rather too high (then no `x-providerpool-provider` is told).
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "relay", params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An Anthropic request to count tokens",
        content_type = "application/json"),
    responses(
        (status = 200, description = "The number of tokens")))]
pub async fn count_tokens(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let asked = ClientCall::TokenCount(ClientApi::Messages);
    relayed(asked, PathParams::default(), request, payload).await
}
