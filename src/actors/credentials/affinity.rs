//! Which place served a session last: a soft preference, so that the provider's prompt cache stays
//! warm.

use std::time::Duration;

use moka::sync::Cache;

use crate::domain::{
    id::{CredentialId, ProviderId},
    session::SessionKey,
};

/// Most sessions remembered; past it those used least go first.
const MAX_SESSIONS: u64 = 100_000;

/// How long a session is remembered after its last request.
const MEMORY: Duration = Duration::from_hours(1);

/// Where a session is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub provider_id: ProviderId,
    pub credential_id: Option<CredentialId>,
}

/// The sessions of all worker threads. Cheap to clone. What is bound to something that is gone,
/// disabled or cooling is served elsewhere, and bound there by the answer.
#[derive(Clone)]
pub struct Affinity(Cache<SessionKey, Binding>);

impl Default for Affinity {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_SESSIONS).time_to_idle(MEMORY).build())
    }
}

impl Affinity {
    pub fn find(&self, session: SessionKey) -> Option<Binding> {
        self.0.get(&session)
    }

    /// Remembers who has just served a session. Mostly that is who has served it before, and a look, which
    /// keeps it in memory as well, costs less than to put the same there again.
    pub fn bind(&self, session: SessionKey, binding: Binding) {
        if self.find(session).as_ref() != Some(&binding) {
            self.0.insert(session, binding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{id::ModelName, session::SessionSignal};

    fn session(id: &str) -> SessionKey {
        let model = ModelName::parse("m").unwrap();
        SessionKey::new(&"caller".into(), &model, SessionSignal::Named { kind: "header", id })
    }

    #[test]
    fn a_session_is_found_where_it_was_served_last_and_others_are_not() {
        let affinity = Affinity::default();
        let binding = |credential: &str| Binding {
            provider_id: ProviderId::parse("acme").unwrap(),
            credential_id: Some(credential.into()),
        };
        affinity.bind(session("s"), binding("a"));
        affinity.bind(session("s"), binding("b"));
        assert_eq!(affinity.find(session("s")), Some(binding("b")));
        assert_eq!(affinity.find(session("t")), None);
    }
}
