//! Every key that opens something, as published: checked on the request path without a hop.

use std::sync::Arc;

use foldhash::fast::RandomState;
use rpds::HashTrieMapSync;

use super::minting::parse_presented;
use crate::{
    crypto::mac::Mac,
    domain::{
        access_key::{AccessKey, KeyFault, Role},
        id::KeyId,
        sorted_list::SortedList,
        time::Timestamp,
    },
};

/// The keys there are, revoked ones included. Copies share all that neither of them has changed since.
#[derive(Clone)]
pub struct KeyRing {
    hasher: Mac,
    keys: HashTrieMapSync<KeyId, Arc<AccessKey>, RandomState>,
    /// Oldest first.
    order: SortedList<Arc<AccessKey>>,
}

fn age(key: &AccessKey) -> (Timestamp, &KeyId) {
    (key.created_at, &key.id)
}

impl KeyRing {
    pub fn new(hasher: Mac, keys: impl IntoIterator<Item = AccessKey>) -> Self {
        let (known, order) = (HashTrieMapSync::default(), SortedList::default());
        let mut ring = Self { hasher, keys: known, order };
        for key in keys {
            ring.put(key);
        }
        ring
    }

    pub fn find(&self, id: &KeyId) -> Option<&Arc<AccessKey>> {
        self.keys.get(id)
    }

    /// Adds a key, or puts it in the place of the one of the same id.
    pub fn put(&mut self, key: AccessKey) {
        if let Some(known) = self.keys.get(&key.id) {
            self.order.remove(|other| age(other).cmp(&age(known)));
        }
        let key = Arc::new(key);
        self.order.insert(Arc::clone(&key), |other| age(other).cmp(&age(&key)));
        self.keys.insert_mut(key.id.clone(), key);
    }

    /// Takes these keys for all there are. Says whether any of them is news.
    pub fn adopt(&mut self, keys: Vec<AccessKey>) -> bool {
        let known = keys.iter().filter(|key| self.find(&key.id).is_some()).count();
        if known < self.keys.size() {
            *self = Self::new(self.hasher.clone(), keys);
            return true;
        }
        let is_news = |key: &AccessKey| self.find(&key.id).is_none_or(|known| **known != *key);
        let news: Vec<AccessKey> = keys.into_iter().filter(is_news).collect();
        let is_changed = !news.is_empty();
        for key in news {
            self.put(key);
        }
        is_changed
    }

    /// The key that a caller presents, if it is one of ours and in force. The id finds the row; the
    /// secret is compared as a keyed hash in constant time, and only who has it is told more than that
    /// the key is unknown.
    ///
    /// Errors: [`KeyFault`].
    pub fn verify(&self, now: Timestamp, presented: &str) -> Result<&Arc<AccessKey>, KeyFault> {
        let (id, secret) = parse_presented(presented).ok_or(KeyFault::Unknown)?;
        let known = self.keys.get(&id).filter(|key| self.hasher.matches(secret, &key.hash));
        let key = known.ok_or(KeyFault::Unknown)?;
        key.fault(now).map_or(Ok(key), Err)
    }

    /// Why a key that was let in is not to be let in again for the same. `key`: as it was then.
    pub fn fault(&self, now: Timestamp, key: &AccessKey) -> Option<KeyFault> {
        let Some(current) = self.keys.get(&key.id) else { return Some(KeyFault::Unknown) };
        let changed = || (!current.opens_the_same(key)).then_some(KeyFault::Changed);
        current.fault(now).or_else(changed)
    }

    /// Whether a key was made under another master key, and so opens nothing here.
    pub fn is_under_another(&self, key: &AccessKey) -> bool {
        key.is_under_another(self.hasher.master_key_id())
    }

    /// When a key expires, as far as is known by now.
    pub fn expiry(&self, key: &AccessKey) -> Option<Timestamp> {
        self.keys.get(&key.id)?.expires_at
    }

