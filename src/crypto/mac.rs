//! Keyed hashes: how a secret is recognised again without being kept.

use std::sync::Arc;

use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Sha256, digest::Output};
use subtle::ConstantTimeEq as _;

use super::master_key::MasterKey;

/// HMAC-SHA-256 under a key derived for one purpose.
#[derive(Clone)]
pub struct Mac {
    hmac: Hmac<Sha256>,
    master_key_id: Arc<str>,
}

impl Mac {
    /// For the keys callers present to us.
    pub fn for_access_keys(master: &MasterKey) -> Self {
        Self::new(master, "providerpool/mac/access-key/v1")
    }

    /// For the fingerprints of credentials: the same key added twice is seen, and a copy of the
    /// database does not tell which key it was.
    pub fn for_credentials(master: &MasterKey) -> Self {
        Self::new(master, "providerpool/mac/credential/v1")
    }

    fn new(master: &MasterKey, purpose: &str) -> Self {
        let key = master.derive(purpose);
        let hmac = Hmac::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
        Self { hmac, master_key_id: master.id().into() }
    }

    /// Names the master key that hashes are made under.
    pub fn master_key_id(&self) -> &str {
        &self.master_key_id
    }

    pub fn hash(&self, secret: &str) -> [u8; 32] {
        self.digest(secret).into()
    }

    /// Whether `secret` has this hash. Takes the same time whatever it is.
    pub fn matches(&self, secret: &str, hash: &[u8; 32]) -> bool {
        self.hash(secret).ct_eq(hash).into()
    }

    /// The hash as 64 hex digits.
    pub fn fingerprint(&self, secret: &SecretString) -> String {
        format!("{:x}", self.digest(secret.expose_secret()))
    }

    fn digest(&self, secret: &str) -> Output<Sha256> {
        // The clone carries the hashed key: nothing is derived again.
        self.hmac.clone().chain_update(secret).finalize().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master() -> MasterKey {
        MasterKey::parse("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "test").unwrap()
    }

    #[test]
    fn a_hash_matches_its_secret_alone() {
        let mac = Mac::for_access_keys(&master());
        let hash = mac.hash("secret");
        assert!(mac.matches("secret", &hash));
        assert!(!mac.matches("secreT", &hash));
        assert!(!mac.matches("", &hash));
    }

    #[test]
    fn the_same_secret_has_another_hash_for_another_purpose_or_under_another_key() {
        let hash = Mac::for_access_keys(&master()).hash("secret");
        assert_ne!(hash, Mac::for_credentials(&master()).hash("secret"));
        assert_ne!(hash, Mac::for_access_keys(&MasterKey::generate().unwrap()).hash("secret"));
    }

    #[test]
    fn equal_credentials_have_equal_fingerprints() {
        let mac = Mac::for_credentials(&master());
        let fingerprint = mac.fingerprint(&"sk-1".into());
        assert_eq!(fingerprint, mac.fingerprint(&"sk-1".into()));
        assert_ne!(fingerprint, mac.fingerprint(&"sk-2".into()));
        assert_eq!(fingerprint.len(), 64);
    }
}
