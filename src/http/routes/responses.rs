//! `POST /v1/responses`: the relay, in the dialect of OpenAI Responses.

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

/// Relays a response, whole or as a stream of its events.
#[utoipa::path(post, path = "/v1/responses", tag = "relay", params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An OpenAI Responses request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A response object, or an event stream of it",
            content((serde_json::Value = "application/json"), (String = "text/event-stream")))))]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    relayed(ClientCall::Generate(ClientApi::Responses), PathParams::default(), request, payload)
        .await
}
