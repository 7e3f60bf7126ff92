//! What users have set for providers.

use diesel::prelude::*;

use crate::{
    domain::id::ProviderId,
    persistence::{
        connection::{DbConnection, on_backend},
        rows::ProviderRow,
        schema::{cooldowns, credentials, providers},
    },
};

/// All rows, by id, with their headers sealed.
pub fn load(conn: &mut DbConnection) -> QueryResult<Vec<ProviderRow>> {
    providers::table.order(providers::id).select(ProviderRow::as_select()).load(conn)
}

/// Creates or changes a row. The headers that are stored stay: see [`replace_headers`].
pub fn save(conn: &mut DbConnection, row: &ProviderRow) -> QueryResult<()> {
    on_backend!(conn, |conn| {
        diesel::insert_into(providers::table)
            .values(row)
            .on_conflict(providers::id)
            .do_update()
            .set(row)
            .execute(conn)
    })?;
    Ok(())
}

/// The sealed headers of a provider, when it has a row and the row has some.
pub fn find_headers(conn: &mut DbConnection, id: &ProviderId) -> QueryResult<Option<String>> {
    let stored = providers::table.find(id.as_str()).select(providers::headers_sealed);
    Ok(stored.first(conn).optional()?.flatten())
}

/// Writes other headers over the stored ones, readable or not.
pub fn replace_headers(
    conn: &mut DbConnection,
    id: &ProviderId,
    sealed: Option<&str>,
) -> QueryResult<()> {
    diesel::update(providers::table.find(id.as_str()))
        .set(providers::headers_sealed.eq(sealed))
        .execute(conn)?;
    Ok(())
}

