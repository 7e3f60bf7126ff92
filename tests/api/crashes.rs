//! A panic of any part under load: it restarts and is told, nobody hangs, nothing is lost or
//! written twice.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use actix::{Actor, Addr, Context, Handler};
use futures_util::future::join_all;
use providerpool::actors::supervise::Crash;
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{
    Database, EventStream, Ledger, Reply, Setup, TestApp, eventually, on_every_database,
    script::{DONE, content, error, finish, gate, stream},
    within,
};

/// Crashes of each part in one test. Its budget of restarts allows more.
const CRASHES: i64 = 3;
const CALLERS: usize = 8;

fn crash<A>(actor: &Addr<A>)
where
    A: Actor<Context = Context<A>> + Handler<Crash>,
{
    actor.do_send(Crash);
}

/// What the callers have seen.
#[derive(Default)]
struct Seen {
    completed: AtomicU64,
    refused: AtomicU64,
}

/// Asks, whole and streamed in turn, until told to stop. Whatever comes must be an answer or an
/// error that says when to come back.
async fn call_again_and_again(app: &TestApp, seen: &Seen, enough: &AtomicBool) {
    while !enough.load(Ordering::SeqCst) {
        let whole = app.chat("hello").await;
        match whole.status {
            200 => seen.completed.fetch_add(1, Ordering::SeqCst),
            503 if whole.retry_after() > 0 => seen.refused.fetch_add(1, Ordering::SeqCst),
            other => panic!("{other}: {}", whole.text()),
        };
        let streamed = app.stream("hello").await;
        let status = streamed.status();
        let text = streamed.rest().await;
        match status {
            200 if text.ends_with("data: [DONE]\n\n") => {
                seen.completed.fetch_add(1, Ordering::SeqCst)
            }
            503 => seen.refused.fetch_add(1, Ordering::SeqCst),
            other => panic!("{other}: {text}"),
        };
    }
}

/// Crashes one part again and again while requests run, and looks at what became of them.
async fn survives(name: &str, database: Database, crash: impl AsyncFn(&TestApp)) {
    let app = TestApp::with(Setup { database, ..Setup::default() }).await;
    let (seen, enough) = (Seen::default(), AtomicBool::new(false));
    let callers = join_all((0..CALLERS).map(|_| call_again_and_again(&app, &seen, &enough)));
    let crashing = async {
        for number in 1..=CRASHES {
            let before = seen.completed.load(Ordering::SeqCst);
            crash(&app).await;
            eventually("the restart is counted", async || {
                let restarts = format!("providerpool_actor_restarts_total{{actor=\"{name}\"}}");
                (app.metric(&restarts).await >= number).then_some(())
            })
            .await;
            eventually("requests are served again", async || {
                (seen.completed.load(Ordering::SeqCst) >= before + 20).then_some(())
            })
            .await;
        }
        enough.store(true, Ordering::SeqCst);
    };

    within("every request ends", async { tokio::join!(callers, crashing) }).await;

    assert_restarts_told(name, &mut app.events("?since=0&types=actor.restarted").await).await;
    let completed = seen.completed.load(Ordering::SeqCst);
    let ledger = eventually("the ledger is there", async || {
        Some(app.ledger().await).filter(|ledger| ledger.completed >= completed)
    })
    .await;
    assert_eq!((ledger.completed, ledger.cancelled), (completed, 0), "{name}");
    assert_eq!(ledger.requests, app.actors.db.count_usage().await.unwrap());
    assert!(ledger.failed <= seen.refused.load(Ordering::SeqCst));
    assert_eq!(app.metric("providerpool_requests_in_flight").await, 0);
}

async fn assert_restarts_told(name: &str, events: &mut EventStream) {
    let event = events.next().await;
    assert_eq!(
        (&event["type"], &event["data"]["actor"]),
        (&json!("actor.restarted"), &json!(name))
    );
    assert!(event["data"]["restarts"].as_u64().unwrap() >= 1);
}

#[actix_web::test]
async fn the_registry_may_crash() {
    survives("registry", Database::File, async |app| crash(&app.actors.registry)).await;
}

#[actix_web::test]
async fn the_discovery_may_crash() {
    survives("discovery", Database::File, async |app| crash(&app.actors.discovery)).await;
}

#[actix_web::test]
async fn the_router_may_crash() {
    survives("router", Database::File, async |app| crash(&app.actors.router)).await;
}

#[actix_web::test]
async fn the_health_may_crash() {
    survives("health", Database::File, async |app| crash(&app.actors.health)).await;
}

#[actix_web::test]
async fn the_credentials_may_crash() {
    survives("credentials", Database::File, async |app| crash(&app.actors.credentials)).await;
}

#[actix_web::test]
async fn the_access_keys_may_crash() {
    survives("access_keys", Database::File, async |app| crash(&app.actors.access_keys)).await;
}

#[actix_web::test]
async fn the_usage_tracker_may_crash() {
    on_every_database(async |database| {
        survives("usage_tracker", database, async |app| crash(&app.actors.usage_tracker)).await;
    })
    .await;
}

