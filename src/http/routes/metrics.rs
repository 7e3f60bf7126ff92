//! `GET /metrics`: what is counted, for Prometheus.

use actix_web::{HttpResponse, web::Data};

use crate::{
    http::{
        actors::Actors,
        endpoint::{Endpoint, endpoint},
    },
    telemetry::CONTENT_TYPE,
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(show)]
}

/// Shows all metrics as OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "OpenMetrics text", body = String,
    content_type = "application/openmetrics-text")))]
pub async fn show(actors: Data<Actors>) -> HttpResponse {
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(actors.metrics.render())
}
