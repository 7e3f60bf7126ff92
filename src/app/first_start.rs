//! What a pool with nobody in it yet does: makes the first keys, and shows itself to nobody else.

use std::collections::BTreeSet;

use actix::Addr;
use secrecy::SecretString;
use thiserror::Error;

use super::{App, storage::Storage};
use crate::{
    actors::{
        access_keys::{AccessKeys, CreateAccessKey},
        clock::now,
        db::DbError,
    },
    config::Config,
    domain::{
        access_key::{AccessKey, NewKey, Role},
        id::KeyId,
    },
    persistence::repo::access_keys,
};

/// The keys of a first start, at the only moment they can be seen.
pub struct FirstKeys {
    pub admin: SecretString,
    pub client: SecretString,
    /// Of both.
    ids: Vec<KeyId>,
}

/// Listening where others can reach us, with nobody in charge.
#[derive(Debug, Error)]
#[error(
    "refusing to listen on {0}, which others can reach, before an admin key exists; make one with \
     'providerpool keys create --role admin', or listen on 127.0.0.1 first"
)]
pub struct NoAdminKey(std::net::SocketAddr);

/// Errors: [`NoAdminKey`] for any address but loopback without an admin key that is in force.
pub fn check_bind(config: &Config, storage: &Storage) -> anyhow::Result<()> {
    let Some(bind) = config.server.reachable_by_others() else { return Ok(()) };
    let keys = access_keys::load(&mut *storage.pool.get()?)?.rows;
    let now = now();
    let opens = |key: &&AccessKey| {
        key.fault(now).is_none() && !key.is_under_another(storage.access_keys.master_key_id())
    };
    if keys.iter().filter(opens).any(|key| key.role == Role::Admin) {
        return Ok(());
    }
    Err(NoAdminKey(bind).into())
}

/// Warns when callers hold keys that were made under another master key, and so open nothing.
pub fn tell_other_master_key(storage: &Storage) -> anyhow::Result<()> {
    let keys = access_keys::load(&mut *storage.pool.get()?)?.rows;
    let (now, in_use) = (now(), storage.access_keys.master_key_id());
    let lost: Vec<&AccessKey> = keys
        .iter()
        .filter(|key| key.fault(now).is_none() && key.is_under_another(in_use))
        .collect();
    let others: BTreeSet<&str> =
        lost.iter().filter_map(|key| key.master_key_id.as_deref()).collect();
    if !lost.is_empty() {
        tracing::warn!(
            "this database was written under another master key ({}; in use is {in_use}): {} of its client \
             and admin keys are not valid any more; put that master key back, or make new keys with \
             'providerpool keys create'",
            Vec::from_iter(others).join(", "),
            lost.len(),
        );
    }
    Ok(())
}

/// Whether there has never been a key, not even one that cannot be read.
pub fn is_first(storage: &Storage) -> anyhow::Result<bool> {
    let keys = access_keys::load(&mut *storage.pool.get()?)?;
    Ok(keys.rows.is_empty() && keys.unreadable.is_empty())
}

/// Makes one admin key and one client key. Only when nothing can go wrong any more: a start that
/// fails would take them with it, unseen.
pub async fn create_keys(access_keys: &Addr<AccessKeys>) -> anyhow::Result<FirstKeys> {
    let create = async |role, name: &str| {
        let (name, allowed_models, expires_at) = (name.to_owned(), Vec::new(), None);
        let create = CreateAccessKey(NewKey { role, name, allowed_models, expires_at });
        anyhow::Ok(access_keys.send(create).await??)
    };
    let admin = create(Role::Admin, "first admin").await?;
    let client = create(Role::Client, "first client").await?;
    let ids = vec![admin.key.id, client.key.id];
    Ok(FirstKeys { admin: admin.presented, client: client.presented, ids })
}

impl App {
    /// Takes back keys that nobody could see: the next start is the first again.
    pub async fn take_back(&self, keys: &FirstKeys) -> Result<(), DbError> {
        self.actors.db.delete_access_keys(keys.ids.clone()).await
    }
}
