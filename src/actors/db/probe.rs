//! A sign of life of the database, over a connection and a thread that nothing else uses.

use actix::{Actor, Handler, Message, SyncContext};
use diesel::r2d2::{Error, ManageConnection as _};

use super::{DbError, patience::Patience};
use crate::persistence::connection::{Connector, DbConnection, ping, set_patience};

/// Asks the database whether it is there. However long its queue is, this does not stand in it.
pub struct Probe {
    pub connector: Connector,
    /// Made when it is needed, and dropped when it fails.
    pub connection: Option<DbConnection>,
}

impl Actor for Probe {
    type Context = SyncContext<Self>;
}

/// Asks for a sign of life.
#[derive(Message)]
#[rtype(result = "Result<(), DbError>")]
pub struct Ping;

impl Probe {
    fn ping(&mut self) -> Result<(), DbError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connected = self.connector.connect();
                let connection = none.insert(connected.map_err(|error| match error {
                    Error::QueryError(error) => error.into(),
                    error @ Error::ConnectionError(_) => DbError::Connection(error.to_string()),
                })?);
                set_patience(connection, Patience::Prompt.limit())?;
                connection
            }
        };
        Ok(ping(connection)?)
    }
}

impl Handler<Ping> for Probe {
    type Result = Result<(), DbError>;

    fn handle(&mut self, _: Ping, _: &mut SyncContext<Self>) -> Self::Result {
        let answered = self.ping();
        if answered.is_err() {
            self.connection = None;
        }
        answered
    }
}
