//! What a pool of keys has to do, scenario by scenario. The list is `scenarios.md`: it names for each the
//! tests that hold it. Those that no other file has stand here.

use std::{fs, path::Path};

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::support::{
    Reply, TestApp, eventually, named_body,
    script::{error, error_with_code},
};

const SCENARIOS: usize = 75;

/// Whether a file has a test of this name, also one that the fault matrix makes.
fn has_test(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap_or_default();
    text.contains(&format!("fn {name}(")) || text.contains(&format!("    {name}: ["))
}

#[test]
fn every_scenario_has_a_test_or_a_reason() {
    let mut scenarios = 0;
    let mut wrong = Vec::new();
    for line in include_str!("scenarios.md").lines() {
        let Some((number, text)) = line.split_once(". ") else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        scenarios += 1;
        if number != scenarios {
            wrong.push(format!("{number} stands in the place of {scenarios}"));
        }
        let tests = text.split('`').skip(1).step_by(2).filter_map(|test| test.split_once("::"));
        let tests: Vec<_> = tests.collect();
        if tests.is_empty() && !text.contains("Not here:") && !text.contains("Not yet:") {
            wrong.push(format!("{number} has neither a test nor a reason"));
        }
        let lost = tests.into_iter().filter(|(file, name)| !has_test(file, name));
        wrong.extend(lost.map(|(file, name)| format!("{number}: no {name} in {file}")));
    }
    assert_eq!((scenarios, wrong), (SCENARIOS, Vec::new()));
}

/// A provider `mine`, the only one of the model `m`, with these keys, and their ids.
async fn with_keys(strategy: &str, keys: &[Value]) -> (TestApp, Vec<String>) {
    let app = TestApp::start().await;
    let mine = json!({"id": "mine", "name": "mine", "location": "local", "priority": 90,
        "credential_strategy": strategy, "api_format": "openai", "models": [{"name": "m"}],
        "base_url": format!("http://{}", app.backup.address)});
    assert_eq!(app.post("/api/v1/providers", mine).await.status, 201);
    let mut ids = Vec::new();
    for key in keys {
        let added = app.post("/api/v1/providers/mine/keys", key.clone()).await;
        assert_eq!(added.status, 201, "{}", added.text());
        ids.push(added.json["id"].as_str().unwrap().to_owned());
    }
    (app, ids)
}

fn asking(app: &TestApp, text: &str) -> RequestBuilder {
    app.relay(named_body("m", text).to_string()).header("x-providerpool-exclude", "acme")
}

