//! The journal: append-only files of usage entries, one open file per worker thread.
//!
//! A file holds one JSON entry per line. Its name is `<run>-<number>.open` while it is written,
//! `<run>-<number>.closed` afterwards; the run tells files of this process from those it found.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Write},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use thiserror::Error;

use crate::domain::usage::UsageEntry;

/// A file is closed and another begun past this size, in bytes.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// No file of the journal is as large, in bytes: one that is was not written by this program, and is
/// not read into memory.
const MAX_READ_BYTES: u64 = 64 * 1024 * 1024;

/// Who may read what the journal holds, whatever the mask of the process and the folder say.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Why the journal cannot be used.
#[derive(Debug, Error)]
#[error("journal file {path}: {source}")]
pub struct JournalError {
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

impl JournalError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self { path: path.to_owned(), source }
    }

    /// Whether somebody has deleted the file.
    pub fn is_gone(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// The folder of journal files. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    folder: PathBuf,
    /// Tells the files of this process from those of earlier ones.
    run: Arc<str>,
    numbers: Arc<AtomicU64>,
}

/// What a journal file holds.
#[derive(Debug, Default)]
pub struct JournalContent {
    pub entries: Vec<UsageEntry>,
    /// Lines that are no entry: a write that the end of the machine cut short.
    pub damaged: usize,
}

impl Journal {
    /// Opens the folder, making it when it is missing, and closes it and what is in it to others. `run`
    /// must differ from every earlier one.
    pub fn open(folder: PathBuf, run: &str) -> Result<Self, JournalError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(FOLDER_MODE).create(&folder);
        made.map_err(JournalError::at(&folder))?;
        close_to_others(&folder);
        Ok(Self { folder, run: run.into(), numbers: Arc::default() })
    }

    /// A writer for one thread. The first file is made with the first entry.
    pub fn writer(&self) -> JournalWriter {
        JournalWriter {
            journal: self.clone(),
            open: None,
            closed: None,
            line: Vec::with_capacity(1024),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All journal files, in the order they were begun.
    pub fn files(&self) -> Result<Vec<PathBuf>, JournalError> {
        let mut files = Vec::new();
        for found in fs::read_dir(&self.folder).map_err(JournalError::at(&self.folder))? {
            let path = found.map_err(JournalError::at(&self.folder))?.path();
            if path.extension().is_some_and(|end| end == "open" || end == "closed") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Whether a thread of this process may still be writing to the file.
    pub fn is_being_written(&self, path: &Path) -> bool {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        path.extension().is_some_and(|end| end == "open") && name.starts_with(&*self.run)
    }

    /// Reads a file. A damaged line is counted and does not hide the lines after it.
    pub fn read(path: &Path) -> Result<JournalContent, JournalError> {
        let bytes = read_bounded(path).map_err(JournalError::at(path))?;
        let mut content = JournalContent::default();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(entry) => content.entries.push(entry),
                Err(_) => content.damaged += 1,
            }
        }
        Ok(content)
    }

    /// Deletes a file whose entries are all in the database. It may be gone already.
    pub fn delete(path: &Path) -> Result<(), JournalError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(JournalError::at(path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Keeps a file that is not read whole for a person to look at, out of the way of the next start.
    /// Answers with its new name.
    pub fn set_aside(path: &Path) -> Result<PathBuf, JournalError> {
        let aside = path.with_extension("damaged");
        fs::rename(path, &aside).map_err(JournalError::at(path))?;
        Ok(aside)
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_READ_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_READ_BYTES {
        let said = format!("it has more than {MAX_READ_BYTES} bytes, and is not one of ours");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, said));
    }
    Ok(bytes)
}

/// Takes from others what an earlier version, or somebody else, has given them.
fn close_to_others(folder: &Path) {
    let close = |path: &Path, mode| {
        let open =
            fs::symlink_metadata(path).is_ok_and(|it| !it.is_symlink() && it.mode() & 0o077 != 0);
        if open && let Err(error) = fs::set_permissions(path, Permissions::from_mode(mode)) {
            tracing::warn!(path = %path.display(), %error, "the journal stays open to others");
        }
    };
    close(folder, FOLDER_MODE);
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        if file.file_type().is_ok_and(|kind| kind.is_file()) {
            close(&file.path(), FILE_MODE);
        }
    }
}

struct OpenFile {
    file: File,
    path: PathBuf,
    bytes: usize,
}

/// Appends entries to one file after the other. Belongs to one thread.
pub struct JournalWriter {
    journal: Journal,
    open: Option<OpenFile>,
    /// A file that was closed and not told yet.
    closed: Option<PathBuf>,
    line: Vec<u8>,
}

impl JournalWriter {
    /// Appends an entry with one write. Answers with the file that was closed to make room, if one was:
    /// the caller passes it on after every entry before this one.
    pub fn append(&mut self, entry: &UsageEntry) -> Result<Option<PathBuf>, JournalError> {
        let full = self.open.as_ref().is_some_and(|open| open.bytes >= MAX_FILE_BYTES);
        if full {
            self.close()?;
        }
        self.line.clear();
        serde_json::to_writer(&mut self.line, entry)
            .map_err(|error| JournalError::at(&self.journal.folder)(error.into()))?;
        self.line.push(b'\n');
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(begin_file(&self.journal)?),
        };
        if let Err(error) = write(&mut open.file, &self.line) {
            let failed = JournalError::at(&open.path)(error);
            self.leave();
            return Err(failed);
        }
        open.bytes += self.line.len();
        Ok(self.closed.take())
    }

    fn close(&mut self) -> Result<(), JournalError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let closed = open.path.with_extension("closed");
        fs::rename(&open.path, &closed).map_err(JournalError::at(&open.path))?;
        self.closed = Some(closed);
        Ok(())
    }

    /// Leaves a file that takes no more. Part of a line may be in it, so the next line begins another;
    /// one without a whole line is of no use to anybody.
    fn leave(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.bytes == 0
            && let Err(error) = Journal::delete(&open.path)
        {
            tracing::debug!(%error, "an empty journal file stays");
        }
    }
}

