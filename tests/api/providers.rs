//! `/api/v1/providers`: made, listed, changed and deleted, and what is refused.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Reply, TestApp, with_json};

fn ids(list: &Value) -> Vec<String> {
    let providers = list["providers"].as_array().unwrap().iter();
    providers.map(|provider| provider["id"].as_str().unwrap().to_owned()).collect()
}

fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(
        (reply.status, &reply.json["error"]["code"]),
        (status, &json!(code)),
        "{}",
        reply.text()
    );
    assert!(!reply.json["error"]["message"].as_str().unwrap().is_empty());
    assert!(reply.json["error"]["request_id"].as_str().unwrap().starts_with("req_"));
}

async fn create_mine(app: &TestApp) -> Reply {
    let created = app
        .post(
            "/api/v1/providers",
            json!({"id": "Mine", "name": "My own", "api_format": "openai",
                "base_url": format!("http://{}", app.backup.address),
                "location": "local", "priority": 90, "api_key": "sk-mine-0123456789-0123456789",
                "headers": {"X-Team": "very-secret-team"}, "models": [{"name": "a"}, {"name": "test-model"}]}),
        )
        .await;
    assert_eq!(created.status, 201, "{}", created.text());
    created
}

#[actix_web::test]
async fn a_new_provider_needs_no_name_and_an_address_with_a_scheme() {
    let app = TestApp::start().await;
    let made =
        app.post("/api/v1/providers", json!({"id": "Plain", "base_url": "https://a.test"})).await;
    assert_eq!((made.status, &made.json["name"]), (201, &json!("plain")), "{}", made.text());

    for (url, words) in [
        ("127.0.0.1:4950", "base_url: must begin with http:// or https://"),
        ("a.test/v1", "base_url: must begin with http:// or https://"),
        ("localhost:4950", "must begin with http:// or https://, not localhost:"),
        ("https://", "base_url: must be a URL as https://host/path"),
    ] {
        let reply = app.post("/api/v1/providers", json!({"id": "bare", "base_url": url})).await;
        refused(&reply, 400, "invalid_request");
        assert!(reply.text().contains(words), "{url}: {}", reply.text());
    }
    let nameless = app.post("/api/v1/client-keys", json!({})).await;
    assert_eq!((nameless.status, &nameless.json["name"]), (201, &json!("made by the API")));
}

#[actix_web::test]
async fn a_new_provider_serves_at_once() {
    let app = TestApp::start().await;

    let created = create_mine(&app).await;

    let provider = &created.json;
    assert_eq!(provider["id"], "mine");
    assert_eq!((&provider["type"], &provider["origin"]), (&json!("custom"), &json!("api")));
    assert_eq!((&provider["status"], &provider["enabled"]), (&json!("active"), &json!(true)));
    assert_eq!(provider["headers"], json!({"x-team": "****"}));
    assert_eq!(provider["api_keys"][0]["mask"], "sk-m…6789");
    let answer = app.chat("hello").await;
    assert_eq!(answer.header("x-providerpool-provider"), "mine");
    assert_eq!(app.backup.last().header("x-team"), Some("very-secret-team"));
    assert_eq!(
        app.backup.last().header("authorization"),
        Some("Bearer sk-mine-0123456789-0123456789")
    );
}

#[actix_web::test]
async fn providers_are_listed_most_preferred_first_in_pages() {
    let app = TestApp::with_backup().await;
    create_mine(&app).await;

    let all = app.get("/api/v1/providers").await;
    let mut paged = Vec::new();
    let mut query = "?limit=7".to_owned();
    loop {
        let page = app.get(&format!("/api/v1/providers{query}")).await;
        paged.extend(ids(&page.json));
        let Some(cursor) = page.json["next_cursor"].as_str() else { break };
        query = format!("?limit=7&cursor={cursor}");
    }

    assert_eq!(ids(&all.json)[0], "mine");
    assert_eq!(paged, ids(&all.json));
    let priorities: Vec<i64> = all.json["providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|provider| provider["priority"].as_i64().unwrap())
        .collect();
    assert!(priorities.is_sorted_by(|a, b| a >= b), "{priorities:?}");
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?cursor=nobody", "?unknown=1"] {
        refused(&app.get(&format!("/api/v1/providers{query}")).await, 400, "invalid_request");
    }
}

#[actix_web::test]
async fn the_catalogue_is_there_and_off() {
    let app = TestApp::start().await;

    let openai = app.get("/api/v1/providers/openai").await;

    assert_eq!(openai.status, 200);
    assert_eq!(
        (&openai.json["origin"], &openai.json["enabled"]),
        (&json!("catalog"), &json!(false))
    );
    assert_eq!(openai.json["status"], "inactive");
    assert!(openai.json.get("created_at").is_none(), "a zero date is shown");
}

