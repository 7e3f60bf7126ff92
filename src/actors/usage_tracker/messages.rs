//! What can be asked of the UsageTracker.

use std::{path::PathBuf, sync::Arc};

use actix::Message;
use thiserror::Error;

use crate::{
    actors::db::DbError,
    domain::usage::{UsageEntry, UsageRange, UsageTotals},
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

/// A fact: entries that are in the journal already.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct UsageJournaled(pub Vec<UsageEntry>);

/// A fact: a worker has begun another journal file, and every entry of this one has been sent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct JournalClosed(pub PathBuf);

/// Commits an entry that could not be journaled. The reply comes after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), LedgerError>")]
pub struct CommitUsage(pub UsageEntry);

/// Asks for totals by provider and model. What is pending is committed first, so that an answer
/// that a client has seen is in the totals.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<UsageTotals>, LedgerError>")]
pub struct SummarizeUsage(pub UsageRange);

/// Commits what is pending. `Err`: not all of it could be.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), LedgerError>")]
pub struct FlushUsage;

/// Commits what is pending and deletes the journal, to which nobody writes any more. What may hold
/// more than was committed is left to the next start. `Err`: all of it is.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), LedgerError>")]
pub struct CloseLedger;
