//! One seed: its pool behind sockets, its requests, and what was seen of them.

use std::{
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use providerpool::{
    config::{Config, ProviderConfig, RouteConfig},
    domain::{failure::FailureClass, provider::ApiFormat},
};
use rand::Rng as _;
use serde_json::{Value, json};

use super::{
    drawn::{Drawn, DrawnProvider, MODELS, PIECES, Script},
    laws,
};
use crate::support::{
    Pool, Released, Seen, Setup, Streaming, TestApp, Upstream,
    dialect::{CLIENTS, Client, FORMATS, events_saying, saying, script},
    provider,
    script::{Answer, End, Script as Pieces, Step, error, error_with_code},
    served,
};

/// A drawn time is so many times as long as the one that passes.
const FASTER: u64 = 100;
/// The same for what providers say of when to come back.
const FASTER_HINTS: u64 = 20;
/// Requests of one seed, one after the other.
const REQUESTS: usize = 3;
/// How long a provider may be silent, in milliseconds. Who is well answers in a small part of it.
const PATIENCE: u64 = 1_500;

/// A call of a provider.
#[derive(Debug, Clone)]
pub struct Call {
    pub provider: &'static str,
    pub model: &'static str,
    pub script: Script,
}

/// What came of one request.
#[derive(Debug)]
pub struct Outcome {
    pub status: u16,
    /// What the client was given to read.
    pub text: String,
    /// Whether it was told that this is all.
    pub is_complete: bool,
    /// Whether it was told that something went wrong.
    pub is_failed: bool,
    /// In seconds.
    pub retry_after: Option<i64>,
    /// The calls that the request led to.
    pub calls: Vec<Call>,
    pub trace: Value,
    /// Those that hold when it is over.
    pub cooldowns: Vec<Value>,
    /// Milliseconds of the wall clock.
    pub began: i64,
    pub ended: i64,
}

/// Plays a seed, in this process or through the released binary, and says what is wrong.
pub async fn play(seed: u64, is_released: bool) -> Vec<String> {
    let (drawn, mut rng) = Drawn::of(seed);
    let formats: Vec<ApiFormat> =
        drawn.providers.iter().map(|_| FORMATS[rng.random_range(0..FORMATS.len())]).collect();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let upstreams: Vec<Upstream> = drawn.providers.iter().map(|_| Upstream::start()).collect();
    for ((upstream, provider), format) in upstreams.iter().zip(&drawn.providers).zip(&formats) {
        perform(upstream, provider.clone(), *format, drawn.streamed, Arc::clone(&calls));
    }
    let arrange = arranged(&drawn, &formats, &upstreams);
    let pool: Box<dyn Deref<Target = Pool>> = if is_released {
        Box::new(Released::start(arrange).await)
    } else {
        let setup = Setup { arrange: Box::new(arrange), ..Setup::default() };
        Box::new(TestApp::with(setup).await)
    };

    let mut wrong = Vec::new();
    let mut completed = 0;
    for number in 0..REQUESTS {
        let client = CLIENTS[rng.random_range(0..CLIENTS.len())];
        calls.lock().unwrap().clear();
        let outcome = ask(&pool, client, drawn.streamed, &calls).await;
        completed += u64::from(outcome.is_complete);
        let broken = laws::broken_by(&drawn, &outcome);
        if !broken.is_empty() {
            wrong.extend(broken);
            wrong.push(format!("request {number} of {client:?}: {outcome:#?}"));
        }
    }
    wrong.extend(laws::broken_on_the_ledger(&pool, REQUESTS as u64, completed).await);
    if !wrong.is_empty() {
        wrong.push(format!("{formats:?} {drawn:#?}"));
    }
    wrong
}

/// How long a request may take, in milliseconds.
pub fn deadline(drawn: &Drawn) -> u64 {
    1_500 + drawn.deadline / 200
}

/// The pool of a seed, its times scaled down.
fn arranged(
    drawn: &Drawn,
    formats: &[ApiFormat],
    upstreams: &[Upstream],
) -> impl FnOnce(&mut Config) + use<> {
    let row = |((drawn, format), upstream): ((&DrawnProvider, &ApiFormat), &Upstream)| {
        let of_openai = provider(drawn.id, drawn.priority, upstream.address, drawn.keys);
        ProviderConfig {
            api_format: Some(*format),
            models: drawn.models.iter().map(|name| served(name, None)).collect(),
            cooling: drawn.cooling,
            ..of_openai
        }
    };
    let providers: Vec<_> = drawn.providers.iter().zip(formats).zip(upstreams).map(row).collect();
    let target = |n: &usize| json!({"provider": drawn.providers[*n].id});
    let route: RouteConfig = serde_json::from_value(json!({
        "name": MODELS[0],
        "targets": drawn.targets.iter().map(target).collect::<Vec<_>>(),
        "fallbacks": MODELS[1..=drawn.fallbacks],
        "hedge": drawn.hedge,
        "cooling": drawn.cooling,
    }))
    .unwrap();
    let drawn = drawn.clone();
    move |config| {
        config.providers = providers;
        config.routes = vec![route];
        let relay = &mut config.relay;
        relay.timeout_ms = deadline(&drawn);
        relay.max_wait_ms = drawn.max_wait / FASTER;
        relay.idle_timeout_ms = PATIENCE;
        relay.attempt_timeout_ms = PATIENCE;
        relay.hedge_unknown_ms = drawn.soft.map_or(PATIENCE, |soft| 250 + soft / FASTER);
        relay.hedge_min_ms = relay.hedge_unknown_ms;
        relay.hedge_max_ms = relay.hedge_unknown_ms;
        relay.hedge_whole_min_ms = relay.hedge_unknown_ms;
        relay.retry_pause_ms = 2;
        relay.resume = drawn.resumes;
    }
}

/// Lets an upstream do what was drawn for it, and tell of each call.
fn perform(
    upstream: &Upstream,
    provider: DrawnProvider,
    format: ApiFormat,
    streamed: bool,
    calls: Arc<Mutex<Vec<Call>>>,
) {
    let number = Mutex::new(0);
    upstream.answer(move |seen| {
        let mut number = number.lock().unwrap();
        let script = Script::of(&provider.scripts, *number).clone();
        *number += 1;
        let model = asked_for(seen);
        calls.lock().unwrap().push(Call { provider: provider.id, model, script: script.clone() });
        step(&script, format, &provider.text, streamed)
    });
}

/// The model of a call. Gemini's stands in the path.
fn asked_for(seen: &Seen) -> &'static str {
    let named = serde_json::from_slice::<Value>(&seen.body).ok();
    let named = named.as_ref().and_then(|body| body["model"].as_str()).unwrap_or_default();
    let is_asked = |name: &&&str| **name == named || seen.path.contains(&format!("/{name}:"));
    MODELS.iter().find(is_asked).expect("a call names one of the models")
}