#[actix_web::test]
async fn an_id_must_be_valid_and_not_reserved_or_taken() {
    let app = TestApp::start().await;
    let create = async |id: &str| {
        let body = json!({"id": id, "name": "x", "base_url": "https://a.test"});
        app.post("/api/v1/providers", body).await
    };
    for id in ["", "-a", "a b", "a/b", "é", &"a".repeat(129)] {
        assert_eq!(create(id).await.status, 400, "{id:?} was taken");
    }
    for id in ["usage", "Verify", "catalog", "TRIAL"] {
        assert_eq!(create(id).await.status, 400, "{id:?} was taken");
    }
    refused(&create("openai").await, 409, "provider_exists");
    refused(&create("ACME").await, 409, "provider_exists");
    refused(&app.get("/api/v1/providers/usage").await, 400, "reserved_provider_id");
    refused(&app.get("/api/v1/providers/a%20b").await, 400, "invalid_provider_id");
    refused(&app.get("/api/v1/providers/nobody").await, 404, "provider_not_found");
}

#[actix_web::test]
async fn a_provider_that_cannot_work_is_refused() {
    let app = TestApp::start().await;
    for (field, value) in [
        ("name", json!("")),
        ("name", Value::Null),
        ("base_url", json!("ftp://a.test")),
        ("base_url", json!("https://user:pw@a.test")),
        ("base_url", json!("https://a.test?key=1")),
        ("base_url", json!("not a url")),
        ("base_url", json!("http://169.254.169.254")),
        ("base_url", json!("http://127.0.0.1:1")),
        ("priority", json!("high")),
        ("location", json!("moon")),
        ("headers", json!({"host": "a"})),
        ("headers", json!({"x": "a\r\nb: c"})),
        ("models", json!([{"name": ""}])),
        ("models", json!([{"name": "a", "unknown": 1}])),
        ("models", json!([{"name": "a", "kind": "telepathy"}])),
        ("models", json!([{"name": "a", "capabilities": ["flight"]}])),
        ("models", json!([{"name": "a", "context_tokens": 0}])),
        ("models", json!([{"name": "a", "output_tokens": 1_000_000_001}])),
        ("credential_strategy", json!("whatever")),
        ("rules", json!([{"status": 400}])),
        ("attempt_timeout_ms", json!(99)),
        ("attempt_timeout_ms", json!(86_400_001)),
        ("cooling", json!({"server": {"failures": 101}})),
        ("cooling", json!({"overload": {"base_ms": 2_000, "cap_ms": 1_000}})),
        ("cooling", json!({"server": {"base_ms": 300_001}})),
        ("cooling", json!({"server": {"failure": 1}})),
        ("cooling", json!(false)),
        ("unknown", json!(1)),
        ("api_key", json!("")),
        ("api_key", json!("two words")),
    ] {
        let mut body = json!({"id": "x", "name": "x", "base_url": "https://a.test"});
        body[field] = value.clone();

        let reply = app.post("/api/v1/providers", body).await;

        refused(&reply, 400, "invalid_request");
        assert_eq!(
            app.get("/api/v1/providers/x").await.status,
            404,
            "{field}: {value} left a provider"
        );
    }
}

#[actix_web::test]
async fn what_is_not_json_is_refused_in_our_words() {
    let app = TestApp::start().await;
    let path = "/api/v1/providers";

    let broken =
        app.manage(Method::POST, path).header("content-type", "application/json").body("{");
    refused(&Reply::to(broken).await, 400, "invalid_request");
    let untyped = app.manage(Method::POST, path).body("{}");
    refused(&Reply::to(untyped).await, 400, "invalid_request");
    let large = app
        .manage(Method::POST, path)
        .header("content-type", "application/json")
        .body(format!("\"{}\"", "x".repeat(2 << 20)));
    refused(&Reply::to(large).await, 413, "body_too_large");
    assert_eq!(app.get(path).await.status, 200);
}

