//! Health, the drain, and the description of the API.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::support::{
    Reply, Setup, TestApp, eventually,
    script::{DONE, content, finish, gate, stream},
    within,
};

async fn ready(app: &TestApp) -> Reply {
    Reply::to(app.request(Method::GET, "/health/ready")).await
}

#[actix_web::test]
async fn it_is_ready_with_a_usable_provider_and_not_without() {
    let app = TestApp::start().await;
    assert_eq!(
        ready(&app).await.json,
        json!({"database": true, "disk": true, "provider": true, "accepting": true})
    );
    let app = TestApp::configured(|config| config.providers.clear()).await;

    let not_yet = ready(&app).await;

    assert_eq!(not_yet.status, 503);
    assert_eq!(
        not_yet.json,
        json!({"database": true, "disk": true, "provider": false, "accepting": true})
    );
    assert!(not_yet.retry_after() > 0);
    assert_eq!(Reply::to(app.request(Method::GET, "/health/live")).await.status, 200);
    let refused = app.chat("hello").await;
    assert_eq!((refused.status, &refused.json["error"]["code"]), (503, &json!("no_provider")));
    assert!(refused.retry_after() > 0);
}

#[actix_web::test]
async fn a_stop_finishes_streams_and_refuses_new_requests() {
    let mut app = TestApp::configured(|config| config.server.drain_timeout_ms = 10_000).await;
    let (gate, opened) = gate();
    app.upstream.next(stream().send(content("one")).wait(opened).send(finish()).send(DONE));
    let mut answer = app.stream("hello").await;
    answer.until("one").await;
    let mut events = app.events("?types=system").await;

    let stopped = app.begin_stop();

    events.until("system.draining").await;
    let not_ready = ready(&app).await;
    assert_eq!((not_ready.status, &not_ready.json["accepting"]), (503, &json!(false)));
    let refused = app.chat("hello").await;
    assert_eq!((refused.status, &refused.json["error"]["code"]), (503, &json!("draining")));
    assert!(refused.retry_after() > 0);
    gate.open();
    assert!(answer.rest().await.ends_with(DONE));
    assert_eq!(within("the stop", stopped).await.unwrap().cut_off, 0);
    app.start_again().await.unwrap();
    assert_eq!(app.ledger().await.completed, 1);
    let journal = app.config.data.dir.join("journal");
    let files = std::fs::read_dir(journal).unwrap();
    assert!(files.count() <= app.config.server.workers, "the journal was not taken over");
}

#[actix_web::test]
async fn a_stop_does_not_wait_for_ever() {
    let mut app = TestApp::configured(|config| config.server.drain_timeout_ms = 50).await;
    let (_gate, opened) = gate();
    app.upstream.next(stream().send(content("one")).wait(opened));
    let mut answer = app.stream("hello").await;
    answer.until("one").await;

    let stopped = app.stop().await;

    assert_eq!(stopped.cut_off, 1);
    app.start_again().await.unwrap();
    let ledger = app.ledger().await;
    assert_eq!((ledger.requests, ledger.completed), (1, 0));
}

#[actix_web::test]
async fn a_stop_does_not_wait_for_those_who_only_listen() {
    let mut app = TestApp::start().await;
    app.chat("hello").await;
    let mut events = app.events("").await;
    let started = Instant::now();

    let stopped = app.begin_stop();
    let farewell = events.closed().await;
    drop(events);
    within("the stop", stopped).await.unwrap();

    assert_eq!(farewell.reason.as_str(), "the pool is stopping");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[actix_web::test]
async fn two_pools_do_not_share_a_data_directory() {
    let mut app = TestApp::start().await;

    let error = app.start_again().await.unwrap_err().to_string();

    assert!(error.contains("another providerpool uses the data directory"), "{error}");
}

#[actix_web::test]
async fn each_path_of_the_description_is_there() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").await;
    assert_eq!(document.json["openapi"], "3.1.0");

    for (path, methods) in document.json["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = path.replace("{id}", "nobody").replace("{key_id}", "nothing");
            let path = path.replace("{name}", "nowhere").replace("{model}", "none");
            let path = path.replace("{method}", "generateContent");
            // The names lead nowhere and there is no body: it must be a 404 of the resource at most.
            let reply = Reply::to(app.manage(method, &path)).await;
            assert_ne!(reply.json["error"]["code"], "route_not_found", "{path}");
            assert_ne!(reply.status, 405, "{path}");
        }
    }
}

#[actix_web::test]
async fn every_reference_in_the_description_leads_somewhere() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").await;

    let references = document.text().split("\"$ref\":\"#").skip(1);
    let references: Vec<&str> = references.map(|rest| rest.split('"').next().unwrap()).collect();

    assert!(references.contains(&"/components/schemas/Capability"), "{references:?}");
    for reference in references {
        assert!(document.json.pointer(reference).is_some(), "{reference} is not described");
    }
    let schemas = &document.json["components"]["schemas"];
    for (schema, property) in [
        ("NewKey", "max_in_flight"),
        ("KeyView", "proxy_url"),
        ("KeyView", "recent"),
        ("ProviderView", "first_event_ms"),
        ("Trace", "attempts"),
        ("ExplainBody", "request"),
        ("ExplainBody", "api"),
        ("FormatView", "translation"),
        ("StageView", "never_asked"),
        ("NewProvider", "rules"),
        ("ProviderSettingsChange", "rules"),
        ("ServedModel", "context_tokens"),
        ("ServedModel", "output_tokens"),
        ("RuleText", "matches"),
    ] {
        assert!(schemas[schema]["properties"][property].is_object(), "{schema}.{property}");
    }
}

#[actix_web::test]
async fn what_happens_is_counted() {
    let app = TestApp::with(Setup { backup: true, ..Setup::default() }).await;
    app.chat("hello").await;
    app.stream("hello").await.rest().await;

    let page = app.get("/metrics").await;

    assert!(page.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        "providerpool_requests_total{outcome=\"completed\"} 2",
        "providerpool_attempts_total{provider=\"acme\",class=\"ok\"} 2",
        "providerpool_requests_in_flight 0",
        "providerpool_first_event_seconds_count 1",
        "providerpool_overhead_seconds_count 2",
    ] {
        assert!(page.text().lines().any(|shown| shown == line), "{line} is not in {}", page.text());
    }
    eventually("the entries are written", async || {
        (app.metric("providerpool_usage_pending").await == 0).then_some(())
    })
    .await;
}
