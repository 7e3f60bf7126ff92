//! What can be asked of the Router.

use std::sync::Arc;

use actix::Message;

use crate::domain::{
    cooldown::Cooldown,
    failure::Failure,
    id::{ModelName, ProviderId},
};

/// Asks to make one more attempt at a provider that has just failed. `false`: go on to the next,
/// because the provider is cooling by now or the retry budget is spent.
#[derive(Debug, Clone, Message)]
#[rtype(result = "bool")]
pub struct TakeRetry {
    pub provider_id: ProviderId,
}

/// A fact: an attempt failed there.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AttemptFailed {
    pub provider_id: ProviderId,
    /// The upstream name.
    pub model: ModelName,
    pub failure: Arc<Failure>,
}

/// A fact: an attempt succeeded there.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AttemptSucceeded {
    pub provider_id: ProviderId,
    pub model: ModelName,
}

/// A fact: a provider is gone or forgiven, and what is held against it with it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ForgetProvider {
    pub provider_id: ProviderId,
}

/// Asks which providers are cooling, whole or for one model.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Cooldown>")]
pub struct ListProviderCooldowns;

/// Ends the cooldowns of one provider, or all, and answers with those ended.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Cooldown>")]
pub struct ClearProviderCooldowns {
    pub provider_id: Option<ProviderId>,
}

/// Answered when everything told before is in the published view; the first time, when the stored
/// cooldowns are loaded.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct RouterReady;
