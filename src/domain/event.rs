//! Facts, and the numbered events they become on the event stream.

use serde::Serialize;

use super::{
    cooldown::CooldownView,
    failure::FailureClass,
    id::{CredentialId, KeyId, ModelName, ProviderId, RequestId},
    pattern::NamePattern,
    time::Timestamp,
    usage::{Outcome, TokenUsage},
};

macro_rules! event_types {
    ($($name:ident = $word:literal,)*) => {
        /// What kind of thing happened. The part before the dot is what subscribers filter by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventType { $($name,)* }

        impl EventType {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word used on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

event_types! {
    ProviderCreated = "provider.created",
    ProviderUpdated = "provider.updated",
    ProviderDeleted = "provider.deleted",
    ProviderEnabled = "provider.enabled",
    ProviderDisabled = "provider.disabled",
    ProviderFailed = "provider.failed",
    ProviderRecovered = "provider.recovered",
    ProviderLocked = "provider.locked",
    CredentialAdded = "credential.added",
    CredentialUpdated = "credential.updated",
    CredentialRemoved = "credential.removed",
    CredentialLocked = "credential.locked",
    CooldownStarted = "cooldown.started",
    CooldownExtended = "cooldown.extended",
    CooldownEnded = "cooldown.ended",
    CooldownCleared = "cooldown.cleared",
    RouteChanged = "route.changed",
    RouteDeleted = "route.deleted",
    AliasChanged = "alias.changed",
    AliasDeleted = "alias.deleted",
    Failover = "failover",
    RequestStarted = "request.started",
    RequestFinished = "request.finished",
    UsageRecorded = "usage.recorded",
    UsagePurged = "usage.purged",
    ActorRestarted = "actor.restarted",
    SystemStarted = "system.started",
    SystemDraining = "system.draining",
    SystemLedgerFailing = "system.ledger_failing",
    SystemLedgerRecovered = "system.ledger_recovered",
    SystemJournalDamaged = "system.journal_damaged",
    SystemDatabaseDamaged = "system.database_damaged",
    SystemClockAhead = "system.clock_ahead",
}

impl Serialize for EventType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Something that happened, before it has a number.
#[derive(Debug, Clone)]
pub struct Fact {
    pub kind: EventType,
    pub provider_id: Option<ProviderId>,
    pub credential_id: Option<CredentialId>,
    pub model_id: Option<ModelName>,
    pub data: EventData,
}

impl Fact {
    pub fn new(kind: EventType, data: EventData) -> Self {
        Self { kind, provider_id: None, credential_id: None, model_id: None, data }
    }

    pub fn of_provider(kind: EventType, provider_id: ProviderId, data: EventData) -> Self {
        Self { provider_id: Some(provider_id), ..Self::new(kind, data) }
    }

    /// The fact of a cooldown that started, was extended, ended or was cleared.
    pub fn of_cooldown(kind: EventType, cooldown: CooldownView) -> Self {
        Self {
            kind,
            provider_id: Some(cooldown.provider_id.clone()),
            credential_id: cooldown.credential_id.clone(),
            model_id: cooldown.model_id.clone(),
            data: EventData::Cooldown(cooldown),
        }
    }
}

/// What an event says beyond its ids. Never a secret, never a body.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum EventData {
    None {},
    Message {
        message: String,
    },
    /// A route or an alias, which is known by its name alone.
    Named {
        name: NamePattern,
    },
    Cooldown(CooldownView),
    Failover {
        request_id: RequestId,
        cause: FailureClass,
        /// What is another now.
        next: FailoverStep,
        /// Where the request goes.
        next_provider_id: ProviderId,
        next_model_id: ModelName,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_credential_id: Option<CredentialId>,
    },
    RequestStarted {
        request_id: RequestId,
        client_key_id: KeyId,
        streamed: bool,
    },
    RequestFinished {
        request_id: RequestId,
        outcome: Outcome,
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<FailureClass>,
        attempts: u32,
        duration_ms: u64,
    },
    UsageRecorded {
        request_id: RequestId,
        outcome: Outcome,
        #[serde(skip_serializing_if = "Option::is_none")]
        tokens: Option<TokenUsage>,
        usage_estimated: bool,
    },
    UsagePurged {
        /// How many entries were past their retention.
        entries: u64,
        /// All of them were from before.
        before: Timestamp,
    },
    ActorRestarted {
        actor: &'static str,
        restarts: u64,
    },
}

/// Where a request goes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailoverStep {
    /// Another credential for the same model of the same provider.
    Credential,
    /// Another model of the same provider.
    Model,
    Provider,
}

/// A fact with its number, as it goes over the wire.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// One more than the event before it, beginning at 1 with each start of the process.
    pub seq: u64,
    pub time: Timestamp,
    #[serde(rename = "type")]
    pub kind: EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<ProviderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<CredentialId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<ModelName>,
    pub data: EventData,
}

