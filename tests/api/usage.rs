//! `GET /api/v1/usage`: the ledger summed up.

use serde_json::json;

use super::support::{
    Setup, TestApp, on_every_database,
    script::{error, raw},
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
