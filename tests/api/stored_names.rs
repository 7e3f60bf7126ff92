//! Names that are stored: what cannot be stored or shown everywhere is refused, on each database.

use providerpool::actors::supervise::Crash;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::support::{Reply, Setup, TestApp, on_every_database, with_json};

const BAD: [&str; 5] = ["a\0b", "a\nb", "a\u{1b}[2Jb", "a\u{85}b", "a\u{202e}b"];

#[actix_web::test]
async fn a_name_with_control_characters_is_refused_wherever_it_is_stored() {
    on_every_database(async |database| {
        let app = TestApp::with(Setup { database, ..Setup::default() }).await;
        let made = json!({"id": "made", "name": "Made", "api_format": "openai", "location": "local",
            "base_url": "http://127.0.0.1:1", "api_key": "sk-made-0123456789"});
        let made = app.post("/api/v1/providers", made).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let key = app.post("/api/v1/providers/made/keys", json!({"key": "sk-2-0123456789"})).await;
        let key = format!("/api/v1/providers/made/keys/{}", key.json["id"].as_str().unwrap());
        for bad in BAD {
            let of_provider = |field: &str, value| {
                let mut body = json!({"id": "other", "name": "Other", "api_format": "openai",
                    "base_url": "http://127.0.0.1:1", "location": "local"});
                body[field] = value;
                body
            };
            let (keys, clients) = ("/api/v1/providers/made/keys", "/api/v1/client-keys");
            let providers = "/api/v1/providers";
            let path = url::form_urlencoded::byte_serialize(bad.as_bytes()).collect::<String>();
            let (route, alias) =
                (format!("/api/v1/routes/{path}"), format!("/api/v1/aliases/{path}"));
            let calls = [
                (Method::POST, clients, json!({"name": bad})),
                (Method::POST, clients, json!({"name": "x", "allowed_models": [bad]})),
                (Method::POST, providers, of_provider("id", json!(bad))),
                (Method::POST, providers, of_provider("name", json!(bad))),
                (Method::POST, providers, of_provider("chat_path", json!(format!("/{bad}")))),
                (Method::POST, providers, of_provider("models", json!([{"name": bad}]))),
                (
                    Method::POST,
                    providers,
                    of_provider("models", json!([{"name": "a", "upstream_name": bad}])),
                ),
                (Method::POST, providers, of_provider("headers", json!({bad: "v"}))),
                (Method::POST, providers, of_provider("headers", json!({"x-team": bad}))),
                (Method::POST, providers, of_provider("api_key", json!(bad))),
                (Method::PATCH, "/api/v1/providers/made", json!({"name": bad})),
                (Method::POST, keys, json!({"key": bad})),
                (Method::POST, keys, json!({"key": "sk-3-0123456789", "label": bad})),
                (Method::PATCH, &key, json!({"label": bad})),
                (Method::PATCH, &key, json!({"headers": {bad: "v"}})),
                (Method::PUT, &route, json!({"targets": [{"model": "a"}]})),
                (Method::PUT, "/api/v1/routes/smart", json!({"targets": [{"model": bad}]})),
                (
                    Method::PUT,
                    "/api/v1/routes/smart",
                    json!({"targets": [{"provider": bad, "model": "a"}]}),
                ),
                (Method::PUT, "/api/v1/routes/smart", json!({"fallbacks": [bad]})),
                (Method::PUT, &alias, json!({"model": "a"})),
                (Method::PUT, "/api/v1/aliases/short", json!({"model": bad})),
            ];
            for (method, path, body) in calls {
                let reply = Reply::to(with_json(app.manage(method.clone(), path), &body)).await;
                let what = format!("{method} {path} {body}: {}", reply.text());
                assert_eq!(reply.status, 400, "{what}");
                assert!(!reply.json["error"]["message"].as_str().unwrap().is_empty(), "{what}");
            }
        }
        assert_eq!(
            app.get("/api/v1/client-keys").await.json["client_keys"].as_array().unwrap().len(),
            1
        );
        // Nothing of it has kept storage from what is in order.
        app.actors.access_keys.send(Crash).await.unwrap_err();
        assert_eq!(
            app.post("/api/v1/client-keys", json!({"name": "Büro 日本 🙂"})).await.status,
            201
        );
    })
    .await;
}

#[actix_web::test]
async fn a_model_that_a_client_asks_for_is_a_name_in_every_dialect() {
    on_every_database(async |database| {
        let app = TestApp::with(Setup { database, ..Setup::default() }).await;
        for bad in BAD {
            let turns = json!([{"role": "user", "content": "hi"}]);
            let ask = |path: &str, body: serde_json::Value| -> RequestBuilder {
                app.request(Method::POST, path).bearer_auth(&app.client_key).body(body.to_string())
            };
            let path = url::form_urlencoded::byte_serialize(bad.as_bytes()).collect::<String>();
            let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
            for request in [
                ask("/v1/chat/completions", json!({"model": bad, "messages": turns})),
                ask("/v1/completions", json!({"model": bad, "prompt": "hi"})),
                ask("/v1/responses", json!({"model": bad, "input": "hi"})),
                ask("/v1/messages", json!({"model": bad, "messages": turns, "max_tokens": 9})),
                ask("/v1/messages/count_tokens", json!({"model": bad, "messages": turns})),
                ask("/v1/embeddings", json!({"model": bad, "input": "hi"})),
                ask("/api/chat", json!({"model": bad, "messages": turns})),
                ask("/api/generate", json!({"model": bad, "prompt": "hi"})),
                ask("/api/embed", json!({"model": bad, "input": "hi"})),
                ask(&format!("/v1beta/models/{path}:generateContent"), contents),
            ] {
                let reply = Reply::to(request).await;
                assert_eq!(reply.status, 400, "{bad:?}: {}", reply.text());
                assert!(reply.json.get("error").is_some(), "{}", reply.text());
            }
        }
        assert_eq!(app.upstream.calls(), 0);
        assert_eq!(app.ledger().await.requests, 0);
    })
    .await;
}

#[actix_web::test]
async fn a_proxy_of_an_unknown_scheme_is_refused() {
    let app = TestApp::start().await;
    let made = json!({"id": "made", "name": "Made", "api_format": "openai", "location": "local",
        "base_url": "http://127.0.0.1:1"});
    assert_eq!(app.post("/api/v1/providers", made).await.status, 201);
    for proxy in ["socks9://p.test:1", "ftp://p.test", "htp://me:secret@p.test", "p.test:3128", ""]
    {
        let body = json!({"key": "sk-9-0123456789", "proxy_url": proxy});
        let reply = app.post("/api/v1/providers/made/keys", body).await;
        assert_eq!(reply.status, 400, "{proxy}: {}", reply.text());
        assert_eq!(reply.json["error"]["details"]["param"], "proxy_url");
        assert!(!reply.text().contains("secret") && reply.text().contains("socks5h://"));
    }
}
