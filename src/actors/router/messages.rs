//! What can be asked of the Router.

use std::sync::Arc;

use actix::Message;

use crate::domain::{
    cooldown::{Cooldown, CooldownScope},
    failure::Failure,
    id::{ModelName, ProviderId, RequestId},
};

/// Asks to make one attempt more than there are requests: a repeat, a hedge or a resume. `false`: the
/// retry budget is spent, or the provider that it is to be repeated at is cooling by now.
#[derive(Debug, Clone, Message)]
#[rtype(result = "bool")]
pub struct TakeRetry {
    /// Where an attempt has just failed and is to be repeated.
    pub provider_id: Option<ProviderId>,
}

/// A fact: an attempt failed there.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AttemptFailed {
    pub provider_id: ProviderId,
    /// The upstream name.
    pub model: ModelName,
    pub failure: Arc<Failure>,
    /// Whether the provider lists the model: others are names that clients may have made up.
    pub is_listed: bool,
    /// The request and the number of its attempt, for its trace.
    pub attempt: Option<(RequestId, u32)>,
}

/// A fact: what was on trial has shown that it works, and everyone may use it again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TrialPassed {
    pub scope: CooldownScope,
}

/// A fact: the same failure from most credentials of a provider, which is the provider's own then.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ProviderIncident {
    pub provider_id: ProviderId,
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
