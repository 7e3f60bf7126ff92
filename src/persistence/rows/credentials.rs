//! Rows of `credentials`.

use diesel::prelude::*;

use super::{integer, natural};
use crate::{
    domain::{
        credential::{Credential, CredentialSettings, Egress, StoredSecret},
        id::ProviderId,
        provider::{Origin, SecretHeader},
        time::Timestamp,
    },
    persistence::{Corrupt, schema::credentials},
};

/// An API key that was added through the API.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = credentials)]
pub struct CredentialRow {
    pub id: String,
    pub provider_id: String,
    mask: String,
    fingerprint: String,
    created_at: i64,
    pub secret_sealed: String,
    #[diesel(embed)]
    pub sealed_settings: SealedSettings,
    #[diesel(embed)]
    settings: PlainSettings,
}

/// The settings that are secrets, sealed. Written apart from the others, so that no change of
/// anything else can lose what does not open.
#[derive(Default, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = credentials, treat_none_as_null = true)]
pub struct SealedSettings {
    pub egress_sealed: Option<String>,
    pub headers_sealed: Option<String>,
}

/// The settings that are no secrets.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = credentials, treat_none_as_null = true)]
pub struct PlainSettings {
    label: Option<String>,
    enabled: bool,
    priority: i32,
    weight: i32,
    max_in_flight: Option<i32>,
}

/// What was sealed in a row, as somebody has opened it.
pub struct Opened {
    pub secret: StoredSecret,
    pub egress: Egress,
    pub headers: Vec<SecretHeader>,
}

impl From<&CredentialSettings> for PlainSettings {
    fn from(settings: &CredentialSettings) -> Self {
        Self {
            label: settings.label.clone(),
            enabled: settings.enabled,
            priority: settings.priority,
            weight: integer(settings.weight),
            max_in_flight: settings.max_in_flight.map(integer),
        }
    }
}

impl CredentialRow {
    pub fn new(
        credential: &Credential,
        secret_sealed: String,
        sealed_settings: SealedSettings,
    ) -> Self {
        Self {
            id: credential.id.to_string(),
            provider_id: credential.provider_id.to_string(),
            mask: credential.mask.clone(),
            fingerprint: credential.fingerprint.clone(),
            created_at: credential.created_at.as_millis(),
            secret_sealed,
            sealed_settings,
            settings: PlainSettings::from(&credential.settings),
        }
    }

    /// Puts the credential together again.
    pub fn into_credential(self, opened: Opened) -> Result<Credential, Corrupt> {
        let row = self.id;
        let corrupt = |column| Corrupt { table: "credentials", row: row.clone(), column };
        let PlainSettings { label, enabled, priority, weight, max_in_flight } = self.settings;
        let settings = CredentialSettings {
            label,
            enabled,
            priority,
            weight: u32::try_from(weight).map_err(|_| corrupt("weight"))?,
            max_in_flight: natural(max_in_flight).map_err(|_| corrupt("max_in_flight"))?,
            egress: opened.egress,
            headers: opened.headers,
        };
        Ok(Credential {
            provider_id: ProviderId::parse(&self.provider_id)
                .map_err(|_| corrupt("provider_id"))?,
            id: row.into(),
            settings,
            origin: Origin::Api,
            secret: opened.secret,
            mask: self.mask,
            fingerprint: self.fingerprint,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}
