//! Rows of `providers`.

use diesel::prelude::*;

use super::{Word, cooling_json, integer, natural, parse_cooling, parse_word};
use crate::{
    domain::{
        id::ProviderId,
        provider::{ApiFormat, LastError, ProviderSettings, StoredHeaders, StoredProvider},
        rule::{FailureRule, RuleText, parse_rules},
        time::Timestamp,
    },
    persistence::{Corrupt, schema::providers},
};

/// What a user has set for a provider. Sealed headers are read with the row and written apart from
/// it, so that no change of anything else can lose headers that do not open.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = providers, treat_none_as_null = true)]
pub struct ProviderRow {
    pub id: String,
    custom: bool,
    name: Option<String>,
    location: Option<String>,
    base_url: Option<String>,
    chat_path: Option<String>,
    api_format: Option<String>,
    priority: Option<i32>,
    enabled: Option<bool>,
    /// JSON.
    models: Option<String>,
    #[diesel(skip_insertion, skip_update)]
    pub headers_sealed: Option<String>,
    credential_strategy: Option<String>,
    /// JSON.
    rules: Option<String>,
    attempt_timeout_ms: Option<i32>,
    /// JSON.
    cooling: Option<String>,
    /// JSON.
    also_speaks: Option<String>,
    /// JSON.
    detected_formats: Option<String>,
    last_error: Option<String>,
    last_error_at: Option<i64>,
    #[diesel(skip_update)]
    created_at: i64,
    updated_at: i64,
}

impl From<&StoredProvider> for ProviderRow {
    fn from(provider: &StoredProvider) -> Self {
        let settings = &provider.settings;
        let last_error = provider.last_error.as_ref();
        Self {
            id: provider.id.to_string(),
            custom: provider.custom,
            name: settings.name.clone(),
            location: settings.location.map(|location| Word(location).to_string()),
            base_url: settings.base_url.as_ref().map(ToString::to_string),
            chat_path: settings.chat_path.clone(),
            api_format: settings.api_format.map(|format| Word(format).to_string()),
            priority: settings.priority,
            enabled: settings.enabled,
            models: settings.models.as_ref().map(|models| {
                serde_json::to_string(models).expect("names of models are texts, and so JSON")
            }),
            headers_sealed: None,
            credential_strategy: settings.credential_strategy.map(|it| Word(it).to_string()),
            rules: settings.rules.as_deref().map(|rules| {
                let texts: Vec<&RuleText> = rules.iter().map(FailureRule::text).collect();
                serde_json::to_string(&texts).expect("rules are numbers and texts, and so JSON")
            }),
            attempt_timeout_ms: settings.attempt_timeout_ms.map(integer),
            cooling: settings.cooling.as_ref().map(cooling_json),
            also_speaks: settings.also_speaks.as_deref().map(formats_json),
            detected_formats: provider.detected_formats.as_deref().map(formats_json),
            last_error: last_error.map(|error| error.message.clone()),
            last_error_at: last_error.map(|error| error.at.as_millis()),
            created_at: provider.created_at.as_millis(),
            updated_at: provider.updated_at.as_millis(),
        }
    }
}

fn formats_json(formats: &[ApiFormat]) -> String {
    serde_json::to_string(formats).expect("formats are words, and so JSON")
}

impl ProviderRow {
    /// Puts the provider together again, with the headers as somebody has opened them.
    pub fn into_provider(self, headers: Option<StoredHeaders>) -> Result<StoredProvider, Corrupt> {
        let row = self.id;
        let corrupt = |column| Corrupt { table: "providers", row: row.clone(), column };
        let parse_location = |word: String| parse_word(&word).ok_or_else(|| corrupt("location"));
        let parse_format = |word: String| parse_word(&word).ok_or_else(|| corrupt("api_format"));
        let parse_url = |url: String| url.parse().map_err(|_| corrupt("base_url"));
        let parse_models =
            |json: String| serde_json::from_str(&json).map_err(|_| corrupt("models"));
        let parse_formats =
            |column| move |json: String| serde_json::from_str(&json).map_err(|_| corrupt(column));
        let parse_strategy =
            |word: String| parse_word(&word).ok_or_else(|| corrupt("credential_strategy"));
        let parse_stored_rules = |json: String| {
            let texts: Option<Vec<RuleText>> = serde_json::from_str(&json).ok();
            texts.and_then(|texts| parse_rules(texts).ok()).ok_or_else(|| corrupt("rules"))
        };
        let last_error = match (self.last_error, self.last_error_at) {
            (Some(message), Some(at)) => {
                Some(LastError { message, at: Timestamp::from_millis(at) })
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(corrupt("last_error_at")),
        };
        Ok(StoredProvider {
            id: ProviderId::parse(&row).map_err(|_| corrupt("id"))?,
            custom: self.custom,
            settings: ProviderSettings {
                name: self.name,
                location: self.location.map(parse_location).transpose()?,
                base_url: self.base_url.map(parse_url).transpose()?,
                chat_path: self.chat_path,
                api_format: self.api_format.map(parse_format).transpose()?,
                also_speaks: self.also_speaks.map(parse_formats("also_speaks")).transpose()?,
                priority: self.priority,
                enabled: self.enabled,
                models: self.models.map(parse_models).transpose()?,
                headers,
                credential_strategy: self.credential_strategy.map(parse_strategy).transpose()?,
                rules: self.rules.map(parse_stored_rules).transpose()?,
                attempt_timeout_ms: natural(self.attempt_timeout_ms)
                    .map_err(|_| corrupt("attempt_timeout_ms"))?,
                cooling: parse_cooling(self.cooling).map_err(|_| corrupt("cooling"))?,
            },
            detected_formats: self
                .detected_formats
                .map(parse_formats("detected_formats"))
                .transpose()?,
            last_error,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        })
    }
}
