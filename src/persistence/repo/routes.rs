//! The routes that the API has made.

use diesel::prelude::*;

use crate::{
    domain::{pattern::NamePattern, route::Route, time::Timestamp},
    persistence::{
        Loaded,
        connection::{DbConnection, on_backend},
        rows::RouteRow,
        schema::routes,
    },
};

/// All routes, by name.
pub fn load(conn: &mut DbConnection) -> QueryResult<Loaded<Route>> {
    let rows: Vec<RouteRow> =
        routes::table.order(routes::name).select(RouteRow::as_select()).load(conn)?;
    Ok(rows.into_iter().map(Route::try_from).collect())
}

/// Makes a route, or writes it over the one of the same name.
pub fn save(conn: &mut DbConnection, route: &Route, now: Timestamp) -> QueryResult<()> {
    let row = RouteRow::new(route, now);
    on_backend!(conn, |conn| {
        diesel::insert_into(routes::table)
            .values(&row)
            .on_conflict(routes::name)
            .do_update()
            .set(&row)
            .execute(conn)
    })?;
    Ok(())
}

/// Deletes a route. Says whether it was there.
pub fn delete(conn: &mut DbConnection, name: &NamePattern) -> QueryResult<bool> {
    let deleted = diesel::delete(routes::table.find(name.as_str())).execute(conn)?;
    Ok(deleted > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            id::{ModelName, ProviderId},
            provider::Origin,
            route::{RouteTarget, Strategy},
        },
        persistence::{Corrupt, testing::on_every_database},
    };

    const MADE: Timestamp = Timestamp::from_millis(7);
    const CHANGED: Timestamp = Timestamp::from_millis(9);

    fn bare(name: &str) -> Route {
        Route {
            name: NamePattern::parse(name).unwrap(),
            targets: Vec::new(),
            strategy: None,
            fallbacks: Vec::new(),
            hedge: true,
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
            ..bare(name)
        }
    }

    fn times(conn: &mut DbConnection) -> (i64, i64) {
        routes::table.select((routes::created_at, routes::updated_at)).first(conn).unwrap()
    }

    #[test]
    fn routes_read_back_as_they_were_saved_by_name() {
        on_every_database(|database| {
            let mut conn = database.conn();
            save(&mut conn, &bare("vendor/*"), MADE).unwrap();
            save(&mut conn, &full("smart"), MADE).unwrap();
            let loaded = load(&mut conn).unwrap();
            assert_eq!(loaded.rows, [full("smart"), bare("vendor/*")]);
            assert_eq!(loaded.unreadable, []);
        });
    }

    #[test]
    fn saving_again_changes_all_but_the_time_it_was_made() {
        on_every_database(|database| {
            let mut conn = database.conn();
            save(&mut conn, &full("smart"), MADE).unwrap();
            save(&mut conn, &bare("smart"), CHANGED).unwrap();
            assert_eq!(load(&mut conn).unwrap().rows, [bare("smart")]);
            assert_eq!(times(&mut conn), (7, 9));
        });
    }

    #[test]
    fn only_the_named_route_is_deleted() {
        on_every_database(|database| {
            let mut conn = database.conn();
            for name in ["smart", "smart*"] {
                save(&mut conn, &bare(name), MADE).unwrap();
            }
            let name = NamePattern::parse("smart*").unwrap();
            assert!(delete(&mut conn, &name).unwrap());
            assert!(!delete(&mut conn, &name).unwrap());
            assert_eq!(load(&mut conn).unwrap().rows, [bare("smart")]);
        });
    }

    #[test]
    fn a_value_nobody_understands_is_named_and_keeps_nobody_from_the_others() {
        on_every_database(|database| {
            let mut conn = database.conn();
            save(&mut conn, &bare("sound"), MADE).unwrap();
            for (column, value) in [
                ("targets", "[{\"weight\":-1}]"),
                ("targets", "[{\"unknown\":1}]"),
                ("strategy", "by mood"),
                ("fallbacks", "[\"\"]"),
            ] {
                save(&mut conn, &full("broken"), MADE).unwrap();
                let spoil = format!("UPDATE routes SET {column} = '{value}' WHERE name = 'broken'");
                diesel::sql_query(spoil).execute(&mut *conn).unwrap();
                let loaded = load(&mut conn).unwrap();
                let expected = Corrupt { table: "routes", row: "broken".into(), column };
                assert_eq!(loaded.unreadable, [expected]);
                assert_eq!(loaded.rows, [bare("sound")]);
            }
        });
    }
}
