//! What can be asked of Credentials.

use std::sync::Arc;

use actix::Message;
use secrecy::SecretString;
use thiserror::Error;

use crate::{
    actors::db::DbError,
    domain::{
        cooldown::Cooldown,
        credential::Credential,
        failure::{Failure, FailureClass},
        id::{CredentialId, ModelName, ProviderId},
        time::Timestamp,
    },
};

/// Why a credential could not be added or removed.
#[derive(Debug, Error)]
pub enum CredentialError {
    #[error("key {id} of provider {provider_id} does not exist")]
    NotFound { provider_id: ProviderId, id: CredentialId },
    #[error("key {id} comes from the environment or the configuration file; change it there")]
    NotStored { id: CredentialId },
    #[error("key: {0}")]
    Invalid(&'static str),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why no credential can be had now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LeaseError {
    #[error("no enabled key that has not been tried")]
    NoneLeft,
    /// All that are left are cooling; the first is free again at `until`.
    #[error("every key is cooling down")]
    Cooling { until: Timestamp, cause: FailureClass },
}

/// A credential for one attempt.
#[derive(Clone)]
pub struct Lease {
    pub id: CredentialId,
    pub secret: SecretString,
}

/// A fact: an attempt with this credential failed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CredentialFailed {
    pub provider_id: ProviderId,
    pub credential_id: CredentialId,
    pub model: ModelName,
    pub failure: Arc<Failure>,
}

/// A fact: an attempt with this credential succeeded.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CredentialSucceeded {
    pub provider_id: ProviderId,
    pub credential_id: CredentialId,
    pub model: ModelName,
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
    pub label: Option<String>,
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

/// Asks which credentials are cooling.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Cooldown>")]
pub struct ListCredentialCooldowns;

/// Ends the cooldowns of the credentials of one provider, or all, and answers with those ended.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Cooldown>")]
pub struct ClearCredentialCooldowns {
    pub provider_id: Option<ProviderId>,
}

/// Answered when everything told before is in the published directory; the first time, when the
/// stored credentials are loaded.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct CredentialsReady;
