//! `providerpool keys`: the keys callers present, made and revoked without a running pool.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use secrecy::ExposeSecret;

use crate::{
    actors::{access_keys::mint, clock::now},
    app::Storage,
    config::Config,
    domain::{
        access_key::{AccessKey, Role},
        id::KeyId,
    },
    persistence::repo::access_keys,
};

#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, this once, on the last line
    Create {
        #[arg(long, value_enum)]
        role: RoleArg,
        /// Your name for it
        #[arg(long, default_value = "made by the keys command")]
        name: String,
    },
    /// List all keys, revoked ones too
    List,
    /// Revoke a key; a running pool knows within seconds
    Revoke {
        /// The middle part of the key, as 'keys list' shows it
        id: String,
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
    let storage = Storage::open(config)?;
    let connection = &mut *storage.pool.get()?;
    match command {
        KeysCommand::Create { role, name } => {
            let name = name.trim();
            if name.is_empty() || name.chars().count() > 128 {
                anyhow::bail!("--name must have 1 to 128 characters");
            }
            let keys = &storage.access_keys;
            let minted = mint(now(), keys, role.into(), name.to_owned(), Vec::new());
            access_keys::insert(connection, &minted.key)?;
            eprintln!("This key is shown this once and is not stored:");
            println!("{}", minted.presented.expose_secret());
        }
        KeysCommand::List => {
            let keys = access_keys::load(connection)?;
            for key in &keys.rows {
                println!("{}", line(key));
            }
            if !keys.unreadable.is_empty() {
                eprintln!("{} more cannot be read and open nothing:", keys.unreadable.len());
            }
            for corrupt in keys.unreadable {
                eprintln!("{corrupt}");
            }
        }
        KeysCommand::Revoke { id } => {
            let id = KeyId::from(id);
            let keys = access_keys::load(connection)?.rows;
            let mut admins =
                keys.iter().filter(|k| k.role == Role::Admin && k.revoked_at.is_none());
            if admins.next().is_some_and(|key| key.id == id) && admins.next().is_none() {
                anyhow::bail!("key {id} is the last admin key; create another one first");
            }
            if !access_keys::revoke(connection, &id, now())? {
                anyhow::bail!("key {id} does not exist or is revoked already");
            }
            println!("key {id} is revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(key: &AccessKey) -> String {
    let state = match key.revoked_at {
        Some(at) => format!("revoked {at}"),
        None => "in use".to_owned(),
    };
    let (id, role) = (&key.id, key.role.as_str());
    format!("{id}  {role:6}  {}  {state}  {}", key.created_at, key.name)
}
