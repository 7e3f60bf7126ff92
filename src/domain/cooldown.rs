//! Cooldowns: bounded times in which a scope is not chosen. What leads to one is in `penalty`; all of them
//! together are kept in `state`.

mod state;

use std::time::Duration;

use serde::Serialize;

pub use self::state::{
    CooldownChange, CooldownState, DOOR_TRIAL_TIME, MAX_COOLDOWNS, MAX_UNLISTED, TRIAL_TIME,
    TrialPass,
};
pub use super::scope_map::Use;
use super::{
    failure::FailureClass,
    id::{CredentialId, ModelName, ProviderId},
    time::Timestamp,
};

/// What is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CooldownScope {
    Provider(ProviderId),
    ProviderModel(ProviderId, ModelName),
    Credential(ProviderId, CredentialId),
    CredentialModel(ProviderId, CredentialId, ModelName),
}

/// Picks scopes by their parts: those that have all of the named ones.
#[derive(Debug, Clone, Default)]
pub struct ScopeFilter {
    pub provider: Option<ProviderId>,
    pub credential: Option<CredentialId>,
    /// One of these; none: any.
    pub models: Vec<ModelName>,
}

impl ScopeFilter {
    /// All of a provider, its credentials included.
    pub fn of(provider: ProviderId) -> Self {
        Self { provider: Some(provider), ..Self::default() }
    }

    pub fn fits(&self, scope: &CooldownScope) -> bool {
        self.provider.as_ref().is_none_or(|provider| provider == scope.provider())
            && (self.credential.is_none() || self.credential.as_ref() == scope.credential())
            && (self.models.is_empty()
                || scope.model().is_some_and(|model| self.models.contains(model)))
    }
}

impl CooldownScope {
    /// The word used on the wire and in the database.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Provider(_) => "provider",
            Self::ProviderModel(..) => "provider_model",
            Self::Credential(..) => "credential",
            Self::CredentialModel(..) => "credential_model",
        }
    }

    pub fn provider(&self) -> &ProviderId {
        match self {
            Self::Provider(provider)
            | Self::ProviderModel(provider, _)
            | Self::Credential(provider, _)
            | Self::CredentialModel(provider, _, _) => provider,
        }
    }

    pub fn credential(&self) -> Option<&CredentialId> {
        match self {
            Self::Provider(_) | Self::ProviderModel(..) => None,
            Self::Credential(_, credential) | Self::CredentialModel(_, credential, _) => {
                Some(credential)
            }
        }
    }

    pub fn model(&self) -> Option<&ModelName> {
        match self {
            Self::Provider(_) | Self::Credential(..) => None,
            Self::ProviderModel(_, model) | Self::CredentialModel(_, _, model) => Some(model),
        }
    }

    /// Tells scopes apart and orders them, as text: for a page's cursor.
    pub fn cursor(&self) -> String {
        let credential = self.credential().map_or("", CredentialId::as_str);
        let model = self.model().map_or("", ModelName::as_str);
        format!("{}:{}:{credential}:{model}", self.kind(), self.provider())
    }

    /// Puts a scope together again from the parts that storage keeps.
    pub fn from_parts(
        provider: ProviderId,
        credential: Option<CredentialId>,
        model: Option<ModelName>,
    ) -> Self {
        match (credential, model) {
            (None, None) => Self::Provider(provider),
            (None, Some(model)) => Self::ProviderModel(provider, model),
            (Some(credential), None) => Self::Credential(provider, credential),
            (Some(credential), Some(model)) => Self::CredentialModel(provider, credential, model),
        }
    }
}

/// One cooldown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooldown {
    pub scope: CooldownScope,
    pub cause: FailureClass,
    /// The upstream status that caused it, if one did.
    pub status: Option<u16>,
    pub started_at: Timestamp,
    pub until: Timestamp,
    /// How often in a row, the first being 1. Sets the length of the next one.
    pub strikes: u32,
}

