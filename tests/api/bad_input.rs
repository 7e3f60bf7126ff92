//! What is not a good request: a clear error in the shape of OpenAI, and the next one is served.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::support::{Reply, TestApp, chat_body, served, within};

/// Asserts an OpenAI error object, and that the next request is served.
async fn refused(app: &TestApp, reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/json");
    assert!(reply.header("x-request-id").starts_with("req_"));
    let error = reply.json["error"].as_object().unwrap();
    let mut fields: Vec<_> = error.keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["code", "message", "param", "type"], "{}", reply.text());
    assert_eq!(error["code"], code);
    assert!(!error["message"].as_str().unwrap().is_empty());
    let calls = app.upstream.calls();
    assert_eq!(app.chat("next").await.status, 200, "the next request was not served");
    assert_eq!(app.upstream.calls(), calls + 1);
}

#[actix_web::test]
async fn a_body_that_is_no_request_is_refused_before_anyone_is_asked() {
    let app = TestApp::start().await;
    let deep = format!(
        "{{\"model\":\"m\",\"messages\":[{{}}],\"x\":{}{}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    for (body, param) in [
        ("", Value::Null),
        ("{", Value::Null),
        ("[]", Value::Null),
        ("\"text\"", Value::Null),
        ("{\"model\":\"m\",\"messages\":[{}]} x", Value::Null),
        (deep.as_str(), Value::Null),
        ("{\"messages\":[{}]}", json!("model")),
        ("{\"model\":7,\"messages\":[{}]}", json!("model")),
        ("{\"model\":\"\",\"messages\":[{}]}", json!("model")),
        ("{\"model\":\"a\\nb\",\"messages\":[{}]}", json!("model")),
        ("{\"model\":\"m\"}", json!("messages")),
        ("{\"model\":\"m\",\"messages\":{}}", json!("messages")),
        ("{\"model\":\"m\",\"messages\":[]}", json!("messages")),
        ("{\"model\":\"m\",\"messages\":[{}],\"stream\":\"yes\"}", json!("stream")),
    ] {
        let calls = app.upstream.calls();

        let reply = Reply::to(app.relay(body.to_owned())).await;

        assert_eq!(app.upstream.calls(), calls, "{body} was passed on");
        assert_eq!(reply.json["error"]["param"], param, "{body}");
        assert_eq!(reply.json["error"]["type"], "invalid_request_error");
        refused(&app, &reply, 400, "invalid_request").await;
    }
    let reply = Reply::to(app.relay(vec![b'{', 0xff, 0xfe, b'}'])).await;
    refused(&app, &reply, 400, "invalid_request").await;
}

#[actix_web::test]
async fn a_body_of_33_mib_is_refused() {
    let app = TestApp::start().await;

    let announced = Reply::to(app.relay(vec![b' '; 33 << 20])).await;
    refused(&app, &announced, 413, "body_too_large").await;

    let pieces = (0..33).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
    let stream = futures_util::stream::iter(pieces);
    let unannounced = Reply::to(app.relay(reqwest::Body::wrap_stream(stream))).await;
    refused(&app, &unannounced, 413, "body_too_large").await;
}

#[actix_web::test]
async fn a_body_just_within_the_limit_is_passed_on() {
    let app = TestApp::configured(|config| config.server.max_body_bytes = 1 << 20).await;
    let mut body = chat_body("", false).to_string();
    body.push_str(&" ".repeat((1 << 20) - body.len()));

    assert_eq!(Reply::to(app.relay(body.clone())).await.status, 200);
    assert_eq!(app.upstream.last().body.len(), 1 << 20);
    body.push(' ');
    let reply = Reply::to(app.relay(body)).await;
    refused(&app, &reply, 413, "body_too_large").await;
}

#[actix_web::test]
async fn an_unknown_model_is_named() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("test-model", None)];
    })
    .await;
    let mut body = chat_body("hello", false);
    body["model"] = json!("gpt-17");

    let reply = Reply::to(app.relay(body.to_string())).await;

    assert!(reply.json["error"]["message"].as_str().unwrap().contains("gpt-17"));
    assert_eq!(reply.json["error"]["param"], "model");
    refused(&app, &reply, 404, "model_not_found").await;
}

