//! `POST /v1/responses`: the relay, in the dialect of OpenAI Responses.

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
    services.route("/responses", web::post().to(create));
}

/// Relays a response, whole or as a stream of its events.
#[utoipa::path(post, path = "/v1/responses", tag = "relay", security(("client_key" = [])),
    request_body(content = serde_json::Value, description = "An OpenAI Responses request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A response object, or an event stream of it"),
        (status = "4XX", description = "An OpenAI error object"),
        (status = "5XX", description = "An OpenAI error object")))]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    relayed(Asked::Answer(ClientApi::Responses), Addressed::default(), request, payload).await
}
