//! Which models a client may ask for, as all dialects list them.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::header::CONTENT_TYPE, web::Data};

use super::{
    auth,
    problem::{ErrorResponse, Problem},
};
use crate::{
    actors::{
        access_keys::KeyRing,
        published::Published,
        registry::{ProviderTable, Serving},
    },
    domain::{
        access_key::AccessKey,
        id::{KeyId, ModelName, RequestId},
    },
    gateway::{
        exchange::ClientApi,
        translate::{InvalidRequest, model_list::ListedModel},
    },
};

/// A question for models: who asks, in which dialect, and what of the pool is looked at.
pub struct Servable {
    api: ClientApi,
    id: RequestId,
    key: Arc<AccessKey>,
    table: Arc<ProviderTable>,
}

impl Servable {
    /// Errors: an [`ErrorResponse`] of 401 or 403 for who has no client key.
    pub fn asked(request: &HttpRequest, api: ClientApi) -> Result<Self, ErrorResponse<ClientApi>> {
        let id = RequestId::generate();
        let data = "the server gives every scope its data";
        let keys = request.app_data::<Data<Published<KeyRing>>>().expect(data);
        let table = request.app_data::<Data<Published<ProviderTable>>>().expect(data).read();
        let table = Arc::clone(&table);
        let key =
            auth::client(request, keys).map_err(|problem| ErrorResponse::of(api, problem, id))?;
        Ok(Self { api, id, key, table })
    }

    /// Who asks.
    pub fn key(&self) -> &KeyId {
        &self.key.id
    }

    /// All that this key may ask for and that some provider in use lists, by name.
    pub fn list(&self) -> Vec<ListedModel> {
        let allowed = self.table.listed_names().filter(|name| self.key.allows(name));
        let mut names: Vec<&ModelName> = allowed.collect();
        names.sort();
        names.into_iter().filter_map(|name| self.first(name)).collect()
    }

    /// One model. A provider that lists none takes any name, so a name need not be in the list.
    ///
    /// Errors: an [`ErrorResponse`] of 404 when nobody serves it to this key.
    pub fn find(&self, name: &str) -> Result<ListedModel, ErrorResponse<ClientApi>> {
        let name = ModelName::parse(name).map_err(|error| self.failure(error.into()))?;
        let known = self.first(&name).filter(|_| self.key.allows(&name));
        known.ok_or_else(|| {
            let message = format!("no provider in use serves the model {name} to this key");
            self.failure(Problem::not_found("model_not_found", message))
        })
    }

    /// As the provider that would be asked first has it.
    fn first(&self, name: &ModelName) -> Option<ListedModel> {
        let serving = self.table.serving(name).next()?;
        Some(listed(name, &serving))
    }

    pub fn failure(&self, problem: Problem) -> ErrorResponse<ClientApi> {
        ErrorResponse::of(self.api, problem, self.id)
    }

    /// A body that the dialect has written, or the mistake it found.
    ///
    /// Errors: an [`ErrorResponse`] of 400.
    pub fn answer(
        &self,
        body: Result<Vec<u8>, InvalidRequest>,
    ) -> Result<HttpResponse, ErrorResponse<ClientApi>> {
        let body = body.map_err(|error| {
            let problem = Problem::bad_request(&error);
            self.failure(match error.param {
                Some(param) => problem.about(param),
                None => problem,
            })
        })?;
        Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header(("x-request-id", self.id.to_string()))
            .body(body))
    }
}

fn listed(name: &ModelName, serving: &Serving<'_>) -> ListedModel {
    ListedModel {
        id: name.to_string(),
        kind: serving.facts.kind,
        // Nobody tells when a model was made.
        created: None,
        owned_by: serving.row.provider.id.to_string(),
        display_name: None,
        context: serving.facts.context_tokens,
        output: serving.facts.output_tokens,
        capabilities: serving.facts.capabilities,
    }
}
