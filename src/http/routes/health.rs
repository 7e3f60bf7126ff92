//! `/health/live` and `/health/ready`: for whatever runs us. Open, and without details worth hiding.

use actix_web::{
    HttpResponse,
    web::{self, Data, ServiceConfig},
};
use serde::Serialize;

use crate::{http::actors::Actors, relay::Gate};

pub fn configure(services: &mut ServiceConfig) {
    services.route("/live", web::get().to(live)).route("/ready", web::get().to(ready));
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Liveness {
    #[schema(value_type = String)]
    status: &'static str,
}

/// What readiness depends on. All must be true.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// The database answers; its migrations were run before the first request was taken.
    database: bool,
    /// At least one provider is enabled and has what it needs.
    provider: bool,
    /// The process is not about to stop.
    accepting: bool,
}

/// Says that the process is up and answering.
#[utoipa::path(get, path = "/health/live", tag = "operations", security(()),
    responses((status = 200, body = Liveness)))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Liveness { status: "live" })
}

/// Says whether requests should be sent here.
#[utoipa::path(get, path = "/health/ready", tag = "operations", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub async fn ready(actors: Data<Actors>, gate: Data<Gate>) -> HttpResponse {
    let database = actors.db.ping().await.is_ok();
    let provider = actors.providers.read().any_usable();
    let accepting = !gate.is_draining();
    let readiness = Readiness { database, provider, accepting };
    if database && provider && accepting {
        HttpResponse::Ok().json(readiness)
    } else {
        HttpResponse::ServiceUnavailable().insert_header(("retry-after", "5")).json(readiness)
    }
}
