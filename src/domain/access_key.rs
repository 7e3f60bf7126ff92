//! The keys callers present to us: client keys for the relay, admin keys for management.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    id::{KeyId, ModelName},
    name::fault_of_name,
    setting::InvalidSetting,
    time::Timestamp,
};

/// Longest name of a key, in characters.
const MAX_NAME_CHARS: usize = 128;

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The relay.
    Client,
    /// Management, read only, and the event stream.
    Viewer,
    /// All of management.
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Client, Self::Viewer, Self::Admin].into_iter().find(|role| role.as_str() == word)
    }
}

/// Why a key opens nothing, or no longer what it has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyFault {
    #[error("this key is not known here")]
    Unknown,
    #[error("this key is revoked")]
    Revoked,
    #[error("this key has expired")]
    Expired,
    /// What it may do is not what it was when the caller came.
    #[error("this key was changed; come again with it")]
    Changed,
}

/// A key as it is stored: a keyed hash, never the key. Compared are only stored ones among each other.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub id: KeyId,
    pub role: Role,
    pub name: String,
    /// HMAC-SHA-256 of the secret part.
    pub hash: [u8; 32],
    /// Models a client key may ask for. Empty: all.
    pub allowed_models: Vec<ModelName>,
    pub created_at: Timestamp,
    /// From when on it opens nothing. Absent: it never expires.
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// Names the master key that the hash was made under. Absent: made before that was kept.
    pub master_key_id: Option<String>,
}

impl AccessKey {
    /// Whether there are models that it may not ask for.
    pub fn is_limited(&self) -> bool {
        !self.allowed_models.is_empty()
    }

    pub fn allows(&self, model: &ModelName) -> bool {
        !self.is_limited() || self.allowed_models.contains(model)
    }

    /// Why it opens nothing now.
    pub fn fault(&self, now: Timestamp) -> Option<KeyFault> {
        if self.revoked_at.is_some() {
            return Some(KeyFault::Revoked);
        }
        self.expires_at.is_some_and(|at| at <= now).then_some(KeyFault::Expired)
    }

    /// Whether its hash was made under another master key than this one, so that nothing matches it.
    pub fn is_under_another(&self, master_key_id: &str) -> bool {
        self.master_key_id.as_deref().is_some_and(|id| id != master_key_id)
    }

    /// Whether it opens the same as `other` does, as long as it is in force.
    pub fn opens_the_same(&self, other: &Self) -> bool {
        self.role == other.role
            && self.hash == other.hash
            && self.allowed_models == other.allowed_models
    }
}

/// What a new key is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    pub role: Role,
    pub name: String,
    pub allowed_models: Vec<ModelName>,
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    /// Errors: the name, the number of models or the time of expiry cannot be.
    pub fn checked(self, now: Timestamp) -> Result<Self, InvalidSetting> {
        if let Some(fault) = fault_of_name(&self.name, MAX_NAME_CHARS) {
            return Err(InvalidSetting::new("name", fault));
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(InvalidSetting::new("expires_at", "must be in the future"));
        }
        Ok(Self { name: self.name.trim().to_owned(), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn new(name: &str, expires_at: Option<i64>) -> Result<NewKey, InvalidSetting> {
        let expires_at = expires_at.map(Timestamp::from_millis);
        let (role, allowed_models) = (Role::Client, Vec::new());
        NewKey { role, name: name.to_owned(), allowed_models, expires_at }.checked(NOW)
    }

    #[test]
    fn a_new_key_has_a_name_and_does_not_begin_expired() {
        assert_eq!(new(" laptop ", Some(1_001)).unwrap().name, "laptop");
        for name in ["", " ", "a\0b", "two\nlines", &"n".repeat(129)] {
            assert_eq!(new(name, None).unwrap_err().field, "name", "{name:?}");
        }
        assert_eq!(new("laptop", Some(1_000)).unwrap_err().field, "expires_at");
    }

    #[test]
    fn a_key_opens_until_it_expires_or_is_revoked() {
        let key = |expires_at: Option<i64>, revoked_at: Option<i64>| AccessKey {
            id: "k".into(),
            role: Role::Client,
            name: "laptop".to_owned(),
            hash: [0; 32],
            allowed_models: Vec::new(),
            created_at: Timestamp::from_millis(0),
            expires_at: expires_at.map(Timestamp::from_millis),
            revoked_at: revoked_at.map(Timestamp::from_millis),
            master_key_id: None,
        };
        assert_eq!(key(None, None).fault(NOW), None);
        assert_eq!(key(Some(1_001), None).fault(NOW), None);
        assert_eq!(key(Some(1_000), None).fault(NOW), Some(KeyFault::Expired));
        assert_eq!(key(Some(1_001), Some(5)).fault(NOW), Some(KeyFault::Revoked));
    }
}
