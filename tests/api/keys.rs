//! Keys of providers, keys of callers, and the roles of those who manage.

use providerpool::{
    actors::access_keys::CreateAccessKey,
    config::ApiKeyConfig,
    domain::access_key::{NewKey, Role},
};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::support::{
    Reply, TestApp, chat_body, eventually,
    script::{DONE, content, error, finish, gate, stream},
    secret_of, with_json,
};

const KEY: &str = "sk-test-0123456789-0123456789";

#[actix_web::test]
async fn a_key_switches_a_provider_of_the_catalogue_on_and_its_removal_off() {
    let app = TestApp::start().await;
    let keys = "/api/v1/providers/openai/keys";

    let added = app.post(keys, json!({"key": KEY, "label": "mine"})).await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!((&added.json["label"], &added.json["origin"]), (&json!("mine"), &json!("api")));
    assert_eq!(added.json["mask"], "sk-t…6789");
    assert_eq!(app.get("/api/v1/providers/openai").await.json["status"], "active");

    let again = app.post(keys, json!({"key": format!(" {KEY}\n"), "label": "other"})).await;
    assert_eq!((again.status, &again.json), (200, &added.json));

    let id = added.json["id"].as_str().unwrap();
    assert_eq!(app.delete(&format!("{keys}/{id}")).await.status, 204);
    assert_eq!(app.get("/api/v1/providers/openai").await.json["status"], "inactive");
    let gone = app.delete(&format!("{keys}/{id}")).await;
    assert_eq!((gone.status, &gone.json["error"]["code"]), (404, &json!("key_not_found")));
}

#[actix_web::test]
async fn a_key_of_a_file_cannot_be_removed() {
    let app = TestApp::start().await;
    let acme = app.get("/api/v1/providers/acme").await;
    let id = acme.json["api_keys"][0]["id"].as_str().unwrap();

    let refused = app.delete(&format!("/api/v1/providers/acme/keys/{id}")).await;
    assert_eq!(
        (refused.status, &refused.json["error"]["code"]),
        (409, &json!("key_is_not_stored"))
    );
}

#[actix_web::test]
async fn what_cannot_be_a_key_is_refused_and_not_echoed() {
    let app = TestApp::start().await;
    let keys = "/api/v1/providers/openai/keys";
    for key in ["", "  ", "sk-hidden words", "sk-hidden\r\nx: y", "sk-hidden-é", &"k".repeat(4_097)]
    {
        let refused = app.post(keys, json!({"key": key})).await;
        assert_eq!(
            (refused.status, &refused.json["error"]["code"]),
            (400, &json!("invalid_request"))
        );
        assert!(!refused.text().contains("hidden") && !refused.text().contains("kkkk"));
    }
    for body in [
        json!({}),
        json!({"key": 1}),
        json!({"key": KEY, "x": 1}),
        json!({"key": KEY, "label": "l".repeat(129)}),
    ] {
        assert_eq!(app.post(keys, body).await.status, 400);
    }
    let nobody = app.post("/api/v1/providers/nobody/keys", json!({"key": KEY})).await;
    assert_eq!((nobody.status, &nobody.json["error"]["code"]), (404, &json!("provider_not_found")));
}

#[actix_web::test]
async fn keys_are_used_in_turn() {
    let app = TestApp::start().await;
    create_mine(&app).await;
    for key in ["sk-a", "sk-b", "sk-c"] {
        app.post("/api/v1/providers/mine/keys", json!({"key": key})).await;
    }

    for _ in 0..6 {
        app.chat("hello").await;
    }

    let seen = app.backup.seen();
    let used: Vec<_> = seen.iter().map(|call| call.header("authorization").unwrap()).collect();
    for key in ["Bearer sk-a", "Bearer sk-b", "Bearer sk-c"] {
        assert_eq!(used.iter().filter(|used| **used == key).count(), 2, "{used:?}");
    }
}

/// Makes the provider `mine` in front of the backup, without a key.
async fn create_mine(app: &TestApp) {
    let base_url = format!("http://{}", app.backup.address);
    let mine = json!({"id": "mine", "name": "m", "api_format": "openai",
        "base_url": base_url, "location": "local",
        "priority": 90});
    assert_eq!(app.post("/api/v1/providers", mine).await.status, 201);
}

