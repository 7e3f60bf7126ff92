//! What a pool with nobody in it yet does: makes the first keys, and shows itself to nobody else.

use secrecy::SecretString;
use thiserror::Error;

use super::storage::Storage;
use crate::{
    actors::{access_keys::mint, clock::now},
    config::Config,
    domain::access_key::Role,
    persistence::repo::access_keys,
};

/// The keys of a first start, at the only moment they can be seen.
pub struct FirstKeys {
    pub admin: SecretString,
    pub client: SecretString,
}

/// Listening where others can reach us, with nobody in charge.
#[derive(Debug, Error)]
#[error(
    "refusing to listen on {0}, which others can reach, before an admin key exists; make one with \
     'providerpool keys create --role admin', or listen on 127.0.0.1 first"
)]
pub struct NoAdminKey(std::net::SocketAddr);

/// Errors: [`NoAdminKey`] for any address but loopback without an admin key that is not revoked.
pub fn check_bind(config: &Config, storage: &Storage) -> anyhow::Result<()> {
    if config.server.is_loopback() {
        return Ok(());
    }
    let keys = access_keys::load(&mut *storage.pool.get()?)?;
    let is_admin = |role, revoked: bool| role == Role::Admin && !revoked;
    if keys.iter().any(|key| is_admin(key.role, key.revoked_at.is_some())) {
        return Ok(());
    }
    Err(NoAdminKey(config.server.bind).into())
}

/// Makes one admin key and one client key, if there has never been a key.
pub fn create_keys(storage: &Storage) -> anyhow::Result<Option<FirstKeys>> {
    let connection = &mut *storage.pool.get()?;
    if !access_keys::load(connection)?.is_empty() {
        return Ok(None);
    }
    let mint = |role, name: &str| mint(now(), &storage.access_keys, role, name.into(), Vec::new());
    let (admin, client) = (mint(Role::Admin, "first admin"), mint(Role::Client, "first client"));
    access_keys::insert(connection, &admin.key)?;
    access_keys::insert(connection, &client.key)?;
    Ok(Some(FirstKeys { admin: admin.presented, client: client.presented }))
}
