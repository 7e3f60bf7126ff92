//! The input of a call as the object that this dialect has in its place.

use std::borrow::Cow;

use serde_json::value::{RawValue, to_raw_value};

use crate::domain::chat::Losses;

/// What a call without input has.
fn empty_object<'a>() -> Cow<'a, RawValue> {
    Cow::Owned(RawValue::from_string("{}".to_owned()).expect("it is JSON"))
}

/// The object that `input` is. Nothing becomes an empty one; what is no object, one that holds it as
/// `input`, and a loss. Free of line feeds, since a line of a stream must not hold any.
pub(super) fn of_input<'a>(input: &'a str, losses: &mut Losses) -> Cow<'a, RawValue> {
    let input = input.trim();
    if input.is_empty() {
        return empty_object();
    }
    match serde_json::from_str::<&RawValue>(input) {
        Ok(raw) if raw.get().starts_with('{') => on_one_line(raw),
        _ => {
            losses.note("tool_call.input");
            let wrapped = to_raw_value(&Wrapped { input }).expect("texts are always JSON");
            Cow::Owned(wrapped)
        }
    }
}

/// Between tokens a line feed means as much as a space, and within texts JSON allows none.
fn on_one_line(raw: &RawValue) -> Cow<'_, RawValue> {
    if !raw.get().contains(['\n', '\r']) {
        return Cow::Borrowed(raw);
    }
    let text = raw.get().replace(['\n', '\r'], " ");
    Cow::Owned(RawValue::from_string(text).expect("only space between tokens has changed"))
}

#[derive(serde::Serialize)]
struct Wrapped<'a> {
    input: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_stays_as_it_was_written_but_on_one_line() {
        let mut losses = Losses::default();
        let table = [
            ("", "{}"),
            (" ", "{}"),
            (r#"{"b":1, "a":1.0}"#, r#"{"b":1, "a":1.0}"#),
            ("{\n\"a\":\"x\\ny\"\r\n}", "{ \"a\":\"x\\ny\"  }"),
        ];
        for (input, expected) in table {
            assert_eq!(of_input(input, &mut losses).get(), expected);
        }
        assert!(losses.is_empty());
    }

    #[test]
    fn what_is_no_object_is_wrapped_into_one() {
        for (input, expected) in [
            ("[1]", r#"{"input":"[1]"}"#),
            ("{\"a\":", r#"{"input":"{\"a\":"}"#),
            ("SELECT 1", r#"{"input":"SELECT 1"}"#),
        ] {
            let mut losses = Losses::default();
            assert_eq!(of_input(input, &mut losses).get(), expected);
            assert_eq!(losses.to_string(), "tool_call.input");
        }
    }
}
