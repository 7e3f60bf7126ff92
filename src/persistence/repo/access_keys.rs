//! The keys callers present to us.

use diesel::{
    dsl::{count, count_star, max},
    prelude::*,
};

use crate::{
    domain::{access_key::AccessKey, id::KeyId, time::Timestamp},
    persistence::{Loaded, connection::DbConnection, rows::AccessKeyRow, schema::access_keys},
};

/// All keys, revoked ones too, oldest first.
pub fn load(conn: &mut DbConnection) -> QueryResult<Loaded<AccessKey>> {
    let rows: Vec<AccessKeyRow> = access_keys::table
        .order((access_keys::created_at, access_keys::id))
        .select(AccessKeyRow::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(AccessKey::try_from).collect())
}

/// What changes when a key is made, revoked or forgotten, and costs little to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub struct KeysDigest {
    keys: i64,
    revoked: i64,
    last_made: Option<i64>,
    last_revoked: Option<i64>,
}

pub fn digest(conn: &mut DbConnection) -> QueryResult<KeysDigest> {
    let (made, revoked) = (access_keys::created_at, access_keys::revoked_at);
    access_keys::table.select((count_star(), count(revoked), max(made), max(revoked))).first(conn)
}

/// Adds a key.
///
/// Errors: a unique violation when the id is taken.
pub fn insert(conn: &mut DbConnection, key: &AccessKey) -> QueryResult<()> {
    diesel::insert_into(access_keys::table).values(AccessKeyRow::from(key)).execute(conn)?;
    Ok(())
}

/// Revokes a key for good. Says whether it was there and in force; the first revocation stands.
pub fn revoke(conn: &mut DbConnection, id: &KeyId, at: Timestamp) -> QueryResult<bool> {
    let in_force = access_keys::table.find(id.as_str()).filter(access_keys::revoked_at.is_null());
    let revoked =
        diesel::update(in_force).set(access_keys::revoked_at.eq(at.as_millis())).execute(conn)?;
    Ok(revoked > 0)
}

/// Deletes keys, as if they had never been made.
pub fn delete(conn: &mut DbConnection, ids: &[KeyId]) -> QueryResult<()> {
    let ids = ids.iter().map(KeyId::as_str);
    diesel::delete(access_keys::table.filter(access_keys::id.eq_any(ids))).execute(conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{access_key::Role, id::ModelName},
        persistence::{Corrupt, testing::on_every_database},
    };

    fn key(id: &str) -> AccessKey {
        AccessKey {
            id: id.into(),
            role: Role::Client,
            name: "laptop".into(),
            hash: std::array::from_fn(|i| u8::try_from(i * 8).unwrap()),
            allowed_models: vec![ModelName::parse("vendor/\"fast\"").unwrap()],
            created_at: Timestamp::from_millis(3),
            expires_at: Some(Timestamp::from_millis(7)),
            revoked_at: None,
            master_key_id: Some("5553898d".into()),
        }
    }

    #[test]
    fn a_key_reads_back_as_it_was_added() {
        on_every_database(|database| {
            let mut conn = database.conn();
            insert(&mut conn, &key("k1")).unwrap();
            let read = load(&mut conn).unwrap().rows.remove(0);
            assert!(read == key("k1"));
        });
    }

    #[test]
    fn of_a_key_that_was_deleted_nothing_is_left() {
        on_every_database(|database| {
            let mut conn = database.conn();
            for id in ["k1", "k2", "k3"] {
                insert(&mut conn, &key(id)).unwrap();
            }
            delete(&mut conn, &["k1".into(), "k3".into()]).unwrap();
            let left = load(&mut conn).unwrap().rows;
            assert!(left.len() == 1 && left[0].id == "k2".into());
        });
    }

    #[test]
    fn a_look_sees_what_another_process_has_made_or_revoked() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let mut seen = vec![digest(&mut conn).unwrap()];
            let mut look = |conn: &mut DbConnection| {
                let digest = digest(conn).unwrap();
                assert!(!seen.contains(&digest), "{digest:?} was seen before");
                seen.push(digest);
            };
            let at = Timestamp::from_millis(8);
            insert(&mut conn, &key("k1")).unwrap();
            look(&mut conn);
            insert(&mut conn, &key("k2")).unwrap();
            look(&mut conn);
            assert!(revoke(&mut conn, &"k1".into(), at).unwrap());
            look(&mut conn);
            assert!(revoke(&mut conn, &"k2".into(), at).unwrap());
            look(&mut conn);
            let last = digest(&mut conn).unwrap();
            assert_eq!(digest(&mut conn).unwrap(), last);
        });
    }

    #[test]
    fn a_key_is_revoked_once_and_stays_so() {
        on_every_database(|database| {
            let mut conn = database.conn();
            insert(&mut conn, &key("k1")).unwrap();
            insert(&mut conn, &key("k2")).unwrap();
            let (first, second) = (Timestamp::from_millis(8), Timestamp::from_millis(9));
            assert!(revoke(&mut conn, &"k1".into(), first).unwrap());
            assert!(!revoke(&mut conn, &"k1".into(), second).unwrap());
            assert!(!revoke(&mut conn, &"nobody".into(), first).unwrap());
            let keys = load(&mut conn).unwrap().rows;
            assert_eq!(keys[0].revoked_at, Some(first));
            assert_eq!(keys[1].revoked_at, None);
        });
    }

    #[test]
    fn a_value_nobody_understands_is_named_and_keeps_nobody_from_the_others() {
        on_every_database(|database| {
            let mut conn = database.conn();
            insert(&mut conn, &key("k1")).unwrap();
            insert(&mut conn, &key("k2")).unwrap();
            for (column, value) in [("allowed_models", "[7]"), ("hash", "0g"), ("role", "king")] {
                let spoil = format!("UPDATE access_keys SET {column} = '{value}' WHERE id = 'k1'");
                diesel::sql_query(spoil).execute(&mut *conn).unwrap();
                let expected = Corrupt { table: "access_keys", row: "k1".into(), column };
                let read = load(&mut conn).unwrap();
                assert_eq!(read.unreadable, [expected]);
                assert_eq!(read.rows.len(), 1, "a row that is in order was lost");
            }
        });
    }
}
