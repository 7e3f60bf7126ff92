//! What the API has made under a name: routes and aliases, each in a table of their own.

use diesel::prelude::*;

use crate::{
    domain::{
        pattern::NamePattern,
        route::{Alias, Route},
        time::Timestamp,
    },
    persistence::{
        Loaded,
        connection::{DbConnection, on_backend},
        rows::{AliasRow, RouteRow},
        schema::{model_aliases, routes},
    },
};

/// What is stored in a row of its own under its name.
pub trait StoredByName: Clone + Send + Sized + 'static {
    const TABLE: &'static str;

    /// All of them, by name.
    fn load(conn: &mut DbConnection) -> QueryResult<Loaded<Self>>;

    /// Makes it, or writes it over the one of the same name.
    fn save(&self, conn: &mut DbConnection, now: Timestamp) -> QueryResult<()>;

    /// Deletes the one of this name. Says whether it was there.
    fn delete(conn: &mut DbConnection, name: &NamePattern) -> QueryResult<bool>;
}

/// Diesel's tables are modules, which no type parameter stands for.
macro_rules! stored_by_name {
    ($entry:ty, $row:ty, $table:ident) => {
        impl StoredByName for $entry {
            const TABLE: &'static str = stringify!($table);

            fn load(conn: &mut DbConnection) -> QueryResult<Loaded<Self>> {
                let rows: Vec<$row> =
                    $table::table.order($table::name).select(<$row>::as_select()).load(conn)?;
                Ok(rows.into_iter().map(Self::try_from).collect())
            }

            fn save(&self, conn: &mut DbConnection, now: Timestamp) -> QueryResult<()> {
                let row = <$row>::new(self, now);
                on_backend!(conn, |conn| {
                    diesel::insert_into($table::table)
                        .values(&row)
                        .on_conflict($table::name)
                        .do_update()
                        .set(&row)
                        .execute(conn)
                })?;
                Ok(())
            }

            fn delete(conn: &mut DbConnection, name: &NamePattern) -> QueryResult<bool> {
                let deleted = diesel::delete($table::table.find(name.as_str())).execute(conn)?;
                Ok(deleted > 0)
            }
        }
    };
}

