//! Whether there is room on the disk for what must be written.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use thiserror::Error;

/// What is written to see whether it can be, in bytes: more than a file system finds room for in a block
/// that is there already.
const PROBE_BYTES: usize = 64 * 1024;

/// The file it is written to, in the folder of the journal.
const PROBE_FILE: &str = "room";

/// Why nothing more can be written, or soon cannot.
#[derive(Debug, Error)]
pub enum DiskError {
    #[error("{path} cannot be written: {source}", path = path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(
        "{path} has {free} bytes left, less than data.min_free_bytes ({limit})",
        path = path.display()
    )]
    Low { path: PathBuf, free: u64, limit: u64 },
    #[error("the database says that it is full")]
    DatabaseFull,
}

/// The folders that are written to, and how much room they must have.
pub struct Disk {
    journal: PathBuf,
    /// The folder of the database, where it is a file.
    database: Option<PathBuf>,
    min_free_bytes: u64,
    /// Whether the database has turned away what it had no room for, and nothing it took since.
    database_full: AtomicBool,
}

impl Disk {
    pub fn new(journal: PathBuf, database: Option<PathBuf>, min_free_bytes: u64) -> Self {
        Self { journal, database, min_free_bytes, database_full: AtomicBool::new(false) }
    }

    /// Takes note of whether the database had room for the last thing written.
    pub fn note_database(&self, is_full: bool) {
        self.database_full.store(is_full, Ordering::Relaxed);
    }

    /// Writes something, and asks how much room there is. Waits for the disk.
    ///
    /// Errors: [`DiskError`], when there is no room.
    pub fn check(&self) -> Result<(), DiskError> {
        if self.database_full.load(Ordering::Relaxed) {
            return Err(DiskError::DatabaseFull);
        }
        for folder in [Some(&self.journal), self.database.as_ref()].into_iter().flatten() {
            self.check_free(folder)?;
        }
        let path = self.journal.join(PROBE_FILE);
        write_probe(&path).map_err(|source| DiskError::Unwritable { path, source })
    }

    fn check_free(&self, folder: &Path) -> Result<(), DiskError> {
        let failed = |source| DiskError::Unwritable { path: folder.to_owned(), source };
        let found = rustix::fs::statvfs(folder).map_err(|error| failed(error.into()))?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free < self.min_free_bytes {
            let (path, limit) = (folder.to_owned(), self.min_free_bytes);
            return Err(DiskError::Low { path, free, limit });
        }
        Ok(())
    }
}

/// Each time to a new file: room that a file has already proves nothing.
fn write_probe(path: &Path) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&vec![0; PROBE_BYTES])?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn disk(folder: &tempfile::TempDir, min_free_bytes: u64) -> Disk {
        Disk::new(folder.path().to_owned(), Some(folder.path().to_owned()), min_free_bytes)
    }

    #[test]
    fn a_disk_with_room_is_good_and_nothing_is_left_on_it() {
        let folder = tempfile::tempdir().unwrap();
        disk(&folder, 1).check().unwrap();
        assert!(!folder.path().join(PROBE_FILE).exists());
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told_by_writing_to_it() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/dev/full", folder.path().join(PROBE_FILE)).unwrap();
        let error = disk(&folder, 1).check().unwrap_err();
        assert!(
            matches!(&error, DiskError::Unwritable { source, .. }
                if source.kind() == io::ErrorKind::StorageFull),
            "{error}"
        );
    }

    #[test]
    fn less_room_than_the_bound_is_told_with_both() {
        let folder = tempfile::tempdir().unwrap();
        let error = disk(&folder, u64::MAX).check().unwrap_err();
        assert!(error.to_string().contains(&u64::MAX.to_string()), "{error}");
    }

    #[test]
    fn a_folder_that_is_gone_is_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path().join("gone"), None, 0);
        assert!(matches!(disk.check(), Err(DiskError::Unwritable { .. })));
    }

    #[test]
    fn what_the_database_had_no_room_for_counts_until_it_takes_something() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(&folder, 0);
        disk.note_database(true);
        assert!(matches!(disk.check(), Err(DiskError::DatabaseFull)));
        disk.note_database(false);
        disk.check().unwrap();
    }
}
