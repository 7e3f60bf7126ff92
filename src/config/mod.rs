//! What a user can set: one file per section, default, bounds and unit beside each field.
//!
//! Values come from the command line, else from the environment, else from the file, else they are
//! defaults. Everything is read once, at start; nothing here is told to a running pool.

mod api_key;
mod bounds;
mod data;
mod database;
mod error;
mod events;
mod expand;
mod headers;
mod listen;
mod log;
mod provider;
mod relay;
mod routing;
mod secret;
mod secrets;
mod server;
mod show;
mod sources;
mod usage;

use std::path::Path;

use figment::Figment;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::domain::database_location::{DatabaseLocation, LocationError};

use bounds::Bounds;

pub use api_key::ApiKeyConfig;
pub use data::Data;
pub use database::Database;
pub use error::ConfigError;
pub use events::Events;
pub use listen::parse_listen;
pub use log::{FilterError, Log, LogFormat, parse_filter};
pub use provider::ProviderConfig;
pub use relay::Relay;
pub use routing::{AliasConfig, RouteConfig, Routing};
pub use secrets::Secrets;
pub use server::Server;
pub use sources::{Environment, FILE_NAME, Overrides};
pub use usage::Usage;

/// The whole configuration: read, typed and within bounds.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: Server,
    pub data: Data,
    pub database: Database,
    pub secrets: Secrets,
    pub relay: Relay,
    pub routing: Routing,
    pub usage: Usage,
    pub events: Events,
    pub log: Log,
    /// Providers owned by the file, read-only in the API.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderConfig>,
    /// Routes owned by the file, read-only in the API.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteConfig>,
    /// Aliases owned by the file, read-only in the API.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<AliasConfig>,
}

impl Config {
    /// Reads the configuration. `path` must exist when it is given; else [`FILE_NAME`] is read when
    /// it is in the working directory.
    ///
    /// Errors: [`ConfigError`], written for the person who has to correct it.
    pub fn load(
        path: Option<&Path>,
        environment: &Environment,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        for layer in sources::layers(path, environment, overrides)? {
            figment = figment.merge(layer);
        }
        // Lossy: a number or a boolean may come as text from the environment.
        let config: Self = figment.extract_lossy().map_err(ConfigError::from_figment)?;
        let mut bounds = Bounds::default();
        config.check(&mut bounds);
        bounds.finish(&figment)?;
        Ok(config)
    }

    /// Where the ledger is: as set, or the SQLite file in the data directory.
    ///
    /// Errors: what is set names no database. One that was [loaded](Self::load) does.
    pub fn database_location(&self) -> Result<DatabaseLocation, LocationError> {
        self.database.location_in(&self.data)
    }

    /// The same as text.
    pub fn database_url(&self) -> SecretString {
        self.database.url_in(&self.data)
    }

    /// The effective values as TOML, secrets masked, with sizes and times readable in comments.
    pub fn show_masked(&self) -> String {
        show::to_toml(self)
    }

