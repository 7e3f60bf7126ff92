//! JSON without the white space that says nothing.

use std::borrow::Cow;

/// The same value, written without white space between its tokens. Google's answers are indented,
/// which nobody who gets a call's input as text wants to see.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    let is_space = |b: &u8| matches!(b, b' ' | b'\n' | b'\r' | b'\t');
    if !json.bytes().any(|b| is_space(&b)) {
        return Cow::Borrowed(json);
    }
    let mut is_text = false;
    let mut is_escaped = false;
    let kept = json.chars().filter(|letter| {
        if is_text {
            is_text = is_escaped || *letter != '"';
            is_escaped = !is_escaped && *letter == '\\';
            return true;
        }
        is_text = *letter == '"';
        !matches!(letter, ' ' | '\n' | '\r' | '\t')
    });
    Cow::Owned(kept.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_between_tokens_goes() {
        for (json, expected) in [
            (r#"{"a":1}"#, r#"{"a":1}"#),
            ("{\n  \"a b\" : [ 1,\t2 ]\r\n}", r#"{"a b":[1,2]}"#),
            (r#"{"a": "x \" y \\", "b": " \\\" "}"#, r#"{"a":"x \" y \\","b":" \\\" "}"#),
            (r#"[ "é ü" ]"#, r#"["é ü"]"#),
        ] {
            assert_eq!(compact(json), expected);
        }
    }
}