/// Adds a key to a provider and answers with the path of it.
async fn add_key(app: &TestApp, provider: &str, body: Value) -> String {
    let keys = format!("/api/v1/providers/{provider}/keys");
    let added = app.post(&keys, body).await;
    assert_eq!(added.status, 201, "{}", added.text());
    format!("{keys}/{}", added.json["id"].as_str().unwrap())
}

/// The first key of a provider, as it is set.
async fn first_key(app: &TestApp, provider: &str) -> Value {
    let provider = app.get(&format!("/api/v1/providers/{provider}")).await;
    let mut key = provider.json["api_keys"][0].clone();
    key.as_object_mut().unwrap().remove("recent");
    key
}

#[actix_web::test]
async fn what_is_set_for_a_key_is_changed_and_null_takes_it_back() {
    let mut app = TestApp::start().await;
    let path = add_key(&app, "openai", json!({"key": KEY, "label": "mine", "weight": 5})).await;
    let unset = first_key(&app, "openai").await;
    assert_eq!((&unset["priority"], &unset["weight"]), (&json!(0), &json!(5)));
    assert_eq!((unset.get("max_in_flight"), unset.get("proxy_url")), (None, None));
    let mut events = app.events("?types=credential.*").await;

    let changed = app
        .patch(
            &path,
            json!({"label": "ours", "enabled": false, "priority": -2, "weight": 0,
                "max_in_flight": 3, "proxy_url": "socks5h://me:hunter2@proxy.test:1080",
                "headers": {"X-Org": "hunter3", "x-team": "hunter4"}}),
        )
        .await;

    assert_eq!(changed.status, 200, "{}", changed.text());
    for (field, value) in [
        ("label", json!("ours")),
        ("enabled", json!(false)),
        ("priority", json!(-2)),
        ("weight", json!(0)),
        ("max_in_flight", json!(3)),
        ("proxy_url", json!("socks5h://proxy.test:1080")),
        ("headers", json!({"x-org": "****", "x-team": "****"})),
        ("mask", json!("sk-t…6789")),
    ] {
        assert_eq!(changed.json[field], value, "{field}");
    }
    assert_eq!(app.get("/api/v1/providers/openai").await.json["status"], "inactive");
    let event = events.next().await;
    assert_eq!((&event["type"], &event["data"]), (&json!("credential.updated"), &json!({})));
    assert_eq!(event["credential_id"], changed.json["id"]);

    app.restart().await;
    assert_eq!(first_key(&app, "openai").await, changed.json);

    let header = json!({"X-Team": null, "x-new": "hunter5"});
    let part = app.patch(&path, json!({"headers": header})).await;
    assert_eq!(part.json["headers"], json!({"x-new": "****", "x-org": "****"}));
    let part = app.patch(&path, json!({"proxy_url": "direct", "headers": null})).await;
    assert_eq!((&part.json["proxy_url"], &part.json["headers"]), (&json!("direct"), &json!({})));
    assert_eq!(part.json["label"], "ours");
    let reset = json!({"label": null, "enabled": null, "priority": null, "weight": null,
        "max_in_flight": null, "proxy_url": null});
    let reset = app.patch(&path, reset).await;
    assert_eq!((reset.json.get("label"), &reset.json["weight"]), (None, &json!(1)));
    assert_eq!((&reset.json["enabled"], &reset.json["priority"]), (&json!(true), &json!(0)));
    assert_eq!((reset.json.get("max_in_flight"), reset.json.get("proxy_url")), (None, None));
    app.restart().await;
    assert_eq!(first_key(&app, "openai").await, reset.json);
    assert_eq!(app.get("/api/v1/providers/openai").await.json["status"], "active");
}

