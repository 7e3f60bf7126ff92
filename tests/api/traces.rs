//! `/api/v1/requests/{id}/trace`: what is told of the way of a request, and for how long.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{
    Reply, Setup, TestApp, eventually, named_body,
    script::{DONE, content, error, error_with_code, finish, gate, role, stream},
    served,
};

fn path_of(id: &str) -> String {
    format!("/api/v1/requests/{id}/trace")
}

/// The trace of a request, as soon as it is told.
async fn trace(app: &TestApp, id: &str) -> Value {
    assert!(id.starts_with("req_"), "{id:?} is no request");
    eventually("a trace", async || {
        let reply = app.get(&path_of(id)).await;
        (reply.status == 200).then_some(reply.json)
    })
    .await
}

fn refused(reply: &Reply) -> String {
    assert_eq!((reply.status, &reply.json["error"]["code"]), (404, &json!("trace_not_found")));
    reply.json["error"]["message"].as_str().unwrap().to_owned()
}

/// One field of each attempt.
fn of_attempts(trace: &Value, pointer: &str) -> Vec<Value> {
    let attempts = trace["attempts"].as_array().unwrap().iter();
    attempts.map(|attempt| attempt.pointer(pointer).cloned().unwrap_or(Value::Null)).collect()
}

#[actix_web::test]
async fn a_request_that_was_served_at_once_has_one_plan_and_one_attempt() {
    let app = TestApp::with_backup().await;
    let answer = app.chat("a secret of mine").await;

    let trace = trace(&app, answer.header("x-request-id")).await;

    assert_eq!(trace["request_id"], answer.header("x-request-id"));
    assert_eq!((&trace["model"], &trace["streamed"]), (&json!("test-model"), &json!(false)));
    assert_eq!((&trace["outcome"], trace.get("failure")), (&json!("completed"), None));
    assert_eq!((trace.get("substitution"), trace.get("attempts_left_out")), (None, None));
    let [plan] = trace["plans"].as_array().unwrap().as_slice() else { panic!("{trace}") };
    assert_eq!((&plan["model"], &plan["strategy"]), (&json!("test-model"), &json!("priority")));
    let candidates = plan["candidates"].as_array().unwrap().iter();
    let candidates: Vec<_> = candidates.map(|candidate| &candidate["provider_id"]).collect();
    assert_eq!(candidates, ["acme", "backup"]);
    assert_eq!(plan["exclusions"], json!([]));
    let [attempt] = trace["attempts"].as_array().unwrap().as_slice() else { panic!("{trace}") };
    for (field, value) in [
        ("number", json!(1)),
        ("kind", json!("first")),
        ("provider_id", json!("acme")),
        ("model_id", json!("test-model")),
        ("end", json!("answered")),
        ("cooldowns", json!([])),
    ] {
        assert_eq!(attempt[field], value, "{field}");
    }
    assert!(attempt["credential_id"].is_string() && attempt["proved_ms"].is_u64(), "{attempt}");
    assert!(!trace.to_string().contains("secret of mine"), "{trace}");
}

