//! `GET /api/v1/usage`: the ledger summed up.

use serde_json::{Value, json};

use super::support::{
    Reply, Setup, Streaming, TestApp, eventually, named_body, on_every_database,
    script::{DONE, content, error, finish, raw, role, stream},
};

#[actix_web::test]
async fn usage_is_summed_up_by_provider_and_model() {
    on_every_database(async |database| {
        let app = TestApp::with(Setup { backup: true, database, ..Setup::default() }).await;
        let body = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 40}}});
        app.upstream.next(raw(200, body.to_string()));
        app.chat("hello").await;
        app.upstream.next(raw(200, json!({"choices": body["choices"]}).to_string()));
        app.chat("hello").await;
        app.upstream.next(error(401));
        app.chat("hello").await;
        app.backup.next(error(400));
        app.chat("hello").await;

        let usage = app.get("/api/v1/usage").await;

        assert_eq!(usage.json["period"], "week");
        let totals = usage.json["totals"].as_array().unwrap();
        let [acme, backup] = totals.as_slice() else { panic!("{totals:?}") };
        assert_eq!((&acme["provider_id"], &acme["model"]), (&json!("acme"), &json!("test-model")));
        assert_eq!((&acme["requests"], &acme["completed"], &acme["unreported"]), (&json!(2), &json!(2), &json!(1)));
        let tokens = json!({"input": 60, "cache_read": 40, "cache_write_5m": 0, "cache_write_1h": 0, "output": 7});
        assert_eq!(acme["tokens"], tokens);
        assert_eq!(backup["provider_id"], "backup");
        assert_eq!((&backup["completed"], &backup["failed"]), (&json!(1), &json!(1)));
    })
    .await;
}

#[actix_web::test]
async fn what_the_pool_has_counted_itself_is_marked() {
    on_every_database(async |database| {
        let app = TestApp::with(Setup { database, ..Setup::default() }).await;
        let ask = |is_streamed: bool| {
            let body = json!({"model": "test-model", "max_tokens": 50, "stream": is_streamed,
                "messages": [{"role": "user", "content": "how are you today?"}]});
            app.request(reqwest::Method::POST, "/v1/messages")
                .header("x-api-key", &app.client_key)
                .body(body.to_string())
        };
        let answer = json!({"choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "very well"}}]});
        let mut events = app.events("?types=usage.recorded").await;

        app.upstream.next(raw(200, answer.to_string()));
        let whole = Reply::to(ask(false)).await;
        app.upstream
            .next(stream().send(role()).send(content("very well")).send(finish()).send(DONE));
        let streamed = Streaming::to(ask(true)).await;
        let streamed_id = streamed.header("x-request-id").to_owned();
        streamed.rest().await;
        // This one is told by its upstream.
        Reply::to(ask(false)).await;

        assert_eq!(whole.json["usage"]["estimated"], true, "{}", whole.text());
        for id in [whole.header("x-request-id"), &streamed_id] {
            let trace = app.trace(id).await;
            assert_eq!(trace["usage_estimated"], true, "{trace}");
            assert!(trace["tokens"]["output"].as_u64().is_some_and(|tokens| tokens > 0), "{trace}");
        }
        assert_eq!(events.until("usage.recorded").await["data"]["usage_estimated"], true);
        let totals = &app.get("/api/v1/usage").await.json["totals"][0];
        assert_eq!(
            (&totals["requests"], &totals["estimated"], &totals["unreported"]),
            (&json!(3), &json!(2), &json!(0)),
            "{totals}"
        );
        let told = |name: &str| whole.json["usage"][name].as_u64().unwrap();
        assert_eq!(totals["tokens"]["output"], 2 * told("output_tokens") + 2);
        assert_eq!(totals["tokens"]["input"], 2 * told("input_tokens") + 5);
    })
    .await;
}

#[actix_web::test]
async fn every_period_can_be_asked_for_and_no_other() {
    let app = TestApp::start().await;
    app.chat("hello").await;
    for period in ["day", "week", "month", "all"] {
        let usage = app.get(&format!("/api/v1/usage?period={period}")).await;
        assert_eq!(usage.json["totals"][0]["requests"], 1, "{period}");
        assert_eq!(usage.json.get("from").is_none(), period == "all");
    }
    assert_eq!(app.get("/api/v1/usage?period=year").await.status, 400);
    assert_eq!(app.get("/api/v1/usage?since=1").await.status, 400);
}

#[actix_web::test]
async fn what_was_used_counts_under_the_model_that_answered() {
    let app = TestApp::start().await;
    let route = json!({"targets": [{"model": "first"}], "fallbacks": ["second"]});
    assert_eq!(app.put("/api/v1/routes/smart", route).await.status, 201);
    app.upstream.next(error(400));
    app.upstream.next(error(429).header("retry-after", "300"));

    for status in [400, 200] {
        let body = named_body("smart", "hello").to_string();
        assert_eq!(Reply::to(app.relay(body)).await.status, status);
    }

    let totals = eventually("both are booked", async || {
        let usage = app.get("/api/v1/usage").await;
        let totals = usage.json["totals"].as_array().unwrap().clone();
        let total = |it: &Value| (it["model"].clone(), it["requests"].clone());
        (totals.len() == 2).then(|| totals.iter().map(total).collect::<Vec<_>>())
    })
    .await;
    assert_eq!(totals, [(json!("first"), json!(1)), (json!("second"), json!(1))]);
}
