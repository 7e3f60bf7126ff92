//! Many clients at once. They keep a receipt for each answer that they have whole, and for no other.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
};

use actix_web::rt::{spawn, task::JoinHandle};
use rand::{Rng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::sync::watch;

/// How many ask at the same time.
const CLIENTS: usize = 24;

/// What a client knows of an answer that it has whole.
#[derive(Debug)]
pub struct Receipt {
    pub request_id: String,
    pub order: Order,
}

/// What a client asks for. The number of input tokens is the order's own: no other order has it.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub input: u64,
    pub output: u64,
    pub streamed: bool,
    pause_ms: u64,
}

/// All of them, over all that happens to the pool.
#[derive(Clone)]
pub struct Clients(Rc<State>);

struct State {
    key: String,
    random: RefCell<StdRng>,
    /// Orders given out so far.
    orders: Cell<u64>,
    receipts: RefCell<Vec<Receipt>>,
    received: watch::Sender<usize>,
}

/// Clients at work on one process.
pub struct Crowd {
    clients: Clients,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    pub fn new(key: String, random: StdRng) -> Self {
        // Fails when another test of this program has done so before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self(Rc::new(State {
            key,
            random: RefCell::new(random),
            orders: Cell::new(0),
            receipts: RefCell::default(),
            received: watch::Sender::new(0),
        }))
    }

    pub fn key(&self) -> &str {
        &self.0.key
    }

    pub fn random(&self, range: std::ops::RangeInclusive<usize>) -> usize {
        self.0.random.borrow_mut().random_range(range)
    }

    /// Requests made so far, answered or not.
    pub fn orders(&self) -> u64 {
        self.0.orders.get()
    }

    pub fn receipts(&self) -> std::cell::Ref<'_, Vec<Receipt>> {
        self.0.receipts.borrow()
    }

    /// Sets them to work: each asks, again and again, until it gets no whole answer, or until
    /// `enough` answers have been received in all.
    pub fn set_on(&self, address: SocketAddr, enough: usize) -> Crowd {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let work = |_| {
            let (clients, http) = (self.clone(), http.clone());
            spawn(async move { clients.work(&http, address, enough).await })
        };
        Crowd { clients: self.clone(), tasks: (0..CLIENTS).map(work).collect() }
    }

    async fn work(&self, http: &reqwest::Client, address: SocketAddr, enough: usize) {
        while *self.0.received.borrow() < enough {
            let order = self.order();
            let Ok(Some(request_id)) = self.ask(http, address, order).await else { return };
            self.0.receipts.borrow_mut().push(Receipt { request_id, order });
            self.0.received.send_modify(|received| *received += 1);
        }
    }

    fn order(&self) -> Order {
        let mut random = self.0.random.borrow_mut();
        self.0.orders.set(self.0.orders.get() + 1);
        Order {
            input: self.0.orders.get(),
            output: random.random_range(1..=1000),
            streamed: random.random(),
            pause_ms: if random.random_ratio(1, 4) { random.random_range(1..=20) } else { 0 },
        }
    }

    /// The id of the request, when its answer has come whole.
    async fn ask(
        &self,
        http: &reqwest::Client,
        address: SocketAddr,
        order: Order,
    ) -> reqwest::Result<Option<String>> {
        let Order { input, output, streamed, pause_ms } = order;
        let content = format!("{input} {output} {pause_ms}");
        let body = json!({
            "model": "m",
            "stream": streamed,
            "stream_options": streamed.then(|| json!({ "include_usage": true })),
            "messages": [{ "role": "user", "content": content }],
        });
        let mut response = http
            .post(format!("http://{address}/v1/chat/completions"))
            .bearer_auth(&self.0.key)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await?;
        let request_id = response.headers().get("x-request-id").cloned();
        let status = response.status();
        if !streamed || !status.is_success() {
            let body = response.bytes().await?;
            assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
            let answer: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(answer["usage"]["prompt_tokens"], input);
        } else {
            let mut stream = Vec::new();
            while !stream.ends_with(b"data: [DONE]\n\n") {
                match response.chunk().await? {
                    Some(chunk) => stream.extend_from_slice(&chunk),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(request_id.unwrap().to_str().unwrap().to_owned()))
    }
}

impl Crowd {
    /// Waits until they have `count` answers more than now.
    pub async fn received(&self, count: usize) {
        let mut received = self.clients.0.received.subscribe();
        let wanted = *received.borrow_and_update() + count;
        received.wait_for(|received| *received >= wanted).await.unwrap();
    }

    /// Waits until all have stopped asking.
    pub async fn gone(self) {
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}
