//! The application under test, started as `serve` starts it, with everything it needs its own.

use std::{
    net::SocketAddr,
    ops::{Deref, DerefMut},
    path::Path,
    sync::{Arc, LazyLock},
    thread,
};

use actix::System;
use providerpool::{
    actors::{access_keys::CreateAccessKey, discovery::ShowDiscovery},
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
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::{
    Database, Pool, Streaming, Upstream, eventually,
    pool::install_tls,
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
    /// Behind the provider `acme`.
    pub upstream: Upstream,
    /// Behind the provider `backup`.
    pub backup: Upstream,
    pub config: Config,
    environment: &'static [(&'static str, &'static str)],
    pool: Pool,
    running: Running,
    disk: Arc<Disk>,
}

impl Deref for TestApp {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

impl DerefMut for TestApp {
    fn deref_mut(&mut self) -> &mut Pool {
        &mut self.pool
    }
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
        install_tls();
        let upstream = if setup.refusing { Upstream::refusing() } else { Upstream::start() };
        let backup = Upstream::start();
        let folder = tempfile::tempdir().unwrap();
        let mut config = small(folder.path());
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
        let keys = started.first_keys.expect("a first start makes keys");
        Self {
            actors: started.actors,
            upstream,
            backup,
            environment: setup.environment,
            pool: Pool::at(started.address, keys, &config),
            config,
            running: started.running,
            disk,
        }
    }

    /// Waits until the provider behind an upstream has been asked what it speaks, with the usual number
    /// of questions, and lets it count anew.
    pub async fn is_asked_what_it_speaks(&self, upstream: &Upstream) {
        eventually("the provider is asked", async || {
            let view = self.actors.discovery.send(ShowDiscovery).await.unwrap();
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
        self.pool.address = started.address;
        self.running = started.running;
        Ok(())
    }

    pub fn folder(&self) -> &Path {
        self.disk.folder.path()
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

    /// Makes an admin key past the API, as the command `keys create` does.
    pub async fn mint_admin_key(&self) -> String {
        let (name, allowed_models, expires_at) = ("another".into(), vec![], None);
        let new = NewKey { role: Role::Admin, name, allowed_models, expires_at };
        let create = CreateAccessKey(new);
        let minted = self.actors.access_keys.send(create).await.unwrap().unwrap();
        minted.presented.expose_secret().to_owned()
    }
}

/// The configuration of a pool that shares a machine with others, and keeps its data in this folder.
pub(super) fn small(folder: &Path) -> Config {
    let mut config = Config::default();
    config.server.bind = "127.0.0.1:0".parse().unwrap();
    config.server.workers = 2;
    config.server.drain_timeout_ms = 200;
    config.data.dir = folder.join("data");
    config.database.pool_size = 2;
    config
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

/// Resolves when few enough pools are starting: a start keeps a processor busy, and those that run are
/// waited for by somebody.
pub(super) async fn turn_to_start() -> SemaphorePermit<'static> {
    static TURNS: LazyLock<Semaphore> =
        LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(1, usize::from)));
    TURNS.acquire().await.expect("it is never closed")
}

/// Starts the application on a thread of its own, where it goes on when the test's thread is busy.
async fn launch(
    config: &Config,
    environment: &[(&'static str, &'static str)],
    disk: &Arc<Disk>,
) -> anyhow::Result<Started> {
    let (config, disk) = (config.clone(), Arc::clone(disk));
    let environment: Environment = environment.iter().copied().collect();
    let _turn = turn_to_start().await;
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
