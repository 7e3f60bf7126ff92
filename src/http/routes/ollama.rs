//! `POST /api/chat`, `/api/generate`, `/api/embed`: the relay, in Ollama's dialect.

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

/// Beside the management API, which has the same first word in its paths.
pub fn configure(services: &mut ServiceConfig) {
    services
        .route("/api/chat", web::post().to(chat))
        .route("/api/generate", web::post().to(complete))
        .route("/api/embed", web::post().to(embed))
        .route("/api/embeddings", web::post().to(embed_one));
}

/// Relays a chat, as a stream of lines unless `stream` is false.
#[utoipa::path(post, path = "/api/chat", tag = "relay", security(("client_key" = [])),
    request_body(content = serde_json::Value, description = "An Ollama chat request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A message, or JSON lines of it"),
        (status = "4XX", description = "An Ollama error object"),
        (status = "5XX", description = "An Ollama error object")))]
pub async fn chat(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    relayed(Asked::Answer(ClientApi::OllamaChat), Addressed::default(), request, payload).await
}

/// Relays a prompt, as a stream of lines unless `stream` is false.
#[utoipa::path(post, path = "/api/generate", tag = "relay", security(("client_key" = [])),
    request_body(content = serde_json::Value, description = "An Ollama generate request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A response, or JSON lines of it"),
        (status = "4XX", description = "An Ollama error object"),
        (status = "5XX", description = "An Ollama error object")))]
pub async fn complete(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    relayed(Asked::Answer(ClientApi::OllamaGenerate), Addressed::default(), request, payload).await
}

/// Turns texts into vectors.
#[utoipa::path(post, path = "/api/embed", tag = "relay", security(("client_key" = [])),
    request_body(content = serde_json::Value, description = "An Ollama embed request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "The vectors"),
        (status = "4XX", description = "An Ollama error object"),
        (status = "5XX", description = "An Ollama error object")))]
pub async fn embed(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let asked = Asked::Embeddings(EmbeddingApi::Ollama);
    relayed(asked, Addressed::default(), request, payload).await
}

/// Turns one text into a vector, in the way Ollama had before.
#[utoipa::path(post, path = "/api/embeddings", tag = "relay", security(("client_key" = [])),
    request_body(content = serde_json::Value, description = "An Ollama embeddings request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "The vector"),
        (status = "4XX", description = "An Ollama error object"),
        (status = "5XX", description = "An Ollama error object")))]
pub async fn embed_one(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let asked = Asked::Embeddings(EmbeddingApi::OllamaLegacy);
    relayed(asked, Addressed::default(), request, payload).await
}
