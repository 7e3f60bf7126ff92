//! Where the database is: in memory, in a file, or at a PostgreSQL server.

use std::{fmt, path::PathBuf, str::FromStr};

use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::Url;

/// A text that names no database. Shows the scheme alone: the rest may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "must be a path, sqlite:PATH, :memory: or postgres://USER@HOST/NAME{}",
    .scheme.as_ref().map(|scheme| format!(", not {scheme}:…")).unwrap_or_default()
)]
pub struct LocationError {
    pub scheme: Option<String>,
}

/// Where the database is.
#[derive(Clone)]
pub enum DatabaseLocation {
    /// Gone when the program ends.
    Memory,
    File(PathBuf),
    /// The whole URL, since it may hold a password.
    Postgres(SecretString),
}

impl FromStr for DatabaseLocation {
    type Err = LocationError;

    /// Parses a plain path, `sqlite:PATH`, `sqlite://PATH`, `:memory:`, or a `postgres://` URL.
    fn from_str(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        let scheme = scheme_of(text);
        let refused = || LocationError { scheme: scheme.map(str::to_owned) };
        let rest = scheme.map(|scheme| &text[scheme.len() + 1..]);
        let path = match (scheme.map(str::to_ascii_lowercase).as_deref(), rest) {
            (Some("postgres" | "postgresql"), Some(rest)) if rest.starts_with("//") => {
                // libpq knows the scheme in small letters alone.
                return Ok(Self::Postgres(format!("postgres:{rest}").into()));
            }
            (Some("sqlite"), Some(rest)) => rest.strip_prefix("//").unwrap_or(rest),
            (None, _) => text,
            (Some(_), _) => return Err(refused()),
        };
        if path == ":memory:" {
            return Ok(Self::Memory);
        }
        // SQLite would read `file:` as a URI with options of its own, past the ones set here.
        // `host=… password=…` is how libpq writes it too; as a file name it would be shown.
        if path.is_empty()
            || path.starts_with("file:")
            || path.contains("://")
            || path.contains('=')
        {
            return Err(refused());
        }
        Ok(Self::File(path.into()))
    }
}

/// What stands before the first colon, if it can be a scheme.
///
/// Source: RFC 3986 §3.1.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    is_scheme.then_some(scheme)
}

impl fmt::Display for DatabaseLocation {
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
        text.parse::<DatabaseLocation>().unwrap().to_string()
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
    fn a_scheme_may_be_written_in_any_letters() {
        assert_eq!(shown("SQLite:pool.db"), "sqlite:pool.db");
        let server = "PostgreSQL://me@db/pool".parse();
        assert!(
            matches!(server, Ok(DatabaseLocation::Postgres(url)) if url.expose_secret() == "postgres://me@db/pool")
        );
    }

    #[test]
    fn what_names_no_database_is_refused_without_being_shown() {
        for (text, said) in [
            ("", ""),
            ("  ", ""),
            ("host=h password=secret", ""),
            ("sqlite:", ", not sqlite:…"),
            ("mysql://me:secret@db/pool", ", not mysql:…"),
            ("postgre://me:secret@db/pool", ", not postgre:…"),
            ("postgres:/me:secret@db/pool", ", not postgres:…"),
            ("sqlite:mysql://me:secret@db", ", not sqlite:…"),
            ("file:pool.db?mode=ro", ", not file:…"),
        ] {
            let error = text.parse::<DatabaseLocation>().err().unwrap().to_string();
            let words = "must be a path, sqlite:PATH, :memory: or postgres://USER@HOST/NAME";
            assert_eq!(error, format!("{words}{said}"), "{text}");
        }
    }

    #[test]
    fn a_path_may_hold_a_colon_where_no_scheme_can_be() {
        for text in ["./data:1/pool.db", "/srv/a:b.db", "sqlite:data:1/pool.db"] {
            assert!(matches!(text.parse(), Ok(DatabaseLocation::File(_))), "{text}");
        }
    }
}
