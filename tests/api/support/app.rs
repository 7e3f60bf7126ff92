//! The application under test, started as `serve` starts it, with everything it needs its own.

use std::{net::SocketAddr, sync::Arc, thread};

use actix::System;
use providerpool::{
    actors::{access_keys::CreateAccessKey, discovery::Snapshot},
    app::{App, Stopped},
    config::{Config, Environment, ProviderConfig},
    domain::{
        access_key::{NewKey, Role},
        id::ModelName,
        model::ServedModel,
        provider::{ApiFormat, Location},
        route::CredentialStrategy,
    },
    http::Actors,
};
use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{
    Database, EventStream, Reply, Streaming, Upstream, eventually,
    script::{DONE, Gate, content, finish, gate, role, stream},
    within,
};

/// How a test's application differs from the usual: one provider `acme` with one key.
pub struct Setup {
    /// Keys of `acme`: `sk-acme-1`, `sk-acme-2`, …
    pub keys: usize,
    /// Whether there is a provider `backup`, less preferred, with the key `sk-backup-1`.
    pub backup: bool,
    /// Whether nobody listens at `acme`'s address until its upstream recovers.
    pub refusing: bool,
    /// What `acme` speaks, where that is not left to be found out.
    pub speaks: Option<ApiFormat>,
    pub environment: &'static [(&'static str, &'static str)],
    /// Which models and routes there are. Comes before `configure`.
    pub lay_out: fn(&mut Config),
    pub configure: fn(&mut Config),
    /// What else is different about it. Comes last.
    pub arrange: Box<dyn FnOnce(&mut Config)>,
    pub database: Database,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            keys: 1,
            backup: false,
            refusing: false,
            speaks: None,
            environment: &[],
            lay_out: |_| {},
            configure: |_| {},
            arrange: Box::new(|_| {}),
            database: Database::File,
        }
    }
}

/// A running application and its callers.
pub struct TestApp {
    pub actors: Actors,
    pub admin_key: String,
    pub client_key: String,
    /// Behind the provider `acme`.
    pub upstream: Upstream,
    /// Behind the provider `backup`.
    pub backup: Upstream,
    pub config: Config,
    environment: &'static [(&'static str, &'static str)],
    address: SocketAddr,
    running: Running,
    disk: Arc<Disk>,
    http: Client,
}

/// What outlives a restart, and goes when neither test nor application need it any more.
struct Disk {
    folder: TempDir,
    _database: Database,
}

struct Running {
    stop: Option<oneshot::Sender<()>>,
    stopped: Option<oneshot::Receiver<Stopped>>,
}

struct Started {
    address: SocketAddr,
    actors: Actors,
    /// Those of the admin and the client.
    first_keys: Option<(String, String)>,
    running: Running,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// With a second provider to go to.
    pub async fn with_backup() -> Self {
        Self::with(Setup { backup: true, ..Setup::default() }).await
    }

    pub async fn configured(configure: fn(&mut Config)) -> Self {
        Self::with(Setup { configure, ..Setup::default() }).await
    }

    /// `acme` speaks this.
    pub async fn speaking(format: ApiFormat) -> Self {
        Self::with(Setup { speaks: Some(format), ..Setup::default() }).await
    }

    pub async fn with(setup: Setup) -> Self {
        // Fails when another test was first, which is just as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let upstream = if setup.refusing { Upstream::refusing() } else { Upstream::start() };
        let backup = Upstream::start();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.bind = "127.0.0.1:0".parse().unwrap();
        config.server.workers = 2;
        config.server.drain_timeout_ms = 200;
        config.data.dir = folder.path().join("data");
        config.database.pool_size = 2;
        config.database.url = setup.database.url().map(Into::into);
        let acme = provider("acme", 20, upstream.address, setup.keys);
        config
            .providers
            .push(ProviderConfig { api_format: setup.speaks.or(acme.api_format), ..acme });
        if setup.backup {
            config.providers.push(provider("backup", 10, backup.address, 1));
        }
        (setup.lay_out)(&mut config);
        (setup.configure)(&mut config);
        (setup.arrange)(&mut config);
        let disk = Arc::new(Disk { folder, _database: setup.database });
        let started = launch(&config, setup.environment, &disk).await.unwrap();
        let (admin_key, client_key) = started.first_keys.expect("a first start makes keys");
        let http = Client::builder().no_proxy().build().unwrap();
        Self {
            actors: started.actors,
            admin_key,
            client_key,
            upstream,
            backup,
            config,
            environment: setup.environment,
            address: started.address,
            running: started.running,
            disk,
            http,
        }
    }

