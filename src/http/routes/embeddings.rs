//! `POST /v1/embeddings`: vectors, as OpenAI's clients ask for them.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload, ServiceConfig},
};

use crate::{
    gateway::{
        exchange::{Asked, ClientApi},
        translate::{Addressed, embeddings::EmbeddingApi},
    },
    http::{problem::Failure, relayed::relayed},
};

pub fn configure(services: &mut ServiceConfig) {
    services.route("/embeddings", web::post().to(create));
}

/// Turns texts into vectors.
#[utoipa::path(post, path = "/v1/embeddings", tag = "relay", security(("client_key" = [])),
    request_body(content = serde_json::Value, description = "An OpenAI embeddings request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A list of embeddings"),
        (status = "4XX", description = "An OpenAI error object"),
        (status = "5XX", description = "An OpenAI error object")))]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let asked = Asked::Embeddings(EmbeddingApi::OpenAi);
    relayed(asked, Addressed::default(), request, payload).await
}
