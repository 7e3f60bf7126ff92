//! `/health/live` and `/health/ready`: for whatever runs us. Open, and without details worth hiding.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{self, Data, ServiceConfig},
};
use serde::Serialize;
use tokio::{sync::Mutex, time::Instant};

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

/// The last word of the database, kept for a second: anybody may ask whether we are ready, and must
/// not take up the database by it.
#[derive(Default)]
pub struct LastPing(Mutex<Option<(Instant, bool)>>);

impl LastPing {
    const FRESH: Duration = Duration::from_secs(1);

    async fn or_ping(&self, actors: &Actors) -> bool {
        let mut last = self.0.lock().await;
        if let Some((at, answered)) = *last
            && at.elapsed() < Self::FRESH
        {
            return answered;
        }
        let answered = actors.db.ping().await.is_ok();
        *last = Some((Instant::now(), answered));
        answered
    }
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
pub async fn ready(actors: Data<Actors>, gate: Data<Gate>, last: Data<LastPing>) -> HttpResponse {
    let database = last.or_ping(&actors).await;
    let provider = actors.providers.read().any_usable();
    let accepting = !gate.is_draining();
    let readiness = Readiness { database, provider, accepting };
    if database && provider && accepting {
        HttpResponse::Ok().json(readiness)
    } else {
        HttpResponse::ServiceUnavailable().insert_header(("retry-after", "5")).json(readiness)
    }
}
