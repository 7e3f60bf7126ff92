//! `POST /v1/embeddings`: vectors, as OpenAI's clients ask for them.

use actix_web::{HttpRequest, HttpResponse, web::Payload};

use crate::{
    gateway::{
        exchange::{ClientApi, ClientCall},
        translate::{PathParams, embeddings::EmbeddingApi},
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

/// Turns texts into vectors.
#[utoipa::path(post, path = "/v1/embeddings", tag = "relay", params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An OpenAI embeddings request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A list of embeddings")))]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let asked = ClientCall::Embeddings(EmbeddingApi::OpenAi);
    relayed(asked, PathParams::default(), request, payload).await
}
