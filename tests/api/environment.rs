//! Keys that are found in the environment: used, shown as such, and never stored.

use serde_json::json;

use super::support::{Setup, TestApp};

const ENVIRONMENT: &[(&str, &str)] =
    &[("OPENAI_API_KEY", "sk-env-0123456789-0123456789"), ("ANTHROPIC_API_KEY", "")];

async fn start() -> TestApp {
    TestApp::with(Setup { environment: ENVIRONMENT, ..Setup::default() }).await
}

#[actix_web::test]
async fn a_provider_whose_usual_variable_is_set_is_on() {
    let app = start().await;

    let openai = app.get("/api/v1/providers/openai").await;

    assert_eq!((&openai.json["enabled"], &openai.json["status"]), (&json!(true), &json!("active")));
    let key = &openai.json["api_keys"][0];
    assert_eq!((&key["origin"], &key["label"]), (&json!("environment"), &json!("OPENAI_API_KEY")));
    assert_eq!(key["mask"], "sk-e…6789");
    let anthropic = app.get("/api/v1/providers/anthropic").await;
    assert_eq!(
        (&anthropic.json["enabled"], &anthropic.json["api_keys"]),
        (&json!(false), &json!([]))
    );
}

#[actix_web::test]
async fn a_key_of_the_environment_cannot_be_removed_and_is_not_stored() {
    let app = start().await;

    let openai = app.get("/api/v1/providers/openai").await;
    let id = openai.json["api_keys"][0]["id"].as_str().unwrap();
    assert!(id.starts_with("env_openai_api_key_"), "{id}");

    let refused = app.delete(&format!("/api/v1/providers/openai/keys/{id}")).await;

    assert_eq!(
        (refused.status, &refused.json["error"]["code"]),
        (409, &json!("key_is_not_stored"))
    );
    assert!(app.actors.db.load_credentials().await.unwrap().is_empty());
}

#[actix_web::test]
async fn a_provider_that_was_switched_off_stays_off_with_its_variable_set() {
    let mut app = start().await;
    app.patch("/api/v1/providers/openai", json!({"enabled": false})).await;

    app.restart().await;

    assert_eq!(app.get("/api/v1/providers/openai").await.json["enabled"], false);
}
