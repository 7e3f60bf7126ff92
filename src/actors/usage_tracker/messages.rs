//! What can be asked of the UsageTracker.

use std::{path::PathBuf, sync::Arc};

use actix::Message;
use thiserror::Error;

use super::journal::JournalError;
use crate::{
    actors::db::DbError,
    domain::{
        event::Fact,
        usage::{UsageEntry, UsageQuestion, UsageTotals},
    },
};

/// The database does not take or give entries. What is in the journal is safe.
#[derive(Debug, Clone, Error)]
#[error("the ledger cannot be reached: {0}")]
pub struct LedgerError(pub Arc<DbError>);

impl From<DbError> for LedgerError {
    fn from(error: DbError) -> Self {
        Self(Arc::new(error))
    }
}

/// What a worker has to tell: entries that are in the journal already, and what has happened
/// besides. The latter is passed on to the event stream, in the order in which it comes: a message
/// more for that would wake this thread once more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct UsageJournaled {
    pub entries: Vec<UsageEntry>,
    pub facts: Vec<Fact>,
}

/// A fact: a worker has begun another journal file, and every entry of this one has been sent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct JournalClosed(pub PathBuf);

/// A fact: an entry that the journal did not take and that nobody waits for. It is committed as soon as
/// the database takes it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct UsageNotJournaled(pub UsageEntry);

/// Commits an entry that could not be journaled. The reply comes after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), LedgerError>")]
pub struct CommitUsage(pub UsageEntry);

/// Asks for a page of totals by provider and model. What is pending is committed first.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<UsageTotals>, LedgerError>")]
pub struct SummarizeUsage(pub UsageQuestion);

/// Commits what is pending. `Err`: not all of it could be.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), LedgerError>")]
pub struct FlushUsage;

/// Brings all that is in the journal, to which nobody writes any more, into the database, and deletes
/// it. `Err`: what is left is brought in at the next start.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), RecoveryError>")]
pub struct CloseLedger;

/// Why not all of the journal could be brought into the database. What is left is safe.
#[derive(Debug, Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the ledger cannot be reached: {0}")]
    Db(#[from] DbError),
    #[error("reading the journal was broken off")]
    BrokenOff,
}
