//! `POST /v1/completions`: the relay, in OpenAI's legacy dialect.

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
    services.route("/completions", web::post().to(create));
}

/// Relays a legacy completion, whole or as a stream. The prompt is put to a chat model.
#[utoipa::path(post, path = "/v1/completions", tag = "relay", security(("client_key" = [])),
    request_body(content = serde_json::Value, description = "An OpenAI Completions request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A text completion, or an event stream of it"),
        (status = "4XX", description = "An OpenAI error object"),
        (status = "5XX", description = "An OpenAI error object")))]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    relayed(Asked::Answer(ClientApi::Completions), Addressed::default(), request, payload).await
}
