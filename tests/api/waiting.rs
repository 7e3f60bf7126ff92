//! Requests that wait: for a rate limit to pass, for a cooldown to end, for a place at a busy key.

use providerpool::config::Config;
use serde_json::{Value, json};

use super::support::{
    Reply, Setup, TestApp, chat_body, eventually,
    script::{DONE, Gate, Step, content, error, error_with_code, finish, gate, stream, whole},
    within,
};

fn limited(millis: u32) -> Step {
    error(429).header("retry-after-ms", millis.to_string()).into()
}

/// Sends a request and goes on.
fn begin(app: &TestApp) -> actix_web::rt::task::JoinHandle<Reply> {
    let request = app.relay(chat_body("hello", false).to_string());
    actix_web::rt::spawn(Reply::to(request))
}

/// `acme` has `test-model`, and `backup` the model that requests for it fall back to.
async fn with_fallback() -> TestApp {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| {
            config.providers[0].models = vec![super::support::served("test-model", None)];
            config.providers[1].models = vec![super::support::served("other", None)];
        },
        ..Setup::default()
    })
    .await;
    app.put("/api/v1/routes/test-model", json!({"fallbacks": ["other"]})).await;
    app
}

#[actix_web::test]
async fn a_rate_limit_that_passes_soon_is_waited_for() {
    let app = TestApp::start().await;
    app.upstream.next(limited(50));

    let answer = app.chat("hello").await;

    assert_eq!((answer.status, answer.said()), (200, "Hello world"));
    assert_eq!(answer.header("x-providerpool-attempts"), "2");
}

#[actix_web::test]
async fn it_is_waited_for_twice_at_most() {
    let app = TestApp::start().await;
    app.upstream.always(|| limited(20));

    let refused = app.chat("hello").await;

    assert_eq!((refused.status, app.upstream.calls()), (429, 3));
    assert!(refused.retry_after() >= 1);
}

// They are asked one after the other once the limit is over, and who was not the first has not waited in vain.
#[actix_web::test]
async fn all_who_meet_a_short_limit_together_are_served_when_it_is_over() {
    const REQUESTS: usize = 20;
    let app = TestApp::start().await;
    let (gates, opened): (Vec<_>, Vec<_>) = (0..REQUESTS).map(|_| gate()).unzip();
    for opened in opened {
        app.upstream.next(limited(1_000).when(opened));
    }
    let requests: Vec<_> = (0..REQUESTS).map(|_| begin(&app)).collect();
    eventually("all are asked", async || (app.upstream.calls() == REQUESTS).then_some(())).await;

    gates.into_iter().for_each(Gate::open);

    for request in requests {
        let answer = request.await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(app.upstream.calls(), 2 * REQUESTS);
}

#[actix_web::test]
async fn another_provider_of_the_model_goes_before_waiting_and_waiting_before_another_model() {
    let app = TestApp::with_backup().await;
    app.upstream.next(limited(50));
    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "backup");

    let app = with_fallback().await;
    app.upstream.next(limited(50));
    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "acme");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 0));
    app.upstream.next(limited(60_000));
    assert_eq!(app.chat("hello").await.header("x-providerpool-model"), "other");
}

#[actix_web::test]
async fn while_all_cool_a_request_waits_and_goes_on_as_soon_as_it_may() {
    let app = TestApp::start().await;
    app.upstream.next(limited(50_000));
    let waiting = begin(&app);
    eventually("it is inside", async || {
        (app.metric("providerpool_requests_in_flight").await == 1).then_some(())
    })
    .await;
    eventually("a cooldown", async || (!app.cooldowns().await.is_empty()).then_some(())).await;

    app.delete("/api/v1/cooldowns").await;

    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(app.upstream.calls(), 2);
}