/// What an upstream does for a call to come to that.
fn step(drawn: &Script, format: ApiFormat, text: &[&str; PIECES], streamed: bool) -> Step {
    let time = |millis: u64| Duration::from_millis(millis / FASTER);
    match drawn {
        Script::Good { first, pace } if streamed => {
            pieces(format, text, PIECES, time(*first), time(*pace), true).into()
        }
        Script::Good { first, pace } => {
            Step::from(saying(format, &text.concat())).after(time(first + pace * 4))
        }
        Script::Silent => Step::Silent,
        Script::Fails { after, class, hint } => refused(*class, *hint).after(time(*after)),
        Script::Breaks { first, pace, pieces: count, class } if streamed => {
            let begun = pieces(format, text, *count, time(*first), time(*pace), false);
            match class {
                FailureClass::Cut => begun.then(End::Cut).into(),
                FailureClass::Stalled => begun.then(End::Stall).into(),
                class => begun.send(error_in_stream(format, *class)).into(),
            }
        }
        Script::Breaks { first, pace, pieces, class } => {
            let body = saying(format, &text.concat()).body;
            let half = script(format).called("application/json").send(&body[..body.len() / 2]);
            let answer = match class {
                FailureClass::Cut => half.then(End::Cut).into(),
                FailureClass::Stalled => half.then(End::Stall).into(),
                class => refused(*class, None),
            };
            answer.after(time(first + pace * *pieces as u64))
        }
    }
}