stored_by_name!(Route, RouteRow, routes);
stored_by_name!(Alias, AliasRow, model_aliases);

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;
    use crate::{
        domain::{
            cooling::{CoolingRuleSettings, CoolingSettings},
            id::{ModelName, ProviderId},
            provider::Origin,
            route::{Named, RouteTarget, Strategy},
        },
        persistence::{Corrupt, testing::on_every_database},
    };

    const MADE: Timestamp = Timestamp::from_millis(7);
    const CHANGED: Timestamp = Timestamp::from_millis(9);

    fn pattern(text: &str) -> NamePattern {
        NamePattern::parse(text).unwrap()
    }

    fn alias(name: &str, model: &str) -> Alias {
        Alias { name: pattern(name), model: pattern(model), origin: Origin::Api }
    }

    fn bare(name: &str) -> Route {
        Route {
            name: pattern(name),
            targets: Vec::new(),
            strategy: None,
            fallbacks: Vec::new(),
            hedge: true,
            across_tiers: false,
            attempt_timeout_ms: None,
            cooling: None,
            origin: Origin::Api,
        }
    }

    fn full(name: &str) -> Route {
        let model = |name| ModelName::parse(name).unwrap();
        let provider = ProviderId::parse("acme").unwrap();
        Route {
            targets: vec![
                RouteTarget { provider: Some(provider), model: Some(model("a/'b' é")), weight: 3 },
                RouteTarget { provider: None, model: None, weight: 0 },
            ],
            strategy: Some(Strategy::RoundRobin),
            fallbacks: vec![model("x"), model("y")],
            hedge: false,
            across_tiers: true,
            attempt_timeout_ms: Some(45_000),
            cooling: Some(CoolingSettings {
                server: CoolingRuleSettings { failures: Some(0), ..CoolingRuleSettings::default() },
                ..CoolingSettings::default()
            }),
            ..bare(name)
        }
    }

    /// `entries` are sorted by name.
    fn assert_read_back<T: StoredByName + PartialEq + Debug>(entries: &[T]) {
        on_every_database(|database| {
            let mut conn = database.conn();
            for entry in entries.iter().rev() {
                entry.save(&mut conn, MADE).unwrap();
            }
            let loaded = T::load(&mut conn).unwrap();
            assert_eq!((loaded.rows.as_slice(), loaded.unreadable), (entries, Vec::new()));
        });
    }

    /// `before` and `after` have the same name.
    fn assert_replaced<T: StoredByName + PartialEq + Debug>(
        before: &T,
        after: &T,
        times: impl Fn(&mut DbConnection) -> QueryResult<(i64, i64)>,
    ) {
        on_every_database(|database| {
            let mut conn = database.conn();
            before.save(&mut conn, MADE).unwrap();
            after.save(&mut conn, CHANGED).unwrap();
            assert_eq!(T::load(&mut conn).unwrap().rows, std::slice::from_ref(after));
            assert_eq!(times(&mut conn), Ok((7, 9)));
        });
    }

    fn assert_deleted_alone<T: StoredByName + Named + PartialEq + Debug>(gone: &T, kept: &T) {
        on_every_database(|database| {
            let mut conn = database.conn();
            for entry in [gone, kept] {
                entry.save(&mut conn, MADE).unwrap();
            }
            assert!(T::delete(&mut conn, gone.name()).unwrap());
            assert!(!T::delete(&mut conn, gone.name()).unwrap());
            assert_eq!(T::load(&mut conn).unwrap().rows, std::slice::from_ref(kept));
        });
    }

    /// Each value is put in its column in turn. `broken` has that name.
    fn assert_named_when_spoilt<T: StoredByName + PartialEq + Debug>(
        sound: &T,
        broken: &T,
        spoils: &[(&'static str, &str)],
    ) {
        on_every_database(|database| {
            let (mut conn, table) = (database.conn(), T::TABLE);
            sound.save(&mut conn, MADE).unwrap();
            for (column, value) in spoils {
                broken.save(&mut conn, MADE).unwrap();
                let spoil =
                    format!("UPDATE {table} SET {column} = '{value}' WHERE name = 'broken'");
                diesel::sql_query(spoil).execute(&mut *conn).unwrap();
                let loaded = T::load(&mut conn).unwrap();
                assert_eq!(loaded.unreadable, [Corrupt { table, row: "broken".into(), column }]);
                assert_eq!(loaded.rows, std::slice::from_ref(sound));
            }
        });
    }

    #[test]
    fn they_read_back_as_they_were_saved_by_name() {
        assert_read_back(&[full("smart"), bare("vendor/*")]);
        assert_read_back(&[alias("best", "a/'b' é"), alias("vendor/*-latest", "*")]);
    }

    #[test]
    fn saving_again_changes_all_but_the_time_it_was_made() {
        assert_replaced(&full("smart"), &bare("smart"), |conn| {
            routes::table.select((routes::created_at, routes::updated_at)).first(conn)
        });
        assert_replaced(&alias("best", "a"), &alias("best", "b"), |conn| {
            let times = (model_aliases::created_at, model_aliases::updated_at);
            model_aliases::table.select(times).first(conn)
        });
    }

    #[test]
    fn only_the_named_one_is_deleted() {
        assert_deleted_alone(&bare("smart*"), &bare("smart"));
        assert_deleted_alone(&alias("best*", "a"), &alias("best", "a"));
    }

    #[test]
    fn a_value_nobody_understands_is_named_and_keeps_nobody_from_the_others() {
        let spoils = [
            ("targets", "[{\"weight\":-1}]"),
            ("targets", "[{\"unknown\":1}]"),
            ("strategy", "by mood"),
            ("fallbacks", "[\"\"]"),
        ];
        assert_named_when_spoilt(&bare("sound"), &full("broken"), &spoils);
        let spoils = [("model", "**")];
        assert_named_when_spoilt(&alias("sound", "a"), &alias("broken", "a"), &spoils);
    }
}
