//! Every key that opens something, as published: checked on the request path without a hop.

use std::{collections::HashMap, sync::Arc};

use super::minting::parse_presented;
use crate::{
    crypto::mac::Mac,
    domain::{
        access_key::{AccessKey, Role},
        id::KeyId,
    },
};

/// The keys there are, revoked ones included. Immutable.
pub struct KeyRing {
    hasher: Mac,
    keys: HashMap<KeyId, Arc<AccessKey>>,
}

impl KeyRing {
    pub fn new(hasher: Mac, keys: impl IntoIterator<Item = AccessKey>) -> Self {
        Self { hasher, keys: keys.into_iter().map(|key| (key.id.clone(), Arc::new(key))).collect() }
    }

    /// The key that a caller presents, if it is one of ours and not revoked. The id finds the row;
    /// the secret is compared as a keyed hash in constant time.
    pub fn verify(&self, presented: &str) -> Option<&Arc<AccessKey>> {
        let (id, secret) = parse_presented(presented)?;
        let key = self.keys.get(&id)?;
        (self.hasher.matches(secret, &key.hash) && key.revoked_at.is_none()).then_some(key)
    }

    /// All keys of the given roles, oldest first.
    pub fn list(&self, roles: &[Role]) -> Vec<&Arc<AccessKey>> {
        let mut keys: Vec<_> = self.keys.values().filter(|key| roles.contains(&key.role)).collect();
        keys.sort_by(|a, b| a.created_at.cmp(&b.created_at).then_with(|| a.id.cmp(&b.id)));
        keys
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{
        actors::access_keys::{MintedKey, mint},
        crypto::master_key::MasterKey,
        domain::time::Timestamp,
    };

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn hasher() -> Mac {
        Mac::for_access_keys(&MasterKey::generate().unwrap())
    }

    fn minted(hasher: &Mac, role: Role) -> MintedKey {
        mint(NOW, hasher, role, "test".into(), vec![])
    }

    #[test]
    fn a_minted_key_opens_and_any_other_does_not() {
        let hasher = hasher();
        let (one, other) = (minted(&hasher, Role::Client), minted(&hasher, Role::Client));
        let ring = KeyRing::new(hasher, [one.key.clone()]);
        let presented = one.presented.expose_secret();
        assert_eq!(ring.verify(presented).unwrap().id, one.key.id);
        assert!(ring.verify(other.presented.expose_secret()).is_none());
        let last = if presented.ends_with('A') { "B" } else { "A" };
        let forged = format!("{}{last}", &presented[..presented.len() - 1]);
        assert!(ring.verify(&forged).is_none());
        for nonsense in ["", "ppk_", "ppk__", "Bearer x", "ppk_0123456789ab_", "ppk_é_é"] {
            assert!(ring.verify(nonsense).is_none(), "{nonsense:?} opened");
        }
    }

    #[test]
    fn a_revoked_key_opens_nothing() {
        let hasher = hasher();
        let mut minted = minted(&hasher, Role::Admin);
        minted.key.revoked_at = Some(NOW);
        let ring = KeyRing::new(hasher, [minted.key]);
        assert!(ring.verify(minted.presented.expose_secret()).is_none());
    }

    #[test]
    fn a_key_of_another_installation_opens_nothing() {
        let minted = minted(&hasher(), Role::Client);
        let ring = KeyRing::new(hasher(), [minted.key]);
        assert!(ring.verify(minted.presented.expose_secret()).is_none());
    }
}
