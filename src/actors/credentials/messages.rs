//! What can be asked of Credentials.

use actix::Message;
use secrecy::SecretString;
use thiserror::Error;

use crate::{
    actors::db::DbError,
    domain::{
        credential::{Credential, CredentialSettings, Egress},
        failure::FailureClass,
        id::{CredentialId, ProviderId},
        merge_patch::Change,
        setting::{HeadersPatch, InvalidSetting},
        time::Timestamp,
    },
};

/// Why a credential could not be added, changed or removed.
#[derive(Debug, Error)]
pub enum CredentialError {
    #[error("key {id} of provider {provider_id} does not exist")]
    NotFound { provider_id: ProviderId, id: CredentialId },
    #[error("key {id} comes from the environment or the configuration file; change it there")]
    NotStored { id: CredentialId },
    #[error(transparent)]
    Invalid(#[from] InvalidSetting),
    #[error(
        "key {id} is sealed under master key {key_id}, which is not in use: its proxy and headers \
         cannot be changed; start with that master key, or remove the key"
    )]
    Locked { id: CredentialId, key_id: String },
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why no credential can be had now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LeaseError {
    #[error("no enabled key that has not been tried")]
    NoneLeft,
    #[error("every key serves as many requests at once as it may")]
    Busy,
    /// All that are left are cooling; the first is free again at `until`.
    #[error("every key is cooling down")]
    Cooling { until: Timestamp, cause: FailureClass },
}

/// A credential that has been added, or was there.
pub struct Added {
    pub credential: Credential,
    /// Whether the very same key was there before.
    pub existed: bool,
}

/// Adds a key to a provider. Adding it again answers with the one that is there.
#[derive(Message)]
#[rtype(result = "Result<Added, CredentialError>")]
pub struct AddCredential {
    pub provider_id: ProviderId,
    pub secret: SecretString,
    pub settings: CredentialSettings,
}

/// A change to what is set for a credential. A setting that is reset is as if it had never been set.
#[derive(Clone, Default)]
pub struct CredentialChange {
    pub label: Change<String>,
    pub enabled: Change<bool>,
    pub priority: Change<i32>,
    pub weight: Change<u32>,
    pub max_in_flight: Change<u32>,
    pub egress: Change<Egress>,
    pub headers: Change<HeadersPatch>,
}

/// Changes what is set for a stored key and answers with it.
#[derive(Message)]
#[rtype(result = "Result<Credential, CredentialError>")]
pub struct ChangeCredential {
    pub provider_id: ProviderId,
    pub id: CredentialId,
    pub change: CredentialChange,
}

/// Removes a stored key for good.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), CredentialError>")]
pub struct RemoveCredential {
    pub provider_id: ProviderId,
    pub id: CredentialId,
}

/// A fact: a provider is gone, and its keys with it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ForgetCredentials {
    pub provider_id: ProviderId,
}

/// Answered when everything told before is in the published directory; the first time, when the
/// stored credentials are loaded.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct AwaitCredentials;
