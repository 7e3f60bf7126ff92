//! `/api/chat`, `/api/generate`, `/api/embed`, and the models: the relay, in Ollama's dialect.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    gateway::{
        exchange::{ClientApi, ClientCall},
        translate::{
            PathParams,
            embeddings::EmbeddingApi,
            model_list::{ollama_show, ollama_tags, ollama_version},
        },
    },
    http::{
        body::Bodies,
        endpoint::{Endpoint, endpoint},
        json::{self, MAX_BODY},
        problem::ErrorResponse,
        relayed::relayed,
        routing_headers::RoutingHeaders,
        servable::Servable,
    },
};

/// Beside the management API, which has the same first word in its paths.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint!(chat),
        endpoint!(complete),
        endpoint!(embed),
        endpoint!(embed_one),
        endpoint!(list),
        endpoint!(show),
        endpoint!(version),
    ]
}

/// Relays a chat, as a stream of lines unless `stream` is false.
#[utoipa::path(post, path = "/api/chat", tag = "relay", params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An Ollama chat request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A message, or JSON lines of it",
            content((serde_json::Value = "application/json"), (String = "application/x-ndjson")))))]
pub async fn chat(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    relayed(ClientCall::Generate(ClientApi::OllamaChat), PathParams::default(), request, payload)
        .await
}

/// Relays a prompt, as a stream of lines unless `stream` is false.
#[utoipa::path(post, path = "/api/generate", tag = "relay", params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An Ollama generate request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "A response, or JSON lines of it",
            content((serde_json::Value = "application/json"), (String = "application/x-ndjson")))))]
pub async fn complete(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    relayed(
        ClientCall::Generate(ClientApi::OllamaGenerate),
        PathParams::default(),
        request,
        payload,
    )
    .await
}

/// Turns texts into vectors.
#[utoipa::path(post, path = "/api/embed", tag = "relay", params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An Ollama embed request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "The vectors")))]
pub async fn embed(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let asked = ClientCall::Embeddings(EmbeddingApi::Ollama);
    relayed(asked, PathParams::default(), request, payload).await
}

/// Turns one text into a vector, in the way Ollama had before.
#[utoipa::path(post, path = "/api/embeddings", tag = "relay", params(RoutingHeaders),
    request_body(content = serde_json::Value, description = "An Ollama embeddings request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "The vector")))]
pub async fn embed_one(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let asked = ClientCall::Embeddings(EmbeddingApi::OllamaLegacy);
    relayed(asked, PathParams::default(), request, payload).await
}

/// Lists the models that this key may ask for and that some provider in use lists, by name.
#[utoipa::path(get, path = "/api/tags", tag = "relay",
    responses((status = 200, description = "The list, as Ollama has it")))]
pub async fn list(request: HttpRequest) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let servable = Servable::asked(&request, ClientApi::OllamaChat)?;
    servable.answer(Ok(ollama_tags(&servable.list())))
}

/// The model that is to be shown. Older clients call it `name`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct ShowBody {
    #[serde(alias = "name")]
    model: String,
    /// What else clients send. Read as fields, so that the body is an object and no list.
    #[serde(flatten)]
    #[schema(ignore)]
    _others: Map<String, Value>,
}

/// Shows one model. A provider that lists none takes any name, so a name need not be in the list.
#[utoipa::path(post, path = "/api/show", tag = "relay", request_body = ShowBody,
    responses((status = 200, description = "The model, as Ollama has it"),
        (status = 404, description = "No such model")))]
pub async fn show(
    request: HttpRequest,
    payload: Payload,
    bodies: Data<Bodies>,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let servable = Servable::asked(&request, ClientApi::OllamaChat)?;
    let body = bodies.read(&request, payload, MAX_BODY, servable.key()).await;
    let body = body.and_then(|body| json::parse::<ShowBody>(&body.bytes));
    let model = servable.find(&body.map_err(|problem| servable.failure(problem))?.model)?;
    servable.answer(Ok(ollama_show(&model)))
}

/// Says which version of Ollama's API is spoken.
#[utoipa::path(get, path = "/api/version", tag = "relay",
    responses((status = 200, description = "The version")))]
pub async fn version(request: HttpRequest) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    Servable::asked(&request, ClientApi::OllamaChat)?.answer(Ok(ollama_version()))
}