#[actix_web::test]
async fn every_attempt_of_a_failover_is_there_with_its_reason_and_what_it_led_to() {
    let app = TestApp::with(Setup {
        keys: 2,
        backup: true,
        configure: |config| {
            config.relay.retry_pause_ms = 1;
            for (number, key) in config.providers[0].api_keys.iter_mut().enumerate() {
                key.label = Some(format!("key {}", number + 1));
            }
        },
        ..Setup::default()
    })
    .await;
    app.upstream.next(error(401));
    app.upstream.next(error(500));
    app.upstream.next(error(500));

    let answer = app.chat("hello").await;

    assert_eq!(answer.header("x-providerpool-attempts"), "4");
    let id = answer.header("x-request-id").to_owned();
    let trace = eventually("the cooldown is in the trace", async || {
        let trace = trace(&app, &id).await;
        (trace["attempts"][0]["cooldowns"] != json!([])).then_some(trace)
    })
    .await;
    assert_eq!(of_attempts(&trace, "/number"), [1, 2, 3, 4]);
    assert_eq!(of_attempts(&trace, "/kind"), ["first", "failover", "repeat", "failover"]);
    assert_eq!(of_attempts(&trace, "/provider_id"), ["acme", "acme", "acme", "backup"]);
    assert_eq!(of_attempts(&trace, "/end"), ["failed", "failed", "failed", "answered"]);
    let expected = [json!("auth"), json!("server"), json!("server"), Value::Null];
    assert_eq!(of_attempts(&trace, "/failure/class"), expected);
    let expected = [json!(401), json!(500), json!(500), Value::Null];
    assert_eq!(of_attempts(&trace, "/failure/status"), expected);

    let used: Vec<Value> = app
        .upstream
        .seen()
        .iter()
        .map(|call| call.header("authorization").unwrap().replace("Bearer sk-acme-", "key ").into())
        .collect();
    assert_eq!(of_attempts(&trace, "/credential_label"), [&used[..], &[Value::Null]].concat());
    assert_ne!(used[0], used[1]);
    let ids = of_attempts(&trace, "/credential_id");
    assert!(ids[0] != ids[1] && ids[1] == ids[2], "{ids:?}");

    let [cooldown] = trace["attempts"][0]["cooldowns"].as_array().unwrap().as_slice() else {
        panic!("{trace}")
    };
    assert_eq!((&cooldown["scope"], &cooldown["cause"]), (&json!("credential"), &json!("auth")));
    assert_eq!(cooldown["credential_id"], ids[0]);
    assert_eq!(of_attempts(&trace, "/cooldowns")[1..], [json!([]), json!([]), json!([])]);
    assert!(!trace.to_string().contains("says the upstream"), "{trace}");
    assert!(!trace.to_string().contains("sk-acme"), "{trace}");
}

#[actix_web::test]
async fn a_stream_has_a_trace_when_it_is_over_and_not_before() {
    let app = TestApp::start().await;
    let (gate, opened) = gate();
    let held = stream().send(role()).send(content("Hello")).wait(opened);
    app.upstream.next(held.send(finish()).send(DONE));
    let mut streaming = app.stream("hello").await;
    let id = streaming.header("x-request-id").to_owned();
    streaming.until("Hello").await;

    let message = refused(&app.get(&path_of(&id)).await);

    assert!(message.contains("under way"), "{message}");
    gate.open();
    streaming.rest().await;
    let trace = trace(&app, &id).await;
    assert_eq!((&trace["streamed"], &trace["outcome"]), (&json!(true), &json!("completed")));
    assert_eq!(of_attempts(&trace, "/end"), ["answered"]);
    let proved = trace["attempts"][0]["proved_ms"].as_u64().unwrap();
    assert!(proved <= trace["attempts"][0]["duration_ms"].as_u64().unwrap(), "{trace}");
}

#[actix_web::test]
async fn a_request_whose_client_left_is_cancelled() {
    let app = TestApp::start().await;
    let (_gate, opened) = gate();
    app.upstream.next(stream().send(role()).send(content("Hello")).wait(opened));
    let mut streaming = app.stream("hello").await;
    let id = streaming.header("x-request-id").to_owned();
    streaming.until("Hello").await;

    drop(streaming);

    let trace = trace(&app, &id).await;
    assert_eq!((&trace["outcome"], trace.get("failure")), (&json!("cancelled"), None));
    assert_eq!(of_attempts(&trace, "/end"), ["answered"]);
}

