//! The commands: serve, demo, check-config, migrate, keys, health. What they print is for people.

mod demo;
mod greeting;
mod health;
mod keys;
mod serve;

use std::{
    io::{self, ErrorKind, Write as _, stdout},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::{
    app::{NoAdminKey, StorageError, check_providers, check_routes, has_database, open_pool},
    config::{Config, ConfigError, Environment, Overrides, parse_listen},
    domain::{provider::HeaderError, rule::RulesError, setting::InvalidSetting},
    gateway::upstream::{BaseUrlError, UpstreamSettings, UpstreamSetupError},
    persistence::{connection::OpenError, migrate},
    telemetry::{self, TelemetryError},
};

/// A pool of LLM providers behind one address.
#[derive(Parser)]
#[command(name = "providerpool", version, about)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Settings that can be given on the command line. They go over the environment and the file.
#[derive(Args)]
struct SettingsArgs {
    /// Configuration file [default: providerpool.toml, if it is there]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:4100]
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = parse_listen)]
    bind: Option<SocketAddr>,
    /// Directory of the database, the journal and the master key [default: data]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Database: a SQLite file or a postgres:// URL [default: in the data directory]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the pool (the default)
    Serve,
    /// Run a pool with three simulated providers, and forget it afterwards
    Demo,
    /// Show the settings in effect, with secrets masked
    CheckConfig,
    /// Bring the database to this version
    Migrate {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Make, list and revoke the keys that callers present
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Ask a running pool whether it is alive; for container health checks
    Health,
}

/// Exit code for what a person has to set right first. A supervisor need not try again.
const EXIT_USAGE: u8 = 2;

/// Runs the program as the command line says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("providerpool: {}", in_words(&error));
            if is_usage(&error) { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// Whether a person has to change something before another try makes sense.
fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<ConfigError>()
        || error.is::<NoAdminKey>()
        || error.is::<BaseUrlError>()
        || error.is::<HeaderError>()
        || error.is::<RulesError>()
        || error.is::<InvalidSetting>()
        || error.is::<TelemetryError>()
        || matches!(error.downcast_ref(), Some(UpstreamSetupError::Proxy(_)))
        || matches!(
            error.downcast_ref(),
            Some(StorageError::MasterKey(_) | StorageError::Database(OpenError::Location(_)))
        )
}

/// An error with its causes, but for those that it has told already.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !words.ends_with(&cause) {
            words += if words.is_empty() { "" } else { ": " };
            words += &cause;
        }
    }
    words
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let environment = Environment::of_process();
    let config = cli.settings.load(&environment)?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(config, &environment),
        Command::Demo => demo::run(config),
        Command::CheckConfig => {
            telemetry::check(&config.log)?;
            UpstreamSettings::check_environment()?;
            check_providers(&config)?;
            let doubts = check_routes(&config, &environment)?;
            for doubt in &doubts {
                eprintln!("providerpool: warning: {doubt}");
            }
            if !doubts.is_empty() {
                eprintln!("providerpool: what was made by the API is not looked at here");
            }
            show(&config.show_masked())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Migrate { dry_run } => migrate_database(&config, dry_run),
        Command::Keys(command) => keys::run(&config, command),
        Command::Health => health::run(&config),
    }
}

impl SettingsArgs {
    fn load(&self, environment: &Environment) -> Result<Config, ConfigError> {
        let mut overrides = Overrides::default();
        if let Some(bind) = &self.bind {
            overrides.set("--bind", "server.bind", bind);
        }
        if let Some(data_dir) = &self.data_dir {
            overrides.set("--data-dir", "data.dir", data_dir);
        }
        if let Some(url) = &self.database_url {
            overrides.set("--database-url", "database.url", url);
        }
        Config::load(self.config.as_deref(), environment, &overrides)
    }
}

fn migrate_database(config: &Config, dry_run: bool) -> anyhow::Result<ExitCode> {
    let (names, done) = if dry_run && !has_database(config)? {
        (migrate::known()?, "would apply")
    } else {
        let pool = open_pool(config)?;
        let connection = &mut *pool.get()?;
        if dry_run {
            (migrate::pending(connection)?, "would apply")
        } else {
            (migrate::run(connection)?, "applied")
        }
    };
    for name in &names {
        show(&format!("{done} {name}\n"))?;
    }
    if names.is_empty() {
        show("the database is of this version\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what must have been seen.
///
/// Errors: it cannot be written.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.context("cannot write to the standard output")
}

/// Prints what may be looked at in part: who reads only the beginning has seen what they wanted.
///
/// Errors: it cannot be written.
fn show(text: &str) -> anyhow::Result<()> {
    let is_unread = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    print(text).or_else(|error| {
        if error.downcast_ref().is_some_and(is_unread) { Ok(()) } else { Err(error) }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::App;

    /// What keeps a pool with this provider from starting.
    async fn refusal(provider: &str) -> anyhow::Error {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pool.toml");
        std::fs::write(&file, format!("[[providers]]\nid = \"acme\"\n{provider}")).unwrap();
        let environment = Environment::default();
        let mut config = Config::load(Some(&file), &environment, &Overrides::default()).unwrap();
        config.data.dir = folder.path().join("data");
        config.server.bind = "127.0.0.1:0".parse().unwrap();
        App::start(config, &environment, Arc::new(|_| {})).await.err().expect("it was taken")
    }

    #[actix_web::test]
    async fn a_provider_that_cannot_be_is_told_once_and_is_no_reason_to_try_again() {
        let error = refusal("base_url = \"http://10.0.0.7/v1\"").await;
        assert!(is_usage(&error));
        assert_eq!(
            in_words(&error),
            "provider acme: the base URL cannot be used: 10.0.0.7 is a private or loopback address, \
             which is only called for a local provider (location = \"local\")"
        );
    }
}
