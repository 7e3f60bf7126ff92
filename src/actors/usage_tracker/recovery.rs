//! Bringing journal files into the database: one that cannot be read keeps nobody from the others.

use std::path::{Path, PathBuf};

use super::{
    journal::{Journal, JournalContent, JournalError},
    messages::RecoveryError,
    pending::MAX_BATCH,
};
use crate::actors::db::DbHandle;

/// What came of the files.
#[derive(Debug, Default)]
pub struct Recovered {
    /// How many entries were not in the database before.
    pub entries: usize,
    /// Files of which not everything went in, and why. They are kept, under another name if that could be.
    pub damaged: Vec<DamagedFile>,
}

/// A journal file that holds what is no entry, or cannot be read at all.
#[derive(Debug)]
pub struct DamagedFile {
    /// Where it is now.
    pub path: PathBuf,
    pub reason: String,
}

/// Brings in all files, and deletes those that nobody writes to any more. One that is damaged is set
/// aside once all that can be read of it is in.
///
/// Errors: the folder cannot be read, or the database does not take entries.
pub async fn recover_files(
    journal: &Journal,
    db: &DbHandle,
    is_written: impl Fn(&Journal, &Path) -> bool,
) -> Result<Recovered, RecoveryError> {
    let mut recovered = Recovered::default();
    for path in journal.files()? {
        let read_path: PathBuf = path.clone();
        let read = tokio::task::spawn_blocking(move || Journal::read(&read_path)).await;
        let (content, unreadable) = match read.map_err(|_| RecoveryError::BrokenOff)? {
            Ok(content) => (content, None),
            Err(error) if error.is_gone() => continue,
            Err(error) => (JournalContent::default(), Some(error.source.to_string())),
        };
        for batch in content.entries.chunks(MAX_BATCH) {
            recovered.entries += db.append_usage(batch.to_vec()).await?;
        }
        if is_written(journal, &path) {
            continue;
        }
        let torn = (content.damaged > 0).then(|| format!("{} damaged lines", content.damaged));
        match unreadable.or(torn) {
            Some(reason) => recovered.damaged.push(set_aside(path, reason)),
            None => delete(&path),
        }
    }
    Ok(recovered)
}

fn set_aside(path: PathBuf, reason: String) -> DamagedFile {
    match Journal::set_aside(&path) {
        Ok(aside) => DamagedFile { path: aside, reason },
        Err(JournalError { source, .. }) => {
            DamagedFile { path, reason: format!("{reason}; and it cannot be renamed: {source}") }
        }
    }
}

/// Deletes a file that is not needed any more.
pub fn delete(file: &Path) {
    if let Err(error) = Journal::delete(file) {
        tracing::warn!(%error, "a journal file is not needed any more but could not be deleted");
    }
}
