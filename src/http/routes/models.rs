//! `GET /v1/models` and `GET /v1/models/{id}`: what can be asked for, in OpenAI's shape.

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::CONTENT_TYPE,
    web::{self, Data, Path, ServiceConfig},
};
use serde::Serialize;

use crate::{
    actors::{access_keys::KeyRing, published::Published, registry::ProviderTable},
    domain::{
        access_key::AccessKey,
        id::{ModelName, ProviderId, RequestId},
    },
    gateway::exchange::ClientApi,
    http::{
        auth,
        problem::{Failure, Problem},
    },
};

pub fn configure(services: &mut ServiceConfig) {
    services
        .route("/models", web::get().to(list))
        // A name may hold slashes: the rest of the path is all of it.
        .route("/models/{id:.*}", web::get().to(show));
}

/// One model. Source: <https://platform.openai.com/docs/api-reference/models/object>, read 2026-11-22.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelView {
    id: String,
    #[schema(value_type = String)]
    object: &'static str,
    /// Seconds since the epoch. Nobody tells us when a model was made, so it is always 0.
    created: u64,
    /// The provider that would be asked first.
    owned_by: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelList {
    #[schema(value_type = String)]
    object: &'static str,
    data: Vec<ModelView>,
}

/// Lists the models that this key may ask for and that some provider in use lists, by name.
#[utoipa::path(get, path = "/v1/models", tag = "relay", security(("client_key" = [])),
    responses((status = 200, body = ModelList)))]
pub async fn list(
    request: HttpRequest,
    keys: Data<Published<KeyRing>>,
    providers: Data<Published<ProviderTable>>,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let failure = |problem| Failure::of(ClientApi::Chat, problem, RequestId::generate());
    let key = auth::client(&request, &keys).map_err(failure)?;
    let data = servable(&providers.read(), &key)
        .into_iter()
        .map(|(name, owner)| view(&name, &owner))
        .collect();
    Ok(json(&ModelList { object: "list", data }))
}

/// Shows one model. A provider that lists none takes any name, so a name need not be in the list.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "relay", security(("client_key" = [])),
    params(("id" = String, Path)),
    responses((status = 200, body = ModelView), (status = 404, description = "No such model")))]
pub async fn show(
    request: HttpRequest,
    id: Path<String>,
    keys: Data<Published<KeyRing>>,
    providers: Data<Published<ProviderTable>>,
) -> Result<HttpResponse, Failure<ClientApi>> {
    let failure = |problem| Failure::of(ClientApi::Chat, problem, RequestId::generate());
    let key = auth::client(&request, &keys).map_err(failure)?;
    let name = ModelName::parse(&id).map_err(|error| failure(error.into()))?;
    let table = providers.read();
    let owner = table
        .rows()
        .iter()
        .filter(|row| row.is_usable())
        .find(|row| row.provider.upstream_model(&name).is_some())
        .filter(|_| key.allows(&name));
    match owner {
        Some(row) => Ok(json(&view(&name, &row.provider.id))),
        None => {
            let message = format!("no provider in use serves the model {name} to this key");
            Err(failure(Problem::not_found("model_not_found", message)))
        }
    }
}

/// Every listed model with the provider that would be asked first.
fn servable(table: &ProviderTable, key: &AccessKey) -> BTreeMap<ModelName, ProviderId> {
    let mut models = BTreeMap::new();
    for row in table.rows().iter().filter(|row| row.is_usable()) {
        let provider = &row.provider;
        for model in provider.models.iter().filter(|model| key.allows(&model.name)) {
            models.entry(model.name.clone()).or_insert_with(|| provider.id.clone());
        }
    }
    models
}

fn view(name: &ModelName, owner: &ProviderId) -> ModelView {
    ModelView { id: name.to_string(), object: "model", created: 0, owned_by: owner.to_string() }
}

fn json(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header(("x-request-id", RequestId::generate().to_string()))
        .json(body)
}
