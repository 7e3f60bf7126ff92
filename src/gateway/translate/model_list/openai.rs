//! OpenAI: `GET /v1/models` and `GET /v1/models/{model}`.
//!
//! Source: <https://platform.openai.com/docs/api-reference/models> (2026-11).

use serde::Serialize;

use super::{ListedModel, to_json};

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    id: &'a str,
    object: &'static str,
    /// Seconds of the epoch. 0 where it is unknown: stock clients need a number.
    created: i64,
    owned_by: &'a str,
}

impl<'a> One<'a> {
    fn of(model: &'a ListedModel) -> Self {
        Self {
            id: &model.id,
            object: "model",
            created: model.created_or_epoch().as_millis().div_euclid(1_000),
            owned_by: &model.owned_by,
        }
    }
}

pub fn openai_list(models: &[ListedModel]) -> Vec<u8> {
    to_json(&List { object: "list", data: models.iter().map(One::of).collect() })
}

pub fn openai_one(model: &ListedModel) -> Vec<u8> {
    to_json(&One::of(model))
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{model, unknown},
        *,
    };

    #[test]
    fn a_list_has_openais_shape() {
        let list = String::from_utf8(openai_list(&[model("a"), unknown("b")])).unwrap();
        assert_eq!(
            list,
            r#"{"object":"list","data":[{"id":"a","object":"model","created":1767225600,"owned_by":"acme"},{"id":"b","object":"model","created":0,"owned_by":"acme"}]}"#
        );
        assert!(list.contains(std::str::from_utf8(&openai_one(&model("a"))).unwrap()));
        assert_eq!(openai_list(&[]), br#"{"object":"list","data":[]}"#);
    }
}
