//! `POST /v1/completions`: the relay, in OpenAI's legacy dialect.

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

/// Relays a legacy completion, whole or as a stream. The prompt is put to a chat model.
#[utoipa::path(post, path = "/v1/completions", tag = "relay", params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An OpenAI Completions request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A text completion, or an event stream of it",
            content((serde_json::Value = "application/json"), (String = "text/event-stream")))))]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    relayed(ClientCall::Generate(ClientApi::Completions), PathParams::default(), request, payload)
        .await
}
