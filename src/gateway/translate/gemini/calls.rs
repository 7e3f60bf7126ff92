//! The input of a call: an object on the wire, the model's own text in the common form.

use crate::domain::chat::{CallKind, Json, Losses};

/// The field that holds an input which is no object.
pub(super) const CUSTOM_INPUT: &str = "input";

/// The object that an input is, or one that holds it.
pub(super) fn args(input: &str, kind: CallKind, losses: &mut Losses) -> Json {
    let text = input.trim();
    if kind == CallKind::Function {
        let text = if text.is_empty() { "{}" } else { text };
        if let Some(object) = Json::parse(text).filter(Json::is_object) {
            return object;
        }
    }
    losses.note("tool_call.input");
    let quoted = serde_json::to_string(input).expect("a text is always JSON");
    Json::parse(format!(r#"{{"{CUSTOM_INPUT}":{quoted}}}"#))
        .expect("a name and a text make an object")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_held_by_one() {
        let written = |input, kind| {
            let mut losses = Losses::default();
            let json = args(input, kind, &mut losses).as_str().to_owned();
            (json, losses.is_empty())
        };
        let function = |input| written(input, CallKind::Function);
        assert_eq!(function(r#" {"a": 1} "#), (r#"{"a": 1}"#.into(), true));
        assert_eq!(function(""), ("{}".into(), true));
        assert_eq!(function("[1]"), (r#"{"input":"[1]"}"#.into(), false));
        assert_eq!(function(r#"{"a":"#), (r#"{"input":"{\"a\":"}"#.into(), false));
        assert_eq!(written("{}", CallKind::Custom), (r#"{"input":"{}"}"#.into(), false));
    }
}