#[actix_web::test]
async fn a_new_key_may_have_everything_set() {
    let app = TestApp::start().await;

    let body = json!({"key": KEY, "label": "l", "enabled": false, "priority": 4, "weight": 7,
        "max_in_flight": 100_000, "proxy_url": "http://proxy.test:3128",
        "headers": {"x-org": "hunter2"}});
    add_key(&app, "openai", body).await;

    let key = first_key(&app, "openai").await;
    for (field, value) in [
        ("label", json!("l")),
        ("enabled", json!(false)),
        ("priority", json!(4)),
        ("weight", json!(7)),
        ("max_in_flight", json!(100_000)),
        ("proxy_url", json!("http://proxy.test:3128/")),
        ("headers", json!({"x-org": "****"})),
    ] {
        assert_eq!(key[field], value, "{field}");
    }
}

#[actix_web::test]
async fn a_disabled_key_is_not_used_any_more() {
    let app = TestApp::start().await;
    create_mine(&app).await;
    let first = add_key(&app, "mine", json!({"key": "sk-a"})).await;
    add_key(&app, "mine", json!({"key": "sk-b"})).await;

    assert_eq!(app.patch(&first, json!({"enabled": false})).await.status, 200);
    for _ in 0..3 {
        app.chat("hello").await;
    }

    let seen = app.backup.seen();
    let used: Vec<_> = seen.iter().map(|call| call.header("authorization").unwrap()).collect();
    assert_eq!(used, ["Bearer sk-b"; 3]);
    app.patch(&first, json!({"enabled": true})).await;
    for _ in 0..2 {
        app.chat("hello").await;
    }
    let seen = app.backup.seen();
    assert!(seen.iter().any(|call| call.header("authorization") == Some("Bearer sk-a")));
}

#[actix_web::test]
async fn what_cannot_be_set_for_a_key_is_refused_by_name_and_changes_nothing() {
    let app = TestApp::start().await;
    let path = add_key(&app, "openai", json!({"key": KEY, "weight": 5})).await;
    let before = first_key(&app, "openai").await;
    let many: serde_json::Map<_, _> = (0..33).map(|n| (format!("x-{n}"), json!("v"))).collect();
    for (field, value) in [
        ("label", json!("l".repeat(129))),
        ("weight", json!(-1)),
        ("weight", json!(1_000_001)),
        ("max_in_flight", json!(0)),
        ("max_in_flight", json!(-5)),
        ("max_in_flight", json!(100_001)),
        ("max_in_flight", json!(4_294_967_297_i64)),
        ("proxy_url", json!("")),
        ("proxy_url", json!("hunter2.test:3128")),
        ("proxy_url", json!("ftp://hunter2.test")),
        ("headers", json!({"host": "hunter2"})),
        ("headers", json!({"a b": "hunter2"})),
        ("headers", json!({"x-a": "hunter2\r\nb: c"})),
        ("headers", json!({"x-a": "hunter2", "X-A": "hunter2"})),
        ("headers", json!({"x-a": "hunter2", "X-A": null})),
        ("headers", Value::Object(many)),
        ("key", json!("sk-other")),
    ] {
        let refused = app.patch(&path, json!({"priority": 9, field: value})).await;
        let error = &refused.json["error"];
        assert_eq!((refused.status, &error["code"]), (400, &json!("invalid_request")), "{field}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        if field != "key" {
            let new = json!({"key": "sk-another-key", field: value});
            let refused = app.post("/api/v1/providers/openai/keys", new).await;
            assert_eq!(refused.status, 400, "{}", refused.text());
            assert_eq!(refused.json["error"]["details"]["param"], field);
        }
    }
    for body in [
        json!({"weight": "many"}),
        json!({"priority": 9_999_999_999_i64}),
        json!({"enabled": "yes"}),
        json!({"nmae": 1}),
    ] {
        assert_eq!(app.patch(&path, body).await.status, 400);
    }
    let openai = app.get("/api/v1/providers/openai").await;
    assert_eq!(openai.json["api_keys"].as_array().unwrap().len(), 1);
    assert_eq!(first_key(&app, "openai").await, before);

    let gone = app.patch("/api/v1/providers/openai/keys/gone", json!({"weight": 1})).await;
    assert_eq!((gone.status, &gone.json["error"]["code"]), (404, &json!("key_not_found")));
    let elsewhere = path.replace("/openai/", "/anthropic/");
    assert_eq!(app.patch(&elsewhere, json!({"weight": 1})).await.status, 404);
}

