//! `GET /api/v1/events`: the event stream, as a WebSocket.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HOST, ORIGIN},
    web::{Data, Payload},
};
use serde::Deserialize;

use crate::{
    actors::{access_keys::fault_of_key, events::Subscribe},
    domain::{event::EventFilter, id::ProviderId},
    http::{
        actors::{Actors, ask},
        auth,
        endpoint::{Endpoint, endpoint},
        problem::{ErrorResponse, Management, Problem},
        query::Query,
        settings::ServerSettings,
    },
    ws::{origin::origin_allowed, session},
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(subscribe)]
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Number of the last event already seen; what came after it is sent first.
    since: Option<u64>,
    /// Types (`cooldown.started`) or groups (`cooldown.*`), separated by commas. Absent: all.
    types: Option<String>,
    /// Provider ids, separated by commas. Absent: all events, also those about no provider.
    provider_id: Option<String>,
}

fn words(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty())
}

impl EventsQuery {
    fn filter(&self) -> Result<EventFilter, Problem> {
        let types = words(self.types.as_deref()).map(str::to_owned).collect();
        let providers: Result<_, _> =
            words(self.provider_id.as_deref()).map(ProviderId::parse).collect();
        let filter = EventFilter { types, providers: providers? };
        match filter.unknown_type() {
            Some(unknown) => {
                Err(Problem::bad_request(format!("types: there are no events of type {unknown}")))
            }
            None => Ok(filter),
        }
    }
}

/// Opens the event stream. Needs a WebSocket client; the first frame is `system.hello`. It is closed
/// when the key is revoked, expires or is changed.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(EventsQuery),
    responses((status = 101, description = "One event per text frame"), (status = 400), (status = 403),
        (status = 503, description = "All seats are taken")))]
pub async fn subscribe(
    request: HttpRequest,
    body: Payload,
    query: Query<EventsQuery>,
    actors: Data<Actors>,
    settings: Data<ServerSettings>,
) -> Result<HttpResponse, ErrorResponse<Management>> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    // An origin that cannot be read is an origin all the same, and not one of ours.
    let origin = request.headers().get(ORIGIN).map(|value| value.to_str().unwrap_or("null"));
    if !origin_allowed(origin, host, &settings.allowed_origins) {
        return Err(Problem::forbidden(
            "this origin may not open the event stream; add it to server.allowed_origins",
        )
        .into());
    }
    let key = auth::admitted(&request);
    let subscribe = Subscribe { since: query.since, filter: query.filter()? };
    let subscription = ask(&actors.events, subscribe).await??;
    let (response, session, messages) =
        actix_ws::handle(&request, body).map_err(Problem::bad_request)?;
    let key = fault_of_key(actors.key_ring.clone(), key);
    actix_web::rt::spawn(session::run(session, messages, subscription, settings.heartbeat, key));
    Ok(response)
}
