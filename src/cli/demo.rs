//! `providerpool demo`: the whole pool, with three simulated providers, in memory.

mod simulated;

use std::{
    collections::BTreeMap,
    fs::DirBuilder,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::ExitCode,
};

use secrecy::{ExposeSecret, SecretString};

use super::{print, serve};
use crate::{
    app::{App, FirstKeys},
    config::{Config, Environment, ProviderConfig},
    domain::{
        id::{ModelName, ProviderId, RequestId},
        model::ServedModel,
        provider::{ApiFormat, Location},
        route::CredentialStrategy,
    },
    telemetry,
};

/// The model all three serve.
const MODEL: &str = "demo";

/// The simulated providers, in the order in which they are asked.
const PROVIDERS: [(&str, &str, i32); 3] = [
    ("flaky", "Fails three times of four", 30),
    ("steady", "Always answers", 20),
    ("slow", "Takes its time", 10),
];

pub fn run(mut config: Config) -> anyhow::Result<ExitCode> {
    config.log.level = "warn".to_owned();
    telemetry::init(&config.log)?;
    let folder = Folder::create()?;
    actix_web::rt::System::new().block_on(async {
        let simulated = simulated::start()?;
        let config = configure(config, folder.path(), simulated)?;
        let app = App::start(config, &Environment::default(), serve::give_up()).await?;
        if let Some(keys) = &app.first_keys {
            print_what_to_try(app.address, keys)?;
        }
        serve::until_told_to_stop(app).await
    })
}

/// A folder that goes with the demo.
struct Folder(std::path::PathBuf);

impl Folder {
    fn create() -> std::io::Result<Self> {
        // Others may write to the same place: the name cannot be guessed, and must be new.
        let path =
            std::env::temp_dir().join(format!("providerpool-demo-{}", RequestId::generate()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("providerpool: {} could not be removed: {error}", self.0.display());
        }
    }
}

/// The user's configuration with everything that is kept moved into memory or the demo's folder.
fn configure(mut config: Config, folder: &Path, simulated: SocketAddr) -> anyhow::Result<Config> {
    if config.server.reachable_by_others().is_some() {
        // Everybody may use what is shown here, and there is no admin key before it starts.
        config.server.bind.set_ip(Ipv4Addr::LOCALHOST.into());
        config.server.management_bind = None;
    }
    config.database.url = Some(SecretString::from(":memory:"));
    config.data.dir = folder.to_owned();
    config.secrets.master_key = None;
    config.secrets.master_key_file = None;
    config.providers = PROVIDERS
        .into_iter()
        .map(|(id, name, priority)| {
            Ok(ProviderConfig {
                id: ProviderId::parse(id)?,
                name: Some(name.to_owned()),
                base_url: format!("http://{simulated}/{id}").parse()?,
                location: Location::Local,
                api_format: Some(ApiFormat::Openai),
                chat_path: None,
                also_speaks: Vec::new(),
                priority,
                enabled: true,
                models: vec![ServedModel::named(ModelName::parse(MODEL)?)],
                api_keys: vec![format!("sk-simulated-{id}").into()],
                credential_strategy: CredentialStrategy::default(),
                rules: Vec::new(),
                attempt_timeout_ms: None,
                cooling: None,
                headers: BTreeMap::new(),
            })
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(config)
}

fn print_what_to_try(address: SocketAddr, keys: &FirstKeys) -> anyhow::Result<()> {
    let (admin, client) = (keys.admin.expose_secret(), keys.client.expose_secret());
    print(&format!(
        r#"providerpool demo on http://{address} with three simulated providers:
  flaky (asked first, fails three times of four), steady, slow. Nothing is kept.

1. A request. The headers tell who answered, after how many attempts:
  curl -si http://{address}/v1/chat/completions -H 'Authorization: Bearer {client}' \
    -H 'Content-Type: application/json' \
    -d '{{"model":"{MODEL}","messages":[{{"role":"user","content":"Say hello."}}]}}'

2. A stream:
  curl -sN http://{address}/v1/chat/completions -H 'Authorization: Bearer {client}' \
    -H 'Content-Type: application/json' \
    -d '{{"model":"{MODEL}","stream":true,"messages":[{{"role":"user","content":"Say hello."}}]}}'

3. Failover: the same request ten times. Every answer is good, and flaky is soon left alone:
  for i in 1 2 3 4 5 6 7 8 9 10; do
    curl -s -o /dev/null -w '%{{http_code}} %header{{x-providerpool-provider}} after %header{{x-providerpool-attempts}}\n' \
      http://{address}/v1/chat/completions -H 'Authorization: Bearer {client}' \
      -H 'Content-Type: application/json' \
      -d '{{"model":"{MODEL}","messages":[{{"role":"user","content":"Say hello."}}]}}'
  done
  curl -s http://{address}/api/v1/cooldowns -H 'Authorization: Bearer {admin}'

4. The live event stream, in a second terminal while you repeat 3 (a WebSocket, so each event
   comes with a few bytes of framing):
  curl -sN --http1.1 --output - 'http://{address}/api/v1/events?since=0' \
    -H 'Authorization: Bearer {admin}' -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
    -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: c2l4dGVlbiBieXRlcyE9PQ=='

5. What it came to:
  curl -s http://{address}/api/v1/usage -H 'Authorization: Bearer {admin}'

Stop with Ctrl-C.
"#
    ))
}
