//! The ledger: every request leaves one entry, and no entry of a complete answer is ever lost.
//!
//! # How nothing is lost
//!
//! An entry goes first into a **journal**, a file that each worker thread appends to with one
//! `write` before it releases the last bytes of an answer. What `write` has taken is the
//! operating system's: it survives `kill -9` of this process. From there the UsageTracker brings
//! entries into the database in groups, where the request id makes a second insert harmless; a
//! journal file is deleted once all of it is in the database. At start, what files are left are
//! read again; one that cannot be read whole gives what can be read, and is set aside.
//!
//! The other way, to hold the last bytes back until a database transaction has committed, would
//! add the wait for a commit to every answer and couple every stream to the database's health. The
//! journal costs one small write per request and lets the database be away for a while. It is the
//! fallback, though: when the journal cannot be written (a full disk), the entry is committed to
//! the database before the last bytes go, and when that fails too, the answer ends as an error. The entry
//! of that error, as of every request that got no whole answer, waits in memory until the database takes it.
//!
//! The journal is not forced to the disk for each entry: it is proof against the death of the
//! process, not of the machine. After a loss of power, up to a few seconds of entries may be gone.

mod actor;
mod disk;
mod journal;
mod messages;
mod pending;
mod recovery;
mod request_log;
mod retention;

pub use actor::{UsageSettings, UsageTracker, UsageTrackerRecipients};
pub use disk::{Disk, DiskError};
pub use journal::{Journal, JournalError, JournalWriter};
pub use messages::*;
