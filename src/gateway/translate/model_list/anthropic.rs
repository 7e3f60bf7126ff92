//! Anthropic: `GET /v1/models` and `GET /v1/models/{model}`.
//!
//! Source: <https://platform.claude.com/docs/en/api/models/list>, and for the fields
//! <https://github.com/anthropics/anthropic-sdk-python/blob/main/src/anthropic/types/model_info.py>
//! (2026-11).

use serde::Serialize;

use super::{ListedModel, to_json};
use crate::{domain::time::Timestamp, gateway::translate::InvalidRequest};

/// Models of a page where the client does not say.
const DEFAULT_LIMIT: usize = 20;

/// Most models of a page.
const MAX_LIMIT: usize = 1_000;

/// Which part of the list a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnthropicPage {
    /// Those right before this one.
    pub before_id: Option<String>,
    /// Those right after this one.
    pub after_id: Option<String>,
    /// 1 to 1000; 20 where absent.
    pub limit: Option<usize>,
}

#[derive(Serialize)]
struct List<'a> {
    data: Vec<One<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct One<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    /// Of the epoch where it is unknown.
    created_at: Timestamp,
    max_input_tokens: Option<u64>,
    max_tokens: Option<u64>,
    /// Every model of the pool is in use.
    lifecycle: &'static str,
}

impl<'a> One<'a> {
    fn of(model: &'a ListedModel) -> Self {
        Self {
            kind: "model",
            id: &model.id,
            display_name: model.name(),
            created_at: model.created_or_epoch(),
            max_input_tokens: model.context,
            max_tokens: model.output,
            lifecycle: "active",
        }
    }
}

/// One page of the list. `has_more` is about the side that is turned away from the cursor.
///
/// Errors: [`InvalidRequest`] when the limit is out of range, both cursors are given, or one is no
/// model of the list.
pub fn anthropic_list(
    models: &[ListedModel],
    page: &AnthropicPage,
) -> Result<Vec<u8>, InvalidRequest> {
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("limit must be 1 to {MAX_LIMIT}");
        return Err(InvalidRequest::about("limit", message));
    }
    let (shown, has_more) = match (&page.before_id, &page.after_id) {
        (Some(_), Some(_)) => {
            let message = "before_id and after_id must not both be given";
            return Err(InvalidRequest::about("before_id", message));
        }
        (Some(id), None) => {
            let before = &models[..place_of(models, id, "before_id")?];
            let start = before.len().saturating_sub(limit);
            (&before[start..], start > 0)
        }
        (None, Some(id)) => first(&models[place_of(models, id, "after_id")? + 1..], limit),
        (None, None) => first(models, limit),
    };
    Ok(to_json(&List {
        data: shown.iter().map(One::of).collect(),
        has_more,
        first_id: shown.first().map(|model| model.id.as_str()),
        last_id: shown.last().map(|model| model.id.as_str()),
    }))
}

pub fn anthropic_one(model: &ListedModel) -> Vec<u8> {
    to_json(&One::of(model))
}

fn first(models: &[ListedModel], limit: usize) -> (&[ListedModel], bool) {
    (&models[..limit.min(models.len())], models.len() > limit)
}

fn place_of(
    models: &[ListedModel],
    id: &str,
    param: &'static str,
) -> Result<usize, InvalidRequest> {
    let place = models.iter().position(|model| model.id == id);
    place.ok_or_else(|| InvalidRequest::about(param, format!("{param} is no model of the list")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{json as parse, model, unknown},
        *,
    };

    fn page(before: Option<&str>, after: Option<&str>, limit: usize) -> AnthropicPage {
        AnthropicPage {
            before_id: before.map(Into::into),
            after_id: after.map(Into::into),
            limit: Some(limit),
        }
    }

    fn ids(page: &AnthropicPage) -> (String, bool) {
        let models = ["a", "b", "c", "d", "e"].map(model);
        let list = parse(&anthropic_list(&models, page).unwrap());
        let ids: Vec<_> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap())
            .collect();
        assert_eq!(list["first_id"].as_str(), ids.first().copied());
        assert_eq!(list["last_id"].as_str(), ids.last().copied());
        (ids.concat(), list["has_more"].as_bool().unwrap())
    }

    #[test]
    fn pages_lead_through_the_whole_list_in_both_directions() {
        assert_eq!(ids(&page(None, None, 2)), ("ab".into(), true));
        assert_eq!(ids(&page(None, Some("b"), 2)), ("cd".into(), true));
        assert_eq!(ids(&page(None, Some("d"), 2)), ("e".into(), false));
        assert_eq!(ids(&page(None, Some("e"), 2)), (String::new(), false));
        assert_eq!(ids(&page(Some("e"), None, 2)), ("cd".into(), true));
        assert_eq!(ids(&page(Some("c"), None, 2)), ("ab".into(), false));
        assert_eq!(ids(&page(Some("a"), None, 2)), (String::new(), false));
        assert_eq!(ids(&AnthropicPage::default()), ("abcde".into(), false));
    }

    #[test]
    fn a_page_that_cannot_be_is_refused() {
        for (wrong, param) in [
            (page(None, None, 0), "limit"),
            (page(None, None, 1_001), "limit"),
            (page(Some("a"), Some("a"), 1), "before_id"),
            (page(Some("x"), None, 1), "before_id"),
            (page(None, Some("x"), 1), "after_id"),
        ] {
            let error = anthropic_list(&[model("a")], &wrong).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param));
        }
    }

    #[test]
    fn a_model_has_anthropics_shape() {
        let expected = json!({
            "type": "model", "id": "a", "display_name": "Model a",
            "created_at": "2026-01-01T00:00:00.000Z",
            "max_input_tokens": 200_000, "max_tokens": 64_000, "lifecycle": "active",
        });
        assert_eq!(parse(&anthropic_one(&model("a"))), expected);
        let bare = parse(&anthropic_one(&unknown("b")));
        assert_eq!(bare["display_name"], "b");
        assert_eq!(bare["created_at"], "1970-01-01T00:00:00.000Z");
        assert!(bare["max_tokens"].is_null());
    }
}
