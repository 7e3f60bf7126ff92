//! `/api/v1/client-keys`: the keys that callers of the relay present.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::{
    actors::access_keys::{CreateAccessKey, KeyRing, RevokeAccessKey},
    domain::{
        access_key::{AccessKey, NewKey, Role},
        id::{KeyId, ModelName},
        time::Timestamp,
    },
    http::{
        actors::{Actors, ask},
        endpoint::{Endpoint, endpoint},
        json::JsonBody,
        paging::{PageQuery, Rest},
        problem::{ErrorResponse, Management},
        query::Query,
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(list), endpoint!(create), endpoint!(revoke)]
}

/// A client key as it is shown after it was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ClientKeyView {
    #[schema(value_type = String)]
    id: KeyId,
    name: String,
    /// Models it may ask for. Empty: all.
    allowed_models: Vec<ModelName>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// From when on it opens nothing. Absent: it never expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// Names the master key that it was made under. Absent when that is the one in use; with another
    /// one it opens nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_master_key: Option<String>,
}

/// A client key at the only moment it can be seen whole.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NewClientKeyView {
    #[serde(flatten)]
    view: ClientKeyView,
    /// What the caller presents as `Authorization: Bearer …`. It is not stored and not shown again.
    key: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ClientKeyList {
    client_keys: Vec<ClientKeyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClientKey {
    /// 1 to 128 characters, none of them a control character. Absent: `made by the API`.
    #[serde(default = "default_name")]
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// Models it may ask for, in whichever field of a request. Empty or absent: all.
    #[serde(default)]
    allowed_models: Vec<ModelName>,
    /// From when on it opens nothing; in the future. Absent: it never expires.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

fn default_name() -> String {
    "made by the API".to_owned()
}

fn view(ring: &KeyRing, key: &AccessKey) -> ClientKeyView {
    let is_under_another = ring.is_under_another(key);
    ClientKeyView {
        id: key.id.clone(),
        name: key.name.clone(),
        allowed_models: key.allowed_models.clone(),
        created_at: key.created_at,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
        other_master_key: key.master_key_id.clone().filter(|_| is_under_another),
    }
}

/// Lists the client keys, revoked ones too, oldest first.
#[utoipa::path(get, path = "/api/v1/client-keys", tag = "client keys", params(PageQuery),
    responses((status = 200, body = ClientKeyList)))]
pub async fn list(
    actors: Data<Actors>,
    page: Query<PageQuery>,
) -> Result<Json<ClientKeyList>, ErrorResponse<Management>> {
    let ring = actors.key_ring.read();
    let rest = |cursor: Option<&str>| -> Option<Rest<'_, &Arc<AccessKey>>> {
        let Some(cursor) = cursor else { return Some(Box::new(ring.list(&[Role::Client]))) };
        Some(Box::new(ring.list_after(&[Role::Client], &cursor.into())?))
    };
    let page = page.into_inner().take(rest, |key| key.id.to_string())?.map(|key| view(&ring, key));
    Ok(Json(ClientKeyList { client_keys: page.items, next_cursor: page.next_cursor }))
}

/// Makes a client key and shows it, this once.
#[utoipa::path(post, path = "/api/v1/client-keys", tag = "client keys", request_body = NewClientKey,
    responses((status = 201, body = NewClientKeyView), (status = 400)))]
pub async fn create(
    actors: Data<Actors>,
    body: JsonBody<NewClientKey>,
) -> Result<HttpResponse, ErrorResponse<Management>> {
    let NewClientKey { name, allowed_models, expires_at } = body.into_inner();
    let create = CreateAccessKey(NewKey { role: Role::Client, name, allowed_models, expires_at });
    let minted = ask(&actors.access_keys, create).await??;
    let key = minted.presented.expose_secret().to_owned();
    Ok(HttpResponse::Created()
        .json(NewClientKeyView { view: view(&actors.key_ring.read(), &minted.key), key }))
}

/// Revokes a client key at once: its next request is refused. Requests under way are finished, streams
/// unless `relay.end_streams_of_revoked_keys` says otherwise.
#[utoipa::path(delete, path = "/api/v1/client-keys/{id}", tag = "client keys",
    params(("id" = String, Path)), responses((status = 204), (status = 404)))]
pub async fn revoke(
    actors: Data<Actors>,
    id: Path<String>,
) -> Result<HttpResponse, ErrorResponse<Management>> {
    let revoke = RevokeAccessKey { id: id.into_inner().into(), roles: &[Role::Client] };
    ask(&actors.access_keys, revoke).await??;
    Ok(HttpResponse::NoContent().finish())
}