#[actix_web::test]
async fn the_database_may_crash() {
    on_every_database(async |database| {
        survives("db", database, async |app| {
            assert!(app.actors.db.crash().await.is_err());
        })
        .await;
    })
    .await;
}

#[actix_web::test]
async fn the_events_may_crash() {
    survives("events", Database::File, async |app| crash(&app.actors.events)).await;
}

#[actix_web::test]
async fn the_traces_may_crash() {
    let app = TestApp::start().await;
    let id = app.chat("hello").await.header("x-request-id").to_owned();
    let before = app.trace(&id).await;
    crash(&app.actors.traces);
    assert_eq!(app.trace(&id).await, before);

    survives("traces", Database::File, async |app| crash(&app.actors.traces)).await;
}

#[actix_web::test]
async fn the_histories_may_crash() {
    let app = TestApp::start().await;
    let ask = async |body: Value| {
        let request = app.request(Method::POST, "/v1/responses").bearer_auth(&app.client_key);
        Reply::to(request.body(body.to_string())).await
    };
    let first = ask(json!({"model": "test-model", "input": "remember this"})).await;
    crash(&app.actors.histories);
    let next = json!({"model": "test-model", "input": "and now?",
        "previous_response_id": first.json["id"]});
    assert_eq!(ask(next).await.status, 200);
    assert!(app.upstream.last().text().contains("remember this"));

    survives("histories", Database::File, async |app| crash(&app.actors.histories)).await;
}

#[actix_web::test]
async fn the_copilot_tokens_may_crash() {
    survives("copilot_tokens", Database::File, async |app| crash(&app.actors.copilot_tokens)).await;
}

/// Every part that can be made to crash is made to, by the tests above.
#[test]
fn no_part_is_forgotten() {
    let tests = include_str!("crashes.rs");
    let marker = "crashes_on_request!(";
    let mut parts = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/actors")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != "supervise.rs" {
                let text = fs::read_to_string(path).unwrap();
                let named = text.lines().find_map(|line| line.strip_prefix(marker));
                parts.extend(named.map(|rest| rest.trim_end_matches(");").to_owned()));
            }
        }
    }
    assert!(parts.len() >= 10, "{parts:?}");
    for part in parts {
        // `UsageTracker` is `usage_tracker` among the actors.
        let mut name = String::new();
        for letter in part.chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(letter.to_lowercase());
        }
        let test = format!("survives(\"{name}\", ");
        assert!(tests.contains(&test), "nothing shows that {part} may crash");
    }
}

#[actix_web::test]
async fn what_was_decided_before_a_crash_still_holds() {
    let app = TestApp::with(Setup { keys: 2, ..Setup::default() }).await;
    app.upstream.next(error(401));
    app.chat("hello").await;
    let before = app.cooldowns().await;
    assert_eq!(before.len(), 1);
    app.post("/api/v1/providers/openai/keys", json!({"key": "sk-kept-0123456789-0123456789"}))
        .await;
    let made = app.post("/api/v1/client-keys", json!({"name": "kept"})).await;
    let providers = app.get("/api/v1/providers").await.json;
    let client_keys = app.get("/api/v1/client-keys").await.json;

    crash(&app.actors.registry);
    crash(&app.actors.credentials);
    crash(&app.actors.health);
    crash(&app.actors.router);
    crash(&app.actors.access_keys);
    crash(&app.actors.usage_tracker);

    eventually("all have restarted", async || {
        let page = app.get("/metrics").await;
        let restarts = page
            .text()
            .lines()
            .filter(|line| line.starts_with("providerpool_actor_restarts_total{"));
        (restarts.count() == 6).then_some(())
    })
    .await;
    assert_eq!(app.cooldowns().await, before);
    assert_eq!(app.get("/api/v1/providers").await.json, providers);
    assert_eq!(app.get("/api/v1/client-keys").await.json, client_keys);
    assert_eq!(
        app.ledger().await,
        Ledger { requests: 1, completed: 1, input: 5, output: 2, ..Ledger::default() }
    );
    assert_eq!(made.status, 201);
}

#[actix_web::test]
async fn a_stream_under_way_outlives_the_crash_of_every_part() {
    let app = TestApp::start().await;
    let (gate, opened) = gate();
    app.upstream.next(stream().send(content("one")).wait(opened).send(finish()).send(DONE));
    let mut answer = app.stream("hello").await;
    answer.until("one").await;

    crash(&app.actors.registry);
    crash(&app.actors.credentials);
    crash(&app.actors.health);
    crash(&app.actors.router);
    crash(&app.actors.access_keys);
    crash(&app.actors.usage_tracker);
    crash(&app.actors.events);
    assert!(app.actors.db.crash().await.is_err());
    gate.open();

    assert_eq!(answer.rest().await, format!("{}{DONE}", finish()));
    eventually("it is on the ledger", async || (app.ledger().await.completed == 1).then_some(()))
        .await;
}
