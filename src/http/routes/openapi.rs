//! `GET /api/openapi.json`: the surface described, generated from the handlers.

mod errors;
mod manners;
pub mod variants;

use actix_web::HttpResponse;
use utoipa::{
    OpenApi as _,
    openapi::{
        ComponentsBuilder, OpenApi,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::http::endpoint::{Endpoint, endpoint};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(show)]
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "providerpool",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "Where this document was got")),
    tags(
        (name = "relay", description = "For client keys, in the dialects of OpenAI, Anthropic, \
            Gemini and Ollama"),
        (name = "providers"), (name = "client keys"), (name = "routes"), (name = "cooldowns"),
        (name = "usage"), (name = "requests"), (name = "events"),
        (name = "operations", description = "Health, metrics and this document"),
    ),
    components(schemas(
        crate::http::problem::ManagementError,
        errors::OpenAiError,
        errors::AnthropicError,
        errors::GoogleError,
        errors::OllamaError,
        // Of parameters, which name them without bringing them along.
        crate::domain::id::ProviderId,
        crate::domain::id::ModelName,
        crate::domain::pattern::NamePattern,
        crate::domain::route::Mode,
        crate::domain::route::Strategy,
        super::gemini::CalledMethod,
    ))
)]
struct Frame;

/// What a key may be presented in.
fn schemes() -> [(&'static str, SecurityScheme); 5] {
    let bearer = || SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let header = |name| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(name)));
    [
        ("admin_key", bearer()),
        ("client_key", bearer()),
        ("client_key_as_anthropics", header("x-api-key")),
        ("client_key_as_googles", header("x-goog-api-key")),
        ("client_key_in_query", SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::new("key")))),
    ]
}

/// The description of the whole HTTP surface.
pub fn document() -> OpenApi {
    let mut document = Frame::openapi();
    for endpoint in super::endpoints() {
        document.merge(endpoint.into_description());
    }
    for (path, item) in &mut document.paths.paths {
        manners::complete(path, item);
    }
    let components = document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    let add = |components: utoipa::openapi::Components, (name, scheme)| {
        ComponentsBuilder::from(components).security_scheme(name, scheme).build()
    };
    document.components = Some(schemes().into_iter().fold(components, add));
    document
}

/// Describes this API as OpenAPI 3.1.
#[utoipa::path(get, path = "/api/openapi.json", tag = "operations",
    responses((status = 200, description = "This document", body = serde_json::Value)))]
async fn show() -> HttpResponse {
    HttpResponse::Ok().json(document())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use utoipa::openapi::path::ParameterIn;

    use super::*;
    use crate::http::{endpoint::operations, routes};

    #[test]
    fn what_is_served_is_described_and_the_other_way_round() {
        let served: BTreeSet<String> =
            routes::endpoints().iter().map(|it| format!("{} {}", it.method, it.path)).collect();
        let document = document();
        let described = document.paths.paths.iter().flat_map(|(path, item)| {
            operations(item).map(move |(method, _)| format!("{method} {path}"))
        });
        assert_eq!(described.collect::<BTreeSet<_>>(), served);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_who_may_call_it() {
        let document = document();
        let mut names = HashSet::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                let name = operation.operation_id.clone().unwrap();
                assert!(names.insert(name.clone()), "{name} is there twice");
                assert!(operation.security.is_some(), "{method} {path} has no security");
                assert!(operation.summary.is_some(), "{method} {path} has no words");
            }
        }
        assert!(names.contains("get_v1_models_by_id"), "{names:?}");
        assert!(names.contains("post_providers_by_id_clear_error"), "{names:?}");
    }

    #[test]
    fn parameters_of_the_path_are_those_in_the_path() {
        for (path, item) in document().paths.paths {
            let words = path.split(['{', '}']).skip(1).step_by(2);
            let in_path: BTreeSet<&str> = words.collect();
            for (method, operation) in operations(&item) {
                let described = operation.parameters.iter().flatten();
                let described = described.filter(|it| it.parameter_in == ParameterIn::Path);
                let described: BTreeSet<&str> = described.map(|it| it.name.as_str()).collect();
                assert_eq!(described, in_path, "{method} {path}");
            }
        }
    }
}