// The demo's provider and the tests' are on this machine: local ones.
#[actix_web::test]
async fn whoever_leaves_nobody_over_is_told_what_did() {
    let listed = TestApp::configured(|config| {
        config.providers[0].models = vec![served("test-model", None)];
    })
    .await;
    let unlisted = TestApp::start().await;
    let ask = async |app: &TestApp, model: &str, header: Option<(&str, &str)>| {
        let mut body = chat_body("hello", false);
        body["model"] = json!(model);
        let request = app.relay(body.to_string());
        Reply::to(match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        })
        .await
    };
    let mode = ("x-providerpool-mode", "cloud");
    let exclude = ("x-providerpool-exclude", "acme");
    for (app, model, header, status, code, words) in [
        (&listed, "test-model", Some(mode), 400, "no_provider_allowed", "x-providerpool-mode"),
        (
            &listed,
            "test-model",
            Some(exclude),
            400,
            "no_provider_allowed",
            "x-providerpool-exclude",
        ),
        (&listed, "cloud", None, 400, "no_provider_allowed", "its name leaves out"),
        (&unlisted, "auto", None, 404, "model_not_found", "ask for a model by its name"),
    ] {
        let reply = ask(app, model, header).await;
        let message = reply.json["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{model} {header:?}: {message}");
        refused(app, &reply, status, code).await;
    }
}

#[actix_web::test]
async fn without_a_good_key_nothing_is_told() {
    let app = TestApp::start().await;
    let body = || chat_body("hello", false).to_string();
    let without = app.request(Method::POST, "/v1/chat/completions").body(body());
    let forged = format!("{}x", app.client_key);
    let other_scheme = app
        .request(Method::POST, "/v1/chat/completions")
        .header("authorization", format!("Basic {}", app.client_key))
        .body(body());
    let with =
        |key: &str| app.request(Method::POST, "/v1/chat/completions").bearer_auth(key).body(body());
    for request in [without, other_scheme, with("nonsense"), with(&forged), with("ppk_0_0")] {
        let reply = Reply::to(request).await;
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        refused(&app, &reply, 401, "invalid_api_key").await;
    }
    let models = Reply::to(app.request(Method::GET, "/v1/models")).await;
    refused(&app, &models, 401, "invalid_api_key").await;
    let admin = Reply::to(with(&app.admin_key)).await;
    refused(&app, &admin, 403, "forbidden").await;
}

#[actix_web::test]
async fn a_revoked_key_opens_nothing_any_more() {
    let app = TestApp::start().await;
    let made = app.post("/api/v1/client-keys", json!({"name": "guest"})).await;
    let key = made.json["key"].as_str().unwrap().to_owned();
    let ask = async || {
        let body = chat_body("hello", false).to_string();
        let request = app.request(Method::POST, "/v1/chat/completions").bearer_auth(&key);
        Reply::to(request.body(body)).await
    };
    assert_eq!(ask().await.status, 200);

    let id = made.json["id"].as_str().unwrap();
    assert_eq!(app.delete(&format!("/api/v1/client-keys/{id}")).await.status, 204);

    refused(&app, &ask().await, 401, "invalid_api_key").await;
}

#[actix_web::test]
async fn a_timeout_that_is_no_time_is_refused() {
    let app = TestApp::start().await;
    for timeout in ["0", "-1", "1.5", "soon", ""] {
        let request = app.relay(chat_body("hello", false).to_string());

        let reply = Reply::to(request.header("x-providerpool-timeout-ms", timeout)).await;

        assert!(reply.text().contains("x-providerpool-timeout-ms"), "{timeout:?}");
        refused(&app, &reply, 400, "invalid_request").await;
    }
}

#[actix_web::test]
async fn a_relay_route_that_does_not_exist_is_refused_in_openais_shape() {
    let app = TestApp::start().await;
    for (method, path) in [(Method::POST, "/v1/chat/completion"), (Method::GET, "/v1")] {
        let request = app.request(method.clone(), path).bearer_auth(&app.client_key);
        let reply = Reply::to(request).await;
        assert!(reply.text().contains(path), "{method} {path}: {}", reply.text());
        refused(&app, &reply, 404, "route_not_found").await;
    }
    for (method, path, allow) in [
        (Method::GET, "/v1/chat/completions", "OPTIONS, POST"),
        (Method::POST, "/v1/models", "GET, HEAD, OPTIONS"),
        // Names of models hold colons, and Google's clients call models with one.
        (Method::DELETE, "/v1/models/llama3:8b", "GET, HEAD, OPTIONS, POST"),
    ] {
        let request = app.request(method.clone(), path).bearer_auth(&app.client_key);
        let reply = Reply::to(request).await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
        assert!(reply.text().contains(path), "{method} {path}: {}", reply.text());
    }
}

#[actix_web::test]
async fn a_body_that_breaks_off_or_never_comes_harms_nobody() {
    let app = TestApp::configured(|config| config.server.body_timeout_ms = 300).await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: 1000\r\n\r\n{{\"model\"",
        app.client_key
    );

    let mut leaves = TcpStream::connect(app.address()).await.unwrap();
    leaves.write_all(head.as_bytes()).await.unwrap();
    drop(leaves);
    let mut waits = TcpStream::connect(app.address()).await.unwrap();
    waits.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    within("an answer", waits.read_exact(&mut answer)).await.unwrap();

    assert_eq!(answer, b"HTTP/1.1 408");
    assert_eq!(app.chat("next").await.status, 200);
    assert_eq!(app.ledger().await.requests, 1);
}
