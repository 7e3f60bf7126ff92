//! Whom failures are held against, for how long, and what ends it.

use diesel::connection::SimpleConnection as _;
use providerpool::{
    config::Config,
    domain::{id::ModelName, model::ServedModel, provider::ApiFormat},
    persistence::connection::open,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{
    Reply, Setup, TestApp, eventually,
    script::{error, raw},
    within,
};

/// A provider `mine` without a key, in front of the upstream of `backup`, alone with these models.
async fn with_mine(models: &[&str]) -> TestApp {
    let lay_out = |config: &mut Config| {
        for provider in &mut config.providers {
            provider.models = vec![ServedModel::named(ModelName::parse("test-model").unwrap())];
        }
    };
    let app = TestApp::with(Setup { lay_out, ..Setup::default() }).await;
    let models: Vec<Value> = models.iter().map(|name| json!({ "name": name })).collect();
    let mine = json!({"id": "mine", "name": "mine", "location": "local", "models": models,
        "api_format": "openai", "base_url": format!("http://{}", app.backup.address)});
    assert_eq!(app.post("/api/v1/providers", mine).await.status, 201);
    app
}

async fn ask_for(app: &TestApp, model: &str) -> Reply {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    Reply::to(app.relay(body.to_string())).await
}

async fn scopes(app: &TestApp) -> Vec<String> {
    let scope = |cooldown: &Value| cooldown["scope"].as_str().unwrap().to_owned();
    app.cooldowns().await.iter().map(scope).collect()
}

#[actix_web::test]
async fn without_a_key_a_limit_is_met_once_and_told_truly() {
    let app = with_mine(&["m"]).await;
    app.backup.always(|| error(429).header("retry-after", "99999999").into());

    let first = ask_for(&app, "m").await;
    let second = ask_for(&app, "m").await;

    for refused in [first, second] {
        assert_eq!(refused.status, 429, "{}", refused.text());
        assert!((86_398..=86_431).contains(&refused.retry_after()), "{}", refused.retry_after());
    }
    assert_eq!(app.backup.calls(), 1);
    assert_eq!(scopes(&app).await, ["provider_model"]);
}

#[actix_web::test]
async fn a_failing_server_that_says_when_to_come_back_is_left_until_then() {
    for status in [503, 529] {
        let app = with_mine(&["m", "n"]).await;
        app.backup.next(error(status).header("retry-after", "300"));

        let refused = ask_for(&app, "m").await;

        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!((298..=331).contains(&refused.retry_after()), "{}", refused.retry_after());
        assert_eq!(app.backup.calls(), 1, "{status}");
        assert_eq!(ask_for(&app, "n").await.status, 200, "the other model is not to blame");
    }
}

#[actix_web::test]
async fn a_provider_is_left_alone_when_two_of_its_models_fail() {
    let app = with_mine(&["m", "n", "o"]).await;
    app.backup.always(|| error(500).into());
    for model in ["m", "m"] {
        ask_for(&app, model).await;
    }
    assert_eq!(scopes(&app).await, ["provider_model"]);
    let status = async || app.get("/api/v1/providers/mine").await.json["status"].clone();
    assert_eq!(status().await, "active");
    for model in ["n", "n"] {
        ask_for(&app, model).await;
    }
    assert_eq!(scopes(&app).await, ["provider", "provider_model", "provider_model"]);
    eventually("it is in error", async || (status().await == "error").then_some(())).await;
}

#[actix_web::test]
async fn a_provider_whose_only_model_fails_is_in_error_until_it_answers() {
    let app = with_mine(&["m"]).await;
    app.backup.always(|| error(500).into());
    ask_for(&app, "m").await;
    ask_for(&app, "m").await;
    let shown = async |status: &str| {
        let shown = app.get("/api/v1/providers/mine").await.json;
        (shown["status"] == status).then_some(shown)
    };
    let shown_failed = eventually("it is in error", async || shown("error").await).await;
    assert!(shown_failed["last_error"].as_str().unwrap().contains("500"));
    app.backup.recover();
    app.delete("/api/v1/cooldowns").await;
    assert_eq!(ask_for(&app, "m").await.status, 200);
    eventually("it has recovered", async || shown("active").await).await;
}

#[actix_web::test]
async fn cooldowns_are_ended_by_provider_key_and_model() {
    let app = TestApp::with(Setup { keys: 2, ..Setup::default() }).await;
    app.upstream.always(|| error(429).header("retry-after", "900").into());
    app.chat("hello").await;
    let key = app.cooldowns().await[0]["credential_id"].as_str().unwrap().to_owned();

    for (query, status) in [
        ("credential_id=x", 400),
        ("provider_id=acme&credential_id=x", 404),
        ("provider_id=nobody", 404),
        ("model_id=", 400),
        ("model=m", 400),
    ] {
        let refused = app.delete(&format!("/api/v1/cooldowns?{query}")).await;
        assert_eq!(refused.status, status, "{query}: {}", refused.text());
    }
    let ended = async |query: &str| {
        let cleared = app.delete(&format!("/api/v1/cooldowns?{query}")).await;
        assert_eq!(cleared.status, 200, "{}", cleared.text());
        cleared.json["cleared"].as_array().unwrap().len()
    };
    assert_eq!(ended("model_id=another").await, 0);
    assert_eq!(ended(&format!("provider_id=acme&model_id=another&credential_id={key}")).await, 0);
    assert_eq!(ended(&format!("provider_id=acme&credential_id={key}")).await, 1);
    assert_eq!(ended("model_id=test-model").await, 1);
    assert!(app.cooldowns().await.is_empty());
}

#[actix_web::test]
async fn a_key_that_is_switched_off_and_on_begins_anew() {
    let app = with_mine(&["m"]).await;
    let added = app.post("/api/v1/providers/mine/keys", json!({"key": "sk-mine-0123456789"})).await;
    let path = format!("/api/v1/providers/mine/keys/{}", added.json["id"].as_str().unwrap());
    app.backup.next(error(401));
    assert_eq!(ask_for(&app, "m").await.status, 502);
    assert_eq!(scopes(&app).await, ["credential"]);

    app.patch(&path, json!({"label": "mine"})).await;
    assert_eq!(scopes(&app).await, ["credential"]);
    app.patch(&path, json!({"enabled": false})).await;
    app.patch(&path, json!({"enabled": true})).await;

    assert_eq!(ask_for(&app, "m").await.status, 200);
    assert!(app.cooldowns().await.is_empty());
}

#[actix_web::test]
async fn what_was_held_against_an_address_ends_when_it_is_another() {
    let app = with_mine(&["m"]).await;
    app.backup.always(|| error(500).into());
    ask_for(&app, "m").await;
    ask_for(&app, "m").await;
    assert_eq!(scopes(&app).await, ["provider_model"]);

    app.patch("/api/v1/providers/mine", json!({"name": "renamed"})).await;
    assert_eq!(scopes(&app).await, ["provider_model"]);
    let elsewhere = json!({"base_url": format!("http://{}", app.upstream.address)});
    app.patch("/api/v1/providers/mine", elsewhere).await;

    assert!(app.cooldowns().await.is_empty());
    assert_eq!(ask_for(&app, "m").await.status, 200);
}

#[actix_web::test]
async fn a_count_cools_nobody_and_waits_for_nobody() {
    let count = json!({"model": "test-model", "messages": [{"role": "user", "content": "hi"}]});
    let ask = async |app: &TestApp| {
        let request = app.request(Method::POST, "/v1/messages/count_tokens");
        Reply::to(request.bearer_auth(&app.client_key).body(count.to_string())).await
    };
    let unknown_path = || {
        let error = json!({"type": "not_found_error", "message": "Not Found"});
        raw(404, json!({"type": "error", "error": error}).to_string()).into()
    };
    for fails in [unknown_path, || error(500).into(), || error(429).into(), || error(401).into()] {
        let app = TestApp::speaking(ApiFormat::Anthropic).await;
        app.upstream.always(fails);
        for _ in 0..4 {
            let counted = ask(&app).await;
            assert_eq!(counted.status, 200, "{}", counted.text());
        }
        assert!(app.cooldowns().await.is_empty(), "{:?}", app.cooldowns().await);
    }

    let app = TestApp::speaking(ApiFormat::Anthropic).await;
    app.upstream.next(error(429).header("retry-after", "2"));
    app.upstream.always(|| error(500).into());
    let waiting = Box::pin(app.chat("hello"));
    let counted = async {
        eventually("the key cools", async || (!app.cooldowns().await.is_empty()).then_some(()))
            .await;
        ask(&app).await
    };
    // The chat waits for the end of the cooldown, and the count is there before it.
    match futures_util::future::select(waiting, Box::pin(counted)).await {
        futures_util::future::Either::Right((counted, _)) => assert_eq!(counted.status, 200),
        futures_util::future::Either::Left(_) => panic!("the count has waited"),
    }
}

#[actix_web::test]
async fn a_count_does_not_wait_for_who_is_silent() {
    let app = TestApp::with(Setup {
        speaks: Some(ApiFormat::Anthropic),
        configure: |config| config.relay.hedge_unknown_ms = 100,
        ..Setup::default()
    })
    .await;
    app.upstream.always(|| super::support::script::Step::Silent);
    let count = json!({"model": "test-model", "messages": [{"role": "user", "content": "hi"}]});

    let request = app.request(Method::POST, "/v1/messages/count_tokens");
    let counted = Reply::to(request.bearer_auth(&app.client_key).body(count.to_string())).await;

    assert_eq!((counted.status, app.upstream.calls()), (200, 1), "{}", counted.text());
}

#[actix_web::test]
async fn a_model_that_is_missing_by_name_is_missing_for_chats_too() {
    let app = TestApp::speaking(ApiFormat::Anthropic).await;
    app.upstream.always(|| {
        let error = json!({"type": "not_found_error", "message": "model: test-model"});
        raw(404, json!({"type": "error", "error": error}).to_string()).into()
    });
    let count = json!({"model": "test-model", "messages": [{"role": "user", "content": "hi"}]});
    let request = app.request(Method::POST, "/v1/messages/count_tokens");
    Reply::to(request.bearer_auth(&app.client_key).body(count.to_string())).await;
    eventually("the model cools", async || {
        (scopes(&app).await == ["provider_model"]).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn a_failure_is_heard_at_once_however_slow_storage_is() {
    let app = TestApp::with(Setup { keys: 2, ..Setup::default() }).await;
    app.chat("the journal and its file are there").await;
    let file = app.config.data.dir.join("providerpool.db");
    let pool = open(&format!("sqlite:{}", file.display()), 1).unwrap();
    let mut lock = pool.get().unwrap();
    lock.batch_execute("BEGIN IMMEDIATE").unwrap();
    let calls = app.upstream.calls();
    let adding = app.post("/api/v1/providers/openai/keys", json!({"key": "sk-slow-0123456789"}));
    let asking = async {
        app.upstream.next(error(401));
        for _ in 0..8 {
            assert_eq!(app.chat("hello").await.status, 200);
        }
        lock.batch_execute("ROLLBACK").unwrap();
    };

    within("all is answered", async { tokio::join!(adding, asking) }).await;

    assert_eq!(app.upstream.calls() - calls, 9, "a dead key was tried again");
}