// Who is not away would fail as before: that says nothing of when the limit is over.
#[actix_web::test]
async fn who_is_told_of_a_limit_beside_a_lasting_failure_is_told_when_its_cooldown_ends() {
    let app = with_fallback().await;
    app.upstream.next(error_with_code(400, &json!("context_length_exceeded")));
    app.backup.next(limited(1_000_000));

    let refused = app.chat("hello").await;

    assert_eq!(refused.status, 429);
    let cooldowns = app.cooldowns().await;
    let at = |field: &str| {
        let at: jiff::Timestamp = cooldowns[0][field].as_str().unwrap().parse().unwrap();
        u64::try_from(at.as_millisecond()).unwrap()
    };
    let length = at("until") - at("started_at");
    assert!(
        refused.retry_after() * 1000 + 1000 > length,
        "{} s of {length} ms",
        refused.retry_after()
    );
}

#[actix_web::test]
async fn who_may_be_asked_again_at_once_is_told_of_and_not_who_is_away_for_longer() {
    let app = TestApp::with_backup().await;
    app.backup.always(|| limited(8_000));
    app.put(
        "/api/v1/routes/away",
        json!({"targets": [{"provider": "backup", "model": "test-model"}]}),
    )
    .await;
    for failing in [529, 500] {
        let away = chat_body("hello", false);
        let away = away.to_string().replace("test-model", "away");
        let request = app.relay(away).header("x-providerpool-timeout-ms", "1000");
        assert_eq!(Reply::to(request).await.status, 429);
        for _ in 0..2 {
            app.upstream.next(error(failing));
        }
        let request = app.relay(chat_body("hello", false).to_string());
        let refused = Reply::to(request.header("x-providerpool-timeout-ms", "3000")).await;

        let words = format!("last: acme: upstream answered {failing}");
        assert!(refused.text().contains(&words), "{}", refused.text());
        assert!(refused.retry_after() <= 1, "{}", refused.retry_after());
    }
}

/// Stops while one request waits, and says what comes of it.
async fn stopped_while_waiting(app: &mut TestApp) -> Reply {
    let waiting = begin(app);
    eventually("it waits", async || {
        (app.metric("providerpool_requests_in_flight").await == 1).then_some(())
    })
    .await;
    for _ in 0..20 {
        app.cooldowns().await;
    }

    let stopped = app.begin_stop();

    let answer = waiting.await.unwrap();
    assert_eq!(within("the stop", stopped).await.unwrap().cut_off, 0);
    answer
}

/// Longer than a test may take: who is cut off at its end is cut off too late.
fn long_drain(config: &mut Config) {
    config.server.drain_timeout_ms = 60_000;
}

#[actix_web::test]
async fn who_waits_for_a_cooldown_is_told_of_it_when_the_pool_stops() {
    let mut app = TestApp::configured(|config| {
        long_drain(config);
        config.relay.max_wait_ms = 300_000;
    })
    .await;
    app.upstream.next(limited(120_000));

    let refused = stopped_while_waiting(&mut app).await;

    assert_eq!((refused.status, &refused.json["error"]["code"]), (429, &json!("rate_limited")));
    assert!(refused.retry_after() > 60);
    assert_eq!(app.upstream.calls(), 1);
}

#[actix_web::test]
async fn who_was_refused_and_waits_to_ask_again_is_told_of_it_when_the_pool_stops() {
    let mut app = TestApp::configured(long_drain).await;
    app.upstream.always(|| limited(2_000));

    let refused = stopped_while_waiting(&mut app).await;

    assert_eq!((refused.status, &refused.json["error"]["code"]), (429, &json!("rate_limited")));
    assert_eq!(app.upstream.calls(), 1);
}

#[actix_web::test]
async fn after_a_cooldown_one_request_tries_it_and_the_others_wait_for_that() {
    let app = TestApp::start().await;
    app.upstream.next(limited(20));
    app.upstream.next(limited(20));
    app.upstream.next(limited(4_000));
    assert_eq!(app.chat("hello").await.status, 429);
    let requests: Vec<_> = (0..8).map(|_| begin(&app)).collect();
    let (open, opened) = gate();
    app.upstream.next(Step::Stream(stream().wait(opened)));
    eventually("one tries it", async || (app.upstream.calls() == 4).then_some(())).await;
    for _ in 0..20 {
        app.cooldowns().await;
    }
    assert_eq!(app.upstream.calls(), 4, "more than one tried it");

    // The trial is cut: it says nothing good, and the next one tries.
    open.open();

    for request in requests {
        let answer = request.await.unwrap();
        assert!(matches!(answer.status, 200 | 502), "{}", answer.text());
    }
}