#[actix_web::test]
async fn a_change_touches_what_is_sent_and_null_takes_it_back() {
    let app = TestApp::start().await;
    create_mine(&app).await;

    let changed =
        app.patch("/api/v1/providers/mine", json!({"priority": -5, "models": null})).await;

    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!((&changed.json["priority"], &changed.json["models"]), (&json!(-5), &json!([])));
    assert_eq!(changed.json["name"], "My own");
    assert_eq!(changed.json["headers"], json!({"x-team": "****"}));
    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "acme");

    let openai = app.patch("/api/v1/providers/openai", json!({"priority": 7})).await;
    assert_eq!(openai.json["priority"], 7);
    let openai = app.patch("/api/v1/providers/openai", json!({"priority": null})).await;
    assert_eq!(openai.json["priority"], 50);
    for body in [
        json!({"id": "other"}),
        json!({"api_key": "sk"}),
        json!({"nmae": "x"}),
        json!({"name": null}),
    ] {
        refused(&app.patch("/api/v1/providers/mine", body).await, 400, "invalid_request");
    }
    refused(&app.patch("/api/v1/providers/nobody", json!({})).await, 404, "provider_not_found");
}

#[actix_web::test]
async fn a_change_of_headers_or_cooling_touches_the_members_that_are_sent() {
    let mut app = TestApp::start().await;
    create_mine(&app).await;
    let path = "/api/v1/providers/mine";

    let added = app.patch(path, json!({"headers": {"x-other": "v"}})).await;

    assert_eq!(added.json["headers"], json!({"x-other": "****", "x-team": "****"}));
    app.restart().await;
    app.chat("hello").await;
    assert_eq!(app.backup.last().header("x-team"), Some("very-secret-team"));
    assert_eq!(app.backup.last().header("x-other"), Some("v"));
    let taken = app.patch(path, json!({"headers": {"X-Team": null}})).await;
    assert_eq!(taken.json["headers"], json!({"x-other": "****"}));
    let many: serde_json::Map<_, _> = (0..32).map(|n| (format!("x-{n}"), json!("v"))).collect();
    refused(&app.patch(path, json!({"headers": many})).await, 400, "invalid_request");

    for (patch, cooling) in [
        (json!({"server": {"failures": 1}}), json!({"server": {"failures": 1}})),
        (
            json!({"server": {"base_ms": 900}, "overload": {"failures": 0}}),
            json!({"server": {"failures": 1, "base_ms": 900}, "overload": {"failures": 0}}),
        ),
        (
            json!({"server": {"failures": null}}),
            json!({"server": {"base_ms": 900}, "overload": {"failures": 0}}),
        ),
        (json!({"server": null}), json!({"overload": {"failures": 0}})),
        (Value::Null, Value::Null),
    ] {
        let changed = app.patch(path, json!({"cooling": patch})).await;
        assert_eq!((changed.status, &changed.json["cooling"]), (200, &cooling), "{patch}");
    }
    app.patch(path, json!({"cooling": {"server": {"base_ms": 900}}})).await;
    let crossed = app.patch(path, json!({"cooling": {"server": {"cap_ms": 800}}})).await;
    refused(&crossed, 400, "invalid_request");
    assert!(crossed.text().contains("is 900: must be at most 800, cap_ms"), "{}", crossed.text());
}

#[actix_web::test]
async fn what_is_said_of_models_keys_and_errors_is_kept_and_can_be_taken_back() {
    let mut app = TestApp::start().await;
    create_mine(&app).await;
    let openai = app.get("/api/v1/providers/openai").await;
    let models = json!([
        {"name": "a", "upstream_name": "vendor/a", "kind": "chat", "context_tokens": 8192,
            "output_tokens": 4096, "capabilities": ["vision", "tools"], "auto_rank": 3},
        {"name": "test-model"},
    ]);
    let rules = json!([
        {"status": 403, "contains": ["not in your plan"], "matches": ["^quota [0-9]+$"],
            "action": "continue_and_cooldown"},
        {"status": 400, "action": "stop"},
    ]);
    let change = json!({"models": models, "rules": rules, "credential_strategy": "fill_first"});
    for path in ["/api/v1/providers/mine", "/api/v1/providers/openai"] {
        let changed = app.patch(path, change.clone()).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        assert_eq!((&changed.json["models"], &changed.json["rules"]), (&models, &rules));
        assert_eq!(changed.json["credential_strategy"], "fill_first");

        app.restart().await;
        let kept = app.get(path).await;
        assert_eq!((&kept.json["models"], &kept.json["rules"]), (&models, &rules));
        assert_eq!(kept.json["credential_strategy"], "fill_first");
    }
    let reset = json!({"models": null, "rules": null, "credential_strategy": null});
    let reset = app.patch("/api/v1/providers/openai", reset).await;
    for field in ["models", "rules", "credential_strategy"] {
        assert_eq!(reset.json[field], openai.json[field], "{field}");
    }
    assert_eq!(reset.json["credential_strategy"], "round_robin");
}

