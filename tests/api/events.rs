//! `GET /api/v1/events`: numbered, resumed, filtered, kept alive, and closed with a reason.

use providerpool::{
    actors::events::Record,
    domain::event::{EventData, EventType, Fact},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::support::{TestApp, eventually, script::error};

#[actix_web::test]
async fn events_are_numbered_one_after_the_other() {
    let app = TestApp::start().await;
    let mut events = app.events("").await;

    app.chat("hello").await;

    let first = events.until("request.started").await;
    let second = events.until("request.finished").await;
    let recorded = events.until("usage.recorded").await;
    let seq = |event: &Value| event["seq"].as_u64().unwrap();
    assert!(seq(&first) < seq(&second) && seq(&second) < seq(&recorded));
    assert_eq!(first["data"]["request_id"], recorded["data"]["request_id"]);
    assert_eq!(
        (&second["provider_id"], &second["model_id"]),
        (&json!("acme"), &json!("test-model"))
    );
    assert_eq!(
        (&second["data"]["outcome"], &second["data"]["attempts"]),
        (&json!("completed"), &json!(1))
    );
    assert_eq!(
        (&recorded["data"]["tokens"]["input"], &recorded["data"]["tokens"]["output"]),
        (&json!(5), &json!(2))
    );
    assert!(first["time"].as_str().unwrap().ends_with('Z'));
}

#[actix_web::test]
async fn who_was_away_gets_what_was_missed() {
    let app = TestApp::start().await;
    let mut events = app.events("").await;
    app.chat("hello").await;
    let last_seen = events.until("request.started").await["seq"].as_u64().unwrap();
    events.close().await;
    app.chat("again").await;

    let mut events = app.events(&format!("?since={last_seen}")).await;

    for expected in last_seen + 1..last_seen + 4 {
        assert_eq!(events.next().await["seq"], expected);
    }
}

#[actix_web::test]
async fn what_is_gone_from_the_ring_is_told() {
    let app = TestApp::configured(|config| config.events.ring = 2).await;
    for _ in 0..3 {
        app.chat("hello").await;
    }

    let mut events = app.events("?since=1").await;

    let gap = events.next().await;
    assert_eq!(gap["type"], "system.gap");
    assert_eq!(events.next().await["seq"], gap["first_available"]);
}

#[actix_web::test]
async fn events_are_filtered_by_type_and_provider() {
    let app = TestApp::with_backup().await;
    let mut cooldowns = app.events("?types=cooldown.*,failover&provider_id=acme").await;
    let mut failovers = app.events("?types=failover").await;
    app.upstream.next(error(401));
    app.backup.next(error(403));

    assert_eq!(app.chat("hello").await.status, 502);

    let mut seen = [cooldowns.next().await, cooldowns.next().await];
    seen.sort_by_key(|event| event["type"].to_string());
    assert_eq!(
        (&seen[0]["type"], &seen[1]["type"]),
        (&json!("cooldown.started"), &json!("failover"))
    );
    assert!(seen.iter().all(|event| event["provider_id"] == "acme"));
    assert_eq!(
        (&seen[1]["data"]["cause"], &seen[1]["data"]["next"]),
        (&json!("auth"), &json!("provider"))
    );
    assert_eq!(failovers.next().await["provider_id"], "acme");
    let mut others = app.events("?since=0&types=failover&provider_id=backup").await;
    app.actors.events.do_send(Record(Fact::of_provider(
        EventType::Failover,
        "backup".parse().unwrap(),
        EventData::None {},
    )));
    assert_eq!(others.next().await["data"], json!({}), "nobody came after the last");
}

#[actix_web::test]
async fn a_wrong_question_is_refused() {
    let app = TestApp::start().await;
    for query in ["?types=coldown", "?since=x", "?provider_id=a%20b", "?unknown=1"] {
        let refused = app.try_events(query, &app.admin_key, None).await.err();
        assert_eq!(refused, Some(400), "{query}");
    }
    assert_eq!(app.try_events("", &app.client_key, None).await.err(), Some(403));
    assert_eq!(app.try_events("", "nonsense", None).await.err(), Some(401));
    assert_eq!(app.get("/api/v1/events").await.status, 400);
}

#[actix_web::test]
async fn a_foreign_web_page_is_refused() {
    let app = TestApp::configured(|config| {
        config.server.allowed_origins = vec!["https://ui.test".into()];
    })
    .await;
    let own = format!("http://{}", app.address());
    for (origin, status) in [
        ("https://evil.test", Some(403)),
        ("null", Some(403)),
        ("https://ui.test", None),
        (own.as_str(), None),
    ] {
        let refused = app.try_events("", &app.admin_key, Some(origin)).await.err();
        assert_eq!(refused, status, "{origin}");
    }
}

#[actix_web::test]
async fn a_subscriber_is_asked_whether_it_is_still_there() {
    let app = TestApp::configured(|config| config.events.heartbeat_ms = 30).await;
    let mut events = app.events("").await;

    loop {
        if let Message::Ping(_) = events.message().await {
            break;
        }
    }
}

#[actix_web::test]
async fn there_are_so_many_seats_and_no_more() {
    let app = TestApp::configured(|config| config.events.max_subscribers = 1).await;
    let first = app.events("").await;
    assert_eq!(app.try_events("", &app.admin_key, None).await.err(), Some(503));

    first.close().await;

    eventually("the seat is free", async || app.try_events("", &app.admin_key, None).await.ok())
        .await;
}

#[actix_web::test]
async fn a_subscriber_that_does_not_read_is_dropped_and_told_why() {
    let app = TestApp::configured(|config| config.events.subscriber_queue_bytes = 1 << 20).await;
    let mut slow = app.events("").await;
    // What it does not read piles up in its socket, then in its queue.
    for _ in 0..500 {
        let data = EventData::Message { message: "x".repeat(64 << 10) };
        let fact = Fact::new(EventType::ProviderUpdated, data);
        app.actors.events.send(Record(fact)).await.unwrap();
    }

    let reason = slow.closed().await;

    assert!(reason.reason.as_str().starts_with("too slow"), "{reason:?}");
    assert!(app.metric("providerpool_dropped_total{what=\"event_subscriber\"}").await >= 1);
    assert_eq!(app.chat("hello").await.status, 200);
}
