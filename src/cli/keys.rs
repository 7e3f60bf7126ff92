//! `providerpool keys`: the keys callers present, made and revoked without a running pool.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use secrecy::ExposeSecret;

use super::{print, show};
use crate::{
    actors::{
        access_keys::{mint, parse_presented},
        clock::now,
    },
    app::{Storage, has_database},
    config::Config,
    domain::{
        access_key::{AccessKey, NewKey, Role},
        id::KeyId,
        name::Printable,
        setting::InvalidSetting,
        time::Timestamp,
    },
    persistence::repo::access_keys,
};

/// Longest id of a key, in characters.
const MAX_ID_CHARS: usize = 12;

#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, this once, on the last line
    Create {
        #[arg(long, value_enum)]
        role: RoleArg,
        /// Your name for it
        #[arg(long, default_value = "made by the keys command")]
        name: String,
        /// When it expires: a time as 2027-01-31T00:00:00Z, or from now on as 90d or 12h
        #[arg(long, value_name = "WHEN", value_parser = parse_expiry)]
        expires: Option<Timestamp>,
    },
    /// List all keys, revoked ones too
    List,
    /// Revoke a key; a running pool knows within two seconds
    Revoke {
        /// The key, or its middle part, as 'keys list' shows it
        key: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum RoleArg {
    /// May use the relay
    Client,
    /// May look at everything in management
    Viewer,
    /// May do everything in management
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Client => Self::Client,
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Admin => Self::Admin,
        }
    }
}

pub fn run(config: &Config, command: KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::Create { role, name, expires } => {
            let (role, allowed_models) = (role.into(), Vec::new());
            create(config, NewKey { role, name, allowed_models, expires_at: expires })?;
        }
        KeysCommand::List => list(&there_is(config)?)?,
        KeysCommand::Revoke { key } => {
            let id = id_of(&key)?;
            revoke(config, &there_is(config)?, &id)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The storage of a pool that has been made.
fn there_is(config: &Config) -> anyhow::Result<Storage> {
    if !has_database(config)? {
        anyhow::bail!("there is no pool in {}: name its --data-dir", config.data.dir.display());
    }
    Ok(Storage::open(config)?)
}

fn create(config: &Config, new: NewKey) -> anyhow::Result<()> {
    let new = new.checked(now())?;
    let is_new = !has_database(config)?;
    let storage = Storage::open(config)?;
    let minted = mint(now(), &storage.access_keys, new);
    let connection = &mut *storage.pool.get()?;
    access_keys::insert(connection, &minted.key)?;
    if is_new {
        let dir = config.data.dir.display();
        eprintln!(
            "The pool in {dir} was made for it: a pool with another --data-dir does not know it."
        );
    }
    eprintln!("This key is shown this once and is not stored:");
    let printed = print(&format!("{}\n", minted.presented.expose_secret()));
    if printed.is_err() {
        // Nobody has seen it.
        access_keys::delete(connection, &[minted.key.id])?;
    }
    printed
}

fn list(storage: &Storage) -> anyhow::Result<()> {
    let keys = access_keys::load(&mut *storage.pool.get()?)?;
    let (now, master_key_id) = (now(), storage.access_keys.master_key_id());
    let lines = keys.rows.iter().map(|key| line(now, master_key_id, key) + "\n");
    show(&lines.collect::<String>())?;
    if !keys.unreadable.is_empty() {
        eprintln!("{} more cannot be read and open nothing:", keys.unreadable.len());
    }
    for corrupt in keys.unreadable {
        eprintln!("{corrupt}");
    }
    Ok(())
}

fn revoke(config: &Config, storage: &Storage, id: &KeyId) -> anyhow::Result<()> {
    let connection = &mut *storage.pool.get()?;
    let master_key_id = storage.access_keys.master_key_id();
    let opens =
        |key: &AccessKey| key.fault(now()).is_none() && !key.is_under_another(master_key_id);
    let keys = access_keys::load(connection)?.rows;
    let mut admins = keys.iter().filter(|key| key.role == Role::Admin && opens(key));
    if admins.next().is_some_and(|key| key.id == *id) && admins.next().is_none() {
        anyhow::bail!("key {id} is the last admin key; create another one first");
    }
    let Some(known) = keys.iter().find(|key| key.id == *id) else {
        anyhow::bail!("key {id} does not exist in {}", config.data.dir.display());
    };
    if let Some(at) = known.revoked_at {
        anyhow::bail!("key {id} was revoked at {at}");
    }
    access_keys::revoke(connection, id, now())?;
    show(&format!("key {id} is revoked\n"))
}

/// The id in a key, or the id itself.
///
/// Errors: it is neither. It may hold a secret, and so is not repeated.
fn id_of(key: &str) -> Result<KeyId, InvalidSetting> {
    match parse_presented(key.trim()) {
        Some((id, _)) => Ok(id),
        None if key.len() <= MAX_ID_CHARS && !key.contains('_') => Ok(key.into()),
        None => {
            let reason = "is neither a key nor the id of one: 'keys list' shows the ids";
            Err(InvalidSetting::new("key", reason))
        }
    }
}

/// What the list says of a key. `master_key_id` names the master key in use.
fn line(now: Timestamp, master_key_id: &str, key: &AccessKey) -> String {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) if at <= now => format!("expired {at}"),
        (None, _) if key.is_under_another(master_key_id) => "other master key".to_owned(),
        (None, Some(at)) => format!("in use until {at}"),
        (None, None) => "in use".to_owned(),
    };
    // What was stored before names were checked may hold anything.
    let (id, name) = (Printable(key.id.as_str()), Printable(&key.name));
    format!("{id}  {:6}  {}  {state}  {name}", key.role.as_str(), key.created_at)
}

/// Reads a time, or how long from now.
fn parse_expiry(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_millis(at.as_millisecond()));
    }
    let days_are_24_hours = jiff::SpanRelativeTo::days_are_24_hours();
    let span = text.parse::<jiff::Span>().and_then(|span| span.to_duration(days_are_24_hours));
    let length = span.ok().and_then(|span| std::time::Duration::try_from(span).ok());
    length.map(|length| now().plus(length)).ok_or_else(|| {
        "must be a time as 2027-01-31T00:00:00Z, or from now on as 90d or 12h".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_time_or_so_long_from_now() {
        let at = Timestamp::from_millis(1_801_353_600_000);
        assert_eq!(parse_expiry("2027-01-31T00:00:00Z"), Ok(at));
        for (text, hours) in [("90d", 90 * 24), ("12h", 12), ("1d 12h", 36)] {
            let (before, until) = (now(), parse_expiry(text).unwrap());
            let wanted = std::time::Duration::from_hours(hours);
            assert!(before.plus(wanted) <= until && until <= now().plus(wanted), "{text}");
        }
        for wrong in ["", "soon", "90", "-1d", "2027-01-31"] {
            assert!(parse_expiry(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_is_listed_on_one_line_whatever_is_in_it() {
        let key = AccessKey {
            id: "0123456789ab".into(),
            role: Role::Client,
            name: "a\0\n\u{1b}[2J".to_owned(),
            hash: [0; 32],
            allowed_models: Vec::new(),
            created_at: Timestamp::from_millis(0),
            expires_at: Some(Timestamp::from_millis(5)),
            revoked_at: None,
            master_key_id: Some("5553898d".to_owned()),
        };
        let listed = line(Timestamp::from_millis(5), "5553898d", &key);
        assert!(
            listed.ends_with(r"  expired 1970-01-01T00:00:00.005Z  a\u{0}\n\u{1b}[2J"),
            "{listed}"
        );
    }
}
