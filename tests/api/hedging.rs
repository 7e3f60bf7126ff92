//! A second candidate beside a slow one.

use providerpool::config::Config;
use serde_json::json;

use super::support::{
    Setup, TestApp, eventually,
    script::{DONE, Step, content, finish, gate, role, stream, stream_of},
};

fn quick(config: &mut Config) {
    config.relay.hedge_unknown_ms = 30;
    config.relay.hedge_min_ms = 30;
    config.relay.hedge_max_ms = 30;
}

async fn app() -> TestApp {
    TestApp::with(Setup { backup: true, configure: quick, ..Setup::default() }).await
}

#[actix_web::test]
async fn a_silent_provider_is_not_waited_for_when_another_answers() {
    let app = app().await;
    app.upstream.next(Step::Silent);

    let streamed = app.stream("hello").await;

    assert_eq!(streamed.header("x-providerpool-provider"), "backup");
    let id = streamed.header("x-request-id").to_owned();
    assert!(streamed.rest().await.ends_with(DONE));
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
    let trace = app.trace(&id).await;
    let attempts: Vec<_> = trace["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| {
            (attempt["provider_id"].clone(), attempt["kind"].clone(), attempt["end"].clone())
        })
        .collect();
    assert_eq!(
        attempts,
        [
            (json!("acme"), json!("first"), json!("hedged")),
            (json!("backup"), json!("hedge"), json!("answered")),
        ]
    );
    eventually("the silent one is let go", async || (app.upstream.hung_up() == 1).then_some(()))
        .await;
}

#[actix_web::test]
async fn the_slow_one_wins_when_it_is_the_first_to_answer_after_all() {
    let app = app().await;
    let (open, opened) = gate();
    let slow = stream().wait(opened).send(role()).send(content("slow")).send(finish()).send(DONE);
    app.upstream.next(slow);
    app.backup.next(Step::Silent);
    let asked = app.relay(super::support::chat_body("hello", true).to_string());
    let streamed = actix_web::rt::spawn(super::support::Streaming::to(asked));
    eventually("the backup is asked", async || (app.backup.calls() == 1).then_some(())).await;

    open.open();

    let streamed = streamed.await.unwrap();
    assert_eq!(streamed.header("x-providerpool-provider"), "acme");
    assert!(streamed.rest().await.contains("slow"));
}

#[actix_web::test]
async fn one_that_is_silent_again_and_again_is_left_alone() {
    let app = app().await;
    app.upstream.always(|| Step::Silent);
    for _ in 0..3 {
        app.stream("hello").await.rest().await;
    }
    let cooldowns = eventually("a cooldown", async || {
        Some(app.cooldowns().await).filter(|cooldowns| !cooldowns.is_empty())
    })
    .await;
    assert_eq!(
        (&cooldowns[0]["scope"], &cooldowns[0]["cause"]),
        (&json!("provider_model"), &json!("silent"))
    );

    app.stream("hello").await.rest().await;

    assert_eq!((app.upstream.calls(), app.backup.calls()), (3, 4));
}

#[actix_web::test]
async fn a_route_can_switch_it_off() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| {
            quick(config);
            config.relay.idle_timeout_ms = 200;
        },
        ..Setup::default()
    })
    .await;
    app.put("/api/v1/routes/test-model", json!({"hedge": false})).await;
    app.upstream.next(Step::Silent);

    let streamed = app.stream("hello").await;

    assert_eq!(streamed.header("x-providerpool-provider"), "backup");
    let id = streamed.header("x-request-id").to_owned();
    streamed.rest().await;
    assert_eq!(app.trace(&id).await["attempts"][0]["failure"]["class"], "silent");
}

#[actix_web::test]
async fn a_candidate_that_fails_beside_a_slow_one_leads_to_the_next() {
    let app = app().await;
    app.upstream.next(Step::Silent);
    app.backup.always(|| super::support::script::error(401).into());

    let refused = app
        .relay(super::support::chat_body("hello", true).to_string())
        .header("x-providerpool-timeout-ms", "400");
    let refused = super::support::Streaming::to(refused).await;

    assert_eq!(refused.status(), 504);
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
}

#[actix_web::test]
async fn a_quick_provider_is_asked_alone() {
    let app = TestApp::with_backup().await;
    app.upstream.always(|| stream_of(&["quick"]).into());
    for _ in 0..5 {
        app.stream("hello").await.rest().await;
    }
    assert_eq!((app.upstream.calls(), app.backup.calls()), (5, 0));
}
