//! Below `/v1beta/models`: the relay and the list of models, in Gemini's dialect.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data, Path, Payload, Query, ServiceConfig},
};
use serde::Deserialize;

use crate::{
    actors::{access_keys::KeyRing, published::Published},
    domain::id::{ModelName, RequestId},
    gateway::{
        exchange::{Asked, ClientApi},
        translate::{
            Addressed,
            embeddings::EmbeddingApi,
            model_list::{GeminiPage, gemini_list, gemini_one},
        },
    },
    http::{
        auth,
        problem::{Failure, Problem},
        relayed::relayed,
        servable::Servable,
    },
};

/// Below `/v1beta`, and below `/v1`, where newer clients look.
pub fn configure(services: &mut ServiceConfig) {
    // A name may hold slashes: all up to the last colon is its.
    services.route("/models/{model:.+}:{method}", web::post().to(call));
}

/// What is only below `/v1beta`: below `/v1` the lists are OpenAI's and Anthropic's.
pub fn configure_lists(services: &mut ServiceConfig) {
    services.route("/models", web::get().to(list)).route("/models/{model:.*}", web::get().to(show));
}

/// Which part of the list is wanted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    page_size: Option<usize>,
    page_token: Option<String>,
}

/// Lists the models that this key may ask for and that some provider in use lists, by name.
#[utoipa::path(get, path = "/v1beta/models", tag = "relay", security(("client_key" = [])),
    params(("pageSize" = Option<usize>, Query), ("pageToken" = Option<String>, Query)),
    responses((status = 200, description = "The list, as Google has it")))]
pub async fn list(
    request: HttpRequest,
    page: Query<Page>,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let servable = Servable::asked(&request, ClientApi::Gemini)?;
    let Page { page_size, page_token } = page.into_inner();
    servable.answer(gemini_list(&servable.list(), &GeminiPage { page_size, page_token }))
}

/// Shows one model. A provider that lists none takes any name, so a name need not be in the list.
#[utoipa::path(get, path = "/v1beta/models/{model}", tag = "relay",
    security(("client_key" = [])), params(("model" = String, Path)),
    responses((status = 200, description = "The model, as Google has it"),
        (status = 404, description = "No such model")))]
pub async fn show(
    request: HttpRequest,
    model: Path<String>,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let servable = Servable::asked(&request, ClientApi::Gemini)?;
    let model = servable.find(&model)?;
    servable.answer(Ok(gemini_one(&model)))
}

/// Calls a method of a model: `generateContent`, `streamGenerateContent` as a stream of events
/// (`alt=sse`) or as one JSON list, `countTokens`, `embedContent`, `batchEmbedContents`.
#[utoipa::path(post, path = "/v1beta/models/{model}:{method}", tag = "relay",
    security(("client_key" = [])),
    params(("model" = String, Path), ("method" = String, Path),
        ("alt" = Option<String>, Query, description = "`sse` for a stream of events")),
    request_body(content = serde_json::Value, description = "A Gemini request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "Gemini's answer to that method"),
        (status = "4XX", description = "A Google error object"),
        (status = "5XX", description = "A Google error object")))]
pub async fn call(
    request: HttpRequest,
    path: Path<(String, String)>,
    keys: Data<Published<KeyRing>>,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let (model, method) = path.into_inner();
    let refusal = |problem| {
        // Who has no key is told that, and nothing of models and methods.
        let problem = auth::client(&request, &keys).err().unwrap_or(problem);
        Failure::of(ClientApi::Gemini, problem, RequestId::generate())
    };
    let model = ModelName::parse(&model).map_err(|error| refusal(Problem::from(error)))?;
    let asked = match method.as_str() {
        "generateContent" => Asked::Answer(ClientApi::Gemini),
        "streamGenerateContent" if asks_events(request.query_string()) => {
            Asked::Answer(ClientApi::Gemini)
        }
        "streamGenerateContent" => Asked::Answer(ClientApi::GeminiArray),
        "countTokens" => Asked::TokenCount(ClientApi::Gemini),
        "embedContent" => Asked::Embeddings(EmbeddingApi::GeminiOne),
        "batchEmbedContents" => Asked::Embeddings(EmbeddingApi::GeminiBatch),
        other => {
            let message = format!("there is no method {other} of a model");
            return Err(refusal(Problem::not_found("route_not_found", message)));
        }
    };
    let stream = method == "streamGenerateContent";
    let addressed = Addressed { model: Some(model), stream: Some(stream) };
    relayed(asked, addressed, request, payload).await
}

fn asks_events(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name == "alt" && value == "sse")
}