#[actix_web::test]
async fn a_key_of_a_file_is_as_the_file_says_and_cannot_be_changed() {
    let app = TestApp::configured(|config| {
        config.providers[0].api_keys.insert(
            0,
            ApiKeyConfig {
                label: Some("spare".into()),
                enabled: false,
                priority: -1,
                weight: 3,
                max_in_flight: Some(2),
                proxy_url: Some("http://me:hunter2@proxy.test".into()),
                headers: [("X-Org".to_owned(), "hunter2".into())].into(),
                ..ApiKeyConfig::from("sk-acme-spare")
            },
        );
    })
    .await;

    let acme = app.get("/api/v1/providers/acme").await;
    // By priority.
    let spare = &acme.json["api_keys"][1];
    for (field, value) in [
        ("origin", json!("config")),
        ("label", json!("spare")),
        ("enabled", json!(false)),
        ("priority", json!(-1)),
        ("weight", json!(3)),
        ("max_in_flight", json!(2)),
        ("proxy_url", json!("http://proxy.test/")),
        ("headers", json!({"x-org": "****"})),
    ] {
        assert_eq!(spare[field], value, "{field}");
    }
    assert!(!acme.text().contains("hunter2"));
    app.chat("hello").await;
    assert_eq!(app.upstream.last().header("authorization"), Some("Bearer sk-acme-1"));
    let path = format!("/api/v1/providers/acme/keys/{}", spare["id"].as_str().unwrap());
    let refused = app.patch(&path, json!({"enabled": true})).await;
    let code = &refused.json["error"]["code"];
    assert_eq!((refused.status, code), (409, &json!("key_is_not_stored")));
}

#[actix_web::test]
async fn a_client_key_is_shown_once_and_listed_without_its_secret() {
    let app = TestApp::start().await;

    let made = app.post("/api/v1/client-keys", json!({"name": "guest"})).await;

    assert_eq!(made.status, 201);
    let key = made.json["key"].as_str().unwrap();
    assert!(key.starts_with("ppk_"));
    let list = app.get("/api/v1/client-keys").await;
    let names: Vec<_> =
        list.json["client_keys"].as_array().unwrap().iter().map(|key| &key["name"]).collect();
    assert_eq!(names, ["first client", "guest"]);
    let secret = secret_of(key);
    assert!(!list.text().contains(secret) && !list.text().contains("hash"));

    let id = made.json["id"].as_str().unwrap();
    assert_eq!(app.delete(&format!("/api/v1/client-keys/{id}")).await.status, 204);
    let list = app.get("/api/v1/client-keys").await;
    assert!(list.json["client_keys"][1]["revoked_at"].is_string());
    assert_eq!(app.delete("/api/v1/client-keys/nobody").await.status, 404);
    for body in [
        json!({"name": null}),
        json!({"name": ""}),
        json!({"name": "n".repeat(129)}),
        json!({"name": "n", "role": "admin"}),
    ] {
        assert_eq!(app.post("/api/v1/client-keys", body).await.status, 400);
    }
}

#[actix_web::test]
async fn an_admin_key_cannot_be_revoked_as_a_client_key() {
    let app = TestApp::start().await;
    let id = app.admin_key.split('_').nth(1).unwrap();
    assert_eq!(app.delete(&format!("/api/v1/client-keys/{id}")).await.status, 404);
    assert_eq!(app.get("/api/v1/client-keys").await.status, 200);
}

