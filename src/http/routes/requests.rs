//! `/api/v1/requests`: what became of a request.

use std::sync::Arc;

use actix_web::web::{Data, Json, Path};

use crate::{
    actors::traces::FindTrace,
    domain::{id::RequestId, trace::Trace},
    http::{
        actors::{Actors, ask},
        endpoint::{Endpoint, endpoint},
        problem::{ErrorResponse, Management, Problem},
        settings::ServerSettings,
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(trace)]
}

/// Shows the way of a request: its plans, its attempts, and what came of them.
///
/// Only the last requests are remembered (`relay.traces` in the configuration), in memory, and each
/// once it is over. A plan names those who serve the model, as they stood at that moment; why all
/// the others could not be asked at all is told by `POST /api/v1/routes/explain`, for this moment.
#[utoipa::path(get, path = "/api/v1/requests/{id}/trace", tag = "requests",
    params(("id" = String, Path, description = "As in the header x-request-id of the answer")),
    responses((status = 200, body = Trace),
        (status = 404, description = "It is under way, too long ago, or never was")))]
pub async fn trace(
    actors: Data<Actors>,
    settings: Data<ServerSettings>,
    id: Path<String>,
) -> Result<Json<Arc<Trace>>, ErrorResponse<Management>> {
    let missing = || {
        let message = match settings.traces {
            0 => "no traces are kept: relay.traces is 0".to_owned(),
            kept => format!(
                "there is no trace of this request: the last {kept} are kept (relay.traces), and \
                 a request that is under way has none yet"
            ),
        };
        Problem::not_found("trace_not_found", message)
    };
    let request_id = RequestId::parse(&id).ok_or_else(missing)?;
    let trace = ask(&actors.traces, FindTrace { request_id }).await?;
    Ok(Json(trace.ok_or_else(missing)?))
}
