//! Base64 as Google and its SDKs write it, put into the one form that all else uses.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

/// The same bytes in the standard alphabet, padded. The SDK for Python writes the alphabet for
/// addresses; proto JSON takes both, with padding and without.
pub(super) fn standard(text: &str) -> Cow<'_, str> {
    let is_standard =
        text.len().is_multiple_of(4) && !text.bytes().any(|b| matches!(b, b'-' | b'_'));
    if is_standard {
        return Cow::Borrowed(text);
    }
    let mut standard = text.replace('-', "+").replace('_', "/");
    while !standard.len().is_multiple_of(4) {
        standard.push('=');
    }
    Cow::Owned(standard)
}

pub(super) fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

/// The text that stands in it, in whichever alphabet. `None` when it is no text.
pub(super) fn decode_text(base64: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(&*standard(base64)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_lead_to_the_standard_one() {
        assert!(matches!(standard("ab+/"), Cow::Borrowed("ab+/")));
        assert_eq!(standard("ab-_"), "ab+/");
        assert_eq!(standard("_w"), "/w==");
        assert_eq!(decode_text(&encode("a?>~")).as_deref(), Some("a?>~"));
        assert_eq!(decode_text("YT8-fg").as_deref(), Some("a?>~"));
        assert_eq!(decode_text("!"), None);
    }
}
