//! `/api/v1/providers/{id}/keys`: the API keys of a provider.

use actix_web::{
    HttpResponse,
    web::{self, Data, Json, Path, ServiceConfig},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    actors::{
        credentials::{AddCredential, RemoveCredential},
        registry::{RegistryError, RegistryReady},
    },
    domain::{
        credential::{Credential, StoredSecret},
        id::{CredentialId, ProviderId},
        provider::Origin,
        time::Timestamp,
    },
    http::{
        actors::{Actors, ask},
        problem::{Failure, Management, Problem},
    },
};

/// Longest label, in characters.
const MAX_LABEL_CHARS: usize = 128;

pub fn configure(services: &mut ServiceConfig) {
    services
        .route("/providers/{id}/keys", web::post().to(add))
        .route("/providers/{id}/keys/{key_id}", web::delete().to(remove));
}

/// A key as it is shown: never the secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KeyView {
    #[schema(value_type = String)]
    id: CredentialId,
    /// The two ends of the key, if it is long enough.
    mask: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Where it comes from. Only a key from the API is stored and can be removed here.
    origin: Origin,
    enabled: bool,
    /// Set when it is sealed under a master key that is not in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_by_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    #[schema(value_type = String)]
    key: SecretString,
    /// Your name for it, at most 128 characters.
    label: Option<String>,
}

pub fn key_view(credential: &Credential) -> KeyView {
    let locked_by_key = match &credential.secret {
        StoredSecret::Open(_) => None,
        StoredSecret::Locked { key_id } => Some(key_id.clone()),
    };
    KeyView {
        id: credential.id.clone(),
        mask: credential.mask.clone(),
        label: credential.settings.label.clone(),
        origin: credential.origin,
        enabled: credential.settings.enabled,
        locked_by_key,
        created_at: Some(credential.created_at).filter(|at| at.as_millis() > 0),
    }
}

/// Waits until the registry has counted the keys there are now: who is answered may rely on it.
pub async fn counted(actors: &Actors) -> Result<(), Problem> {
    ask(&actors.registry, RegistryReady).await
}

/// Adds a key. Adding the same key again answers 200 with the one that is there.
#[utoipa::path(post, path = "/api/v1/providers/{id}/keys", tag = "providers",
    params(("id" = String, Path)), request_body = NewKey,
    responses((status = 201, body = KeyView), (status = 200, body = KeyView), (status = 400), (status = 404)))]
pub async fn add(
    actors: Data<Actors>,
    id: Path<String>,
    body: Json<NewKey>,
) -> Result<HttpResponse, Failure<Management>> {
    let provider_id = ProviderId::parse(&id)?;
    let origin = actors.providers.read().find(&provider_id).map(|(provider, _)| provider.origin);
    match origin {
        None => return Err(RegistryError::NotFound(provider_id).into()),
        Some(Origin::Config) => {
            return Err(RegistryError::OwnedByConfiguration(provider_id).into());
        }
        Some(Origin::Catalog | Origin::Environment | Origin::Api) => {}
    }
    let NewKey { key: secret, label } = body.into_inner();
    if label.as_ref().is_some_and(|label| label.chars().count() > MAX_LABEL_CHARS) {
        return Err(Problem::bad_request("label: has more than 128 characters").into());
    }
    let added = ask(&actors.credentials, AddCredential { provider_id, secret, label }).await??;
    counted(&actors).await?;
    let mut response = if added.existed { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(key_view(&added.credential)))
}

/// Removes a key for good. Requests under way with it are finished.
#[utoipa::path(delete, path = "/api/v1/providers/{id}/keys/{key_id}", tag = "providers",
    params(("id" = String, Path), ("key_id" = String, Path)),
    responses((status = 204), (status = 404), (status = 409, description = "It comes from the environment or the configuration file")))]
pub async fn remove(
    actors: Data<Actors>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure<Management>> {
    let (provider, key) = path.into_inner();
    let remove = RemoveCredential { provider_id: ProviderId::parse(&provider)?, id: key.into() };
    ask(&actors.credentials, remove).await??;
    counted(&actors).await?;
    Ok(HttpResponse::NoContent().finish())
}
