//! The simulated providers of the demo: one small server, a path for each of them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{self, Bytes, Data, Json, Path},
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

/// What every one of them says.
const WORDS: [&str; 6] = ["Hello", " from", " a", " simulated", " provider", "."];

#[derive(Deserialize)]
struct Request {
    model: String,
    #[serde(default)]
    stream: bool,
}

/// Counts the requests to the flaky one.
#[derive(Default)]
struct Turns(AtomicU64);

/// Starts the simulated providers on a free port of this machine.
pub fn start() -> io::Result<SocketAddr> {
    let turns = Data::new(Turns::default());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(turns.clone())
            .route("/{provider}/v1/chat/completions", web::post().to(answer))
    })
    .workers(1)
    .disable_signals()
    .bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    Ok(address)
}

async fn answer(
    provider: Path<String>,
    request: Json<Request>,
    turns: Data<Turns>,
) -> HttpResponse {
    let mut pause = Duration::from_millis(20);
    match provider.as_str() {
        "flaky" if turns.0.fetch_add(1, Ordering::Relaxed) % 4 != 3 => {
            let message = "the simulated provider is having a bad moment";
            return HttpResponse::InternalServerError()
                .json(json!({ "error": { "message": message, "type": "server_error" } }));
        }
        "slow" => pause = Duration::from_millis(400),
        _ => {}
    }
    if request.stream {
        HttpResponse::Ok().content_type("text/event-stream").streaming(events(&request, pause))
    } else {
        tokio::time::sleep(pause).await;
        HttpResponse::Ok().json(whole(&request))
    }
}

fn usage() -> Value {
    json!({ "prompt_tokens": 9, "completion_tokens": WORDS.len(), "total_tokens": 9 + WORDS.len() })
}

fn whole(request: &Request) -> Value {
    let message = json!({ "role": "assistant", "content": WORDS.concat() });
    json!({
        "id": "chatcmpl-simulated",
        "object": "chat.completion",
        "created": 0,
        "model": request.model,
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": usage(),
    })
}

fn chunk(request: &Request, choices: &Value, usage: &Value) -> String {
    let chunk = json!({
        "id": "chatcmpl-simulated",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": request.model,
        "choices": choices,
        "usage": usage,
    });
    format!("data: {chunk}\n\n")
}

fn events(
    request: &Request,
    pause: Duration,
) -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> + use<> {
    let delta = |delta: Value, finish: Value| {
        let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        chunk(request, &choices, &Value::Null)
    };
    let mut events: Vec<String> =
        WORDS.iter().map(|word| delta(json!({ "content": word }), Value::Null)).collect();
    events.push(delta(json!({}), json!("stop")));
    events.push(chunk(request, &json!([]), &usage()));
    events.push("data: [DONE]\n\n".to_owned());
    stream::iter(events).then(move |event| async move {
        tokio::time::sleep(pause).await;
        Ok(Bytes::from(event))
    })
}