    /// Waits until the provider behind an upstream has been asked what it speaks, with the usual number
    /// of questions, and lets it count anew.
    pub async fn is_asked_what_it_speaks(&self, upstream: &Upstream) {
        eventually("the provider is asked", async || {
            let view = self.actors.discovery.send(Snapshot).await.unwrap();
            let is_done = upstream.calls() >= 14 && (view.under_way, view.waiting) == (0, 0);
            is_done.then_some(())
        })
        .await;
        upstream.forget_calls();
    }

    /// Stops in order.
    pub async fn stop(&mut self) -> Stopped {
        self.running.stop.take();
        let stopped = self.running.stopped.take().expect("it runs");
        within("the stop", stopped).await.unwrap()
    }

    /// Begins to stop, and does not wait for it.
    pub fn begin_stop(&mut self) -> oneshot::Receiver<Stopped> {
        self.running.stop.take();
        self.running.stopped.take().expect("it runs")
    }

    /// Stops in order and starts again on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await.unwrap();
    }

    /// Starts again after [`Self::stop`].
    ///
    /// Errors: what keeps it from starting.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let started = launch(&self.config, self.environment, &self.disk).await?;
        assert!(started.first_keys.is_none(), "keys were made anew");
        self.actors = started.actors;
        self.address = started.address;
        self.running = started.running;
        Ok(())
    }

    pub fn folder(&self) -> &std::path::Path {
        self.disk.folder.path()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request without any key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// A request to the relay.
    pub fn relay(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, "/v1/chat/completions").bearer_auth(&self.client_key).body(body)
    }

    /// Asks for a whole answer.
    pub async fn chat(&self, text: &str) -> Reply {
        Reply::to(self.relay(chat_body(text, false).to_string())).await
    }

    /// Asks for a stream.
    pub async fn stream(&self, text: &str) -> Streaming {
        Streaming::to(self.relay(chat_body(text, true).to_string())).await
    }

    /// Begins a stream that comes to this upstream, and goes on when the gate is opened.
    pub async fn hold_one(&self, upstream: &Upstream) -> (Gate, Streaming) {
        let (gate, opened) = gate();
        let held = stream().send(role()).send(content("Hello")).wait(opened);
        upstream.next(held.send(finish()).send(DONE));
        let mut streaming = self.stream("hello").await;
        streaming.until("Hello").await;
        (gate, streaming)
    }

    /// A request to the management.
    pub fn manage(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(&self.admin_key)
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::to(self.manage(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        Reply::to(with_json(self.manage(Method::POST, path), &body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        Reply::to(with_json(self.manage(Method::PATCH, path), &body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        Reply::to(with_json(self.manage(Method::PUT, path), &body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        Reply::to(self.manage(Method::DELETE, path)).await
    }

    /// Makes an admin key past the API, as the command `keys create` does.
    pub async fn mint_admin_key(&self) -> String {
        let (name, allowed_models, expires_at) = ("another".into(), vec![], None);
        let new = NewKey { role: Role::Admin, name, allowed_models, expires_at };
        let create = CreateAccessKey(new);
        let minted = self.actors.access_keys.send(create).await.unwrap().unwrap();
        minted.presented.expose_secret().to_owned()
    }

    /// The totals of the whole ledger, added up over providers and models.
    pub async fn ledger(&self) -> Ledger {
        let usage = self.get("/api/v1/usage?period=all").await;
        assert_eq!(usage.status, 200, "{}", usage.text());
        let sum = |field: &str| {
            let totals = usage.json["totals"].as_array().unwrap().iter();
            totals.map(|line| line.pointer(field).unwrap().as_u64().unwrap()).sum()
        };
        Ledger {
            requests: sum("/requests"),
            completed: sum("/completed"),
            failed: sum("/failed"),
            cancelled: sum("/cancelled"),
            input: sum("/tokens/input"),
            output: sum("/tokens/output"),
        }
    }

    /// The trace of a request, as soon as it is there.
    pub async fn trace(&self, id: &str) -> Value {
        let path = format!("/api/v1/requests/{id}/trace");
        eventually("the trace", async || {
            Some(self.get(&path).await).filter(|trace| trace.status == 200)
        })
        .await
        .json
    }

    /// The cooldowns that hold now.
    pub async fn cooldowns(&self) -> Vec<Value> {
        let reply = self.get("/api/v1/cooldowns").await;
        reply.json["cooldowns"].as_array().unwrap().clone()
    }

    /// The value of a counter or gauge, named with its labels.
    pub async fn metric(&self, name: &str) -> i64 {
        let page = self.get("/metrics").await;
        let line = page.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Subscribes to events; `query` begins with `?` or is empty. The hello has been read.
    pub async fn events(&self, query: &str) -> EventStream {
        let mut events = self.try_events(query, &self.admin_key, None).await.unwrap();
        assert_eq!(events.next().await["type"], "system.hello");
        events
    }

    pub async fn try_events(
        &self,
        query: &str,
        key: &str,
        origin: Option<&str>,
    ) -> Result<EventStream, u16> {
        let url = format!("ws://{}/api/v1/events{query}", self.address);
        EventStream::open(&url, key, origin).await
    }
}

/// The part of a caller's key that nobody may learn.
pub fn secret_of(key: &str) -> &str {
    key.splitn(3, '_').nth(2).unwrap()
}

/// The ledger in numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub requests: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub input: u64,
    pub output: u64,
}

pub fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

pub fn chat_body(text: &str, stream: bool) -> Value {
    json!({
        "model": "test-model", "stream": stream,
        "messages": [{"role": "user", "content": text}],
    })
}

/// Asks for a whole answer of a model.
pub fn named_body(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// A model of the configuration.
pub fn served(name: &str, upstream_name: Option<&str>) -> ServedModel {
    let parse = |name| ModelName::parse(name).unwrap();
    ServedModel { upstream_name: upstream_name.map(parse), ..ServedModel::named(parse(name)) }
}

/// A provider of the configuration, on loopback. It speaks Chat Completions.
pub fn provider(id: &str, priority: i32, upstream: SocketAddr, keys: usize) -> ProviderConfig {
    ProviderConfig {
        id: id.parse().unwrap(),
        name: None,
        base_url: format!("http://{upstream}").parse().unwrap(),
        location: Location::Local,
        api_format: Some(ApiFormat::Openai),
        chat_path: None,
        also_speaks: Vec::new(),
        priority,
        enabled: true,
        models: Vec::new(),
        api_keys: (1..=keys).map(|n| format!("sk-{id}-{n}").into()).collect(),
        credential_strategy: CredentialStrategy::default(),
        rules: Vec::new(),
        attempt_timeout_ms: None,
        cooling: None,
        headers: std::collections::BTreeMap::new(),
    }
}

/// Starts the application on a thread of its own, where it goes on when the test's thread is busy.
async fn launch(
    config: &Config,
    environment: &[(&'static str, &'static str)],
    disk: &Arc<Disk>,
) -> anyhow::Result<Started> {
    let (config, disk) = (config.clone(), Arc::clone(disk));
    let environment: Environment = environment.iter().copied().collect();
    let (tell, told) = oneshot::channel();
    let (stop, asked_to_stop) = oneshot::channel::<()>();
    let (tell_stopped, stopped) = oneshot::channel();
    thread::spawn(move || {
        System::new().block_on(async move {
            let give_up = Arc::new(|actor| panic!("the pool gave up on {actor}"));
            let app = match App::start(config, &environment, give_up).await {
                Ok(app) => app,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let first_keys = app.first_keys.as_ref().map(|keys| {
                let shown = |key: &secrecy::SecretString| key.expose_secret().to_owned();
                (shown(&keys.admin), shown(&keys.client))
            });
            let running = Running { stop: Some(stop), stopped: Some(stopped) };
            let (address, actors) = (app.address, app.actors.clone());
            drop(tell.send(Ok(Started { address, actors, first_keys, running })));
            // Also when the test is over: then the other end is dropped.
            let _ = asked_to_stop.await;
            // A test that is over does not ask.
            let _ = tell_stopped.send(app.stop().await);
        });
        drop(disk);
    });
    within("the start", told).await.unwrap()
}
