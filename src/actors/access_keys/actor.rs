//! The shell: saves, publishes, and looks now and then for keys made by another process.

use std::time::Duration;

use actix::prelude::*;

use super::{
    key_ring::KeyRing,
    messages::{AccessKeyError, AccessKeysReady, CreateAccessKey, MintedKey, RevokeAccessKey},
    minting::mint,
};
use crate::{
    actors::{
        clock::now,
        db::{DbHandle, Patience},
        loading::load_first,
        published::Publisher,
        supervise::{crashes_on_request, stops_on_request},
    },
    crypto::mac::Mac,
    domain::access_key::AccessKey,
};

/// How soon a key that the `keys` command or another replica made or revoked is known here.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// Longest name of a key, in characters.
const MAX_NAME_CHARS: usize = 128;

/// Owns the keys callers present.
pub struct AccessKeys {
    /// As it was published last, or is to be.
    ring: KeyRing,
    hasher: Mac,
    db: DbHandle,
    published: Publisher<KeyRing>,
}

impl AccessKeys {
    pub fn new(hasher: Mac, db: DbHandle, published: Publisher<KeyRing>) -> Self {
        Self { ring: KeyRing::new(hasher.clone(), []), hasher, db, published }
    }

    fn publish(&self) {
        self.published.replace(self.ring.clone());
    }

    fn adopt(&mut self, keys: Vec<AccessKey>) {
        if self.ring.adopt(keys) {
            self.publish();
        }
    }

    fn reload(&mut self, ctx: &mut Context<Self>) {
        let db = self.db.clone();
        let load = async move { db.load_access_keys(Patience::Prompt).await };
        // The mailbox waits, so that no change is made between the reading and the adopting.
        ctx.wait(load.into_actor(self).map(|loaded, access_keys, _| match loaded {
            Ok(keys) => access_keys.adopt(keys),
            Err(error) => tracing::warn!(%error, "access keys could not be read again"),
        }));
    }
}

impl Actor for AccessKeys {
    type Context = Context<Self>;

    /// Runs at the first start and after each restart.
    fn started(&mut self, ctx: &mut Self::Context) {
        let db = self.db.clone();
        let load = move || {
            let db = db.clone();
            async move { db.load_access_keys(Patience::Long).await }
        };
        load_first(self, ctx, "access keys", load, Self::adopt);
        ctx.run_interval(RELOAD_INTERVAL, Self::reload);
    }
}

/// After a restart the keys are read again; those published before hold until then.
impl Supervised for AccessKeys {}

impl Handler<AccessKeysReady> for AccessKeys {
    type Result = ();

    fn handle(&mut self, _: AccessKeysReady, _: &mut Self::Context) {}
}

impl Handler<CreateAccessKey> for AccessKeys {
    /// The mailbox waits: a key that is answered must be in what is published.
    type Result = AtomicResponse<Self, Result<MintedKey, AccessKeyError>>;

    fn handle(&mut self, msg: CreateAccessKey, _: &mut Self::Context) -> Self::Result {
        let name = msg.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            let invalid =
                AccessKeyError::Invalid { field: "name", reason: "must have 1 to 128 characters" };
            return AtomicResponse::new(Box::pin(fut::ready(Err(invalid))));
        }
        let minted = mint(now(), &self.hasher, msg.role, name, msg.allowed_models);
        let (db, key) = (self.db.clone(), minted.key.clone());
        let save = async move { db.insert_access_key(key).await };
        AtomicResponse::new(Box::pin(save.into_actor(self).map(|saved, access_keys, _| {
            saved?;
            access_keys.ring.put(minted.key.clone());
            access_keys.publish();
            Ok(minted)
        })))
    }
}

impl Handler<RevokeAccessKey> for AccessKeys {
    type Result = AtomicResponse<Self, Result<(), AccessKeyError>>;

    fn handle(&mut self, msg: RevokeAccessKey, _: &mut Self::Context) -> Self::Result {
        let at_once = |answer| AtomicResponse::new(Box::pin(fut::ready(answer)));
        let found = self.ring.find(&msg.id).filter(|key| key.revoked_at.is_none());
        if !found.is_some_and(|key| msg.roles.contains(&key.role)) {
            return at_once(Err(AccessKeyError::NotFound(msg.id)));
        }
        let (db, id, at) = (self.db.clone(), msg.id, now());
        let save = async move {
            db.revoke_access_key(id.clone(), at).await?;
            Ok(id)
        };
        AtomicResponse::new(Box::pin(save.into_actor(self).map(
            move |saved: Result<_, AccessKeyError>, access_keys, _| {
                let id = saved?;
                if let Some(key) = access_keys.ring.find(&id) {
                    let key = AccessKey { revoked_at: Some(at), ..AccessKey::clone(key) };
                    access_keys.ring.put(key);
                }
                access_keys.publish();
                Ok(())
            },
        )))
    }
}

stops_on_request!(AccessKeys);
crashes_on_request!(AccessKeys);
