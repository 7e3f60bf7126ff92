//! The classes of failure: what the client sees, who is asked again, and what is left alone.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::support::{
    Ledger, Reply, Setup, TestApp, chat_body, closed_port, eventually,
    script::{
        DONE, End, Script, Step, content, error, error_event, error_with_code, raw, role, stream,
        stream_of, whole,
    },
};

async fn with_two_keys_and_backup() -> TestApp {
    TestApp::with(Setup { keys: 2, backup: true, ..Setup::default() }).await
}

/// The keys with which `acme` was called, in order.
fn keys_tried(app: &TestApp) -> Vec<String> {
    app.upstream.keys()
}

/// The one cooldown, as scope, cause, and length in seconds: the length it would have if it were not
/// drawn out by up to a tenth, and 30 s at most.
async fn only_cooldown(app: &TestApp, seconds: i64) -> (String, String, i64) {
    let cooldowns = eventually("a cooldown", async || {
        Some(app.cooldowns().await).filter(|cooldowns| !cooldowns.is_empty())
    })
    .await;
    let [cooldown] = cooldowns.as_slice() else { panic!("not one cooldown: {cooldowns:?}") };
    let text = |field: &str| cooldown[field].as_str().unwrap().to_owned();
    let at = |field: &str| text(field).parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let drawn_out = (at("until") - at("started_at") - seconds * 1000).max(-1);
    let is_near = (0..=(seconds * 100).min(30_000)).contains(&drawn_out);
    let shown = if is_near { seconds } else { seconds + drawn_out / 1000 };
    (text("scope"), text("cause"), shown)
}

fn is(scope: &str, cause: &str, seconds: i64) -> (String, String, i64) {
    (scope.to_owned(), cause.to_owned(), seconds)
}

#[actix_web::test]
async fn what_is_wrong_with_a_request_is_told_in_the_upstreams_words_and_not_retried() {
    for status in [400, 409, 413, 422] {
        let app = with_two_keys_and_backup().await;
        let reason = json!({"error": {"message": "temperature is too high", "type": "invalid_request_error",
            "param": "temperature", "code": "bad_temperature"}});
        app.upstream.next(raw(status, reason.to_string()));

        let refused = app.chat("hello").await;

        assert_eq!(refused.status, status);
        assert_eq!(refused.json, reason);
        assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 0), "{status}");
        assert_eq!(app.cooldowns().await, Vec::<Value>::new());
        assert_eq!(app.ledger().await.failed, 1);
    }
}

#[actix_web::test]
async fn a_prompt_that_is_too_long_is_not_tried_elsewhere() {
    let app = with_two_keys_and_backup().await;
    app.upstream.next(error_with_code(400, &json!("context_length_exceeded")));

    let refused = app.chat("hello").await;

    assert_eq!(refused.status, 400);
    assert_eq!(refused.json["error"]["code"], "context_length_exceeded");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 0));
}

#[actix_web::test]
async fn a_refusal_is_never_routed_around() {
    for (status, code) in [(400, "content_filter"), (403, "content_policy_violation")] {
        let app = with_two_keys_and_backup().await;
        app.upstream.next(error_with_code(status, &json!(code)));

        let refused = app.chat("hello").await;

        assert_eq!(refused.status, 400, "{code}");
        assert_eq!(refused.json["error"]["code"], code);
        assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 0));
        assert_eq!(app.cooldowns().await, Vec::<Value>::new());
    }
}

#[actix_web::test]
async fn a_key_that_is_not_accepted_is_left_alone_for_half_an_hour() {
    for status in [401, 403] {
        let app = with_two_keys_and_backup().await;
        app.upstream.next(error(status));

        let answer = app.chat("hello").await;

        assert_eq!(answer.said(), "Hello world", "{status}");
        assert_eq!(answer.header("x-providerpool-attempts"), "2");
        let tried = keys_tried(&app);
        assert_eq!(tried.len(), 2);
        assert_ne!(tried[0], tried[1], "the same key was tried twice");
        assert_eq!(app.backup.calls(), 0);
        assert_eq!(only_cooldown(&app, 1800).await, is("credential", "auth", 1800));
        app.chat("hello").await;
        assert_eq!(keys_tried(&app)[2], tried[1], "the bad key was used again");
    }
}

