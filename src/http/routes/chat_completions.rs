//! `POST /v1/chat/completions`: the relay, in OpenAI's dialect.

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
    vec![endpoint!(create)]
}

/// Relays a chat completion, whole or as a stream.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "relay",
    params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An OpenAI Chat Completions request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "The upstream's answer: JSON, or an event stream when \
            `stream` is true. Headers tell who answered: x-request-id, x-providerpool-provider, \
            x-providerpool-model, x-providerpool-attempts, x-providerpool-translation (lossless, or \
            what was dropped); and x-providerpool-substitution \
            (alias or fallback) when it is not the model that was asked for",
            content((serde_json::Value = "application/json"), (String = "text/event-stream")))
    )
)]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    relayed(ClientCall::Generate(ClientApi::Chat), PathParams::default(), request, payload).await
}