/// Errors: also when somebody has deleted the file. It would still take the line, for nobody.
fn write(file: &mut File, line: &[u8]) -> io::Result<()> {
    file.write_all(line)?;
    if file.metadata()?.nlink() == 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it was deleted while it was written"));
    }
    Ok(())
}

fn begin_file(journal: &Journal) -> Result<OpenFile, JournalError> {
    let number = journal.numbers.fetch_add(1, Ordering::Relaxed);
    let path = journal.folder.join(format!("{}-{number:010}.open", journal.run));
    let file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(JournalError::at(&path))?;
    Ok(OpenFile { file, path, bytes: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::usage_tracker::pending::tests::entry;

    fn journal(folder: &tempfile::TempDir, run: &str) -> Journal {
        Journal::open(folder.path().join("journal"), run).unwrap()
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder, "run1");
        let mut writer = journal.writer();
        let entries: Vec<UsageEntry> = (0..10).map(|_| entry()).collect();
        for entry in &entries {
            assert_eq!(writer.append(entry).unwrap(), None);
        }
        let files = journal.files().unwrap();
        assert_eq!(files.len(), 1);
        assert!(journal.is_being_written(&files[0]));
        assert_eq!(Journal::read(&files[0]).unwrap().entries, entries);
    }

    #[test]
    fn what_was_estimated_is_marked_and_lines_without_a_mark_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder, "run1");
        let mut writer = journal.writer();
        let estimated = UsageEntry { usage_estimated: true, ..entry() };
        for entry in [&entry(), &estimated] {
            writer.append(entry).unwrap();
        }
        let path = &journal.files().unwrap()[0];
        let text = fs::read_to_string(path).unwrap();
        let marks: Vec<bool> = text.lines().map(|line| line.contains("usage_estimated")).collect();
        assert_eq!(marks, [false, true], "lines were written thus before there was a mark");
        let entries = Journal::read(path).unwrap().entries;
        assert!(!entries[0].usage_estimated && entries[1] == estimated);
    }

    #[test]
    fn the_files_of_an_earlier_run_are_found_and_not_taken_for_ours() {
        let folder = tempfile::tempdir().unwrap();
        journal(&folder, "run1").writer().append(&entry()).unwrap();
        let later = journal(&folder, "run2");
        let files = later.files().unwrap();
        assert_eq!(files.len(), 1);
        assert!(!later.is_being_written(&files[0]));
    }

    #[test]
    fn a_full_file_is_closed_and_named_after_its_last_entry() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder, "run1");
        let mut writer = journal.writer();
        let mut written = 0;
        let closed = loop {
            written += 1;
            if let Some(closed) = writer.append(&entry()).unwrap() {
                break closed;
            }
        };
        assert!(!journal.is_being_written(&closed));
        assert_eq!(Journal::read(&closed).unwrap().entries.len(), written - 1);
        Journal::delete(&closed).unwrap();
        Journal::delete(&closed).unwrap();
        assert_eq!(journal.files().unwrap().len(), 1);
    }

    #[test]
    fn a_line_cut_short_is_counted_and_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder, "run1");
        let path = folder.path().join("journal/run0-1.open");
        let whole = serde_json::to_string(&entry()).unwrap();
        for cut in 1..whole.len() {
            fs::write(&path, format!("{whole}\n{}\n{whole}", &whole[..cut])).unwrap();
            let content = Journal::read(&path).unwrap();
            assert_eq!((content.entries.len(), content.damaged), (2, 1), "cut at {cut}");
        }
        let aside = Journal::set_aside(&path).unwrap();
        assert!(aside.exists() && journal.files().unwrap().is_empty());
    }

    #[test]
    fn folder_and_files_are_open_to_their_owner_alone_whatever_they_were_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("old-1.closed"), "").unwrap();
        for open in [&path, &path.join("old-1.closed")] {
            fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
        }
        journal(&folder, "run1").writer().append(&entry()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        let files: Vec<_> = fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 2);
        assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    }

    #[test]
    fn a_file_too_large_to_be_ours_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run0-1.open");
        File::create(&path).unwrap().set_len(MAX_READ_BYTES + 1).unwrap();
        let error = Journal::read(&path).unwrap_err();
        assert!(error.to_string().contains("not one of ours"), "{error}");
    }

    #[test]
    fn a_file_deleted_while_it_is_written_takes_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder, "run1");
        let mut writer = journal.writer();
        writer.append(&entry()).unwrap();
        Journal::delete(&journal.files().unwrap()[0]).unwrap();
        assert!(writer.append(&entry()).is_err());
        writer.append(&entry()).unwrap();
        assert_eq!(journal.files().unwrap().len(), 1);
    }

    #[test]
    fn a_journal_that_cannot_be_written_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder, "run1");
        fs::remove_dir_all(folder.path().join("journal")).unwrap();
        let error = journal.writer().append(&entry()).unwrap_err();
        assert!(error.to_string().contains("run1-"), "{error}");
    }
}
