//! `GET /metrics`: what is counted, for Prometheus.

use actix_web::{
    HttpResponse,
    web::{self, Data, ServiceConfig},
};

use crate::{http::actors::Actors, telemetry::CONTENT_TYPE};

pub fn configure(services: &mut ServiceConfig) {
    services.route("", web::get().to(show));
}

/// Shows all metrics as OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, content_type = "application/openmetrics-text")))]
pub async fn show(actors: Data<Actors>) -> HttpResponse {
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(actors.metrics.render())
}
