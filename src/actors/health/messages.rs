//! What can be asked of Health.

use std::sync::Arc;

use actix::Message;

use crate::domain::{
    cooldown::{Cooldown, CooldownScope, ScopeFilter},
    cooling::CoolingSettings,
    failure::Failure,
    health::Purpose,
    id::{CredentialId, ModelName, ProviderId, RequestId},
};

/// A fact: an attempt failed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AttemptFailed {
    pub provider_id: ProviderId,
    /// The upstream name.
    pub model: ModelName,
    pub credential_id: Option<CredentialId>,
    pub failure: Arc<Failure>,
    pub purpose: Purpose,
    /// What the route that led there sets of how failures cool.
    pub cooling: Option<CoolingSettings>,
    /// Whether the provider lists the model: others are names that clients may have made up.
    pub is_listed: bool,
    /// The request and the number of its attempt, for its trace.
    pub attempt: Option<(RequestId, u32)>,
}

/// A fact: an attempt succeeded.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AttemptSucceeded {
    pub provider_id: ProviderId,
    pub model: ModelName,
    pub credential_id: Option<CredentialId>,
}

/// A fact: what was on trial has shown that it works, and everyone may use it again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TrialPassed {
    pub scope: CooldownScope,
}

/// A fact: what these scopes are about is gone, forgiven or another, and what is held against it with it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Forget(pub ScopeFilter);

/// Asks what is cooling, in the times of the wall clock.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Cooldown>")]
pub struct ListCooldowns;

/// Ends the cooldowns of these scopes, and answers with those ended.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Cooldown>")]
pub struct ClearCooldowns(pub ScopeFilter);

/// Answered when everything told before is in what is published; the first time, when the stored
/// cooldowns are loaded.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct AwaitHealth;
