//! `POST /v1beta/models/{model}:{method}`: the relay, in Gemini's dialect.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Path, Payload, ServiceConfig},
};

use crate::{
    domain::id::{ModelName, RequestId},
    gateway::{
        exchange::{Asked, ClientApi},
        translate::{Addressed, embeddings::EmbeddingApi},
    },
    http::{
        problem::{Failure, Problem},
        relayed::relayed,
    },
};

pub fn configure(services: &mut ServiceConfig) {
    // A name may hold slashes: all up to the last colon is its.
    services.route("/models/{model:.+}:{method}", web::post().to(call));
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
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let (model, method) = path.into_inner();
    let refusal = |problem| Failure::of(ClientApi::Gemini, problem, RequestId::generate());
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
