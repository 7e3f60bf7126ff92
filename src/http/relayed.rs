//! The relay over HTTP, whatever the client speaks: a request is read, admitted and served, and its
//! answer sent, whole or as a stream.

use std::{rc::Rc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue},
    web::{Bytes, Data, Payload},
};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{
    auth,
    body::{Bodies, Held},
    problem::{ErrorResponse, Problem, WARNING, error_view},
    routing_headers::{route_options, unknown_providers},
    settings::ServerSettings,
};
use crate::{
    actors::{access_keys::KeyRing, clock::now, published::Published, registry::ProviderTable},
    domain::id::RequestId,
    gateway::{
        exchange::{ClientApi, ClientCall},
        translate::PathParams,
    },
    relay::{
        Answered, BrokenStream, ClientStream, Incoming, Relay, RelayError, Served, admit, enter,
        serve,
    },
};

/// What the client allows a request to take, in milliseconds.
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-providerpool-timeout-ms");

/// Some clients send a line break that stands in a header, which ends the head there.
const NO_BODY: &str = "the request has no body; if one was sent, a line break in a header, as at the end of \
                       a key, has cut the head off before it";

// Made once: a name given as text is checked and copied for each answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROVIDER: HeaderName = HeaderName::from_static("x-providerpool-provider");
const MODEL: HeaderName = HeaderName::from_static("x-providerpool-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-providerpool-attempts");
const TRANSLATION: HeaderName = HeaderName::from_static("x-providerpool-translation");
const SUBSTITUTION: HeaderName = HeaderName::from_static("x-providerpool-substitution");

/// Relays one request of a client. `addressed`: what the path has said already.
///
/// Errors: an [`ErrorResponse`] in the client's dialect.
pub async fn relayed(
    asked: ClientCall,
    addressed: PathParams,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let (id, api) = (RequestId::generate(), asked.api());
    let arrived = Instant::now();
    let relay = Rc::clone(data::<Rc<Relay>>(&request));
    let incoming = async {
        let key = auth::client(&request, data::<Published<KeyRing>>(&request))?;
        let timeout = asked_timeout(&request)?;
        let deadline = relay.deadline(arrived, timeout);
        let options = route_options(&request)?;
        let permit = enter(&relay)?;
        let limit = data::<ServerSettings>(&request).max_body_bytes;
        let body = data::<Bodies>(&request).read(&request, payload, limit, &key.id).await?;
        if body.bytes.is_empty() {
            return Err(Problem::bad_request(NO_BODY));
        }
        let recalled = relay.recall(asked, &key.id, body.bytes, deadline).await;
        let providers = data::<Published<ProviderTable>>(&request);
        let warning = unknown_providers(&options, &providers.read());
        let incoming =
            Incoming { id, asked, addressed, key, arrived, deadline, recalled, options, permit };
        Ok::<_, Problem>((incoming, body.held, warning))
    };
    let failure = |problem: Problem| ErrorResponse::of(api, problem, id);
    // The body is held as long as another attempt may need it: until the answer is over.
    let (incoming, held, warning) = incoming.await.map_err(failure)?;
    if let ClientCall::Generate(api) = asked
        && let Some(body) = api.answer_without_model(&incoming.recalled.body, now())
    {
        return Ok(answer(id, None, warning, "application/json").body(body));
    }
    let failure = |error: RelayError| ErrorResponse::of(api, error, id).warning(warning.clone());
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    let attempts = admit(&relay, incoming, header).map_err(failure)?;
    // Boxed: it is large, and what holds it is moved several times on its way through the server.
    let served = Box::pin(serve(attempts)).await.map_err(failure)?;
    match served {
        Served::Whole { by, body } => {
            Ok(answer(id, by.as_ref(), warning, "application/json").body(body))
        }
        Served::Stream { by, body } => {
            let mut response = answer(id, by.as_ref(), warning, api.side().stream_type());
            response.insert_header((CACHE_CONTROL, "no-cache"));
            // Some reverse proxies gather a response before they pass it on, unless told not to.
            response.insert_header(("x-accel-buffering", "no"));
            Ok(response.streaming(in_dialect(api, body, held)))
        }
    }
}

/// What the server hands to every worker.
fn data<T: 'static>(request: &HttpRequest) -> &T {
    request.app_data::<Data<T>>().expect("the server gives every scope its data").get_ref()
}

fn answer(
    id: RequestId,
    by: Option<&Answered>,
    warning: Option<String>,
    content_type: &'static str,
) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(content_type)));
    response.insert_header((REQUEST_ID, id.to_string()));
    if let Some(warning) = warning {
        response.insert_header((WARNING, warning));
    }
    if let Some(by) = by {
        response.insert_header((PROVIDER, by.provider_id.as_str()));
        response.insert_header((ATTEMPTS, by.attempts));
        if by.losses.is_empty() {
            response.insert_header((TRANSLATION, HeaderValue::from_static("lossless")));
        } else {
            response.insert_header((TRANSLATION, by.losses.to_string()));
        }
        if let Some(substitution) = by.substitution {
            response.insert_header((SUBSTITUTION, HeaderValue::from_static(substitution)));
        }
        // A model's name may hold what a header may not.
        if by.model.as_str().is_ascii() {
            response.insert_header((MODEL, by.model.as_str()));
        }
    }
    response
}

/// Words the error that may end a stream as the client's dialect does.
fn in_dialect(
    api: ClientApi,
    body: ClientStream,
    held: Held,
) -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    body.map(move |item| {
        let _ = &held;
        Ok(item.unwrap_or_else(|BrokenStream { error, writer }| {
            let problem = Problem::from(error);
            let view = error_view(&problem);
            match writer {
                None => api.side().error_event(&view),
                Some(writer) => {
                    let mut last = Vec::new();
                    writer.borrow_mut().fail(&view, &mut last);
                    last
                }
            }
            .into()
        }))
    })
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