#[actix_web::test]
async fn when_no_key_is_accepted_the_next_provider_is_asked() {
    let app = with_two_keys_and_backup().await;
    app.upstream.always(|| error(401).into());

    let answer = app.chat("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "backup");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 1));
}

#[actix_web::test]
async fn a_model_that_refuses_who_asks_without_a_key_is_left_alone_until_there_is_one() {
    let app = TestApp::start().await;
    let open = json!({"id": "open", "location": "local", "priority": 90, "api_format": "openai",
        "base_url": format!("http://{}", app.upstream.address)});
    assert_eq!(app.post("/api/v1/providers", open).await.status, 201);
    app.upstream.next(error(402).header("retry-after", "600"));

    let answer = app.chat("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "acme");
    assert_eq!(only_cooldown(&app, 600).await, is("provider_model", "payment", 600));
    let added = app.post("/api/v1/providers/open/keys", json!({"key": "sk-first"})).await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!(app.cooldowns().await, Vec::<Value>::new());
    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "open");
}

#[actix_web::test]
async fn the_keys_of_the_pool_are_not_the_clients_matter() {
    let app = TestApp::start().await;
    app.upstream.always(|| error(401).into());

    let failed = app.chat("hello").await;

    assert_eq!(failed.status, 502);
    assert_eq!(failed.json["error"]["code"], "upstream_auth");
    assert!(!failed.text().contains("says the upstream"), "an upstream's words got through");
}

#[actix_web::test]
async fn an_account_without_credit_is_left_alone_for_half_an_hour() {
    for answer in [error(402), error_with_code(429, &json!("insufficient_quota"))] {
        let app = with_two_keys_and_backup().await;
        app.upstream.next(answer);

        let answer = app.chat("hello").await;

        assert_eq!(answer.status, 200);
        assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 0));
        assert_eq!(only_cooldown(&app, 1800).await, is("credential", "payment", 1800));
    }
}

#[actix_web::test]
async fn a_rate_limit_goes_to_the_next_key_at_once_and_lasts_as_long_as_the_upstream_says() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_hours(1));
    let date_wait = 3_590..=3_600;
    for (name, value, seconds) in [
        ("retry-after-ms", "90500", 90..=90),
        ("retry-after", "77", 77..=77),
        ("retry-after", date.as_str(), date_wait),
        ("x-ratelimit-reset-requests", "2m3s", 123..=123),
        ("retry-after", "99999999", 86_400..=86_400),
        ("x-none", "0", 1..=1),
    ] {
        let app = with_two_keys_and_backup().await;
        app.upstream.next(error(429).header(name, value));

        let answer = app.chat("hello").await;

        assert_eq!(answer.status, 200);
        assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 0));
        let (scope, cause, length) = only_cooldown(&app, 0).await;
        assert_eq!((scope.as_str(), cause.as_str()), ("credential_model", "rate_limit"));
        let drawn_out = seconds.end() + (seconds.end() / 10).clamp(1, 30);
        assert!((*seconds.start()..=drawn_out).contains(&length), "{name}: {value}: {length} s");
    }
}

#[actix_web::test]
async fn a_rate_limit_of_one_model_leaves_the_key_for_others() {
    let app = TestApp::start().await;
    app.upstream.next(error(429).header("retry-after", "60"));
    assert_eq!(app.chat("hello").await.status, 429);

    let mut other = chat_body("hello", false);
    other["model"] = json!("other-model");
    let answer = Reply::to(app.relay(other.to_string())).await;

    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn a_failing_server_is_asked_once_more_and_then_left() {
    for status in [500, 502, 503, 504, 529] {
        let app = TestApp::with_backup().await;
        app.upstream.next(error(status));
        app.upstream.next(error(status));

        let answer = app.chat("hello").await;

        assert_eq!(answer.header("x-providerpool-provider"), "backup", "{status}");
        assert_eq!(answer.header("x-providerpool-attempts"), "3");
        assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 1));
    }
}

