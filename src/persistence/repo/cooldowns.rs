//! Cooldowns, so that a restart does not forget them.

use diesel::prelude::*;

use crate::{
    domain::cooldown::{Cooldown, CooldownScope},
    persistence::{
        Loaded,
        connection::{DbConnection, on_backend},
        rows::{CooldownRow, scope_key},
        schema::cooldowns,
    },
};

/// Scopes named in one statement. Both databases take many more.
const SCOPES_PER_STATEMENT: usize = 500;

/// All cooldowns, ended ones too, by scope.
pub fn load(conn: &mut DbConnection) -> QueryResult<Loaded<Cooldown>> {
    let rows: Vec<CooldownRow> =
        cooldowns::table.order(cooldowns::scope_key).select(CooldownRow::as_select()).load(conn)?;
    Ok(rows.into_iter().map(Cooldown::try_from).collect())
}

/// Writes the cooldown of a scope over the one that was there, readable or not: it is the newer
/// finding.
pub fn save(conn: &mut DbConnection, cooldown: &Cooldown) -> QueryResult<()> {
    let row = CooldownRow::from(cooldown);
    on_backend!(conn, |conn| {
        diesel::insert_into(cooldowns::table)
            .values(&row)
            .on_conflict(cooldowns::scope_key)
            .do_update()
            .set(&row)
            .execute(conn)
    })?;
    Ok(())
}

/// Deletes the cooldowns of these scopes, all or none. Says how many there were.
pub fn delete(conn: &mut DbConnection, scopes: &[CooldownScope]) -> QueryResult<usize> {
    conn.transaction(|conn| {
        let mut deleted = 0;
        for part in scopes.chunks(SCOPES_PER_STATEMENT) {
            let keys = part.iter().map(scope_key);
            let named = cooldowns::table.filter(cooldowns::scope_key.eq_any(keys));
            deleted += diesel::delete(named).execute(conn)?;
        }
        Ok(deleted)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        domain::{
            failure::FailureClass,
            id::{CredentialId, ModelName, ProviderId},
            time::Timestamp,
        },
        persistence::{Corrupt, testing::on_every_database},
    };

    fn scopes() -> Vec<CooldownScope> {
        let provider = || ProviderId::parse("acme").unwrap();
        let model = || ModelName::parse("vendor/fast").unwrap();
        // The same text as credential and as model must not be taken for each other.
        let credential = || CredentialId::from("vendor/fast");
        vec![
            CooldownScope::CredentialModel(provider(), credential(), model()),
            CooldownScope::Credential(provider(), credential()),
            CooldownScope::ProviderModel(provider(), model()),
            CooldownScope::Provider(provider()),
        ]
    }

    fn cooldown(scope: CooldownScope) -> Cooldown {
        Cooldown {
            scope,
            cause: FailureClass::RateLimit,
            status: Some(429),
            started_at: Timestamp::from_millis(1),
            until: Timestamp::from_millis(2),
            strikes: 1,
        }
    }

    #[test]
    fn each_scope_has_one_cooldown_the_last_that_was_saved() {
        on_every_database(|database| {
            let mut conn = database.conn();
            for scope in scopes() {
                save(&mut conn, &cooldown(scope.clone())).unwrap();
                let until = Timestamp::from_millis(9);
                let later = Cooldown { status: None, until, strikes: 2, ..cooldown(scope) };
                save(&mut conn, &later).unwrap();
            }
            let read = load(&mut conn).unwrap().rows;
            assert_eq!(read.len(), 4);
            let found: BTreeSet<_> = read.iter().map(|read| read.scope.clone()).collect();
            assert_eq!(found, scopes().into_iter().collect());
            for read in read {
                assert_eq!(
                    (read.cause, read.status, read.strikes),
                    (FailureClass::RateLimit, None, 2)
                );
                assert_eq!((read.started_at.as_millis(), read.until.as_millis()), (1, 9));
            }
        });
    }

    #[test]
    fn only_the_named_scopes_are_deleted() {
        on_every_database(|database| {
            let mut conn = database.conn();
            for scope in scopes() {
                save(&mut conn, &cooldown(scope)).unwrap();
            }
            let mut gone = scopes();
            let kept = gone.pop().unwrap();
            assert_eq!(delete(&mut conn, &gone).unwrap(), 3);
            assert_eq!(delete(&mut conn, &gone).unwrap(), 0);
            assert_eq!(delete(&mut conn, &[]).unwrap(), 0);
            assert_eq!(load(&mut conn).unwrap().rows, [cooldown(kept)]);
        });
    }

    #[test]
    fn a_value_nobody_understands_is_named_and_keeps_nobody_from_the_others() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let (other, scope) = (scopes().remove(2), scopes().remove(3));
            save(&mut conn, &cooldown(other)).unwrap();
            for (column, value) in
                [("strikes", "-1"), ("status", "70000"), ("cause", "'bad mood'"), ("model", "''")]
            {
                save(&mut conn, &cooldown(scope.clone())).unwrap();
                let spoil = format!(
                    "UPDATE cooldowns SET {column} = {value} WHERE scope_key = '{}'",
                    scope_key(&scope)
                );
                diesel::sql_query(spoil).execute(&mut *conn).unwrap();
                let expected = Corrupt { table: "cooldowns", row: scope_key(&scope), column };
                let read = load(&mut conn).unwrap();
                assert_eq!(read.unreadable, [expected]);
                assert_eq!(read.rows.len(), 1, "a row that is in order was lost");
            }
        });
    }
}