#[actix_web::test]
async fn a_key_with_one_place_serves_one_request_after_the_other() {
    fn one_place(config: &mut Config) {
        config.providers[0].api_keys[0].max_in_flight = Some(1);
    }
    let app = TestApp::configured(one_place).await;
    let (open, opened) = gate();
    app.upstream.next(stream().send(content("a")).wait(opened).send(finish()).send(DONE));
    let first = app.stream("hello").await;
    let second = begin(&app);
    eventually("both are inside", async || {
        (app.metric("providerpool_requests_in_flight").await == 2).then_some(())
    })
    .await;
    assert_eq!(app.upstream.calls(), 1);
    app.upstream.next(whole("b"));

    open.open();
    first.rest().await;

    assert_eq!(second.await.unwrap().said(), "b");
}

#[actix_web::test]
async fn who_has_waited_in_vain_for_a_place_is_told_that_all_are_busy() {
    let app = TestApp::configured(|config| {
        config.providers[0].api_keys[0].max_in_flight = Some(1);
        config.relay.max_wait_ms = 300;
    })
    .await;
    let (open, opened) = gate();
    app.upstream.next(stream().send(content("a")).wait(opened).send(finish()).send(DONE));
    let held = app.stream("hello").await;

    let refused = app.chat("hello").await;

    assert_eq!((refused.status, &refused.json["error"]["code"]), (503, &json!("busy")));
    assert!(refused.retry_after() >= 1);
    assert_eq!(app.upstream.calls(), 1);
    open.open();
    held.rest().await;
}

#[actix_web::test]
async fn nobody_waits_for_a_place_where_it_has_failed() {
    fn one_place_each(config: &mut Config) {
        config.relay.retry_pause_ms = 1;
        for provider in &mut config.providers {
            provider.api_keys[0].max_in_flight = Some(1);
        }
    }
    let app =
        TestApp::with(Setup { backup: true, configure: one_place_each, ..Setup::default() }).await;
    app.upstream.always(|| error(400).into());
    app.upstream.next(error(500));
    app.upstream.next(error(500));
    let (open, opened) = gate();
    app.backup.next(stream().send(content("b")).wait(opened).send(finish()).send(DONE));
    let prefer = |text: &str, stream: bool| {
        app.relay(chat_body(text, stream).to_string()).header("x-providerpool-prefer", "backup")
    };
    let held = super::support::Streaming::to(prefer("held", true)).await;

    let waiting = begin(&app);
    eventually("acme has failed", async || (app.upstream.calls() == 2).then_some(())).await;
    app.backup.next(error(500));
    app.backup.next(error(500));
    open.open();
    held.rest().await;

    assert_eq!(waiting.await.unwrap().status, 502, "it failed everywhere, and that is told");
    assert_eq!(app.upstream.calls(), 2);
}

#[actix_web::test]
async fn when_most_keys_fail_alike_the_provider_is_to_blame_and_the_keys_are_spared() {
    let app = TestApp::with(Setup { keys: 3, backup: true, ..Setup::default() }).await;
    app.upstream.always(|| error(401).into());

    let answer = app.chat("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "backup");
    let cooldowns = eventually("the provider cools alone", async || {
        let cooldowns = app.cooldowns().await;
        let scopes: Vec<Value> = cooldowns.iter().map(|c| c["scope"].clone()).collect();
        (scopes == [json!("provider")]).then_some(cooldowns)
    })
    .await;
    assert_eq!(cooldowns[0]["cause"], "auth");
    assert_eq!(app.get("/api/v1/providers/acme").await.json["status"], "error");
    app.delete("/api/v1/cooldowns").await;
    app.upstream.always(|| whole("good again").into());
    assert_eq!(app.chat("hello").await.said(), "good again");
    eventually("it is active again", async || {
        let acme = app.get("/api/v1/providers/acme").await;
        (acme.json["status"] == "active").then_some(())
    })
    .await;
}
