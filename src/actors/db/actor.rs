//! The shell: takes a query, runs it on a connection, and outlives its panic.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use actix::{Actor, ActorContext as _, Handler, Message, SyncContext};
use tokio::sync::OwnedSemaphorePermit;

use super::{DbError, OnRestart, patience::Patience, turn::Turn};
use crate::persistence::connection::{DbConnection, Pool, abandon_transactions, set_patience};

/// What a query is: anything done with a connection.
pub type Job<T> = Box<dyn FnOnce(&mut DbConnection) -> Result<T, DbError> + Send>;

/// Runs queries. There is one per thread; they share one queue and one pool.
pub struct Db {
    pub pool: Pool,
    pub on_restart: OnRestart,
}

impl Actor for Db {
    type Context = SyncContext<Self>;
}

/// Runs one query, unless its time is over before it begins. Replies what the query gives.
#[derive(Message)]
#[rtype(result = "Result<T, DbError>")]
pub struct Run<T: Send + 'static> {
    pub job: Job<T>,
    pub turn: Arc<Turn>,
    pub patience: Patience,
    /// When the query must be over.
    pub until: Instant,
    /// Given back when the query is done, or dropped because nobody waits for it any more.
    pub _place: OwnedSemaphorePermit,
}

impl<T: Send + 'static> Handler<Run<T>> for Db {
    type Result = Result<T, DbError>;

    fn handle(&mut self, run: Run<T>, ctx: &mut SyncContext<Self>) -> Self::Result {
        let left = run.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(DbError::Late);
        }
        let got = self.pool.get_timeout(run.patience.for_a_connection(left));
        let mut conn = got.map_err(|error| DbError::Connection(error.to_string()))?;
        let left = run.until.saturating_duration_since(Instant::now());
        if left.is_zero() || !run.turn.begin() {
            return Err(DbError::Late);
        }
        // Safe to go on with: what is left of the connection is its open transactions, and those
        // are rolled back.
        catch_unwind(AssertUnwindSafe(|| {
            set_patience(&mut conn, run.patience.for_a_query(left))?;
            (run.job)(&mut conn)
        }))
        .unwrap_or_else(|_| {
            abandon_transactions(&mut conn);
            ctx.stop();
            (self.on_restart)("db");
            Err(DbError::Panicked)
        })
    }
}
