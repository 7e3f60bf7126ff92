//! The released binary in place of the application in the test's own process: the one that
//! `PROVIDERPOOL_BIN` names, as a process of its own.

use std::{fs, ops::Deref, thread};

use providerpool::config::Config;
use secrecy::ExposeSecret as _;

use super::{
    Pool,
    app::{small, turn_to_start},
    process::{Process, Workplace, released},
    tell, within,
};

/// A running process of the released binary. Killed when dropped.
pub struct Released {
    pool: Pool,
    process: Process,
    /// Goes after the process that runs in it.
    _workplace: Workplace,
}

impl Deref for Released {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

impl Released {
    /// Whether there is a binary that was released. Says by name what runs through it.
    pub fn is_there(test: &str) -> bool {
        let binary = released();
        if let Some(binary) = &binary {
            tell(&format!("THROUGH {}: {test}", binary.display()));
        }
        binary.is_some()
    }

    /// Starts it with a configuration in which this is different from the usual.
    pub async fn start(arrange: impl FnOnce(&mut Config)) -> Self {
        let workplace = Workplace::new("");
        let mut config = small(&workplace.path("."));
        arrange(&mut config);
        fs::write(workplace.path("providerpool.toml"), to_toml(&config)).unwrap();
        let _turn = turn_to_start().await;
        // Elsewhere: the test's thread also plays the providers of others.
        let start = move || {
            let mut process = workplace.start(&["serve"]);
            let key_in = |line: String| line.split(' ').next_back().unwrap().to_owned();
            let keys = ["admin key", "client key"].map(|name| key_in(process.line_with(name)));
            (process, keys, workplace)
        };
        let started = within("the start", tokio::task::spawn_blocking(start)).await;
        let (process, [admin, client], workplace) = started.unwrap();
        let pool = Pool::at(process.address, (admin, client), &config);
        Self { pool, process, _workplace: workplace }
    }
}

impl Drop for Released {
    /// A panic in it is a fault, whatever its clients saw of it.
    fn drop(&mut self) {
        let said = self.process.said();
        assert!(thread::panicking() || !said.contains("panicked"), "{said}");
    }
}

/// A configuration as a file says it, with the keys of its providers.
fn to_toml(config: &Config) -> String {
    let mut file = toml::Table::try_from(config).unwrap();
    let shown = file.get_mut("providers").and_then(toml::Value::as_array_mut);
    for (shown, provider) in shown.into_iter().flatten().zip(&config.providers) {
        let keys = provider.api_keys.iter().map(|key| key.key.expose_secret().into());
        let keys = toml::Value::Array(keys.collect());
        shown.as_table_mut().unwrap().insert("api_keys".into(), keys);
    }
    file.to_string()
}
