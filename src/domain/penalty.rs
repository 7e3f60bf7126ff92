//! Whom a failed attempt is held against, and what it costs them.

use std::time::Duration;

use super::{
    cooldown::{CooldownDuration, CooldownScope},
    cooling::Kind,
    failure::{Failure, FailureClass, MAX_HINT},
    scope_map::Use,
};

/// How long a server is left alone that fails, or a proxy on the way to it.
pub const SERVER_DURATION: CooldownDuration =
    CooldownDuration::Doubling { base: Duration::from_secs(10), cap: Duration::from_mins(5) };

const HALF_HOUR: Duration = Duration::from_mins(30);

/// How long a limit lasts that nobody has given a time for.
const LIMIT_DURATION: CooldownDuration =
    CooldownDuration::Doubling { base: Duration::from_secs(1), cap: HALF_HOUR };

/// Shortest cooldown that a rule of the operator imposes.
const RULE_COOLDOWN: Duration = Duration::from_mins(1);

/// What a failure costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Penalty {
    /// A cooldown at once.
    AtOnce(CooldownDuration),
    /// A cooldown when there have been enough of this kind, and at once for as long as the provider
    /// asks for.
    Counted(Kind, Option<Duration>),
}

/// Whom a failure is held against, and what it costs. `None`: nobody, it is the request's own or a
/// rule spares them.
///
/// Without a credential the model at the provider takes its place. A failing server is first a failing
/// model: [`HealthState`](super::health::HealthState) says when it is all of the provider.
pub fn blame(used: Use<'_>, failure: &Failure) -> Option<(CooldownScope, Penalty)> {
    let Use { provider, credential, model } = used;
    let of_model = || CooldownScope::ProviderModel(provider.clone(), model.clone());
    let of_credential = || match credential {
        Some(credential) => CooldownScope::Credential(provider.clone(), credential.clone()),
        None => of_model(),
    };
    let at_once = |scope, length| Some((scope, Penalty::AtOnce(length)));
    // To come back at once is no word on when to come back.
    let hint = failure.retry_after.filter(|hint| !hint.is_zero()).map(|hint| hint.min(MAX_HINT));
    let hinted = |otherwise| hint.map_or(otherwise, CooldownDuration::Fixed);
    if let Some(action) = failure.rule {
        let length = CooldownDuration::Fixed(hint.unwrap_or(RULE_COOLDOWN).max(RULE_COOLDOWN));
        return if action.cools() { at_once(of_credential(), length) } else { None };
    }
    if failure.by_proxy {
        return at_once(of_credential(), SERVER_DURATION);
    }
    match failure.class {
        FailureClass::Auth if credential.is_some() => {
            at_once(of_credential(), CooldownDuration::Fixed(HALF_HOUR))
        }
        FailureClass::Payment if credential.is_some() => {
            at_once(of_credential(), hinted(CooldownDuration::Fixed(HALF_HOUR)))
        }
        FailureClass::Auth => at_once(of_model(), LIMIT_DURATION),
        FailureClass::Payment => at_once(of_model(), hinted(LIMIT_DURATION)),
        FailureClass::RateLimit => {
            let scope = match credential {
                Some(credential) if !failure.account_wide => CooldownScope::CredentialModel(
                    provider.clone(),
                    credential.clone(),
                    model.clone(),
                ),
                _ => of_credential(),
            };
            at_once(scope, hinted(LIMIT_DURATION))
        }
        FailureClass::ModelMissing => {
            at_once(of_model(), CooldownDuration::Fixed(Duration::from_hours(1)))
        }
        FailureClass::Server | FailureClass::Silent | FailureClass::Stalled | FailureClass::Cut => {
            Some((of_model(), Penalty::Counted(Kind::Server, hint)))
        }
        FailureClass::Overload => Some((of_model(), Penalty::Counted(Kind::Overload, hint))),
        FailureClass::Connect => {
            Some((CooldownScope::Provider(provider.clone()), Penalty::Counted(Kind::Server, None)))
        }
        FailureClass::ClientFault
        | FailureClass::ContextTooLong
        | FailureClass::Refusal
        | FailureClass::Cancelled => None,
    }
}

#[cfg(test)]
mod tests;