impl Event {
    /// About how many bytes it takes in memory.
    pub fn memory(&self) -> usize {
        let texts = [
            self.provider_id.as_ref().map(|id| id.as_str().len()),
            self.model_id.as_ref().map(|id| id.as_str().len()),
            match &self.data {
                EventData::Message { message } => Some(message.len()),
                EventData::Named { name } => Some(name.as_str().len()),
                _ => None,
            },
        ];
        size_of::<Self>() + texts.into_iter().flatten().sum::<usize>()
    }
}

/// What a subscriber wants to see. Empty lists let everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Full types (`cooldown.started`) or groups (`cooldown.*`, `cooldown`).
    pub types: Vec<String>,
    pub providers: Vec<ProviderId>,
}

impl EventFilter {
    pub fn admits(&self, event: &Event) -> bool {
        let word = event.kind.as_str();
        let type_fits = self.types.is_empty()
            || self.types.iter().any(|wanted| {
                let group = wanted.strip_suffix(".*").unwrap_or(wanted);
                word == wanted || word.split('.').next() == Some(group)
            });
        let provider_fits = self.providers.is_empty()
            || event.provider_id.as_ref().is_some_and(|id| self.providers.contains(id));
        type_fits && provider_fits
    }

    /// The first wanted type that no event has, for an error message.
    pub fn unknown_type(&self) -> Option<&str> {
        self.types.iter().map(String::as_str).find(|wanted| {
            let group = wanted.strip_suffix(".*").unwrap_or(wanted);
            !EventType::ALL.iter().any(|kind| {
                kind.as_str() == *wanted || kind.as_str().split('.').next() == Some(group)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventType, provider: Option<&str>) -> Event {
        Event {
            seq: 412,
            time: Timestamp::from_millis(0),
            kind,
            provider_id: provider.map(|id| ProviderId::parse(id).unwrap()),
            credential_id: None,
            model_id: None,
            data: EventData::None {},
        }
    }

    #[test]
    fn an_event_has_the_documented_shape() {
        let shown =
            serde_json::to_string(&event(EventType::CooldownStarted, Some("acme"))).unwrap();
        assert_eq!(
            shown,
            r#"{"seq":412,"time":"1970-01-01T00:00:00.000Z","type":"cooldown.started","provider_id":"acme","data":{}}"#
        );
    }

    #[test]
    fn a_filter_takes_types_groups_and_providers() {
        let filter = |types: &[&str], providers: &[&str]| EventFilter {
            types: types.iter().map(ToString::to_string).collect(),
            providers: providers.iter().map(|id| ProviderId::parse(id).unwrap()).collect(),
        };
        let started = event(EventType::CooldownStarted, Some("acme"));
        assert!(filter(&[], &[]).admits(&started));
        assert!(filter(&["cooldown.*"], &["acme"]).admits(&started));
        assert!(filter(&["failover", "cooldown"], &[]).admits(&started));
        assert!(!filter(&["cooldown.ended"], &[]).admits(&started));
        assert!(!filter(&[], &["other"]).admits(&started));
        assert_eq!(filter(&["cooldown", "coldown.*"], &[]).unknown_type(), Some("coldown.*"));
    }
}
