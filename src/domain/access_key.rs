//! The keys callers present to us: client keys for the relay, admin keys for management.

use serde::{Deserialize, Serialize};

use super::{
    id::{KeyId, ModelName},
    time::Timestamp,
};

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

/// A key as it is stored: a keyed hash, never the key.
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
    pub revoked_at: Option<Timestamp>,
}

impl AccessKey {
    /// Whether there are models that it may not ask for.
    pub fn is_limited(&self) -> bool {
        !self.allowed_models.is_empty()
    }

    pub fn allows(&self, model: &ModelName) -> bool {
        !self.is_limited() || self.allowed_models.contains(model)
    }
}
