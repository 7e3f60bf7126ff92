//! Finds texts that stand by themselves in JSON which is known to be valid, without parsing it.
//!
//! Inside a text every quote has a backslash before it. So a quote without one, and a word right
//! after it, can only be the beginning of a text: the same word within a longer text never counts.
//! A word that is written with escapes is not found.

use memchr::memmem;
use serde::Deserialize;

/// Where a quoted word begins, each time it is a whole text in `json`.
pub(super) fn whole_texts<'j>(
    json: &'j [u8],
    quoted: &'j [u8],
) -> impl Iterator<Item = usize> + 'j {
    memmem::find_iter(json, quoted).filter(|at| *at == 0 || json[at - 1] != b'\\')
}

/// Where the values of all fields called `quoted` begin, however deep they stand.
pub(super) fn values_of<'j>(json: &'j [u8], quoted: &'j [u8]) -> impl Iterator<Item = usize> + 'j {
    whole_texts(json, quoted).filter_map(|at| {
        let colon = skip_space(json, at + quoted.len());
        (json.get(colon) == Some(&b':')).then(|| skip_space(json, colon + 1))
    })
}

/// Whether a field called `quoted_field` has the text `quoted_value` somewhere in `json`.
pub(super) fn has_field(json: &[u8], quoted_field: &[u8], quoted_value: &[u8]) -> bool {
    whole_texts(json, quoted_value).any(|at| {
        let before = json[..at].trim_ascii_end();
        let Some(before) = before.strip_suffix(b":") else { return false };
        let Some(before) = before.trim_ascii_end().strip_suffix(quoted_field) else { return false };
        before.last() != Some(&b'\\')
    })
}

/// Reads the object, list or text that begins at `at`, and tells where it ends.
pub(super) fn read_at<'j, T: Deserialize<'j>>(json: &'j [u8], at: usize) -> Option<(T, usize)> {
    let mut values = serde_json::Deserializer::from_slice(json.get(at..)?).into_iter();
    let value = values.next()?.ok()?;
    Some((value, at + values.byte_offset()))
}

/// The position of the first byte from `at` on that is not white space.
pub(super) fn skip_space(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    at + rest.len() - rest.trim_ascii_start().len()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    const WORD: &[u8] = br#""word""#;

    #[test]
    fn a_word_counts_only_where_it_is_a_whole_text() {
        for json in [
            r#""word""#,
            r#"["word"]"#,
            r#"{"word" : 1}"#,
            r#"["\\","word"]"#,
            r#"["x\\\\" ,"word"]"#,
        ] {
            assert_eq!(whole_texts(json.as_bytes(), WORD).count(), 1, "{json}");
        }
        for json in [
            r#"["\"word"]"#,
            r#"["say \"word\" now"]"#,
            r#"["\\\"word"]"#,
            r#"["word "]"#,
            r#"["\"word\":"]"#,
            r#"["a word"]"#,
        ] {
            serde_json::from_str::<&RawValue>(json).expect(json);
            assert_eq!(whole_texts(json.as_bytes(), WORD).count(), 0, "{json}");
        }
    }

    #[test]
    fn fields_are_told_from_values() {
        let json = br#"{"a":"word","word" : {"b":[1]},"c":["word",":"],"d":"\"word\":"}"#;
        let found: Vec<(&RawValue, usize)> =
            values_of(json, WORD).filter_map(|at| read_at(json, at)).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.get(), r#"{"b":[1]}"#);
        assert_eq!(&json[found[0].1..found[0].1 + 4], br#","c""#);
    }

    #[test]
    fn a_field_with_a_value_is_found_in_any_layout() {
        let has = |json: &str| {
            serde_json::from_str::<&RawValue>(json).expect(json);
            has_field(json.as_bytes(), br#""role""#, WORD)
        };
        assert!(has(r#"[{"role":"word"}]"#));
        assert!(has("{\"role\"\t: \n\"word\"}"));
        assert!(!has(r#"{"\"role":"word"}"#));
        assert!(!has(r#"{"rule":"word","role":["word"]}"#));
        assert!(!has(r#"{"x":"\"role\":\"word\""}"#));
        assert!(!has(r#"{"word":"role"}"#));
    }
}
