//! What can be asked of the Registry.

use std::sync::Arc;

use actix::Message;
use thiserror::Error;
use url::Url;

use crate::{
    actors::db::DbError,
    domain::{
        cooling::CoolingPatch,
        id::{IdError, ProviderId},
        merge_patch::Change,
        model::ServedModel,
        provider::{ApiFormat, Location, Provider},
        route::CredentialStrategy,
        rule::FailureRule,
        setting::{HeadersPatch, InvalidSetting},
    },
};

/// Why a provider could not be made or changed.
#[derive(Debug, Error)]
pub enum RegistryError {
    #[error("provider {0} does not exist")]
    NotFound(ProviderId),
    #[error("provider {0} exists already")]
    Exists(ProviderId),
    #[error("provider {0} is stored in a way that is not understood; the log says what is wrong")]
    Unreadable(ProviderId),
    #[error("provider {0} is set in the configuration file; change it there")]
    OwnedByConfiguration(ProviderId),
    #[error("provider {0} is built in and cannot be deleted; disable it or remove its keys")]
    BuiltIn(ProviderId),
    #[error("provider {0} is built in: its {1} cannot be changed")]
    FixedByCatalog(ProviderId, &'static str),
    #[error(transparent)]
    Invalid(#[from] InvalidSetting),
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The settings a user can give. For a new provider, [`Change::Keep`] means the default.
#[derive(Clone, Default)]
pub struct ProviderChange {
    pub name: Change<String>,
    pub location: Change<Location>,
    pub base_url: Change<Url>,
    pub chat_path: Change<String>,
    pub api_format: Change<ApiFormat>,
    pub also_speaks: Change<Vec<ApiFormat>>,
    pub priority: Change<i32>,
    pub enabled: Change<bool>,
    pub models: Change<Vec<ServedModel>>,
    pub headers: Change<HeadersPatch>,
    pub credential_strategy: Change<CredentialStrategy>,
    pub rules: Change<Vec<FailureRule>>,
    pub attempt_timeout_ms: Change<u32>,
    pub cooling: Change<CoolingPatch>,
}

impl ProviderChange {
    /// Whether it may change what the provider speaks, or whether anybody cares.
    pub fn may_change_formats(&self) -> bool {
        !matches!(self.base_url, Change::Keep)
            || !matches!((&self.api_format, &self.also_speaks), (Change::Keep, Change::Keep))
            || !matches!(self.enabled, Change::Keep)
    }
}

/// Makes a provider and answers with it.
#[derive(Message)]
#[rtype(result = "Result<Arc<Provider>, RegistryError>")]
pub struct CreateProvider {
    pub id: ProviderId,
    pub settings: ProviderChange,
}

/// Changes the named fields of a provider and answers with the result.
#[derive(Message)]
#[rtype(result = "Result<Arc<Provider>, RegistryError>")]
pub struct ChangeProvider {
    pub id: ProviderId,
    pub change: ProviderChange,
}

/// Deletes a provider made by the API, with its keys and cooldowns. Its usage stays on the ledger.
#[derive(Message)]
#[rtype(result = "Result<(), RegistryError>")]
pub struct DeleteProvider {
    pub id: ProviderId,
}

/// Drops a provider's error and ends its cooldowns. What is disabled stays disabled.
#[derive(Message)]
#[rtype(result = "Result<Arc<Provider>, RegistryError>")]
pub struct ClearProviderError {
    pub id: ProviderId,
}

/// A fact: a provider at this address was found to speak these formats, the surest first. Kept where
/// nobody has set what it speaks. Answers with the provider as it is by then.
#[derive(Message)]
#[rtype(result = "Result<Arc<Provider>, RegistryError>")]
pub struct FormatsDetected {
    pub id: ProviderId,
    pub base_url: Url,
    pub formats: Vec<ApiFormat>,
}

/// A fact: a provider failed so often that it is left alone for a while.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ProviderFailed {
    pub id: ProviderId,
    pub message: String,
}

/// A fact: a provider has answered.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ProviderAnswered {
    pub id: ProviderId,
}

/// A fact: the published credentials have changed, and with them who can be called.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct CredentialsChanged {
    /// Whose they are. `None`: all have been read anew.
    pub provider_id: Option<ProviderId>,
}

/// Answered when everything told before is in the published table; the first time, when the stored
/// providers are loaded.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AwaitRegistry;
