//! What a running pool leaves at a PostgreSQL server, so that no pool with another master key begins to
//! work on the same database: each would lock the secrets of the other out.

use diesel::{prelude::*, r2d2::ManageConnection as _, sql_query, sql_types::BigInt};
use thiserror::Error;

use super::connection::{Connector, DbConnection};

/// The class of our locks. Any number, as long as no other program picks it: "pool" in ASCII.
const CLASS: i32 = i32::from_be_bytes(*b"pool");

/// Why a pool must not work on the database, or cannot know whether it may.
#[derive(Debug, Error)]
pub enum PresenceError {
    #[error(
        "another providerpool, with another master key, uses the database {database}: stop it, or give this \
         one its master key or a database of its own"
    )]
    OtherMasterKey { database: String },
    #[error("it cannot be seen who uses the database {database}: {reason}")]
    Unknown { database: String, reason: String },
}

/// Seen by others as long as it is not dropped, and its connection not lost.
pub struct Presence {
    connection: DbConnection,
}

impl Drop for Presence {
    /// At once: the server needs a moment to see that a connection has gone. One that is lost has none left.
    fn drop(&mut self) {
        let _ = sql_query("SELECT pg_advisory_unlock_all()").execute(&mut self.connection);
    }
}

#[derive(QueryableByName)]
struct Others {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Shows that a pool with this master key uses the database. `None`: a file has a lock of its own.
///
/// Errors: [`PresenceError`].
pub fn announce(
    connector: &Connector,
    master_key_id: &str,
) -> Result<Option<Presence>, PresenceError> {
    if !connector.is_server() {
        return Ok(None);
    }
    let database = connector.to_string();
    let unknown = |reason: String| PresenceError::Unknown { database: database.clone(), reason };
    let key =
        u32::from_str_radix(master_key_id, 16).expect("ids of master keys are eight hex digits");
    let connection = connector.connect().map_err(|error| unknown(error.to_string()))?;
    let mut presence = Presence { connection };
    let connection = &mut presence.connection;
    // Shown before it looks: of two that start at once, neither is overlooked.
    let show = format!("SELECT pg_advisory_lock_shared({CLASS}, {})", key.cast_signed());
    let look = format!(
        "SELECT count(*) AS count FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND classid::bigint = {CLASS} AND objid::bigint <> {key}"
    );
    sql_query(show).execute(connection).map_err(|error| unknown(error.to_string()))?;
    let others: Others =
        sql_query(look).get_result(connection).map_err(|error| unknown(error.to_string()))?;
    if others.count > 0 {
        return Err(PresenceError::OtherMasterKey { database });
    }
    Ok(Some(presence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::testing::on_every_database;

    #[test]
    fn on_a_server_there_is_room_for_pools_of_one_master_key() {
        on_every_database(|database| {
            let connector = &database.connector;
            let pools = [(); 2].map(|()| announce(connector, "fedcba98").unwrap());
            assert!(pools.iter().all(|pool| pool.is_some() == connector.is_server()));
            if connector.is_server() {
                let refused = announce(connector, "0000000a").err().unwrap().to_string();
                assert!(refused.contains("with another master key"), "{refused}");
            }
            drop(pools);
            assert!(announce(connector, "0000000a").is_ok(), "who has gone is still seen");
        });
    }
}
