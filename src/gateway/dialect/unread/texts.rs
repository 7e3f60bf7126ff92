//! Words in values that nobody reads.

use std::fmt;

use memchr::memchr2;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{LABELS, TEXTS, is_one_of};
use crate::gateway::dialect::object::Borrowed;

/// What there is in a value that nobody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Words {
    None,
    /// Words, wherever they stand. Nothing else has a space in it or a letter beyond those of ASCII: ids,
    /// types and names of enumerations are one word.
    Any,
    /// Any text that is not empty, under a name of [`TEXTS`](super::TEXTS).
    OfText,
}

impl Words {
    fn of(text: &str, is_text: bool) -> Self {
        let is_word = |letter: char| letter.is_alphabetic();
        let is_apart =
            |letter: char| letter.is_whitespace() || (!letter.is_ascii() && is_word(letter));
        match () {
            () if is_text && !text.is_empty() => Self::OfText,
            () if text.contains(is_apart) && text.contains(is_word) => Self::Any,
            () => Self::None,
        }
    }
}

/// The words in a value. `is_text`: its own name is one of [`TEXTS`](super::TEXTS).
pub(super) fn words_in(json: &str, is_text: bool) -> Words {
    match json.as_bytes() {
        // Most texts that nobody reads are ids and types.
        [b'"', text @ .., b'"'] if text.is_ascii() && memchr2(b' ', b'\\', text).is_none() => {
            if is_text && !text.is_empty() {
                Words::OfText
            } else {
                Words::None
            }
        }
        [b'"' | b'[' | b'{', ..] => {
            let mut inner = serde_json::Deserializer::from_str(json);
            // What is nested too deep to be looked at may hold anything.
            Within { is_text }.deserialize(&mut inner).unwrap_or(Words::OfText)
        }
        _ => Words::None,
    }
}

/// See [`words_in`].
#[derive(Clone, Copy)]
struct Within {
    is_text: bool,
}

impl<'de> DeserializeSeed<'de> for Within {
    type Value = Words;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Words, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Within {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Words, E> {
        Ok(Words::None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Words, E> {
        Ok(Words::None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Words, E> {
        Ok(Words::None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Words, E> {
        Ok(Words::None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Words, E> {
        Ok(Words::None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words::of(text, self.is_text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
        let mut words = Words::None;
        while let Some(found) = list.next_element_seed(self)? {
            words = words.max(found);
        }
        Ok(words)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Words, A::Error> {
        let mut words = Words::None;
        while let Some(Borrowed(name)) = object.next_key()? {
            if is_one_of(&LABELS, &name) {
                object.next_value::<IgnoredAny>()?;
                continue;
            }
            let is_text = self.is_text || is_one_of(&TEXTS, &name);
            words = words.max(object.next_value_seed(Self { is_text })?);
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_ids_by_their_spaces_and_letters() {
        for json in [
            r#""two words""#,
            r#"" word""#,
            r#""word,\nword""#,
            r#""\u0061\u0020b""#,
            r#""Grüße""#,
            r#""你好""#,
            r#"[1,{"x":{"y":"a b"}}]"#,
        ] {
            assert_eq!(words_in(json, false), Words::Any, "{json}");
        }
        for json in [
            r#""chatcmpl-01_A:b/c.d""#,
            r#""https:\/\/example.org\/""#,
            r#""STOP""#,
            r#""2026-11-30 17:57:06""#,
            r#"" ""#,
            r#""""#,
            "7",
            "null",
            r#"{"type":"two words","role":["two words"],"x":["y",true,null,1.5]}"#,
        ] {
            assert_eq!(words_in(json, false), Words::None, "{json}");
        }
        for json in [r#""x""#, r#"[{"a":"x"}]"#, r#"{"a":"two words","b":"x"}"#] {
            assert_eq!(words_in(json, true), Words::OfText, "{json}");
        }
        assert_eq!(words_in(r#"{"a":"two words","text":"x"}"#, false), Words::OfText);
    }
}
