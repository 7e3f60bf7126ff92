//! A running pool as its callers reach it, wherever it runs.

use std::net::SocketAddr;

use diesel::r2d2::ManageConnection as _;
use providerpool::{
    config::Config,
    persistence::{connection::Connector, repo::usage},
};
use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{EventStream, Reply, Streaming, eventually};

/// Where a pool listens, and the keys of its callers.
pub struct Pool {
    pub admin_key: String,
    pub client_key: String,
    pub(super) address: SocketAddr,
    /// The URL of its database.
    database: String,
    http: Client,
}

impl Pool {
    /// `keys` are those of the admin and the client.
    pub(super) fn at(address: SocketAddr, keys: (String, String), config: &Config) -> Self {
        let (admin_key, client_key) = keys;
        let database = config.database_url().expose_secret().to_owned();
        install_tls();
        let http = Client::builder().no_proxy().build().unwrap();
        Self { admin_key, client_key, address, database, http }
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

    /// The entries of its ledger that are stored.
    pub fn stored_entries(&self) -> u64 {
        let mut connection = Connector::to(&self.database).unwrap().connect().unwrap();
        usage::count(&mut connection).unwrap()
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

    /// The cooldowns that a request has led to, over or not, as far as its trace tells by now.
    pub async fn cooldowns_of(&self, id: &str) -> Vec<Value> {
        let trace = self.get(&format!("/api/v1/requests/{id}/trace")).await;
        let attempts = trace.json["attempts"].as_array().into_iter().flatten();
        attempts.filter_map(|it| it["cooldowns"].as_array()).flatten().cloned().collect()
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

/// What encrypts, for clients and for a pool in this process.
pub(super) fn install_tls() {
    // Fails when another test was first, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
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
