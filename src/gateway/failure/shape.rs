//! Whose an answer looks to be, whoever has sent it.

use serde_json::Value;

use crate::domain::format_evidence::{Family, Shape};

/// The shape of a body. `is_page`: its head says that it is a page for people.
///
/// Sources, read 2026-11: <https://platform.openai.com/docs/api-reference/models/list>,
/// <https://docs.anthropic.com/en/api/errors>, <https://docs.anthropic.com/en/api/models-list>,
/// <https://cloud.google.com/apis/design/errors>, <https://ai.google.dev/api/models>,
/// <https://github.com/ollama/ollama/blob/main/docs/api.md>,
/// <https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html>.
pub fn shape_of(body: &[u8], is_page: bool) -> Shape {
    if is_page {
        return Shape::Page;
    }
    let text = body.trim_ascii();
    if text == b"Ollama is running" {
        return Shape::Greeting(Family::Ollama);
    }
    if text.is_empty() {
        return Shape::Empty;
    }
    let Ok(json) = serde_json::from_slice::<Value>(text) else { return Shape::Text };
    if let Some((family, word)) = error_of(&json) {
        return Shape::Error { family, word };
    }
    model_list_of(&json).map_or(Shape::Json, Shape::Models)
}

/// Whose error it is, and the typed word that it says.
fn error_of(json: &Value) -> Option<(Family, Option<String>)> {
    // Google's come in a list at some addresses.
    let (object, is_listed) = match json {
        Value::Array(list) => (list.first()?, true),
        other => (other, false),
    };
    // vLLM's have no envelope.
    let is_bare = object.get("object").is_some_and(|word| word == "error");
    let error = if is_bare { object } else { object.get("error")? };
    let word = |name: &str| Some(error.get(name)?.as_str()?.chars().take(64).collect::<String>());
    if error.is_string() && !is_listed {
        return Some((Family::Ollama, None));
    }
    let has_message = error.get("message").is_some_and(Value::is_string);
    if !has_message {
        return None;
    }
    if error.get("code").is_some_and(Value::is_number) && word("status").is_some() {
        return Some((Family::Google, word("status")));
    }
    if is_listed {
        return None;
    }
    if object.get("type").is_some_and(|kind| kind == "error") && word("type").is_some() {
        return Some((Family::Anthropic, word("type")));
    }
    let is_openais = ["type", "code", "param"].iter().any(|name| error.get(name).is_some());
    is_openais.then(|| (Family::Openai, word("code").or_else(|| word("type"))))
}

fn model_list_of(json: &Value) -> Option<Family> {
    if let Some(models) = json.get("data").and_then(Value::as_array) {
        let is_anthropics = json.get("has_more").is_some_and(Value::is_boolean)
            && models.iter().all(|model| model.get("type").is_some_and(|kind| kind == "model"));
        let is_openais = json.get("object").is_some_and(|word| word == "list")
            || models.first().is_some_and(|model| model.get("id").is_some_and(Value::is_string));
        return match (is_anthropics, is_openais) {
            (true, _) => Some(Family::Anthropic),
            (false, true) => Some(Family::Openai),
            (false, false) => None,
        };
    }
    let models = json.get("models").and_then(Value::as_array)?;
    let is_googles = |model: &Value| {
        model.get("name").and_then(Value::as_str).is_some_and(|name| name.starts_with("models/"))
    };
    let is_ollamas = |model: &Value| {
        model.get("name").is_some_and(Value::is_string)
            && (model.get("digest").is_some() || model.get("details").is_some())
    };
    match models.first() {
        Some(model) if is_googles(model) => Some(Family::Google),
        Some(model) if is_ollamas(model) => Some(Family::Ollama),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(body: &str) -> Shape {
        shape_of(body.as_bytes(), false)
    }

    fn error(family: Family, word: &str) -> Shape {
        Shape::Error { family, word: Some(word).filter(|word| !word.is_empty()).map(Into::into) }
    }

    #[test]
    fn the_errors_of_each_family_are_told_apart() {
        use Family::{Anthropic, Google, Ollama, Openai};
        for (body, expected) in [
            (
                r#"{"error":{"message":"m","type":"t","param":null,"code":"invalid_api_key"}}"#,
                error(Openai, "invalid_api_key"),
            ),
            (
                r#"{"error":{"message":"m","type":"invalid_request_error","code":null}}"#,
                error(Openai, "invalid_request_error"),
            ),
            (
                r#"{"type":"error","error":{"type":"authentication_error","message":"m"}}"#,
                error(Anthropic, "authentication_error"),
            ),
            (
                r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}"#,
                error(Google, "INVALID_ARGUMENT"),
            ),
            (
                r#"[{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}]"#,
                error(Google, "NOT_FOUND"),
            ),
            (
                r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#,
                error(Openai, "BadRequestError"),
            ),
            (r#"{"error":"model is required"}"#, error(Ollama, "")),
        ] {
            assert_eq!(shape(body), expected, "{body}");
        }
    }

    #[test]
    fn lists_of_models_are_told_apart() {
        for (body, expected) in [
            (r#"{"object":"list","data":[]}"#, Shape::Models(Family::Openai)),
            (r#"{"data":[{"id":"m"}]}"#, Shape::Models(Family::Openai)),
            (
                r#"{"data":[{"type":"model","id":"m"}],"has_more":false}"#,
                Shape::Models(Family::Anthropic),
            ),
            (r#"{"models":[{"name":"models/m"}]}"#, Shape::Models(Family::Google)),
            (r#"{"models":[{"name":"m:latest","digest":"d"}]}"#, Shape::Models(Family::Ollama)),
        ] {
            assert_eq!(shape(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_nobodys_in_particular_is_only_that() {
        for (body, expected) in [
            ("", Shape::Empty),
            ("Ollama is running", Shape::Greeting(Family::Ollama)),
            ("404 page not found", Shape::Text),
            ("{}", Shape::Json),
            (r#"{"detail":"Not Found"}"#, Shape::Json),
            (r#"{"error":{"message":"m"}}"#, Shape::Json),
            (r#"{"error":{"code":404}}"#, Shape::Json),
            (r#"{"models":[]}"#, Shape::Json),
            (r#"{"data":[1]}"#, Shape::Json),
            (r#"["error"]"#, Shape::Json),
            ("7", Shape::Json),
        ] {
            assert_eq!(shape(body), expected, "{body}");
        }
        assert_eq!(shape_of(br#"{"error":"m"}"#, true), Shape::Page);
    }
}
