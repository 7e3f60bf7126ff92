//! Google: `GET /v1beta/models` and `GET /v1beta/models/{model}`.
//!
//! Source: <https://ai.google.dev/api/models> (2026-11).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{ListedModel, to_json};
use crate::{
    domain::model::{Capability, ModelKind},
    gateway::translate::InvalidRequest,
};

/// Models of a page where the client does not say.
const DEFAULT_SIZE: usize = 50;

/// Most models of a page. Who asks for more gets so many.
const MAX_SIZE: usize = 1_000;

/// Which part of the list a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeminiPage {
    /// 50 where absent or 0.
    pub page_size: Option<usize>,
    /// What the page before gave as `nextPageToken`.
    pub page_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    models: Vec<One<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    name: String,
    base_model_id: &'a str,
    /// The API demands one, and the pool knows none.
    version: &'static str,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_token_limit: Option<u64>,
    supported_generation_methods: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<bool>,
}

impl<'a> One<'a> {
    fn of(model: &'a ListedModel) -> Self {
        Self {
            name: format!("models/{}", model.id),
            base_model_id: &model.id,
            version: "001",
            display_name: model.name(),
            input_token_limit: model.context,
            output_token_limit: model.output,
            supported_generation_methods: match model.kind {
                ModelKind::Chat => &["generateContent", "streamGenerateContent"],
                ModelKind::Embedding => &["embedContent", "batchEmbedContents"],
                _ => &[],
            },
            thinking: model.capabilities.map(|known| known.has(Capability::Thinking)),
        }
    }
}

/// One page of the list.
///
/// Errors: [`InvalidRequest`] when the token is none of ours, or its model is gone.
pub fn gemini_list(models: &[ListedModel], page: &GeminiPage) -> Result<Vec<u8>, InvalidRequest> {
    let size = page.page_size.filter(|size| *size > 0).unwrap_or(DEFAULT_SIZE).min(MAX_SIZE);
    let rest = match page.page_token.as_deref() {
        None | Some("") => models,
        Some(token) => {
            let place = place_of(models, token).ok_or_else(|| {
                InvalidRequest::about("pageToken", "pageToken is not one of this list")
            })?;
            &models[place + 1..]
        }
    };
    let shown = &rest[..size.min(rest.len())];
    let last = shown.last().filter(|_| rest.len() > size);
    Ok(to_json(&List {
        models: shown.iter().map(One::of).collect(),
        next_page_token: last.map(|model| BASE64_URL_SAFE_NO_PAD.encode(&model.id)),
    }))
}

pub fn gemini_one(model: &ListedModel) -> Vec<u8> {
    to_json(&One::of(model))
}

/// A token is the name of the last model of its page.
fn place_of(models: &[ListedModel], token: &str) -> Option<usize> {
    let id = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    models.iter().position(|model| model.id.as_bytes() == id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{json as parse, model, unknown},
        *,
    };

    #[test]
    fn tokens_lead_through_the_whole_list() {
        let models = ["a", "b/x", "c"].map(model);
        let mut page = GeminiPage { page_size: Some(2), page_token: None };
        let first = parse(&gemini_list(&models, &page).unwrap());
        assert_eq!(first["models"].as_array().unwrap().len(), 2);
        page.page_token = Some(first["nextPageToken"].as_str().unwrap().into());
        let second = parse(&gemini_list(&models, &page).unwrap());
        assert_eq!(second["models"][0]["name"], "models/c");
        assert!(second.get("nextPageToken").is_none());
        page.page_token = Some("nonsense".into());
        let error = gemini_list(&models, &page).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("pageToken"));
        let all = GeminiPage { page_size: Some(0), page_token: Some(String::new()) };
        assert_eq!(parse(&gemini_list(&models, &all).unwrap())["models"][2]["name"], "models/c");
    }

    #[test]
    fn a_model_has_googles_shape() {
        let expected = json!({
            "name": "models/a", "baseModelId": "a", "version": "001", "displayName": "Model a",
            "inputTokenLimit": 200_000, "outputTokenLimit": 64_000,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
            "thinking": true,
        });
        assert_eq!(parse(&gemini_one(&model("a"))), expected);
        let embedding = ListedModel { kind: ModelKind::Embedding, ..unknown("e") };
        let expected = json!({
            "name": "models/e", "baseModelId": "e", "version": "001", "displayName": "e",
            "supportedGenerationMethods": ["embedContent", "batchEmbedContents"],
        });
        assert_eq!(parse(&gemini_one(&embedding)), expected);
    }
}