/// The beginning of a stream, of so many pieces of its text. `is_whole`: all of it, and its end.
fn pieces(
    format: ApiFormat,
    text: &[&str; PIECES],
    count: usize,
    first: Duration,
    pace: Duration,
    is_whole: bool,
) -> Pieces {
    // What comes before the first word, whatever is said.
    let preamble = match format {
        ApiFormat::Responses => 2,
        ApiFormat::Anthropic => 3,
        ApiFormat::Google | ApiFormat::Ollama => 0,
        _ => 1,
    };
    let (mut events, last) = events_saying(format, text);
    if is_whole {
        events.push(last);
    } else {
        events.truncate(preamble + count);
    }
    let begun = script(format).pause(first);
    events.into_iter().fold(begun, |begun, event| begun.send(event).pause(pace))
}

fn refused(class: FailureClass, hint: Option<u64>) -> Step {
    use FailureClass as C;
    let coded = |status, code: &str| error_with_code(status, &json!(code));
    let answer: Answer = match class {
        C::Connect => return Step::Reset,
        C::RateLimit => error(429),
        C::Overload => error(503),
        C::Auth => error(401),
        C::Payment => error(402),
        C::ClientFault => coded(400, "bad_thing"),
        C::ContextTooLong => coded(400, "context_length_exceeded"),
        C::Refusal => coded(400, "content_filter"),
        C::ModelMissing => coded(404, "model_not_found"),
        _ => error(500),
    };
    match hint {
        Some(hint) => {
            answer.header("retry-after-ms", (hint / FASTER_HINTS).max(1).to_string()).into()
        }
        None => answer.into(),
    }
}

/// An error inside a stream that had begun well.
fn error_in_stream(format: ApiFormat, class: FailureClass) -> String {
    let is_overload = class == FailureClass::Overload;
    let pick = |overload, other| if is_overload { overload } else { other };
    let data = match format {
        ApiFormat::Ollama => return format!("{}\n", json!({"error": "no, says the upstream"})),
        ApiFormat::Responses => json!({
            "type": "error", "code": pick("server_is_overloaded", "server_error"),
            "message": "no, says the upstream", "param": null,
        }),
        ApiFormat::Anthropic => json!({"type": "error", "error": {
            "type": pick("overloaded_error", "api_error"), "message": "no, says the upstream",
        }}),
        ApiFormat::Google => json!({"error": {
            "code": if is_overload { 503 } else { 500 }, "message": "no, says the upstream",
            "status": pick("UNAVAILABLE", "INTERNAL"),
        }}),
        _ => json!({"error": {
            "message": "no, says the upstream", "code": null,
            "type": pick("overloaded_error", "server_error"),
        }}),
    };
    match data["type"].as_str() {
        Some(kind) => format!("event: {kind}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    }
}

/// Asks once, and gathers all that can be seen of it.
async fn ask(pool: &Pool, client: Client, streamed: bool, calls: &Mutex<Vec<Call>>) -> Outcome {
    let now = || jiff::Timestamp::now().as_millisecond();
    let began = now();
    let streaming = Streaming::to(client.ask_for(MODELS[0], pool, streamed)).await;
    let status = streaming.status();
    let retry_after = streaming.header("retry-after").parse().ok();
    let id = streaming.header("x-request-id").to_owned();
    let body = streaming.rest().await;
    let ended = now();
    let (text, is_complete, is_failed) = match (status, streamed) {
        (200, true) => {
            let said = client.events(&body).iter().map(|event| client.said_in(event)).collect();
            (said, client.is_complete(&body), client.is_failed(&body))
        }
        (200, false) => {
            let json = serde_json::from_str(&body).unwrap();
            (client.said(&json), true, false)
        }
        _ => (String::new(), false, true),
    };
    let trace = pool.trace(&id).await;
    let cooldowns = pool.cooldowns().await;
    let calls = calls.lock().unwrap().clone();
    Outcome {
        status,
        text,
        is_complete,
        is_failed,
        retry_after,
        calls,
        trace,
        cooldowns,
        began,
        ended,
    }
}
