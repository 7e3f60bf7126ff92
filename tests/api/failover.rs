//! Failures that were routed around in one way and not in another: fallbacks beside broken streams,
//! silence and limits, whole and streamed.

use providerpool::config::Config;
use serde_json::json;

use super::support::{
    Reply, Setup, Streaming, TestApp, chat_body,
    script::{DONE, End, Step, content, error, role, stream, stream_of},
    served,
};

/// `acme` has the model asked for, and `backup` its fallback.
fn with_fallback(config: &mut Config) {
    config.providers[0].models = vec![served("test-model", None)];
    config.providers[1].models = vec![served("ok", None)];
}

async fn app_with_fallback(configure: fn(&mut Config)) -> TestApp {
    let app = TestApp::with(Setup {
        backup: true,
        lay_out: with_fallback,
        configure,
        ..Setup::default()
    })
    .await;
    app.put("/api/v1/routes/test-model", json!({"fallbacks": ["ok"]})).await;
    app
}

#[actix_web::test]
async fn a_broken_stream_is_gone_on_with_by_a_fallback() {
    let app = app_with_fallback(|_| {}).await;
    app.upstream.next(stream().send(role()).send(content("Hel")).then(End::Cut));
    app.backup.next(stream_of(&["Hello", " world"]));

    let text = app.stream("hello").await.rest().await;

    assert!(text.contains(" world") && text.ends_with(DONE), "{text}");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
}

#[actix_web::test]
async fn a_fallback_is_asked_beside_a_silent_candidate() {
    let app = app_with_fallback(|config| config.relay.hedge_unknown_ms = 30).await;
    app.upstream.next(Step::Silent);

    let streamed = app.stream("hello").await;

    assert_eq!(streamed.header("x-providerpool-provider"), "backup");
    assert!(streamed.rest().await.ends_with(DONE));
}

#[actix_web::test]
async fn a_silent_attempt_at_a_whole_answer_ends_while_another_provider_is_left() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| config.relay.attempt_timeout_ms = 100,
        ..Setup::default()
    })
    .await;
    app.upstream.next(Step::Silent);

    let answer = app.chat("hello").await;

    assert_eq!((answer.status, answer.header("x-providerpool-provider")), (200, "backup"));
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
    let trace = app.trace(answer.header("x-request-id")).await;
    assert_eq!(trace["attempts"][0]["failure"]["class"], "silent", "{trace}");
}

#[actix_web::test]
async fn a_route_or_a_provider_may_say_how_long_an_attempt_takes_at_most() {
    for is_of_route in [false, true] {
        let app = TestApp::with_backup().await;
        let mut slow = json!({"id": "slow", "name": "slow", "location": "local", "priority": 1_000,
            "api_format": "openai", "base_url": format!("http://{}", app.upstream.address)});
        let made = if is_of_route {
            assert_eq!(app.post("/api/v1/providers", slow).await.status, 201);
            app.put("/api/v1/routes/test-model", json!({"attempt_timeout_ms": 100})).await
        } else {
            slow["attempt_timeout_ms"] = 100.into();
            app.post("/api/v1/providers", slow).await
        };
        assert_eq!((made.status, &made.json["attempt_timeout_ms"]), (201, &json!(100)));
        app.upstream.next(Step::Silent);

        let answer = app.chat("hello").await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        let trace = app.trace(answer.header("x-request-id")).await;
        let first = &trace["attempts"][0];
        assert_eq!(
            (&first["provider_id"], &first["failure"]["class"]),
            (&json!("slow"), &json!("silent"))
        );
    }
}

#[actix_web::test]
async fn the_last_candidate_has_the_rest_of_the_requests_time() {
    let app = TestApp::configured(|config| config.relay.attempt_timeout_ms = 100).await;
    app.upstream.next(Step::Silent);
    let request = app.relay(chat_body("hello", false).to_string());

    let refused = Reply::to(request.header("x-providerpool-timeout-ms", "400")).await;

    assert_eq!((refused.status, app.upstream.calls()), (504, 1));
}

#[actix_web::test]
async fn where_the_budget_is_empty_the_silent_one_is_left() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| config.relay.hedge_unknown_ms = 50,
        ..Setup::default()
    })
    .await;
    app.upstream.always(|| Step::Silent);

    // More than the budget has for ten seconds.
    let requests: Vec<_> = (0..30)
        .map(|_| {
            let asked = app.relay(chat_body("hello", true).to_string());
            actix_web::rt::spawn(async move { Streaming::to(asked).await.rest().await })
        })
        .collect();

    for request in requests {
        assert!(request.await.unwrap().ends_with(DONE));
    }
}

#[actix_web::test]
async fn a_fallback_at_the_same_provider_is_asked() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("test-model", None), served("ok", None)];
        config.relay.retry_pause_ms = 1;
    })
    .await;
    app.put("/api/v1/routes/test-model", json!({"fallbacks": ["ok"]})).await;
    app.upstream.next(error(503));
    app.upstream.next(error(503));

    let answer = app.chat("hello").await;

    assert_eq!((answer.status, answer.header("x-providerpool-model")), (200, "ok"));
    assert_eq!(app.upstream.calls(), 3);
}

// Its cooldown keeps the key from every model, and the request that has met it is no exception.
#[actix_web::test]
async fn a_key_that_says_when_it_is_paid_for_again_is_not_asked_for_another_model() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("test-model", None), served("ok", None)];
    })
    .await;
    app.put("/api/v1/routes/test-model", json!({"fallbacks": ["ok"]})).await;
    app.upstream.next(error(402).header("retry-after", "100"));

    let refused = app.chat("hello").await;

    assert_eq!((refused.status, app.upstream.calls()), (429, 1), "{}", refused.text());
}

#[actix_web::test]
async fn an_overload_that_says_when_it_is_over_is_not_asked_before() {
    let app = TestApp::start().await;
    app.upstream.next(error(503).header("retry-after", "77"));

    let refused = app.chat("hello").await;

    assert_eq!((refused.status, app.upstream.calls()), (503, 1));
    assert!((76..=85).contains(&refused.retry_after()), "{}", refused.retry_after());
}

#[actix_web::test]
async fn an_overload_that_is_over_in_time_is_waited_for() {
    for status in [500, 503, 529] {
        let app = TestApp::start().await;
        app.upstream.next(error(status).header("retry-after", "1"));

        let answer = app.chat("hello").await;

        assert_eq!((answer.status, app.upstream.calls()), (200, 2), "{status}");
        let trace = app.trace(answer.header("x-request-id")).await;
        assert!(trace["duration_ms"].as_u64().unwrap() >= 1_000, "{trace}");
    }
}

#[actix_web::test]
async fn who_meets_the_limits_waits_as_the_next_request_would() {
    let app = TestApp::with_backup().await;
    app.upstream.next(error(429).header("retry-after", "4"));
    app.backup.next(error(429).header("retry-after", "4"));

    let answer = app.chat("hello").await;

    assert_eq!(answer.status, 200);
    assert_eq!(app.upstream.calls() + app.backup.calls(), 3);
}

#[actix_web::test]
async fn of_several_failures_the_one_that_passes_soonest_is_told() {
    let app = TestApp::with_backup().await;
    app.upstream.next(error(429).header("retry-after", "70"));
    app.backup.next(error(401));

    let refused = app.chat("hello").await;

    assert_eq!((refused.status, &refused.json["error"]["code"]), (429, &json!("rate_limited")));
    assert!((68..=78).contains(&refused.retry_after()), "{}", refused.retry_after());
}
