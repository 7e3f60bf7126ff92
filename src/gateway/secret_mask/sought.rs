//! Which secrets are looked for: all of them where something failed, in an answer only those that are no
//! words.

use crate::domain::provider::SecretHeader;

/// Shorter secrets are not looked for: they would be found in words that have nothing to do with them.
const MIN_BYTES: usize = 8;

/// Shorter values may be words of an answer, or parts of its code.
pub(super) const MIN_UNMISTAKABLE_BYTES: usize = 16;

/// From this length on letters of both cases show that somebody has thrown dice, also without digits.
const MIN_BYTES_WITHOUT_DIGITS: usize = 32;

/// Headers whose values are names and versions that an answer may well speak of.
const PUBLIC_HEADERS: [&str; 9] = [
    "anthropic-beta",
    "anthropic-version",
    "http-referer",
    "openai-beta",
    "origin",
    "referer",
    "user-agent",
    "x-goog-api-client",
    "x-title",
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    /// All but very short ones. For the texts of errors and what else is no answer.
    Any,
    /// Those that cannot be words of a good answer, which must arrive as it was written.
    Unmistakable,
}

impl Sought {
    pub(super) fn includes(self, secret: &str) -> bool {
        match self {
            Self::Any => secret.len() >= MIN_BYTES,
            Self::Unmistakable => is_unmistakable(secret),
        }
    }

    pub(super) fn includes_header(self, header: &SecretHeader) -> bool {
        self == Self::Any
            || !PUBLIC_HEADERS.iter().any(|name| header.name.eq_ignore_ascii_case(name))
    }
}

fn is_unmistakable(secret: &str) -> bool {
    if secret.len() < MIN_UNMISTAKABLE_BYTES || secret.bytes().any(|b| b.is_ascii_whitespace()) {
        return false;
    }
    let has = |is_kind: fn(&u8) -> bool| secret.bytes().any(|byte| is_kind(&byte));
    let has_both_cases = || has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) || secret.len() >= MIN_BYTES_WITHOUT_DIGITS && has_both_cases())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_word_of_an_answer_is_no_unmistakable_secret() {
        for word in [
            "lm-studio",
            "sk-no-key-required",
            "documentation",
            "europe west frankfurt 12",
            "12345678901234567890",
            "https://documentation.example.com/",
            "sk-1234567890",
        ] {
            assert!(!Sought::Unmistakable.includes(word), "{word}");
            assert!(Sought::Any.includes(word), "{word}");
        }
        for secret in [
            "sk-live/abc/DEF&ghi/0123456789",
            "0d9e4a52-7d3f-4a5c-8b1f-2f6b1f0f9a11",
            "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEf",
        ] {
            assert!(Sought::Unmistakable.includes(secret), "{secret}");
        }
    }

    #[test]
    fn what_public_headers_say_is_looked_for_only_where_something_failed() {
        let header = |name: &str| SecretHeader {
            name: name.into(),
            value: "prompt-caching-2024-07-31".into(),
        };
        assert!(!Sought::Unmistakable.includes_header(&header("Anthropic-Beta")));
        assert!(Sought::Any.includes_header(&header("anthropic-beta")));
        assert!(Sought::Unmistakable.includes_header(&header("x-team")));
    }
}