#[actix_web::test]
async fn a_server_that_fails_once_answers_the_second_time() {
    let app = TestApp::with_backup().await;
    app.upstream.next(error(500));

    let answer = app.chat("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "acme");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 0));
    assert_eq!(app.cooldowns().await, Vec::<Value>::new());
}

#[actix_web::test]
async fn a_model_that_fails_three_times_in_a_minute_cools_for_ten_seconds() {
    let app = TestApp::with_backup().await;
    app.upstream.always(|| error(500).into());
    app.chat("hello").await;
    assert_eq!(app.cooldowns().await, Vec::<Value>::new());

    app.chat("hello").await;

    assert_eq!(only_cooldown(&app, 10).await, is("provider_model", "server", 10));
    assert_eq!(app.upstream.calls(), 3, "a cooling provider was asked again");
    app.chat("hello").await;
    assert_eq!((app.upstream.calls(), app.backup.calls()), (3, 3));
}

#[actix_web::test]
async fn a_closed_port_is_tried_once_more_and_then_left() {
    let app = TestApp::with_backup().await;
    let nowhere = format!("http://{}", closed_port().await);
    let created = app
        .post(
            "/api/v1/providers",
            json!({"id": "gone", "name": "Gone", "api_format": "openai", "base_url": nowhere,
                "location": "local", "priority": 99, "api_key": "sk-gone"}),
        )
        .await;
    assert_eq!(created.status, 201, "{}", created.text());

    let answer = app.chat("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "acme");
    assert_eq!(answer.header("x-providerpool-attempts"), "3");
    let attempts = "providerpool_attempts_total{provider=\"gone\",class=\"connect\"}";
    assert_eq!(app.metric(attempts).await, 2);
}

#[actix_web::test]
async fn a_reset_connection_is_tried_once_more_and_then_left() {
    let app = TestApp::with_backup().await;
    app.upstream.always(|| Step::Reset);

    let answer = app.chat("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "backup");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 1));
}

#[actix_web::test]
async fn a_silent_upstream_is_left_and_not_tried_twice() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| config.relay.idle_timeout_ms = 300,
        ..Setup::default()
    })
    .await;
    app.upstream.always(|| Step::Silent);

    let answer = app.stream("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "backup");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
    answer.rest().await;
    eventually("the silent upstream is let go", async || {
        (app.upstream.hung_up() == 1).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn an_upstream_that_stalls_before_its_first_word_is_left() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| config.relay.idle_timeout_ms = 300,
        ..Setup::default()
    })
    .await;
    app.upstream.next(stream().send(": hello\n\n").then(End::Stall));

    let answer = app.stream("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "backup");
    assert_eq!(app.upstream.calls(), 1);
}

// It says nothing more, however often it does so: the time between events is over at some time.
#[actix_web::test]
async fn a_stream_that_goes_on_with_comments_alone_has_stalled() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| {
            config.relay.idle_timeout_ms = 300;
            config.relay.timeout_ms = 10_000;
        },
        ..Setup::default()
    })
    .await;
    let begun = stream().send(role()).send(content("Hel"));
    let comment = |script: Script, nth| {
        let script = script.pause(Duration::from_millis(50));
        script.send(if nth % 2 == 0 { ": processing\n\n" } else { "\n" })
    };
    app.upstream.next((0..1_000).fold(begun, comment));
    app.backup.next(stream_of(&["Hello", " world"]));

    let text = app.stream("hello").await.rest().await;

    assert!(text.contains(" world") && text.ends_with(DONE), "{text}");
}

