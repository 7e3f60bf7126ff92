//! The law of the time budget: one deadline over every wait and attempt.

use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{
    Reply, Setup, Streaming, TestApp, chat_body,
    script::{DONE, End, Step, content, error, stream},
};

#[actix_web::test]
async fn a_caller_may_allow_less_time() {
    let app = TestApp::with_backup().await;
    app.upstream.always(|| Step::Silent);

    let request = app.relay(chat_body("hello", false).to_string());
    let started = Instant::now();
    let answer = Reply::to(request.header("x-providerpool-timeout-ms", "150")).await;

    assert_eq!((answer.status, &answer.json["error"]["code"]), (504, &json!("timeout")));
    assert!(started.elapsed() >= Duration::from_millis(150));
    assert_eq!(app.backup.calls(), 0, "there was no time left for another");
    assert_eq!(app.ledger().await.failed, 1);
}

#[actix_web::test]
async fn a_caller_cannot_allow_more_time_than_the_pool_does() {
    let app = TestApp::configured(|config| config.relay.timeout_ms = 150).await;
    app.upstream.always(|| Step::Silent);

    let request = app.relay(chat_body("hello", false).to_string());
    let answer = Reply::to(request.header("x-providerpool-timeout-ms", "3600000")).await;

    assert_eq!(answer.status, 504);
}

#[actix_web::test]
async fn a_deadline_is_not_held_against_a_provider() {
    let app = TestApp::start().await;
    app.upstream.always(|| Step::Silent);
    for _ in 0..3 {
        let request = app.relay(chat_body("hello", false).to_string());
        Reply::to(request.header("x-providerpool-timeout-ms", "250")).await;
    }

    assert_eq!(app.upstream.calls(), 3);
    assert!(app.cooldowns().await.is_empty());
}

#[actix_web::test]
async fn all_attempts_share_one_deadline() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| config.relay.idle_timeout_ms = 300,
        ..Setup::default()
    })
    .await;
    app.upstream.always(|| stream().then(End::Stall).into());
    app.backup.always(|| stream().then(End::Stall).into());

    let request = app.relay(chat_body("hello", true).to_string());
    let answer = Reply::to(request.header("x-providerpool-timeout-ms", "550")).await;

    assert_eq!((answer.status, &answer.json["error"]["code"]), (504, &json!("timeout")));
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
}

#[actix_web::test]
async fn a_pause_that_would_pass_the_deadline_is_not_made() {
    let app = TestApp::with_backup().await;
    app.chat("so that everyone is awake").await;
    app.upstream.always(|| error(500).into());

    let request = app.relay(chat_body("hello", false).to_string());
    let answer = Reply::to(request.header("x-providerpool-timeout-ms", "190")).await;

    assert_eq!(answer.header("x-providerpool-provider"), "backup");
    assert_eq!(app.upstream.calls(), 2);
}

#[actix_web::test]
async fn a_stream_that_takes_too_long_ends_with_an_error() {
    let app = TestApp::start().await;
    app.upstream.next(stream().send(content("one")).then(End::Stall));

    let request = app.relay(chat_body("hello", true).to_string());
    let answer = Streaming::to(request.header("x-providerpool-timeout-ms", "500")).await;
    let text = answer.rest().await;

    assert!(text.contains("\"timeout\"") && !text.contains(DONE), "{text}");
    assert_eq!(app.ledger().await.failed, 1);
}
