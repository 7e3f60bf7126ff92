//! `/health/live` and `/health/ready`: for whatever runs us. Open, and without details worth hiding.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    web::{self, Data},
};
use serde::Serialize;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    http::{
        actors::Actors,
        endpoint::{Endpoint, endpoint},
    },
    relay::Gate,
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(live), endpoint!(ready)]
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Liveness {
    #[schema(value_type = String)]
    status: &'static str,
}

/// What readiness depends on. All must be true.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and shown as one")]
pub struct Readiness {
    /// The database answers, and no damage was met in it; its migrations were run before the first
    /// request was taken.
    database: bool,
    /// There is room on the disk for the journal and the database.
    disk: bool,
    /// At least one provider is enabled and has what it needs.
    provider: bool,
    /// The process is not about to stop.
    accepting: bool,
}

/// What was last seen of the database and the disk, kept for a second: anybody may ask whether we are
/// ready, and must not take them up by it.
#[derive(Default)]
pub struct LastLook(Mutex<Option<(Instant, Look)>>);

#[derive(Clone, Copy)]
struct Look {
    database: bool,
    disk: bool,
}

impl LastLook {
    const FRESH: Duration = Duration::from_secs(1);

    /// Longest wait for the disk.
    const DISK_TIMEOUT: Duration = Duration::from_millis(1_500);

    async fn or_look(&self, actors: &Actors) -> Look {
        let mut last = self.0.lock().await;
        if let Some((at, look)) = *last
            && at.elapsed() < Self::FRESH
        {
            return look;
        }
        let (database, disk) = tokio::join!(database(actors), disk(actors));
        let before = last.map(|(_, look)| look);
        report("database", before.is_none_or(|look| look.database), &database);
        report("disk", before.is_none_or(|look| look.disk), &disk);
        let look = Look { database: database.is_ok(), disk: disk.is_ok() };
        *last = Some((Instant::now(), look));
        look
    }
}

async fn database(actors: &Actors) -> Result<(), String> {
    actors.db.ping().await.map_err(|error| error.to_string())?;
    actors.db.damage().map_or(Ok(()), Err)
}

async fn disk(actors: &Actors) -> Result<(), String> {
    let disk = Arc::clone(&actors.disk);
    let looked = web::block(move || disk.check());
    match tokio::time::timeout(LastLook::DISK_TIMEOUT, looked).await {
        Ok(Ok(checked)) => checked.map_err(|error| error.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it did not answer in time".to_owned()),
    }
}

/// Tells what has changed, once.
fn report(what: &'static str, was_good: bool, is_good: &Result<(), String>) {
    match is_good {
        Err(reason) if was_good => tracing::error!(reason, "not ready: {what}"),
        Ok(()) if !was_good => tracing::info!("ready again: {what}"),
        _ => {}
    }
}

/// Says that the process is up and answering.
#[utoipa::path(get, path = "/health/live", tag = "operations",
    responses((status = 200, body = Liveness)))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Liveness { status: "live" })
}

/// Says whether requests should be sent here.
#[utoipa::path(get, path = "/health/ready", tag = "operations",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub async fn ready(actors: Data<Actors>, gate: Data<Gate>, last: Data<LastLook>) -> HttpResponse {
    let Look { database, disk } = last.or_look(&actors).await;
    let provider = actors.providers.read().any_usable();
    let accepting = !gate.is_draining();
    let readiness = Readiness { database, disk, provider, accepting };
    if database && disk && provider && accepting {
        HttpResponse::Ok().json(readiness)
    } else {
        HttpResponse::ServiceUnavailable().insert_header(("retry-after", "5")).json(readiness)
    }
}