/// Deletes a provider's row, its credentials and its cooldowns. Says whether there was a row.
pub fn delete(conn: &mut DbConnection, id: &ProviderId) -> QueryResult<bool> {
    let id = id.as_str();
    conn.transaction(|conn| {
        diesel::delete(credentials::table.filter(credentials::provider_id.eq(id))).execute(conn)?;
        diesel::delete(cooldowns::table.filter(cooldowns::provider_id.eq(id))).execute(conn)?;
        let deleted = diesel::delete(providers::table.find(id)).execute(conn)?;
        Ok(deleted > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            cooldown::{Cooldown, CooldownScope},
            cooling::{CoolingRuleSettings, CoolingSettings},
            failure::FailureClass,
            id::ModelName,
            model::{Capabilities, Capability, ModelKind, ServedModel},
            provider::{ApiFormat, LastError, Location, ProviderSettings, StoredProvider},
            route::CredentialStrategy,
            rule::{FailureRule, RuleAction, RuleText},
            time::Timestamp,
        },
        persistence::{
            Corrupt,
            repo::{self, credentials::tests::credential},
            rows::{CredentialRow, SealedSettings},
            testing::on_every_database,
        },
    };

    fn id(text: &str) -> ProviderId {
        ProviderId::parse(text).unwrap()
    }

    fn provider(text: &str, settings: ProviderSettings) -> StoredProvider {
        let at = Timestamp::from_millis(7);
        let (custom, last_error) = (true, None);
        StoredProvider {
            id: id(text),
            custom,
            settings,
            detected_formats: None,
            last_error,
            created_at: at,
            updated_at: at,
        }
    }

    fn rule(status: u16, matches: &[&str]) -> FailureRule {
        let matches = matches.iter().map(ToString::to_string).collect();
        let contains = vec!["quoted \" text".into()];
        let action = RuleAction::ContinueAndCooldown;
        FailureRule::parse(RuleText { status, contains, matches, action }).unwrap()
    }

    fn full() -> StoredProvider {
        let model = |name| ModelName::parse(name).unwrap();
        let settings = ProviderSettings {
            name: Some("Acme 'quoted' é".into()),
            location: Some(Location::Local),
            base_url: Some("http://127.0.0.1:11434/v1".parse().unwrap()),
            chat_path: Some("/chat/completions".into()),
            api_format: Some(ApiFormat::Cloudcode),
            also_speaks: Some(vec![ApiFormat::Google, ApiFormat::Openai]),
            priority: Some(-3),
            enabled: Some(false),
            models: Some(vec![
                ServedModel {
                    name: model("fast"),
                    upstream_name: Some(model("vendor/fast-1")),
                    kind: Some(ModelKind::Embedding),
                    context_tokens: Some(8_192),
                    output_tokens: Some(4_096),
                    capabilities: Some(Capabilities::NONE.with(Capability::Vision)),
                    auto_rank: Some(7),
                },
                ServedModel::named(model("slow")),
            ]),
            headers: None,
            credential_strategy: Some(CredentialStrategy::FillFirst),
            attempt_timeout_ms: Some(86_400_000),
            cooling: Some(CoolingSettings {
                server: CoolingRuleSettings { failures: Some(1), ..CoolingRuleSettings::default() },
                overload: CoolingRuleSettings {
                    window_ms: Some(1_000),
                    base_ms: Some(100),
                    cap_ms: Some(86_400_000),
                    ..CoolingRuleSettings::default()
                },
            }),
            rules: Some(vec![rule(403, &["^not in your plan"]), rule(500, &[])]),
        };
        let last_error = LastError { message: "is down".into(), at: Timestamp::from_millis(9) };
        StoredProvider {
            detected_formats: Some(vec![ApiFormat::Anthropic, ApiFormat::Responses]),
            last_error: Some(last_error),
            ..provider("acme", settings)
        }
    }

    #[test]
    fn a_provider_reads_back_as_it_was_saved() {
        on_every_database(|database| {
            let mut conn = database.conn();
            for saved in [full(), provider("bare", ProviderSettings::default())] {
                save(&mut conn, &(&saved).into()).unwrap();
                let row = load(&mut conn).unwrap().pop().unwrap();
                let read = row.into_provider(None).unwrap();
                assert_eq!((&read.id, read.custom), (&saved.id, true));
                let (settings, expected) = (read.settings, saved.settings);
                assert_eq!(settings.name, expected.name);
                assert_eq!(settings.location, expected.location);
                assert_eq!(settings.base_url, expected.base_url);
                assert_eq!(settings.chat_path, expected.chat_path);
                assert_eq!(settings.api_format, expected.api_format);
                assert_eq!(settings.also_speaks, expected.also_speaks);
                assert_eq!(settings.priority, expected.priority);
                assert_eq!(settings.enabled, expected.enabled);
                assert_eq!(settings.models, expected.models);
                assert_eq!(settings.credential_strategy, expected.credential_strategy);
                assert_eq!(settings.rules, expected.rules);
                assert_eq!(settings.attempt_timeout_ms, expected.attempt_timeout_ms);
                assert_eq!(settings.cooling, expected.cooling);
                assert_eq!(read.detected_formats, saved.detected_formats);
                assert_eq!(read.last_error, saved.last_error);
                assert_eq!(
                    (read.created_at, read.updated_at),
                    (saved.created_at, saved.updated_at)
                );
            }
        });
    }

    #[test]
    fn saving_again_changes_all_but_the_headers_and_the_time_it_was_created() {
        on_every_database(|database| {
            let mut conn = database.conn();
            save(&mut conn, &(&full()).into()).unwrap();
            replace_headers(&mut conn, &id("acme"), Some("v1.sealed")).unwrap();
            let later = Timestamp::from_millis(99);
            let bare = provider("acme", ProviderSettings::default());
            let bare = StoredProvider { created_at: later, updated_at: later, ..bare };
            save(&mut conn, &(&bare).into()).unwrap();

            let row = load(&mut conn).unwrap().remove(0);
            assert_eq!(row.headers_sealed.as_deref(), Some("v1.sealed"));
            let read = row.into_provider(None).unwrap();
            assert_eq!((read.settings.name, read.settings.models), (None, None));
            assert_eq!((read.detected_formats, read.last_error), (None, None));
            assert_eq!((read.created_at.as_millis(), read.updated_at.as_millis()), (7, 99));
        });
    }

    #[test]
    fn models_of_which_only_the_names_were_stored_read_back() {
        on_every_database(|database| {
            let mut conn = database.conn();
            save(&mut conn, &(&full()).into()).unwrap();
            let stored = r#"[{"name":"fast","upstream_name":"vendor/fast-1"},{"name":"slow"}]"#;
            let update = format!("UPDATE providers SET models = '{stored}'");
            diesel::sql_query(update).execute(&mut *conn).unwrap();
            let read = load(&mut conn).unwrap().remove(0).into_provider(None).unwrap();
            let model = |name| ModelName::parse(name).unwrap();
            let fast = ServedModel {
                upstream_name: Some(model("vendor/fast-1")),
                ..ServedModel::named(model("fast"))
            };
            let expected = vec![fast, ServedModel::named(model("slow"))];
            assert_eq!(read.settings.models, Some(expected));
        });
    }

    #[test]
    fn headers_are_replaced_and_removed_on_their_own() {
        on_every_database(|database| {
            let mut conn = database.conn();
            save(&mut conn, &(&full()).into()).unwrap();
            assert_eq!(find_headers(&mut conn, &id("acme")).unwrap(), None);
            replace_headers(&mut conn, &id("acme"), Some("v1.sealed")).unwrap();
            assert_eq!(find_headers(&mut conn, &id("acme")).unwrap().unwrap(), "v1.sealed");
            replace_headers(&mut conn, &id("acme"), None).unwrap();
            assert_eq!(find_headers(&mut conn, &id("acme")).unwrap(), None);
            assert_eq!(find_headers(&mut conn, &id("nobody")).unwrap(), None);
        });
    }

    #[test]
    fn a_deleted_provider_takes_its_credentials_and_cooldowns_with_it() {
        on_every_database(|database| {
            let mut conn = database.conn();
            for name in ["acme", "other"] {
                save(&mut conn, &(&provider(name, ProviderSettings::default())).into()).unwrap();
                let key = credential(name, name, "f1");
                let row = CredentialRow::new(&key, "s".into(), SealedSettings::default());
                repo::credentials::insert(&mut conn, &row).unwrap();
                let cooldown = Cooldown {
                    scope: CooldownScope::Provider(id(name)),
                    cause: FailureClass::Server,
                    status: None,
                    started_at: Timestamp::from_millis(1),
                    until: Timestamp::from_millis(2),
                    strikes: 1,
                };
                repo::cooldowns::save(&mut conn, &cooldown).unwrap();
            }
            assert!(delete(&mut conn, &id("acme")).unwrap());
            assert!(!delete(&mut conn, &id("acme")).unwrap());
            let left = load(&mut conn).unwrap();
            assert_eq!(left.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["other"]);
            let left = repo::credentials::load(&mut conn).unwrap();
            assert_eq!(left.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["other"]);
            let left = repo::cooldowns::load(&mut conn).unwrap().rows;
            assert_eq!(left.len(), 1);
            assert_eq!(left[0].scope.provider(), &id("other"));
        });
    }

    #[test]
    fn a_value_nobody_understands_is_named_by_table_row_and_column() {
        on_every_database(|database| {
            let mut conn = database.conn();
            for (column, value) in [
                ("location", "'moon'"),
                ("api_format", "'Openai'"),
                ("base_url", "'nowhere'"),
                ("models", "'[{}]'"),
                ("credential_strategy", "'RoundRobin'"),
                ("also_speaks", r#"'["Openai"]'"#),
                ("detected_formats", "'{}'"),
                ("rules", r#"'[{"status":204,"action":"stop"}]'"#),
                ("attempt_timeout_ms", "-1"),
                ("cooling", r#"'{"server":{"failures":-1}}'"#),
                ("last_error_at", "NULL"),
            ] {
                save(&mut conn, &(&full()).into()).unwrap();
                let spoil = format!("UPDATE providers SET {column} = {value}");
                diesel::sql_query(spoil).execute(&mut *conn).unwrap();
                let read = load(&mut conn).unwrap().remove(0).into_provider(None);
                let expected = Corrupt { table: "providers", row: "acme".into(), column };
                assert_eq!(read.err(), Some(expected));
            }
        });
    }
}
