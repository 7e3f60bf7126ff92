//! The provider behind the pool: answers with as many tokens as the question asks for.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{self, Bytes, Json},
};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

const KEEP_ALIVE: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    stream: bool,
    messages: [Message; 1],
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

/// What a question says the answer is to be like.
#[derive(Clone, Copy)]
struct LeaseRequest {
    input: u64,
    output: u64,
    /// Before the answer, or before each event of a stream.
    pause: Duration,
}

impl Request {
    fn wanted(&self) -> LeaseRequest {
        let mut numbers = self.messages[0].content.split(' ').map(|word| word.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        LeaseRequest { input: next(), output: next(), pause: Duration::from_millis(next()) }
    }
}

/// Starts it on a thread of its own, where it stays as long as the test program runs.
pub fn start() -> SocketAddr {
    let (tell, told) = channel();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = || App::new().route("/v1/chat/completions", web::post().to(answer));
            // Longer than any outage here: what is tried is the ledger, not connections that are
            // closed while a request is on its way.
            let server = HttpServer::new(app).workers(1).keep_alive(KEEP_ALIVE).disable_signals();
            let server = server.bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    told.recv().unwrap()
}

async fn answer(request: Json<Request>) -> HttpResponse {
    let wanted = request.wanted();
    if request.stream {
        HttpResponse::Ok().content_type("text/event-stream").streaming(events(wanted))
    } else {
        tokio::time::sleep(wanted.pause).await;
        let message = json!({ "role": "assistant", "content": "Hello." });
        HttpResponse::Ok().json(json!({
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
            "usage": usage(wanted),
        }))
    }
}

fn usage(wanted: LeaseRequest) -> Value {
    let LeaseRequest { input, output, .. } = wanted;
    json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output })
}

fn events(wanted: LeaseRequest) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "m",
            "choices": choices,
            "usage": usage,
        });
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{ "index": 0, "delta": delta, "finish_reason": finish }]), Value::Null)
    };
    let events = [
        delta(json!({ "content": "Hello" }), Value::Null),
        delta(json!({ "content": "." }), Value::Null),
        delta(json!({}), json!("stop")),
        chunk(json!([]), usage(wanted)),
        "data: [DONE]\n\n".to_owned(),
    ];
    stream::iter(events).then(move |event| async move {
        tokio::time::sleep(wanted.pause).await;
        Ok(Bytes::from(event))
    })
}