    /// All keys of the given roles, oldest first.
    pub fn list<'r>(
        &'r self,
        roles: &'static [Role],
    ) -> impl Iterator<Item = &'r Arc<AccessKey>> + use<'r> {
        self.order.iter().filter(|key| roles.contains(&key.role))
    }

    /// Those of them behind the key of this id. `None`: there is no such key.
    pub fn list_after<'r>(
        &'r self,
        roles: &'static [Role],
        id: &KeyId,
    ) -> Option<impl Iterator<Item = &'r Arc<AccessKey>> + use<'r>> {
        let known = self.find(id).filter(|key| roles.contains(&key.role))?;
        let after = self.order.iter_after(|other| age(other).cmp(&age(known)));
        Some(after.filter(|key| roles.contains(&key.role)))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{
        actors::access_keys::{MintedKey, mint},
        crypto::master_key::MasterKey,
        domain::access_key::NewKey,
    };

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn hasher() -> Mac {
        Mac::for_access_keys(&MasterKey::generate().unwrap())
    }

    fn verify(ring: &KeyRing, presented: &str) -> Result<KeyId, KeyFault> {
        ring.verify(NOW, presented).map(|key| key.id.clone())
    }

    fn minted(hasher: &Mac, role: Role) -> MintedKey {
        let (name, allowed_models, expires_at) = ("test".into(), vec![], None);
        mint(NOW, hasher, NewKey { role, name, allowed_models, expires_at })
    }

    #[test]
    fn a_minted_key_opens_and_any_other_does_not() {
        let hasher = hasher();
        let (one, other) = (minted(&hasher, Role::Client), minted(&hasher, Role::Client));
        let ring = KeyRing::new(hasher, [one.key.clone()]);
        let presented = one.presented.expose_secret();
        assert_eq!(verify(&ring, presented), Ok(one.key.id));
        assert_eq!(verify(&ring, other.presented.expose_secret()), Err(KeyFault::Unknown));
        let last = if presented.ends_with('A') { "B" } else { "A" };
        let forged = format!("{}{last}", &presented[..presented.len() - 1]);
        assert_eq!(verify(&ring, &forged), Err(KeyFault::Unknown));
        for nonsense in ["", "ppk_", "ppk__", "Bearer x", "ppk_0123456789ab_", "ppk_é_é"] {
            assert_eq!(verify(&ring, nonsense), Err(KeyFault::Unknown), "{nonsense:?}");
        }
    }

    #[test]
    fn what_is_read_again_replaces_what_there_was() {
        let hasher = hasher();
        let at = |n, role| AccessKey {
            created_at: Timestamp::from_millis(n),
            ..minted(&hasher, role).key
        };
        let (old, young, viewer) = (at(1, Role::Client), at(2, Role::Client), at(0, Role::Viewer));
        let mut ring = KeyRing::new(hasher.clone(), [young.clone(), viewer.clone()]);
        let published = ring.clone();
        let ids = |ring: &KeyRing| -> Vec<KeyId> {
            ring.list(&[Role::Client]).map(|key| key.id.clone()).collect()
        };

        assert!(!ring.adopt(vec![viewer.clone(), young.clone()]), "nothing is new");
        assert!(ring.adopt(vec![viewer.clone(), young.clone(), old.clone()]));
        assert_eq!(ids(&ring), [old.id.clone(), young.id.clone()]);
        let revoked = AccessKey { revoked_at: Some(NOW), ..young.clone() };
        assert!(ring.adopt(vec![viewer.clone(), revoked, old.clone()]));
        assert_eq!(ring.find(&young.id).unwrap().revoked_at, Some(NOW));
        let after = |id: &KeyId| ring.list_after(&[Role::Client], id).map(Iterator::count);
        assert_eq!([after(&old.id), after(&young.id), after(&viewer.id)], [Some(1), Some(0), None]);
        // One has gone and another has come.
        let other = at(3, Role::Client);
        assert!(ring.adopt(vec![viewer, old.clone(), other.clone()]));
        assert_eq!(ids(&ring), [old.id, other.id]);
        assert_eq!(ids(&published), [young.id], "what was published stays as it was");
    }

    #[test]
    fn a_revoked_or_expired_key_opens_nothing_and_only_who_has_it_is_told_why() {
        let hasher = hasher();
        let presented = |revoked_at, expires_at| {
            let MintedKey { mut key, presented } = minted(&hasher, Role::Admin);
            (key.revoked_at, key.expires_at) = (revoked_at, expires_at);
            let ring = KeyRing::new(hasher.clone(), [key]);
            let presented = presented.expose_secret();
            let forged = format!("{}____", &presented[..presented.len() - 4]);
            assert_eq!(verify(&ring, &forged), Err(KeyFault::Unknown));
            verify(&ring, presented).map(drop)
        };
        assert_eq!(presented(Some(NOW), None), Err(KeyFault::Revoked));
        assert_eq!(presented(None, Some(NOW)), Err(KeyFault::Expired));
        assert_eq!(presented(None, Some(Timestamp::from_millis(1))), Ok(()));
    }

    #[test]
    fn a_key_of_another_installation_opens_nothing() {
        let minted = minted(&hasher(), Role::Client);
        let ring = KeyRing::new(hasher(), [minted.key]);
        assert_eq!(verify(&ring, minted.presented.expose_secret()), Err(KeyFault::Unknown));
    }
}
