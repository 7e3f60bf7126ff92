//! What goes on with a key that was let in watches it: until it is revoked, expires or is changed.

use std::{sync::Arc, time::Duration};

use super::key_ring::KeyRing;
use crate::{
    actors::{clock::now, published::Published},
    domain::access_key::{AccessKey, KeyFault},
};

/// How long an expiry is waited for at once: the clock may have been set meanwhile.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Waits until a key opens no longer what it opened to whoever came with it, and says why.
pub async fn fault_of_key(ring: Published<KeyRing>, key: Arc<AccessKey>) -> KeyFault {
    loop {
        // Before the look, so that what is published meanwhile is not missed.
        let changed = ring.changed_since(ring.version());
        let (now, fault) = (now(), ring.read().fault(now(), &key));
        if let Some(fault) = fault {
            return fault;
        }
        let wait = ring.read().expiry(&key).map(|at| at.since(now).min(MAX_WAIT));
        match wait {
            Some(wait) => drop(tokio::time::timeout(wait, changed).await),
            None => changed.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actors::{
            access_keys::mint,
            published::{Publisher, publish},
        },
        crypto::{mac::Mac, master_key::MasterKey},
        domain::{
            access_key::{NewKey, Role},
            id::ModelName,
            time::Timestamp,
        },
    };

    struct Watched {
        hasher: Mac,
        key: AccessKey,
        publisher: Publisher<KeyRing>,
        ring: Published<KeyRing>,
    }

    fn watched(expires_at: Option<Timestamp>) -> Watched {
        let hasher = Mac::for_access_keys(&MasterKey::generate().unwrap());
        let (role, name, allowed_models) = (Role::Viewer, "eye".to_owned(), Vec::new());
        let new = NewKey { role, name, allowed_models, expires_at };
        let key = mint(now(), &hasher, new).key;
        let (publisher, ring) = publish(KeyRing::new(hasher.clone(), [key.clone()]));
        Watched { hasher, key, publisher, ring }
    }

    /// What a watch of the key tells once this is published in its place.
    async fn told(change: impl FnOnce(&mut AccessKey)) -> KeyFault {
        let Watched { hasher, mut key, publisher, ring } = watched(None);
        let watch = tokio::spawn(fault_of_key(ring, Arc::new(key.clone())));
        publisher.replace(KeyRing::new(hasher.clone(), [key.clone()]));
        tokio::task::yield_now().await;
        assert!(!watch.is_finished(), "nothing has changed");
        change(&mut key);
        publisher.replace(KeyRing::new(hasher, [key]));
        watch.await.unwrap()
    }

    #[tokio::test]
    async fn a_key_that_is_revoked_or_changed_is_told_at_once() {
        assert_eq!(told(|key| key.revoked_at = Some(now())).await, KeyFault::Revoked);
        assert_eq!(told(|key| key.role = Role::Client).await, KeyFault::Changed);
        let fast = ModelName::parse("fast").unwrap();
        assert_eq!(told(|key| key.allowed_models.push(fast)).await, KeyFault::Changed);
        assert_eq!(told(|key| key.id = "another".into()).await, KeyFault::Unknown);
        assert_eq!(told(|key| key.expires_at = Some(now())).await, KeyFault::Expired);
    }

    #[tokio::test]
    async fn a_key_that_expires_is_told_without_another_change() {
        let soon = now().plus(Duration::from_millis(20));
        let Watched { key, ring, publisher: _publisher, .. } = watched(Some(soon));
        assert_eq!(fault_of_key(ring, Arc::new(key)).await, KeyFault::Expired);
        assert!(now() >= soon);
    }
}
