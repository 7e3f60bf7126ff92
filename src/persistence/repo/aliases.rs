//! The aliases that the API has made.

use diesel::prelude::*;

use crate::{
    domain::{pattern::NamePattern, route::Alias, time::Timestamp},
    persistence::{
        Loaded,
        connection::{DbConnection, on_backend},
        rows::AliasRow,
        schema::model_aliases,
    },
};

/// All aliases, by name.
pub fn load(conn: &mut DbConnection) -> QueryResult<Loaded<Alias>> {
    let rows: Vec<AliasRow> =
        model_aliases::table.order(model_aliases::name).select(AliasRow::as_select()).load(conn)?;
    Ok(rows.into_iter().map(Alias::try_from).collect())
}

/// Makes an alias, or writes it over the one of the same name.
pub fn save(conn: &mut DbConnection, alias: &Alias, now: Timestamp) -> QueryResult<()> {
    let row = AliasRow::new(alias, now);
    on_backend!(conn, |conn| {
        diesel::insert_into(model_aliases::table)
            .values(&row)
            .on_conflict(model_aliases::name)
            .do_update()
            .set(&row)
            .execute(conn)
    })?;
    Ok(())
}

/// Deletes an alias. Says whether it was there.
pub fn delete(conn: &mut DbConnection, name: &NamePattern) -> QueryResult<bool> {
    let deleted = diesel::delete(model_aliases::table.find(name.as_str())).execute(conn)?;
    Ok(deleted > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::provider::Origin,
        persistence::{Corrupt, testing::on_every_database},
    };

    const MADE: Timestamp = Timestamp::from_millis(7);
    const CHANGED: Timestamp = Timestamp::from_millis(9);

    fn alias(name: &str, model: &str) -> Alias {
        let parse = |text| NamePattern::parse(text).unwrap();
        Alias { name: parse(name), model: parse(model), origin: Origin::Api }
    }

    #[test]
    fn aliases_read_back_as_they_were_saved_by_name() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let (first, last) = (alias("best", "a/'b' é"), alias("vendor/*-latest", "*"));
            save(&mut conn, &last, MADE).unwrap();
            save(&mut conn, &first, MADE).unwrap();
            let loaded = load(&mut conn).unwrap();
            assert_eq!((loaded.rows, loaded.unreadable), (vec![first, last], Vec::new()));
        });
    }

    #[test]
    fn saving_again_changes_all_but_the_time_it_was_made() {
        on_every_database(|database| {
            let mut conn = database.conn();
            save(&mut conn, &alias("best", "a"), MADE).unwrap();
            save(&mut conn, &alias("best", "b"), CHANGED).unwrap();
            assert_eq!(load(&mut conn).unwrap().rows, [alias("best", "b")]);
            let times = (model_aliases::created_at, model_aliases::updated_at);
            let read: (i64, i64) = model_aliases::table.select(times).first(&mut *conn).unwrap();
            assert_eq!(read, (7, 9));
        });
    }

    #[test]
    fn only_the_named_alias_is_deleted() {
        on_every_database(|database| {
            let mut conn = database.conn();
            for name in ["best", "best*"] {
                save(&mut conn, &alias(name, "a"), MADE).unwrap();
            }
            let name = NamePattern::parse("best*").unwrap();
            assert!(delete(&mut conn, &name).unwrap());
            assert!(!delete(&mut conn, &name).unwrap());
            assert_eq!(load(&mut conn).unwrap().rows, [alias("best", "a")]);
        });
    }

    #[test]
    fn a_value_nobody_understands_is_named_and_keeps_nobody_from_the_others() {
        on_every_database(|database| {
            let mut conn = database.conn();
            save(&mut conn, &alias("sound", "a"), MADE).unwrap();
            save(&mut conn, &alias("broken", "a"), MADE).unwrap();
            let spoil = "UPDATE model_aliases SET model = '**' WHERE name = 'broken'";
            diesel::sql_query(spoil).execute(&mut *conn).unwrap();
            let loaded = load(&mut conn).unwrap();
            let expected =
                Corrupt { table: "model_aliases", row: "broken".into(), column: "model" };
            assert_eq!(loaded.unreadable, [expected]);
            assert_eq!(loaded.rows, [alias("sound", "a")]);
        });
    }
}
