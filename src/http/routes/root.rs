//! `/`: what answers here, for whoever opens the address in a browser or asks whether it is there.

use actix_web::{HttpResponse, http::header::ContentType};

use crate::http::endpoint::{Endpoint, endpoint};

const GREETING: &str = concat!(
    "providerpool ",
    env!("CARGO_PKG_VERSION"),
    " is running: a pool of LLM providers.\n\
     Clients: the base URL is this address, with /v1 for OpenAI's, and a client key (ppk_...).\n\
     Management: below /api/v1, described at /api/openapi.json, with an admin key (ppa_...).\n\
     Read on: docs/getting-started.md in its source; 'providerpool --help' lists the commands.\n"
);

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(greet)]
}

/// Says what answers here.
#[utoipa::path(get, path = "/", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn greet() -> HttpResponse {
    HttpResponse::Ok().insert_header(ContentType::plaintext()).body(GREETING)
}
