//! JSON whose texts are not quite Unicode: bytes that are no UTF-8, and halves of surrogate pairs that
//! stand alone. Parsers refuse the whole of it, or the text that it is in; what is meant is clear.
//!
//! Source: RFC 8259 §8.2 (read 2026-11): the grammar allows such halves, and says that their readers
//! differ.

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;

/// The escape that stands in the place of what is no character.
pub(super) const REPLACEMENT: &str = "\\ufffd";

/// How long an escape such as `\ud83d` is.
const ESCAPE: usize = 6;

/// The same JSON in UTF-8: as it is, nearly always.
pub fn in_utf8(json: Bytes) -> Bytes {
    // Telling is much faster than replacing.
    if std::str::from_utf8(&json).is_ok() {
        return json;
    }
    String::from_utf8_lossy(&json).into_owned().into()
}

/// The same JSON with what is no character replaced. `None`: all of it is characters.
pub fn mended(json: &[u8]) -> Option<Vec<u8>> {
    if std::str::from_utf8(json).is_ok() {
        return without_halves(json);
    }
    let text = String::from_utf8_lossy(json).into_owned();
    Some(without_halves(text.as_bytes()).unwrap_or_else(|| text.into_bytes()))
}

fn without_halves(json: &[u8]) -> Option<Vec<u8>> {
    replaced(json, |out, _| out.extend_from_slice(REPLACEMENT.as_bytes()))
}

/// The JSON with something in the place of each half that stands alone. `None`: none does.
pub(super) fn replaced(
    json: &[u8],
    mut replace: impl FnMut(&mut Vec<u8>, &Half),
) -> Option<Vec<u8>> {
    let mut halves = Halves { json, at: 0 };
    let first = halves.next()?;
    let (mut out, mut kept) = (Vec::with_capacity(json.len() + ESCAPE), 0);
    for half in std::iter::once(first).chain(halves) {
        out.extend_from_slice(&json[kept..half.place.start]);
        replace(&mut out, &half);
        kept = half.place.end;
    }
    out.extend_from_slice(&json[kept..]);
    Some(out)
}

/// Half of a surrogate pair that stands alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Half {
    /// Where its escape stands.
    pub place: Range<usize>,
    /// U+D800 to U+DFFF.
    pub unit: u16,
}

/// The first halves come before the second ones.
pub(super) fn is_first(unit: u16) -> bool {
    (0xD800..0xDC00).contains(&unit)
}

fn is_second(unit: u16) -> bool {
    (0xDC00..0xE000).contains(&unit)
}

struct Halves<'j> {
    json: &'j [u8],
    at: usize,
}

impl Iterator for Halves<'_> {
    type Item = Half;

    fn next(&mut self) -> Option<Half> {
        loop {
            let start = self.at + memchr(b'\\', self.json.get(self.at..)?)?;
            let Some(unit) = unit_at(self.json, start) else {
                // Any other escape is of two characters, the second of which may be a backslash.
                self.at = start + 2;
                continue;
            };
            let end = start + ESCAPE;
            let next = || unit_at(self.json, end);
            if is_first(unit) && next().is_some_and(is_second) {
                self.at = end + ESCAPE;
                continue;
            }
            self.at = end;
            if is_first(unit) || is_second(unit) {
                return Some(Half { place: start..end, unit });
            }
        }
    }
}

/// The unit of UTF-16 whose escape stands here.
fn unit_at(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn text(json: &[u8]) -> String {
        String::from_utf8(mended(json).unwrap_or_else(|| json.to_vec())).unwrap()
    }

    #[test]
    fn a_half_that_stands_alone_is_replaced_wherever_it_stands() {
        for (json, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDE00""#, r#""\ufffd""#),
            (r#""a\ud83db\ude00c""#, r#""a\ufffdb\ufffdc""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#"{"\ud83d":["\\\ud83d"]}"#, r#"{"\ufffd":["\\\ufffd"]}"#),
        ] {
            assert_eq!(text(json.as_bytes()), expected, "{json}");
            assert!(serde_json::from_str::<Value>(json).is_err(), "{json}");
            assert!(serde_json::from_str::<Value>(expected).is_ok(), "{json}");
        }
    }

    #[test]
    fn what_is_text_stays_as_it_is() {
        for json in [
            "",
            "\\",
            "\\u",
            r"\ud8",
            r#""\ud83d\ude00""#,
            r#""\\ud83d""#,
            r#""\\\\ude00""#,
            r#""\u00e9 \n \" é 😀 \ufffd""#,
            r#"{"a":[1,"b"]}"#,
        ] {
            assert_eq!(mended(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_replaced() {
        assert_eq!(text(b"\"a\xF0\x9F\""), "\"a\u{fffd}\"");
        assert_eq!(text(b"\"\xFF\\ud83d\""), "\"\u{fffd}\\ufffd\"");
        assert_eq!(in_utf8(Bytes::from_static(b"\xFFa")), "\u{fffd}a");
        let fine = Bytes::from_static("é".as_bytes());
        assert_eq!(in_utf8(fine.clone()).as_ptr(), fine.as_ptr());
    }

    proptest! {
        #[test]
        fn every_text_of_utf_16_can_be_read(units in prop::collection::vec(
            prop_oneof![0xD7F0..0xE010_u16, 0x20..0x7F_u16], 0..12,
        )) {
            let mut json = "\"".to_owned();
            for unit in &units {
                write!(json, "\\u{unit:04x}").unwrap();
            }
            json.push('"');
            let read: String = serde_json::from_str(&text(json.as_bytes())).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = text(&bytes);
        }
    }
}
