//! What a change costs in a small and in a large pool, counted in bytes that all threads of the pool
//! allocate meanwhile: a change costs what it changes, not what the pool holds. Counted, not timed, so
//! that it holds on any machine.

#![expect(
    clippy::unwrap_used,
    reason = "in tests, helpers of tests included, it says what is wrong"
)]

#[path = "../support/conversation.rs"]
mod conversation;
#[expect(dead_code, reason = "shared with tests that use more of it")]
#[path = "../support/http.rs"]
mod http;
mod requests;

use std::{
    alloc::System,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use providerpool::{
    actors::{
        health::{AttemptFailed, AwaitHealth},
        registry::AwaitRegistry,
    },
    app::App,
    config::{Config, Environment},
    domain::{
        failure::{Failure, FailureClass},
        health::Purpose,
        id::{ModelName, ProviderId},
    },
    http::Actors,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tempfile::TempDir;
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Held by the test that counts: what another allocates meanwhile would be counted too.
static COUNTING: Mutex<()> = Mutex::new(());

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(25);

/// Providers of the small pool, and of the large one. Each has models, a key, a route and a client key.
const SMALL: usize = 60;
const LARGE: usize = 8 * SMALL;

/// How often each change is made. The cheapest counts: what else goes on in the pool only adds to it.
const ROUNDS: usize = 5;

/// Models of each provider: half of them its own, the others listed by all.
const MODELS: usize = 20;

struct Pool {
    address: SocketAddr,
    admin_key: String,
    actors: Actors,
    /// Dropping it stops the pool.
    _stop: oneshot::Sender<()>,
    _folder: TempDir,
}

fn body(number: usize, name: &str) -> Value {
    let model = |n: usize| {
        let name =
            if n.is_multiple_of(2) { format!("shared-{n}") } else { format!("own-{number}-{n}") };
        json!({ "name": name })
    };
    json!({
        "name": name, "base_url": "http://127.0.0.1:9/v1", "location": "local",
        // What is set is not asked for.
        "api_format": "openai", "models": (0..MODELS).map(model).collect::<Vec<_>>(),
    })
}

impl Pool {
    fn start() -> Self {
        // Fails in the second pool, which is just as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.bind = "127.0.0.1:0".parse().unwrap();
        config.server.workers = 1;
        config.data.dir = folder.path().join("data");
        let (tell, told) = mpsc::channel();
        let (stop, asked_to_stop) = oneshot::channel::<()>();
        thread::spawn(move || {
            actix::System::new().block_on(async move {
                let give_up = Arc::new(|actor| panic!("the pool gave up on {actor}"));
                let app = App::start(config, &Environment::default(), give_up).await.unwrap();
                let admin_key = app.first_keys.as_ref().unwrap().admin.expose_secret().to_owned();
                tell.send((app.address, admin_key, app.actors.clone())).unwrap();
                // The other end is dropped.
                let _ = asked_to_stop.await;
                app.stop().await;
            });
        });
        let (address, admin_key, actors) = told.recv_timeout(PATIENCE).unwrap();
        Self { address, admin_key, actors, _stop: stop, _folder: folder }
    }

    fn of(providers: usize) -> Self {
        let pool = Self::start();
        for number in 0..providers {
            pool.create(number);
            pool.add_key(number);
            pool.ask(&format!("PUT /api/v1/routes/route-{number}"), &json!({ "targets": [] }));
            pool.ask("POST /api/v1/client-keys", &json!({ "name": "of the pool" }));
        }
        pool
    }

    fn ask(&self, request: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::ask(self.address, request, &self.admin_key, &body);
        assert!((200..300).contains(&answer.status), "{request}: {}", answer.body);
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    fn create(&self, number: usize) {
        let mut body = body(number, "made");
        body["id"] = format!("p{number}").into();
        self.ask("POST /api/v1/providers", &body);
    }

    fn add_key(&self, number: usize) -> String {
        let body = json!({ "key": format!("sk-of-the-provider-{number}") });
        let added = self.ask(&format!("POST /api/v1/providers/p{number}/keys"), &body);
        added["id"].as_str().unwrap().to_owned()
    }

    /// Lets so many attempts at a provider's models fail, each model's in turn.
    fn attempts_fail(&self, number: usize, class: FailureClass, attempts: usize) {
        let told = async {
            for attempt in 0..attempts {
                let fact = AttemptFailed {
                    provider_id: ProviderId::parse(&format!("p{number}")).unwrap(),
                    model: ModelName::parse(&format!("shared-{}", 2 * (attempt / 3))).unwrap(),
                    credential_id: None,
                    failure: Arc::new(Failure::new(class, "no")),
                    purpose: Purpose::Answer,
                    cooling: None,
                    is_listed: true,
                    attempt: None,
                };
                self.actors.health.send(fact).await.unwrap();
            }
            self.actors.health.send(AwaitHealth).await.unwrap();
            self.actors.registry.send(AwaitRegistry).await.unwrap();
        };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(told);
    }

    fn fail(&self, number: usize) {
        self.attempts_fail(number, FailureClass::Connect, 3);
        let shown = self.ask(&format!("GET /api/v1/providers/p{number}"), &Value::Null);
        assert_eq!(shown["status"], "error");
    }

    /// What each change costs, in bytes.
    fn costs(&self, providers: usize) -> Vec<(&'static str, usize)> {
        let null = &Value::Null;
        let all: [(&str, &dyn Fn(usize)); 15] = [
            ("a provider is made", &|n| self.create(n)),
            ("a key is added", &|n| drop(self.add_key(n))),
            ("a provider is renamed", &|n| {
                self.ask(&format!("PATCH /api/v1/providers/p{n}"), &json!({ "name": "renamed" }));
            }),
            ("a provider is preferred", &|n| {
                self.ask(&format!("PATCH /api/v1/providers/p{n}"), &json!({ "priority": 7 }));
            }),
            ("the models of a provider change", &|n| {
                let models = json!({ "models": [{ "name": "shared-2" }, { "name": "another" }] });
                self.ask(&format!("PATCH /api/v1/providers/p{n}"), &models);
            }),
            ("an attempt fails", &|n| self.attempts_fail(n, FailureClass::Server, 1)),
            ("a model fails and is cooled", &|n| self.attempts_fail(n, FailureClass::Server, 3)),
            ("a provider fails and is cooled", &|n| self.fail(n)),
            ("its error is cleared", &|n| {
                self.ask(&format!("POST /api/v1/providers/p{n}/clear-error"), null);
            }),
            ("a page of providers is listed", &|_| {
                let path = format!("GET /api/v1/providers?limit=3&cursor=p{}", providers / 2);
                assert_eq!(self.ask(&path, null)["providers"].as_array().unwrap().len(), 3);
            }),
            ("a provider is deleted", &|n| {
                self.ask(&format!("DELETE /api/v1/providers/p{n}"), null);
            }),
            ("a route is set", &|n| {
                self.ask(&format!("PUT /api/v1/routes/route-{n}"), &json!({ "targets": [] }));
            }),
            ("a page of routes is listed", &|_| {
                let path = format!("GET /api/v1/routes?limit=3&cursor=route-{}", providers / 2);
                assert_eq!(self.ask(&path, null)["routes"].as_array().unwrap().len(), 3);
            }),
            ("a route is deleted", &|n| {
                self.ask(&format!("DELETE /api/v1/routes/route-{n}"), null);
            }),
            ("a client key is made and revoked", &|_| {
                let made = self.ask("POST /api/v1/client-keys", &json!({ "name": "one more" }));
                let id = made["id"].as_str().unwrap();
                self.ask(&format!("DELETE /api/v1/client-keys/{id}"), null);
            }),
        ];
        let cost = |change: &dyn Fn(usize)| {
            let cost = |round| {
                let region = Region::new(ALLOCATOR);
                change(providers + round);
                region.change().bytes_allocated
            };
            (0..ROUNDS).map(cost).min().unwrap()
        };
        all.into_iter().map(|(what, change)| (what, cost(change))).collect()
    }
}

#[test]
fn what_a_change_costs_does_not_grow_with_the_pool() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let (small, large) = (Pool::of(SMALL).costs(SMALL), Pool::of(LARGE).costs(LARGE));
    for ((what, small), (_, large)) in small.into_iter().zip(large) {
        println!("{what}: {small} bytes of {SMALL} providers, {large} of {LARGE}");
        // Eight times the pool; the depth of a tree grows a little.
        assert!(
            large < 2 * small,
            "{what}: {small} bytes of {SMALL} providers, {large} of {LARGE}"
        );
    }
}
