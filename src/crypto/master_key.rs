//! The master key: where it comes from, and the keys derived from it.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hkdf::Hkdf;
use rand::{TryRngCore as _, rngs::OsRng};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

/// Length of the master key and of every key derived from it, in bytes.
pub const KEY_LEN: usize = 32;

/// Length of the id of a master key, in hex digits.
pub const KEY_ID_LEN: usize = 8;

/// Name of the key file in the data directory.
pub const KEY_FILE_NAME: &str = "master.key";

/// Longest key file read, in bytes: 44 of base64, and room for white space around it.
const MAX_KEY_FILE_LEN: u64 = 1024;

/// Why there is no master key.
#[derive(Debug, Error)]
pub enum MasterKeyError {
    #[error("the master key in {origin} is not base64")]
    NotBase64 { origin: String },
    #[error(
        "the master key in {origin} is {found} bytes long, but must be {KEY_LEN}: \
         make one with `openssl rand -base64 {KEY_LEN}`"
    )]
    WrongLength { origin: String, found: usize },
    #[error(
        "the master key file {path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`",
        path = path.display()
    )]
    ReadableByOthers { path: PathBuf, mode: u32 },
    #[error("the master key file {path} cannot be {action}: {source}", path = path.display())]
    File { path: PathBuf, action: &'static str, source: io::Error },
    #[error("the operating system gave no randomness for a new master key: {0}")]
    NoRandomness(String),
}

/// The key all others are derived from. Wiped from memory when dropped; cannot be printed.
pub struct MasterKey(Zeroizing<[u8; KEY_LEN]>);

impl MasterKey {
    /// Finds the master key: `value` (base64) when given, else `file` when given, else the key
    /// file in `data_dir`, which is created with a new key when it is not there. A `file` that
    /// was asked for by name is never created, so that a mistyped path does not lock every secret.
    ///
    /// Errors: [`MasterKeyError`]; its texts tell a person what to do.
    pub fn load(
        value: Option<&SecretString>,
        file: Option<&Path>,
        data_dir: &Path,
    ) -> Result<Self, MasterKeyError> {
        if let Some(value) = value {
            return Self::parse(value.expose_secret(), "the configuration");
        }
        if let Some(file) = file {
            return Self::read(file);
        }
        let file = data_dir.join(KEY_FILE_NAME);
        match Self::read(&file) {
            Err(MasterKeyError::File { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Self::create(data_dir, &file)
            }
            found => found,
        }
    }

    /// Makes a new key from the randomness of the operating system.
    pub fn generate() -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        OsRng
            .try_fill_bytes(key.as_mut_slice())
            .map_err(|error| MasterKeyError::NoRandomness(error.to_string()))?;
        Ok(Self(key))
    }

    /// Parses a key from base64 (standard alphabet, padded); white space around it is dropped.
    /// `origin` names the place in errors.
    pub fn parse(text: &str, origin: &str) -> Result<Self, MasterKeyError> {
        let bytes = STANDARD
            .decode(text.trim())
            .map(Zeroizing::new)
            .map_err(|_| MasterKeyError::NotBase64 { origin: origin.to_owned() })?;
        let mut key = Zeroizing::new([0; KEY_LEN]);
        if bytes.len() != KEY_LEN {
            let (origin, found) = (origin.to_owned(), bytes.len());
            return Err(MasterKeyError::WrongLength { origin, found });
        }
        key.copy_from_slice(&bytes);
        Ok(Self(key))
    }

    /// Names the key: eight hex digits, which tell nothing of it.
    pub fn id(&self) -> String {
        // Derived apart from the keys that are used, and hashed.
        let name = Sha256::digest(self.derive("providerpool/key-id/v1").as_slice());
        let mut id = format!("{name:x}");
        id.truncate(KEY_ID_LEN);
        id
    }