#[actix_web::test]
async fn a_rule_that_cannot_be_used_is_named_and_changes_nothing() {
    let app = TestApp::start().await;
    create_mine(&app).await;
    let good = json!({"status": 403, "action": "continue"});
    for (rules, words) in [
        (json!([good, {"status": 204, "action": "stop"}]), "rules: rule 2: status must be 400"),
        (
            json!([{"status": 403, "matches": ["("], "action": "stop"}]),
            "rules: rule 1: \"(\" is not",
        ),
        (
            json!([{"status": 403, "contains": [""], "action": "stop"}]),
            "rules: rule 1: a rule holds",
        ),
        (json!(vec![&good; 65]), "rules: there are more than 64 rules"),
    ] {
        let reply = app.patch("/api/v1/providers/mine", json!({"rules": rules})).await;
        refused(&reply, 400, "invalid_request");
        let error = &reply.json["error"];
        assert!(error["message"].as_str().unwrap().starts_with(words), "{}", reply.text());
        assert_eq!(error["details"]["param"], "rules");
    }
    assert_eq!(app.get("/api/v1/providers/mine").await.json["rules"], json!([]));
    let most = json!({"rules": vec![good; 64]});
    assert_eq!(app.patch("/api/v1/providers/mine", most).await.status, 200);
}

#[actix_web::test]
async fn a_provider_can_be_switched_off_and_on() {
    let app = TestApp::start().await;
    create_mine(&app).await;
    let mut events = app.events("?types=provider.*&provider_id=mine").await;
    let post = async |path: &str| Reply::to(app.manage(Method::POST, path)).await;

    let off = post("/api/v1/providers/mine/disable").await;
    assert_eq!((&off.json["enabled"], &off.json["status"]), (&json!(false), &json!("inactive")));
    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "acme");
    let on = post("/api/v1/providers/mine/enable").await;
    assert_eq!(on.json["enabled"], true);
    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "mine");

    assert_eq!(events.next().await["type"], "provider.disabled");
    assert_eq!(events.next().await["type"], "provider.enabled");
    refused(&post("/api/v1/providers/nobody/enable").await, 404, "provider_not_found");
}

#[actix_web::test]
async fn only_a_provider_of_the_api_can_be_deleted() {
    let app = TestApp::start().await;
    create_mine(&app).await;

    assert_eq!(app.delete("/api/v1/providers/mine").await.status, 204);

    refused(&app.get("/api/v1/providers/mine").await, 404, "provider_not_found");
    refused(&app.delete("/api/v1/providers/mine").await, 404, "provider_not_found");
    refused(&app.delete("/api/v1/providers/openai").await, 409, "provider_is_built_in");
    refused(&app.delete("/api/v1/providers/acme").await, 409, "owned_by_configuration");
    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "acme");
}

#[actix_web::test]
async fn a_provider_of_the_configuration_is_read_only() {
    let app = TestApp::start().await;
    let change = app.patch("/api/v1/providers/acme", json!({"priority": 1})).await;
    refused(&change, 409, "owned_by_configuration");
    let off = Reply::to(app.manage(Method::POST, "/api/v1/providers/acme/disable")).await;
    refused(&off, 409, "owned_by_configuration");
    let key = app.post("/api/v1/providers/acme/keys", json!({"key": "sk-new"})).await;
    refused(&key, 409, "owned_by_configuration");
}

#[actix_web::test]
async fn what_was_made_outlives_a_restart() {
    let mut app = TestApp::start().await;
    create_mine(&app).await;
    app.patch("/api/v1/providers/openai", json!({"priority": 7})).await;
    let before = app.get("/api/v1/providers").await;

    app.restart().await;

    assert_eq!(app.get("/api/v1/providers").await.json, before.json);
    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "mine");
}

#[actix_web::test]
async fn management_is_for_admin_keys_and_unknown_routes_are_closed() {
    let app = TestApp::start().await;
    for path in
        ["/api/v1/providers", "/api/v1/nothing", "/api/openapi.json", "/metrics", "/metrics/x"]
    {
        refused(&Reply::to(app.request(Method::GET, path)).await, 401, "invalid_api_key");
        let client = app.request(Method::GET, path).bearer_auth(&app.client_key);
        refused(&Reply::to(client).await, 403, "forbidden");
    }
    refused(&app.get("/api/v1/nothing").await, 404, "route_not_found");
    refused(&app.get("/nothing").await, 404, "route_not_found");
    refused(&app.get("/metrics/x").await, 404, "route_not_found");
    refused(&app.delete("/api/v1/usage").await, 405, "method_not_allowed");
    refused(&app.delete("/api/v1/providers").await, 405, "method_not_allowed");
    let put = with_json(app.manage(Method::PUT, "/api/v1/providers/acme"), &json!({}));
    refused(&Reply::to(put).await, 405, "method_not_allowed");
}
