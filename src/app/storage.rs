//! What is on disk: the data directory, the master key, the database, brought to this version.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{
    config::Config,
    crypto::{
        mac::Mac,
        master_key::{MasterKey, MasterKeyError},
        seal::Sealer,
    },
    persistence::{
        connection::{self, Connector, OpenError, Pool, Pooled},
        integrity::{self, Damaged},
        migrate::{self, MigrateError},
        presence::{self, Presence, PresenceError},
    },
};

/// Why there is nothing to work with.
#[derive(Debug, Error)]
pub enum StorageError {
    #[error("the data directory {path} cannot be used: {source}", path = path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "another providerpool uses the data directory {path}; stop it, or give this one a \
         directory of its own with --data-dir",
        path = path.display()
    )]
    InUse { path: PathBuf },
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    #[error(transparent)]
    Database(#[from] OpenError),
    #[error("no connection to the database came free: {0}")]
    Pool(String),
    #[error(transparent)]
    InUseElsewhere(#[from] PresenceError),
    #[error(transparent)]
    Migration(#[from] MigrateError),
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error(
        "the database {path} is empty, and this pool has been running before: put a backup in its \
         place, or delete the file to begin anew",
        path = path.display()
    )]
    Emptied { path: PathBuf },
}

impl StorageError {
    /// A database file that is not whole, in the database's words.
    pub fn damaged(path: &Path, reason: String) -> Self {
        Damaged { path: path.to_owned(), reason }.into()
    }
}

/// Storage that is open and of this version.
pub struct Storage {
    pub pool: Pool,
    pub connector: Connector,
    pub sealer: Sealer,
    pub access_keys: Mac,
    pub fingerprints: Mac,
}

impl Storage {
    /// Opens the database, creating it if need be, looks whether it is whole, and migrates it.
    ///
    /// Errors: [`StorageError`], in words for the person who starts the pool.
    pub fn open(config: &Config) -> Result<Self, StorageError> {
        create_directory(config)?;
        let master_key = MasterKey::load(
            config.secrets.master_key.as_ref(),
            config.secrets.master_key_file.as_deref(),
            &config.data.dir,
        )?;
        let pool = open_pool(config)?;
        let mut connection = first_connection(&pool)?;
        for migration in migrate::run(&mut connection)? {
            tracing::info!(migration, "database migrated");
        }
        drop(connection);
        Ok(Self {
            pool,
            connector: connector(config)?,
            sealer: Sealer::new(&master_key),
            access_keys: Mac::for_access_keys(&master_key),
            fingerprints: Mac::for_credentials(&master_key),
        })
    }
}

/// Shows other pools that this one works on the database, as long as it is not dropped. `None`: nobody
/// else can.
///
/// Errors: [`StorageError::InUseElsewhere`].
pub fn announce(storage: &Storage) -> Result<Option<Presence>, StorageError> {
    Ok(presence::announce(&storage.connector, storage.access_keys.master_key_id())?)
}

/// Whether there is a database already. One on a server is.
///
/// Errors: its URL names none.
pub fn has_database(config: &Config) -> Result<bool, StorageError> {
    Ok(connector(config)?.file().is_none_or(Path::exists))
}

/// The database as it is, if it is whole, for looking at what a migration would do.
pub fn open_pool(config: &Config) -> Result<Pool, StorageError> {
    create_directory(config)?;
    let connector = connector(config)?;
    if let Some(path) = connector.file()
        && integrity::is_empty_file(path)
        && journal_folder(config).exists()
    {
        return Err(StorageError::Emptied { path: path.to_owned() });
    }
    if let Some(path) = connector.file().filter(|path| path.exists()) {
        let checked = connection::open_to_look(path).map_err(|error| error.to_string());
        let checked = checked.and_then(|mut connection| integrity::check(&mut connection));
        checked.map_err(|reason| StorageError::damaged(path, reason))?;
    }
    Ok(connector.pool(config.database.pool_size)?)
}

fn first_connection(pool: &Pool) -> Result<Pooled, StorageError> {
    pool.get().map_err(|error| StorageError::Pool(error.to_string()))
}

fn connector(config: &Config) -> Result<Connector, StorageError> {
    Ok(Connector::new(config.database_location().map_err(OpenError::from)?))
}

/// Where the journal of usage is. It is made once the database is open.
pub fn journal_folder(config: &Config) -> PathBuf {
    config.data.dir.join("journal")
}

/// The folder that a file is in.
pub fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn create_directory(config: &Config) -> Result<(), StorageError> {
    let path = &config.data.dir;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StorageError::Directory { path: path.clone(), source })
}

/// Makes sure that no other process works in the data directory. Holds until the file is dropped,
/// also when this process is killed.
pub fn lock(config: &Config) -> Result<File, StorageError> {
    create_directory(config)?;
    let path = &config.data.dir;
    let failed = |source| StorageError::Directory { path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::InUse { path: path.clone() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