#[actix_web::test]
async fn an_answer_that_is_cut_before_its_first_word_is_taken_elsewhere() {
    let app = TestApp::with_backup().await;
    app.upstream.next(stream().send(": hello\n\n").then(End::Cut));

    let answer = app.stream("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "backup");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
}

#[actix_web::test]
async fn a_missing_model_is_asked_for_elsewhere_and_not_there_again_for_an_hour() {
    for answer in [
        error_with_code(404, &json!("model_not_found")),
        error_with_code(400, &json!("model_not_supported")),
    ] {
        let app = with_two_keys_and_backup().await;
        app.upstream.next(answer);

        let answer = app.chat("hello").await;

        assert_eq!(answer.header("x-providerpool-provider"), "backup");
        assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
        assert_eq!(only_cooldown(&app, 3600).await, is("provider_model", "model_missing", 3600));
        app.chat("hello").await;
        assert_eq!(app.upstream.calls(), 1);
        let mut other = chat_body("hello", false);
        other["model"] = json!("other-model");
        Reply::to(app.relay(other.to_string())).await;
        assert_eq!(app.upstream.calls(), 2, "another model was not asked for there");
    }
}

#[actix_web::test]
async fn what_looks_good_and_is_not_is_a_failure_of_the_server() {
    let error =
        json!({"error": {"message": "m", "type": "server_error", "code": null}}).to_string();
    for bad in [error.as_str(), "<html>all good</html>", "", "{}", "{\"choices\":"] {
        let app = TestApp::with_backup().await;
        app.upstream.next(raw(200, bad));
        app.upstream.next(raw(200, bad));

        let answer = app.chat("hello").await;

        assert_eq!(answer.header("x-providerpool-provider"), "backup", "{bad:?} was taken");
        assert_eq!(app.ledger().await.completed, 1);
    }
}

#[actix_web::test]
async fn a_stream_that_is_none_is_a_failure_of_the_server() {
    let whole_step: fn() -> Step = || whole("Hello").into();
    let error_step: fn() -> Step = || raw(200, "{\"error\":{\"message\":\"m\"}}").into();
    let error_first: fn() -> Step = || stream().send(error_event()).into();
    for step in [whole_step, error_step, error_first] {
        let app = TestApp::with_backup().await;
        app.upstream.always(step);

        let answer = app.stream("hello").await;

        assert_eq!(answer.header("x-providerpool-provider"), "backup");
        assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 1));
        assert!(!answer.rest().await.contains("error"));
    }
}

#[actix_web::test]
async fn an_empty_stream_is_taken_elsewhere() {
    let nothing: fn() -> Step = || stream().into();
    let done_only: fn() -> Step = || stream().send("data: [DONE]\n\n").into();
    let no_content: fn() -> Step = || stream().send(role()).into();
    for step in [nothing, done_only, no_content] {
        let app = TestApp::with_backup().await;
        app.upstream.always(step);

        let answer = app.stream("hello").await;

        assert_eq!(answer.header("x-providerpool-provider"), "backup");
        assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
    }
}

#[actix_web::test]
async fn when_nobody_answers_the_last_failure_decides_what_the_client_sees() {
    type Case = (fn() -> Step, u16, &'static str);
    let table: [Case; 6] = [
        (|| error(401).into(), 502, "upstream_auth"),
        (|| error(402).into(), 429, "insufficient_quota"),
        (|| error(429).header("retry-after", "70").into(), 429, "rate_limited"),
        (|| error(500).into(), 502, "upstream_error"),
        (|| error(503).into(), 503, "overloaded"),
        (|| Step::Reset, 502, "upstream_error"),
    ];
    for (step, status, code) in table {
        let app = TestApp::start().await;
        app.upstream.always(step);

        let failed = app.chat("hello").await;

        assert_eq!((failed.status, &failed.json["error"]["code"]), (status, &json!(code)));
        assert_eq!(failed.retry_after() > 0, matches!(status, 429 | 503), "{code}");
        assert!(failed.json["error"]["message"].is_string());
        assert!(!failed.text().contains("says the upstream"), "{}", failed.text());
        assert_eq!(app.ledger().await, Ledger { requests: 1, failed: 1, ..Default::default() });
    }
}

#[actix_web::test]
async fn an_outage_is_not_amplified() {
    // Too short to wait for the end of the cooldown.
    let app = TestApp::configured(|config| config.relay.timeout_ms = 5_000).await;
    app.upstream.always(|| stream().send(content("a")).then(End::Cut).into());
    // Asked to go on once, and the third time was the next client's.
    app.stream("hello").await.rest().await;
    assert_eq!(app.upstream.calls(), 2, "asked to go on more than once");
    app.stream("hello").await.rest().await;
    // The next client may be quicker than the word of it.
    eventually("a cooldown", async || (!app.cooldowns().await.is_empty()).then_some(())).await;
    for _ in 0..4 {
        app.stream("hello").await.rest().await;
    }
    assert_eq!(app.upstream.calls(), 3, "a provider that cuts its answers was not left alone");
}