#[actix_web::test]
async fn a_viewer_may_look_and_not_change() {
    let app = TestApp::start().await;
    let (name, allowed_models, expires_at) = ("eye".into(), vec![], None);
    let new = NewKey { role: Role::Viewer, name, allowed_models, expires_at };
    let create = CreateAccessKey(new);
    let minted = app.actors.access_keys.send(create).await.unwrap().unwrap();
    let viewer = minted.presented.expose_secret();
    let call = async |method, path: &str, body| {
        Reply::to(with_json(app.request(method, path).bearer_auth(viewer), &body)).await.status
    };

    for path in ["/api/v1/providers", "/api/v1/usage", "/api/v1/cooldowns", "/metrics"] {
        assert_eq!(call(Method::GET, path, json!({})).await, 200, "{path}");
    }
    // Explaining changes nothing.
    let explain = "/api/v1/routes/explain";
    assert_eq!(call(Method::POST, explain, json!({"model": "test-model"})).await, 200);
    assert_eq!(call(Method::PUT, explain, json!({})).await, 403);
    assert!(app.try_events("", viewer, None).await.is_ok());
    for (method, path) in [
        (Method::POST, "/api/v1/providers"),
        (Method::PATCH, "/api/v1/providers/openai"),
        (Method::PATCH, "/api/v1/providers/openai/keys/any"),
        (Method::DELETE, "/api/v1/providers/openai"),
        (Method::POST, "/api/v1/providers/openai/disable"),
        (Method::POST, "/api/v1/client-keys"),
        (Method::DELETE, "/api/v1/cooldowns"),
    ] {
        assert_eq!(call(method, path, json!({"name": "x", "priority": 1})).await, 403, "{path}");
    }
    assert_eq!(call(Method::POST, "/v1/chat/completions", chat_body("x", false)).await, 403);
    assert_eq!(app.get("/api/v1/providers/openai").await.json["priority"], 50);
}

#[actix_web::test]
async fn a_key_shows_how_it_fares() {
    let app = TestApp::with_backup().await;
    let acme = async || app.get("/api/v1/providers/acme").await.json;
    let fresh = acme().await;
    let key = &fresh["api_keys"][0];
    assert_eq!((&key["status"], &key["in_flight"]), (&json!("active"), &json!(0)));
    assert_eq!((&key["succeeded"], &key["failed"]), (&json!(0), &json!(0)));
    assert_eq!((&fresh["in_flight"], &fresh["first_event_ms"]), (&json!(0), &json!({})));
    let (gate, opened) = gate();
    let held = stream().send(content("Hello")).wait(opened).send(finish()).send(DONE);
    app.upstream.next(held);
    let mut open = app.stream("hello").await;
    open.until("Hello").await;

    let busy = acme().await;

    assert_eq!((&busy["in_flight"], &busy["api_keys"][0]["in_flight"]), (&json!(1), &json!(1)));
    assert!(busy["first_event_ms"]["test-model"].is_u64(), "{busy}");
    gate.open();
    open.rest().await;
    app.chat("hello").await;
    app.upstream.next(error(401));
    app.chat("hello").await;
    let known = eventually("the key cools", async || {
        Some(acme().await).filter(|acme| acme["api_keys"][0]["status"] == "cooling")
    })
    .await;
    let key = &known["api_keys"][0];
    assert_eq!((&key["succeeded"], &key["failed"]), (&json!(2), &json!(1)));
    assert_eq!((&key["in_flight"], &known["in_flight"]), (&json!(0), &json!(0)));
    let recent = key["recent"].as_array().unwrap();
    let sum =
        |field: &str| recent.iter().map(|bucket| bucket[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((recent.len(), sum("succeeded"), sum("failed")), (20, 2, 1));
    let listed = app.get("/api/v1/providers?limit=200").await.json;
    let mut listed = listed["providers"].as_array().unwrap().iter();
    let listed = listed.find(|provider| provider["id"] == "acme").unwrap();
    assert_eq!((listed.get("first_event_ms"), listed["api_keys"][0].get("recent")), (None, None));
    assert_eq!(listed["api_keys"][0]["failed"], 1);
}

#[actix_web::test]
async fn a_key_that_is_switched_off_is_disabled_and_keeps_its_count() {
    let app = TestApp::start().await;
    create_mine(&app).await;
    let path = add_key(&app, "mine", json!({"key": "sk-a"})).await;
    app.chat("hello").await;

    let off = app.patch(&path, json!({"enabled": false})).await;

    assert_eq!((&off.json["status"], &off.json["succeeded"]), (&json!("disabled"), &json!(1)));
    let on = app.patch(&path, json!({"enabled": true})).await;
    assert_eq!((&on.json["status"], &on.json["succeeded"]), (&json!("active"), &json!(1)));
}
