//! `POST /v1/chat/completions`: the relay, in OpenAI's dialect.

use std::{rc::Rc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::{self, Bytes, Data, Payload, ServiceConfig},
};
use futures_util::StreamExt;
use tokio::time::Instant;

use crate::{
    actors::{access_keys::KeyRing, published::Published},
    domain::id::RequestId,
    gateway::dialect::openai_chat::error_event,
    http::{
        auth,
        problem::{Failure, OpenAi, Problem, openai_view},
        routing_headers::route_options,
        settings::ServerSettings,
    },
    relay::{Answered, ClientStream, Incoming, Relay, Served, admit, enter, serve},
};

/// What the client allows a request to take, in milliseconds.
const TIMEOUT_HEADER: &str = "x-providerpool-timeout-ms";

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
        ("x-providerpool-session" = Option<String>, Header,
            description = "Names a session, whose requests go to the same place while it is well"),
    ),
    request_body(content = serde_json::Value, description = "An OpenAI Chat Completions request",
        content_type = "application/json"),
    responses(
        (status = 200, description = "The upstream's answer: JSON, or an event stream when \
            `stream` is true. Headers tell who answered: x-request-id, x-providerpool-provider, \
            x-providerpool-model, x-providerpool-attempts; and x-providerpool-substitution \
            (alias or fallback) when it is not the model that was asked for"),
        (status = "4XX", description = "An OpenAI error object"),
        (status = "5XX", description = "An OpenAI error object"),
    )
)]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
    keys: Data<Published<KeyRing>>,
    relay: Data<Rc<Relay>>,
    settings: Data<ServerSettings>,
) -> Result<HttpResponse, Failure<OpenAi>> {
    let id = RequestId::generate();
    let arrived = Instant::now();
    let incoming = async {
        let key = auth::client(&request, &keys)?;
        let timeout = asked_timeout(&request)?;
        let options = route_options(&request)?;
        let permit = enter(&relay)?;
        let body = read_body(&request, payload, &settings).await?;
        Ok::<_, Problem>(Incoming { id, key, arrived, timeout, body, options, permit })
    };
    let incoming = incoming.await.map_err(|problem| Failure::of(problem, id))?;
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    let attempts = admit(&relay, incoming, header).map_err(|error| Failure::of(error, id))?;
    // Boxed: it is large, and what holds it is moved several times on its way through the server.
    match Box::pin(serve(attempts)).await.map_err(|error| Failure::of(error, id))? {
        Served::Whole { by, body } => Ok(answer(id, Some(&by), "application/json").body(body)),
        Served::Stream { by, body } => {
            let mut response = answer(id, by.as_ref(), "text/event-stream");
            response.insert_header((CACHE_CONTROL, "no-cache"));
            // Some reverse proxies gather a response before they pass it on, unless told not to.
            response.insert_header(("x-accel-buffering", "no"));
            Ok(response.streaming(in_dialect(body)))
        }
    }
}

fn answer(
    id: RequestId,
    by: Option<&Answered>,
    content_type: &'static str,
) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, content_type));
    response.insert_header(("x-request-id", id.to_string()));
    if let Some(by) = by {
        response.insert_header(("x-providerpool-provider", by.provider_id.as_str()));
        response.insert_header(("x-providerpool-attempts", by.attempts));
        response.insert_header(("x-providerpool-translation", "lossless"));
        if let Some(substitution) = by.substitution {
            response.insert_header(("x-providerpool-substitution", substitution));
        }
        // A model's name may hold what a header may not.
        if by.model.as_str().is_ascii() {
            response.insert_header(("x-providerpool-model", by.model.as_str()));
        }
    }
    response
}

/// Words the error that may end a stream as OpenAI would.
fn in_dialect(
    body: ClientStream,
) -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    body.map(|item| Ok(item.unwrap_or_else(|error| error_event(openai_view(&error.into())))))
}

fn asked_timeout(request: &HttpRequest) -> Result<Option<Duration>, Problem> {
    let Some(value) = request.headers().get(TIMEOUT_HEADER) else { return Ok(None) };
    let millis = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|ms| *ms > 0);
    match millis {
        Some(millis) => Ok(Some(Duration::from_millis(millis))),
        None => Err(Problem::bad_request(format!(
            "{TIMEOUT_HEADER} must be a whole number of milliseconds above 0"
        ))),
    }
}

/// Reads the body, within its limits of size and time.
pub async fn read_body(
    request: &HttpRequest,
    payload: Payload,
    settings: &ServerSettings,
) -> Result<Bytes, Problem> {
    let limit = settings.max_body_bytes;
    let announced = request.headers().get("content-length").and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<usize>().ok()).is_some_and(|size| size > limit) {
        return Err(Problem::too_large(limit));
    }
    let read = tokio::time::timeout(settings.body_timeout, payload.to_bytes_limited(limit));
    match read.await {
        Err(_) => Err(Problem::body_too_slow()),
        Ok(Err(_)) => Err(Problem::too_large(limit)),
        Ok(Ok(Err(error))) => Err(Problem::bad_request(format!("the body broke off: {error}"))),
        Ok(Ok(Ok(body))) => Ok(body),
    }
}
