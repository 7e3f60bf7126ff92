//! Keys of providers, keys of callers, and the roles of those who manage.

use providerpool::{actors::access_keys::CreateAccessKey, domain::access_key::Role};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;

use super::support::{Reply, TestApp, chat_body, secret_of, with_json};

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
    let base_url = format!("http://{}", app.backup.address);
    app.post(
        "/api/v1/providers",
        json!({"id": "mine", "name": "m", "base_url": base_url, "location": "local", "priority": 90}),
    )
    .await;
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
        json!({}),
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
    let create = CreateAccessKey { role: Role::Viewer, name: "eye".into(), allowed_models: vec![] };
    let minted = app.actors.access_keys.send(create).await.unwrap().unwrap();
    let viewer = minted.presented.expose_secret();
    let call = async |method, path: &str, body| {
        Reply::to(with_json(app.request(method, path).bearer_auth(viewer), &body)).await.status
    };

    for path in ["/api/v1/providers", "/api/v1/usage", "/api/v1/cooldowns", "/metrics"] {
        assert_eq!(call(Method::GET, path, json!({})).await, 200, "{path}");
    }
    assert!(app.try_events("", viewer, None).await.is_ok());
    for (method, path) in [
        (Method::POST, "/api/v1/providers"),
        (Method::PATCH, "/api/v1/providers/openai"),
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