    fn check(&self, bounds: &mut Bounds) {
        self.server.check(bounds);
        self.data.check(bounds);
        self.database.check(bounds);
        self.secrets.check(bounds);
        self.relay.check(bounds);
        self.usage.check(bounds);
        self.events.check(bounds);
        self.log.check(bounds);
        provider::check(&self.providers, bounds);
        routing::check(&self.routes, &self.aliases, self.routing.strategy, bounds);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    const EXAMPLE: &str = include_str!("../../deploy/providerpool.example.toml");

    const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    /// Loads a file with `text` under the given environment.
    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pool.toml");
        fs::write(&path, text).unwrap();
        let environment = environment.iter().copied().collect();
        Config::load(Some(&path), &environment, &Overrides::default())
            .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "pool.toml"))
    }

    fn refused(text: &str, environment: &[(&str, &str)]) -> String {
        load(text, environment).err().expect("the configuration was taken")
    }

    #[test]
    fn flags_go_over_environment_over_file_over_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pool.toml");
        fs::write(
            &path,
            "[relay]\ntimeout_ms = 1000\nidle_timeout_ms = 2000\nkeep_alive_ms = 3000",
        )
        .unwrap();
        let environment = [
            ("PROVIDERPOOL__RELAY__IDLE_TIMEOUT_MS", "4000"),
            ("PROVIDERPOOL__RELAY__KEEP_ALIVE_MS", "5000"),
            ("PROVIDERPOOL__RELAY__ASK_STREAM_USAGE", "false"),
            ("UNRELATED", "x"),
        ];
        let mut overrides = Overrides::default();
        overrides.set("--keep-alive", "relay.keep_alive_ms", 6000);
        let config =
            Config::load(Some(&path), &environment.into_iter().collect(), &overrides).ok().unwrap();

        assert_eq!(config.relay.connect_timeout_ms, 5_000);
        assert_eq!(config.relay.timeout_ms, 1_000);
        assert_eq!(config.relay.idle_timeout_ms, 4_000);
        assert_eq!(config.relay.keep_alive_ms, 6_000);
        assert!(!config.relay.ask_stream_usage);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
        assert_eq!(
            refused("[server]\nwokers = 3", &[]),
            "unknown key server.wokers (in pool.toml): did you mean server.workers?"
        );
        assert_eq!(
            refused("", &[("PROVIDERPOOL__SEVER__BIND", "127.0.0.1:1")]),
            "unknown key sever (in the environment variable PROVIDERPOOL__SEVER__BIND): \
             did you mean server?"
        );
        let nothing_like_it = refused("[data]\nzzz = 3", &[]);
        assert!(nothing_like_it.ends_with("known here: dir, min_free_bytes"), "{nothing_like_it}");
    }

    #[test]
    fn a_value_out_of_bounds_is_named_with_its_range() {
        assert_eq!(
            refused("[server]\nworkers = 5000\n[database]\npool_size = 0", &[]),
            "server.workers is 5000 (in pool.toml): must be 0 to 1024 threads\n\
             database.pool_size is 0 (in pool.toml): must be 1 to 128 connections"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_and_a_secret_one_not_shown() {
        assert_eq!(
            refused("[server]\nworkers = \"many\"", &[]),
            "server.workers (in pool.toml): must be a whole number, not the text \"many\""
        );
        let secret = refused(
            "[[providers]]\nid = \"a\"\nbase_url = \"https://a.test\"\napi_keys = \"sk-1\"",
            &[],
        );
        assert_eq!(secret, "providers.0.api_keys (in pool.toml): must be a list, not a text");
        let schemeless = refused("[[providers]]\nid = \"a\"\nbase_url = \"//u:pw@h/v1\"", &[]);
        let words = "providers.0.base_url (in pool.toml): must begin with http:// or https://";
        assert_eq!(schemeless, words);
        let unset = refused("[[providers]]\nid = \"a\"", &[]);
        assert_eq!(unset, "providers.0.base_url is missing (in pool.toml)");
    }

    #[test]
    fn a_route_that_is_none_is_named_by_its_place() {
        assert_eq!(
            refused("[[routes]]\nname = \"*a*\"", &[]),
            "routes.0.name (in pool.toml): a pattern may hold one '*' and no more"
        );
        let strategy = refused("[routing]\nstrategy = \"cheapest\"", &[]);
        assert!(
            strategy.starts_with("routing.strategy is cheapest (in pool.toml): must be one of")
        );
        let unknown = refused("[[routes]]\nname = \"a\"\ntarget = []", &[]);
        assert!(unknown.ends_with("did you mean routes.0.targets?"), "{unknown}");
    }

    #[test]
    fn a_key_may_be_a_table_and_what_is_wrong_in_it_is_named() {
        let key = |rest: &str| {
            let provider = "[[providers]]\nid = \"a\"\nbase_url = \"https://a.test\"\n";
            format!("{provider}api_keys = [\"sk-1\", {{ key = \"${{KEY}}\", {rest} }}]")
        };
        let environment = [("KEY", "sk-2")];
        let config = load(&key("weight = 3"), &environment).ok().unwrap();
        let keys = &config.providers[0].api_keys;
        assert_eq!((keys[0].key.expose_secret(), keys[0].weight), ("sk-1", 1));
        assert_eq!((keys[1].key.expose_secret(), keys[1].weight), ("sk-2", 3));

        let place = "providers.0.api_keys.1";
        assert_eq!(
            refused(&key("wieght = 3"), &environment),
            format!("unknown key {place}.wieght (in pool.toml): did you mean {place}.weight?")
        );
        assert_eq!(
            refused(&key("weight = \"sk-3\""), &environment),
            format!("{place}.weight (in pool.toml): must be a whole number, not a text")
        );
        assert_eq!(
            refused(&key("max_in_flight = 0"), &environment),
            format!("{place}.max_in_flight (in pool.toml): must be 1 to 100000")
        );
    }

    #[test]
    fn a_file_that_is_not_toml_is_shown_by_line_and_never_by_content() {
        let error = refused("[secrets]\nmaster_key = \"c2VjcmV0", &[]);
        assert!(error.starts_with("pool.toml, line 2:"), "{error}");
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }

    #[test]
    fn a_variable_that_lacks_an_underscore_is_refused_and_what_is_not_ours_is_left_alone() {
        for (name, meant) in [
            ("PROVIDERPOOL_RELAY_TIMEOUT_MS", "PROVIDERPOOL__RELAY__TIMEOUT_MS"),
            ("PROVIDERPOOL_RELAY__TIMEOUT_MS", "PROVIDERPOOL__RELAY__TIMEOUT_MS"),
            ("PROVIDERPOOL_DATABASE_URL", "PROVIDERPOOL__DATABASE__URL"),
            ("PROVIDERPOOL_PROVIDERS", "PROVIDERPOOL__PROVIDERS"),
        ] {
            let words =
                format!("the environment variable {name} sets nothing: did you mean {meant}?");
            assert_eq!(refused("", &[(name, "hunter2")]), words);
            assert!(load("", &[(name, "")]).is_ok(), "{name} is empty");
        }
        for name in [
            "PROVIDERPOOL_BIN",
            "PROVIDERPOOL_SERVICE_HOST",
            "PROVIDERPOOL_SERVER",
            "X_RELAY_TIMEOUT_MS",
        ] {
            assert!(load("", &[(name, "x")]).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_given_file_must_exist() {
        let missing = Path::new("no/such/pool.toml");
        let result = Config::load(Some(missing), &Environment::default(), &Overrides::default());
        let error = result.err().unwrap().to_string();
        assert!(error.starts_with("cannot read no/such/pool.toml: "), "{error}");
    }

    #[test]
    fn variables_and_files_are_put_into_values() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        fs::write(&key, format!("{MASTER_KEY}\n")).unwrap();
        let text = "[server]\nworkers = \"${N}\"\n[secrets]\nmaster_key = \"file:${DIR}/key\"\n\
                    [data]\ndir = \"$${N}-${N}\"";
        let environment = [("N", "3"), ("DIR", directory.path().to_str().unwrap())];
        let config = load(text, &environment).ok().unwrap();

        assert_eq!(config.server.workers, 3);
        assert_eq!(config.data.dir, Path::new("${N}-3"));
        assert_eq!(config.secrets.master_key.unwrap().expose_secret(), MASTER_KEY);
        assert_eq!(
            refused("[data]\ndir = \"${NOWHERE}\"", &[]),
            "data.dir (in pool.toml): the environment variable NOWHERE is not set"
        );
    }

    #[test]
    fn the_database_is_a_file_in_the_data_directory_unless_it_is_set() {
        let url = |environment: &[(&str, &str)]| {
            let config = load("[data]\ndir = \"d\"", environment).ok().unwrap();
            config.database_url().expose_secret().to_owned()
        };
        assert_eq!(url(&[]), "d/providerpool.db");
        assert_eq!(url(&[("DATABASE_URL", "")]), "d/providerpool.db");
        assert_eq!(url(&[("DATABASE_URL", "postgres://h/a")]), "postgres://h/a");
        let both = [("DATABASE_URL", "x"), ("PROVIDERPOOL__DATABASE__URL", "postgres://h/b")];
        assert_eq!(url(&both), "postgres://h/b");
    }

    #[test]
    fn the_example_with_every_line_switched_on_is_taken_and_its_settings_are_the_defaults() {
        let switched_on: Vec<&str> = EXAMPLE
            .lines()
            .map(|line| {
                line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line)
            })
            .filter(|line| !line.starts_with('#'))
            .collect();
        let environment = [("ACME_API_KEY", "sk-1")];
        let mut config =
            load(&switched_on.join("\n"), &environment).unwrap_or_else(|error| panic!("{error}"));
        let lists = (&mut config.providers, &mut config.routes, &mut config.aliases);
        let taken =
            (lists.0.drain(..).count(), lists.1.drain(..).count(), lists.2.drain(..).count());
        assert_eq!(taken, (1, 1, 1), "the examples of lists were not switched on");
        assert_eq!(config.show_masked(), Config::default().show_masked());
        for line in config.show_masked().lines().filter(|line| line.contains(" = ")) {
            let line = line.split(" #").next().unwrap();
            assert!(EXAMPLE.contains(&format!("\n#{line}")), "the example lacks {line}");
        }
    }
}