    /// A key for one purpose, so that no two purposes ever share one.
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; KEY_LEN]> {
        let mut derived = Zeroizing::new([0; KEY_LEN]);
        Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand(purpose.as_bytes(), derived.as_mut_slice())
            .expect("one hash length is a length HKDF can give");
        derived
    }

    fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| file_error(path, "read", source);
        let file = File::open(path).map_err(failed)?;
        // Asked of the open file, not of the path: what is checked is what is read.
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::ReadableByOthers { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_KEY_FILE_LEN).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Writes a new key beside `path`, then gives it its name in one step. So nobody ever reads
    /// half a key, a crash leaves none, and of two that start at once both use the first one's.
    fn create(data_dir: &Path, path: &Path) -> Result<Self, MasterKeyError> {
        let key = Self::generate()?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .map_err(|source| file_error(path, "created", source))?;
        let draft = path.with_extension(format!("key.{:016x}", rand::random::<u64>()));
        let named = key.write(&draft).and_then(|()| std::fs::hard_link(&draft, path));
        let removed = std::fs::remove_file(&draft);
        match named {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(path),
            Err(source) => Err(file_error(path, "created", source)),
            Ok(()) => {
                removed.map_err(|source| file_error(&draft, "removed", source))?;
                tracing::info!(path = %path.display(), "created the master key: back it up");
                Ok(key)
            }
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let text = Zeroizing::new(STANDARD.encode(self.0.as_slice()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    }
}

fn file_error(path: &Path, action: &'static str, source: io::Error) -> MasterKeyError {
    MasterKeyError::File { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn load(
        value: Option<&str>,
        file: Option<&Path>,
        dir: &Path,
    ) -> Result<MasterKey, MasterKeyError> {
        MasterKey::load(value.map(SecretString::from).as_ref(), file, dir)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_first_start_creates_a_private_key_that_the_second_finds() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("deep/data");
        let first = load(None, None, &data).unwrap();
        let second = load(None, None, &data).unwrap();
        assert_eq!(*first.0, *second.0);
        assert_eq!(mode(&data), 0o700);
        assert_eq!(mode(&data.join(KEY_FILE_NAME)), 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "a draft was left behind");
    }

    #[test]
    fn those_that_start_at_once_agree_on_one_key() {
        let home = tempfile::tempdir().unwrap();
        let keys: Vec<[u8; KEY_LEN]> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| *load(None, None, home.path()).unwrap().0)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_value_goes_before_a_file_and_a_file_before_the_data_directory() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("other.key");
        MasterKey(Zeroizing::new([2; KEY_LEN])).write(&file).unwrap();
        let value = STANDARD.encode([1; KEY_LEN]);
        assert_eq!(*load(Some(&value), Some(&file), home.path()).unwrap().0, [1; KEY_LEN]);
        assert_eq!(*load(None, Some(&file), home.path()).unwrap().0, [2; KEY_LEN]);
        assert!(!home.path().join(KEY_FILE_NAME).exists(), "a key nobody needed was created");
    }

    #[test]
    fn a_file_asked_for_by_name_is_not_created() {
        let home = tempfile::tempdir().unwrap();
        let error = load(None, Some(&home.path().join("typo.key")), home.path()).err().unwrap();
        assert!(error.to_string().contains("typo.key cannot be read"), "{error}");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_remedy() {
        let home = tempfile::tempdir().unwrap();
        load(None, None, home.path()).unwrap();
        let path = home.path().join(KEY_FILE_NAME);
        for open_to in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open_to)).unwrap();
            let error = load(None, None, home.path()).err().unwrap().to_string();
            assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
    }

    #[test]
    fn a_key_of_another_length_or_spelling_is_refused_without_being_shown() {
        for bad in ["", "c2hvcnQ=", "not base64!", &STANDARD.encode([7; 33])] {
            let error = MasterKey::parse(bad, "the configuration").err().unwrap().to_string();
            assert!(error.contains("the configuration"), "{error}");
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }

    #[test]
    fn each_purpose_has_its_own_key() {
        let key = MasterKey(Zeroizing::new([3; KEY_LEN]));
        assert_ne!(*key.derive("a"), *key.derive("b"));
        assert_eq!(*key.derive("a"), *key.derive("a"));
    }
}
