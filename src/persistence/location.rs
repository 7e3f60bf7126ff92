//! Where the database is: in memory, in a file, or at a PostgreSQL server.

use std::{fmt, path::PathBuf, str::FromStr};

use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::Url;

/// A text that names no database. Shows the scheme alone: the rest may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the database URL{} is not understood: use sqlite:PATH, a plain path, :memory: or \
     postgres://USER@HOST/NAME",
    .scheme.as_ref().map(|scheme| format!(" ({scheme}:…)")).unwrap_or_default()
)]
pub struct LocationError {
    pub scheme: Option<String>,
}

/// Where the database is.
#[derive(Clone)]
pub enum Location {
    /// Gone when the program ends.
    Memory,
    File(PathBuf),
    /// The whole URL, since it may hold a password.
    Postgres(SecretString),
}

impl FromStr for Location {
    type Err = LocationError;

    /// Parses `sqlite:PATH`, `sqlite://PATH`, a plain path, `:memory:`, or a `postgres://` URL.
    fn from_str(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.into()));
        }
        let path = match text.strip_prefix("sqlite:") {
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None => text,
        };
        if path == ":memory:" {
            return Ok(Self::Memory);
        }
        // SQLite would read `file:` as a URI with options of its own, past the ones set here.
        let scheme = path.split_once("://").map(|(scheme, _)| scheme);
        let scheme = scheme.or_else(|| path.starts_with("file:").then_some("file"));
        // `host=… password=…` is how libpq writes it too; as a file name it would be shown.
        let is_keywords = path.contains('=');
        if path.is_empty() || scheme.is_some() || is_keywords {
            return Err(LocationError { scheme: scheme.map(str::to_owned) });
        }
        Ok(Self::File(path.into()))
    }
}

impl fmt::Display for Location {
    /// Shows where it is, without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("sqlite::memory:"),
            Self::File(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => match Url::parse(url.expose_secret()) {
                Ok(url) => {
                    write!(f, "postgres://{}", url.host_str().unwrap_or_default())?;
                    url.port().map_or(Ok(()), |port| write!(f, ":{port}"))?;
                    f.write_str(url.path())
                }
                Err(_) => f.write_str("postgres"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Location>().unwrap().to_string()
    }

    #[test]
    fn a_file_may_be_named_in_three_ways() {
        for text in ["data/pool.db", "sqlite:data/pool.db", "sqlite://data/pool.db"] {
            assert_eq!(shown(text), "sqlite:data/pool.db");
        }
        assert_eq!(shown("sqlite:///var/pool.db"), "sqlite:/var/pool.db");
    }

    #[test]
    fn memory_may_be_named_in_three_ways() {
        for text in [":memory:", "sqlite::memory:", "sqlite://:memory:"] {
            assert_eq!(shown(text), "sqlite::memory:");
        }
    }

    #[test]
    fn a_server_is_shown_without_user_and_password() {
        assert_eq!(shown("postgres://me:secret@db:5433/pool?x=1"), "postgres://db:5433/pool");
        assert_eq!(shown("postgresql://me:secret@a,b/pool"), "postgres://a,b/pool");
        assert_eq!(shown("postgres://me:secret@[x/pool"), "postgres");
    }

    #[test]
    fn what_names_no_database_is_refused_without_being_shown() {
        for text in ["", "  ", "sqlite:", "mysql://me:secret@db/pool", "file:pool.db?mode=ro"] {
            let error = text.parse::<Location>().err().unwrap().to_string();
            assert!(error.contains("is not understood") && !error.contains("secret"), "{error}");
        }
    }
}
