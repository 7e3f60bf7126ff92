//! `POST /v1/chat/completions`: the relay, in OpenAI's dialect.

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
    services.route("/chat/completions", web::post().to(create));
}

/// Relays a chat completion, whole or as a stream.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "relay",
    security(("client_key" = [])),
    params(
        ("x-providerpool-timeout-ms" = Option<u64>, Header,
            description = "Longest time this request may take, in milliseconds"),
        ("x-providerpool-mode" = Option<String>, Header,
            description = "Where it may be served: auto (the default), cloud or local"),
        ("x-providerpool-strategy" = Option<String>, Header,
            description = "How candidates are ordered, instead of the route's strategy"),
        ("x-providerpool-exclude" = Option<String>, Header,
            description = "Ids of providers that are not to be asked, with commas between them"),
        ("x-providerpool-prefer" = Option<String>, Header,
            description = "Id of a provider that is asked first, when it can serve the request"),
        ("x-providerpool-require" = Option<String>, Header,
            description = "What the model must be able to do, beside what the body shows: of \
                vision, audio, tools, json, thinking, streaming"),
        ("x-providerpool-relax" = Option<bool>, Header,
            description = "Whether models that lack something of it may be asked after all others"),
        ("x-providerpool-strict" = Option<bool>, Header,
            description = "Whether to refuse rather than lose anything of it in translation"),
        ("x-providerpool-session" = Option<String>, Header,
            description = "Names a session, whose requests go to the same place while it is well"),
    ),
    request_body(content = serde_json::Value, description = "An OpenAI Chat Completions request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "The upstream's answer: JSON, or an event stream when \
            `stream` is true. Headers tell who answered: x-request-id, x-providerpool-provider, \
            x-providerpool-model, x-providerpool-attempts, x-providerpool-translation (lossless, or \
            what was dropped); and x-providerpool-substitution \
            (alias or fallback) when it is not the model that was asked for"),
        (status = "4XX", description = "An OpenAI error object"),
        (status = "5XX", description = "An OpenAI error object"),
    )
)]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Failure<ClientApi>> {
    relayed(Asked::Answer(ClientApi::Chat), Addressed::default(), request, payload).await
}
