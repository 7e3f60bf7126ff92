//! Below `/v1beta/models`: the relay and the list of models, in Gemini's dialect.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Payload},
};
use serde::Deserialize;

use crate::{
    actors::{access_keys::KeyRing, published::Published},
    domain::id::{ModelName, RequestId},
    gateway::{
        exchange::{ClientApi, ClientCall},
        translate::{
            PathParams,
            embeddings::EmbeddingApi,
            model_list::{GeminiPage, gemini_list, gemini_one},
        },
    },
    http::{
        auth,
        endpoint::{Endpoint, endpoint},
        problem::{ErrorResponse, Problem},
        query::Query,
        relayed::relayed,
        routing_headers::RoutingHeaders,
        servable::Servable,
    },
};

/// Models are called below `/v1beta`, and below `/v1`, where newer clients look. The lists below `/v1`
/// are OpenAI's and Anthropic's.
pub fn endpoints() -> Vec<Endpoint> {
    // A name may hold slashes: all up to the last colon is its.
    vec![
        endpoint!(call).with_slashes("model"),
        endpoint!(call_in_v1).with_slashes("model"),
        endpoint!(list),
        endpoint!(show).with_slashes("model"),
    ]
}

/// Which part of the list is wanted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    page_size: Option<usize>,
    page_token: Option<String>,
}

/// Lists the models that this key may ask for and that some provider in use lists, by name.
#[utoipa::path(get, path = "/v1beta/models", tag = "relay",
    params(("pageSize" = Option<usize>, Query), ("pageToken" = Option<String>, Query)),
    responses((status = 200, description = "The list, as Google has it")))]
pub async fn list(
    request: HttpRequest,
    page: Query<Page>,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let servable = Servable::asked(&request, ClientApi::Gemini)?;
    let Page { page_size, page_token } = page.into_inner();
    servable.answer(gemini_list(&servable.list(), &GeminiPage { page_size, page_token }))
}

/// Shows one model. A provider that lists none takes any name, so a name need not be in the list.
#[utoipa::path(get, path = "/v1beta/models/{model}", tag = "relay", params(("model" = ModelName, Path)),
    responses((status = 200, description = "The model, as Google has it"),
        (status = 404, description = "No such model")))]
pub async fn show(
    request: HttpRequest,
    model: Path<String>,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let servable = Servable::asked(&request, ClientApi::Gemini)?;
    let model = servable.find(&model)?;
    servable.answer(Ok(gemini_one(&model)))
}

/// What a model can be asked to do. Described alone.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it is described, and never made")]
pub enum CalledMethod {
    GenerateContent,
    StreamGenerateContent,
    CountTokens,
    EmbedContent,
    BatchEmbedContents,
}

/// Calls a method of a model: `generateContent`, `streamGenerateContent` as a stream of events
/// (`alt=sse`) or as one JSON list, `countTokens`, `embedContent`, `batchEmbedContents`.
#[utoipa::path(post, path = "/v1beta/models/{model}:{method}", tag = "relay",
    params(("model" = ModelName, Path), ("method" = CalledMethod, Path),
        ("alt" = Option<String>, Query, description = "`sse` for a stream of events"),
        RoutingHeaders),
    request_body(content = serde_json::Value, description = "A Gemini request",
        content_type = "application/json"),
    responses((status = 200, description = "Gemini's answer to that method",
        content((serde_json::Value = "application/json"), (String = "text/event-stream")))))]
pub async fn call(
    request: HttpRequest,
    path: Path<(String, String)>,
    keys: Data<Published<KeyRing>>,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let (model, method) = path.into_inner();
    let refusal = |problem| {
        // Who has no key is told that, and nothing of models and methods.
        let problem = auth::client(&request, &keys).err().unwrap_or(problem);
        ErrorResponse::of(ClientApi::Gemini, problem, RequestId::generate())
    };
    let model = ModelName::parse(&model).map_err(|error| refusal(Problem::from(error)))?;
    let asked = match method.as_str() {
        "generateContent" => ClientCall::Generate(ClientApi::Gemini),
        "streamGenerateContent" if asks_events(request.query_string()) => {
            ClientCall::Generate(ClientApi::Gemini)
        }
        "streamGenerateContent" => ClientCall::Generate(ClientApi::GeminiArray),
        "countTokens" => ClientCall::TokenCount(ClientApi::Gemini),
        "embedContent" => ClientCall::Embeddings(EmbeddingApi::GeminiOne),
        "batchEmbedContents" => ClientCall::Embeddings(EmbeddingApi::GeminiBatch),
        other => {
            let message = format!("there is no method {other} of a model");
            return Err(refusal(Problem::not_found("route_not_found", message)));
        }
    };
    let stream = method == "streamGenerateContent";
    let addressed = PathParams { model: Some(model), stream: Some(stream) };
    relayed(asked, addressed, request, payload).await
}

/// Calls a method of a model, as below `/v1beta`.
#[utoipa::path(post, path = "/v1/models/{model}:{method}", tag = "relay",
    params(("model" = ModelName, Path), ("method" = CalledMethod, Path),
        ("alt" = Option<String>, Query, description = "`sse` for a stream of events"),
        RoutingHeaders),
    request_body(content = serde_json::Value, description = "A Gemini request",
        content_type = "application/json"),
    responses((status = 200, description = "Gemini's answer to that method",
        content((serde_json::Value = "application/json"), (String = "text/event-stream")))))]
async fn call_in_v1(
    request: HttpRequest,
    path: Path<(String, String)>,
    keys: Data<Published<KeyRing>>,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    call(request, path, keys, payload).await
}

fn asks_events(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name == "alt" && value == "sse")
}
