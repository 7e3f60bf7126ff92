//! `GET /v1/models` and `GET /v1/models/{id}`: what can be asked for, in OpenAI's shape, or in that of
//! Anthropic or Google for their clients.

use actix_web::{HttpRequest, HttpResponse, web::Path};
use serde::Deserialize;

use crate::{
    domain::id::ModelName,
    gateway::{
        exchange::ClientApi,
        translate::model_list::{
            AnthropicPage, GeminiPage, anthropic_list, anthropic_one, gemini_list, gemini_one,
            openai_list, openai_one,
        },
    },
    http::{
        endpoint::{Endpoint, endpoint},
        plane::by_headers,
        problem::ErrorResponse,
        query::Query,
        servable::Servable,
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    // A name may hold slashes: the rest of the path is all of it.
    vec![endpoint!(list), endpoint!(show).with_slashes("id")]
}

/// Which part of the list is wanted. OpenAI's list has no parts.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    before_id: Option<String>,
    after_id: Option<String>,
    limit: Option<usize>,
    #[serde(rename = "pageSize")]
    page_size: Option<usize>,
    #[serde(rename = "pageToken")]
    page_token: Option<String>,
}

/// Lists the models that this key may ask for and that some provider in use lists, by name.
#[utoipa::path(get, path = "/v1/models", tag = "relay",
    params(
        ("before_id" = Option<String>, Query, description = "Anthropic's clients only"),
        ("after_id" = Option<String>, Query, description = "Anthropic's clients only"),
        ("limit" = Option<usize>, Query, description = "Anthropic's clients only: 1 to 1000"),
        ("pageSize" = Option<usize>, Query, description = "Google's clients only"),
        ("pageToken" = Option<String>, Query, description = "Google's clients only")),
    responses((status = 200, description = "The list, as OpenAI has it; as Anthropic has it for a \
        client that sends `anthropic-version`, as Google has it for one that sends `x-goog-api-key`")))]
pub async fn list(
    request: HttpRequest,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let servable = Servable::asked(&request, by_headers(&request))?;
    let models = servable.list();
    let Wanted { before_id, after_id, limit, page_size, page_token } = wanted.into_inner();
    servable.answer(match by_headers(&request) {
        ClientApi::Messages => {
            anthropic_list(&models, &AnthropicPage { before_id, after_id, limit })
        }
        ClientApi::Gemini => gemini_list(&models, &GeminiPage { page_size, page_token }),
        _ => Ok(openai_list(&models)),
    })
}

/// Shows one model. A provider that lists none takes any name, so a name need not be in the list.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "relay",
    params(("id" = ModelName, Path)),
    responses((status = 200, description = "The model"),
        (status = 404, description = "No such model")))]
pub async fn show(
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
    let servable = Servable::asked(&request, by_headers(&request))?;
    let model = servable.find(&id)?;
    servable.answer(Ok(match by_headers(&request) {
        ClientApi::Messages => anthropic_one(&model),
        ClientApi::Gemini => gemini_one(&model),
        _ => openai_one(&model),
    }))
}
