//! What is switched off, or limited, while a request is under way: it is not asked, and nobody waits for it.

use actix_web::rt::task::JoinHandle;
use providerpool::config::Config;
use serde_json::{Value, json};

use super::support::{
    Reply, Setup, TestApp, chat_body, eventually,
    script::{Step, error, gate, raw, whole},
    served,
};

const MINE: &str = "/api/v1/providers/mine";

/// A provider `mine` with a key, in front of the upstream of `backup`. Answers with the path of the key.
async fn add_mine(app: &TestApp, priority: i32, models: &[&str]) -> String {
    let models: Vec<Value> = models.iter().map(|name| json!({ "name": name })).collect();
    let mine = json!({"id": "mine", "name": "mine", "location": "local", "models": models,
        "api_format": "openai", "priority": priority,
        "base_url": format!("http://{}", app.backup.address)});
    assert_eq!(app.post("/api/v1/providers", mine).await.status, 201);
    let key = app.post(&format!("{MINE}/keys"), json!({"key": "sk-mine"})).await;
    format!("{MINE}/keys/{}", key.json["id"].as_str().unwrap())
}

fn off() -> Value {
    json!({"enabled": false})
}

fn begin(app: &TestApp, model: &str) -> JoinHandle<Reply> {
    let mut body = chat_body("hello", false);
    body["model"] = json!(model);
    actix_web::rt::spawn(Reply::to(app.relay(body.to_string())))
}

fn begin_embedding(app: &TestApp) -> JoinHandle<Reply> {
    let request = app.request(reqwest::Method::POST, "/v1/embeddings").bearer_auth(&app.client_key);
    let body = json!({"model": "test-model", "input": "a"}).to_string();
    actix_web::rt::spawn(Reply::to(request.body(body)))
}

fn vectors() -> Step {
    let item = json!({"object": "embedding", "index": 0, "embedding": [0.5]});
    raw(200, json!({"object": "list", "model": "m", "data": [item]}).to_string()).into()
}

#[actix_web::test]
async fn what_is_switched_off_within_a_pause_is_not_asked_once_more() {
    for what in ["key", "provider"] {
        let app = TestApp::configured(|config| config.relay.retry_pause_ms = 1_000).await;
        let key = add_mine(&app, 90, &[]).await;
        app.backup.always(|| error(500).into());
        let asked = begin(&app, "test-model");
        eventually("it is asked", async || (app.backup.calls() == 1).then_some(())).await;

        app.patch(if what == "key" { &key } else { MINE }, off()).await;

        let answer = asked.await.unwrap();
        assert_eq!(answer.header("x-providerpool-provider"), "acme", "{what}");
        assert_eq!(app.backup.calls(), 1, "{what}");
    }
}

#[actix_web::test]
async fn a_provider_that_is_switched_off_after_the_plan_is_not_asked() {
    let app = TestApp::start().await;
    add_mine(&app, 5, &[]).await;
    let (open, opened) = gate();
    app.upstream.next(Step::from(error(401)).when(opened));
    let asked = begin(&app, "test-model");
    eventually("the first is asked", async || (app.upstream.calls() == 1).then_some(())).await;

    app.patch(MINE, off()).await;
    open.open();

    assert_eq!(asked.await.unwrap().status, 502);
    assert_eq!(app.backup.calls(), 0);
}

#[actix_web::test]
async fn nobody_waits_for_a_provider_whose_only_key_is_switched_off() {
    let app = TestApp::start().await;
    let key = add_mine(&app, 90, &["m"]).await;
    app.backup.next(error(503).header("retry-after", "50"));
    let asked = begin(&app, "m");
    eventually("a cooldown", async || (!app.cooldowns().await.is_empty()).then_some(())).await;

    app.patch(&key, off()).await;

    // Long before the hint is over: acme takes any model.
    let answer = asked.await.unwrap();
    assert_eq!(app.backup.calls(), 1);
    assert_ne!(answer.header("x-providerpool-provider"), "mine");
}

#[actix_web::test]
async fn an_embedding_that_takes_long_keeps_no_chat_from_what_is_on_trial() {
    for status in [429, 503] {
        let app = TestApp::start().await;
        app.upstream.next(error(status).header("retry-after-ms", "1000"));
        let hurried = app.relay(chat_body("hello", false).to_string());
        let told = Reply::to(hurried.header("x-providerpool-timeout-ms", "500")).await;
        assert_eq!(told.status, status);
        app.upstream.next(Step::Silent);
        let embedding = begin_embedding(&app);
        eventually("it is asked", async || (app.upstream.calls() == 2).then_some(())).await;

        assert_eq!(app.chat("hello").await.status, 200, "{status}");
        embedding.abort();
    }
}

#[actix_web::test]
async fn a_limited_embedding_goes_to_a_fallback_at_the_same_provider() {
    let configure = |config: &mut Config| {
        config.providers[0].models = vec![served("test-model", None), served("other", None)];
    };
    let app = TestApp::configured(configure).await;
    app.put("/api/v1/routes/test-model", json!({"fallbacks": ["other"]})).await;
    app.upstream.next(error(429).header("retry-after", "20"));
    app.upstream.next(vectors());

    let answer = begin_embedding(&app).await.unwrap();

    assert_eq!((answer.status, app.upstream.calls()), (200, 2), "{}", answer.text());
}

#[actix_web::test]
async fn an_embedding_that_is_not_paid_for_is_told_when_it_may_be() {
    let app = TestApp::start().await;
    app.upstream.always(|| error(402).into());
    let refused = begin_embedding(&app).await.unwrap();
    assert_eq!((refused.status, refused.retry_after()), (429, 1_800), "{}", refused.text());
}

// One key says when it is over, and another has failed for good: the first is waited for.
#[actix_web::test]
async fn a_limit_of_one_key_is_waited_for_whatever_another_key_says() {
    for other in [401, 402, 403] {
        let app = TestApp::with(Setup { keys: 2, ..Setup::default() }).await;
        app.upstream.next(error(429).header("retry-after-ms", "300"));
        app.upstream.next(error(other));
        app.upstream.next(whole("at last"));

        let answer = app.chat("hello").await;

        assert_eq!((answer.status, answer.said()), (200, "at last"), "{other}: {}", answer.text());
        assert_eq!(app.upstream.calls(), 3, "{other}");
    }
}

#[actix_web::test]
async fn a_key_that_says_when_it_is_paid_for_again_is_waited_for() {
    let app = TestApp::start().await;
    app.upstream.next(error(402).header("retry-after-ms", "300"));
    assert_eq!(app.chat("hello").await.status, 200);
    assert_eq!(app.upstream.calls(), 2);
}