#[actix_web::test]
async fn a_request_that_nobody_could_serve_says_who_was_left_out_and_why() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("test-model", None), served("other", None)];
    })
    .await;
    app.upstream.next(error(402));
    app.chat("hello").await;
    eventually("the cooldown holds", async || (app.cooldowns().await.len() == 1).then_some(()))
        .await;

    let refused = app.chat("hello").await;

    assert_eq!(refused.status, 429, "{}", refused.text());
    let cooling = trace(&app, refused.header("x-request-id")).await;
    assert_eq!((&cooling["outcome"], &cooling["failure"]), (&json!("failed"), &json!("payment")));
    assert_eq!(cooling["attempts"], json!([]));
    let plan = &cooling["plans"][0];
    assert_eq!(plan["candidates"], json!([]));
    let left_out = &plan["exclusions"][0];
    assert_eq!(
        (&left_out["provider_id"], &left_out["reason"]),
        (&json!("acme"), &json!("cooling"))
    );
    assert_eq!(left_out["cause"], "payment");
    assert_eq!(left_out["until"], app.cooldowns().await[0]["until"]);

    let refused = Reply::to(app.relay(named_body("unheard-of", "hello").to_string())).await;
    assert_eq!(refused.status, 404);
    let unknown = trace(&app, refused.header("x-request-id")).await;
    assert_eq!((&unknown["model"], &unknown["outcome"]), (&json!("unheard-of"), &json!("failed")));
    let plan = &unknown["plans"][0];
    assert_eq!((&plan["candidates"], &plan["exclusions"]), (&json!([]), &json!([])));
}

#[actix_web::test]
async fn an_alias_and_a_route_are_named_and_each_fallback_has_its_plan() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("big", None), served("small", None)];
    })
    .await;
    for (path, body) in [
        ("aliases/best", json!({"model": "smart"})),
        ("routes/smart", json!({"targets": [{"model": "big"}], "fallbacks": ["small"]})),
    ] {
        assert_eq!(app.put(&format!("/api/v1/{path}"), body).await.status, 201);
    }
    app.upstream.next(error_with_code(404, &json!("model_not_found")));

    let answer = Reply::to(app.relay(named_body("best", "hello").to_string())).await;

    assert_eq!(answer.header("x-providerpool-model"), "small", "{}", answer.text());
    let trace = trace(&app, answer.header("x-request-id")).await;
    assert_eq!(trace["model"], "best");
    assert_eq!(trace["substitution"], json!({"to": "smart", "by": "best"}));
    let plans = trace["plans"].as_array().unwrap();
    assert_eq!((&plans[0]["model"], &plans[0]["route"]), (&json!("smart"), &json!("smart")));
    assert_eq!((&plans[1]["model"], plans[1].get("route")), (&json!("small"), None));
    assert_eq!(of_attempts(&trace, "/model_id"), ["big", "small"]);
    assert_eq!(trace["attempts"][0]["failure"]["class"], "model_missing");
}

#[actix_web::test]
async fn only_the_last_traces_are_kept() {
    let app = TestApp::configured(|config| config.relay.traces = 2).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(app.chat("hello").await.header("x-request-id").to_owned());
        trace(&app, ids.last().unwrap()).await;
    }

    let message = refused(&app.get(&path_of(&ids[0])).await);

    assert!(message.contains("the last 2 are kept"), "{message}");
    for id in &ids[1..] {
        assert_eq!(trace(&app, id).await["request_id"], id.as_str());
    }
    let off = TestApp::configured(|config| config.relay.traces = 0).await;
    let id = off.chat("hello").await.header("x-request-id").to_owned();
    assert_eq!(off.ledger().await.completed, 1);
    assert!(refused(&off.get(&path_of(&id)).await).contains("relay.traces is 0"));
}

#[actix_web::test]
async fn an_id_of_no_request_is_not_found_and_who_asks_needs_an_admin_key() {
    let app = TestApp::start().await;
    for id in ["nobody", "req_", "req_0", "%20", "req_00000000000000000000000000000000"] {
        refused(&app.get(&path_of(id)).await);
    }
    let id = app.chat("hello").await.header("x-request-id").to_owned();
    let path = path_of(&id);
    let with_client_key = app.request(Method::GET, &path).bearer_auth(&app.client_key);
    assert_eq!(Reply::to(with_client_key).await.status, 403);
    assert_eq!(Reply::to(app.request(Method::GET, &path)).await.status, 401);
}
