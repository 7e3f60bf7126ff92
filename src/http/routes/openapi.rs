//! `GET /api/openapi.json`: the surface described, generated from the handlers.

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::{
    aliases, chat_completions, client_keys, completions, cooldowns, embeddings, events, explain,
    gemini, health, keys, messages, metrics, model_routes, models, ollama, provider_formats,
    providers, requests, responses, usage,
};

pub fn configure(services: &mut ServiceConfig) {
    services.route("/openapi.json", web::get().to(show));
}

#[derive(OpenApi)]
#[openapi(
    info(title = "providerpool", license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    paths(
        chat_completions::create,
        completions::create,
        responses::create,
        messages::create,
        messages::count_tokens,
        embeddings::create,
        gemini::call,
        gemini::list,
        gemini::show,
        ollama::chat,
        ollama::complete,
        ollama::embed,
        ollama::embed_one,
        ollama::list,
        ollama::show,
        ollama::version,
        models::list,
        models::show,
        providers::list,
        providers::create,
        providers::show,
        providers::change,
        providers::delete,
        providers::enable,
        providers::disable,
        providers::clear_error,
        provider_formats::detect,
        keys::add,
        keys::change,
        keys::remove,
        client_keys::list,
        client_keys::create,
        client_keys::revoke,
        model_routes::list,
        model_routes::show,
        model_routes::set,
        model_routes::delete,
        explain::explain,
        aliases::list,
        aliases::show,
        aliases::set,
        aliases::delete,
        usage::summary,
        cooldowns::list,
        cooldowns::clear,
        requests::trace,
        events::subscribe,
        health::live,
        health::ready,
        metrics::show,
        show,
    ),
    security(("admin_key" = [])),
    modifiers(&Keys)
)]
struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for name in ["admin_key", "client_key"] {
            let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
            components.add_security_scheme(name, bearer);
        }
    }
}

/// The description of the whole HTTP surface.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Describes this API as OpenAPI 3.1.
#[utoipa::path(get, path = "/api/openapi.json", tag = "operations", responses((status = 200)))]
async fn show() -> HttpResponse {
    HttpResponse::Ok().json(document())
}
