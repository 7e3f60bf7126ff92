//! Rows of `credentials`.

use diesel::prelude::*;

use crate::{
    domain::{
        credential::{Credential, CredentialSettings, StoredSecret},
        id::ProviderId,
        provider::Origin,
        time::Timestamp,
    },
    persistence::{Corrupt, schema::credentials},
};

/// An API key that was added through the API.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = credentials)]
pub struct CredentialRow {
    pub id: String,
    provider_id: String,
    label: Option<String>,
    pub secret_sealed: String,
    mask: String,
    fingerprint: String,
    enabled: bool,
    created_at: i64,
}

impl CredentialRow {
    pub fn new(credential: &Credential, secret_sealed: String) -> Self {
        Self {
            id: credential.id.to_string(),
            provider_id: credential.provider_id.to_string(),
            label: credential.settings.label.clone(),
            secret_sealed,
            mask: credential.mask.clone(),
            fingerprint: credential.fingerprint.clone(),
            enabled: credential.settings.enabled,
            created_at: credential.created_at.as_millis(),
        }
    }

    /// Puts the credential together again, with the secret as somebody has opened it.
    pub fn into_credential(self, secret: StoredSecret) -> Result<Credential, Corrupt> {
        let provider_id = ProviderId::parse(&self.provider_id).map_err(|_| Corrupt {
            table: "credentials",
            row: self.id.clone(),
            column: "provider_id",
        })?;
        Ok(Credential {
            id: self.id.into(),
            provider_id,
            settings: CredentialSettings {
                label: self.label,
                enabled: self.enabled,
                ..CredentialSettings::default()
            },
            origin: Origin::Api,
            secret,
            mask: self.mask,
            fingerprint: self.fingerprint,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}
