//! The list of models, as clients of each dialect ask for it.

use reqwest::Method;

use crate::support::{Reply, TestApp, served};

#[actix_web::test]
async fn models_are_listed_in_each_dialects_shape() {
    let app =
        TestApp::configured(|config| config.providers[0].models = vec![served("fast", None)]).await;
    let get = |path: &str| app.request(Method::GET, path).bearer_auth(&app.client_key);
    let openai = Reply::to(get("/v1/models")).await;
    assert_eq!(openai.json["data"][0]["id"], "fast");
    let anthropic = Reply::to(get("/v1/models").header("anthropic-version", "2023-06-01")).await;
    assert_eq!(anthropic.json["data"][0]["type"], "model");
    assert_eq!(anthropic.json["has_more"], false);
    let gemini = Reply::to(get("/v1beta/models")).await;
    assert_eq!(gemini.json["models"][0]["name"], "models/fast");
    let ollama = Reply::to(get("/api/tags")).await;
    assert_eq!(ollama.json["models"][0]["model"], "fast");
    let version = Reply::to(get("/api/version")).await;
    assert!(version.json["version"].is_string());
    let show = app.request(Method::POST, "/api/show").bearer_auth(&app.client_key);
    let show = show.header("content-type", "application/json").body(r#"{"model":"fast"}"#);
    assert_eq!(Reply::to(show).await.status, 200);
    for path in ["/v1/models", "/v1beta/models", "/api/tags", "/api/version"] {
        assert_eq!(Reply::to(app.request(Method::GET, path)).await.status, 401, "{path}");
    }
}
