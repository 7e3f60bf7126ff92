//! What a user sets for a credential: which values there may be, and how a change of them is made.

use actix::prelude::*;

use super::{
    actor::Credentials,
    credential_pool::CredentialPool,
    messages::{ChangeCredential, CredentialChange, CredentialError},
};
use crate::domain::{
    credential::{Credential, CredentialSettings, Egress, StoredSecret},
    event::{EventData, EventType},
    merge_patch::Change,
    provider::Origin,
};

impl CredentialChange {
    /// The settings after the change. What is reset is as if it had never been set.
    pub fn applied_to(self, settings: CredentialSettings) -> CredentialSettings {
        let mut changed = settings;
        let unset = CredentialSettings::default();
        self.label.apply(&mut changed.label);
        self.max_in_flight.apply(&mut changed.max_in_flight);
        replace(self.enabled, &mut changed.enabled, unset.enabled);
        replace(self.priority, &mut changed.priority, unset.priority);
        replace(self.weight, &mut changed.weight, unset.weight);
        replace(self.egress, &mut changed.egress, Egress::Usual);
        self.headers.merge(&mut changed.headers);
        changed
    }

    fn touches_secrets(&self) -> bool {
        !matches!((&self.egress, &self.headers), (Change::Keep, Change::Keep))
    }
}

fn replace<T>(change: Change<T>, field: &mut T, unset: T) {
    match change {
        Change::Keep => {}
        Change::Reset => *field = unset,
        Change::Set(value) => *field = value,
    }
}

/// Whether what was held against a credential with settings as `before` says nothing of it any more: it
/// was switched off or on, or goes another way.
fn is_another(before: &CredentialSettings, after: &CredentialSettings) -> bool {
    before.enabled != after.enabled || before.egress != after.egress
}

/// The credential as it is after a change, not yet saved.
fn changed(pool: &CredentialPool, order: ChangeCredential) -> Result<Credential, CredentialError> {
    let ChangeCredential { provider_id, id, change } = order;
    let Some(credential) = pool.find(&provider_id, &id) else {
        return Err(CredentialError::NotFound { provider_id, id });
    };
    if credential.origin != Origin::Api {
        return Err(CredentialError::NotStored { id });
    }
    if let StoredSecret::Locked { key_id } = &credential.secret
        && change.touches_secrets()
    {
        return Err(CredentialError::Locked { id, key_id: key_id.clone() });
    }
    let settings = change.applied_to(credential.settings.clone());
    settings.check()?;
    Ok(Credential { settings, ..credential.clone() })
}

impl Handler<ChangeCredential> for Credentials {
    /// The mailbox waits: two changes of the same key must not undo each other.
    type Result = AtomicResponse<Self, Result<Credential, CredentialError>>;

    fn handle(&mut self, msg: ChangeCredential, _: &mut Self::Context) -> Self::Result {
        let before = self.pool.find(&msg.provider_id, &msg.id).map(|it| it.settings.clone());
        let changed = changed(&self.pool, msg);
        let db = self.db.clone();
        let save = async move {
            let credential = changed?;
            let Credential { provider_id, id, settings, .. } = credential.clone();
            if db.save_credential_settings(id.clone(), settings).await? {
                Ok(credential)
            } else {
                Err(CredentialError::NotFound { provider_id, id })
            }
        };
        AtomicResponse::new(Box::pin(save.into_actor(self).map(
            move |saved: Result<Credential, CredentialError>, credentials, _| {
                let credential = saved?;
                let (provider, id) = (&credential.provider_id, &credential.id);
                if before.is_some_and(|before| is_another(&before, &credential.settings)) {
                    credentials.forget_health(provider, id);
                }
                credentials.pool.replace_settings(provider, id, &credential.settings);
                credentials.publish_change(provider);
                credentials.tell(EventType::CredentialUpdated, provider, id, EventData::None {});
                Ok(credential)
            },
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::ProviderId, provider::SecretHeader, setting::HeadersPatch, time::Timestamp,
    };

    fn credential(id: &str) -> Credential {
        Credential {
            id: id.into(),
            provider_id: ProviderId::parse("acme").unwrap(),
            settings: CredentialSettings::default(),
            origin: Origin::Api,
            secret: StoredSecret::open("secret"),
            mask: "****".into(),
            fingerprint: id.into(),
            created_at: Timestamp::from_millis(1),
        }
    }

    fn order(id: &str, change: CredentialChange) -> ChangeCredential {
        ChangeCredential { provider_id: ProviderId::parse("acme").unwrap(), id: id.into(), change }
    }

    fn headers(count: usize) -> Vec<SecretHeader> {
        let header = |n| SecretHeader { name: format!("x-{n}"), value: "v".into() };
        (0..count).map(header).collect()
    }

    fn full() -> CredentialSettings {
        CredentialSettings {
            label: Some("mine".into()),
            enabled: false,
            priority: 4,
            weight: 0,
            max_in_flight: Some(2),
            egress: Egress::Direct,
            headers: headers(1),
        }
    }

    #[test]
    fn a_change_touches_what_is_named_and_a_reset_takes_it_back() {
        assert!(CredentialChange::default().applied_to(full()) == full());
        let some = CredentialChange {
            weight: Change::Set(7),
            label: Change::Reset,
            ..CredentialChange::default()
        };
        let expected = CredentialSettings { weight: 7, label: None, ..full() };
        assert!(some.applied_to(full()) == expected);
        let all = CredentialChange {
            label: Change::Reset,
            enabled: Change::Reset,
            priority: Change::Reset,
            weight: Change::Reset,
            max_in_flight: Change::Reset,
            egress: Change::Reset,
            headers: Change::Reset,
        };
        assert!(all.applied_to(full()) == CredentialSettings::default());
    }

    #[test]
    fn only_a_stored_key_can_be_changed() {
        let given = Credential { origin: Origin::Environment, ..credential("env") };
        let pool = CredentialPool::new([credential("a"), given]);
        let change = || CredentialChange { weight: Change::Set(7), ..CredentialChange::default() };
        let after = changed(&pool, order("a", change())).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(after.settings.weight, 7);
        let refused = changed(&pool, order("env", change())).err();
        assert!(matches!(refused, Some(CredentialError::NotStored { .. })));
        let heavy = CredentialChange { weight: Change::Set(1_000_001), ..change() };
        let refused = changed(&pool, order("a", heavy)).err();
        assert!(
            matches!(refused, Some(CredentialError::Invalid(fault)) if fault.field == "weight")
        );
        let refused = changed(&pool, order("gone", change())).err();
        assert!(matches!(refused, Some(CredentialError::NotFound { .. })));
    }

    #[test]
    fn of_a_locked_key_only_what_is_no_secret_can_be_changed() {
        let secret = StoredSecret::Locked { key_id: "k1".into() };
        let pool = CredentialPool::new([Credential { secret, ..credential("a") }]);
        let plain = CredentialChange { enabled: Change::Set(false), ..CredentialChange::default() };
        assert!(changed(&pool, order("a", plain)).is_ok());
        for change in [
            CredentialChange { egress: Change::Reset, ..CredentialChange::default() },
            CredentialChange {
                headers: Change::Set(HeadersPatch::default()),
                ..CredentialChange::default()
            },
        ] {
            let refused = changed(&pool, order("a", change)).err();
            assert!(matches!(refused, Some(CredentialError::Locked { .. })));
        }
    }
}
