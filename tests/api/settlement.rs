//! The law that a request is settled exactly once, whatever becomes of it.

use futures_util::future::join_all;

use super::support::{
    Ledger, Reply, Setup, TestApp, chat_body, eventually, on_every_database,
    script::{End, Step, content, error, finish, gate, stream},
};

async fn nobody_inside(app: &TestApp) {
    eventually("the request is over", async || {
        (app.metric("providerpool_requests_in_flight").await == 0).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn a_client_that_leaves_is_on_the_ledger_and_its_upstream_is_let_go() {
    let app = TestApp::start().await;
    let (_gate, opened) = gate();
    app.upstream.next(stream().send(content("one")).wait(opened).send(finish()));
    let mut answer = app.stream("hello").await;
    answer.until("one").await;
    assert_eq!(app.metric("providerpool_requests_in_flight").await, 1);

    drop(answer);

    nobody_inside(&app).await;
    let ledger = app.ledger().await;
    assert_eq!((ledger.requests, ledger.cancelled), (1, 1));
    eventually("the upstream is let go", async || (app.upstream.hung_up() == 1).then_some(()))
        .await;
    assert!(app.cooldowns().await.is_empty(), "a provider pays for a client that left");
    assert_eq!(app.chat("again").await.status, 200);
}

#[actix_web::test]
async fn a_client_that_leaves_before_an_answer_is_on_the_ledger() {
    let app = TestApp::start().await;
    app.upstream.next(Step::Silent);
    let asking = tokio::spawn(app.relay(chat_body("hello", false).to_string()).send());
    eventually("the upstream is asked", async || (app.upstream.calls() == 1).then_some(())).await;

    asking.abort();

    nobody_inside(&app).await;
    let ledger = app.ledger().await;
    assert_eq!((ledger.requests, ledger.cancelled), (1, 1));
}

#[actix_web::test]
async fn a_request_that_is_refused_at_the_door_is_not_on_the_ledger() {
    let app = TestApp::start().await;

    assert_eq!(Reply::to(app.relay("{")).await.status, 400);

    nobody_inside(&app).await;
    assert_eq!(app.ledger().await, Ledger::default());
}

#[actix_web::test]
async fn every_request_has_exactly_one_entry() {
    on_every_database(async |database| {
        let app = TestApp::with(Setup { backup: true, database, ..Setup::default() }).await;
        app.upstream.next(error(500));
        app.upstream.next(stream().send(content("one")).then(End::Cut));
        app.upstream.next(error(400));
        let whole = join_all((0..20).map(|_| app.chat("hello")));
        let streamed = join_all((0..20).map(async |_| app.stream("hello").await.rest().await));

        let (whole, streamed) = tokio::join!(whole, streamed);

        let good = whole.iter().filter(|answer| answer.status == 200).count()
            + streamed.iter().filter(|text| text.ends_with("data: [DONE]\n\n")).count();
        let ledger = app.ledger().await;
        assert_eq!(ledger.requests, 40);
        assert_eq!(ledger.completed, good as u64);
        assert_eq!(ledger.cancelled, 0);
        assert_eq!(app.actors.db.count_usage().await.unwrap(), 40);
    })
    .await;
}

#[actix_web::test]
async fn the_ledger_survives_a_restart() {
    on_every_database(async |database| {
        let mut app = TestApp::with(Setup { database, ..Setup::default() }).await;
        app.chat("hello").await;
        app.stream("hello").await.rest().await;
        let before = app.ledger().await;
        assert_eq!((before.completed, before.output), (2, 4));

        app.restart().await;

        assert_eq!(app.ledger().await, before);
        assert_eq!(app.chat("again").await.status, 200);
        assert_eq!(app.ledger().await.completed, 3);
    })
    .await;
}
