//! The shell: saves, publishes, and looks now and then for keys made by another process.

use std::time::Duration;

use actix::prelude::*;

use super::{
    key_ring::KeyRing,
    messages::{AccessKeyError, AwaitAccessKeys, CreateAccessKey, MintedKey, RevokeAccessKey},
    minting::mint,
};
use crate::{
    actors::{
        clock::now,
        db::{DbHandle, KeysDigest, Patience},
        loading::load_first,
        published::Publisher,
        supervise::{crashes_on_request, stops_on_request},
    },
    crypto::mac::Mac,
    domain::access_key::AccessKey,
};

/// How soon a key that the `keys` command or another replica made or revoked is known here. What is
/// asked so often is one line, whatever the number of keys.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// All keys are read again after so many looks even if nothing has changed that a look sees.
const LOOKS_PER_RELOAD: u32 = 30;

/// Owns the keys callers present.
pub struct AccessKeys {
    /// As it was published last, or is to be.
    ring: KeyRing,
    hasher: Mac,
    db: DbHandle,
    published: Publisher<KeyRing>,
    /// What the last look saw.
    seen: Option<KeysDigest>,
    /// Looks since all keys were read.
    looks: u32,
}

impl AccessKeys {
    pub fn new(hasher: Mac, db: DbHandle, published: Publisher<KeyRing>) -> Self {
        let ring = KeyRing::new(hasher.clone(), []);
        Self { ring, hasher, db, published, seen: None, looks: 0 }
    }

    fn publish(&self) {
        self.published.replace(self.ring.clone());
    }

    fn adopt(&mut self, keys: Vec<AccessKey>) {
        if self.ring.adopt(keys) {
            self.publish();
        }
    }

    /// Looks whether another process has changed the stored keys.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let db = self.db.clone();
        let digest = async move { db.digest_of_access_keys().await };
        ctx.wait(digest.into_actor(self).map(|digest, access_keys, ctx| {
            access_keys.looks += 1;
            // A database that is away is told when the keys are to be read again.
            let is_news =
                digest.is_ok_and(|digest| access_keys.seen.replace(digest) != Some(digest));
            if is_news || access_keys.looks >= LOOKS_PER_RELOAD {
                access_keys.looks = 0;
                access_keys.reload(ctx);
            }
        }));
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
        ctx.run_interval(LOOK_INTERVAL, Self::look);
    }
}

/// After a restart the keys are read again; those published before hold until then.
impl Supervised for AccessKeys {}

impl Handler<AwaitAccessKeys> for AccessKeys {
    type Result = ();

    fn handle(&mut self, _: AwaitAccessKeys, _: &mut Self::Context) {}
}

impl Handler<CreateAccessKey> for AccessKeys {
    /// The mailbox waits: a key that is answered must be in what is published.
    type Result = AtomicResponse<Self, Result<MintedKey, AccessKeyError>>;

    fn handle(&mut self, msg: CreateAccessKey, _: &mut Self::Context) -> Self::Result {
        let now = now();
        let new = match msg.0.checked(now) {
            Ok(new) => new,
            Err(invalid) => return AtomicResponse::new(Box::pin(fut::ready(Err(invalid.into())))),
        };
        let minted = mint(now, &self.hasher, new);
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
