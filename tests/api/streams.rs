//! The laws of commit and truth: what a client may see of a stream, and what it is told at its end.

use super::support::{
    Setup, Streaming, TestApp, chat_body, eventually,
    script::{
        DONE, End, content, error, error_event, finish, gate, role, stream, stream_of, whole,
    },
};

/// The one error in a stream's text, by its code. Nothing follows it.
fn error_at_the_end(text: &str) -> String {
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    let json: serde_json::Value =
        serde_json::from_str(last.strip_prefix("data: ").unwrap_or_default()).unwrap_or_default();
    assert!(json["error"]["message"].is_string(), "no error ends {text}");
    assert!(!text.contains(DONE), "a failure ends as a success: {text}");
    json["error"]["code"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn nothing_is_sent_before_the_first_word() {
    let app = TestApp::with_backup().await;
    let (gate, opened) = gate();
    app.upstream.next(stream().send(role()).wait(opened).send(error_event()));

    let request = app.relay(chat_body("hello", true).to_string());
    let mut asking = tokio::spawn(Streaming::to(request));
    eventually("the upstream is asked", async || (app.upstream.calls() == 1).then_some(())).await;
    assert!(!asking.is_finished(), "an answer was begun before anyone had proved himself");
    app.upstream.next(error(500));
    gate.open();
    let answer = (&mut asking).await.unwrap();

    assert_eq!(answer.header("x-providerpool-provider"), "backup");
    assert_eq!(answer.header("x-providerpool-attempts"), "3");
    let text = answer.rest().await;
    assert_eq!(text.matches("assistant").count(), 1, "two beginnings: {text}");
    assert!(text.ends_with(DONE) && !text.contains("error"), "{text}");
}

#[actix_web::test]
async fn a_stream_is_sent_event_by_event() {
    let app = TestApp::start().await;
    let (first, first_opened) = gate();
    let (second, second_opened) = gate();
    app.upstream.next(
        stream()
            .send(content("one"))
            .wait(first_opened)
            .send(content("two"))
            .wait(second_opened)
            .send(finish())
            .send(DONE),
    );

    let mut answer = app.stream("hello").await;

    assert_eq!(answer.until("one").await, content("one"));
    first.open();
    assert_eq!(answer.until("two").await, content("two"));
    second.open();
    assert_eq!(answer.rest().await, format!("{}{DONE}", finish()));
}

#[actix_web::test]
async fn what_says_nothing_for_too_long_is_not_held_back_for_ever() {
    let app = TestApp::configured(|config| config.relay.hold_back_bytes = 1024).await;
    let (gate, opened) = gate();
    let empty = (0..20).fold(stream(), |script, _| script.send(role()));
    app.upstream.next(empty.wait(opened).send(content("late")).send(finish()).send(DONE));

    let mut answer = app.stream("hello").await;
    answer.until("assistant").await;
    gate.open();

    assert!(answer.rest().await.contains("late"));
}

#[actix_web::test]
async fn a_cut_stream_ends_with_an_error() {
    let configure = |config: &mut providerpool::config::Config| config.relay.resume = false;
    let app = TestApp::with(Setup { backup: true, configure, ..Setup::default() }).await;
    app.upstream.next(stream().send(content("one")).send(content("two")).then(End::Cut));

    let text = app.stream("hello").await.rest().await;

    assert!(text.starts_with(&format!("{}{}", content("one"), content("two"))), "{text}");
    assert_eq!(error_at_the_end(&text), "stream_broken");
    assert_eq!(app.backup.calls(), 0, "another provider answered into a stream that had begun");
    assert_eq!(app.ledger().await.failed, 1);
}

#[actix_web::test]
async fn a_stream_that_ends_well_and_too_early_ends_with_an_error() {
    let app = TestApp::start().await;
    app.upstream.next(stream().send(content("one")));

    let text = app.stream("hello").await.rest().await;

    assert_eq!(error_at_the_end(&text), "stream_broken");
}

#[actix_web::test]
async fn a_stalled_stream_ends_with_an_error() {
    let app = TestApp::configured(|config| config.relay.idle_timeout_ms = 300).await;
    app.upstream.next(stream().send(content("one")).then(End::Stall));

    let text = app.stream("hello").await.rest().await;

    assert_eq!(error_at_the_end(&text), "stream_broken");
    eventually("the upstream is let go", async || (app.upstream.hung_up() == 1).then_some(()))
        .await;
}

#[actix_web::test]
async fn an_error_in_the_middle_ends_the_stream_in_our_words() {
    let app = TestApp::start().await;
    app.upstream.next(stream().send(content("one")).send(error_event()).send(content("two")));

    let text = app.stream("hello").await.rest().await;

    assert_eq!(error_at_the_end(&text), "upstream_error");
    assert!(!text.contains("two") && !text.contains("says the upstream"), "{text}");
}

#[actix_web::test]
async fn a_missing_terminator_after_a_finish_reason_is_put_there() {
    let app = TestApp::start().await;
    app.upstream.next(stream().send(content("one")).send(finish()));

    let text = app.stream("hello").await.rest().await;

    assert_eq!(text, format!("{}{}{DONE}", content("one"), finish()));
    assert_eq!(app.ledger().await.completed, 1);
}

#[actix_web::test]
async fn after_the_finish_reason_the_answer_is_whole_however_its_connection_ends() {
    let app = TestApp::start().await;
    app.upstream.next(stream().send(content("one")).send(finish()).then(End::Cut));

    let text = app.stream("hello").await.rest().await;

    assert_eq!(text, format!("{}{}{DONE}", content("one"), finish()));
    assert_eq!(app.ledger().await.completed, 1);
}

#[actix_web::test]
async fn an_event_that_is_no_json_ends_the_stream_as_broken() {
    let app = TestApp::start().await;
    app.upstream.next(
        stream()
            .send(content("one"))
            .send("data: {\"choices\":[{\"delta\n\n")
            .send(content("two"))
            .send(finish())
            .send(DONE),
    );

    let text = app.stream("hello").await.rest().await;

    assert!(text.starts_with(&content("one")) && !text.contains("two"), "{text}");
    assert_eq!(error_at_the_end(&text), "stream_broken");
}

#[actix_web::test]
async fn the_keep_alives_of_an_upstream_are_not_passed_on() {
    let app = TestApp::start().await;
    app.upstream.next(
        stream()
            .send(": ping\n\n")
            .send(content("one"))
            .send(": ping\n\n")
            .send(finish())
            .send(DONE),
    );

    let text = app.stream("hello").await.rest().await;

    assert_eq!(text, format!("{}{}{DONE}", content("one"), finish()));
}

#[actix_web::test]
async fn a_stream_that_waits_is_opened_with_a_comment() {
    let app = TestApp::configured(|config| config.relay.keep_alive_ms = 20).await;
    let (gate, opened) = gate();
    app.upstream.next(stream().wait(opened).send(content("one")).send(finish()).send(DONE));

    let mut answer = app.stream("hello").await;

    assert_eq!((answer.status(), answer.header("x-providerpool-provider")), (200, ""));
    assert!(answer.header("x-request-id").starts_with("req_"));
    assert!(answer.until(": keep-alive\n\n").await.starts_with(": keep-alive\n\n"));
    answer.until(": keep-alive\n\n").await;
    gate.open();
    let text = answer.rest().await.replace(": keep-alive\n\n", "");
    assert_eq!(text, format!("{}{}{DONE}", content("one"), finish()));
}

#[actix_web::test]
async fn a_stream_is_kept_alive_between_events() {
    let app = TestApp::configured(|config| config.relay.keep_alive_ms = 50).await;
    let (gate, opened) = gate();
    app.upstream.next(stream().send(content("one")).wait(opened).send(finish()).send(DONE));

    let mut answer = app.stream("hello").await;
    answer.until(": keep-alive\n\n: keep-alive\n\n").await;
    gate.open();

    assert!(answer.rest().await.ends_with(DONE));
}

#[actix_web::test]
async fn a_failure_after_a_keep_alive_is_an_error_in_the_stream() {
    let app = TestApp::with(Setup {
        configure: |config| config.relay.keep_alive_ms = 20,
        ..Setup::default()
    })
    .await;
    let (gate, opened) = gate();
    app.upstream.next(stream().wait(opened));

    let mut answer = app.stream("hello").await;
    answer.until(": keep-alive").await;
    gate.open();
    let text = answer.rest().await;

    assert_eq!(error_at_the_end(&text), "upstream_error");
    assert_eq!(app.ledger().await.failed, 1);
}

#[actix_web::test]
async fn a_failure_after_a_keep_alive_is_still_routed_around() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| config.relay.keep_alive_ms = 20,
        ..Setup::default()
    })
    .await;
    let (gate, opened) = gate();
    app.upstream.next(stream().wait(opened));

    let mut answer = app.stream("hello").await;
    answer.until(": keep-alive").await;
    gate.open();
    let text = answer.rest().await;

    assert!(text.contains("Hello") && text.ends_with(DONE), "{text}");
    assert_eq!(app.backup.calls(), 1);
}

#[actix_web::test]
async fn tools_and_long_streams_pass_through_whole() {
    let app = TestApp::start().await;
    let words: Vec<String> = (0..2_000).map(|n| format!("word {n} ")).collect();
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    app.upstream.next(stream_of(&texts));

    let text = app.stream("hello").await.rest().await;

    for word in &words {
        assert!(text.contains(&format!("\"{word}\"")), "{word} got lost");
    }
    assert!(text.ends_with(DONE));
}

#[actix_web::test]
async fn a_whole_answer_that_is_cut_is_not_passed_on() {
    let app = TestApp::with_backup().await;
    let body = whole("Hello").body;
    app.upstream.next(stream().send(&body[..40]).then(End::Cut));

    let answer = app.chat("hello").await;

    assert_eq!(answer.header("x-providerpool-provider"), "backup");
    assert_eq!(answer.said(), "Hello world");
}