impl Cooldown {
    /// As it goes on after a restart. Whatever the clock said when it began, no more is left of it than
    /// its length.
    pub fn resumed(self, now: Timestamp) -> Self {
        let length = self.until.since(self.started_at);
        let (started_at, until) = (self.started_at.min(now), self.until.min(now.plus(length)));
        Self { started_at, until, ..self }
    }

    /// The same in the times of a clock that differs by so many milliseconds.
    pub fn shifted(&self, by_ms: i64) -> Self {
        let shift = |at: Timestamp| Timestamp::from_millis(at.as_millis().saturating_add(by_ms));
        Self { started_at: shift(self.started_at), until: shift(self.until), ..self.clone() }
    }
}

/// A cooldown as it is shown: in the API, and as the data of its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CooldownView {
    pub scope: &'static str,
    pub provider_id: ProviderId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub credential_id: Option<CredentialId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<ModelName>,
    #[schema(value_type = String)]
    pub cause: FailureClass,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    pub strikes: u32,
}

impl From<&Cooldown> for CooldownView {
    fn from(cooldown: &Cooldown) -> Self {
        Self {
            scope: cooldown.scope.kind(),
            provider_id: cooldown.scope.provider().clone(),
            credential_id: cooldown.scope.credential().cloned(),
            model_id: cooldown.scope.model().cloned(),
            cause: cooldown.cause,
            status: cooldown.status,
            started_at: cooldown.started_at,
            until: cooldown.until,
            strikes: cooldown.strikes,
        }
    }
}

/// How long a cooldown lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CooldownDuration {
    Fixed(Duration),
    /// Doubles with each strike: `base`, `2 × base`, … up to `cap`.
    Doubling {
        base: Duration,
        cap: Duration,
    },
}

impl CooldownDuration {
    fn after(self, strikes: u32) -> Duration {
        match self {
            Self::Fixed(length) => length,
            Self::Doubling { base, cap } => {
                base.saturating_mul(1_u32.checked_shl(strikes - 1).unwrap_or(u32::MAX)).min(cap)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The scopes of each kind, by the word for it, that two providers, keys and models make.
    fn scopes() -> Vec<(&'static str, CooldownScope)> {
        let mut scopes = Vec::new();
        for provider in ["acme", "other"].map(|id| ProviderId::parse(id).unwrap()) {
            scopes.push(("provider", CooldownScope::Provider(provider.clone())));
            for model in ["m", "m:7b"].map(|name| ModelName::parse(name).unwrap()) {
                let of_model = CooldownScope::ProviderModel(provider.clone(), model.clone());
                scopes.push(("provider_model", of_model));
                for key in ["key_1", "key_2"].map(CredentialId::from) {
                    let of_both =
                        CooldownScope::CredentialModel(provider.clone(), key, model.clone());
                    scopes.push(("credential_model", of_both));
                }
            }
            for key in ["key_1", "key_2"].map(CredentialId::from) {
                let of_key = CooldownScope::Credential(provider.clone(), key);
                scopes.push(("credential", of_key));
            }
        }
        scopes
    }

    #[test]
    fn each_kind_of_scope_is_shown_by_its_word() {
        for (word, scope) in scopes() {
            assert_eq!(scope.kind(), word, "{scope:?}");
        }
    }

    #[test]
    fn a_page_that_ends_at_a_scope_ends_at_no_other() {
        let cursors: HashSet<String> = scopes().iter().map(|(_, scope)| scope.cursor()).collect();
        assert_eq!(cursors.len(), scopes().len());
    }

    #[test]
    fn by_another_clock_the_times_differ_and_the_length_does_not() {
        let at = Timestamp::from_millis;
        let cooldown = Cooldown {
            scope: CooldownScope::Provider(ProviderId::parse("acme").unwrap()),
            cause: FailureClass::Server,
            status: None,
            started_at: at(1_000),
            until: at(3_000),
            strikes: 1,
        };
        let elsewhere = cooldown.shifted(500);
        assert_eq!((elsewhere.started_at, elsewhere.until), (at(1_500), at(3_500)));
        assert_eq!(elsewhere.shifted(-500), cooldown);
    }
}