/// Asks, and says which key has answered.
async fn key_for(app: &TestApp, request: RequestBuilder) -> String {
    let answer = Reply::to(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    app.backup.keys().pop().unwrap()
}

async fn in_session(app: &TestApp) -> String {
    key_for(app, asking(app, "hello").header("x-providerpool-session", "s")).await
}

async fn one_cools(app: &TestApp) {
    eventually("a key cools", async || (app.cooldowns().await.len() == 1).then_some(())).await;
}

/// What a key is like after a change: set by the path of the provider's key.
async fn change(app: &TestApp, id: &str, body: Value) {
    let changed = app.patch(&format!("/api/v1/providers/mine/keys/{id}"), body).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
}

#[actix_web::test]
async fn to_fill_the_first_goes_on_with_the_next_tier_while_the_highest_cools() {
    let keys = [
        json!({"key": "sk-low"}),
        json!({"key": "sk-next"}),
        json!({"key": "sk-high", "priority": 5}),
    ];
    let (app, _) = with_keys("fill_first", &keys).await;
    app.backup.next(error(429).header("retry-after", "300"));
    let mut used = Vec::new();
    for text in ["one", "two", "three"] {
        used.push(key_for(&app, asking(&app, text)).await);
        one_cools(&app).await;
    }
    assert_ne!(used[0], "sk-high");
    assert!(used.iter().all(|key| *key == used[0]), "{used:?}");
    app.delete("/api/v1/cooldowns").await;
    assert_eq!(key_for(&app, asking(&app, "four")).await, "sk-high");
}

#[actix_web::test]
async fn a_key_that_is_added_while_all_others_cool_serves_at_once() {
    let (app, _) = with_keys("round_robin", &[json!({"key": "sk-1"})]).await;
    app.backup.next(error(429).header("retry-after", "300"));
    assert_eq!(Reply::to(asking(&app, "hello")).await.status, 429);

    app.post("/api/v1/providers/mine/keys", json!({"key": "sk-2"})).await;

    assert_eq!(key_for(&app, asking(&app, "hello")).await, "sk-2");
}

#[actix_web::test]
async fn what_names_no_session_binds_no_requests_to_each_other() {
    let keys = [json!({"key": "sk-1"}), json!({"key": "sk-2"})];
    let (app, _) = with_keys("round_robin", &keys).await;
    let long = "x".repeat(257);
    for (name, id) in
        [("x-providerpool-session", &*long), ("x-session-id", "  "), ("idempotency-key", "k")]
    {
        // The beginnings differ, so that nothing else binds them.
        let first = key_for(&app, asking(&app, &format!("{name} 1")).header(name, id)).await;
        let second = key_for(&app, asking(&app, &format!("{name} 2")).header(name, id)).await;
        assert_ne!(first, second, "{name}");
    }
}

#[actix_web::test]
async fn a_session_stays_with_its_key_after_a_fault_of_its_own() {
    let keys = [json!({"key": "sk-1"}), json!({"key": "sk-2"}), json!({"key": "sk-3"})];
    let (app, _) = with_keys("round_robin", &keys).await;
    let first = in_session(&app).await;
    app.backup.next(error_with_code(400, &json!("bad_thing")));
    let faulty = asking(&app, "hello").header("x-providerpool-session", "s");
    assert_eq!(Reply::to(faulty).await.status, 400);

    assert_eq!(in_session(&app).await, first);
}

#[actix_web::test]
async fn a_session_leaves_a_key_whose_weight_becomes_nought() {
    let keys = [json!({"key": "sk-1"}), json!({"key": "sk-2"})];
    let (app, ids) = with_keys("weighted", &keys).await;
    let first = in_session(&app).await;
    assert_eq!(in_session(&app).await, first);
    let bound = usize::from(first == "sk-2");

    change(&app, &ids[bound], json!({"weight": 0})).await;

    let next = in_session(&app).await;
    assert_ne!(next, first);
    assert_eq!(in_session(&app).await, next);
}

#[actix_web::test]
async fn a_key_that_is_removed_takes_its_cooldowns_with_it() {
    let keys = [json!({"key": "sk-1", "priority": 5}), json!({"key": "sk-2"})];
    let (app, ids) = with_keys("fill_first", &keys).await;
    app.backup.next(error(401));
    assert_eq!(key_for(&app, asking(&app, "hello")).await, "sk-2");
    one_cools(&app).await;

    let removed = app.delete(&format!("/api/v1/providers/mine/keys/{}", ids[0])).await;

    assert_eq!(removed.status, 204, "{}", removed.text());
    assert_eq!(app.cooldowns().await, Vec::<Value>::new());
    assert_eq!(key_for(&app, asking(&app, "hello")).await, "sk-2");
    let shown = app.get("/api/v1/providers/mine").await;
    assert!(!shown.text().contains(&ids[0]), "{}", shown.text());
}

#[actix_web::test]
async fn a_change_of_a_key_keeps_what_is_held_against_it_and_a_switch_off_ends_it() {
    let (app, ids) = with_keys("round_robin", &[json!({"key": "sk-1"})]).await;
    app.backup.next(error(401));
    assert_eq!(Reply::to(asking(&app, "hello")).await.status, 502);
    one_cools(&app).await;

    change(&app, &ids[0], json!({"label": "another name", "weight": 7})).await;
    assert_eq!(app.cooldowns().await.len(), 1);

    change(&app, &ids[0], json!({"enabled": false})).await;
    change(&app, &ids[0], json!({"enabled": true})).await;
    assert_eq!(app.cooldowns().await, Vec::<Value>::new());
    assert_eq!(key_for(&app, asking(&app, "hello")).await, "sk-1");
}
