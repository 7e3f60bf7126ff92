//! Cooldowns as people and clients meet them: what is refused meanwhile, listed, kept and cleared.

use serde_json::{Value, json};

use super::support::{
    Reply, Setup, Streaming, TestApp, chat_body, eventually, on_every_database,
    script::{Step, error},
};

/// Cools the only key of `acme` for so many seconds.
async fn cool(app: &TestApp, seconds: u32) {
    app.upstream.next(error(429).header("retry-after", seconds.to_string()));
    assert_eq!(app.chat("hello").await.status, 429);
}

#[actix_web::test]
async fn while_all_cool_for_longer_than_a_request_may_take_clients_are_told_the_true_time() {
    let app = TestApp::configured(|config| config.relay.timeout_ms = 30_000).await;
    cool(&app, 60).await;

    let whole = app.chat("hello").await;
    let streamed = Streaming::to(app.relay(chat_body("hello", true).to_string())).await;

    assert_eq!((whole.status, &whole.json["error"]["code"]), (429, &json!("rate_limited")));
    assert!((58..=66).contains(&whole.retry_after()), "{}", whole.retry_after());
    assert_eq!((streamed.status(), streamed.header("content-type")), (429, "application/json"));
    assert_eq!(app.upstream.calls(), 1);
    assert_eq!(app.ledger().await.failed, 3);
}

#[actix_web::test]
async fn while_all_providers_cool_after_failures_clients_get_a_503() {
    let app = TestApp::configured(|config| config.relay.timeout_ms = 5_000).await;
    app.upstream.always(|| error(500).into());
    app.chat("hello").await;
    app.chat("hello").await;

    let refused = app.chat("hello").await;

    assert_eq!(
        (refused.status, &refused.json["error"]["code"]),
        (503, &json!("providers_cooling"))
    );
    assert!((9..=11).contains(&refused.retry_after()), "{}", refused.retry_after());
}

#[actix_web::test]
async fn the_soonest_end_of_several_is_told() {
    let app = TestApp::with(Setup { keys: 2, ..Setup::default() }).await;
    app.upstream.next(error(429).header("retry-after", "300"));
    app.upstream.next(error(429).header("retry-after", "90"));

    let refused = app.chat("hello").await;

    assert_eq!(refused.status, 429);
    assert!((88..=99).contains(&refused.retry_after()), "{}", refused.retry_after());
}

#[actix_web::test]
async fn a_cooldown_that_is_over_lets_requests_through_and_is_told() {
    let app = TestApp::start().await;
    let mut events = app.events("?types=cooldown.*").await;
    app.upstream.next(error(429).header("retry-after-ms", "50"));
    app.chat("hello").await;

    let answer = eventually("the key is used again", async || {
        Some(app.chat("hello").await).filter(|answer| answer.status == 200)
    })
    .await;

    assert_eq!(answer.said(), "Hello world");
    let started = events.next().await;
    let ended = events.next().await;
    assert_eq!(
        (&started["type"], &ended["type"]),
        (&json!("cooldown.started"), &json!("cooldown.ended"))
    );
    assert_eq!(started["data"]["cause"], "rate_limit");
}

#[actix_web::test]
async fn cooldowns_survive_a_restart_and_can_be_cleared() {
    on_every_database(async |database| {
        let mut app = TestApp::with(Setup { database, ..Setup::default() }).await;
        cool(&app, 3_600).await;
        let before = app.cooldowns().await;
        assert_eq!(before.len(), 1);

        app.restart().await;

        assert_eq!(app.cooldowns().await, before);
        assert_eq!(app.chat("hello").await.status, 429);
        assert_eq!(app.upstream.calls(), 1);
        let mut events = app.events("").await;
        let cleared = app.delete("/api/v1/cooldowns?provider_id=acme").await;
        assert_eq!((cleared.status, &cleared.json["cleared"]), (200, &json!(before)));
        let event = events.until("cooldown.cleared").await;
        assert_eq!((&event["provider_id"], &event["data"]), (&json!("acme"), &before[0]));
        assert_eq!(app.chat("hello").await.status, 200);

        app.restart().await;

        assert_eq!(app.cooldowns().await, Vec::<Value>::new());
    })
    .await;
}

#[actix_web::test]
async fn only_those_of_one_provider_are_cleared() {
    let app = TestApp::with_backup().await;
    app.upstream.next(error(401));
    app.backup.next(error(401));
    app.chat("hello").await;
    assert_eq!(app.cooldowns().await.len(), 2);

    app.delete("/api/v1/cooldowns?provider_id=acme").await;

    let left = app.cooldowns().await;
    assert_eq!((left.len(), &left[0]["provider_id"]), (1, &json!("backup")));
    assert_eq!(app.delete("/api/v1/cooldowns?provider_id=nobody").await.status, 404);
    assert_eq!(app.delete("/api/v1/cooldowns").await.json["cleared"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn cooldowns_come_in_pages() {
    let app = TestApp::with(Setup { keys: 3, ..Setup::default() }).await;
    app.upstream.always(|| error(429).header("retry-after", "900").into());
    app.chat("hello").await;

    let first = app.get("/api/v1/cooldowns?limit=2").await;
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let query: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
    let second = app.get(&format!("/api/v1/cooldowns?limit=2&cursor={query}")).await;

    let ids = |reply: &Reply| -> Vec<String> {
        let list = reply.json["cooldowns"].as_array().unwrap();
        let id =
            |one: &Value| one["credential_id"].as_str().unwrap()[.."config_acme_1".len()].into();
        list.iter().map(id).collect()
    };
    assert_eq!(ids(&first), ["config_acme_1", "config_acme_2"]);
    assert_eq!(ids(&second), ["config_acme_3"]);
    assert!(second.json.get("next_cursor").is_none());
}

#[actix_web::test]
async fn an_error_that_is_cleared_lets_requests_go_there_again() {
    let app = TestApp::with_backup().await;
    app.upstream.next(error(401));
    // The first is lost on the connection that the answer before it came by, and says nothing of acme.
    for _ in 0..4 {
        app.upstream.next(Step::Reset);
    }
    app.chat("hello").await;
    app.delete("/api/v1/cooldowns").await;
    app.chat("hello").await;
    app.chat("hello").await;
    eventually("acme is in error", async || {
        (app.get("/api/v1/providers/acme").await.json["status"] == "error").then_some(())
    })
    .await;

    let cleared =
        Reply::to(app.manage(reqwest::Method::POST, "/api/v1/providers/acme/clear-error")).await;

    assert_eq!((cleared.status, &cleared.json["status"]), (200, &json!("active")));
    assert!(app.cooldowns().await.is_empty());
    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "acme");
}
